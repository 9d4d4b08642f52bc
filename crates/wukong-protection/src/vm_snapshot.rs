//! The part of KubeVirt's VirtualMachineSnapshot that we plan (`snapshot.kubevirt.io/v1beta1`).

use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// What to take a snapshot of. KubeVirt refuses every change.
#[derive(CustomResource, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "snapshot.kubevirt.io",
    version = "v1beta1",
    kind = "VirtualMachineSnapshot",
    plural = "virtualmachinesnapshots",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct VirtualMachineSnapshotSpec {
    /// The VirtualMachine.
    pub source: Source,
    /// Content after the deletion of the snapshot.
    pub deletion_policy: String,
    /// Time after which it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_deadline: Option<String>,
}

/// The VirtualMachine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `kubevirt.io`.
    pub api_group: String,
    /// `VirtualMachine`.
    pub kind: String,
    /// Its name.
    pub name: String,
}
