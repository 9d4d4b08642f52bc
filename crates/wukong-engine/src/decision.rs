//! The result of `decide`.

use jiff::Timestamp;
use serde_json::Value;
use wukong_api::{Bytes, WukongStatus};

use crate::call::Call;
use crate::diagnosis::Check;
use crate::observed::Waiting;
use crate::status_report::StatusReport;
use crate::target::{Kind, Target};

/// The actions to take now. Applies of the first wave run side by side; the VirtualMachine follows if all of them succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What the VM needs: Secret, NetworkAttachmentDefinitions, bridges on nodes, disks.
    pub apply: Vec<Apply>,
    /// The VirtualMachine.
    pub apply_vm: Option<Apply>,
    /// How many planned objects are stored as planned, so that no apply is needed.
    pub in_place: usize,
    /// Claims to grow.
    pub expand: Vec<Expand>,
    /// Subresources to call.
    pub calls: Vec<Call>,
    /// Children that the spec no longer requires, to delete after all other actions succeed.
    pub prune: Vec<Prune>,
    /// The statuses of snapshots and restores to write.
    pub reports: Vec<StatusReport>,
    /// The desired status.
    pub status: WukongStatus,
    /// When to write the status; `None`: the stored status is up to date.
    pub write_status: Option<Timestamp>,
    /// Events for the user, written together with the status.
    pub events: Vec<Event>,
    /// When to decide again if nothing changes before.
    pub wake_at: Option<Timestamp>,
    /// What the VM waits for, to be remembered ([`Memory::record_waiting`](crate::Memory::record_waiting)).
    pub waiting: Option<Waiting>,
    /// When to query its pods and events, to be remembered ([`Memory::record_queried`](crate::Memory::record_queried)).
    pub query_at: Option<Timestamp>,
    /// All findings, in causal order, the blocker first: for `doctor` and other readers that ask for the cause.
    pub findings: Vec<Check>,
}

impl Decision {
    /// Whether this decision changes nodes. Two Wukongs may require bridges that exclude each other. So the operator applies
    /// such decisions one after another, and each takes the one before into account.
    pub fn changes_nodes(&self) -> bool {
        self.apply
            .iter()
            .any(|apply| apply.target.kind == Kind::NodeNetworkConfigurationPolicy)
    }

    /// Whether the cluster is in the desired state, except for the status.
    pub fn is_settled(&self) -> bool {
        self.apply.is_empty()
            && self.apply_vm.is_none()
            && self.expand.is_empty()
            && self.calls.is_empty()
            && self.prune.is_empty()
            && self.reports.is_empty()
    }
}

/// A server-side apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// What is applied.
    pub target: Target,
    /// The object that must exist already.
    pub expect: Expect,
    /// The object.
    pub body: Value,
    /// Hash over the fields of the body that we will own.
    pub hash: String,
}

/// The precondition of an apply: the object that must exist already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expect {
    /// Nothing: the apply creates, and fails when the name is taken.
    Absent,
    /// This very object.
    Present {
        /// Its uid.
        uid: String,
        /// Its version, when the body depends on what was read.
        resource_version: Option<String>,
    },
    /// Nothing, or an object that this uid controls. For Secrets, which we cannot read.
    AbsentOrControlledBy(String),
}

/// Growth of a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expand {
    /// The claim.
    pub target: Target,
    /// Its uid.
    pub uid: String,
    /// Size to request.
    pub to: Bytes,
    /// Size, as the guest sees it, that the request stands for.
    pub guest_size: Bytes,
}

impl Expand {
    /// Distinguishes this growth from another of the same claim, as [`Apply::hash`] distinguishes bodies.
    pub fn hash(&self) -> String {
        self.to.to_string()
    }
}

/// Deletion of a child that the spec no longer requires.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prune {
    /// What is deleted.
    pub target: Target,
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
}

impl Prune {
    /// Distinguishes the deletion from other actions on the object, as [`Apply::hash`] distinguishes bodies.
    pub fn hash(&self) -> String {
        "deletion".into()
    }
}

/// A line for the user, published as a Kubernetes event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// Whether it is a warning event.
    pub warning: bool,
    /// Reason, in CamelCase.
    pub reason: String,
    /// What happened.
    pub message: String,
}
