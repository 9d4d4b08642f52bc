//! Secondary NICs.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secondary NIC and the network that it is attached to.
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
    /// Name of the NIC everywhere: in the VM, in the status and in the NetworkAttachmentDefinition's name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Kind of network: `bridge`, `macvlan`, `sriov` or `ovs`. Required, except for an entry with the name `default` and
    /// no other field: such an entry of an older manifest stands for the NIC on the pod network.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_: Option<NetworkType>,

    /// Uses this NetworkAttachmentDefinition of the same namespace; none is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub nad_name: Option<String>,

    /// VLAN of the NIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan_id: Option<u16>,

    /// Bridge on the node, at most 15 bytes. Default `br-<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    pub bridge_name: Option<String>,

    /// Addresses of the NIC, configured in the guest by cloud-init. Absent: the NIC is up without an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_config: Option<IpConfig>,

    /// Unicast MAC address. Default: derived from the Wukong and the NIC's name, stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 12, max = 17))]
    pub mac_address: Option<String>,

    /// MTU in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,

    /// Device model that the guest sees: `virtio`, `e1000`, `e1000e`, `igb`, `ne2k_pci`, `pcnet` or `rtl8139`. Default
    /// `virtio`. Only a `virtio` NIC can be plugged into a running VM. Not for `type: sriov`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<NicModel>,

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

    /// Device-plugin resource of an `sriov` NIC, or the marker resource of a bridge, such as
    /// `bridge.network.kubevirt.io/br-lan`, which makes the scheduler choose nodes that have the bridge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub resource_name: Option<String>,

    /// What to do while Multus is not installed. Default `PodNetwork`: start with the pod network only and say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing_multus: Option<OnMissingMultus>,

    /// Has the bridge made on the nodes by NMState, where the operator runs with `--manage-node-networks`; else the
    /// condition `NodeNetworkReady` says that it is not. Absent: no node is ever touched. The bridge is shared by all who
    /// ask for the same one, in whatever namespace, and stays when the last of them goes.
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

/// What to do while Multus is not installed.
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
    /// The node's NIC that becomes the bridge's port. One that carries an address or the default route of a node is
    /// refused: the node would be cut off.
    #[schemars(length(min = 1, max = 15))]
    pub uplink: String,

    /// Labels of the nodes that get the bridge. Absent: every node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub node_selector: BTreeMap<String, String>,
}

/// Addresses of a NIC, as the guest configures them.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.mode) || self.mode != 'static' || has(self.address) || (has(self.addresses) && size(self.addresses) > 0)")
        .message("mode: static needs an address such as 192.168.10.5/24"),
    validation = Rule::new("!has(self.mode) || self.mode != 'dhcp' || (!has(self.address) && (!has(self.addresses) || size(self.addresses) == 0))")
        .message("mode: dhcp gets its address from the network: drop address, or use mode: static")
)]
pub struct IpConfig {
    /// `static` or `dhcp`. Default: `static` when an address is given, else `dhcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<IpMode>,

    /// Address with prefix length, such as `192.168.10.5/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 49))]
    pub address: Option<String>,

    /// More addresses with prefix length, for instance the IPv6 one of a dual-stack NIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 49)))]
    pub addresses: Vec<String>,

    /// Default gateway. It takes the default route away from the pod network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 45))]
    pub gateway: Option<String>,

    /// Accepts a `gateway` and next hops outside the prefixes of the addresses and reaches them directly on the link, as
    /// hosters with single addresses (/32) need. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_on_link: Option<bool>,

    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 45)))]
    pub dns_servers: Vec<String>,

    /// Domains in which short names are looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    pub search_domains: Vec<String>,

    /// Static routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub routes: Vec<Route>,
}

/// How a NIC gets its addresses.
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
    /// Next hop.
    #[schemars(length(min = 1, max = 45))]
    pub via: String,
}
