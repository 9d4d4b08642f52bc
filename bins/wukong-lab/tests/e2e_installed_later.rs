//! The status names what the cluster lacks. The operator uses it as soon as it is installed, without a restart.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use wukong_api::names;
use wukong_lab::cluster::audit::Request;
use wukong_lab::cluster::operator::USER;
use wukong_lab::{Operator, Upstream};

use support::{Cluster, DEADLINE, Space, blocker, condition, is_settled, phase, root, wukong};

const CLAIM: &str = "PersistentVolumeClaim";

/// The cluster without some projects, and an operator that never knew them. One test at a time.
async fn without(absent: &[Upstream]) -> (&'static Cluster, Operator, MutexGuard<'static, ()>) {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static ALONE: Mutex<()> = Mutex::const_new(());
    let alone = ALONE.lock().await;
    let cluster = CLUSTER
        .get_or_init(|| Cluster::start("installed-later-tests", absent))
        .await;
    for project in [
        Upstream::KubeVirt,
        Upstream::Cdi,
        Upstream::Multus,
        Upstream::NmState,
    ] {
        if absent.contains(&project) {
            cluster.lab.remove(project).await.unwrap();
        } else {
            cluster.lab.install(project).await.unwrap();
        }
    }
    let operator = cluster.operator().await;
    (cluster, operator, alone)
}

/// Leaves nothing behind for the next test.
async fn clear(space: &Space<'_>, operator: Operator) {
    for name in space.names("Wukong").await {
        space.delete("Wukong", &name).await;
        space.gone("VirtualMachine", &name).await;
    }
    operator.stop().await.unwrap();
}

fn nic(change: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge"});
    support::merge(&mut nic, change);
    json!({"networks": [nic]})
}

fn nics(vm: &Value) -> usize {
    let nics = vm.pointer("/spec/template/spec/domain/devices/interfaces");
    nics.and_then(Value::as_array).map_or(0, Vec::len)
}

#[tokio::test]
async fn without_multus_a_vm_runs_on_the_pod_network_until_multus_comes() {
    let (cluster, operator, _alone) = without(&[Upstream::Multus]).await;
    let space = cluster.space("multus").await;
    // A NIC reaches a running VM by a migration, which KubeVirt begins if it is configured to.
    let kubevirt = Space::existing(cluster, "kubevirt").await;
    let methods =
        json!({"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}});
    kubevirt.merge("KubeVirt", "kubevirt", methods).await;
    space.apply(&wukong("degrades", nic(json!({})))).await;
    space
        .apply(&wukong("waits", nic(json!({"onMissingMultus": "Block"}))))
        .await;
    let degraded = space
        .wukong("degrades", "running without its NIC", |wukong| {
            phase(wukong) == "Running" && blocker(wukong) == "DegradedToPodNetwork"
        })
        .await;
    let (status, _, message) = condition(&degraded, "NetworksConfigured");
    assert!(status == "False" && message.contains("lan"), "{message}");
    assert_eq!(nics(&space.get("VirtualMachine", "degrades").await), 1);
    let waits = space.blocked("waits", "MultusNotInstalled").await;
    assert_eq!(phase(&waits), "Pending");
    assert!(space.get("VirtualMachine", "waits").await.is_null());

    let instance = space.get("VirtualMachineInstance", "degrades").await;
    cluster.lab.install(Upstream::Multus).await.unwrap();
    for name in ["degrades", "waits"] {
        let runs = space
            .wukong(name, "running with its NIC", |wukong| {
                phase(wukong) == "Running"
                    && condition(wukong, "NetworksConfigured").0 == "True"
                    && wukong["status"]["networks"][1]["ipAddress"].is_string()
            })
            .await;
        let definition = names::network_attachment_definition(name, "lan");
        assert_eq!(runs["status"]["networks"][1]["nadName"], json!(definition));
        assert_eq!(nics(&space.get("VirtualMachine", name).await), 2);
    }
    // Plugged into the running VM.
    let same = space.get("VirtualMachineInstance", "degrades").await;
    assert_eq!(same["metadata"]["uid"], instance["metadata"]["uid"]);
    clear(&space, operator).await;
}

#[tokio::test]
async fn without_cdi_empty_disks_are_claims_and_images_wait() {
    let (cluster, operator, _alone) = without(&[Upstream::Cdi]).await;
    let space = cluster.space("cdi").await;
    let empty = json!({"name": "data", "size": "1Gi"});
    space
        .apply(&wukong("images", json!({"disks": [root(), empty]})))
        .await;
    space
        .apply(&wukong("empty", json!({"disks": [empty]})))
        .await;
    let waits = space.blocked("images", "CDINotInstalled").await;
    assert_eq!(phase(&waits), "Pending");
    assert_eq!(waits["status"]["blocker"]["condition"], "EnvironmentReady");
    space.running("empty").await;
    let claim = space.get(CLAIM, "empty.data").await["metadata"]["uid"].clone();
    let made = space
        .asked()
        .filter(|request| request.resource == "persistentvolumeclaims" && request.code == 201);
    assert_eq!(made.len(), 2, "{made}");

    cluster.lab.install(Upstream::Cdi).await.unwrap();
    space.running("images").await;
    // A claim stays what it is: a DataVolume would be an import over its data.
    assert_eq!(space.names("DataVolume").await, ["images.root"]);
    assert_eq!(
        space.get(CLAIM, "empty.data").await["metadata"]["uid"],
        claim
    );
    space.running("empty").await;
    clear(&space, operator).await;
}

#[tokio::test]
async fn without_kubevirt_the_disks_are_made_and_the_vm_follows() {
    let (cluster, operator, _alone) = without(&[Upstream::KubeVirt]).await;
    let space = cluster.space("kubevirt").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    let waits = space
        .wukong("web", "waiting for KubeVirt only", |wukong| {
            blocker(wukong) == "KubeVirtNotInstalled"
                && condition(wukong, "VolumesBound").1 == "Bound"
        })
        .await;
    assert_eq!(phase(&waits), "Pending");
    cluster.lab.install(Upstream::KubeVirt).await.unwrap();
    space.running("web").await;
    clear(&space, operator).await;
}

#[tokio::test]
async fn without_nmstate_a_vm_waits_for_its_bridge_until_nmstate_comes() {
    let (cluster, operator, _alone) = without(&[Upstream::NmState]).await;
    operator.stop().await.unwrap();
    let operator = cluster.bridge_maker().await;
    let space = cluster.space("nmstate").await;
    let asks = json!({"bridgeName": "br-late", "nodeNetwork": {"uplink": "eth1"}});
    space.apply(&wukong("web", nic(asks))).await;
    space.blocked("web", "NMStateNotInstalled").await;
    assert!(space.get("VirtualMachine", "web").await.is_null());
    cluster.lab.install(Upstream::NmState).await.unwrap();
    space.running("web").await;
    // After that, the operator sends no more requests, not even for nodes.
    let asks = |request: &Request| {
        request.user == USER && request.complete && !request.is_lease() && !request.is_watch()
    };
    let audit = cluster.lab.audit();
    audit
        .wait_quiet(audit.mark(), Duration::from_secs(3), DEADLINE, asks)
        .await
        .unwrap();
    clear(&space, operator).await;
}

#[tokio::test]
async fn what_is_removed_is_reported_and_what_comes_back_is_used() {
    let (cluster, operator, _alone) = without(&[]).await;
    let space = cluster.space("removed").await;
    space.apply(&wukong("web", nic(json!({})))).await;
    space.running("web").await;
    cluster.lab.remove(Upstream::Multus).await.unwrap();
    space.blocked("web", "DegradedToPodNetwork").await;
    // The others are not affected.
    space
        .apply(&wukong("other", json!({"disks": [root()]})))
        .await;
    space.running("other").await;
    cluster.lab.install(Upstream::Multus).await.unwrap();
    space.running("web").await;
    let definition = names::network_attachment_definition("web", "lan");
    assert_eq!(
        space.names("NetworkAttachmentDefinition").await,
        [definition]
    );
    clear(&space, operator).await;
}

#[tokio::test]
async fn without_a_default_class_a_disk_without_class_waits() {
    let (cluster, operator, _alone) = without(&[]).await;
    let space = cluster.space("class").await;
    let is_default = async |value: Option<&str>| {
        let annotation = json!({"storageclass.kubernetes.io/is-default-class": value});
        let patch = json!({"metadata": {"annotations": annotation}});
        space.merge("StorageClass", "standard", patch).await;
    };
    is_default(None).await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    let blocked = space.blocked("web", "NoDefaultStorageClass").await;
    assert!(is_settled(&blocked));
    assert_eq!(phase(&blocked), "Pending");
    assert_eq!(condition(&blocked, "DependenciesResolved").0, "False");
    is_default(Some("true")).await;
    space.running("web").await;
    clear(&space, operator).await;
}
