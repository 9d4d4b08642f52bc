//! `WukongSnapshot`: the content of all disks of a VM at one point in time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::AsRefStr;

use crate::status::Blocker;

/// Snapshot of a virtual machine. It cannot change after its creation.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
#[kube(
    group = "vm.novasphere.dev",
    version = "v1alpha1",
    kind = "WukongSnapshot",
    plural = "wukongsnapshots",
    shortname = "wksnap",
    namespaced,
    status = "WukongSnapshotStatus",
    derive = "PartialEq",
    doc = "The content of all disks of a Wukong at one point in time. Deleting the Wukong keeps its snapshots.",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label: at most 63 characters and no dots"),
    printcolumn(name = "Wukong", type_ = "string", json_path = ".spec.wukongName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Ready", type_ = "boolean", json_path = ".status.readyToUse"),
    printcolumn(name = "Consistency", type_ = "string", json_path = ".status.consistency"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.blocker.reason"),
    printcolumn(name = "Taken", type_ = "date", json_path = ".status.creationTime")
)]
#[x_kube(validation = Rule::new("self == oldSelf").message("a snapshot cannot change: create another one"))]
pub struct WukongSnapshotSpec {
    /// Name of the Wukong in the namespace of the snapshot.
    #[schemars(length(min = 1, max = 63))]
    pub wukong_name: String,

    /// Snapshots of the disks after the deletion of the WukongSnapshot: `Delete` or `Retain`. Default `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// Time after which a snapshot that is not complete has failed, such as `90s` or `10m`; `0s` for no limit. While a
    /// snapshot is taken, the power state and the disks of the VM cannot change. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = r"^([0-9]+(h|m|s))+$"))]
    pub failure_deadline: Option<String>,

    /// Whether a snapshot without all disks of the Wukong is a success. Default false: a disk without a snapshot makes the
    /// snapshot fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_partial: Option<bool>,
}

/// Snapshots of the disks after the deletion of the WukongSnapshot.
#[derive(JsonSchema, AsRefStr, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// They are deleted.
    Delete,
    /// They stay.
    Retain,
}

/// Observed state of the snapshot.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WukongSnapshotStatus {
    /// Summary of the conditions in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<SnapshotPhase>,
    /// Name of the VirtualMachineSnapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// Point in time of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<Time>,
    /// Whether disks can be restored from it. A driver may need time to upload a snapshot after it is taken.
    #[serde(default)]
    pub ready_to_use: bool,
    /// State of the file systems: `FileSystem`, `Crash` or `Offline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// Disks of the Wukong, in the order of its spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<SnapshotVolume>,
    /// Spec of the Wukong when the snapshot was requested, without passwords and their hashes. `kubectl wukong restore` shows
    /// what has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub spec: Option<Value>,
    /// Error of KubeVirt or the driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Conditions in causal order: a later one depends on the earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cause that keeps the snapshot from being ready. Absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
}

/// Summary of the conditions of a snapshot in one word.
#[derive(JsonSchema, AsRefStr, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SnapshotPhase {
    /// It waits for the VM.
    Pending,
    /// It is being taken.
    Creating,
    /// It is taken.
    Succeeded,
    /// It failed, for good.
    Failed,
}

/// State of the file systems in a snapshot.
#[derive(JsonSchema, AsRefStr, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Consistency {
    /// The guest agent stopped writes: programs of the guest see a clean file system.
    FileSystem,
    /// The guest ran without a guest agent, or the agent did not answer: a restored guest starts as after a power failure.
    Crash,
    /// The VM was off.
    Offline,
}

/// A disk in a snapshot.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct SnapshotVolume {
    /// Name of the disk.
    pub name: String,
    /// Whether the snapshot has the disk.
    pub included: bool,
    /// Reason for its absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Size of the disk at that time, a quantity of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
}
