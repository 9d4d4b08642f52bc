//! The cluster that VMs are to run on: what is known of it, what is wrong with it, and what to do about that.
//!
//! [`preflight`] walks the table of [`rules`] in causal order. Each rule is data (condition, reason, severity, words,
//! what to do) with a predicate over the [`Environment`]; a rule that depends on one that failed is not judged, so that a
//! consequence is never blamed for its cause.

pub mod addresses;
pub(crate) mod bridges;
mod check;
mod demand;
pub mod events;
pub mod facts;
pub mod migration;
pub(crate) mod nodes;
pub mod platform;
mod policies;
pub mod rules;
pub mod scheduler;

pub use check::{Check, CheckStatus, environment_verdict, preflight};
pub(crate) use check::{checks, deciding, emulation, environment_ready, of_manifest};
pub use demand::launcher_memory;
pub use platform::Platform;
pub use policies::policies;

use addresses::Addresses;
use facts::{
    CdiFact, CrdFact, CsiNodeFact, DaemonSetFact, EnactmentFact, KubeVirtFact, LimitRangeFact,
    NodeFact, NodeNetworkFact, NodePolicyFact, PodFact, QuotaFact, StorageProfileFact,
};

use crate::facts::{ObjectFact, StorageClassFact};
use crate::store::{Presence, Store};

/// Label selector of the pods in [`Environment::kubevirt_pods`], in any namespace.
pub const KUBEVIRT_PODS: &str =
    "kubevirt.io in (virt-api,virt-controller,virt-handler,virt-operator)";

/// Everything that is known of the cluster besides the children of Wukongs. It grows with the nodes of the cluster, a
/// few kilobytes each, and not with its VMs, but for the addresses that manifests name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Whether VirtualMachines can be made.
    pub virtual_machines: Presence,
    /// Whether DataVolumes can be made.
    pub data_volumes: Presence,
    /// Whether NetworkAttachmentDefinitions can be made.
    pub nads: Presence,
    /// The CustomResourceDefinition of the Wukongs ([`facts::CRD`]).
    pub own_crds: Store<CrdFact>,
    /// The KubeVirt resource.
    pub kubevirts: Store<KubeVirtFact>,
    /// KubeVirt's own pods ([`KUBEVIRT_PODS`]).
    pub kubevirt_pods: Store<PodFact>,
    /// Nodes.
    pub nodes: Store<NodeFact>,
    /// The CDI resource.
    pub cdis: Store<CdiFact>,
    /// StorageClasses.
    pub storage_classes: Store<StorageClassFact>,
    /// StorageProfiles.
    pub storage_profiles: Store<StorageProfileFact>,
    /// CSIDrivers.
    pub csi_drivers: Store<ObjectFact>,
    /// CSINodes.
    pub csi_nodes: Store<CsiNodeFact>,
    /// Pods of the provisioners that are no CSI drivers ([`is_provisioner`]).
    pub provisioner_pods: Store<PodFact>,
    /// DaemonSets of Multus ([`is_multus`]).
    pub multus: Store<DaemonSetFact>,
    /// NodeNetworkStates.
    pub node_networks: Store<NodeNetworkFact>,
    /// NodeNetworkConfigurationPolicies; known only where bridges are made on nodes.
    pub node_policies: Store<NodePolicyFact>,
    /// What became of them on each node; known only where bridges are made on nodes.
    pub enactments: Store<EnactmentFact>,
    /// ResourceQuotas.
    pub quotas: Store<QuotaFact>,
    /// LimitRanges.
    pub limit_ranges: Store<LimitRangeFact>,
    /// MACs and addresses that Wukongs ask for.
    pub addresses: Addresses,
}

/// Whether a DaemonSet of this name belongs in [`Environment::multus`]. (`kube-multus-ds`, `multus`,
/// `rke2-multus`, `kube-multus-ds-amd64`, ...)
pub fn is_multus(name: &str) -> bool {
    name.contains("multus")
}

/// Whether a pod of this name belongs in [`Environment::provisioner_pods`].
pub fn is_provisioner(name: &str) -> bool {
    rules::IN_CLUSTER_PROVISIONERS
        .iter()
        .any(|(_, pod)| name.starts_with(pod))
}

impl Environment {
    /// Whether everything was heard of that is watched all the time, be it that it is not there or not to be seen.
    pub fn is_heard(&self) -> bool {
        [
            self.virtual_machines,
            self.data_volumes,
            self.nads,
            self.kubevirts.presence(),
            self.kubevirt_pods.presence(),
            self.nodes.presence(),
            self.cdis.presence(),
            self.storage_classes.presence(),
            self.storage_profiles.presence(),
            self.csi_drivers.presence(),
            self.csi_nodes.presence(),
            self.multus.presence(),
            self.node_networks.presence(),
            self.quotas.presence(),
            self.limit_ranges.presence(),
        ]
        .iter()
        .all(|presence| *presence != Presence::Unknown)
    }

    /// The CustomResourceDefinition of the Wukongs, where it can be seen.
    pub(crate) fn own_crd(&self) -> Option<&CrdFact> {
        self.own_crds.get("", facts::CRD).present()
    }

    /// The KubeVirt resource.
    fn kubevirt(&self) -> Option<&KubeVirtFact> {
        self.kubevirts.iter().next()
    }
}
