//! `WukongRestore`: gives disks of a VM earlier content.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::AsRefStr;

use crate::status::Blocker;

/// Restore of disks. It runs once and cannot change after its creation.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
#[kube(
    group = "vm.novasphere.dev",
    version = "v1alpha1",
    kind = "WukongRestore",
    plural = "wukongrestores",
    shortname = "wkrestore",
    namespaced,
    status = "WukongRestoreStatus",
    derive = "PartialEq",
    doc = "Gives disks of a Wukong the content of a snapshot, or of an earlier generation. The VM keeps its identity; the present content stays in its claim, and another restore brings it back.",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label: at most 63 characters and no dots"),
    printcolumn(name = "Wukong", type_ = "string", json_path = ".spec.wukongName"),
    printcolumn(name = "Snapshot", type_ = "string", json_path = ".spec.snapshotName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.blocker.reason"),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completionTime")
)]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a restore cannot change: create another one"),
    validation = Rule::new("has(self.snapshotName) != has(self.fromGeneration)")
        .message("set either snapshotName or fromGeneration")
)]
pub struct WukongRestoreSpec {
    /// Name of the Wukong in the namespace of the restore.
    #[schemars(length(min = 1, max = 63))]
    pub wukong_name: String,

    /// Name of a WukongSnapshot of this Wukong. Each restored disk gets a new claim with the content of the snapshot.
    /// Excludes `fromGeneration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub snapshot_name: Option<String>,

    /// Number of an existing generation of the disks (`status.volumes[].otherGenerations` of the Wukong). Excludes
    /// `snapshotName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub from_generation: Option<u32>,

    /// Names of the disks to restore. Default: all disks that the snapshot has, or that have this generation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub disks: Vec<String>,

    /// Whether the operator stops the VM for the restore, with its termination grace period. Default false: the restore waits
    /// until the VM is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<bool>,

    /// Whether a VM that the operator stopped for the restore is started again, as it ran before. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<bool>,
}

/// Observed state of the restore.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WukongRestoreStatus {
    /// Summary of the conditions in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<RestorePhase>,
    /// Disks of the restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub volumes: Vec<RestoreVolume>,
    /// Time when the VM had its restored disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Conditions in causal order: a later one depends on the earlier ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// Cause that keeps the restore from its end. Absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocker: Option<Blocker>,
}

/// Summary of the conditions of a restore in one word.
#[derive(JsonSchema, AsRefStr, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RestorePhase {
    /// It waits for the snapshot or for another restore.
    Pending,
    /// The claims with the restored content are being made.
    Preparing,
    /// It waits until the VM is off, and then changes its disks.
    Switching,
    /// The VM has its restored disks.
    Succeeded,
    /// It failed, for good. The disks are as they were.
    Failed,
}

/// A disk of a restore.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct RestoreVolume {
    /// Name of the disk.
    pub name: String,
    /// Claim of the disk before the restore.
    pub from: String,
    /// Claim of the disk after the restore.
    pub to: String,
}
