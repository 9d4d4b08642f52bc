//! Restores: new claims beside the old ones, one write that changes all disks, and a way back.

use serde_json::{Value, json};
use wukong_api::labels;
use wukong_api::protection::RestorePhase;
use wukong_engine::Decision;

use crate::support::cluster::Cluster;

const DISKS: &str = "disks: [{name: root, size: 20Gi, image: 'https://images.lan/x.qcow2'}, {name: data, size: 5Gi}]";
const OLD: [&str; 2] = ["web.root", "web.data"];
const NEW: [&str; 2] = ["web.root.r2", "web.data.r2"];

/// A running VM with a snapshot.
fn with_snapshot(fields: &str) -> Cluster {
    let mut cluster = Cluster::running(fields);
    cluster.snapshot("before", json!({}));
    cluster.live();
    assert!(cluster.snapshot_status("before").ready_to_use);
    cluster.done();
    cluster
}

fn runs(cluster: &Cluster) -> bool {
    cluster.instance()["status"]["phase"] == "Running"
}

#[test]
fn a_restore_gives_the_vm_new_claims_and_keeps_the_old_ones() {
    let mut cluster = with_snapshot(DISKS);
    let before = cluster.vm();
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();

    let status = cluster.restore_status("undo");
    assert_eq!(status.phase, Some(RestorePhase::Succeeded), "{status:#?}");
    assert!(status.blocker.is_none() && status.completion_time.is_some());
    let volumes: Vec<_> = status
        .volumes
        .iter()
        .map(|volume| (&*volume.from, &*volume.to))
        .collect();
    assert_eq!(volumes, [(OLD[0], NEW[0]), (OLD[1], NEW[1])]);
    assert_eq!(cluster.claims_in_use(), NEW);
    for claim in OLD.iter().chain(&NEW) {
        assert!(
            cluster.claims().iter().any(|known| known == claim),
            "{claim}"
        );
    }
    let vm = cluster.vm();
    for part in ["firmware", "devices"] {
        let pointer = format!("/spec/template/spec/domain/{part}");
        assert_eq!(
            vm.pointer(&pointer),
            before.pointer(&pointer),
            "the identity stays"
        );
    }
    assert!(runs(&cluster), "it ran before");
    assert_eq!(vm["metadata"]["annotations"][labels::POWER_WISH], "Always");

    let wukong = cluster.status();
    assert!(
        wukong.blocker.is_none() && wukong.pending_changes.is_empty(),
        "{wukong:#?}"
    );
    let shown: Vec<_> = wukong
        .volumes
        .iter()
        .map(|volume| (volume.generation, &*volume.other_generations[0].pvc_name))
        .collect();
    assert_eq!(shown, [(Some(2), OLD[0]), (Some(2), OLD[1])]);

    cluster.done();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(
        cluster.done(),
        [""; 0],
        "a restore that has ended costs nothing"
    );
}

#[test]
fn what_cloud_init_did_on_the_first_boot_moves_with_the_disk() {
    let fields = format!("{DISKS}, cloudInitUser: {{name: me, shell: /bin/sh}}");
    let mut cluster = with_snapshot(&fields);
    let before = cluster.status().first_boot.unwrap();
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    let after = cluster.status().first_boot.unwrap();
    assert_ne!(after.disk, before.disk);
    assert_eq!(after.fields, before.fields);
    cluster.edit(&fields.replace("/bin/sh", "/bin/zsh"));
    cluster.live();
    let [change] = &cluster.status().pending_changes[..] else {
        panic!("{:?}", cluster.status().pending_changes)
    };
    assert_eq!(change.effect, "first boot only");
}

#[test]
fn a_claim_of_somebody_else_is_not_taken_for_a_generation() {
    let mut cluster = with_snapshot(DISKS);
    let foreign = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": NEW[0], "namespace": "shop"},
        "spec": {"resources": {"requests": {"storage": "20Gi"}}}, "status": {"phase": "Bound"}});
    let foreign = cluster.server.create("kubectl", foreign);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    let status = cluster.restore_status("undo");
    assert_eq!(status.phase, Some(RestorePhase::Succeeded), "{status:#?}");
    assert_eq!(cluster.claims_in_use(), ["web.root.r3", NEW[1]]);
    let claim = cluster.server.get("PersistentVolumeClaim", NEW[0]);
    assert_eq!(
        claim.unwrap()["metadata"]["uid"],
        foreign["metadata"]["uid"]
    );
}

#[test]
fn a_running_vm_is_not_stopped_without_being_asked() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore("undo", json!({"snapshotName": "before"}));
    cluster.live();
    assert!(runs(&cluster));
    assert_eq!(cluster.claims_in_use(), OLD);
    let (reason, _) = cluster.blocker_of("WukongRestore", "undo").unwrap();
    assert_eq!(reason, "VMRunning");
    assert_eq!(
        cluster.restore_status("undo").phase,
        Some(RestorePhase::Switching)
    );

    cluster.edit(&format!("{DISKS}, powerState: Stopped"));
    cluster.live();
    assert_eq!(
        cluster.restore_status("undo").phase,
        Some(RestorePhase::Succeeded)
    );
    assert_eq!(cluster.claims_in_use(), NEW);
    assert!(!runs(&cluster), "it was off before the restore");
    cluster.edit(DISKS);
    cluster.live();
    assert!(runs(&cluster));
}

#[test]
fn a_vm_that_was_stopped_for_a_restore_stays_off_if_asked() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore(
        "undo",
        json!({"snapshotName": "before", "stop": true, "start": false}),
    );
    cluster.live();
    assert_eq!(
        cluster.restore_status("undo").phase,
        Some(RestorePhase::Succeeded)
    );
    assert!(!runs(&cluster));
    assert_eq!(cluster.vm()["spec"]["runStrategy"], "Halted");
}

#[test]
fn an_earlier_generation_comes_back_without_another_claim() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    cluster.restore("redo", json!({"fromGeneration": 1, "stop": true}));
    cluster.live();
    assert_eq!(
        cluster.restore_status("redo").phase,
        Some(RestorePhase::Succeeded)
    );
    assert_eq!(cluster.claims_in_use(), OLD);
    assert_eq!(cluster.claims().len(), 4);

    // The VM is created again from what the DataVolumes note.
    cluster
        .server
        .update("virt-controller", "VirtualMachine", "web", |vm| {
            vm["metadata"]["finalizers"] = json!([]);
        });
    cluster.server.remove("VirtualMachine", "web");
    cluster.remove_instance();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.claims_in_use(), OLD);

    cluster.restore(
        "again",
        json!({"snapshotName": "before", "stop": true, "disks": ["data"]}),
    );
    cluster.live();
    assert_eq!(cluster.claims_in_use(), ["web.root", "web.data.r3"]);
}

#[test]
fn a_vm_that_is_made_again_uses_the_restored_claims() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    cluster
        .server
        .update("virt-controller", "VirtualMachine", "web", |vm| {
            vm["metadata"]["finalizers"] = json!([]);
        });
    cluster.server.remove("VirtualMachine", "web");
    cluster.remove_instance();
    cluster.live();
    assert_eq!(cluster.claims_in_use(), NEW);
    assert!(runs(&cluster));
}

/// A tool that creates its manifests again must not bring the old content back a second time.
#[test]
fn a_restore_that_is_created_again_does_nothing() {
    let mut cluster = with_snapshot(DISKS);
    let undo = json!({"snapshotName": "before", "stop": true});
    cluster.restore("undo", undo.clone());
    cluster.live();
    cluster.server.remove("WukongRestore", "undo");
    cluster.restore("undo", undo.clone());
    cluster.live();
    assert_eq!(
        cluster.restore_status("undo").phase,
        Some(RestorePhase::Succeeded)
    );
    assert_eq!(cluster.claims().len(), 4);

    cluster.restore("redo", json!({"fromGeneration": 1, "stop": true}));
    cluster.live();
    cluster.server.remove("WukongRestore", "undo");
    cluster.restore("undo", undo);
    cluster.live();
    assert_eq!(
        cluster.restore_status("undo").phase,
        Some(RestorePhase::Failed)
    );
    assert_eq!(cluster.claims_in_use(), OLD);
}

/// The way back runs once, too: the VM does not change between two generations as often as a tool creates its manifests again.
#[test]
fn a_way_back_that_is_created_again_does_nothing() {
    let mut cluster = with_snapshot(DISKS);
    let restore = |cluster: &mut Cluster, name: &str, spec: &Value| {
        if cluster.server.get("WukongRestore", name).is_some() {
            cluster.server.remove("WukongRestore", name);
        }
        cluster.restore(name, spec.clone());
        cluster.restart_operator();
        cluster.live();
        cluster.restore_status(name).phase
    };
    let undo = json!({"snapshotName": "before", "stop": true});
    let back = json!({"fromGeneration": 1, "stop": true});
    let forth = json!({"fromGeneration": 2, "stop": true});
    let (succeeded, failed) = (Some(RestorePhase::Succeeded), Some(RestorePhase::Failed));
    assert_eq!(restore(&mut cluster, "undo", &undo), succeeded);
    assert_eq!(restore(&mut cluster, "back", &back), succeeded);
    assert_eq!(
        restore(&mut cluster, "back", &back),
        succeeded,
        "it is so already"
    );
    assert_eq!(restore(&mut cluster, "forth", &forth), succeeded);
    assert_eq!(cluster.claims_in_use(), NEW);
    let vm = cluster.vm();
    assert_eq!(
        vm["metadata"]["annotations"][labels::RESTORES],
        "undo,back,forth"
    );
    for (name, spec, phase) in [
        ("undo", &undo, succeeded),
        ("back", &back, failed),
        ("forth", &forth, succeeded),
        ("back", &forth, succeeded),
        ("back", &back, failed),
    ] {
        assert_eq!(restore(&mut cluster, name, spec), phase, "{name}");
        assert_eq!(cluster.claims_in_use(), NEW);
        assert_eq!(cluster.vm()["spec"], vm["spec"]);
    }
    let (reason, message) = cluster.blocker_of("WukongRestore", "back").unwrap();
    assert_eq!(reason, "InvalidSpec");
    assert_eq!(
        message,
        "a restore of the name back has changed the disks of this VM before"
    );
    assert_eq!(restore(&mut cluster, "back-again", &back), succeeded);
    assert_eq!(cluster.claims_in_use(), OLD);
}

#[test]
fn a_restore_without_its_source_changes_nothing_and_says_why() {
    let cases = [
        (
            json!({"snapshotName": "nope"}),
            "SourceNotFound",
            "WukongSnapshot nope does not exist",
        ),
        (
            json!({"snapshotName": "before", "disks": ["logs"]}),
            "InvalidSpec",
            "logs is not a disk with a claim of Wukong web",
        ),
        (
            json!({"fromGeneration": 7}),
            "SourceNotFound",
            "disk root has no generation 7",
        ),
    ];
    for (spec, reason, message) in cases {
        let mut cluster = with_snapshot(DISKS);
        let before = cluster.vm()["spec"].clone();
        cluster.restore("undo", spec);
        cluster.live();
        let found = cluster.blocker_of("WukongRestore", "undo").unwrap();
        assert_eq!(found, (reason.into(), message.into()));
        assert_eq!(cluster.vm()["spec"], before);
        assert_eq!(cluster.claims().len(), 2);
    }
    let mut cluster = with_snapshot(DISKS);
    cluster.snapshot("partial", json!({"allowPartial": true}));
    cluster.server.update("kubectl", "Wukong", "web", |wukong| {
        wukong["metadata"]["annotations"] =
            json!({"simulator.wukong.dev/scenario": "snapshot-exclude=data"});
    });
    cluster.live();
    cluster.restore(
        "undo",
        json!({"snapshotName": "partial", "disks": ["data"]}),
    );
    cluster.live();
    let (reason, _) = cluster.blocker_of("WukongRestore", "undo").unwrap();
    assert_eq!(reason, "SnapshotIncomplete");
}

#[test]
fn restores_of_one_vm_take_turns() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore("first", json!({"snapshotName": "before"}));
    cluster.live();
    cluster.now += jiff::SignedDuration::from_secs(5);
    cluster.restore("second", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    let (reason, message) = cluster.blocker_of("WukongRestore", "second").unwrap();
    assert_eq!(reason, "OperationInProgress", "{message}");
    cluster.server.remove("WukongRestore", "first");
    cluster.live();
    assert_eq!(
        cluster.restore_status("second").phase,
        Some(RestorePhase::Succeeded)
    );
}

/// The decision with only its first write.
fn first_write(decision: &Decision) -> Option<Decision> {
    let mut one = Decision {
        apply: Vec::new(),
        apply_vm: None,
        expand: Vec::new(),
        calls: Vec::new(),
        prune: Vec::new(),
        reports: Vec::new(),
        write_status: None,
        ..decision.clone()
    };
    if let Some(apply) = decision.apply.first() {
        one.apply = vec![apply.clone()];
    } else if let Some(vm) = &decision.apply_vm {
        one.apply_vm = Some(vm.clone());
    } else if let Some(expand) = decision.expand.first() {
        one.expand = vec![expand.clone()];
    } else if let Some(call) = decision.calls.first() {
        one.calls = vec![*call];
    } else if let Some(report) = decision.reports.first() {
        one.reports = vec![report.clone()];
    } else {
        return None;
    }
    Some(one)
}

/// After each single write, the operator stops for good or starts again; a user deletes the restore, or the VM. All disks are old,
/// or all are new, and no claim is ever gone.
#[test]
fn a_crash_at_any_write_of_a_switch_loses_nothing() {
    let mut cluster = with_snapshot(DISKS);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    let consistent = |cluster: &Cluster| {
        let used = cluster.claims_in_use();
        assert!(used == OLD || used == NEW || used.is_empty(), "{used:?}");
        for claim in OLD {
            assert!(
                cluster.claims().iter().any(|known| known == claim),
                "{claim} is gone"
            );
        }
        used
    };
    let (mut writes, mut said) = (0, false);
    loop {
        cluster.observe();
        let decision = cluster.decide();
        let blocker = decision.status.blocker.as_ref();
        said |= blocker.is_some_and(|blocker| {
            (&*blocker.condition, &*blocker.reason) == ("Running", "OperationInProgress")
        });
        let Some(one) = first_write(&decision) else {
            if !cluster.step() {
                break;
            }
            consistent(&cluster);
            continue;
        };
        cluster.execute(&one);
        writes += 1;
        assert!(writes < 100, "it does not end: {:?}", cluster.done);
        consistent(&cluster);

        let mut restarted = cluster.clone();
        restarted.restart_operator();
        restarted.live();
        assert_eq!(consistent(&restarted), NEW, "after write {writes}");
        assert!(runs(&restarted));
        assert_eq!(
            restarted.restore_status("undo").phase,
            Some(RestorePhase::Succeeded)
        );
        assert_eq!(restarted.claims().len(), 4, "it makes each claim once");

        let mut given_up = cluster.clone();
        given_up.restart_operator();
        given_up.server.remove("WukongRestore", "undo");
        given_up.live();
        let used = consistent(&given_up);
        assert!(used == OLD || used == NEW);
        assert!(
            runs(&given_up),
            "after write {writes}: {:#?}",
            given_up.status().blocker
        );
    }
    assert_eq!(cluster.claims_in_use(), NEW);
    assert!(writes > 6, "{writes}");
    assert!(said, "the Wukong says why its VM is off");
}

#[test]
fn a_disk_that_was_smaller_then_has_its_present_size() {
    let mut cluster = with_snapshot(DISKS);
    let larger = DISKS.replace("5Gi", "8Gi");
    cluster.edit(&larger);
    cluster.live();
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    let status = cluster.status();
    assert!(status.blocker.is_none(), "{:?}", status.blocker);
    let volume = cluster.server.get("DataVolume", "web.data.r2").unwrap();
    assert_eq!(
        volume["spec"]["storage"]["resources"]["requests"]["storage"],
        "8Gi"
    );
}

#[test]
fn a_wukong_that_is_created_again_uses_the_last_generation_of_its_retained_disks() {
    let fields = "disks: [{name: data, size: 5Gi}]";
    let mut cluster = with_snapshot(fields);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    for (kind, name) in [("VirtualMachine", "web"), ("WukongRestore", "undo")] {
        cluster.server.update("kubectl", kind, name, |object| {
            object["metadata"]["finalizers"] = json!([]);
        });
        cluster.server.remove(kind, name);
    }
    cluster.remove_instance();
    let uid: Value = json!("11111111-7425-40de-944b-e07fc1f90ae7");
    cluster.server.update("kubectl", "Wukong", "web", |wukong| {
        wukong["metadata"]["uid"] = uid;
        wukong["status"] = Value::Null;
    });
    cluster.restart_operator();
    cluster.observe();
    let decision = cluster.decide();
    assert_eq!(
        decision.status.volumes[0].pvc_name.as_deref(),
        Some("web.data.r2")
    );
}

/// A VM that runs by the choice of a user runs again after a restore that stopped it.
#[test]
fn a_vm_runs_after_the_restore_as_before() {
    let cases = [
        ("restartApproval: Manual", ""),
        ("startStrategy: {runStrategy: RerunOnFailure}", ""),
        ("startStrategy: {runStrategy: Manual}", ""),
        (
            "startStrategy: {runStrategy: Manual, autoStart: false}",
            "start",
        ),
        ("startStrategy: {autoStart: false}", "start"),
        ("powerState: Stopped", "start"),
    ];
    for (fields, call) in cases {
        let mut cluster = Cluster::running(&format!("{DISKS}, {fields}"));
        if !call.is_empty() {
            assert!(!runs(&cluster), "{fields}");
            cluster.virtctl(call);
            cluster.live();
        }
        assert!(runs(&cluster), "{fields}");
        cluster.snapshot("before", json!({}));
        cluster.live();
        let before = cluster.vm();
        let mut crashed = cluster.clone();
        let undo = json!({"snapshotName": "before", "stop": true});
        cluster.restore("undo", undo.clone());
        cluster.live();
        assert_eq!(cluster.claims_in_use(), NEW, "{fields}");
        assert!(runs(&cluster), "{fields}: {:#?}", cluster.vm());
        let vm = cluster.vm();
        assert_eq!(vm["spec"]["runStrategy"], before["spec"]["runStrategy"]);
        let noted = |vm: &Value| vm["metadata"]["annotations"][labels::POWER_WISH].clone();
        assert_eq!(noted(&vm), noted(&before), "{fields}");

        if fields != "startStrategy: {runStrategy: Manual, autoStart: false}" {
            continue;
        }
        // The operator stops after each write, and a user deletes the restore.
        crashed.restore("undo", undo);
        while crashed.claims_in_use() == OLD {
            crashed.observe();
            let decision = crashed.decide();
            match first_write(&decision) {
                Some(one) => crashed.execute(&one),
                None => assert!(crashed.step(), "{fields}"),
            }
            crashed.restart_operator();
            let mut given_up = crashed.clone();
            given_up.server.remove("WukongRestore", "undo");
            given_up.live();
            assert!(runs(&given_up), "{fields}: {:#?}", given_up.vm());
        }
        crashed.live();
        assert!(runs(&crashed), "{fields}");
    }
}

#[test]
fn a_vm_that_a_user_stopped_or_that_is_to_stop_stays_off_after_the_restore() {
    let mut cluster = with_snapshot(DISKS);
    cluster.virtctl("stop");
    cluster.live();
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    cluster.live();
    assert_eq!(cluster.claims_in_use(), NEW);
    assert!(!runs(&cluster));

    // The user changes the power state while the VM is off for the restore.
    let fields = format!("{DISKS}, startStrategy: {{runStrategy: Manual}}");
    let mut cluster = with_snapshot(&fields);
    cluster.restore("undo", json!({"snapshotName": "before", "stop": true}));
    while cluster.vm()["spec"]["runStrategy"] != "Halted" {
        cluster.pass();
        cluster.step();
    }
    cluster.edit(&format!("{fields}, powerState: Stopped"));
    cluster.live();
    assert_eq!(cluster.claims_in_use(), NEW);
    assert!(!runs(&cluster));
}
