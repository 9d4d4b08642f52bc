//! Snapshots of virtual machines, and restores from them: the kinds `WukongSnapshot` and `WukongRestore`. The documentation here is
//! what `kubectl explain` shows.

mod restore;
mod snapshot;

pub use restore::{
    RestorePhase, RestoreVolume, WukongRestore, WukongRestoreSpec, WukongRestoreStatus,
};
pub use snapshot::{
    Consistency, DeletionPolicy, SnapshotPhase, SnapshotVolume, WukongSnapshot, WukongSnapshotSpec,
    WukongSnapshotStatus,
};
