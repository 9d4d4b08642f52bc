//! `status`: what became of the wish.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display};

/// What became of the wish.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
pub struct WukongStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for the conditions below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Name of the VirtualMachine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// Node that the VM runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// What holds, in causal order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The one cause for which the VM is not as asked; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
    /// The NICs, the one on the pod network first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub networks: Vec<NetworkStatus>,
    /// The disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<VolumeStatus>,
    /// Changes of the spec that the running VM does not have yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_changes: Vec<PendingChange>,
    /// The objects that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStatus>,
    /// What the instance was started with: whatever differs by now waits for a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_with: Option<StartedWith>,
    /// What the guest was told on its first boot: cloud-init heeds nothing that comes later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_boot: Option<FirstBoot>,
    /// When the VM reached its milestones for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
}

/// One word for the conditions.
#[derive(
    AsRefStr, JsonSchema, Clone, Copy, Debug, Deserialize, Display, Eq, PartialEq, Serialize,
)]
pub enum Phase {
    /// Nothing was made yet: the manifest or something that it names stands in the way.
    Pending,
    /// Disks and networks are being made.
    Creating,
    /// The VM is being started.
    Starting,
    /// The guest runs.
    Running,
    /// The guest's CPUs are stopped.
    Paused,
    /// The guest is being shut down.
    Stopping,
    /// The guest does not run, as asked.
    Stopped,
    /// The guest moves to another node.
    Migrating,
    /// Something failed that does not mend itself.
    Error,
    /// The Wukong is being deleted.
    Deleting,
}

/// The one cause for which the VM is not as asked.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Blocker {
    /// The condition that it keeps from being true.
    pub condition: String,
    /// The reason of that condition.
    pub reason: String,
    /// The object that it is about, as `Kind/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What is the matter.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Since when.
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

/// A NIC as it is now.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
    /// Name of the NIC.
    pub name: String,
    /// Its name in the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Its first address, without prefix length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// All its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// The addresses that the spec asks for, with prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intended: Vec<String>,
    /// Its MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    /// Its NetworkAttachmentDefinition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nad_name: Option<String>,
    /// Who told the addresses: `domain`, `guest-agent`, `multus-status`, as KubeVirt says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A disk as it is now.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// Name of the disk.
    pub name: String,
    /// Its claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc_name: Option<String>,
    /// Whether the claim is bound.
    #[serde(default)]
    pub bound: bool,
    /// Size as the spec asks for it, a quantity of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Phase of the DataVolume, or of the claim where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Progress of the import, such as `42.0%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Size that the claim requests, a quantity of bytes; CDI adds the overhead of a file system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// Size that the claim has, a quantity of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<String>,
    /// What the importer said when it failed, kept while it is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What happens to the data when the Wukong is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<String>,
}

/// A change of the spec that the running VM does not have yet.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct PendingChange {
    /// Field of the spec.
    pub path: String,
    /// What the running VM has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// What the spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// What it takes: `in place`, `hot-plug`, `needs restart`, `power off`, `first boot only`, `refused` or
    /// `destroys data`.
    pub effect: String,
}

/// What an instance was started with.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct StartedWith {
    /// Uid of the VirtualMachineInstance.
    pub instance: String,
    /// Hash over the VirtualMachine's template and its networks; empty when it was not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub configuration: String,
    /// Hash over what its pod asks of a node.
    pub placement: String,
    /// Hash over the NetworkAttachmentDefinition of each NIC, as it was when the pod was attached to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, String>,
}

/// What a guest was told on its first boot.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FirstBoot {
    /// Uid of the claim that it booted from.
    pub disk: String,
    /// Hash over each field of the spec that cloud-init carries out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// An object that was made.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct ResourceStatus {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Hash over what was asked for.
    pub hash: String,
}

/// When the VM reached its milestones for the first time.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Timings {
    /// All objects existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// The guest ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Time>,
    /// The Wukong was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Time>,
}
