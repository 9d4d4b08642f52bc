//! The cluster that VMs run on: the facts of its nodes, KubeVirt, storage, networks and limits.

pub mod addresses;
pub(crate) mod bridges;
pub(crate) mod demand;
pub(crate) mod nodes;
pub mod platform;
pub(crate) mod provisioners;

pub use demand::launcher_memory;
pub use platform::Platform;
pub use provisioners::is_in_cluster;

use crate::facts::{
    CdiFact, CrdFact, CsiNodeFact, DaemonSetFact, DeploymentFact, EnactmentFact, KubeVirtFact,
    LimitRangeFact, NamespaceFact, NodeFact, NodeNetworkFact, NodePolicyFact, ObjectFact, PodFact,
    Presence, QuotaFact, ServiceFact, StorageClassFact, StorageProfileFact, Store,
    WebhookConfigurationFact,
};
use addresses::Addresses;

/// The facts of the cluster besides the children of Wukongs. Their size grows with the nodes of the cluster, a few
/// kilobytes each, and not with its VMs, except for the addresses in specs.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Whether VirtualMachines can be made.
    pub virtual_machines: Presence,
    /// Whether DataVolumes can be made.
    pub data_volumes: Presence,
    /// Whether NetworkAttachmentDefinitions can be made.
    pub nads: Presence,
    /// The CustomResourceDefinition of the Wukongs ([`crate::facts::CRD`]).
    pub own_crds: Store<CrdFact>,
    /// The KubeVirt resource.
    pub kubevirts: Store<KubeVirtFact>,
    /// KubeVirt's own pods.
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
    /// The results of these policies on each node; known only where the operator makes bridges on nodes.
    pub enactments: Store<EnactmentFact>,
    /// ResourceQuotas.
    pub quotas: Store<QuotaFact>,
    /// LimitRanges.
    pub limit_ranges: Store<LimitRangeFact>,
    /// Namespaces. Known only to who reads one cluster once, like the four kinds below.
    pub namespaces: Store<NamespaceFact>,
    /// Deployments in the namespaces of KubeVirt, CDI, the operator and webhooks.
    pub deployments: Store<DeploymentFact>,
    /// Services that webhooks name.
    pub services: Store<ServiceFact>,
    /// ValidatingWebhookConfigurations.
    pub validating_webhooks: Store<WebhookConfigurationFact>,
    /// MutatingWebhookConfigurations.
    pub mutating_webhooks: Store<WebhookConfigurationFact>,
    /// MACs and addresses in the specs of Wukongs.
    pub addresses: Addresses,
}

/// Whether a DaemonSet of this name belongs in [`Environment::multus`]. (`kube-multus-ds`, `multus`,
/// `rke2-multus`, `kube-multus-ds-amd64`, ...)
pub fn is_multus(name: &str) -> bool {
    name.contains("multus")
}

/// Whether a pod of this name belongs in [`Environment::provisioner_pods`].
pub fn is_provisioner(name: &str) -> bool {
    provisioners::IN_CLUSTER_PROVISIONERS
        .iter()
        .any(|(_, pod)| name.starts_with(pod))
}

impl Environment {
    /// Whether every kind that the operator always watches is listed, is not served, or may not be read.
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

    /// The CRD of the Wukongs, if the operator may read it.
    pub(crate) fn own_crd(&self) -> Option<&CrdFact> {
        self.own_crds.get("", crate::facts::CRD).present()
    }

    /// Name and namespace of the KubeVirt resource, or those that it usually has.
    pub(crate) fn kubevirt_name(&self) -> (&str, &str) {
        self.kubevirt()
            .map_or(("kubevirt", "kubevirt"), |kubevirt| {
                (&kubevirt.meta.name, &kubevirt.meta.namespace)
            })
    }

    /// The KubeVirt resource.
    pub(crate) fn kubevirt(&self) -> Option<&KubeVirtFact> {
        self.kubevirts.iter().next()
    }
}
