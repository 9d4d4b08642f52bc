//! `status`: the observed state of a virtual machine. The documentation here is what `kubectl explain wukong.status`
//! shows.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display};

/// Observed state of the virtual machine.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
pub struct WukongStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Summary of the conditions in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Name of the VirtualMachine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// Node that the VM runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Conditions in causal order: a later one depends on the earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cause that keeps the VM from the state in the spec. Absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
    /// NICs of the VM, the one on the pod network first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub networks: Vec<NetworkStatus>,
    /// Disks of the VM, in the order of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<VolumeStatus>,
    /// Changes of the spec that the running VM does not have yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_changes: Vec<PendingChange>,
    /// Objects that the operator created for this Wukong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStatus>,
    /// Configuration that the running instance was started with. Differences from the spec wait for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_with: Option<StartedWith>,
    /// Settings that cloud-init applied on the first boot. Later changes of them do not reach the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_boot: Option<FirstBoot>,
    /// Times at which the VM first reached each milestone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
}

/// Summary of the conditions in one word.
#[derive(
    AsRefStr, JsonSchema, Clone, Copy, Debug, Deserialize, Display, Eq, PartialEq, Serialize,
)]
pub enum Phase {
    /// No object exists yet: the spec is invalid, or an object that it names is missing.
    Pending,
    /// The operator creates disks and networks.
    Creating,
    /// The VM is being started.
    Starting,
    /// The guest runs.
    Running,
    /// The guest's CPUs are stopped.
    Paused,
    /// The guest is being shut down.
    Stopping,
    /// The guest is off, as the spec requires.
    Stopped,
    /// The guest moves to another node.
    Migrating,
    /// A failure needs a user or an administrator.
    Error,
    /// The Wukong is being deleted.
    Deleting,
}

/// Cause that keeps the VM from the state in the spec.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Blocker {
    /// Type of the condition that is not true.
    pub condition: String,
    /// Reason of that condition.
    pub reason: String,
    /// Object concerned, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// State and cause, with the original error text where there is one.
    pub message: String,
    /// Instruction that resolves the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Time since which the cause has existed.
    pub since: Time,
    /// The chain from the Wukong to the cause, outermost object first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<EvidenceLink>,
}

/// One link of the chain of evidence that leads from the Wukong to the cause of its blocker.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct EvidenceLink {
    /// The object, as `Kind/name`.
    pub object: String,
    /// State of the object, such as `ImportInProgress` or `event FailedMount`.
    pub state: String,
    /// The words of the program that reports the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Time since when the object is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// Observed state of a NIC.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
    /// Name of the NIC.
    pub name: String,
    /// Name of the interface in the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// First address of the NIC, without prefix length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// All addresses of the NIC, without prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Addresses of `ipConfig`, with prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intended: Vec<String>,
    /// MAC address of the NIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// Name of the NetworkAttachmentDefinition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nad_name: Option<String>,
    /// Origin of the addresses, as KubeVirt reports it: `domain`, `guest-agent`, `multus-status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Observed state of a disk.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// Name of the disk.
    pub name: String,
    /// Name of the PersistentVolumeClaim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc_name: Option<String>,
    /// Whether the claim is bound.
    #[serde(default)]
    pub bound: bool,
    /// Size in the spec, a quantity of bytes. Absent for an existing claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Phase of the DataVolume, or of the claim where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Progress of the import, such as `42.0%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Size that the claim requests, a quantity of bytes. It includes the file system overhead that CDI adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// Capacity of the bound volume, a quantity of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// Last error of the importer. It stays while the importer restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Effective reclaim policy: `Delete` or `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<String>,
    /// Generation in use. A restore gives a disk another claim, with the next number. Absent for a disk with one claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Claims with other generations of the disk, the newest first. The VM does not use them, and the operator never deletes
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_generations: Vec<GenerationStatus>,
}

/// A generation of a disk that the VM does not use.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStatus {
    /// Number of the generation.
    pub generation: u32,
    /// Name of the PersistentVolumeClaim.
    pub pvc_name: String,
    /// Size of the disk in this generation, a quantity of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// WukongRestore that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
}

/// Difference between the spec and the running VM.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct PendingChange {
    /// Field of the spec.
    pub path: String,
    /// Value in the running VM. Absent for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Value in the spec. Absent for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// How the change takes effect: `in place`, `hot-plug`, `hot-unplug`, `needs restart`, `power off`, `first boot only`,
    /// `refused` or `destroys data`.
    pub effect: String,
}

/// Configuration that an instance was started with.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StartedWith {
    /// Uid of the VirtualMachineInstance.
    pub instance: String,
    /// Hash over the template and the networks of the VirtualMachine. Empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub configuration: String,
    /// Hash over the resources and placement that its pod requires of a node.
    pub placement: String,
    /// Hash over the NetworkAttachmentDefinition of each NIC at the time when the pod was attached, by NIC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, String>,
}

/// Settings that cloud-init applied on the first boot.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FirstBoot {
    /// Uid of the claim that it booted from.
    pub disk: String,
    /// Hash over each field of the spec that cloud-init applies, by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// Object that the operator created.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ResourceStatus {
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// Hash over the fields that the operator applied.
    pub hash: String,
}

/// Times at which the VM first reached each milestone.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Timings {
    /// Time when all objects existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Time when the guest ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Time>,
    /// Time when the Wukong was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Time>,
}
