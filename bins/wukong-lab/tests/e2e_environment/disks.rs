//! Disks that do not come.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{break_, cluster, heal};
use crate::support::plugin::doctor;
use crate::support::{condition, failing, phase, root, wukong};
use crate::verdict::blocker;

const BOUND: &str = "VolumesBound";

fn on_class(name: &str, class: &str, rest: Value) -> Value {
    let mut disk = root();
    disk["storageClassName"] = json!(class);
    let mut object = wukong(name, json!({"disks": [disk]}));
    crate::support::merge(&mut object["spec"], rest);
    object
}

#[tokio::test]
async fn an_import_that_fails_has_one_cause_everywhere() {
    let space = &cluster().await.space("imports").await;
    let rows = [
        ("import-dns", "ImportFailed", "(DNS)"),
        ("import-network", "ImportFailed", "(Network)"),
        ("import-tls", "ImportFailed", "(TLS)"),
        ("import-auth", "ImportFailed", "(Auth)"),
        ("import-notfound", "ImportFailed", "(NotFound)"),
        ("import-space", "ImportFailed", "(Space)"),
        ("import-format", "ImportFailed", "(Format)"),
        ("checksum", "ImportFailed", "(Checksum)"),
        ("image-pull", "ImagePullFailed", "cdi-importer"),
        ("quota", "QuotaExceeded", "quota"),
    ];
    join_all(rows.map(|(scenario, reason, part)| async move {
        space
            .apply(&failing(
                wukong(scenario, json!({"disks": [root()]})),
                scenario,
            ))
            .await;
        blocker(BOUND, reason, "DataVolume/NAME.root", part)
            .is_named(space, scenario)
            .await;
    }))
    .await;
}

#[tokio::test]
async fn a_class_without_a_driver_is_named() {
    let space = &cluster().await.space("drivers").await;
    space
        .apply(&json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "driverless"},
            "provisioner": "csi.driverless.simulator.wukong.dev", "volumeBindingMode": "Immediate",
        }))
        .await;
    break_(
        space,
        "StorageClass",
        "driverless",
        Some("provisioner-missing"),
    )
    .await;
    space.apply(&on_class("web", "driverless", json!({}))).await;
    let missing = "csi.driverless.simulator.wukong.dev is not installed";
    blocker(
        BOUND,
        "ProvisionerNotReady",
        "StorageClass/driverless",
        missing,
    )
    .is_named(space, "web")
    .await;
    heal(space, "StorageClass", "driverless").await;
    space.running("web").await;
}

#[tokio::test]
async fn a_disk_that_waits_for_its_vm_is_no_failure() {
    let space = &cluster().await.space("consumers").await;
    join_all(["standard-wffc", "local-path"].map(|class| async move {
        let stopped = json!({"powerState": "Stopped"});
        space.apply(&on_class(class, class, stopped)).await;
        let waits = space
            .wukong(class, "waiting for its first consumer", |wukong| {
                condition(wukong, BOUND).1 == "WaitingForFirstConsumer"
            })
            .await;
        assert_eq!(condition(&waits, BOUND).0, "True", "{waits:#}");
        assert_eq!(phase(&waits), "Stopped");
        let report = doctor(space, &[class]).await;
        assert!(report["blocker"].is_null(), "{report:#}");
        space.edit(class, json!({"powerState": "Running"})).await;
        space.running(class).await;
    }))
    .await;
}
