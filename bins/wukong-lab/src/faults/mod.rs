//! Faults between the operator and the API server, exhaustively.
//!
//! A run plays a scenario in a namespace of its own, against a real API server and the simulator. Its operator runs in this
//! process behind a `Wire`, which names every request and injects faults. A run without faults is golden: it shows
//! which requests there are and which objects remain. Each run with a fault has to end with the same objects, send nothing
//! afterwards, and write no other object.

mod arena;
mod campaign;
pub mod fault;
mod objects;
mod observed;
mod process;
mod resource;
mod run;
mod scenario;
mod selection;
mod stale;
mod target;
mod user;
mod wire;

pub use campaign::{Choice, Plan, Report, campaign};
