//! A model of the operator's decisions: the real `decide`, two replicas with a Lease, and everything around them that
//! may happen in another order.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "it is a test: where it is wrong, it ends"
)]

mod cluster;
mod end;
mod memory;
pub mod mistake;
mod model;
pub mod parsers;
pub mod paths;
mod pool;
mod request;
pub mod schema;
pub mod search;
mod server;
pub mod shapes;
mod state;
pub mod texts;
mod words;
pub mod world;
