//! Condition types and reasons.

use strum::{AsRefStr, Display, EnumIter, EnumString, IntoStaticStr};

/// Condition types, in causal order: the first that is not true is why the VM does not run.
#[derive(
    AsRefStr,
    Clone,
    Copy,
    Debug,
    Display,
    EnumIter,
    EnumString,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
)]
pub enum ConditionType {
    /// The manifest can be carried out.
    SpecValid,
    /// The cluster can run virtual machines, this one included.
    EnvironmentReady,
    /// Everything that the manifest names exists.
    DependenciesResolved,
    /// The bridges that the NICs need are on the nodes.
    NodeNetworkReady,
    /// The NICs are attached to their networks.
    NetworksConfigured,
    /// The disks have their content.
    VolumesBound,
    /// Cloud-init can set the guest up as asked.
    ProvisioningReady,
    /// The objects of the VM exist.
    Created,
    /// The VM has a node.
    Scheduled,
    /// The guest runs.
    Running,
    /// The guest answers.
    GuestReady,
    /// The running VM is what the manifest says.
    ConfigurationApplied,
    /// The VM can move to another node while it runs.
    LiveMigratable,
    /// The objects of a Wukong that is being deleted are gone.
    Deleting,
    /// The VM runs as asked, or is stopped as asked.
    Ready,
}

/// Why a condition has its status.
#[derive(
    AsRefStr, Clone, Copy, Debug, Display, EnumIter, EnumString, Eq, Hash, IntoStaticStr, PartialEq,
)]
#[allow(missing_docs)] // Each reason is documented in the engine's `reasons`, and in docs/troubleshooting.md.
pub enum Reason {
    Valid,
    InvalidSpec,
    UnsupportedCombination,
    PolicyViolation,
    CRDOutdated,
    ImmutableFieldChanged,
    NameConflict,
    Resolved,
    StorageClassNotFound,
    NoDefaultStorageClass,
    NADNotFound,
    SourceNotFound,
    Configured,
    DegradedToPodNetwork,
    MultusNotInstalled,
    MACConflict,
    IPConflict,
    ApplyConflict,
    Bound,
    Pending,
    Importing,
    ImportFailed,
    ImagePullFailed,
    QuotaExceeded,
    ClaimLost,
    Resizing,
    ResizeRefused,
    WaitingForFirstConsumer,
    CDINotInstalled,
    KubeVirtNotInstalled,
    Created,
    Creating,
    ApplyFailed,
    FieldManagerConflict,
    AdmissionDenied,
    Scheduled,
    Scheduling,
    InsufficientDevices,
    InsufficientMemory,
    InsufficientCPU,
    NodeSelectorMismatch,
    UntoleratedTaint,
    VolumeNodeAffinity,
    Unschedulable,
    Running,
    Starting,
    Stopping,
    PodNotStarted,
    CrashLoop,
    Paused,
    Halted,
    StoppedElsewhere,
    Completed,
    InternalError,
    Migrating,
    AgentConnected,
    AgentNotReady,
    AgentVersionNotSupported,
    AddressMismatch,
    Applied,
    RestartRequired,
    PowerOffRequired,
    ShrinkRefused,
    FirstBootOnly,
    Ready,
    Deleting,
    NotObserved,
    NotPermitted,
    Available,
    KubeVirtNotAvailable,
    PlacementTooNarrow,
    VirtHandlerNotReady,
    NoVirtualizationDevices,
    DevicePluginUnhealthy,
    FeatureGateDisabled,
    BindingNotRegistered,
    CDINotAvailable,
    MultusUnhealthy,
    NMStateNotInstalled,
    EmulationOnly,
    SecretNotFound,
    SnapshotNotReady,
    Applying,
    Degraded,
    WouldIsolateNode,
    BridgeMissingOnNodes,
    NotManaged,
    ProvisionerNotReady,
    StorageProfileIncomplete,
    PlainTextPassword,
    InvalidUserData,
    Migratable,
    DisksNotShared,
    PodNetworkBridge,
    HostDevices,
    SingleNode,
    NotMigratable,
    WaitingForVM,
    WaitingForDisk,
    DisksRetained,
}
