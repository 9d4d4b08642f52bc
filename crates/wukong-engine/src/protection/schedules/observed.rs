//! What the decision about a schedule and its status depend on.

use jiff::Timestamp;
use wukong_protection::schedule::Vm;

use crate::facts::WukongSnapshotScheduleFact;
use crate::observed::Memory;
use crate::world::World;

/// What is known of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct ObservedSchedule<'a> {
    /// The schedule.
    pub schedule: &'a WukongSnapshotScheduleFact,
    /// Its VMs that exist; `None` while that is not known.
    pub vms: Option<&'a [Vm]>,
    /// The facts of the cluster.
    pub world: &'a World,
    /// Earlier writes for the schedule.
    pub memory: &'a Memory,
    /// The time.
    pub now: Timestamp,
}

/// A snapshot that cannot be created.
pub(super) struct Rejected {
    pub name: String,
    pub cause: Rejection,
}

/// Why it cannot.
pub(super) enum Rejection {
    /// Another snapshot has its name.
    NameTaken,
    /// The API server rejects it, with this message.
    Failure(String),
}
