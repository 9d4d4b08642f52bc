//! The objects of a cluster with many VMs, made when they are requested.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

/// Namespace of all VMs.
pub const NAMESPACE: &str = "shop";

/// The cluster.
#[derive(Clone, Copy, Debug)]
pub struct Cluster {
    /// Number of Wukongs, each with all its objects.
    pub wukongs: usize,
    /// Number of pods of other programs.
    pub foreign_pods: usize,
    /// Provisioner of the storage class.
    pub provisioner: &'static str,
}

/// Kinds of which each Wukong has one object, with group and version.
pub const GROWING: [(&str, &str); 11] = [
    ("vm.novasphere.dev/v1alpha1", "wukongs"),
    ("kubevirt.io/v1", "virtualmachines"),
    ("kubevirt.io/v1", "virtualmachineinstances"),
    ("kubevirt.io/v1", "virtualmachineinstancemigrations"),
    ("snapshot.kubevirt.io/v1beta1", "virtualmachinesnapshots"),
    ("cdi.kubevirt.io/v1beta1", "datavolumes"),
    ("v1", "persistentvolumeclaims"),
    ("v1", "persistentvolumes"),
    ("v1", "events"),
    ("v1", "pods"),
    ("k8s.cni.cncf.io/v1", "network-attachment-definitions"),
];

/// The other kinds, with group and version.
const FIXED: [(&str, &str); 22] = [
    ("vm.novasphere.dev/v1alpha1", "wukongpolicies"),
    ("kubevirt.io/v1", "kubevirts"),
    ("snapshot.kubevirt.io/v1beta1", "virtualmachinerestores"),
    ("snapshot.storage.k8s.io/v1", "volumesnapshots"),
    ("cdi.kubevirt.io/v1beta1", "datasources"),
    ("cdi.kubevirt.io/v1beta1", "cdis"),
    ("cdi.kubevirt.io/v1beta1", "storageprofiles"),
    ("storage.k8s.io/v1", "storageclasses"),
    ("storage.k8s.io/v1", "csidrivers"),
    ("storage.k8s.io/v1", "csinodes"),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    ("v1", "nodes"),
    ("v1", "namespaces"),
    ("v1", "services"),
    ("v1", "resourcequotas"),
    ("v1", "limitranges"),
    ("apps/v1", "daemonsets"),
    ("apps/v1", "deployments"),
    ("nmstate.io/v1beta1", "nodenetworkstates"),
    ("nmstate.io/v1", "nodenetworkconfigurationpolicies"),
    (
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "mutatingwebhookconfigurations",
    ),
];

/// The plurals of a group and version.
pub fn served(version: &str) -> Vec<&'static str> {
    let kinds = GROWING.iter().chain(&FIXED);
    let of_version = kinds.filter(|(known, _)| *known == version);
    of_version.map(|(_, plural)| *plural).collect()
}

/// Name of a Wukong.
pub fn wukong(index: usize) -> String {
    format!("web-{index}")
}

/// Address of a Wukong.
pub fn address(index: usize) -> String {
    format!(
        "10.{}.{}.{}",
        1 + index / 62_500,
        index / 250 % 250,
        1 + index % 250
    )
}

/// Identity of an object.
#[derive(Debug)]
pub struct Identity {
    pub name: String,
    pub namespace: Option<&'static str>,
    pub labels: BTreeMap<&'static str, String>,
}

const KUBEVIRT: [&str; 4] = [
    "virt-api",
    "virt-controller",
    "virt-handler",
    "virt-operator",
];

impl Cluster {
    /// Number of objects of a kind.
    pub fn count(&self, plural: &str) -> usize {
        match plural {
            "pods" => self.wukongs + KUBEVIRT.len() + self.foreign_pods,
            _ if GROWING.iter().any(|(_, growing)| *growing == plural) => self.wukongs,
            "kubevirts" | "cdis" | "storageclasses" | "csidrivers" | "namespaces" => 1,
            "nodes" | "csinodes" => 3,
            "deployments" => 2,
            _ => 0,
        }
    }

    /// Identity of an object of a kind.
    pub fn identity(&self, plural: &str, index: usize) -> Identity {
        let of = |name: String, namespace| Identity {
            name,
            namespace,
            labels: BTreeMap::new(),
        };
        let wukong = wukong(index);
        let here = Some(NAMESPACE);
        match plural {
            "pods" if index < self.wukongs => Identity {
                labels: [
                    ("kubevirt.io", "virt-launcher".into()),
                    ("vm.kubevirt.io/name", wukong.clone()),
                ]
                .into(),
                ..of(format!("virt-launcher-{wukong}-x7k2p"), here)
            },
            "pods" => match KUBEVIRT.get(index - self.wukongs) {
                Some(name) => Identity {
                    labels: [("kubevirt.io", (*name).to_owned())].into(),
                    ..of(format!("{name}-0"), Some("kubevirt"))
                },
                None => of(format!("app-{index}"), Some("apps")),
            },
            "datavolumes" | "persistentvolumeclaims" => of(format!("{wukong}.root"), here),
            "persistentvolumes" => of(format!("pv-{index}"), None),
            "network-attachment-definitions" => of(
                wukong_api::names::network_attachment_definition(&wukong, "lan"),
                here,
            ),
            "events" => of(format!("{wukong}.17a"), here),
            "virtualmachineinstancemigrations" => Identity {
                labels: [("kubevirt.io/vmi-name", wukong.clone())].into(),
                ..of(format!("{wukong}-migration"), here)
            },
            "virtualmachinesnapshots" => of(format!("{wukong}-nightly"), here),
            "wukongs" | "virtualmachines" | "virtualmachineinstances" => of(wukong, here),
            "kubevirts" => of("kubevirt".into(), Some("kubevirt")),
            "deployments" => Identity {
                labels: [("kubevirt.io", KUBEVIRT[index].to_owned())].into(),
                ..of(KUBEVIRT[index].into(), Some("kubevirt"))
            },
            "namespaces" => of(NAMESPACE.into(), None),
            "storageclasses" => of("fast".into(), None),
            "csidrivers" => of("fast.example".into(), None),
            "nodes" | "csinodes" => of(format!("node-{index}"), None),
            _ => of("cdi".into(), None),
        }
    }

    /// An object of a kind.
    pub fn object(&self, plural: &str, index: usize, metadata_only: bool) -> Value {
        let Identity {
            name,
            namespace,
            labels,
        } = self.identity(plural, index);
        let owner = |kind: &str, name: String| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": format!("{kind}-{index}"), "controller": true}]);
        let mut object = json!({"metadata": {
            "name": name, "namespace": namespace, "labels": labels, "uid": format!("{plural}-{index}"),
            "resourceVersion": format!("{}", 1000 + index), "creationTimestamp": "2026-01-20T12:00:00Z",
            "managedFields": [{"manager": "some-controller", "operation": "Update", "time": "2026-01-20T12:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": MANAGED}],
        }});
        if metadata_only {
            return object;
        }
        let wukong = wukong(index);
        let body = match plural {
            "wukongs" => {
                json!({"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "spec": spec(index), "status": status(index)})
            }
            "virtualmachines" => {
                json!({"spec": {"runStrategy": "Always", "template": MACHINE}, "status": {"printableStatus": "Running", "ready": true}})
            }
            "virtualmachineinstances" => {
                json!({"spec": MACHINE, "status": {"phase": "Running", "nodeName": "node-1", "conditions": [{"type": "Ready", "status": "False"}]}})
            }
            "datavolumes" => {
                json!({"spec": {"source": {"blank": {}}}, "status": {"phase": "Succeeded"}})
            }
            "persistentvolumeclaims" => {
                json!({"spec": {"storageClassName": "fast", "volumeName": format!("pv-{index}")}, "status": {"phase": "Bound"}})
            }
            "events" => json!({
                "type": "Warning", "reason": "SyncFailed", "message": "server error. command SyncVMI failed: ".repeat(8),
                "involvedObject": {"kind": "VirtualMachineInstance", "namespace": NAMESPACE, "name": wukong},
                "lastTimestamp": "2026-01-20T12:00:00Z", "count": 3,
            }),
            "virtualmachineinstancemigrations" => {
                json!({"spec": {"vmiName": wukong}, "status": {"phase": "Succeeded"}})
            }
            "virtualmachinesnapshots" => {
                json!({"spec": {"source": {"kind": "VirtualMachine", "name": wukong}}, "status": {"phase": "Succeeded", "virtualMachineSnapshotContentName": MACHINE}})
            }
            "pods" => {
                json!({"spec": MACHINE, "status": {"phase": "Running", "containerStatuses": [{"name": "compute", "ready": true, "state": {"running": {}}}]}})
            }
            "kubevirts" => {
                json!({"spec": {"configuration": {}}, "status": {"phase": "Deployed", "conditions": [{"type": "Available", "status": "True"}]}})
            }
            "storageclasses" => json!({"provisioner": self.provisioner}),
            "nodes" => json!({"spec": {}, "status": {
                "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "500", "devices.kubevirt.io/kvm": "1000", "devices.kubevirt.io/tun": "1000", "devices.kubevirt.io/vhost-net": "1000"},
                "conditions": [{"type": "Ready", "status": "True"}],
            }}),
            _ => json!({"spec": {}, "status": {}}),
        };
        if let (Some(object), Value::Object(body)) = (object.as_object_mut(), body) {
            object.extend(body);
        }
        let controller = match plural {
            "virtualmachines" | "datavolumes" | "network-attachment-definitions" => Some(
                json!([{"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "name": wukong, "uid": format!("wukongs-{index}"), "controller": true}]),
            ),
            "persistentvolumeclaims" => Some(owner("datavolumes", format!("{wukong}.root"))),
            _ => None,
        };
        if let Some(controller) = controller {
            object["metadata"]["ownerReferences"] = controller;
        }
        object
    }
}

/// The spec of a Wukong with a disk and a static address.
pub fn spec(index: usize) -> Value {
    json!({
        "cpu": 2, "memory": "4Gi", "osImage": "ubuntu:24.04",
        "disks": [{"name": "root", "size": "20Gi", "storageClassName": "fast"}],
        "networks": [
            {"name": "lan", "type": "bridge", "bridgeName": "br-lan", "ipConfig": {"mode": "static", "address": format!("{}/8", address(index))}},
        ],
    })
}

fn status(index: usize) -> Value {
    json!({
        "phase": "Running", "observedGeneration": 1, "nodeName": "node-1", "conditions": CONDITIONS,
        "networks": [{"name": "lan", "ipAddress": address(index), "macAddress": "02:00:00:00:00:01"}],
    })
}

/// Stand for large parts that are the same in all objects: [`with_parts`] puts them in.
const CONDITIONS: &str = "@conditions";
const MACHINE: &str = "@machine";
const MANAGED: &str = "@managed";

/// As many conditions as a VM has; a large template, as VMs and pods have; fields of a manager, as the API server stores them.
static PARTS: LazyLock<[(String, String); 3]> = LazyLock::new(|| {
    let condition = |number: usize| {
        json!({
            "type": format!("Condition{number}"), "status": "True", "reason": "Available", "observedGeneration": 1,
            "message": "A message of a usual length that says what the operator has observed of the VM and its objects",
            "lastTransitionTime": "2026-01-20T12:00:00Z",
        })
    };
    let device = |number: usize| json!({"name": format!("device-{number}"), "disk": {"bus": "virtio"}, "cache": "none"});
    let field = |number: usize| {
        (
            format!("f:field{number}"),
            json!({"f:nested": {"f:value": {}}}),
        )
    };
    let parts = [
        (
            CONDITIONS,
            json!((0..13).map(condition).collect::<Vec<_>>()),
        ),
        (
            MACHINE,
            json!({"domain": {"devices": {"disks": (0..40).map(device).collect::<Vec<_>>()}}}),
        ),
        (MANAGED, Value::Object((0..40).map(field).collect())),
    ];
    parts.map(|(name, part)| (format!("\"{name}\""), part.to_string()))
});

/// The text of an object, with its large parts.
pub fn with_parts(object: &Value) -> String {
    let text = object.to_string();
    PARTS
        .iter()
        .fold(text, |text, (name, part)| text.replace(name, part))
}
