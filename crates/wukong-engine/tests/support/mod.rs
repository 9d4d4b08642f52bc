//! What the tests share.

pub mod api_server;
pub mod cluster;
#[path = "../environment/cluster.rs"]
#[allow(dead_code)] // It is the tests' of the environment, and these need less of it.
pub mod environment;
mod fields;
pub mod manifests;
pub mod plant;
#[path = "../../../wukong-vm/tests/support/schema.rs"]
pub mod schema;
pub mod strategies;
