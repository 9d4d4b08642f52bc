//! What the simulator knows of the cluster: the objects that it watches, and what it wants to change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::field::Field;
use crate::reality::{Guest, Import, Reality};

/// The kinds that take part in the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Cdi,
    Claim,
    CsiDriver,
    CsiNode,
    DaemonSet,
    DataSource,
    DataVolume,
    Enactment,
    KubeVirt,
    Migration,
    Namespace,
    Nad,
    Node,
    NodeNetwork,
    NodePolicy,
    Pod,
    Secret,
    StorageClass,
    StorageProfile,
    Vm,
    Vmi,
    Wukong,
}

impl Kind {
    pub const ALL: [Self; 22] = [
        Self::Cdi,
        Self::Claim,
        Self::CsiDriver,
        Self::CsiNode,
        Self::DaemonSet,
        Self::DataSource,
        Self::DataVolume,
        Self::Enactment,
        Self::KubeVirt,
        Self::Migration,
        Self::Namespace,
        Self::Nad,
        Self::Node,
        Self::NodeNetwork,
        Self::NodePolicy,
        Self::Pod,
        Self::Secret,
        Self::StorageClass,
        Self::StorageProfile,
        Self::Vm,
        Self::Vmi,
        Self::Wukong,
    ];

    pub fn resource(self) -> Resource {
        let (group, version, kind, plural) = match self {
            Self::Cdi => ("cdi.kubevirt.io", "v1beta1", "CDI", "cdis"),
            Self::Claim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::CsiDriver => ("storage.k8s.io", "v1", "CSIDriver", "csidrivers"),
            Self::CsiNode => ("storage.k8s.io", "v1", "CSINode", "csinodes"),
            Self::DaemonSet => ("apps", "v1", "DaemonSet", "daemonsets"),
            Self::DataSource => ("cdi.kubevirt.io", "v1beta1", "DataSource", "datasources"),
            Self::DataVolume => ("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes"),
            Self::KubeVirt => ("kubevirt.io", "v1", "KubeVirt", "kubevirts"),
            Self::Migration => (
                "kubevirt.io",
                "v1",
                "VirtualMachineInstanceMigration",
                "virtualmachineinstancemigrations",
            ),
            Self::Namespace => ("", "v1", "Namespace", "namespaces"),
            Self::Nad => (
                "k8s.cni.cncf.io",
                "v1",
                "NetworkAttachmentDefinition",
                "network-attachment-definitions",
            ),
            Self::Node => ("", "v1", "Node", "nodes"),
            Self::NodeNetwork => (
                "nmstate.io",
                "v1beta1",
                "NodeNetworkState",
                "nodenetworkstates",
            ),
            Self::NodePolicy => (
                "nmstate.io",
                "v1",
                "NodeNetworkConfigurationPolicy",
                "nodenetworkconfigurationpolicies",
            ),
            Self::Enactment => (
                "nmstate.io",
                "v1beta1",
                "NodeNetworkConfigurationEnactment",
                "nodenetworkconfigurationenactments",
            ),
            Self::Pod => ("", "v1", "Pod", "pods"),
            Self::Secret => ("", "v1", "Secret", "secrets"),
            Self::StorageClass => ("storage.k8s.io", "v1", "StorageClass", "storageclasses"),
            Self::StorageProfile => (
                "cdi.kubevirt.io",
                "v1beta1",
                "StorageProfile",
                "storageprofiles",
            ),
            Self::Vm => ("kubevirt.io", "v1", "VirtualMachine", "virtualmachines"),
            Self::Vmi => (
                "kubevirt.io",
                "v1",
                "VirtualMachineInstance",
                "virtualmachineinstances",
            ),
            Self::Wukong => ("vm.novasphere.dev", "v1alpha1", "Wukong", "wukongs"),
        };
        Resource {
            group,
            version,
            kind,
            plural,
        }
    }

    pub fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Cdi
                | Self::CsiDriver
                | Self::CsiNode
                | Self::Enactment
                | Self::Namespace
                | Self::Node
                | Self::NodeNetwork
                | Self::NodePolicy
                | Self::StorageClass
                | Self::StorageProfile
        )
    }

    /// Whether status is a subresource of its own, as it is of most kinds.
    pub fn has_status_subresource(self) -> bool {
        !matches!(self, Self::Cdi | Self::Vmi)
    }
}

/// How the API server knows a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
}

impl Resource {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// Kind, namespace (empty for cluster-scoped objects) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl Ref {
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The objects, as last heard of.
#[derive(Clone, Debug, Default)]
pub struct World {
    objects: BTreeMap<Ref, Arc<Value>>,
    served: BTreeSet<Kind>,
    /// What was seen of guests and imports; `None` when they are simulated.
    pub reality: Option<Reality>,
}

impl World {
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Field<'_>> {
        let object = self.objects.get(&Ref::new(kind, namespace, name))?;
        Some(Field::new("", object))
    }

    /// The objects of a kind in a namespace, in the order of their names.
    pub fn list<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.objects
            .range(Ref::new(kind, namespace, "")..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, object)| Field::new("", object))
    }

    pub fn refs(&self, kind: Kind) -> impl Iterator<Item = &Ref> {
        self.objects
            .range(Ref::new(kind, "", "")..)
            .take_while(move |(key, _)| key.kind == kind)
            .map(|(key, _)| key)
    }

    /// Notes that the API server serves a kind.
    pub fn note_served(&mut self, kind: Kind) {
        self.served.insert(kind);
    }

    /// Whether the API server was seen to serve a kind.
    pub fn serves(&self, kind: Kind) -> bool {
        self.served.contains(&kind)
    }

    /// Takes an object in, unless a newer version of it is known. Says whether it is news.
    pub fn insert(&mut self, key: Ref, object: Value) -> bool {
        let newer = |old: &Arc<Value>| version(&object) > version(old) || uid(&object) != uid(old);
        if self.objects.get(&key).is_some_and(|old| !newer(old)) {
            return false;
        }
        self.objects.insert(key, Arc::new(object));
        true
    }

    pub fn remove(&mut self, key: &Ref) {
        self.objects.remove(key);
    }

    /// The real guest of an instance, as far as anything was seen of it.
    pub fn guest(&self, vmi: &Field<'_>) -> Option<&Guest> {
        self.reality.as_ref()?.guest(vmi)
    }

    /// The real import into a claim, as far as anything was seen of it.
    pub fn import(&self, claim: &Field<'_>) -> Option<&Import> {
        self.reality.as_ref()?.import(claim)
    }
}

fn version(object: &Value) -> u64 {
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str);
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}
