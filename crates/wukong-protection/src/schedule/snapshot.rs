//! What a schedule needs to know of a snapshot.

use jiff::Timestamp;

/// A snapshot of the schedule, and not one that is being deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Snapshot<'a> {
    /// Name.
    pub name: &'a str,
    /// The VM.
    pub wukong: &'a str,
    /// The slot.
    pub slot: Timestamp,
    /// Its result.
    pub outcome: Outcome,
    /// Whether it must not be deleted now.
    pub in_use: bool,
}

/// Result of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It has not ended.
    Open,
    /// Disks can be restored from it.
    Succeeded,
    /// It failed, for good.
    Failed,
}
