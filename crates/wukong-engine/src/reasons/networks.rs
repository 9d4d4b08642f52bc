//! Reasons for problems of networks.

use wukong_api::ConditionType::{
    DisksSwitched, NetworksConfigured, NodeNetworkReady, ProvisioningReady,
};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};

pub(super) const DOCS: &[ReasonDoc] = &[
    ReasonDoc {
        reason: Reason::Configured,
        severity: Ok,
        conditions: &[NetworksConfigured, NodeNetworkReady, ProvisioningReady],
        meaning: "Every NIC has its NetworkAttachmentDefinition, the nodes have the bridges, and the cloud-init data is complete.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::DegradedToPodNetwork,
        severity: Error,
        conditions: &[NetworksConfigured],
        meaning: "Multus is not installed. The VM runs with the NIC on the pod network only, as `onMissingMultus: PodNetwork` allows.",
        fix: "Install Multus; the operator then plans the NICs. To make the VM wait for Multus instead, set `onMissingMultus: Block`.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::MACConflict,
        severity: Error,
        conditions: &[NetworksConfigured],
        meaning: "Another Wukong has the same `macAddress` on the same network. Two NICs are on the same network if they use the same NetworkAttachmentDefinition of the namespace; or, in any namespace, the same VLAN with the same bridge or the same SR-IOV or macvtap resource. The older Wukong keeps the address. The operator does not create the VM of the younger one. If that VM exists already, it is not changed, and both guests lose traffic while both run.",
        fix: "Set another `macAddress` in one of them, or remove the field: derived MAC addresses are unique. The operator then creates the VM at once. The same happens when the other Wukong is deleted.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::IPConflict,
        severity: Error,
        conditions: &[NetworksConfigured],
        meaning: "Another Wukong has the same static address (`ipConfig.address`, `addresses`) on the same network. Two NICs are on the same network if they use the same NetworkAttachmentDefinition of the namespace; or, in any namespace, the same VLAN with the same bridge or the same SR-IOV or macvtap resource. The older Wukong keeps the address. The operator does not create the VM of the younger one. If that VM exists already, it is not changed.",
        fix: "Set another address in one of them. The operator then creates the VM at once. The same happens when the other Wukong is deleted. If two different networks only share the name of their bridge or resource, set `vlanId`, or rename one of them.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::BridgeMissingOnNodes,
        severity: Error,
        conditions: &[NodeNetworkReady],
        meaning: "A bridge of a network is missing on nodes that the VM can be placed on. The CNI plugin would create it there without an uplink, and the VM would have no connection.",
        fix: "Create the bridge on these nodes, let NMState create it (`nodeNetwork`), or exclude these nodes with `spec.highAvailability`.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::NotManaged,
        severity: Warning,
        conditions: &[NodeNetworkReady],
        meaning: "A network sets `nodeNetwork`, but the operator runs without `--manage-node-networks` and does not change node networks.",
        fix: "Enable node networks for the operator (docs/install.md), or create the bridge with its uplink on the nodes yourself.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::Applying,
        severity: Waiting,
        conditions: &[NodeNetworkReady, DisksSwitched],
        meaning: "NMState is creating a bridge on the nodes. The operator creates the VM afterwards: without the bridge, the CNI plugin would create one without an uplink.",
        fix: "Wait. If this stays for minutes, check `kubectl get nncp,nnce` and the NMState pods on the nodes.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::Degraded,
        severity: Error,
        conditions: &[NodeNetworkReady],
        meaning: "NMState could not create a bridge on a node. The message has the node and NMState's error. NMState stops at the first failure and restores the network of that node. If another node that the VM can be placed on has the bridge, the condition is still true.",
        fix: "Fix the error that NMState reports. The most common cause is a wrong name of the uplink.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::WouldIsolateNode,
        severity: Error,
        conditions: &[NodeNetworkReady],
        meaning: "The uplink of a bridge, or the bridge itself, has an address or the default route of a node. As a port of the bridge, the uplink would lose them, and the node would lose its connection. The operator changed nothing.",
        fix: "Use an uplink that has no address or route of the node.",
        platforms: &[],
    },
];
