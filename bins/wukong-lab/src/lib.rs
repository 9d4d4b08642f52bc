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

mod access;
mod admission;
pub mod audit;
mod binaries;
pub mod boot;
mod certs;
pub mod cli;
mod control_plane;
mod dirs;
mod go;
mod lab;
pub mod manifests;
pub mod operator;
pub mod plant;
mod plant_process;
mod process;
pub mod programs;
mod progress;
mod stored;
mod supervise;
pub mod tools;
mod upstream;
pub mod wait;

pub use access::{ADMIN, PLANT};
pub use binaries::Binaries;
pub use lab::{Lab, Options};
pub use operator::{Operator, OperatorOptions};
pub use plant_process::{BootImages, PlantOptions};
pub use process::Process;
pub use progress::Progress;
pub use upstream::{UPSTREAM_CRDS, Upstream};
