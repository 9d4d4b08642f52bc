//! A cluster for each rule that breaks it, and what is to be said about it.

pub mod control_plane;
mod crd;
mod kubevirt;
mod limits;
mod manifest;
mod network;
mod nodes;
mod storage;

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus;

use crate::cluster::Cluster;

/// A cluster that breaks a rule, and what is to be said about it.
pub struct Case {
    pub rule: &'static str,
    pub cluster: fn() -> Cluster,
    pub spec: fn() -> Value,
    pub status: CheckStatus,
    pub reason: Reason,
    pub words: &'static [&'static str],
}

/// Every case, in the files of the rules that they are about.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [
        crd::CASES,
        control_plane::CASES,
        kubevirt::CASES,
        nodes::CASES,
        network::CASES,
        storage::CASES,
        limits::CASES,
        manifest::CASES,
    ]
    .into_iter()
    .flatten()
}

fn plain() -> Value {
    json!({})
}

pub fn with_bridge(name: &str) -> Value {
    json!({"networks": [{"name": "lan", "type": "bridge", "bridgeName": name}]})
}
