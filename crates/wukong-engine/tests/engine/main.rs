//! The engine as its users know it: manifests in, objects, actions and status out.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod determinism;
mod drift;
mod examples;
mod life;
mod power;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
