//! One machine through its life: paused, grown, given a disk, stopped, restored, started, deleted, and made again over its
//! data.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wukong_lab::guests::Guest;

use crate::inside::{booted, instance, log_in_by_password, machine, run};
use crate::space;
use crate::support::{Space, condition, phase};

const DATA: &str = "/dev/disk/by-id/virtio-DATA";

#[tokio::test]
async fn a_machine_keeps_its_data_through_its_life() {
    let Some((space, _permit)) = space("life", 1).await else {
        return;
    };
    // A short name leads to the lab's own image, too, and a password may be plain.
    let spec = json!({
        "osImage": "debian:12",
        "cloudInitUser": {"name": "wukong", "password": "correct-horse"},
        "disks": [
            {"name": "root", "size": "2Gi"},
            {"name": "data", "size": "256Mi", "serial": "DATA", "reclaimPolicy": "Retain"},
        ],
    });
    let manifest = machine("life", spec);
    space.apply(&manifest).await;
    let guest = booted(&space, "life").await;
    let first = instance(&space, "life").await;
    let login = log_in_by_password(&space, &guest, "wukong", "correct-horse", "id -un").await;
    assert_eq!(login.as_deref(), Ok("wukong"));
    run(
        &guest,
        &format!(
            "mkfs.ext4 -q {DATA} && mount {DATA} /mnt && echo kept > /mnt/file && umount /mnt"
        ),
    )
    .await;

    // A guest that is paused does not live: its clock of lived time stands still.
    let uptime = async || -> f64 {
        run(&guest, "cut -d' ' -f1 /proc/uptime")
            .await
            .parse()
            .unwrap()
    };
    let (before, start) = (uptime().await, Instant::now());
    space.edit("life", json!({"powerState": "Paused"})).await;
    space
        .wukong("life", "paused", |wukong| phase(wukong) == "Paused")
        .await;
    let pause = Duration::from_secs(15);
    tokio::time::sleep(pause).await;
    space.edit("life", json!({"powerState": "Running"})).await;
    space.running("life").await;
    let lived = uptime().await - before;
    let passed = start.elapsed().as_secs_f64();
    assert!(lived < passed - 10.0, "{lived} of {passed} seconds");

    // A disk that grows does so under the guest.
    let grown = json!({"disks": [
        {"name": "root", "size": "2Gi"},
        {"name": "data", "size": "512Mi", "serial": "DATA", "reclaimPolicy": "Retain"},
    ]});
    space.edit("life", grown).await;
    let size = async || run(&guest, &format!("blockdev --getsize64 {DATA}")).await;
    wukong_lab::cluster::wait::eventually(
        "the guest sees the disk grow",
        space.patience,
        async || match size().await.as_str() {
            "536870912" => Ok(()),
            other => Err(other.to_owned()),
        },
    )
    .await
    .unwrap();

    plugs_a_disk(&space, &guest).await;
    assert_eq!(instance(&space, "life").await, first);

    // A snapshot of the running guest has the file that is lost afterwards.
    let snapshot = protection("WukongSnapshot", "kept", json!({"wukongName": "life"}));
    space.apply(&snapshot).await;
    let taken = ended(&space, "WukongSnapshot", "kept").await;
    assert_eq!(taken["consistency"], "FileSystem", "{taken}");
    run(
        &guest,
        &format!("mount {DATA} /mnt && rm /mnt/file && umount /mnt"),
    )
    .await;

    // Stopped by ACPI: the guest says goodbye on its console.
    space.edit("life", json!({"powerState": "Stopped"})).await;
    space
        .wukong("life", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    assert!(
        guest.console().contains("reboot: Power down"),
        "{}",
        guest.console()
    );

    let restore = json!({"wukongName": "life", "snapshotName": "kept"});
    space
        .apply(&protection("WukongRestore", "back", restore))
        .await;
    ended(&space, "WukongRestore", "back").await;
    let old = space.get("PersistentVolumeClaim", "life.data").await;
    assert!(old["metadata"]["deletionTimestamp"].is_null(), "{old}");

    // Started again it is the same machine with the file, and its users are not made twice.
    space.edit("life", json!({"powerState": "Running"})).await;
    let guest = booted(&space, "life").await;
    assert_ne!(instance(&space, "life").await, first);
    let kept = format!("mount {DATA} /mnt && cat /mnt/file && umount /mnt");
    assert_eq!(run(&guest, &kept).await, "kept");
    let runs = run(&guest, "ls /var/lib/cloud/instances | wc -l").await;
    assert_eq!(runs, "1", "cloud-init took it for another machine");

    // Deleted and made again: a new root disk, the old data.
    space.delete("Wukong", "life").await;
    space.gone("Wukong", "life").await;
    space.gone("VirtualMachineInstance", "life").await;
    space.apply(&grown_manifest(manifest)).await;
    let guest = booted(&space, "life").await;
    assert_eq!(run(&guest, &kept).await, "kept");
    let wukong = space
        .wukong("life", "ready with its guest", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    assert_eq!(condition(&wukong, "Ready").0, "True");
}

fn protection(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The status of a snapshot or restore that has succeeded.
async fn ended(space: &Space<'_>, kind: &str, name: &str) -> Value {
    let succeeded = |found: &Value| {
        let status = &found["status"];
        (status["phase"] == "Succeeded").then(|| status.clone())
    };
    space.until(kind, name, "succeeded", succeeded).await
}

/// A disk comes while the guest runs, leaves it, and comes again with its data.
async fn plugs_a_disk(space: &Space<'_>, guest: &Guest) {
    const EXTRA: &str = "/dev/disk/by-id/virtio-EXTRA";
    let disks = |with_extra: bool| {
        let mut disks = json!([
            {"name": "root", "size": "2Gi"},
            {"name": "data", "size": "512Mi", "serial": "DATA", "reclaimPolicy": "Retain"},
        ]);
        if with_extra {
            let extra = json!({"name": "extra", "size": "64Mi", "serial": "EXTRA"});
            disks.as_array_mut().unwrap().push(extra);
        }
        json!({"disks": disks})
    };
    let sees = async |expected: &str| {
        let script = format!("test -e {EXTRA} && echo yes || echo no");
        let what = format!("the guest has the disk: {expected}");
        wukong_lab::cluster::wait::eventually(&what, space.patience, async || {
            match run(guest, &script).await {
                seen if seen == expected => Ok(()),
                other => Err(other),
            }
        })
        .await
        .unwrap();
        space
            .wukong("life", "as the manifest says", |wukong| {
                condition(wukong, "ConfigurationApplied").0 == "True"
            })
            .await;
    };
    let write = format!(
        "mkfs.ext4 -q {EXTRA} && mount {EXTRA} /mnt && echo kept > /mnt/file && umount /mnt"
    );
    let read = format!("mount {EXTRA} /mnt && cat /mnt/file && umount /mnt");
    space.edit("life", disks(true)).await;
    sees("yes").await;
    run(guest, &write).await;
    space.edit("life", disks(false)).await;
    sees("no").await;
    space.edit("life", disks(true)).await;
    sees("yes").await;
    assert_eq!(run(guest, &read).await, "kept");
    space.edit("life", disks(false)).await;
    sees("no").await;
}

fn grown_manifest(mut manifest: Value) -> Value {
    manifest["spec"]["disks"][1]["size"] = json!("512Mi");
    manifest
}
