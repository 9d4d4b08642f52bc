//! The kinds that are simulated, and references to their objects.

use std::fmt;

/// The kinds that take part in the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// CDI's own resource.
    Cdi,
    /// A PersistentVolumeClaim.
    Claim,
    /// A ConfigMap.
    ConfigMap,
    /// A CSIDriver.
    CsiDriver,
    /// A CSINode.
    CsiNode,
    /// A DaemonSet.
    DaemonSet,
    /// A DataSource of CDI.
    DataSource,
    /// A DataVolume of CDI.
    DataVolume,
    /// The result of a node network policy on one node.
    Enactment,
    /// KubeVirt's own resource.
    KubeVirt,
    /// A LimitRange.
    LimitRange,
    /// A live migration.
    Migration,
    /// A NetworkAttachmentDefinition.
    Nad,
    /// A Namespace.
    Namespace,
    /// A Node.
    Node,
    /// The network state of a node.
    NodeNetwork,
    /// A node network policy of NMState.
    NodePolicy,
    /// A Pod.
    Pod,
    /// A ResourceQuota.
    ResourceQuota,
    /// A Secret.
    Secret,
    /// A StorageClass.
    StorageClass,
    /// CDI's settings for a StorageClass.
    StorageProfile,
    /// A VirtualMachine.
    Vm,
    /// A VirtualMachineSnapshot.
    VmSnapshot,
    /// A VirtualMachineInstance.
    Vmi,
    /// A VolumeSnapshot of a CSI driver.
    VolumeSnapshot,
    /// A Wukong: its annotation names scenarios for all that belongs to it.
    Wukong,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 27] = [
        Self::Cdi,
        Self::Claim,
        Self::ConfigMap,
        Self::CsiDriver,
        Self::CsiNode,
        Self::DaemonSet,
        Self::DataSource,
        Self::DataVolume,
        Self::Enactment,
        Self::KubeVirt,
        Self::LimitRange,
        Self::Migration,
        Self::Nad,
        Self::Namespace,
        Self::Node,
        Self::NodeNetwork,
        Self::NodePolicy,
        Self::Pod,
        Self::ResourceQuota,
        Self::Secret,
        Self::StorageClass,
        Self::StorageProfile,
        Self::Vm,
        Self::VmSnapshot,
        Self::Vmi,
        Self::VolumeSnapshot,
        Self::Wukong,
    ];

    /// The kind of this name in this group and version, if it is simulated.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| {
            let resource = known.resource();
            resource.kind == kind && resource.api_version() == api_version
        })
    }

    /// The names of the kind in the API server.
    pub fn resource(self) -> Resource {
        let (group, version, kind, plural) = match self {
            Self::Cdi => ("cdi.kubevirt.io", "v1beta1", "CDI", "cdis"),
            Self::Claim => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::LimitRange => ("", "v1", "LimitRange", "limitranges"),
            Self::ResourceQuota => ("", "v1", "ResourceQuota", "resourcequotas"),
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
            Self::VmSnapshot => (
                "snapshot.kubevirt.io",
                "v1beta1",
                "VirtualMachineSnapshot",
                "virtualmachinesnapshots",
            ),
            Self::VolumeSnapshot => (
                "snapshot.storage.k8s.io",
                "v1",
                "VolumeSnapshot",
                "volumesnapshots",
            ),
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

    /// Whether its objects are in namespaces.
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

/// The names of a kind in the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// `kind` of its objects.
    pub kind: &'static str,
    /// The name in addresses.
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
    /// Kind.
    pub kind: Kind,
    /// Namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Ref {
    /// A reference to the object of this name.
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
