//! Reasons of snapshots and restores.

use wukong_api::ConditionType::{
    LastRunSucceeded, PoweredOff, Ready, ScheduleActive, SnapshotTaken, Snapshottable,
    SourceResolved,
};
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
    ReasonDoc {
        reason: Reason::ScheduleActive,
        severity: Ok,
        conditions: &[ScheduleActive],
        meaning: "The WukongSnapshotSchedule takes snapshots. `status.nextSlot` is the time of the next one.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::ScheduleSuspended,
        severity: Ok,
        conditions: &[ScheduleActive],
        meaning: "The WukongSnapshotSchedule takes and deletes no snapshots, because its spec has `suspend: true`.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::TooManyFailures,
        severity: Error,
        conditions: &[ScheduleActive, LastRunSucceeded, Ready],
        meaning: "The WukongSnapshotSchedule takes no more snapshots of a VM, because `maxFailures` of them failed in a row. A schedule of which all VMs have this state deletes none either. The message names the VMs.",
        fix: "Read the error of the failed snapshot: `kubectl describe wukongsnapshot NAME`. Fix its cause. Then resume the schedule: `kubectl wukong snapshot schedule resume NAME`. Any other change of its spec resumes it, too.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::RunSucceeded,
        severity: Ok,
        conditions: &[LastRunSucceeded],
        meaning: "The newest snapshots of the WukongSnapshotSchedule that have ended are successes.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::RunFailed,
        severity: Error,
        conditions: &[LastRunSucceeded, Ready],
        meaning: "The newest snapshot of a WukongSnapshotSchedule failed. The message names it. The schedule takes the next one at its next slot, until `maxFailures` have failed in a row.",
        fix: "Read the error of the snapshot: `kubectl describe wukongsnapshot NAME`. Fix its cause. The next success ends this state.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::SlotSkipped,
        severity: Error,
        conditions: &[LastRunSucceeded, Ready],
        meaning: "The WukongSnapshotSchedule took no snapshot at its last slot. The message has the cause: the snapshot before it has not ended, its Wukong did not exist, or the operator did not run until `startingDeadlineSeconds` after the slot.",
        fix: "If the snapshot before it does not end, read its status: `kubectl describe wukongsnapshot NAME`. If snapshots take longer than the time between two slots, choose a longer time. The next slot that is not skipped ends this state.",
        platforms: &[],
    },
];
