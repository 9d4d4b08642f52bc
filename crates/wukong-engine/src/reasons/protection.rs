//! Reasons of snapshots and restores.

use wukong_api::ConditionType::{PoweredOff, Ready, SnapshotTaken, Snapshottable, SourceResolved};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};

pub(super) const DOCS: &[ReasonDoc] = &[
    ReasonDoc {
        reason: Reason::Snapshottable,
        severity: Ok,
        conditions: &[Snapshottable],
        meaning: "A snapshot has all disks of the VM.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::NoSnapshotClass,
        severity: Warning,
        conditions: &[Snapshottable, SourceResolved, Ready],
        meaning: "KubeVirt cannot take a snapshot of a disk, and a snapshot of the VM would leave it out without an error. The message has KubeVirt's reason: usually no VolumeSnapshotClass has the driver of the StorageClass of the disk. A WukongSnapshot waits, unless it has `allowPartial: true`.",
        fix: "Create a VolumeSnapshotClass for the driver of the StorageClass (`kubectl get storageclass,volumesnapshotclass`). KubeVirt notices it within seconds. If the driver cannot take snapshots, move the disk to another StorageClass.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::SnapshotIncomplete,
        severity: Error,
        conditions: &[SnapshotTaken, SourceResolved, Ready],
        meaning: "A snapshot does not have all disks. A WukongSnapshot has failed, although KubeVirt reports a success: disks of the Wukong are missing in it. A WukongRestore has failed, because the snapshot does not have a disk that it names.",
        fix: "For a snapshot: create a VolumeSnapshotClass for the driver of the disks, or set `allowPartial: true`, and create another snapshot. For a restore: name only disks of the snapshot (`status.volumes`) in `disks`.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::VMRunning,
        severity: Waiting,
        conditions: &[PoweredOff, Ready],
        meaning: "The claims of the restore are complete. The VM runs, and its disks change only while it is off.",
        fix: "Stop the VM: `kubectl wukong stop NAME`. The restore then continues. Start the VM after the restore. A restore with `stop: true` stops and starts the VM itself.",
        platforms: &[],
    },
];
