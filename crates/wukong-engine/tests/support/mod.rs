//! What the tests share.

pub mod api_server;
pub mod cluster;
mod fields;
pub mod manifests;
pub mod plant;
#[path = "../../../wukong-vm/tests/support/schema.rs"]
pub mod schema;
pub mod strategies;
