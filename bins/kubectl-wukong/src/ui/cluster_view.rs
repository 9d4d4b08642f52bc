//! The cluster: the checks of `preflight`, the nodes, and the addresses in use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde_json::{Value, json};
use wukong_engine::diagnosis::preflight;

use super::app::{App, Source};
use super::problem::Problem;
use crate::preflight;
use crate::survey::Survey;

/// Prefix of the devices that KubeVirt needs.
const DEVICES: &str = "devices.kubevirt.io/";

/// Answers with the state of the cluster.
pub async fn get(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let read;
    let (survey, now) = match &app.source {
        Source::Bundle(bundle) => (&bundle.survey, bundle.taken),
        Source::Cluster { cluster, .. } => {
            read = app.survey(Survey::of_cluster(cluster, &[])).await?;
            (&read, Timestamp::now())
        }
    };
    let checks = preflight(&survey.environment(), None, now);
    let bridges: Vec<(&str, Vec<&str>)> = survey
        .of_kind("NodeNetworkState")
        .map(|state| (name(state), bridges(state)))
        .collect();
    let nodes = survey.of_kind("Node").map(|object| {
        let of_node = bridges.iter().find(|(node, _)| *node == name(object));
        node(object, of_node.map(|(_, bridges)| bridges.as_slice()))
    });
    Ok(Json(json!({
        "checks": preflight::list(checks),
        "nodes": nodes.collect::<Vec<_>>(),
        "addresses": app.rows.addresses(),
    })))
}

fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

fn bridges(state: &Value) -> Vec<&str> {
    let interfaces = state.pointer("/status/currentState/interfaces");
    let interfaces = interfaces.and_then(Value::as_array).into_iter().flatten();
    let is_bridge = |interface: &&Value| {
        let kind = interface.get("type").and_then(Value::as_str);
        kind.is_some_and(|kind| matches!(kind, "linux-bridge" | "ovs-bridge"))
    };
    interfaces
        .filter(is_bridge)
        .filter_map(|interface| interface.get("name")?.as_str())
        .collect()
}

/// What the page shows of a node. Without NMState, its bridges are unknown.
fn node(object: &Value, bridges: Option<&[&str]>) -> Value {
    let label = |name: &str| object.pointer("/metadata/labels")?.get(name)?.as_str();
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|it| it == "Ready")
            && condition.get("status").is_some_and(|it| it == "True")
    });
    let quantity = |name: &str| object.pointer("/status/allocatable")?.get(name)?.as_str();
    let devices = object
        .pointer("/status/allocatable")
        .and_then(Value::as_object);
    let devices = devices.into_iter().flatten();
    let devices: Vec<Value> = devices
        .filter_map(|(name, count)| {
            let name = name.strip_prefix(DEVICES)?;
            Some(json!({"name": name, "count": count}))
        })
        .collect();
    json!({
        "name": name(object),
        "ready": ready,
        "schedulable": label("kubevirt.io/schedulable") == Some("true")
            && object.pointer("/spec/unschedulable") != Some(&Value::Bool(true)),
        "architecture": label("kubernetes.io/arch"),
        "cpu": quantity("cpu"),
        "memory": quantity("memory"),
        "devices": devices,
        "bridges": bridges,
    })
}
