//! Devices that come to a running guest and leave it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wukong_api::spec::Architecture;
use wukong_engine::changes::{Class, DiskPlugging, Rollout, RunningVm, classify};

use crate::{base, changes, edited, set, wukong};

fn class(edits: &[(&'static str, Value)], from: &[(&'static str, Value)]) -> Class {
    let old = edited(&[&("", from.to_vec())]);
    let mut new = old.clone();
    edits
        .iter()
        .for_each(|(pointer, value)| set(&mut new, pointer, value));
    let found = changes(&old, &new, Rollout::LiveUpdate);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].class
}

#[test]
fn what_can_be_plugged_into_a_running_vm_has_bounds() {
    assert_eq!(class(&[("/cpu", json!(8))], &[]), Class::HotPlug);
    assert_eq!(class(&[("/cpu", json!(9))], &[]), Class::NeedsRestart);
    assert_eq!(class(&[("/cpu", json!(1))], &[]), Class::NeedsRestart);
    assert_eq!(class(&[("/memory", json!("16Gi"))], &[]), Class::HotPlug);
    assert_eq!(
        class(&[("/memory", json!("17Gi"))], &[]),
        Class::NeedsRestart
    );
    assert_eq!(
        class(&[("/memory", json!("2Gi"))], &[]),
        Class::NeedsRestart
    );
    assert_eq!(
        class(&[("/memory", json!("4097Mi"))], &[]),
        Class::NeedsRestart
    );
    assert_eq!(
        class(&[("/memory", json!("1Gi"))], &[("/memory", json!("512Mi"))]),
        Class::NeedsRestart
    );
}

/// What a real KubeVirt did with VMs that cannot migrate, and with its default `workloadUpdateStrategy`.
#[test]
fn what_a_live_migration_brings_depends_on_the_vm_and_on_kubevirt() {
    let old = base();
    let nic = json!([{"name": "lan", "type": "bridge", "nadName": "theirs"}]);
    let brought = |pointer: &str, value: &Value, vm: RunningVm| {
        let mut new = old.clone();
        set(&mut new, pointer, value);
        let found = classify(&wukong(&old).unwrap(), &wukong(&new).unwrap(), &vm);
        found.into_iter().next().unwrap()
    };
    let edits = [
        ("/cpu", json!(4)),
        ("/memory", json!("8Gi")),
        ("/networks", nic),
    ];
    for (pointer, value) in &edits {
        let fixed = RunningVm {
            migratable: Some(false),
            ..RunningVm::default()
        };
        let change = brought(pointer, value, fixed);
        assert_eq!(change.class, Class::NeedsRestart, "{pointer}");
        assert!(change.why.contains("cannot migrate"), "{}", change.why);

        let by_hand = RunningVm {
            migratable: Some(true),
            migrates_by_itself: Some(false),
            ..RunningVm::default()
        };
        let change = brought(pointer, value, by_hand);
        assert_eq!(change.class, Class::HotPlug, "{pointer}");
        assert!(change.why.contains("LiveMigrate"), "{}", change.why);
    }
    for (pointer, value) in &edits[..2] {
        let arm64 = RunningVm {
            architecture: Some(Architecture::Arm64),
            ..RunningVm::default()
        };
        let change = brought(pointer, value, arm64);
        assert_eq!(change.class, Class::NeedsRestart, "{pointer}");
    }
}

/// The rules of KubeVirt's declarative hot-plug.
#[test]
fn a_disk_is_plugged_in_where_kubevirt_can() {
    let old = base();
    let added = |fields: Value, disks: DiskPlugging| {
        let mut new = old.clone();
        let mut disk = json!({"name": "extra", "size": "1Gi"});
        let fields = fields.as_object().unwrap().clone();
        disk.as_object_mut().unwrap().extend(fields);
        new["disks"].as_array_mut().unwrap().push(disk);
        let vm = RunningVm {
            disks,
            ..RunningVm::default()
        };
        let found = classify(&wukong(&old).unwrap(), &wukong(&new).unwrap(), &vm);
        (found[0].class, found[0].why.clone())
    };
    let plugs = DiskPlugging {
        by_spec: Some(true),
        ..DiskPlugging::default()
    };
    for fields in [
        json!({}),
        json!({"bus": "scsi"}),
        json!({"kind": "lun", "bus": "scsi"}),
        json!({"source": {"http": {"url": "https://a.example/x"}}}),
    ] {
        assert_eq!(
            added(fields.clone(), plugs.clone()).0,
            Class::HotPlug,
            "{fields}"
        );
    }
    for (fields, why) in [
        (json!({"bus": "sata"}), "virtio or scsi"),
        (json!({"kind": "cdrom", "bus": "sata"}), "CD-ROM"),
    ] {
        let (class, text) = added(fields, plugs.clone());
        assert_eq!(class, Class::NeedsRestart);
        assert!(text.contains(why), "{text}");
    }
    // Without CDI, KubeVirt never makes the image of an empty disk that it plugs in.
    let without_cdi = DiskPlugging {
        without_cdi: true,
        ..plugs
    };
    assert_eq!(added(json!({}), without_cdi.clone()).0, Class::NeedsRestart);
    let block = json!({"volumeMode": "Block"});
    assert_eq!(added(block, without_cdi).0, Class::HotPlug);
    for by_spec in [Some(false), None] {
        let unable = DiskPlugging {
            by_spec,
            ..DiskPlugging::default()
        };
        assert_eq!(added(json!({}), unable).0, Class::NeedsRestart);
    }
}

/// KubeVirt pulls neither SR-IOV NICs nor the primary network out of a guest.
#[test]
fn only_a_bridge_nic_is_pulled_out() {
    let class = |old: &Value, new: &Value| {
        let found = changes(old, new, Rollout::LiveUpdate);
        found
            .into_iter()
            .find(|change| change.path.contains("networks["))
            .unwrap()
            .class
    };
    let without = |old: &Value, name: &str| {
        let mut new = old.clone();
        new["networks"]
            .as_array_mut()
            .unwrap()
            .retain(|nic| nic["name"] != name);
        new
    };
    let old = base();
    assert_eq!(class(&old, &without(&old, "lan")), Class::HotUnplug);
    assert_eq!(class(&old, &without(&old, "fast")), Class::NeedsRestart);
    let mut primary = old.clone();
    set(&mut primary, "/podNetwork", &json!("None"));
    primary["networks"] = json!([{"name": "lan", "type": "bridge", "primary": true}, {"name": "more", "type": "bridge"}]);
    assert_eq!(
        class(&primary, &without(&primary, "lan")),
        Class::NeedsRestart
    );
}

#[test]
fn only_a_disk_that_was_plugged_in_is_pulled_out() {
    let old = base();
    let mut new = old.clone();
    new["disks"]
        .as_array_mut()
        .unwrap()
        .retain(|disk| disk["name"] == "root");
    let vm = RunningVm {
        disks: DiskPlugging {
            by_spec: Some(true),
            plugged: BTreeSet::from(["more".to_owned()]),
            without_cdi: false,
        },
        ..RunningVm::default()
    };
    let found = classify(&wukong(&old).unwrap(), &wukong(&new).unwrap(), &vm);
    let classes: Vec<_> = found.iter().map(|c| (c.path.as_str(), c.class)).collect();
    assert_eq!(
        classes,
        [
            ("spec.disks[data]", Class::NeedsRestart),
            ("spec.disks[more]", Class::HotUnplug)
        ]
    );
}

/// While a restart is required, a real KubeVirt plugged NICs into the guest, and no CPUs.
#[test]
fn what_could_be_plugged_waits_for_a_restart_that_is_due_anyway() {
    let old = base();
    let mut new = old.clone();
    set(&mut new, "/cpu", &json!(4));
    let more = json!({"name": "more", "type": "bridge", "bridgeName": "br-more"});
    new["networks"].as_array_mut().unwrap().push(more);
    let classes = |new: &Value| -> Vec<(String, Class)> {
        let found = changes(&old, new, Rollout::LiveUpdate);
        found.into_iter().map(|c| (c.path, c.class)).collect()
    };
    let live = classes(&new);
    assert!(live.contains(&("spec.cpu".into(), Class::HotPlug)));
    let nics = |all: &[(String, Class)]| -> Vec<_> {
        let nics = all.iter().filter(|(path, _)| path.contains("networks"));
        nics.cloned().collect()
    };
    assert!(
        nics(&live)
            .iter()
            .any(|(_, class)| *class == Class::HotPlug)
    );

    set(&mut new, "/memory", &json!("2Gi"));
    let held = classes(&new);
    assert!(held.contains(&("spec.cpu".into(), Class::NeedsRestart)));
    assert_eq!(nics(&held), nics(&live));
}
