//! NICs and their addresses.

use std::collections::HashMap;
use std::net::IpAddr;

use super::{OperatorSettings, Problems, guest_ip, placement, text};
use crate::spec::{self, NetworkType, WukongSpec};
use crate::validated::{Attachment, GuestIp, Identity, Nic, NodeNetwork};
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
            if spec.networks.is_empty() {
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

    // The MAC, who has it, and whether it was written: equal ones that follow from equal names are told of by the names.
    let mut macs: HashMap<Mac, (String, bool)> = pod_nic
        .map(|mac| (mac, ("the NIC on the pod network".into(), false)))
        .into_iter()
        .collect();
    let mut addresses: HashMap<IpAddr, String> = HashMap::new();
    let nics: Vec<Nic> = spec
        .networks
        .iter()
        .enumerate()
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
            for address in nic.ip.iter().flat_map(|ip| &ip.addresses) {
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
    one_shape_per_bridge(&nics, problems);
    (pod_nic, nics)
}

/// On the same nodes a bridge is of one kind, over one uplink.
fn one_shape_per_bridge(nics: &[Nic], problems: &mut Problems) {
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
        if let Some(first) = nics.iter().take(index).position(differs) {
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
    asked: &spec::Network,
    identity: &Identity,
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> Nic {
    let at = |field: &str| format!("{path}.{field}");
    if asked.name == names::POD_NETWORK {
        problems.add(
            at("name"),
            "pod-network is the name of the first NIC: choose another",
        );
    }
    problems.check(&at("name"), text::dns_label(&asked.name));
    if let Some(nad) = &asked.nad_name {
        let advice = |error: String| match nad.contains('/') {
            true => format!(
                "{error}; a NetworkAttachmentDefinition of another namespace cannot be used"
            ),
            false => error,
        };
        problems.check(&at("nadName"), text::dns_label(nad).map_err(advice));
    }
    if let Some(vlan) = asked.vlan_id
        && !(1..=4094).contains(&vlan)
    {
        problems.add(at("vlanId"), format!("{vlan} is not between 1 and 4094"));
    }
    if let Some(mtu) = asked.mtu
        && !(576..=9216).contains(&mtu)
    {
        problems.add(
            at("mtu"),
            format!("{mtu} is not between 576 and 9216 bytes"),
        );
    }
    resource(path, asked, problems);
    let mac = mac(path, asked, identity, problems);
    let bridge = bridge(path, asked, problems);
    let ip = asked
        .ip_config
        .as_ref()
        .map(|ip| guest_ip::check(&at("ipConfig"), ip, problems));
    // RFC 8200, section 5. Linux takes IPv6 away from an interface below that.
    let ipv6 = |ip: &GuestIp| ip.addresses.iter().any(|address| address.addr().is_ipv6());
    if let Some(mtu) = asked.mtu
        && (576..1280).contains(&mtu)
        && ip.as_ref().is_some_and(ipv6)
    {
        problems.add(
            at("mtu"),
            format!("IPv6 needs an MTU of at least 1280 bytes, not {mtu}"),
        );
    }
    Nic {
        name: asked.name.clone(),
        kind: asked.type_,
        attachment: match &asked.nad_name {
            Some(name) => Attachment::Existing(name.clone()),
            None => Attachment::Planned(names::network_attachment_definition(
                &identity.name,
                &asked.name,
            )),
        },
        vlan: asked.vlan_id,
        node_network: node_network(path, asked, bridge.as_ref(), settings, problems),
        bridge,
        mac,
        mac_given: asked.mac_address.is_some(),
        mtu: asked.mtu,
        resource: asked.resource_name.clone(),
        ip,
        on_missing_multus: asked.on_missing_multus.unwrap_or_default(),
    }
}

fn resource(path: &str, asked: &spec::Network, problems: &mut Problems) {
    let planned = asked.nad_name.is_none();
    match (&asked.resource_name, asked.type_) {
        (None, NetworkType::Sriov) if planned => problems.add(
            path,
            "sriov needs resourceName (the device-plugin resource) or nadName (an existing NetworkAttachmentDefinition)",
        ),
        (Some(_), NetworkType::Macvlan) if planned && asked.vlan_id.is_some() => problems.add(
            format!("{path}.vlanId"),
            "the resource of a macvlan NIC has a VLAN of its own: drop vlanId, or drop resourceName to use macvtap.network.kubevirt.io/<name>.<vlanId>",
        ),
        _ => {}
    }
    if let Some(name) = &asked.resource_name {
        problems.check(&format!("{path}.resourceName"), resource_name(name));
    }
}

fn mac(path: &str, asked: &spec::Network, identity: &Identity, problems: &mut Problems) -> Mac {
    let parse = |written: &String| {
        Mac::parse(written).ok_or_else(|| {
            format!(
                "{} is not a unicast MAC address such as 02:00:00:00:00:01",
                text::quoted(written)
            )
        })
    };
    asked
        .mac_address
        .as_ref()
        .and_then(|written| problems.check(&format!("{path}.macAddress"), parse(written)))
        .unwrap_or_else(|| Mac::derive(&identity.uid, &asked.name))
}

fn bridge(path: &str, asked: &spec::Network, problems: &mut Problems) -> Option<String> {
    let path = format!("{path}.bridgeName");
    if let Some(name) = &asked.bridge_name {
        problems.check(&path, text::interface_name(name));
    }
    match asked.type_ {
        NetworkType::Macvlan => {
            if asked.bridge_name.is_some() {
                problems.add(
                    path,
                    "macvlan has no bridge: drop bridgeName, or use type: bridge",
                );
            }
            None
        }
        NetworkType::Sriov => None,
        NetworkType::Bridge | NetworkType::Ovs => {
            if asked.bridge_name.is_some() {
                return asked.bridge_name.clone();
            }
            let default = names::bridge(&asked.name);
            let needed = asked.nad_name.is_none() || asked.node_network.is_some();
            if needed && let Err(error) = text::interface_name(&default) {
                problems.add(path, format!("the default {error}: give a bridgeName"));
            }
            Some(default)
        }
    }
}

fn node_network(
    path: &str,
    asked: &spec::Network,
    bridge: Option<&String>,
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> Option<NodeNetwork> {
    let node_network = asked.node_network.as_ref()?;
    let path = format!("{path}.nodeNetwork");
    if !matches!(asked.type_, NetworkType::Bridge | NetworkType::Ovs) {
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
