//! Networks.

use wukong_api::ConditionType::{NetworksConfigured, NodeNetworkReady, ProvisioningReady};
use wukong_api::Reason;

use super::ReasonDoc;
use super::Tone::{Fine, Waits, Worth, Wrong};

pub(super) const CONFIGURED: ReasonDoc = ReasonDoc {
    reason: Reason::Configured,
    tone: Fine,
    conditions: &[NetworksConfigured, NodeNetworkReady, ProvisioningReady],
    meaning: "Every NIC has its NetworkAttachmentDefinition; the bridges are on the nodes; cloud-init has what it needs.",
    fix: "",
    platforms: &[],
};

pub(super) const DEGRADED_TO_POD_NETWORK: ReasonDoc = ReasonDoc {
    reason: Reason::DegradedToPodNetwork,
    tone: Wrong,
    conditions: &[NetworksConfigured],
    meaning: "Multus is not installed, so the VM runs with the NIC on the pod network only, as `onMissingMultus: PodNetwork` allows.",
    fix: "Install Multus, and the NICs are planned. `onMissingMultus: Block` makes the VM wait for it instead.",
    platforms: &[],
};

pub(super) const MAC_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::MACConflict,
    tone: Wrong,
    conditions: &[NetworksConfigured],
    meaning: "Another Wukong asks for the same `macAddress` on the same network: the same NetworkAttachmentDefinition of the namespace, or the same bridge, or the same resource of SR-IOV or macvtap devices, with the same VLAN in whatever namespace. The older Wukong keeps it. The VM of the younger one is not made; one that exists already goes on, and both guests lose traffic while both run.",
    fix: "Give one of them another `macAddress`, or none: a MAC that is derived is nobody else's. The VM is then made at once, as it is when the other Wukong goes.",
    platforms: &[],
};

pub(super) const IP_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::IPConflict,
    tone: Wrong,
    conditions: &[NetworksConfigured],
    meaning: "Another Wukong asks for the same static address (`ipConfig.address`, `addresses`) on the same network: the same NetworkAttachmentDefinition of the namespace, or the same bridge, or the same resource of SR-IOV or macvtap devices, with the same VLAN in whatever namespace. The older Wukong keeps it. The VM of the younger one is not made; one that exists already goes on.",
    fix: "Give one of them another address. The VM is then made at once, as it is when the other Wukong goes. Two networks that only share the name of their bridge or resource can be told apart by `vlanId`, or by other names.",
    platforms: &[],
};

pub(super) const BRIDGE_MISSING_ON_NODES: ReasonDoc = ReasonDoc {
    reason: Reason::BridgeMissingOnNodes,
    tone: Wrong,
    conditions: &[NodeNetworkReady],
    meaning: "A bridge that a network names is missing on nodes that the VM may be placed on. The CNI plugin would make one there without an uplink, and the VM would be cut off.",
    fix: "Make the bridge on these nodes, or let NMState make it (`nodeNetwork`), or keep the VM away from them.",
    platforms: &[],
};

pub(super) const NOT_MANAGED: ReasonDoc = ReasonDoc {
    reason: Reason::NotManaged,
    tone: Worth,
    conditions: &[NodeNetworkReady],
    meaning: "A network asks for its bridge to be made on the nodes (`nodeNetwork`), and the operator runs without `--manage-node-networks`, so it touches no node.",
    fix: "Have the operator make it (docs/install.md), or make the bridge with its uplink on the nodes yourself.",
    platforms: &[],
};

pub(super) const APPLYING: ReasonDoc = ReasonDoc {
    reason: Reason::Applying,
    tone: Waits,
    conditions: &[NodeNetworkReady],
    meaning: "NMState is making a bridge on the nodes. A VM that does not exist yet waits for it: the CNI plugin would make the bridge itself, without its uplink.",
    fix: "Nothing, unless it stays so for minutes: then see `kubectl get nncp,nnce` and the pods of NMState on the nodes.",
    platforms: &[],
};

pub(super) const DEGRADED: ReasonDoc = ReasonDoc {
    reason: Reason::Degraded,
    tone: Wrong,
    conditions: &[NodeNetworkReady],
    meaning: "NMState could not make a bridge on a node; the message has the node and NMState's words. It stops at the first failure, and has put the node's network back as it was. Where the bridge is on another node that the VM may be placed on, the condition is true all the same.",
    fix: "Mend what NMState names, most often the name of the uplink.",
    platforms: &[],
};

pub(super) const WOULD_ISOLATE_NODE: ReasonDoc = ReasonDoc {
    reason: Reason::WouldIsolateNode,
    tone: Wrong,
    conditions: &[NodeNetworkReady],
    meaning: "The uplink of a bridge, or the bridge itself, carries an address or the default route of a node. As a port of the bridge it would lose them, and the node would be cut off. Nothing was changed.",
    fix: "Use a NIC that carries nothing of the node's own.",
    platforms: &[],
};
