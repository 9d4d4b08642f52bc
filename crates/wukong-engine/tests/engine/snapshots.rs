//! Snapshots of a VM.

use serde_json::{Value, json};
use wukong_api::protection::{Consistency, SnapshotPhase};
use wukong_engine::{Memory, decide_orphans};

use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;

const DISKS: &str = "disks: [{name: root, size: 20Gi, image: 'https://images.lan/x.qcow2'}, {name: data, size: 5Gi}]";

/// What KubeVirt reports on the volumes of the VM.
fn report_volumes(cluster: &mut Cluster, reason: Option<&str>) {
    let never = "Snapshot is not supported for this volumeSource type [cloud-init]";
    let mut status = cluster.vm()["status"].clone();
    status["volumeSnapshotStatuses"] = json!([
        {"name": "root", "enabled": true},
        {"name": "data", "enabled": reason.is_none(), "reason": reason},
        {"name": "cloud-init", "enabled": false, "reason": never},
    ]);
    cluster
        .server
        .update_status("virt-controller", "VirtualMachine", "web", status);
}

fn scenario(cluster: &mut Cluster, scenario: &str) {
    cluster.server.update("kubectl", "Wukong", "web", |wukong| {
        wukong["metadata"]["annotations"] = json!({"simulator.wukong.dev/scenario": scenario});
    });
}

#[test]
fn a_snapshot_has_all_disks_of_a_running_vm_at_one_time() {
    let mut cluster = Cluster::running(DISKS);
    let vm = cluster.vm()["spec"].clone();
    cluster.snapshot("before", json!({}));
    cluster.live();
    let status = cluster.snapshot_status("before");
    assert_eq!(status.phase, Some(SnapshotPhase::Succeeded));
    assert!(status.ready_to_use && status.blocker.is_none() && status.creation_time.is_some());
    assert_eq!(status.consistency, Some(Consistency::FileSystem));
    let volumes: Vec<_> = status
        .volumes
        .iter()
        .map(|volume| (&*volume.name, volume.included, volume.size.as_deref()))
        .collect();
    assert_eq!(
        volumes,
        [("root", true, Some("20Gi")), ("data", true, Some("5Gi"))]
    );
    assert_eq!(cluster.vm()["spec"], vm, "a snapshot changes nothing");
    let taken = cluster
        .server
        .get("VirtualMachineSnapshot", "before")
        .unwrap();
    assert_eq!(
        taken["metadata"]["ownerReferences"][0]["kind"],
        "WukongSnapshot"
    );

    cluster.done();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(
        cluster.done(),
        [""; 0],
        "a snapshot that is ready costs nothing"
    );
}

#[test]
fn a_vm_that_is_off_has_a_consistent_snapshot() {
    let mut cluster = Cluster::running(&format!("{DISKS}, powerState: Stopped"));
    cluster.snapshot(
        "before",
        json!({"deletionPolicy": "Retain", "failureDeadline": "10m"}),
    );
    cluster.live();
    let status = cluster.snapshot_status("before");
    assert_eq!(status.consistency, Some(Consistency::Offline));
    let taken = cluster
        .server
        .get("VirtualMachineSnapshot", "before")
        .unwrap();
    assert_eq!(taken["spec"]["deletionPolicy"], "Retain");
    assert_eq!(taken["spec"]["failureDeadline"], "10m");
}

/// KubeVirt leaves such a disk out, and calls the snapshot a success.
#[test]
fn a_disk_without_a_snapshot_class_is_known_before_and_holds_the_snapshot() {
    let mut cluster = Cluster::running(DISKS);
    report_volumes(&mut cluster, None);
    cluster.live();
    let condition = |cluster: &Cluster| {
        let conditions = cluster.status().conditions;
        let known = conditions
            .into_iter()
            .find(|condition| condition.type_ == "Snapshottable");
        known.map(|known| (known.status, known.reason))
    };
    assert_eq!(
        condition(&cluster),
        Some(("True".into(), "Snapshottable".into()))
    );

    let why = "No VolumeSnapshotClass: Volume snapshots are not configured for this StorageClass [local] [data]";
    report_volumes(&mut cluster, Some(why));
    cluster.snapshot("before", json!({}));
    cluster.live();
    assert_eq!(
        condition(&cluster),
        Some(("False".into(), "NoSnapshotClass".into()))
    );
    assert!(
        cluster.status().blocker.is_none(),
        "the VM runs all the same"
    );
    assert_eq!(
        cluster.blocker_of("WukongSnapshot", "before"),
        Some((
            "NoSnapshotClass".into(),
            format!("disk data would not be in the snapshot: {why}")
        ))
    );
    let taken = |cluster: &Cluster| cluster.server.get("VirtualMachineSnapshot", "before");
    assert!(taken(&cluster).is_none());

    report_volumes(&mut cluster, None);
    cluster.live();
    assert_eq!(
        cluster.snapshot_status("before").phase,
        Some(SnapshotPhase::Succeeded)
    );
}

#[test]
fn a_snapshot_without_a_disk_failed_unless_that_is_allowed() {
    for (allowed, phase) in [
        (false, SnapshotPhase::Failed),
        (true, SnapshotPhase::Succeeded),
    ] {
        let mut cluster = Cluster::running(DISKS);
        scenario(&mut cluster, "snapshot-exclude=data");
        cluster.snapshot("before", json!({"allowPartial": allowed}));
        cluster.live();
        let status = cluster.snapshot_status("before");
        assert_eq!(status.phase, Some(phase));
        assert_eq!(status.ready_to_use, allowed);
        let blocker = status.blocker.map(|blocker| blocker.reason);
        assert_eq!(blocker.is_none(), allowed, "{blocker:?}");
        assert!(status.volumes.iter().any(|volume| !volume.included));
    }
}

#[test]
fn a_snapshot_that_its_driver_fails_says_why_and_frees_the_vm() {
    let mut cluster = Cluster::running(DISKS);
    scenario(&mut cluster, "snapshot-error=pool is full");
    cluster.snapshot("before", json!({}));
    cluster.live();
    let status = cluster.snapshot_status("before");
    assert_eq!(status.phase, Some(SnapshotPhase::Failed));
    let (reason, message) = cluster.blocker_of("WukongSnapshot", "before").unwrap();
    assert_eq!(reason, "OperationFailed");
    assert!(message.contains("pool is full"), "{message}");
    assert_eq!(cluster.vm()["status"]["snapshotInProgress"], Value::Null);
}

/// The webhook of KubeVirt refuses changes of disks and power then, and the simulated one with it.
#[test]
fn while_a_snapshot_is_taken_the_operator_holds_its_writes() {
    let mut cluster = Cluster::running(DISKS);
    scenario(&mut cluster, "snapshot-stuck");
    cluster.snapshot("before", json!({}));
    cluster.settle();
    while cluster.vm()["status"]["snapshotInProgress"].is_null() {
        assert!(cluster.step());
        cluster.settle();
    }
    cluster.edit(&format!("{DISKS}, powerState: Stopped"));
    cluster.done();
    cluster.settle();
    let done = cluster.done();
    assert!(
        done.iter().all(|action| !action.contains("VirtualMachine")),
        "{done:?}"
    );
    cluster.live();
    assert_eq!(cluster.vm()["spec"]["runStrategy"], "Halted");
    let refused = cluster.done();
    assert!(refused.iter().all(|action| !action.starts_with("refused")));
}

#[test]
fn a_snapshot_of_nothing_says_so() {
    let mut cluster = Cluster::new(DISKS);
    cluster.snapshot("early", json!({}));
    cluster.settle();
    let (reason, _) = cluster.blocker_of("WukongSnapshot", "early").unwrap();
    assert_eq!(reason, "WaitingForVM");
    cluster.live();
    assert_eq!(
        cluster.snapshot_status("early").phase,
        Some(SnapshotPhase::Succeeded)
    );

    let mut cluster = Cluster::new("cpu: 1");
    cluster.snapshot("lost", json!({}));
    cluster
        .server
        .update("kubectl", "WukongSnapshot", "lost", |snapshot| {
            snapshot["spec"]["wukongName"] = json!("db");
        });
    cluster.observe();
    let orphans = decide_orphans(
        NAMESPACE,
        "db",
        &cluster.world,
        &Memory::default(),
        cluster.now,
    );
    let [report] = &orphans[..] else {
        panic!("{orphans:?}")
    };
    assert_eq!(report.status["phase"], "Pending");
    assert_eq!(report.status["blocker"]["reason"], "SourceNotFound");
    assert_eq!(
        report.status["blocker"]["message"],
        "Wukong db does not exist"
    );
}

#[test]
fn a_foreign_snapshot_of_the_name_is_not_taken_for_ours() {
    let mut cluster = Cluster::running(DISKS);
    cluster.server.create("kubectl", json!({
        "apiVersion": "snapshot.kubevirt.io/v1beta1", "kind": "VirtualMachineSnapshot",
        "metadata": {"name": "before", "namespace": NAMESPACE},
        "spec": {"source": {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "web"}},
    }));
    cluster.snapshot("before", json!({}));
    cluster.live();
    let (reason, _) = cluster.blocker_of("WukongSnapshot", "before").unwrap();
    assert_eq!(reason, "NameConflict");
}

/// A restore can say what else has changed since.
#[test]
fn a_snapshot_keeps_the_spec_of_its_time_without_passwords() {
    let fields = |memory: &str| {
        format!(
            "memory: {memory}, {DISKS}, cloudInitUser: {{name: me, password: canary-1, passwordHash: $6$canary-2}}"
        )
    };
    let mut cluster = Cluster::running(&fields("2Gi"));
    cluster.snapshot("before", json!({}));
    cluster.pass();
    cluster.edit(&fields("4Gi"));
    cluster.restart_operator();
    cluster.live();
    let status = cluster.snapshot_status("before");
    assert!(status.ready_to_use);
    let spec = status.spec.unwrap();
    assert_eq!(spec["memory"], "2Gi");
    assert_eq!(spec["cloudInitUser"], json!({"name": "me"}));
    let stored = cluster.server.get("WukongSnapshot", "before").unwrap();
    assert!(!stored.to_string().contains("canary"));
}
