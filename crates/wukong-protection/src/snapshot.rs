//! The VirtualMachineSnapshot of a WukongSnapshot, and what its result means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::core::ObjectMeta;
use wukong_api::labels;
use wukong_api::protection::{Consistency, DeletionPolicy, WukongSnapshot, WukongSnapshotSpec};

use crate::vm_snapshot::{Source, VirtualMachineSnapshot, VirtualMachineSnapshotSpec};

/// A WukongSnapshot as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Uid.
    pub uid: &'a str,
    /// Spec.
    pub spec: &'a WukongSnapshotSpec,
}

/// Plans the VirtualMachineSnapshot. It has the name of the WukongSnapshot, which controls it: garbage collection deletes both
/// together.
pub fn plan(snapshot: &Stored) -> VirtualMachineSnapshot {
    let spec = snapshot.spec;
    VirtualMachineSnapshot {
        metadata: ObjectMeta {
            name: Some(snapshot.name.to_owned()),
            namespace: Some(snapshot.namespace.to_owned()),
            labels: Some(labels::of_child(&spec.wukong_name)),
            owner_references: Some(vec![OwnerReference {
                api_version: WukongSnapshot::api_version(&()).into_owned(),
                kind: WukongSnapshot::kind(&()).into_owned(),
                name: snapshot.name.to_owned(),
                uid: snapshot.uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: Some(false),
            }]),
            ..ObjectMeta::default()
        },
        spec: VirtualMachineSnapshotSpec {
            source: Source {
                api_group: "kubevirt.io".into(),
                kind: "VirtualMachine".into(),
                name: spec.wukong_name.clone(),
            },
            deletion_policy: spec
                .deletion_policy
                .unwrap_or(DeletionPolicy::Delete)
                .as_ref()
                .to_owned(),
            failure_deadline: spec.failure_deadline.clone(),
        },
    }
}

/// Name of the VolumeSnapshot that KubeVirt makes of a disk.
pub fn volume_snapshot(vm_snapshot_uid: &str, disk: &str) -> String {
    format!("vmsnapshot-{vm_snapshot_uid}-volume-{disk}")
}

/// The state of the file systems, by the indications of KubeVirt. A snapshot of a VM that was off has none.
pub fn consistency<'a>(indications: impl Iterator<Item = &'a str> + Clone) -> Consistency {
    let has = |wanted: &str| indications.clone().any(|indication| indication == wanted);
    let quiet = has("GuestAgent") && !has("QuiesceTimeout") && !has("QuiesceFailed");
    match has("Online") {
        false => Consistency::Offline,
        true if quiet => Consistency::FileSystem,
        true => Consistency::Crash,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kubevirt_gets_the_settings_of_the_snapshot_and_its_owner() {
        let spec: WukongSnapshotSpec = serde_json::from_value(json!({
            "wukongName": "web", "deletionPolicy": "Retain", "failureDeadline": "10m", "allowPartial": true,
        }))
        .unwrap();
        let stored = Stored {
            namespace: "shop",
            name: "before",
            uid: "b1f7",
            spec: &spec,
        };
        assert_eq!(
            serde_json::to_value(plan(&stored)).unwrap(),
            json!({
                "apiVersion": "snapshot.kubevirt.io/v1beta1", "kind": "VirtualMachineSnapshot",
                "metadata": {
                    "name": "before", "namespace": "shop",
                    "labels": {"app.kubernetes.io/managed-by": "wukong-operator", "vm.novasphere.dev/wukong": "web"},
                    "ownerReferences": [{
                        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot", "name": "before", "uid": "b1f7",
                        "controller": true, "blockOwnerDeletion": false,
                    }],
                },
                "spec": {
                    "source": {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "web"},
                    "deletionPolicy": "Retain", "failureDeadline": "10m",
                },
            })
        );
    }

    #[test]
    fn only_an_agent_that_answered_makes_file_systems_consistent() {
        for (indications, expected) in [
            (vec![], Consistency::Offline),
            (vec!["Online", "NoGuestAgent"], Consistency::Crash),
            (vec!["Online", "GuestAgent"], Consistency::FileSystem),
            (
                vec!["Online", "GuestAgent", "QuiesceTimeout"],
                Consistency::Crash,
            ),
            (vec!["Paused", "Online"], Consistency::Crash),
        ] {
            assert_eq!(consistency(indications.into_iter()), expected);
        }
    }
}
