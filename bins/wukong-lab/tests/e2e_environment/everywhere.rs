//! Faults of the whole cluster. They affect every VM, so these tests have a cluster of their own, and run one after
//! another.

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use wukong_lab::Operator;

use super::{break_, heal, node, on_node};
use crate::support::plugin::run;
use crate::support::{Cluster, condition, root, wukong};
use crate::verdict::blocker;

const ENVIRONMENT: &str = "EnvironmentReady";

/// A cluster that no other test changes meanwhile.
pub struct Alone {
    cluster: &'static Cluster,
    _turn: MutexGuard<'static, ()>,
}

impl std::ops::Deref for Alone {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

pub async fn alone() -> Alone {
    static CLUSTER: OnceCell<(Cluster, Operator)> = OnceCell::const_new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let (cluster, operator) = CLUSTER
        .get_or_init(|| Cluster::with_operator("environment-wide-tests"))
        .await;
    operator.process().check().unwrap();
    Alone {
        cluster,
        _turn: turn,
    }
}

#[tokio::test]
async fn what_is_installed_and_does_not_work_is_named() {
    let cluster = alone().await;
    let space = cluster.space("installed").await;
    let disks = json!({"disks": [root()]});
    let networks = json!({"networks": [{"name": "lan", "type": "bridge", "bridgeName": "br-lan"}]});
    let rows = [
        (
            ("kubevirt", "KubeVirt", "kubevirt", "deploying"),
            json!({}),
            blocker(
                ENVIRONMENT,
                "KubeVirtNotAvailable",
                "KubeVirt/kubevirt",
                "Deploying",
            ),
        ),
        (
            ("kubevirt", "KubeVirt", "kubevirt", "component-crash"),
            json!({}),
            blocker(
                ENVIRONMENT,
                "KubeVirtNotAvailable",
                "*",
                "virt-controller does not run",
            ),
        ),
        (
            ("", "CDI", "cdi", "deploying"),
            disks.clone(),
            blocker(ENVIRONMENT, "CDINotAvailable", "CDI/cdi", "Deploying"),
        ),
        (
            ("", "CDI", "cdi", "component-crash"),
            disks,
            blocker(
                ENVIRONMENT,
                "CDINotAvailable",
                "CDI/cdi",
                "pods that do not run",
            ),
        ),
        (
            (
                "kube-system",
                "DaemonSet",
                "kube-multus-ds",
                "multus-broken",
            ),
            networks,
            blocker(
                ENVIRONMENT,
                "MultusUnhealthy",
                "DaemonSet/kube-multus-ds",
                "ready on 0 of 2 nodes",
            ),
        ),
    ];
    for ((namespace, kind, object, scenario), spec, blocker) in rows {
        let there = crate::support::Space::existing(&cluster, namespace).await;
        break_(&there, kind, object, Some(scenario)).await;
        let name = format!("{kind}-{scenario}").to_lowercase();
        space.apply(&wukong(&name, spec)).await;
        blocker.is_named(&space, &name).await;
        heal(&there, kind, object).await;
        space.running(&name).await;
    }
}

#[tokio::test]
async fn emulation_needs_tun_and_no_kvm() {
    let cluster = alone().await;
    let space = cluster.space("emulation").await;
    let kubevirt = crate::support::Space::existing(&cluster, "kubevirt").await;
    let emulate = |on: bool| json!({"spec": {"configuration": {"developerConfiguration": {"useEmulation": on}}}});
    kubevirt.merge("KubeVirt", "kubevirt", emulate(true)).await;
    node(&space, "laptop", "no-kvm,no-vhost-net").await;
    node(&space, "laptop-without-tun", "no-kvm,no-tun").await;
    space.apply(&on_node("slow", "laptop", json!({}))).await;
    let slow = space.running("slow").await;
    let (status, reason, _) = condition(&slow, ENVIRONMENT);
    assert_eq!((status, reason), ("True", "EmulationOnly"), "{slow:#}");
    let (code, checks, _) = run(&space, &["preflight", "-o", "json"]).await;
    assert!(code == 0 && checks.contains("EmulationOnly"), "{checks}");
    space
        .apply(&on_node("tunless", "laptop-without-tun", json!({})))
        .await;
    blocker(
        ENVIRONMENT,
        "NoVirtualizationDevices",
        "Node/laptop-without-tun",
        "software emulation needs as well",
    )
    .is_named(&space, "tunless")
    .await;
    for name in ["slow", "tunless"] {
        space.delete("Wukong", name).await;
        space.gone("Wukong", name).await;
    }
    for name in ["laptop", "laptop-without-tun"] {
        space.delete("Node", name).await;
    }
    kubevirt.merge("KubeVirt", "kubevirt", emulate(false)).await;
}

#[tokio::test]
async fn a_missing_default_class_or_provisioner_is_reported() {
    let cluster = alone().await;
    let space = cluster.space("classes").await;
    let default = "storageclass.kubernetes.io/is-default-class";
    let mark = |marked: &str| json!({"metadata": {"annotations": {default: marked}}});
    let classes = space.list("StorageClass").await;
    let marked = |class: &&Value| class["metadata"]["annotations"][default] == "true";
    let class = classes.iter().find(marked).unwrap()["metadata"]["name"]
        .as_str()
        .unwrap();
    space.merge("StorageClass", class, mark("false")).await;
    space
        .apply(&wukong("unnamed", json!({"disks": [root()]})))
        .await;
    blocker(
        "DependenciesResolved",
        "NoDefaultStorageClass",
        "",
        "no default",
    )
    .is_named(&space, "unnamed")
    .await;
    space.merge("StorageClass", class, mark("true")).await;
    space.running("unnamed").await;

    break_(
        &space,
        "StorageClass",
        "local-path",
        Some("provisioner-missing"),
    )
    .await;
    let mut disk = root();
    disk["storageClassName"] = json!("local-path");
    space
        .apply(&wukong("local", json!({"disks": [disk]})))
        .await;
    let missing = "its provisioner rancher.io/local-path has no pod";
    let class = "StorageClass/local-path";
    blocker("VolumesBound", "ProvisionerNotReady", class, missing)
        .is_named(&space, "local")
        .await;
    heal(&space, "StorageClass", "local-path").await;
    space.running("local").await;
}
