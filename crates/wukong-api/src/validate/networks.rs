//! NICs and their addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use super::problem::Problems;
use super::settings::OperatorSettings;
use super::{guest_ip, placement, text};
use crate::spec::{self, NetworkType, WukongSpec};
use crate::validated::{Attachment, GuestIp, GuestVlan, Identity, Nic, NodeNetwork};
use crate::{Mac, names};

const NETWORKS_MAX: usize = 31;

pub(super) fn check(
    spec: &WukongSpec,
    identity: &Identity,
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> (Option<Mac>, Vec<Nic>) {
    let pod_nic = match spec.pod_network.unwrap_or_default() {
        spec::PodNetwork::Masquerade => Some(Mac::derive(&identity.uid, names::POD_NETWORK)),
        spec::PodNetwork::None => {
            if spec.networks.iter().all(is_pod_network) {
                problems.add(
                    "spec.podNetwork",
                    "None leaves the VM without a NIC: add an entry to networks",
                );
            }
            None
        }
    };
    if spec.networks.len() > NETWORKS_MAX {
        problems.add(
            "spec.networks",
            format!(
                "has {} entries; at most {NETWORKS_MAX} are allowed",
                spec.networks.len()
            ),
        );
        return (pod_nic, Vec::new());
    }
    text::unique(
        "networks",
        spec.networks.iter().map(|network| network.name.as_str()),
        problems,
    );

    // The MAC, its NIC, and whether the spec names it: equal MACs that follow from equal names are reported by the names.
    let mut macs: HashMap<Mac, (String, bool)> = pod_nic
        .map(|mac| (mac, ("the NIC on the pod network".into(), false)))
        .into_iter()
        .collect();
    let mut addresses: HashMap<IpAddr, String> = HashMap::new();
    let nics: Vec<Nic> = spec
        .networks
        .iter()
        .enumerate()
        .filter(|(index, network)| !pod_entry(spec, *index, network, problems))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|(index, network)| {
            let path = format!("spec.networks[{index}]");
            let nic = nic(&path, network, identity, settings, problems);
            let written = network.mac_address.is_some();
            if let Some((first, first_written)) = macs.insert(nic.mac, (path.clone(), written))
                && (written || first_written)
            {
                problems.add(
                    format!("{path}.macAddress"),
                    format!("{} is the MAC of {first} already", nic.mac),
                );
            }
            let vlans = nic.guest_vlans.iter().filter_map(|vlan| vlan.ip.as_ref());
            for address in nic.ip.iter().chain(vlans).flat_map(|ip| &ip.addresses) {
                if let Some(first) = addresses.insert(address.addr(), path.clone()) {
                    problems.add(
                        format!("{path}.ipConfig"),
                        format!("the address {} is given in {first} already", address.addr()),
                    );
                }
            }
            nic
        })
        .collect();
    one_shape_per_bridge(spec, &nics, problems);
    one_primary(spec, problems);
    (pod_nic, nics)
}

/// How the guest configures the NIC on the pod network.
pub(super) fn pod_network(
    spec: &WukongSpec,
    problems: &mut Problems,
) -> (spec::IpFamily, Vec<IpAddr>) {
    if spec.pod_network == Some(spec::PodNetwork::None) {
        let given = [
            ("podNetworkIpFamily", spec.pod_network_ip_family.is_some()),
            (
                "podNetworkDnsServers",
                !spec.pod_network_dns_servers.is_empty(),
            ),
        ];
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            problems.add(
                format!("spec.{field}"),
                "podNetwork: None leaves no NIC on the pod network: drop one of the two",
            );
        }
    }
    let servers = spec.pod_network_dns_servers.iter().enumerate();
    let servers = servers
        .filter_map(|(index, written)| {
            let path = format!("spec.podNetworkDnsServers[{index}]");
            problems.check(&path, guest_ip::ip(written))
        })
        .collect();
    (spec.pod_network_ip_family.unwrap_or_default(), servers)
}

/// An entry of older manifests that stands for the NIC on the pod network.
fn is_pod_network(network: &spec::Network) -> bool {
    network.type_.is_none() && network.name == "default"
}

/// Whether an entry stands for the NIC on the pod network, which has no fields of its own.
fn pod_entry(
    spec: &WukongSpec,
    index: usize,
    network: &spec::Network,
    problems: &mut Problems,
) -> bool {
    if !is_pod_network(network) {
        return false;
    }
    let path = format!("spec.networks[{index}]");
    if spec.pod_network == Some(spec::PodNetwork::None) {
        problems.add(
            &path,
            "default without type is the pod network, which podNetwork: None excludes: drop one of the two",
        );
    }
    let bare = spec::Network {
        name: network.name.clone(),
        ..spec::Network::default()
    };
    if *network != bare {
        problems.add(
            format!("{path}.type"),
            "is missing: default without type is the pod network and takes no other field",
        );
    }
    true
}

/// At most one network takes the place of the pod network, and only where that is free.
fn one_primary(spec: &WukongSpec, problems: &mut Problems) {
    let mut marked = spec
        .networks
        .iter()
        .enumerate()
        .filter(|(_, network)| network.primary == Some(true))
        .map(|(index, _)| index);
    let Some(first) = marked.next() else { return };
    if spec.pod_network != Some(spec::PodNetwork::None) {
        problems.add(
            format!("spec.networks[{first}].primary"),
            "takes the place of the pod network: add podNetwork: None",
        );
    }
    if let Some(second) = marked.next() {
        problems.add(
            format!("spec.networks[{second}].primary"),
            format!("spec.networks[{first}] is the primary network already"),
        );
    }
}

/// VLANs that the guest tags on a NIC.
fn guest_vlans(path: &str, requested: &spec::Network, problems: &mut Problems) -> Vec<GuestVlan> {
    if requested.vlan_id.is_some() && !requested.guest_vlans.is_empty() {
        problems.add(
            format!("{path}.vlanId"),
            "makes the port untagged, so the guest cannot tag guestVlans on it: drop one of the two",
        );
    }
    let mut vlans: Vec<GuestVlan> = Vec::new();
    for (index, vlan) in requested.guest_vlans.iter().enumerate() {
        let path = format!("{path}.guestVlans[{index}]");
        if !(1..=4094).contains(&vlan.id) {
            problems.add(
                format!("{path}.id"),
                format!("{} is not between 1 and 4094", vlan.id),
            );
        }
        if vlans.iter().any(|earlier| earlier.id == vlan.id) {
            problems.add(
                format!("{path}.id"),
                format!("{} is listed already", vlan.id),
            );
        }
        let ip = vlan.ip_config.as_ref();
        vlans.push(GuestVlan {
            id: vlan.id,
            ip: ip.map(|ip| guest_ip::check(&format!("{path}.ipConfig"), ip, problems)),
        });
    }
    vlans
}

/// Fields of older manifests, each with what to write instead.
fn refused(path: &str, requested: &spec::Network, problems: &mut Problems) {
    if let Some(interface) = &requested.physical_interface {
        problems.add(
            format!("{path}.physicalInterface"),
            format!(
                "is refused: write nodeNetwork: {{uplink: {interface}}} to have the bridge made over that NIC, or bridgeName for a bridge that exists"
            ),
        );
    }
    if requested.node_ip.is_some() {
        problems.add(
            format!("{path}.nodeIP"),
            "is refused: the operator gives no addresses to nodes; drop it, and write the guest's address to ipConfig.address",
        );
    }
}

/// On the same nodes a bridge is of one kind, over one uplink.
fn one_shape_per_bridge(spec: &WukongSpec, nics: &[Nic], problems: &mut Problems) {
    let position = |nic: &Nic| {
        let mut networks = spec.networks.iter();
        networks
            .position(|network| network.name == nic.name)
            .unwrap_or_default()
    };
    for (index, nic) in nics.iter().enumerate() {
        let (Some(bridge), Some(node)) = (&nic.bridge, &nic.node_network) else {
            continue;
        };
        let differs = |first: &Nic| {
            first.node_network.as_ref().is_some_and(|theirs| {
                first.bridge.as_ref() == Some(bridge)
                    && theirs.node_selector == node.node_selector
                    && (theirs.uplink != node.uplink || first.kind != nic.kind)
            })
        };
        if let Some(first) = nics.iter().take(index).find(|first| differs(first)) {
            let (index, first) = (position(nic), position(first));
            problems.add(
                format!("spec.networks[{index}].nodeNetwork"),
                format!(
                    "spec.networks[{first}] has {} made on the same nodes with another type or uplink: choose another bridgeName",
                    text::quoted(bridge)
                ),
            );
        }
    }
}

fn nic(
    path: &str,
    requested: &spec::Network,
    identity: &Identity,
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> Nic {
    let at = |field: &str| format!("{path}.{field}");
    if requested.name == names::POD_NETWORK {
        problems.add(
            at("name"),
            "pod-network is the name of the first NIC: choose another",
        );
    }
    problems.check(&at("name"), text::dns_label(&requested.name));
    let kind = requested.type_.unwrap_or_else(|| {
        problems.add(
            at("type"),
            "is missing: write bridge, ovs, sriov or macvlan",
        );
        NetworkType::Bridge
    });
    refused(path, requested, problems);
    if kind.is_passed_through() && requested.model.is_some() {
        problems.add(
            at("model"),
            "a virtual function is passed through as it is: drop model",
        );
    }
    if kind.is_passed_through() && requested.link_state.is_some() {
        problems.add(
            at("linkState"),
            "a virtual function is passed through as it is: drop linkState",
        );
    }
    if let Some(nad) = &requested.nad_name {
        let advice = |error: String| match nad.contains('/') {
            true => format!(
                "{error}; a NetworkAttachmentDefinition of another namespace cannot be used"
            ),
            false => error,
        };
        problems.check(&at("nadName"), text::dns_label(nad).map_err(advice));
    }
    if let Some(vlan) = requested.vlan_id
        && !(1..=4094).contains(&vlan)
    {
        problems.add(at("vlanId"), format!("{vlan} is not between 1 and 4094"));
    }
    if let Some(mtu) = requested.mtu
        && !(576..=9216).contains(&mtu)
    {
        problems.add(
            at("mtu"),
            format!("{mtu} is not between 576 and 9216 bytes"),
        );
    }
    resource(path, requested, kind, problems);
    let mac = mac(path, requested, identity, problems);
    let bridge = bridge(path, requested, kind, problems);
    let ip = requested
        .ip_config
        .as_ref()
        .map(|ip| guest_ip::check(&at("ipConfig"), ip, problems));
    // RFC 8200, section 5. Linux takes IPv6 away from an interface below that.
    let ipv6 = |ip: &GuestIp| ip.addresses.iter().any(|address| address.addr().is_ipv6());
    if let Some(mtu) = requested.mtu
        && (576..1280).contains(&mtu)
        && ip.as_ref().is_some_and(ipv6)
    {
        problems.add(
            at("mtu"),
            format!("IPv6 needs an MTU of at least 1280 bytes, not {mtu}"),
        );
    }
    Nic {
        name: requested.name.clone(),
        kind,
        attachment: match &requested.nad_name {
            Some(name) => Attachment::Existing(name.clone()),
            None => Attachment::Planned(names::network_attachment_definition(
                &identity.name,
                &requested.name,
            )),
        },
        vlan: requested.vlan_id,
        node_network: node_network(path, requested, (kind, bridge.as_ref()), settings, problems),
        bridge,
        mac,
        mac_given: requested.mac_address.is_some(),
        mtu: requested.mtu,
        resource: requested.resource_name.clone(),
        ip,
        model: requested.model,
        link_state: requested.link_state,
        primary: requested.primary == Some(true),
        guest_vlans: guest_vlans(path, requested, problems),
        on_missing_multus: requested.on_missing_multus.unwrap_or_default(),
    }
}

fn resource(path: &str, requested: &spec::Network, kind: NetworkType, problems: &mut Problems) {
    let planned = requested.nad_name.is_none();
    match (&requested.resource_name, kind) {
        (None, NetworkType::Sriov) if planned => problems.add(
            path,
            "sriov needs resourceName (the device-plugin resource) or nadName (an existing NetworkAttachmentDefinition)",
        ),
        (Some(_), NetworkType::Macvlan) if planned && requested.vlan_id.is_some() => problems.add(
            format!("{path}.vlanId"),
            "the resource of a macvlan NIC has a VLAN of its own: drop vlanId, or drop resourceName to use macvtap.network.kubevirt.io/<name>.<vlanId>",
        ),
        _ => {}
    }
    if let Some(name) = &requested.resource_name {
        problems.check(&format!("{path}.resourceName"), resource_name(name));
    }
}

fn mac(path: &str, requested: &spec::Network, identity: &Identity, problems: &mut Problems) -> Mac {
    let parse = |written: &String| {
        Mac::parse(written).ok_or_else(|| {
            format!(
                "{} is not a unicast MAC address such as 02:00:00:00:00:01",
                text::quoted(written)
            )
        })
    };
    requested
        .mac_address
        .as_ref()
        .and_then(|written| problems.check(&format!("{path}.macAddress"), parse(written)))
        .unwrap_or_else(|| Mac::derive(&identity.uid, &requested.name))
}

fn bridge(
    path: &str,
    requested: &spec::Network,
    kind: NetworkType,
    problems: &mut Problems,
) -> Option<String> {
    let path = format!("{path}.bridgeName");
    if let Some(name) = &requested.bridge_name {
        problems.check(&path, text::interface_name(name));
    }
    match kind {
        NetworkType::Macvlan => {
            if requested.bridge_name.is_some() {
                problems.add(
                    path,
                    "macvlan has no bridge: drop bridgeName, or use type: bridge",
                );
            }
            None
        }
        NetworkType::Sriov => None,
        NetworkType::Bridge | NetworkType::Ovs => {
            if requested.bridge_name.is_some() {
                return requested.bridge_name.clone();
            }
            let default = names::bridge(&requested.name);
            let needed = requested.nad_name.is_none() || requested.node_network.is_some();
            if needed && let Err(error) = text::interface_name(&default) {
                problems.add(path, format!("the default {error}: give a bridgeName"));
            }
            Some(default)
        }
    }
}

fn node_network(
    path: &str,
    requested: &spec::Network,
    (kind, bridge): (NetworkType, Option<&String>),
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> Option<NodeNetwork> {
    let node_network = requested.node_network.as_ref()?;
    let path = format!("{path}.nodeNetwork");
    if !kind.is_bridged() {
        problems.add(
            &path,
            "only type: bridge and type: ovs have a bridge on the nodes: drop nodeNetwork",
        );
    }
    problems.check(
        &format!("{path}.uplink"),
        text::interface_name(&node_network.uplink),
    );
    if bridge == Some(&node_network.uplink) {
        problems.add(
            format!("{path}.uplink"),
            format!(
                "{} is the bridge itself: name the NIC of the node that becomes its port",
                text::quoted(&node_network.uplink)
            ),
        );
    }
    placement::labels(
        &format!("{path}.nodeSelector"),
        &node_network.node_selector,
        problems,
    );
    Some(NodeNetwork {
        uplink: node_network.uplink.clone(),
        node_selector: node_network.node_selector.clone(),
        managed: settings.manage_node_networks,
    })
}

/// The name of an extended resource: a DNS prefix and a name.
fn resource_name(name: &str) -> Result<(), String> {
    if name.contains('/') && text::label_key(name).is_ok() {
        return Ok(());
    }
    Err(format!(
        "{} is not the name of a resource such as intel.com/sriov_net",
        text::quoted(name)
    ))
}
