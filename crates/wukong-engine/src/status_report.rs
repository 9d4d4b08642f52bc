//! Statuses of snapshots, restores and schedules that are to be written.

use serde_json::Value;

use crate::managed_fields;

/// A kind with a status that a decision about a Wukong or a schedule writes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, strum::AsRefStr)]
pub enum Reported {
    /// A snapshot.
    WukongSnapshot,
    /// A restore.
    WukongRestore,
    /// A schedule of snapshots.
    WukongSnapshotSchedule,
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusReport {
    /// Kind of the object.
    pub kind: Reported,
    /// Name of the object.
    pub name: String,
    /// Uid of the object.
    pub uid: String,
    /// The whole status.
    pub status: Value,
}

impl StatusReport {
    /// Distinguishes the status from another one of the same object.
    pub fn hash(&self) -> String {
        managed_fields::hash(&self.status)
    }
}
