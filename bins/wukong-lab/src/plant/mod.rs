//! The plant: a simulation of what runs in a real cluster and cannot run here.
//!
//! It stands in for CDI, KubeVirt, the scheduler and the kubelet. It watches what is asked for, answers with the
//! intermediate states, conditions, field managers and finalizers that the real ones were seen to write, refuses what
//! their admission webhooks refuse, and fails on request. Nothing that ships depends on it.

pub mod admission;
mod cdi;
mod change;
mod field;
mod kubevirt;
mod nodes;
mod quantity;
mod scenario;
#[cfg(test)]
mod testing;
mod world;
