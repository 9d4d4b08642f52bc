//! Documentation of every reason: its meaning and how to fix its cause.
//!
//! `cargo xtask gen-docs` writes the troubleshooting guide from it, and `kubectl wukong explain-reason` prints it. The hints of
//! the checks are in the [`RULES`].

mod absence;
mod cluster;
mod disks;
mod guest;
mod manifest;
mod networks;

use wukong_api::{ConditionType, Reason};

use crate::diagnosis::rules::{RULES, Rule};
use crate::environment::Platform;

/// Documentation of a reason.
#[derive(Debug)]
pub struct ReasonDoc {
    /// The reason.
    pub reason: Reason,
    /// Severity of the reason.
    pub severity: Severity,
    /// Conditions that can have the reason.
    pub conditions: &'static [ConditionType],
    /// Meaning, in Markdown. `explain-reason` lists its first sentence.
    pub meaning: &'static str,
    /// Fix, in Markdown; empty for [`Severity::Ok`].
    pub fix: &'static str,
    /// Fixes for single platforms, in addition to those of the rules.
    pub platforms: &'static [(Platform, &'static str)],
}

/// Severity of a reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// No problem.
    Ok,
    /// The VM works, with a restriction that the user should know.
    Warning,
    /// The VM waits for something that usually happens without user action.
    Waiting,
    /// The user has to fix the cause.
    Error,
}

impl ReasonDoc {
    /// Returns the checks that report the reason.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        let reason = self.reason;
        RULES.iter().filter(move |rule| rule.reason == reason)
    }
}

/// Returns the documentation of a reason.
pub fn doc(reason: Reason) -> &'static ReasonDoc {
    match reason {
        Reason::Valid => &manifest::VALID,
        Reason::InvalidSpec => &manifest::INVALID_SPEC,
        Reason::UnsupportedCombination => &manifest::UNSUPPORTED_COMBINATION,
        Reason::PolicyViolation => &manifest::POLICY_VIOLATION,
        Reason::CRDOutdated => &manifest::CRD_OUTDATED,
        Reason::ImmutableFieldChanged => &manifest::IMMUTABLE_FIELD_CHANGED,
        Reason::NameConflict => &manifest::NAME_CONFLICT,
        Reason::Resolved => &manifest::RESOLVED,
        Reason::SecretNotFound => &manifest::SECRET_NOT_FOUND,
        Reason::StorageClassNotFound => &manifest::STORAGE_CLASS_NOT_FOUND,
        Reason::NoDefaultStorageClass => &manifest::NO_DEFAULT_STORAGE_CLASS,
        Reason::NADNotFound => &manifest::NAD_NOT_FOUND,
        Reason::SourceNotFound => &manifest::SOURCE_NOT_FOUND,
        Reason::Created => &manifest::CREATED,
        Reason::Creating => &manifest::CREATING,
        Reason::ApplyFailed => &manifest::APPLY_FAILED,
        Reason::ApplyConflict => &manifest::APPLY_CONFLICT,
        Reason::FieldManagerConflict => &manifest::FIELD_MANAGER_CONFLICT,
        Reason::AdmissionDenied => &manifest::ADMISSION_DENIED,
        Reason::Deleting => &manifest::DELETING,
        Reason::WaitingForVM => &manifest::WAITING_FOR_VM,
        Reason::WaitingForDisk => &manifest::WAITING_FOR_DISK,
        Reason::DisksRetained => &manifest::DISKS_RETAINED,
        Reason::SnapshotNotReady => &manifest::SNAPSHOT_NOT_READY,
        Reason::NotManaged => &networks::NOT_MANAGED,
        Reason::Applying => &networks::APPLYING,
        Reason::Degraded => &networks::DEGRADED,
        Reason::WouldIsolateNode => &networks::WOULD_ISOLATE_NODE,
        Reason::Available => &cluster::AVAILABLE,
        Reason::KubeVirtNotInstalled => &cluster::KUBEVIRT_NOT_INSTALLED,
        Reason::KubeVirtNotAvailable => &cluster::KUBEVIRT_NOT_AVAILABLE,
        Reason::PlacementTooNarrow => &cluster::PLACEMENT_TOO_NARROW,
        Reason::VirtHandlerNotReady => &cluster::VIRT_HANDLER_NOT_READY,
        Reason::NoVirtualizationDevices => &cluster::NO_VIRTUALIZATION_DEVICES,
        Reason::DevicePluginUnhealthy => &cluster::DEVICE_PLUGIN_UNHEALTHY,
        Reason::FeatureGateDisabled => &cluster::FEATURE_GATE_DISABLED,
        Reason::BindingNotRegistered => &cluster::BINDING_NOT_REGISTERED,
        Reason::EmulationOnly => &cluster::EMULATION_ONLY,
        Reason::CDINotInstalled => &cluster::CDI_NOT_INSTALLED,
        Reason::CDINotAvailable => &cluster::CDI_NOT_AVAILABLE,
        Reason::MultusNotInstalled => &cluster::MULTUS_NOT_INSTALLED,
        Reason::MultusUnhealthy => &cluster::MULTUS_UNHEALTHY,
        Reason::NMStateNotInstalled => &cluster::NMSTATE_NOT_INSTALLED,
        Reason::NotPermitted => &cluster::NOT_PERMITTED,
        Reason::NotObserved => &cluster::NOT_OBSERVED,
        Reason::Configured => &networks::CONFIGURED,
        Reason::DegradedToPodNetwork => &networks::DEGRADED_TO_POD_NETWORK,
        Reason::MACConflict => &networks::MAC_CONFLICT,
        Reason::IPConflict => &networks::IP_CONFLICT,
        Reason::BridgeMissingOnNodes => &networks::BRIDGE_MISSING_ON_NODES,
        Reason::Bound => &disks::BOUND,
        Reason::Pending => &disks::PENDING,
        Reason::Importing => &disks::IMPORTING,
        Reason::ImportFailed => &disks::IMPORT_FAILED,
        Reason::ImagePullFailed => &disks::IMAGE_PULL_FAILED,
        Reason::ProvisionerNotReady => &disks::PROVISIONER_NOT_READY,
        Reason::StorageProfileIncomplete => &disks::STORAGE_PROFILE_INCOMPLETE,
        Reason::QuotaExceeded => &disks::QUOTA_EXCEEDED,
        Reason::ClaimLost => &disks::CLAIM_LOST,
        Reason::Resizing => &disks::RESIZING,
        Reason::ResizeRefused => &disks::RESIZE_REFUSED,
        Reason::WaitingForFirstConsumer => &disks::WAITING_FOR_FIRST_CONSUMER,
        Reason::InvalidUserData => &guest::INVALID_USER_DATA,
        Reason::PlainTextPassword => &guest::PLAIN_TEXT_PASSWORD,
        Reason::Scheduled => &guest::SCHEDULED,
        Reason::Scheduling => &guest::SCHEDULING,
        Reason::InsufficientDevices => &guest::INSUFFICIENT_DEVICES,
        Reason::InsufficientMemory => &guest::INSUFFICIENT_MEMORY,
        Reason::InsufficientCPU => &guest::INSUFFICIENT_CPU,
        Reason::NodeSelectorMismatch => &guest::NODE_SELECTOR_MISMATCH,
        Reason::UntoleratedTaint => &guest::UNTOLERATED_TAINT,
        Reason::VolumeNodeAffinity => &guest::VOLUME_NODE_AFFINITY,
        Reason::Unschedulable => &guest::UNSCHEDULABLE,
        Reason::PodNotStarted => &guest::POD_NOT_STARTED,
        Reason::Running => &guest::RUNNING,
        Reason::Starting => &guest::STARTING,
        Reason::Stopping => &guest::STOPPING,
        Reason::Migrating => &guest::MIGRATING,
        Reason::CrashLoop => &guest::CRASH_LOOP,
        Reason::Paused => &guest::PAUSED,
        Reason::Halted => &guest::HALTED,
        Reason::StoppedElsewhere => &guest::STOPPED_ELSEWHERE,
        Reason::Completed => &guest::COMPLETED,
        Reason::InternalError => &guest::INTERNAL_ERROR,
        Reason::AgentConnected => &guest::AGENT_CONNECTED,
        Reason::AgentNotReady => &guest::AGENT_NOT_READY,
        Reason::AgentVersionNotSupported => &guest::AGENT_VERSION_NOT_SUPPORTED,
        Reason::AddressMismatch => &guest::ADDRESS_MISMATCH,
        Reason::Applied => &guest::APPLIED,
        Reason::RestartRequired => &guest::RESTART_REQUIRED,
        Reason::PowerOffRequired => &guest::POWER_OFF_REQUIRED,
        Reason::MigrationRequired => &guest::MIGRATION_REQUIRED,
        Reason::ShrinkRefused => &guest::SHRINK_REFUSED,
        Reason::FirstBootOnly => &guest::FIRST_BOOT_ONLY,
        Reason::Migratable => &guest::MIGRATABLE,
        Reason::DisksNotShared => &guest::DISKS_NOT_SHARED,
        Reason::PodNetworkBridge => &guest::POD_NETWORK_BRIDGE,
        Reason::HostDevices => &guest::HOST_DEVICES,
        Reason::SingleNode => &guest::SINGLE_NODE,
        Reason::NodeLost => &absence::NODE_LOST,
        Reason::PodTerminating => &absence::POD_TERMINATING,
        Reason::NotReady => &absence::NOT_READY,
        Reason::DiskNotAttached => &absence::DISK_NOT_ATTACHED,
        Reason::MigrationFailed => &absence::MIGRATION_FAILED,
        Reason::NamespaceTerminating => &absence::NAMESPACE_TERMINATING,
        Reason::OperatorNotReady => &absence::OPERATOR_NOT_READY,
        Reason::AwaitingFinalizer => &absence::AWAITING_FINALIZER,
        Reason::MigrationPending => &absence::MIGRATION_PENDING,
        Reason::OperationFailed => &absence::OPERATION_FAILED,
        Reason::OperationInProgress => &absence::OPERATION_IN_PROGRESS,
        Reason::NotMigratable => &guest::NOT_MIGRATABLE,
        Reason::Ready => &guest::READY,
    }
}
