//! What is said about a cluster that cannot run VMs, before one is made.

mod cluster;
mod events;
mod facts;
mod order;
mod platform;
mod properties;
mod reasons;
mod rules;
mod scheduler;
