//! Secondary NICs.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Secondary NIC and its network.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.name != 'pod-network'").message("pod-network is the name of the first NIC: choose another"),
    validation = Rule::new("has(self.type) || self.name == 'default'")
        .message("type is missing: write bridge, ovs, sriov or macvlan"),
    validation = Rule::new("!has(self.type) || self.type != 'sriov' || has(self.resourceName) || has(self.nadName)")
        .message("sriov needs resourceName (the device-plugin resource) or nadName (an existing NetworkAttachmentDefinition)"),
    validation = Rule::new("!has(self.type) || self.type != 'macvlan' || !has(self.bridgeName)")
        .message("macvlan has no bridge: drop bridgeName, or use type: bridge")
)]
pub struct Network {
    /// Name of the NIC, a DNS label: in the VM, in the status and in the name of the NetworkAttachmentDefinition.
    /// `pod-network` is reserved.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Kind of network: `bridge`, `macvlan`, `sriov` or `ovs`. Required, except for an entry with the name `default` and
    /// no other field: such an entry of an older manifest stands for the NIC on the pod network.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<NetworkType>,

    /// Name of an existing NetworkAttachmentDefinition of the same namespace. Default: the operator creates one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub nad_name: Option<String>,

    /// VLAN of the port, 1 to 4094. The guest sees untagged frames. Excludes `guestVlans`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan_id: Option<u16>,

    /// Name of the bridge on the node, at most 15 bytes. For `bridge` and `ovs` only. Default `br-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub bridge_name: Option<String>,

    /// Addresses of the NIC, configured in the guest by cloud-init on the first boot. Default: the NIC is up without an
    /// address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_config: Option<IpConfig>,

    /// Unicast MAC address, unique in the Wukong. Default: derived from the uid of the Wukong and the name of the NIC,
    /// and stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 17))]
    pub mac_address: Option<String>,

    /// MTU of the network and of the guest's interface in bytes, 576 to 9216; at least 1280 with IPv6. Default: that of
    /// the bridge or device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,

    /// Device model that the guest sees: `virtio`, `e1000`, `e1000e`, `igb`, `ne2k_pci`, `pcnet` or `rtl8139`. Default
    /// `virtio`. Only a `virtio` NIC can be plugged into a running VM. Not for `type: sriov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<NicModel>,

    /// Link of the NIC: `Up` or `Down`, as if a cable was plugged in or pulled out. A change reaches the running guest at
    /// once. Default `Up`. Not for `type: sriov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_state: Option<LinkState>,

    /// Makes this network the first network of the pod, in place of the cluster's pod network (default network of
    /// Multus). At most one entry; needs `podNetwork: None`. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,

    /// VLANs that the guest itself tags on this NIC, configured in the guest by cloud-init on the first boot. At most 16.
    /// Excludes `vlanId`, which makes the port untagged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub guest_vlans: Vec<GuestVlan>,

    /// Field of older manifests, refused: write `nodeNetwork.uplink`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub physical_interface: Option<String>,

    /// Field of older manifests, refused: the operator gives no addresses to nodes.
    #[serde(rename = "nodeIP", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node_ip: Option<String>,

    /// Device-plugin resource of the NIC. Required for `sriov` without `nadName`. For `bridge` it is a marker such as
    /// `bridge.network.kubevirt.io/br-lan`, which limits the VM to nodes with that bridge. Default for `macvlan`:
    /// `macvtap.network.kubevirt.io/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub resource_name: Option<String>,

    /// Behaviour while Multus is not installed: `PodNetwork` starts the VM without this NIC and attaches it when Multus
    /// appears, `Block` waits for Multus. Default `PodNetwork`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing_multus: Option<OnMissingMultus>,

    /// Creates the bridge on the nodes through NMState. Needs an operator with `--manage-node-networks`; otherwise the
    /// condition `NodeNetworkReady` is false. All Wukongs that name the same bridge share it, in every namespace, and
    /// the operator never removes it. For `bridge` and `ovs` only. Default: nodes stay unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_network: Option<NodeNetwork>,
}

/// Kind of network.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum NetworkType {
    /// A Linux bridge on the node.
    Bridge,
    /// A macvtap device on the node's NIC (KubeVirt cannot bind plain macvlan).
    Macvlan,
    /// A virtual function of an SR-IOV NIC.
    Sriov,
    /// An Open vSwitch bridge on the node.
    Ovs,
}

impl NetworkType {
    /// Whether the NIC is a port of a bridge on the node.
    pub const fn is_bridged(self) -> bool {
        match self {
            Self::Bridge | Self::Ovs => true,
            Self::Macvlan | Self::Sriov => false,
        }
    }

    /// Whether KubeVirt passes a device of the node through to the guest.
    pub const fn is_passed_through(self) -> bool {
        match self {
            Self::Sriov => true,
            Self::Bridge | Self::Macvlan | Self::Ovs => false,
        }
    }

    /// Whether a bridge inside the pod ties the NIC to its network.
    pub const fn is_bridge(self) -> bool {
        match self {
            Self::Bridge | Self::Ovs => true,
            Self::Macvlan | Self::Sriov => false,
        }
    }

    /// Whether KubeVirt attaches the NIC by the network binding plugin `macvtap`.
    pub const fn is_macvtap(self) -> bool {
        match self {
            Self::Macvlan => true,
            Self::Bridge | Self::Ovs | Self::Sriov => false,
        }
    }
}

/// Link of a NIC.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum LinkState {
    /// The cable is plugged in.
    Up,
    /// The cable is pulled out.
    Down,
}

/// Device model of a NIC.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum NicModel {
    /// virtio-net.
    Virtio,
    /// Intel 82540EM.
    E1000,
    /// Intel 82574L.
    E1000e,
    /// Intel 82576.
    Igb,
    /// NE2000 on PCI.
    #[serde(rename = "ne2k_pci")]
    Ne2kPci,
    /// AMD PCnet.
    Pcnet,
    /// Realtek RTL8139.
    Rtl8139,
}

/// A VLAN that the guest tags on a NIC.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestVlan {
    /// VLAN ID, 1 to 4094.
    #[schemars(range(min = 1, max = 4094))]
    pub id: u16,

    /// Addresses of the VLAN interface, as for a NIC. Absent: the interface is up without an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_config: Option<IpConfig>,
}

/// Behaviour while Multus is not installed.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum OnMissingMultus {
    /// Start the VM without this NIC, and attach it when Multus appears.
    #[default]
    PodNetwork,
    /// Do not create the VM until Multus is there.
    Block,
}

/// A bridge that NMState makes on the nodes.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeNetwork {
    /// NIC of the node that becomes the port of the bridge, at most 15 bytes. A NIC with an address or the default
    /// route of a node is refused, because the node would lose its connection.
    #[schemars(length(min = 1, max = 15))]
    pub uplink: String,

    /// Labels of the nodes that get the bridge, at most 32. Default: every node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub node_selector: BTreeMap<String, String>,
}

/// Addresses of a NIC in the guest.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.mode) || self.mode != 'static' || has(self.address) || (has(self.addresses) && size(self.addresses) > 0)")
        .message("mode: static needs an address such as 192.168.10.5/24"),
    validation = Rule::new("!has(self.mode) || self.mode != 'dhcp' || (!has(self.address) && (!has(self.addresses) || size(self.addresses) == 0))")
        .message("mode: dhcp gets its address from the network: drop address, or use mode: static")
)]
pub struct IpConfig {
    /// Source of the addresses: `static` needs `address` or `addresses`, `dhcp` excludes them. Default `static` with an
    /// address, else `dhcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<IpMode>,

    /// Address with prefix length, such as `192.168.10.5/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 49))]
    pub address: Option<String>,

    /// More addresses with prefix length, such as the IPv6 address of a dual-stack NIC. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 49)))]
    pub addresses: Vec<String>,

    /// Default gateway, inside the prefix of an address unless `gatewayOnLink` is set. It takes precedence over the
    /// default route of the pod network. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 45))]
    pub gateway: Option<String>,

    /// Accepts a `gateway` and next hops outside the prefixes of the addresses and reaches them directly on the link, as
    /// hosters with single addresses (/32) need. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_on_link: Option<bool>,

    /// Name servers of the guest, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 45)))]
    pub dns_servers: Vec<String>,

    /// DNS search domains of the guest, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub search_domains: Vec<String>,

    /// Static routes, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub routes: Vec<Route>,
}

/// Source of the addresses of a NIC.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum IpMode {
    /// The addresses given here.
    Static,
    /// From the network.
    Dhcp,
}

/// A static route of the guest.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Route {
    /// Destination with prefix length, or `default`.
    #[schemars(length(min = 1, max = 49))]
    pub to: String,
    /// Address of the next hop, inside the prefix of an address unless `gatewayOnLink` is set.
    #[schemars(length(min = 1, max = 45))]
    pub via: String,
}
