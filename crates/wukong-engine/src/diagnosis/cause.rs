//! Causes: the meaning of the evidence, in order.

use std::cmp::Reverse;

use jiff::Timestamp;
use wukong_api::{ConditionType, Reason};

use super::evidence::{Evidence, Role, Source};
use super::fallback;
use super::matching;
use super::signature::{self, Permanence, Place};
use crate::environment::Platform;

/// Why a condition does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub condition: ConditionType,
    pub reason: Reason,
    /// The state that is wrong, without its cause.
    pub state: String,
    /// One word for the cause.
    pub detail: &'static str,
    /// Why.
    pub message: String,
    /// What to do.
    pub hint: String,
    pub rank: Rank,
    pub evidence: Evidence,
}

/// How much is known of the text of a cause.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Knowledge {
    /// A signature knows it.
    Known,
    /// It is the text of a state that is wrong.
    Unknown,
    /// It is the text of an event that only repeats: no source says that the event is about a failure.
    Unlisted,
}

/// The order of two causes of one condition: known before unknown texts, lasting before passing failures, the newest
/// first, then by object and text, so that the order of arrival does not matter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rank {
    knowledge: Knowledge,
    permanence: Permanence,
    /// A state is what holds now; an event repeats it.
    event: bool,
    last: Reverse<Option<Timestamp>>,
    object: String,
    text: String,
}

impl Rank {
    /// Whether no signature knows the text.
    pub(crate) fn is_unknown(&self) -> bool {
        self.knowledge != Knowledge::Known
    }

    /// Whether the text is that of an event that only repeats.
    pub(crate) fn is_unlisted(&self) -> bool {
        self.knowledge == Knowledge::Unlisted
    }

    /// Whether it follows from another failure.
    pub(crate) fn is_consequence(&self) -> bool {
        self.permanence == Permanence::Consequence
    }
}

impl Cause {
    /// The cause under the condition that an object of its role keeps from being true.
    pub(super) fn placed(self) -> Self {
        let (condition, reason) = placed(self.evidence.role, self.condition, self.reason);
        Self {
            condition,
            reason,
            ..self
        }
    }

    /// What the evidence means; `None` for texts that need no action.
    pub(crate) fn of(
        evidence: &Evidence,
        place: &Place,
        platform: Option<Platform>,
    ) -> Option<Self> {
        if let Some(found) = matching::find(evidence, place, platform) {
            let row = found.signature;
            let (condition, reason) = placed(evidence.role, row.condition, row.reason);
            let (message, hint) = match fallback::is_general(row.id) {
                true => (
                    fallback::tidy(&found.message),
                    fallback::with_advice(&evidence.text, found.hint),
                ),
                false => (found.message, found.hint),
            };
            return Some(Self {
                condition,
                reason,
                state: state(evidence, condition),
                detail: row.detail,
                message,
                hint,
                rank: rank(evidence, Knowledge::Known, row.permanence),
                evidence: evidence.clone(),
            });
        }
        let (knowledge, (condition, reason, hint)) = match unknown(evidence) {
            Some(stage) => (Knowledge::Unknown, stage),
            None => (Knowledge::Unlisted, unlisted(evidence)?),
        };
        let (condition, reason) = placed(evidence.role, condition, reason);
        let mut text = match evidence.text.as_str() {
            "" => evidence.state.clone(),
            text => fallback::words(text),
        };
        if knowledge == Knowledge::Unlisted {
            text = format!("the event {} repeats: {text}", evidence.reason);
        }
        let hint = signature::filled(hint, None, evidence, place);
        Some(Self {
            condition,
            reason,
            state: state(evidence, condition),
            detail: "",
            message: text,
            hint: fallback::with_advice(&evidence.text, hint),
            rank: rank(evidence, knowledge, Permanence::Transient),
            evidence: evidence.clone(),
        })
    }
}

pub(super) fn rank(evidence: &Evidence, knowledge: Knowledge, permanence: Permanence) -> Rank {
    Rank {
        knowledge,
        permanence,
        event: evidence.state.starts_with("event "),
        last: Reverse(evidence.last),
        object: evidence.object.clone(),
        text: evidence.text.clone(),
    }
}

/// The condition and reason for an object of this role: what keeps a pod of a disk from starting keeps the disk from
/// being filled, and what keeps an attachment pod from starting keeps the disk from being attached.
fn placed(role: Role, condition: ConditionType, reason: Reason) -> (ConditionType, Reason) {
    let of_pod = matches!(condition, ConditionType::Scheduled | ConditionType::Running);
    match role {
        Role::Attachment => (ConditionType::VolumesBound, Reason::DiskNotAttached),
        Role::Disk if of_pod => match reason {
            Reason::QuotaExceeded | Reason::PolicyViolation | Reason::AdmissionDenied => {
                (ConditionType::VolumesBound, reason)
            }
            _ => (ConditionType::VolumesBound, Reason::ImportFailed),
        },
        Role::Disk | Role::Guest | Role::Write => (condition, reason),
    }
}

/// The state that is wrong, in words that begin a message.
fn state(evidence: &Evidence, condition: ConditionType) -> String {
    let disk = evidence.disk.as_deref().unwrap_or("?");
    match (evidence.role, condition) {
        (Role::Attachment, _) => format!("disk {disk} is not attached to the running VM"),
        (Role::Disk, ConditionType::DependenciesResolved) => format!("disk {disk}"),
        (Role::Disk, _) => match evidence.source {
            Source::Event | Source::Claim if evidence.object.starts_with("Persistent") => {
                format!(
                    "disk {disk}: claim {} has no volume",
                    evidence.object.trim_start_matches("PersistentVolumeClaim/")
                )
            }
            _ => format!("disk {disk}: import failed"),
        },
        (Role::Write, _) => format!("The API server rejects {}", evidence.object),
        (Role::Guest, ConditionType::DependenciesResolved) => {
            "The pod of the VM cannot start".into()
        }
        (Role::Guest, _) => match evidence.source {
            Source::VmFailure => "KubeVirt cannot create the instance".into(),
            Source::Synchronized => "KubeVirt cannot start the guest".into(),
            Source::Migration => "The migration failed".into(),
            Source::Instance => "The guest does not run".into(),
            _ => {
                let node = evidence.node.as_ref();
                let node = node.map_or_else(String::new, |node| format!(" on {node}"));
                let disk = evidence.disk.as_ref();
                let disk = disk.map_or_else(String::new, |disk| format!(": disk {disk}"));
                format!("The pod of the VM cannot start{node}{disk}")
            }
        },
    }
}

/// Events that report a failure of a pod in a stage, each with the next command.
const STAGES: [(&str, &str); 13] = [
    ("FailedMount", MOUNT),
    ("FailedMountOnFilesystemMismatch", MOUNT),
    ("FailedMapVolume", MOUNT),
    ("FailedUnMount", MOUNT),
    ("FailedAttachVolume", ATTACH),
    ("FailedCreatePodSandBox", SANDBOX),
    ("FailedCreatePodSandbox", SANDBOX),
    ("NetworkNotReady", SANDBOX),
    ("FailedCreatePodContainer", RUNTIME),
    ("FailedPrepareDynamicResources", RUNTIME),
    ("FailedKillPod", RUNTIME),
    ("FailedPostStartHook", POD),
    ("Failed", POD),
];
/// States of a container that its runtime cannot start.
const NOT_STARTED: [&str; 5] = [
    "StartError",
    "ContainerCannotRun",
    "RunContainerError",
    "CreateContainerError",
    "ContainerStatusUnknown",
];

const POD: &str = "kubectl describe pod {pod} -n {namespace}";
const MOUNT: &str = "read the log of {driver} on {node}: kubectl get pods -A -o wide --field-selector spec.nodeName={node}; kubectl describe pod {pod} -n {namespace}";
const ATTACH: &str =
    "read the log of the controller of {driver}; kubectl describe volumeattachment";
const SANDBOX: &str = "read the log of the network plugin and of the container runtime on {node}: kubectl get pods -A -o wide --field-selector spec.nodeName={node}; journalctl -u kubelet on {node}";
const RUNTIME: &str = "read the log of the container runtime and of the kubelet on {node} (journalctl -u kubelet); kubectl describe pod {pod} -n {namespace}";
const LOG: &str = "kubectl logs {pod} -n {namespace} --all-containers --previous";
const VOLUME: &str = "kubectl describe datavolume {claim} -n {namespace}";
const CLAIM: &str =
    "kubectl describe {object} -n {namespace}; then read the log of the provisioner of {driver}";
const GUEST: &str = "kubectl logs -n {namespace} -l kubevirt.io/domain={name} --all-containers; kubectl describe vmi {name} -n {namespace}";

/// Events that can repeat beside a pod that starts.
const BESIDE: [&str; 9] = [
    // Of the kubelet.
    "AlreadyMountedVolume",
    "BackOff",
    "DNSConfigForming",
    "FailedToRetrieveImagePullSecret",
    "InvalidDiskCapacity",
    "ProbeWarning",
    "Unhealthy",
    // Of the controller of nodes, and of the scheduler.
    "NodeNotReady",
    "Preempted",
];

/// Condition, reason and next command.
type Stage = (ConditionType, Reason, &'static str);

/// The stage of an event with a reason that no source lists, if it repeats while the VM does not start.
fn unlisted(evidence: &Evidence) -> Option<Stage> {
    let reason = evidence.reason.as_str();
    if evidence.source != Source::Event || !evidence.repeats || BESIDE.contains(&reason) {
        return None;
    }
    Some(match evidence.object.split_once('/')?.0 {
        "Pod" => (ConditionType::Running, Reason::PodNotStarted, POD),
        "PersistentVolumeClaim" => (
            ConditionType::VolumesBound,
            Reason::ProvisionerNotReady,
            CLAIM,
        ),
        "DataVolume" => (ConditionType::VolumesBound, Reason::ImportFailed, VOLUME),
        "VirtualMachine" | "VirtualMachineInstance" => {
            (ConditionType::Running, Reason::InternalError, GUEST)
        }
        _ => return None,
    })
}

/// The stage of a text that no signature knows.
fn unknown(evidence: &Evidence) -> Option<Stage> {
    use ConditionType::{
        Created, LiveMigratable, NodeNetworkReady, Running, Scheduled, VolumesBound,
    };
    let reason = evidence.reason.as_str();
    let stage = STAGES.iter().find(|(known, _)| *known == reason);
    Some(match evidence.source {
        Source::Importer if evidence.pod().is_some() => (VolumesBound, Reason::ImportFailed, LOG),
        Source::Importer => (VolumesBound, Reason::ImportFailed, VOLUME),
        Source::DataVolume => (VolumesBound, Reason::ImportFailed, VOLUME),
        Source::Claim => (VolumesBound, Reason::ResizeRefused, CLAIM),
        Source::Snapshot => (
            ConditionType::DependenciesResolved,
            Reason::SnapshotNotReady,
            "kubectl describe {object} -n {namespace}",
        ),
        Source::Event if reason == "ProvisioningFailed" => {
            (VolumesBound, Reason::ProvisionerNotReady, CLAIM)
        }
        Source::Event => (Running, Reason::PodNotStarted, stage?.1),
        Source::PodWaiting if reason.contains("ImagePull") => {
            (VolumesBound, Reason::ImagePullFailed, POD)
        }
        Source::PodWaiting | Source::PodTerminated if NOT_STARTED.contains(&reason) => {
            (Running, Reason::PodNotStarted, RUNTIME)
        }
        Source::PodWaiting | Source::PodStatus => (Running, Reason::PodNotStarted, POD),
        Source::PodTerminated => (Running, Reason::PodNotStarted, LOG),
        Source::Scheduler => (Scheduled, Reason::Unschedulable, POD),
        Source::Synchronized | Source::Instance | Source::VmFailure => {
            (Running, Reason::InternalError, GUEST)
        }
        Source::RejectedWrite => (
            Created,
            Reason::AdmissionDenied,
            "kubectl get events -n {namespace} --field-selector involvedObject.name={name}; correct the spec or the policy that the message names",
        ),
        Source::Migration => (
            LiveMigratable,
            Reason::MigrationFailed,
            "kubectl describe vmim -n {namespace}",
        ),
        Source::NodeNetwork => (
            NodeNetworkReady,
            Reason::Degraded,
            "kubectl get nnce; kubectl describe {object}",
        ),
        Source::Component => return None,
    })
}
