//! Snapshots and restores.

use kube::api::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{Space, resource, root, wukong};

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

/// A snapshot as the schedule `minutely` with this uid creates it.
fn scheduled(name: &str, schedule: &Value) -> Value {
    let mut snapshot = of_group("WukongSnapshot", name, json!({"wukongName": "web"}));
    snapshot["metadata"]["labels"] = json!({
        "vm.novasphere.dev/schedule": "minutely",
        "vm.novasphere.dev/schedule-uid": schedule["metadata"]["uid"],
    });
    snapshot
}

/// A schedule of the VM `web` takes a snapshot in the next minute, and deletes an older one. Returns the name of the snapshot.
pub async fn schedule(space: &Space<'_>) -> String {
    let spec = json!({"wukongName": "web", "schedule": "* * * * *", "retain": 1});
    let schedule = of_group("WukongSnapshotSchedule", "minutely", spec);
    let stored = space.apply(&schedule).await;
    let old = "minutely-202001010000";
    space.apply(&scheduled(old, &stored)).await;
    let taken = space
        .until("WukongSnapshotSchedule", "minutely", "succeeded", |found| {
            let slot = found["status"]["lastSuccessfulSlot"].as_str()?;
            let digits: String = slot.chars().filter(char::is_ascii_digit).take(12).collect();
            (digits != "202001010000").then(|| format!("minutely-{digits}"))
        })
        .await;
    space.gone("WukongSnapshot", old).await;
    space.delete("WukongSnapshotSchedule", "minutely").await;
    taken
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
async fn a_schedule_takes_snapshots_and_deletes_only_its_own() {
    let space = cluster().await.space("schedule").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    snapshot(&space, "by-hand").await;
    let client = space.lab.operator_client("schedule-test").await.unwrap();
    let (resource, _) = resource("WukongSnapshot");
    let as_operator: Api<DynamicObject> = Api::namespaced_with(client, &space.name, &resource);
    let refused = as_operator.delete("by-hand", &Default::default()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("only snapshots of a schedule"),
        "{refused}"
    );

    let taken = schedule(&space).await;
    let snapshot = space.get("WukongSnapshot", &taken).await;
    assert_eq!(snapshot["status"]["readyToUse"], true);
    assert!(snapshot["metadata"]["ownerReferences"].is_null());
    let mut names = space.names("WukongSnapshot").await;
    // The schedule may have had another slot before it was deleted.
    names.retain(|name| *name == taken || !name.starts_with("minutely-"));
    assert_eq!(names, ["by-hand", &taken]);

    let wrong = json!({"wukongName": "web", "schedule": "61 * * * *", "retain": 1});
    space
        .apply(&of_group("WukongSnapshotSchedule", "wrong", wrong))
        .await;
    let message = space
        .until("WukongSnapshotSchedule", "wrong", "reported", |found| {
            found["status"]["blocker"]["message"]
                .as_str()
                .map(str::to_owned)
        })
        .await;
    assert!(message.starts_with("spec.schedule: "), "{message}");
    for (more, words) in [
        (json!({"selector": {}}), "either wukongName or selector"),
        (json!({"schedule": "@daily"}), "spec.schedule"),
        (json!({"retain": 65}), "spec.retain"),
    ] {
        let mut spec = json!({"wukongName": "web", "schedule": "0 1 * * *", "retain": 1});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let refused = space
            .try_apply(&of_group("WukongSnapshotSchedule", "refused", spec))
            .await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
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
