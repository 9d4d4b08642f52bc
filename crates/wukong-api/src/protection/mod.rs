//! Snapshots of virtual machines, their schedules, and restores from them: the kinds `WukongSnapshot`, `WukongSnapshotSchedule` and
//! `WukongRestore`. The documentation here is what `kubectl explain` shows.

mod restore;
mod schedule;
mod selector;
mod snapshot;

pub use restore::{
    RestorePhase, RestoreVolume, WukongRestore, WukongRestoreSpec, WukongRestoreStatus,
};
pub use schedule::{
    MAX_FAILURES, SkippedSlot, WukongSnapshotSchedule, WukongSnapshotScheduleSpec,
    WukongSnapshotScheduleStatus,
};
pub use selector::WukongSelector;
pub use snapshot::{
    Consistency, DeletionPolicy, SnapshotPhase, SnapshotVolume, WukongSnapshot, WukongSnapshotSpec,
    WukongSnapshotStatus,
};
