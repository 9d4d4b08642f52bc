//! What the tests share.

pub mod cluster;
#[path = "../environment/cluster.rs"]
#[allow(dead_code)] // It is the tests' of the environment, and these need less of it.
pub mod environment;
pub mod manifests;
pub mod protection;
#[path = "../../../wukong-vm/tests/support/schema.rs"]
pub mod schema;
pub mod strategies;
pub use wukong_apiserver::server as api_server;
pub use wukong_apiserver::simulator;
