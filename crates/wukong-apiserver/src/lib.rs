//! An API server in memory: one namespace of objects with uids, versions, finalizers and managed fields, and the
//! controllers of `wukong-sim` on it. For the tests of the engine and for its model; it is never shipped, and a wrong use
//! of it panics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod fields;
pub mod server;
pub mod simulator;
