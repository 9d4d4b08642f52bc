//! What `decide` answers.

use jiff::Timestamp;
use serde_json::Value;
use wukong_api::{Bytes, WukongStatus};

use crate::call::Call;
use crate::diagnosis::Check;
use crate::observed::Waiting;
use crate::target::{Kind, Target};

/// What to do now. Applies of the first wave run side by side; the VirtualMachine follows when all of them went well.
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
    /// Children that are no longer asked for, to delete after everything else went well.
    pub prune: Vec<Prune>,
    /// The status as it should be.
    pub status: WukongStatus,
    /// When to write the status; `None`: it is as it should be.
    pub write_status: Option<Timestamp>,
    /// What to tell the user, together with the status.
    pub notes: Vec<Note>,
    /// When to decide again if nothing happens before.
    pub wake_at: Option<Timestamp>,
    /// What the VM waits for, to be remembered ([`Memory::record_waiting`](crate::Memory::record_waiting)).
    pub waiting: Option<Waiting>,
    /// When to look at its pods and events, to be remembered ([`Memory::record_queried`](crate::Memory::record_queried)).
    pub query_at: Option<Timestamp>,
    /// Everything that is off, in causal order, the blocker first: for people who ask why.
    pub findings: Vec<Check>,
}

impl Decision {
    /// Whether nodes are to be changed. Two Wukongs may ask for what cannot be together: such decisions are carried out
    /// one after another, each knowing of the one before.
    pub fn changes_nodes(&self) -> bool {
        self.apply
            .iter()
            .any(|apply| apply.target.kind == Kind::NodeNetworkConfigurationPolicy)
    }

    /// Whether the cluster is as it should be, but for the status.
    pub fn is_settled(&self) -> bool {
        self.apply.is_empty()
            && self.apply_vm.is_none()
            && self.expand.is_empty()
            && self.calls.is_empty()
            && self.prune.is_empty()
    }
}

/// A server-side apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// What is applied.
    pub target: Target,
    /// What must be there already.
    pub expect: Expect,
    /// The object.
    pub body: Value,
    /// Hash over the fields of the body that we will own.
    pub hash: String,
}

/// What must be there already for an apply to be right.
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
    /// Tells this growth from another of the same claim, as [`Apply::hash`] tells bodies apart.
    pub fn hash(&self) -> String {
        self.to.to_string()
    }
}

/// Deletion of a child that is no longer asked for.
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
    /// Tells the deletion from other actions on the object, as [`Apply::hash`] tells bodies apart.
    pub fn hash(&self) -> String {
        "deletion".into()
    }
}

/// A line for the user, published as a Kubernetes event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Whether something is wrong.
    pub warning: bool,
    /// Reason, in CamelCase.
    pub reason: String,
    /// What happened.
    pub message: String,
}
