#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod admission;
pub mod cdi;
pub mod change;
mod cluster;
pub mod field;
pub mod installation;
pub mod key;
pub mod kind;
pub mod kubevirt;
mod quantity;
pub mod reality;
pub mod scenario;
mod scheduler;
pub(crate) mod snapshot;
mod storage;
#[cfg(test)]
mod testing;
pub mod world;

pub use cluster::{Cluster, Event};

/// The CustomResourceDefinitions of KubeVirt, CDI, Multus and NMState, as JSON: a list, without descriptions.
pub const UPSTREAM_CRDS: &str = include_str!("../schemas/upstream-crds.json");
