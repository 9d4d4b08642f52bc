//! Evidence: a text of another program about one object, and where it was found.

use jiff::Timestamp;
use wukong_api::status::EvidenceLink;

/// Where a text was found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, strum::Display)]
pub enum Source {
    /// The last words of a container of CDI's importer, uploader or cloner.
    Importer,
    /// A condition of a DataVolume.
    DataVolume,
    /// A condition of a PersistentVolumeClaim.
    Claim,
    /// The error of a VolumeSnapshot.
    Snapshot,
    /// A warning event.
    Event,
    /// Why a container waits.
    PodWaiting,
    /// How a container ended.
    PodTerminated,
    /// Reason and message of a pod.
    PodStatus,
    /// One phrase of the scheduler.
    Scheduler,
    /// The condition `Synchronized` of a VirtualMachineInstance, or its event `SyncFailed`.
    Synchronized,
    /// Another condition of a VirtualMachineInstance.
    Instance,
    /// The condition `Failure` of a VirtualMachine.
    VmFailure,
    /// The API server's answer to a write of the operator.
    RejectedWrite,
    /// A migration that failed.
    Migration,
    /// NMState's message about a policy on a node.
    NodeNetwork,
    /// A pod of KubeVirt, CDI or Multus.
    Component,
}

/// What the object of the evidence does for the VM.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// The VM, its instance or its virt-launcher pod.
    Guest,
    /// A DataVolume, a claim, or a pod that fills it.
    Disk,
    /// A pod that attaches a disk to the running VM.
    Attachment,
    /// An object that the operator writes.
    Write,
}

/// A text about one object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Evidence {
    pub source: Source,
    pub role: Role,
    /// The object, as `Kind/name`.
    pub object: String,
    /// The state that the text belongs to, such as `event FailedMount` or `container importer waits: ErrImagePull`.
    pub state: String,
    /// The program's own reason.
    pub reason: String,
    /// The text, unwrapped.
    pub text: String,
    /// The disk that it is about.
    pub disk: Option<String>,
    /// The claim of that disk.
    pub claim: Option<String>,
    /// The driver that makes the volume of that claim.
    pub driver: Option<String>,
    /// The node that it is about.
    pub node: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When the program printed it last.
    pub last: Option<Timestamp>,
    /// Whether the program reports it again and again.
    pub repeats: bool,
}

impl Evidence {
    /// The API server's answer to a write of this object.
    pub(crate) fn rejected(object: &str, answer: String, since: Option<Timestamp>) -> Self {
        Self {
            source: Source::RejectedWrite,
            role: Role::Write,
            object: object.to_owned(),
            state: "rejected".into(),
            reason: String::new(),
            text: answer,
            disk: None,
            claim: None,
            driver: None,
            node: None,
            since,
            last: since,
            repeats: false,
        }
    }

    /// The last words of a pod of KubeVirt, CDI or Multus.
    pub(crate) fn of_component(words: &str) -> Self {
        Self {
            source: Source::Component,
            role: Role::Guest,
            object: String::new(),
            state: String::new(),
            reason: String::new(),
            text: words.to_owned(),
            disk: None,
            claim: None,
            driver: None,
            node: None,
            since: None,
            last: None,
            repeats: false,
        }
    }

    /// The pod, if it is about one.
    pub(crate) fn pod(&self) -> Option<&str> {
        self.object.strip_prefix("Pod/")
    }

    /// The last link of the chain.
    pub(crate) fn link(&self) -> EvidenceLink {
        EvidenceLink {
            object: self.object.clone(),
            state: self.state.clone(),
            text: Some(self.text.clone()).filter(|text| !text.is_empty()),
            since: self
                .since
                .map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time),
        }
    }
}
