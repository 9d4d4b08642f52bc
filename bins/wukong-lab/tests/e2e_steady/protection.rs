//! Snapshots and restores.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{Space, root, wukong};

fn of_group(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Takes a snapshot of the VM `web` and waits until it is ready.
pub async fn snapshot(space: &Space<'_>, name: &str) {
    let spec = json!({"wukongName": "web"});
    space.apply(&of_group("WukongSnapshot", name, spec)).await;
    space
        .until("WukongSnapshot", name, "ready", |found| {
            (found["status"]["readyToUse"] == true).then_some(())
        })
        .await;
}

/// Restores disks of the VM `web` and waits until it has them.
pub async fn restore(space: &Space<'_>, name: &str, more: Value) {
    let mut spec = json!({"wukongName": "web", "stop": true});
    let fields = spec.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    space.apply(&of_group("WukongRestore", name, spec)).await;
    space
        .until("WukongRestore", name, "succeeded", |found| {
            (found["status"]["phase"] == "Succeeded").then_some(())
        })
        .await;
}

async fn volumes(space: &Space<'_>) -> Vec<String> {
    let vm = space.get("VirtualMachine", "web").await;
    let volumes = vm["spec"]["template"]["spec"]["volumes"].as_array();
    let names = volumes.unwrap().iter();
    names
        .filter_map(|volume| volume["dataVolume"]["name"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_vm_goes_back_to_its_snapshot_and_forward_again() {
    let space = cluster().await.space("protection").await;
    let disks = json!([root(), {"name": "data", "size": "1Gi"}]);
    space.apply(&wukong("web", json!({"disks": disks}))).await;
    let before = space.running("web").await;
    snapshot(&space, "before").await;
    let taken = space.get("WukongSnapshot", "before").await;
    assert_eq!(taken["status"]["consistency"], "FileSystem");

    restore(&space, "undo", json!({"snapshotName": "before"})).await;
    assert_eq!(volumes(&space).await, ["web.root.r2", "web.data.r2"]);
    let instance = &before["status"]["startedWith"]["instance"];
    space.running_again("web", instance).await;
    let after = space.running("web").await;
    let addresses = |wukong: &Value| {
        let networks = wukong["status"]["networks"].as_array().unwrap().iter();
        networks
            .map(|nic| nic["macAddress"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        addresses(&after),
        addresses(&before),
        "it keeps its identity"
    );
    assert_eq!(
        after["status"]["volumes"][0]["otherGenerations"][0]["pvcName"],
        "web.root"
    );

    restore(&space, "redo", json!({"fromGeneration": 1})).await;
    assert_eq!(volumes(&space).await, ["web.root", "web.data"]);
    let mut claims: Vec<String> = space
        .api("PersistentVolumeClaim")
        .list(&Default::default())
        .await
        .unwrap()
        .items
        .iter()
        .map(DynamicObject::name_any)
        .collect();
    claims.sort();
    assert_eq!(
        claims,
        ["web.data", "web.data.r2", "web.root", "web.root.r2"]
    );

    // Its owner goes, and garbage collection deletes it.
    space.delete("WukongSnapshot", "before").await;
    space.gone("VirtualMachineSnapshot", "before").await;

    let missing = of_group("WukongSnapshot", "lost", json!({"wukongName": "missing"}));
    space.apply(&missing).await;
    let reason = space
        .until("WukongSnapshot", "lost", "reported", |found| {
            found["status"]["blocker"]["reason"]
                .as_str()
                .map(str::to_owned)
        })
        .await;
    assert_eq!(reason, "SourceNotFound");
    let changed = of_group("WukongSnapshot", "lost", json!({"wukongName": "web"}));
    let refused = space.try_apply(&changed).await.unwrap_err().to_string();
    assert!(refused.contains("a snapshot cannot change"), "{refused}");
}
