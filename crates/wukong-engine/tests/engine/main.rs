//! The engine as its users know it: manifests in, objects, actions and status out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod conflicts;
mod convergence;
mod determinism;
mod disks;
mod drift;
mod environment;
mod examples;
mod hostile_facts;
mod hot_plug;
mod initial;
mod life;
mod networks;
mod node_networks;
mod nothing_ignored;
mod pending;
mod power;
mod reasons;
mod restores;
mod schedules;
mod secrets;
mod snapshots;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod traps;
mod upstream;
mod world;
