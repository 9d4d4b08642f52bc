//! Changes that need more than a write of a field: growth, disks and NICs that come and go, restarts, and rejections.

use serde_json::{Value, json};
use wukong_api::names;

use crate::cluster;
use crate::edits::{children, data, lan, text};
use crate::support::{Space, condition, merge, phase, root, wukong};

const VM: &str = "VirtualMachine";
const NAD: &str = "NetworkAttachmentDefinition";
const DV: &str = "DataVolume";

/// The identity of a disk: its claim's uid, and its DataVolume as it was created.
async fn identity(space: &Space<'_>, disk: &str) -> (Value, Value) {
    let claim = space.get("PersistentVolumeClaim", disk).await;
    let volume = space.get(DV, disk).await;
    (claim["metadata"]["uid"].clone(), volume["spec"].clone())
}

#[tokio::test]
async fn a_larger_size_grows_the_claim_and_leaves_the_data_volume() {
    let space = cluster().await.space("grow").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let before = identity(&space, "web.root").await;
    space
        .edit(
            "web",
            json!({"disks": [{"name": "root", "size": "5Gi", "image": root()["image"]}]}),
        )
        .await;
    let grown = space
        .wukong("web", "grown", |wukong| {
            let volume = &wukong["status"]["volumes"][0];
            volume["size"] == "5Gi"
                && volume["requested"] == volume["capacity"]
                && condition(wukong, "VolumesBound").1 == "Bound"
        })
        .await;
    assert_eq!(phase(&grown), "Running");
    let claim = space.get("PersistentVolumeClaim", "web.root").await;
    let capacity = text(&claim["status"]["capacity"]["storage"]);
    // What the guest sees, and CDI's overhead for the file system.
    assert!(
        capacity.starts_with("569") || capacity.starts_with("5Gi"),
        "{capacity}"
    );
    assert_eq!(identity(&space, "web.root").await, before);
}

#[tokio::test]
async fn nics_come_and_go_with_their_definitions() {
    let space = cluster().await.space("nics").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let instance = space.instance("web").await;
    // Hot-plugged: bridge NICs reach the running VM by a migration, which KubeVirt begins if it is configured to.
    let kubevirt = Space::existing(cluster().await, "kubevirt").await;
    let methods =
        json!({"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}});
    kubevirt.merge("KubeVirt", "kubevirt", methods).await;
    space.edit("web", lan(json!({}))).await;
    let with = space
        .wukong("web", "with its NIC", |wukong| {
            wukong["status"]["networks"][1]["ipAddress"].is_string()
        })
        .await;
    let definition = names::network_attachment_definition("web", "lan");
    assert_eq!(with["status"]["networks"][1]["nadName"], json!(definition));
    assert_eq!(space.names(NAD).await, std::slice::from_ref(&definition));

    space.edit("web", json!({"networks": []})).await;
    let without = space.wukong("web", "without its NIC", |_| true).await;
    assert_eq!(without["status"]["networks"].as_array().unwrap().len(), 1);
    let vm = space.get(VM, "web").await;
    let absent = "/spec/template/spec/domain/devices/interfaces/1/state";
    assert!(vm.pointer(absent).is_none_or(|state| state == "absent"));
    // The instance names the NIC until the guest has lost it, and so long its definition stays.
    space.gone(NAD, &definition).await;
    space.running("web").await;
    let vm = space.get(VM, "web").await;
    assert!(vm.pointer("/spec/template/spec/networks/1").is_none());
    assert_eq!(
        space.instance("web").await,
        instance,
        "it was not restarted"
    );
}

#[tokio::test]
async fn a_disk_that_is_added_late_reaches_the_running_vm() {
    let space = cluster().await.space("late-disk").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let instance = space.instance("web").await;
    space.edit("web", data(json!({}))).await;
    let with = space
        .wukong("web", "with its disk", |wukong| {
            let disk = &wukong["status"]["volumes"][1];
            disk["bound"] == true && phase(wukong) == "Running"
        })
        .await;
    assert_eq!(with["status"]["volumes"][1]["pvcName"], "web.data");
    space
        .until(VM, "web", "with its disk", |vm| {
            let disk = vm.pointer("/spec/template/spec/domain/devices/disks/1/name")?;
            (disk == "data").then_some(())
        })
        .await;
    let vmi = "VirtualMachineInstance";
    space
        .until(vmi, "web", "with its disk", |vmi| {
            let mut volumes = vmi["status"]["volumeStatus"].as_array()?.iter();
            volumes
                .any(|volume| volume["name"] == "data" && volume["phase"] == "Ready")
                .then_some(())
        })
        .await;
    let applied = |wukong: &Value| condition(wukong, "ConfigurationApplied").0 == "True";
    space.wukong("web", "with its disk", applied).await;
    let same = space.get("VirtualMachineInstance", "web").await;
    assert_eq!(same["metadata"]["uid"], instance, "it was not restarted");
}

#[tokio::test]
async fn a_disk_that_is_taken_out_keeps_its_claim_and_comes_back_with_it() {
    let space = cluster().await.space("disks").await;
    space.apply(&wukong("web", data(json!({})))).await;
    space.running("web").await;
    let before = identity(&space, "web.data").await;
    space.edit("web", json!({"disks": [root()]})).await;
    space.wukong("web", "applied", |_| true).await;
    let vm = space.get(VM, "web").await;
    assert!(
        vm.pointer("/spec/template/spec/domain/devices/disks/1")
            .is_none_or(|disk| disk["name"] != "data")
    );
    assert_eq!(identity(&space, "web.data").await, before);
    space.edit("web", data(json!({}))).await;
    space.wukong("web", "applied", |_| true).await;
    let vm = space.get(VM, "web").await;
    assert_eq!(
        vm.pointer("/spec/template/spec/domain/devices/disks/1/name"),
        Some(&json!("data"))
    );
    assert_eq!(identity(&space, "web.data").await, before);
}

#[tokio::test]
async fn a_change_that_needs_a_restart_says_so_and_is_applied_when_approved() {
    let space = cluster().await.space("restart").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let instance = async || {
        let instance = space.get("VirtualMachineInstance", "web").await;
        instance["metadata"]["uid"].clone()
    };
    let first = instance().await;
    space.edit("web", json!({"firmware": "UEFI"})).await;
    let blocked = space
        .wukong("web", "in need of a restart", |wukong| {
            condition(wukong, "ConfigurationApplied").1 == "RestartRequired"
        })
        .await;
    assert_eq!(
        blocked["status"]["pendingChanges"],
        json!([{"path": "spec.firmware", "current": "BIOS", "desired": "UEFI", "effect": "needs restart"}])
    );
    // It runs, but without the last change of the spec.
    assert_eq!(phase(&blocked), "Running");
    assert_eq!(condition(&blocked, "Ready").0, "True");
    assert_eq!(instance().await, first);

    let mark = space.mark();
    space
        .edit("web", json!({"restartApproval": "Automatic"}))
        .await;
    let restarted = space
        .wukong("web", "restarted with its configuration", |wukong| {
            phase(wukong) == "Running" && condition(wukong, "ConfigurationApplied").1 == "Applied"
        })
        .await;
    assert_ne!(instance().await, first);
    assert!(restarted["status"]["pendingChanges"].is_null());
    let restarts = space.requested_since(mark);
    let restarts = restarts.filter(|request| request.subresource == "restart");
    assert_eq!(restarts.len(), 1, "{restarts}");
}

/// KubeVirt changes the instance and leaves its pod as it is, which would wait for ever.
#[tokio::test]
async fn a_vm_that_never_found_its_node_starts_once_the_manifest_is_corrected() {
    let space = cluster().await.space("nowhere").await;
    let nowhere = json!({"nodeSelector": {"kubernetes.io/hostname": "no-such-node"}});
    space
        .apply(&wukong(
            "web",
            json!({"disks": [root()], "highAvailability": nowhere}),
        ))
        .await;
    space
        .wukong("web", "without a node", |wukong| {
            condition(wukong, "Scheduled").0 == "False"
                && !wukong["status"]["startedWith"].is_null()
                && wukong["status"]["phase"] == "Error"
        })
        .await;
    space.edit("web", json!({"highAvailability": null})).await;
    space.running("web").await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_leaves_everything_as_it_is() {
    let space = cluster().await.space("refused").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let before = children(&space).await;
    let mark = space.mark();
    for (what, disk, part) in [
        ("smaller", json!({"size": "1Gi"}), "cannot shrink"),
        (
            "other source",
            json!({"image": "http://images.example.com/other.qcow2"}),
            "another source",
        ),
        (
            "other class",
            json!({"storageClassName": "fixed"}),
            "other settings",
        ),
    ] {
        let mut changed = root();
        merge(&mut changed, disk);
        // What else is in the edit waits, too.
        space
            .edit("web", json!({"cpu": 2, "disks": [changed]}))
            .await;
        let blocked = space.blocked("web", "ImmutableFieldChanged").await;
        let (status, _, message) = condition(&blocked, "SpecValid");
        assert!(
            status == "False" && message.contains(part) && message.contains("spec.disks[0]"),
            "{what}: {message}"
        );
        assert_eq!(children(&space).await, before, "{what}");
        space
            .edit("web", json!({"cpu": 1, "disks": [root()]}))
            .await;
        space.running("web").await;
    }
    let writes = space
        .requested_since(mark)
        .filter(|request| request.subresource != "status");
    assert!(writes.is_empty(), "{writes}");
}
