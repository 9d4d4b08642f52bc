//! A throwaway cluster on this machine: a real API server, our operator, and simulated neighbours.
//!
//! The end-to-end tests start it the way the command does:
//!
//! ```no_run
//! # async fn f() -> anyhow::Result<()> {
//! use wukong_lab::{Lab, Options, Upstream};
//!
//! let lab = Lab::start(Options::new("my-tests").without(Upstream::Multus)).await?;
//! let namespace = lab.namespace("first").await?;
//! let client = lab.client().await?;
//! # Ok(())
//! # }
//! ```

pub mod bench;
mod chart;
pub mod cli;
pub mod cluster;
pub mod faults;
pub mod guests;
mod lab;
pub mod sim;
pub mod soak;
mod value;

pub use cluster::access::{ADMIN, SIMULATOR};
pub use cluster::binaries::Binaries;
pub use cluster::operator::{Operator, OperatorOptions};
pub use cluster::process::Process;
pub use cluster::progress::Progress;
pub use cluster::upstream::Upstream;
pub use lab::{Lab, Options};
pub use sim::process::{BootImages, SimulatorOptions};
