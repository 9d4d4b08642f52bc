//! Node network policies, by which NMState makes a bridge on the nodes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use wukong_api::spec::NetworkType;
use wukong_api::validated::NodeNetwork;
use wukong_api::{ValidatedWukong, labels, names};

/// How many of the selected nodes are changed at a time. NMState takes at least one, and stops at the first failure.
const MAX_UNAVAILABLE: &str = "10%";

/// The spec of a node network policy.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "nmstate.io",
    version = "v1",
    kind = "NodeNetworkConfigurationPolicy",
    plural = "nodenetworkconfigurationpolicies",
    schema = "disabled",
    derive = "PartialEq",
    doc = "The network configuration that NMState brings about on nodes."
)]
#[serde(rename_all = "camelCase")]
pub struct NodeNetworkConfigurationPolicySpec {
    /// Labels of the nodes; empty: every node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// How many nodes, or which share of them, are changed at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
    /// The desired network.
    #[serde(default)]
    pub desired_state: DesiredState,
}

/// The part of NMState's desired state that the operator sets.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DesiredState {
    /// Interfaces; those that are not named stay as they are.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
}

/// An interface of the node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `linux-bridge` or `ovs-bridge`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `up`.
    pub state: String,
    /// IPv4 on the interface itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Switch>,
    /// IPv6 on the interface itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Switch>,
    /// The fields of a bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
}

/// A feature that is on or off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Switch {
    /// Whether it is on.
    pub enabled: bool,
}

/// A bridge.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Bridge {
    /// Its options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<BridgeOptions>,
    /// Its ports on the node; those of the VMs come and go with the pods.
    #[serde(default)]
    pub port: Vec<Port>,
}

/// Options of a Linux bridge.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct BridgeOptions {
    /// Spanning tree.
    #[serde(default)]
    pub stp: Switch,
}

/// A port of a bridge.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Port {
    /// The interface that is the port.
    pub name: String,
    /// Which VLANs pass; absent on Open vSwitch, where all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<PortVlan>,
}

/// Which VLANs pass a port.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PortVlan {
    /// `trunk`.
    pub mode: String,
    /// The tagged VLANs.
    pub trunk_tags: Vec<TrunkTags>,
}

/// A set of VLANs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrunkTags {
    /// All VLANs of this range.
    pub id_range: VlanRange,
}

/// A range of VLANs, both ends included.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct VlanRange {
    /// First VLAN.
    pub min: u16,
    /// Last VLAN.
    pub max: u16,
}

/// The policies for the bridges that `wukong` requires on nodes and that the operator settings allow, each once, in the
/// order of its NICs.
///
/// A policy follows from the bridge, its kind, the uplink and the node selector alone, name included. All Wukongs that
/// require the same bridge require the same object, byte for byte, so it belongs to none of them: no owner reference
/// (Kubernetes would delete a cluster-scoped object with a namespaced owner at once) and no label of one Wukong.
///
/// The bridge is a trunk: its port passes every VLAN, and the CNI plugin puts each VM's port into its own. The uplink
/// becomes the port and is not otherwise changed, so a node keeps its addresses unless the uplink is what carries them.
pub fn node_policies(wukong: &ValidatedWukong) -> Vec<NodeNetworkConfigurationPolicy> {
    let mut seen = BTreeSet::new();
    wukong
        .nics
        .iter()
        .filter_map(|nic| {
            let (bridge, node) = (nic.bridge.as_deref()?, nic.node_network.as_ref()?);
            node.managed.then(|| policy(nic.kind, bridge, node))
        })
        .filter(|policy| seen.insert(policy.metadata.name.clone()))
        .collect()
}

fn policy(
    kind: NetworkType,
    bridge: &str,
    network: &NodeNetwork,
) -> NodeNetworkConfigurationPolicy {
    let interface = match kind {
        NetworkType::Ovs => ovs_bridge(bridge, &network.uplink),
        NetworkType::Bridge | NetworkType::Macvlan | NetworkType::Sriov => {
            linux_bridge(bridge, &network.uplink)
        }
    };
    NodeNetworkConfigurationPolicy {
        metadata: ObjectMeta {
            name: Some(policy_name(&interface, network)),
            labels: Some(BTreeMap::from([(
                labels::MANAGED_BY.to_owned(),
                labels::MANAGER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        spec: NodeNetworkConfigurationPolicySpec {
            node_selector: network.node_selector.clone(),
            max_unavailable: Some(IntOrString::String(MAX_UNAVAILABLE.to_owned())),
            desired_state: DesiredState {
                interfaces: vec![interface],
            },
        },
    }
}

fn linux_bridge(name: &str, uplink: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        type_: "linux-bridge".to_owned(),
        state: "up".to_owned(),
        ipv4: Some(Switch { enabled: false }),
        ipv6: Some(Switch { enabled: false }),
        bridge: Some(Bridge {
            options: Some(BridgeOptions {
                stp: Switch { enabled: false },
            }),
            port: vec![Port {
                name: uplink.to_owned(),
                // VLAN 1 is the bridge's default, which passes untagged.
                vlan: Some(PortVlan {
                    mode: "trunk".to_owned(),
                    trunk_tags: vec![TrunkTags {
                        id_range: VlanRange { min: 2, max: 4094 },
                    }],
                }),
            }],
        }),
    }
}

/// In Open vSwitch the bridge has no addresses of its own (an internal port would), no spanning tree unless configured,
/// and its ports pass every VLAN.
fn ovs_bridge(name: &str, uplink: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        type_: "ovs-bridge".to_owned(),
        state: "up".to_owned(),
        bridge: Some(Bridge {
            options: None,
            port: vec![Port {
                name: uplink.to_owned(),
                vlan: None,
            }],
        }),
        ..Interface::default()
    }
}

/// `wukong-<bridge>-<hash>`, a DNS label even where the bridge's name is none: NMState puts it into a label.
fn policy_name(interface: &Interface, network: &NodeNetwork) -> String {
    let mut parts = vec![
        interface.type_.as_str(),
        interface.name.as_str(),
        network.uplink.as_str(),
    ];
    for (key, value) in &network.node_selector {
        parts.extend([key.as_str(), value.as_str()]);
    }
    let readable: String = interface
        .name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("wukong-{readable}-{}", names::short_hash(&parts))
}
