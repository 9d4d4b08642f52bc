//! The objects that are deleted with a Wukong, those that stay, and those that come back.

use kube::api::PropagationPolicy;
use serde_json::{Value, json};

use crate::cluster;
use crate::support::{Space, condition, phase, root, wukong};

const CLAIM: &str = "PersistentVolumeClaim";

fn database() -> Value {
    wukong(
        "db",
        json!({
            "cloudInitUser": {"name": "me"},
            "networks": [{"name": "lan", "type": "bridge"}],
            "disks": [
                root(),
                {"name": "data", "size": "1Gi"},
                {"name": "kept", "size": "1Gi", "image": "http://images.example.com/seed.qcow2", "reclaimPolicy": "Retain"},
                {"name": "scratch", "size": "1Gi", "reclaimPolicy": "Delete"},
            ],
        }),
    )
}

async fn uid(space: &Space<'_>, kind: &str, name: &str) -> Value {
    space.get(kind, name).await["metadata"]["uid"].clone()
}

#[tokio::test]
async fn everything_goes_but_the_disks_that_are_retained() {
    let space = cluster().await.space("delete").await;
    space.apply(&database()).await;
    space.running("db").await;
    let mark = space.mark();
    space.delete("Wukong", "db").await;
    space.gone("Wukong", "db").await;
    space.gone("VirtualMachine", "db").await;
    space.gone("VirtualMachineInstance", "db").await;
    space.gone("Secret", "db.cloud-init").await;
    for disk in ["db.root", "db.scratch"] {
        space.gone("DataVolume", disk).await;
        space.gone(CLAIM, disk).await;
    }
    for definition in space.names("NetworkAttachmentDefinition").await {
        space.gone("NetworkAttachmentDefinition", &definition).await;
    }
    assert_eq!(space.names("DataVolume").await, ["db.data", "db.kept"]);
    assert_eq!(space.names(CLAIM).await, ["db.data", "db.kept"]);
    // The garbage collector does it.
    let writes = space
        .requested_since(mark)
        .filter(|request| request.is_write() && request.subresource != "status");
    assert!(writes.is_empty(), "{writes}");
}

#[tokio::test]
async fn a_retained_disk_is_attached_again_with_its_data() {
    let space = cluster().await.space("recreate").await;
    space.apply(&database()).await;
    space.running("db").await;
    let mut before = Vec::new();
    for name in ["db.data", "db.kept"] {
        before.push((
            uid(&space, CLAIM, name).await,
            uid(&space, "DataVolume", name).await,
        ));
    }
    let root = uid(&space, CLAIM, "db.root").await;
    space.delete("Wukong", "db").await;
    // At once: the operator waits for objects that are still being deleted.
    space.gone("Wukong", "db").await;
    space.apply(&database()).await;
    let again = space.running("db").await;
    assert_eq!(condition(&again, "VolumesBound").0, "True");
    let mut after = Vec::new();
    for name in ["db.data", "db.kept"] {
        after.push((
            uid(&space, CLAIM, name).await,
            uid(&space, "DataVolume", name).await,
        ));
    }
    assert_eq!(after, before);
    // The operator creates the others again.
    assert_ne!(uid(&space, CLAIM, "db.root").await, root);
    let vm = space.get("VirtualMachine", "db").await;
    let volumes = vm["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    assert!(
        volumes.iter().any(|volume| volume["name"] == "data"),
        "{volumes:?}"
    );
}

#[tokio::test]
async fn a_claim_whose_data_volume_is_gone_is_used_as_it_is() {
    let space = cluster().await.space("claim-only").await;
    space.apply(&database()).await;
    space.running("db").await;
    let before = uid(&space, CLAIM, "db.data").await;
    space.delete("Wukong", "db").await;
    space.gone("VirtualMachine", "db").await;
    space
        .delete_with("DataVolume", "db.data", PropagationPolicy::Orphan)
        .await;
    space.gone("DataVolume", "db.data").await;
    space.apply(&database()).await;
    space.running("db").await;
    assert_eq!(uid(&space, CLAIM, "db.data").await, before);
    // A DataVolume would be an import over the data.
    assert_eq!(space.get("DataVolume", "db.data").await, Value::Null);
    let vm = space.get("VirtualMachine", "db").await;
    let volumes = vm["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    let data = volumes
        .iter()
        .find(|volume| volume["name"] == "data")
        .unwrap();
    assert_eq!(data["persistentVolumeClaim"]["claimName"], "db.data");
}

#[tokio::test]
async fn orphans_stay_and_are_not_adopted_silently() {
    let space = cluster().await.space("orphan").await;
    space
        .apply(&wukong(
            "web",
            json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]}),
        ))
        .await;
    space.running("web").await;
    let vm = uid(&space, "VirtualMachine", "web").await;
    let claim = uid(&space, CLAIM, "web.root").await;
    space
        .delete_with("Wukong", "web", PropagationPolicy::Orphan)
        .await;
    space.gone("Wukong", "web").await;
    let orphan = space
        .until("VirtualMachine", "web", "an orphan", |vm| {
            vm["metadata"]["ownerReferences"]
                .is_null()
                .then(|| vm.clone())
        })
        .await;
    assert_eq!(orphan["metadata"]["uid"], vm);

    space
        .apply(&wukong(
            "web",
            json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]}),
        ))
        .await;
    let blocked = space.blocked("web", "NameConflict").await;
    assert_eq!(phase(&blocked), "Error");
    let message = condition(&blocked, "SpecValid").2;
    assert!(message.contains("orphan"), "{message}");
    assert!(space.get("VirtualMachine", "web").await["metadata"]["ownerReferences"].is_null());

    // A user who wants them back under the operator deletes them; the disk still belongs to the Wukong.
    for kind in ["VirtualMachine", "NetworkAttachmentDefinition", "Secret"] {
        for name in space.names(kind).await {
            space.delete(kind, &name).await;
        }
    }
    space.running("web").await;
    assert_ne!(uid(&space, "VirtualMachine", "web").await, vm);
    assert_eq!(uid(&space, CLAIM, "web.root").await, claim);
}
