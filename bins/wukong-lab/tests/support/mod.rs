//! What the end-to-end tests share: clusters, and waiting for facts in them.

// Each test binary uses a part of it.
#![allow(dead_code, unused_imports)]

mod cluster;
pub mod plugin;
mod read;
mod space;
pub mod terminal;

pub use cluster::{Cluster, SHIM};
pub use read::{blocker, condition, is_settled, phase, strings, without_bookkeeping};
pub use space::{Space, resource};

use std::time::Duration;

use serde_json::{Value, json};

/// How long anything may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A Wukong: one CPU, 1Gi, and what `spec` says.
pub fn wukong(name: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1",
        "kind": "Wukong",
        "metadata": {"name": name},
        "spec": {"cpu": 1, "memory": "1Gi"},
    });
    merge(&mut object["spec"], spec);
    object
}

/// A disk that is imported, called `root`.
pub fn root() -> Value {
    json!({"name": "root", "size": "2Gi", "image": "http://images.example.com/disk.qcow2"})
}

/// The same with a scenario for the simulator.
pub fn failing(mut object: Value, scenario: &str) -> Value {
    object["metadata"]["annotations"] = json!({SCENARIO: scenario});
    object
}

/// The annotation that tells the simulator what shall go wrong.
pub const SCENARIO: &str = "simulator.wukong.dev/scenario";

/// JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(&key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
