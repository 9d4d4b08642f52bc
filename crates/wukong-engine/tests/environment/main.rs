//! What is said about a cluster that cannot run VMs, before one is made.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod addresses;
mod cases;
mod cluster;
mod cost;
mod events;
mod facts;
mod order;
mod platform;
mod properties;
mod reasons;
mod rules;
mod scheduler;
mod status;
