//! `restoreFromSnapshot`: the initial content of a new Wukong's disks.

use serde_json::json;
use wukong_api::labels;

use crate::support::cluster::Cluster;

const DISKS: &str = "osImage: 'ubuntu:24.04', restoreFromSnapshot: before, disks: [{name: root, size: 20Gi}, {name: data, size: 5Gi}]";

fn blocker(cluster: &Cluster) -> (String, String) {
    let blocker = cluster.status().blocker.unwrap();
    (blocker.reason, blocker.message)
}

/// Sources of the DataVolumes, by disk.
fn sources(cluster: &Cluster) -> Vec<String> {
    let name = |volume: &serde_json::Value| {
        let source = &volume["spec"]["source"];
        match source["snapshot"]["name"].as_str() {
            Some(name) => name.to_owned(),
            None => source.to_string(),
        }
    };
    cluster.server.all("DataVolume").map(name).collect()
}

fn restored(cluster: &Cluster) -> bool {
    sources(cluster)
        == [
            "vmsnapshot-u-before-volume-data",
            "vmsnapshot-u-before-volume-root",
        ]
}

#[test]
fn the_disks_of_a_new_wukong_are_copies_of_the_snapshot() {
    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "20Gi"), ("data", "4Gi")]);
    cluster.live();
    assert!(restored(&cluster), "{:?}", sources(&cluster));
    assert_eq!(cluster.instance()["status"]["phase"], "Running");
    let status = cluster.status();
    assert!(status.blocker.is_none(), "{status:#?}");
    let spec = &status.conditions[0];
    assert_eq!(
        spec.reason, "UnsupportedCombination",
        "osImage has no effect"
    );
    let policies: Vec<_> = status
        .volumes
        .iter()
        .map(|volume| volume.reclaim_policy.as_deref().unwrap())
        .collect();
    assert_eq!(policies, ["Delete", "Retain"], "as without the snapshot");

    // The snapshot is only needed until the disks have their content.
    cluster.done();
    cluster.server.remove("WukongSnapshot", "before");
    cluster.server.remove("VirtualMachineSnapshot", "before");
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);
    assert!(cluster.status().blocker.is_none());
}

#[test]
fn a_disk_waits_for_its_snapshot_and_is_never_empty() {
    let mut cluster = Cluster::new(DISKS);
    cluster.live();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "SourceNotFound");
    assert_eq!(message, "disk root: WukongSnapshot before does not exist");
    assert_eq!(sources(&cluster), [""; 0]);

    cluster.taken("before", &[("root", "20Gi"), ("data", "4Gi")]);
    let set = |cluster: &mut Cluster, kind: &str, name: &str, field: &str, value: bool| {
        cluster.server.update("kubevirt", kind, name, |object| {
            object["status"][field] = json!(value);
        });
    };
    let volume = "vmsnapshot-u-before-volume-data";
    for (kind, name) in [
        ("VirtualMachineSnapshot", "before"),
        ("VolumeSnapshot", volume),
    ] {
        set(&mut cluster, kind, name, "readyToUse", false);
    }
    cluster.live();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "SnapshotNotReady");
    assert_eq!(message, "disk root: WukongSnapshot before is not ready");
    assert_eq!(sources(&cluster), [""; 0]);

    set(
        &mut cluster,
        "VirtualMachineSnapshot",
        "before",
        "readyToUse",
        true,
    );
    let decision = cluster.live();
    assert!(
        decision.wake_at.is_some(),
        "no change of a VolumeSnapshot queues the Wukong"
    );
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "SnapshotNotReady");
    assert_eq!(
        message,
        format!("disk data: VolumeSnapshot/{volume} is not ready")
    );
    assert_eq!(sources(&cluster), ["vmsnapshot-u-before-volume-root"]);

    set(&mut cluster, "VolumeSnapshot", volume, "readyToUse", true);
    cluster.live();
    assert!(restored(&cluster));
    assert_eq!(cluster.instance()["status"]["phase"], "Running");
}

#[test]
fn a_snapshot_that_cannot_fill_a_disk_is_named_with_what_to_do() {
    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "20Gi")]);
    cluster.live();
    let blocker = cluster.status().blocker.unwrap();
    assert_eq!(blocker.reason, "SnapshotIncomplete");
    assert_eq!(blocker.message, "disk data is not in snapshot before");
    assert_eq!(blocker.object.as_deref(), Some("WukongSnapshot/before"));
    assert!(blocker.hint.unwrap().contains("blank"));
    assert_eq!(sources(&cluster), ["vmsnapshot-u-before-volume-root"]);
    // The user decides for an empty disk.
    cluster.edit(&DISKS.replace("size: 5Gi", "size: 5Gi, source: {blank: {}}"));
    cluster.live();
    assert_eq!(cluster.instance()["status"]["phase"], "Running");

    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "21Gi"), ("data", "5Gi")]);
    cluster.live();
    let blocker = cluster.status().blocker.unwrap();
    assert_eq!(
        (&*blocker.condition, &*blocker.reason),
        ("SpecValid", "InvalidSpec")
    );
    assert_eq!(
        blocker.message,
        "spec.disks[0].size: 20Gi is less than the 21Gi that disk root has in the snapshot"
    );
    assert_eq!(sources(&cluster), [""; 0]);

    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "20Gi"), ("data", "5Gi")]);
    cluster
        .server
        .update("op", "WukongSnapshot", "before", |it| {
            it["status"]["phase"] = json!("Failed");
        });
    cluster.live();
    let blocker = cluster.status().blocker.unwrap();
    assert_eq!(blocker.reason, "OperationFailed");
    assert_eq!(
        blocker.hint.as_deref(),
        Some("set spec.restoreFromSnapshot to a snapshot that succeeded")
    );
}

/// The field is no action on a VM that exists.
#[test]
fn a_change_of_the_field_is_refused_once_the_disks_exist() {
    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "20Gi"), ("data", "4Gi")]);
    cluster.taken("later", &[("root", "20Gi"), ("data", "4Gi")]);
    cluster.live();
    let vm = cluster.vm()["spec"].clone();
    let image =
        "osImage: 'ubuntu:24.04', disks: [{name: root, size: 20Gi}, {name: data, size: 5Gi}]";
    for (edited, hint) in [
        (
            DISKS.replace("before", "later"),
            "write restoreFromSnapshot: before again; to bring a snapshot back into this VM: kubectl wukong restore web --snapshot later -n shop",
        ),
        (
            image.to_owned(),
            "write restoreFromSnapshot: before again; to bring a snapshot back into this VM: kubectl wukong restore web --snapshot SNAPSHOT -n shop",
        ),
    ] {
        cluster.edit(&edited);
        cluster.live();
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(blocker.reason, "ImmutableFieldChanged");
        assert_eq!(
            blocker.message,
            "spec.restoreFromSnapshot: disk root exists and is a copy of WukongSnapshot before: the field fills new disks only"
        );
        assert_eq!(blocker.hint.as_deref(), Some(hint));
        assert_eq!(cluster.vm()["spec"], vm);
        assert!(restored(&cluster));
    }

    let mut cluster = Cluster::running(image);
    cluster.taken("before", &[("root", "20Gi"), ("data", "4Gi")]);
    cluster.edit(DISKS);
    cluster.live();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "ImmutableFieldChanged");
    assert!(
        message.contains("is a copy of no WukongSnapshot"),
        "{message}"
    );
}

/// A restore and a disk that is added later do not change where the others come from.
#[test]
fn the_vm_can_be_restored_afterwards() {
    let mut cluster = Cluster::new(DISKS);
    cluster.taken("before", &[("root", "20Gi"), ("data", "4Gi")]);
    cluster.live();
    let noted = |cluster: &Cluster, name: &str| {
        let volume = cluster.server.get("DataVolume", name).unwrap();
        volume["metadata"]["annotations"][labels::SNAPSHOT].clone()
    };
    assert_eq!(noted(&cluster, "web.root"), "before");
    cluster.snapshot("mine", json!({}));
    cluster.live();
    cluster.restore("undo", json!({"snapshotName": "mine", "stop": true}));
    cluster.live();
    assert_eq!(cluster.claims_in_use(), ["web.root.r2", "web.data.r2"]);
    assert_eq!(noted(&cluster, "web.root.r2"), json!(null));
    assert!(cluster.status().blocker.is_none());
    cluster.restore("redo", json!({"fromGeneration": 1, "stop": true}));
    cluster.live();
    assert_eq!(cluster.claims_in_use(), ["web.root", "web.data"]);
    assert!(
        cluster.status().blocker.is_none(),
        "{:?}",
        cluster.status().blocker
    );
}
