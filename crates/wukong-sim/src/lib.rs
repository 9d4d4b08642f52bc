#![doc = include_str!("../README.md")]

pub mod admission;
pub mod cdi;
pub mod change;
#[cfg(test)]
mod cluster;
pub mod field;
pub mod installation;
pub mod key;
pub mod kubevirt;
mod quantity;
pub mod reality;
pub mod scenario;
mod scheduler;
pub mod world;

/// The CustomResourceDefinitions of KubeVirt, CDI, Multus and NMState, as JSON: a list, without descriptions.
pub const UPSTREAM_CRDS: &str = include_str!("../schemas/upstream-crds.json");
