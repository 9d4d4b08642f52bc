//! Nodes that cannot run a VM. Each fault has a node of its own, and a VM that may run only there.

use futures::future::{FutureExt, join_all};
use serde_json::json;

use super::{cluster, faults_of_nodes, heal, node, on_node};
use crate::support::{condition, merge, wukong};
use crate::verdict::blocker;

const ENVIRONMENT: &str = "EnvironmentReady";

#[tokio::test]
async fn a_node_that_cannot_run_vms_is_named_with_its_cause() {
    let space = &cluster().await.space("nodes").await;
    let rows = [
        ("no-kvm", "NoVirtualizationDevices", "/dev/kvm"),
        ("no-tun", "NoVirtualizationDevices", "/dev/net/tun"),
        ("no-vhost-net", "NoVirtualizationDevices", "/dev/vhost-net"),
        (
            "device-plugin",
            "DevicePluginUnhealthy",
            "cannot be allocated",
        ),
        // A device plugin that gives one device out works: the file of the other one is missing.
        (
            "device-plugin=tun",
            "NoVirtualizationDevices",
            "/dev/net/tun",
        ),
        (
            "handler-crash",
            "VirtHandlerNotReady",
            "too many open files",
        ),
        ("no-virt-handler", "VirtHandlerNotReady", "no virt-handler"),
    ];
    let row = |(scenario, reason, part)| {
        let blocker = blocker(ENVIRONMENT, reason, "Node/NAME", part);
        (scenario, json!({}), blocker)
    };
    faults_of_nodes(space, rows.map(row)).await;
}

#[tokio::test]
async fn a_placement_that_leaves_no_node_is_reported_per_node() {
    let space = &cluster().await.space("placement").await;
    let narrow = |part| blocker(ENVIRONMENT, "PlacementTooNarrow", "", part);
    node(space, "tainted", "").await;
    let taint = json!({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"});
    space
        .merge("Node", "tainted", json!({"spec": {"taints": [taint]}}))
        .await;
    node(space, "cordoned", "").await;
    space
        .merge("Node", "cordoned", json!({"spec": {"unschedulable": true}}))
        .await;
    join_all([
        async {
            space.apply(&on_node("taint", "tainted", json!({}))).await;
            narrow("tainted: taint dedicated=gpu:NoSchedule")
                .is_named(space, "taint")
                .await;
            space
                .merge("Node", "tainted", json!({"spec": {"taints": null}}))
                .await;
            space.running("taint").await;
        }
        .boxed(),
        async {
            space.apply(&on_node("cordon", "cordoned", json!({}))).await;
            narrow("cordoned: ").is_named(space, "cordon").await;
            space
                .merge("Node", "cordoned", json!({"spec": {"unschedulable": null}}))
                .await;
            space.running("cordon").await;
        }
        .boxed(),
        async {
            space
                .apply(&on_node("selector", "nowhere", json!({})))
                .await;
            narrow("example.com/rack=nowhere")
                .is_named(space, "selector")
                .await;
        }
        .boxed(),
    ])
    .await;
}

#[tokio::test]
async fn a_lost_node_keeps_its_vm() {
    let space = &cluster().await.space("lost").await;
    node(space, "unplugged", "").await;
    space.apply(&on_node("web", "unplugged", json!({}))).await;
    space.running("web").await;
    super::break_(space, "Node", "unplugged", Some("node-lost")).await;
    // Whether the guest runs is unknown: KubeVirt leaves the instance as it is.
    space
        .until("VirtualMachineInstance", "web", "not ready", |instance| {
            let runs = instance["status"]["phase"] == "Running";
            (runs && condition(instance, "Ready").0 == "False").then_some(())
        })
        .await;
    heal(space, "Node", "unplugged").await;
    space.running("web").await;
}

#[tokio::test]
async fn a_vm_that_is_too_big_for_its_node_is_reported_with_the_numbers() {
    let space = &cluster().await.space("small").await;
    node(space, "small", "").await;
    let size = json!({"cpu": "200m", "memory": "2Gi"});
    let status = json!({"status": {"capacity": size, "allocatable": size}});
    space.merge_status("Node", "small", status).await;
    let rows = [
        (
            "memory",
            json!({"memory": "2Gi"}),
            "InsufficientMemory",
            "of memory",
        ),
        ("cpu", json!({"cpu": 4}), "InsufficientCPU", "CPU"),
    ];
    join_all(rows.map(|(name, spec, reason, part)| async move {
        space.apply(&on_node(name, "small", spec)).await;
        blocker("Scheduled", reason, "VirtualMachineInstance/NAME", part)
            .is_named(space, name)
            .await;
    }))
    .await;
}

#[tokio::test]
async fn a_full_quota_is_reported_with_the_numbers() {
    let space = &cluster().await.space("quota").await;
    let quota = |memory: &str| {
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"},
            "spec": {"hard": {"requests.memory": memory}}})
    };
    space.apply(&quota("1Gi")).await;
    let mut web = wukong("web", json!({}));
    merge(&mut web, json!({"spec": {"memory": "2Gi"}}));
    space.apply(&web).await;
    // Before a pod is refused, KubeVirt says nothing of it.
    space
        .until(
            "VirtualMachineInstance",
            "web",
            "without a pod",
            |instance| {
                let (status, reason, _) = condition(instance, "Synchronized");
                (status == "False" && reason == "FailedCreate").then_some(())
            },
        )
        .await;
    let refused = "VirtualMachineInstance/NAME";
    let full = blocker(
        "Scheduled",
        "QuotaExceeded",
        refused,
        "quota small is exceeded",
    );
    full.is_named(space, "web").await;
    space.apply(&quota("8Gi")).await;
    space.running("web").await;
}
