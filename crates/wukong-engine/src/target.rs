//! Objects that the operator makes: their kinds and names.

use std::fmt;

use kube::Resource;
use kube::core::ApiResource;
use wukong_api::WukongSnapshot;
use wukong_network::nad::NetworkAttachmentDefinition;
use wukong_network::nmstate::NodeNetworkConfigurationPolicy;
use wukong_protection::vm_snapshot::VirtualMachineSnapshot;
use wukong_storage::data_volume::DataVolume;
use wukong_vm::virtual_machine::VirtualMachine;

/// The kinds that the operator creates.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, strum::AsRefStr, strum::Display,
)]
pub enum Kind {
    /// Cloud-init data.
    Secret,
    /// A network to attach.
    NetworkAttachmentDefinition,
    /// A bridge on nodes, which belongs to no single Wukong.
    NodeNetworkConfigurationPolicy,
    /// A disk with its content.
    DataVolume,
    /// An empty disk where CDI is missing.
    PersistentVolumeClaim,
    /// The virtual machine.
    VirtualMachine,
    /// A snapshot of the virtual machine.
    VirtualMachineSnapshot,
    /// A snapshot that a schedule takes.
    WukongSnapshot,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Secret,
        Self::NetworkAttachmentDefinition,
        Self::NodeNetworkConfigurationPolicy,
        Self::DataVolume,
        Self::PersistentVolumeClaim,
        Self::VirtualMachine,
        Self::VirtualMachineSnapshot,
        Self::WukongSnapshot,
    ];

    /// Whether an object of this kind is a part of a disk.
    pub(crate) fn is_of_disk(self) -> bool {
        matches!(self, Self::DataVolume | Self::PersistentVolumeClaim)
    }

    /// Whether its objects are in the namespace of their Wukong, and not the whole cluster's.
    pub fn is_namespaced(self) -> bool {
        self != Self::NodeNetworkConfigurationPolicy
    }

    /// Group, version, kind and plural.
    pub fn api_resource(self) -> ApiResource {
        use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
        fn of<K: Resource<DynamicType = ()>>() -> ApiResource {
            ApiResource::erase::<K>(&())
        }
        match self {
            Self::Secret => of::<Secret>(),
            Self::NetworkAttachmentDefinition => of::<NetworkAttachmentDefinition>(),
            Self::NodeNetworkConfigurationPolicy => of::<NodeNetworkConfigurationPolicy>(),
            Self::DataVolume => of::<DataVolume>(),
            Self::PersistentVolumeClaim => of::<PersistentVolumeClaim>(),
            Self::VirtualMachine => of::<VirtualMachine>(),
            Self::VirtualMachineSnapshot => of::<VirtualMachineSnapshot>(),
            Self::WukongSnapshot => of::<WukongSnapshot>(),
        }
    }
}

/// A child, in the namespace of its Wukong; or a policy for nodes, which it shares.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}
