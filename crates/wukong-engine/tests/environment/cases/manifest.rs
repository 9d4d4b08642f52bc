//! Errors and warnings about the spec itself.

use serde_json::json;
use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus::Warn;

use super::Case;
use crate::cluster::Cluster;

pub const CASES: &[Case] = &[Case {
    rule: "password",
    cluster: Cluster::healthy,
    spec: || json!({"cloudInitUser": {"name": "ada", "password": "hunter2"}}),
    status: Warn,
    reason: Reason::PlainTextPassword,
    words: &["ada"],
}];
