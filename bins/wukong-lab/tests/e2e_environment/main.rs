//! Why a VM does not run: for each thing that can be wrong with a cluster, the operator's status, `kubectl wukong doctor`
//! and `doctor` from a bundle name the same blocker; of two things, the one that comes first.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod disks;
mod everywhere;
mod guests;
mod healthy;
mod networks;
mod node_networks;
mod nodes;
mod order;
mod verdict;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use wukong_lab::Operator;

use support::{Cluster, SCENARIO, Space, failing, merge, wukong};
use verdict::Blocker;

/// The cluster of all tests but those about the cluster as a whole.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<(Cluster, Operator)> = OnceCell::const_new();
    let (cluster, operator) = CLUSTER
        .get_or_init(|| Cluster::with_operator("environment-tests"))
        .await;
    operator.process().check().unwrap();
    cluster
}

/// The label by which a VM asks for a node of [`node`].
const RACK: &str = "example.com/rack";

/// Adds a node with faults. Nodes are the whole cluster's, so their names are the tests' own.
async fn node(space: &Space<'_>, name: &str, scenario: &str) {
    space
        .apply(&json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {RACK: name}, "annotations": {SCENARIO: scenario}},
        }))
        .await;
    space
        .until("Node", name, "looked after", |node| {
            let kubelet = node["status"]["conditions"].as_array()?;
            let reported = kubelet
                .iter()
                .any(|it| it["reason"] != "" && it["type"] == "Ready");
            let new = node["spec"]["taints"].as_array().is_some_and(|taints| {
                taints
                    .iter()
                    .any(|taint| taint["key"] == "node.kubernetes.io/not-ready")
            });
            (reported && !new).then_some(())
        })
        .await;
}

/// Gives each scenario a node of its own with that fault, and a VM with this spec that may run only there; sees that the
/// blocker is named, and that the VM runs once the fault is gone.
async fn faults_of_nodes<const N: usize>(
    space: &Space<'_>,
    rows: [(&'static str, Value, Blocker); N],
) {
    join_all(rows.map(|(scenario, spec, blocker)| async move {
        let name = scenario.replace('=', "-");
        node(space, &name, scenario).await;
        // The import takes its time, so that the status reports a fault that does not keep the guest from running.
        let waits = failing(on_node(&name, &name, spec), "slow-import=1000000");
        space.apply(&waits).await;
        blocker.is_named(space, &name).await;
        heal(space, "Node", &name).await;
        space.scenario(&name, None).await;
        space.running(&name).await;
    }))
    .await;
}

/// Takes the faults of an object away.
async fn heal(space: &Space<'_>, kind: &str, name: &str) {
    break_(space, kind, name, None).await;
}

/// Gives an object of the cluster a scenario, or takes it away.
async fn break_(space: &Space<'_>, kind: &str, name: &str, scenario: Option<&str>) {
    let patch = json!({"metadata": {"annotations": {SCENARIO: scenario}}});
    space.merge(kind, name, patch).await;
}

/// A Wukong that may run on one node only.
fn on_node(name: &str, node: &str, spec: Value) -> Value {
    let mut spec = spec;
    merge(
        &mut spec,
        json!({"highAvailability": {"nodeSelector": {RACK: node}}}),
    );
    wukong(name, spec)
}
