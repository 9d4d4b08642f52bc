//! The kinds that runs compare.

use kube::api::{ApiResource, GroupVersionKind};

/// A kind that the operator makes, or that is made for its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Wukong,
    VirtualMachine,
    VirtualMachineInstance,
    DataVolume,
    PersistentVolumeClaim,
    NetworkAttachmentDefinition,
    Secret,
}

impl Kind {
    pub(super) const ALL: [Self; 7] = [
        Self::Wukong,
        Self::VirtualMachine,
        Self::VirtualMachineInstance,
        Self::DataVolume,
        Self::PersistentVolumeClaim,
        Self::NetworkAttachmentDefinition,
        Self::Secret,
    ];

    /// Group, version, kind and plural.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Wukong => ("vm.novasphere.dev", "v1alpha1", "Wukong", "wukongs"),
            Self::VirtualMachine => ("kubevirt.io", "v1", "VirtualMachine", "virtualmachines"),
            Self::VirtualMachineInstance => (
                "kubevirt.io",
                "v1",
                "VirtualMachineInstance",
                "virtualmachineinstances",
            ),
            Self::DataVolume => ("cdi.kubevirt.io", "v1beta1", "DataVolume", "datavolumes"),
            Self::PersistentVolumeClaim => {
                ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
            }
            Self::NetworkAttachmentDefinition => (
                "k8s.cni.cncf.io",
                "v1",
                "NetworkAttachmentDefinition",
                "network-attachment-definitions",
            ),
            Self::Secret => ("", "v1", "Secret", "secrets"),
        }
    }

    /// Name of the kind.
    pub(super) fn name(self) -> &'static str {
        self.names().2
    }

    /// The kind with this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How the API server names a kind.
pub(super) fn api_resource(kind: Kind) -> ApiResource {
    let (group, version, kind, plural) = kind.names();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}
