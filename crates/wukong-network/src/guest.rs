//! How the guest configures its NICs: cloud-init network data, version 2.
//!
//! The rules below are those that every renderer of cloud-init understands (netplan, networkd, NetworkManager,
//! sysconfig, ifupdown), not only netplan.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Serialize, Serializer};
use wukong_api::names::{INTERFACE_MAX, POD_NETWORK};
use wukong_api::spec::IpFamily;
use wukong_api::validated::{GuestIp, GuestVlan, Nic};
use wukong_api::{Mac, ValidatedWukong};

use crate::fit::{fit, with_hash};

/// Metrics of default routes, the lowest wins. A gateway that the user names wins over the pod network, and the pod
/// network over a gateway that DHCP names on another NIC; among equals the first NIC wins. Renderers have different
/// defaults, so each is written out.
const GATEWAY_METRIC: u16 = 10;
const POD_NETWORK_METRIC: u16 = 100;
const DHCP_METRIC: u16 = 200;
const VLAN_GATEWAY_METRIC: u16 = 50;
const VLAN_DHCP_METRIC: u16 = 250;

/// Address and gateway of a guest behind KubeVirt's NAT (`DefaultVMIpv6CIDR` in its `pkg/network`).
const POD_ADDRESS: &str = "fd10:0:2::2/120";
const POD_GATEWAY: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd10, 0, 2, 0, 0, 0, 0, 1));

/// Everything of netplan's format that we use.
#[derive(Serialize)]
struct NetworkData {
    version: u8,
    #[serde(serialize_with = "in_order")]
    ethernets: Vec<(String, Ethernet)>,
    #[serde(serialize_with = "in_order", skip_serializing_if = "Vec::is_empty")]
    vlans: Vec<(String, Vlan)>,
}

fn in_order<T: Serialize, S: Serializer>(
    entries: &[(String, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(id, entry)| (id, entry)))
}

/// An interface that tags a VLAN on the Ethernet interface of this id.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Vlan {
    id: u16,
    link: String,
    #[serde(flatten)]
    addresses: Addresses,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ethernet {
    r#match: Match,
    set_name: String,
    #[serde(flatten)]
    addresses: Addresses,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
}

/// How an interface gets its addresses and routes.
#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Addresses {
    #[serde(skip_serializing_if = "Option::is_none")]
    optional: Option<bool>,
    dhcp4: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp4_overrides: Option<DhcpOverrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accept_ra: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_local: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nameservers: Option<Nameservers>,
}

#[derive(Serialize)]
struct Match {
    macaddress: Mac,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DhcpOverrides {
    route_metric: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Route {
    to: String,
    via: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_link: Option<bool>,
}

#[derive(Serialize)]
struct Nameservers {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    search: Vec<String>,
}

/// The network data for a VM with the NIC on the pod network (if `wukong` has one) and `nics`: these and no other,
/// because one MAC that the VM does not have makes cloud-init give up on all of them.
///
/// The strings in the YAML are all quoted: cloud-init reads YAML 1.1, where `02:00:00:00:00:01` is a number to base 60 and
/// `on` a truth value.
pub fn guest_network_data(wukong: &ValidatedWukong, nics: &[&Nic]) -> String {
    let pod = wukong
        .pod_nic
        .map(|mac| (POD_NETWORK.to_owned(), pod_ethernet(mac, wukong)));
    let awaited = match pod {
        Some(_) => None,
        None => nics.iter().position(|nic| nic.ip.is_some()),
    };
    let secondary = (0..).zip(nics).map(|(position, nic)| {
        let optional = awaited != Some(usize::from(position));
        (id(nic), ethernet(nic, position, optional))
    });
    let tagged = nics
        .iter()
        .flat_map(|nic| nic.guest_vlans.iter().map(|vlan| (*nic, vlan)));
    let data = NetworkData {
        version: 2,
        ethernets: pod.into_iter().chain(secondary).collect(),
        vlans: (0..)
            .zip(tagged)
            .map(|(position, (nic, vlan))| tag(nic, vlan, position))
            .collect(),
    };
    let options = serde_saphyr::ser_options! { quote_all: true };
    // Strings, numbers and flags: nothing that YAML cannot hold.
    serde_saphyr::to_string_with_options(&data, options).unwrap_or_default()
}

/// KubeVirt serves the pod network's IPv4 address by DHCP. For IPv6 it serves nothing: the guest gives itself the address
/// that KubeVirt expects, and only where the Wukong says that the pod network has IPv6.
fn pod_ethernet(mac: Mac, wukong: &ValidatedWukong) -> Ethernet {
    let v4 = wukong.pod_ip_family != IpFamily::V6;
    let v6 = wukong.pod_ip_family != IpFamily::V4;
    let servers = &wukong.pod_dns_servers;
    let gateway = || Route {
        to: everywhere(POD_GATEWAY).to_owned(),
        via: POD_GATEWAY,
        metric: Some(POD_NETWORK_METRIC),
        on_link: None,
    };
    Ethernet {
        addresses: Addresses {
            dhcp4: v4,
            dhcp4_overrides: v4.then_some(DhcpOverrides {
                route_metric: POD_NETWORK_METRIC,
            }),
            accept_ra: v6.then_some(false),
            addresses: v6.then(|| POD_ADDRESS.to_owned()).into_iter().collect(),
            routes: v6.then(gateway).into_iter().collect(),
            nameservers: (!servers.is_empty()).then(|| Nameservers {
                addresses: servers.clone(),
                search: Vec::new(),
            }),
            ..Addresses::default()
        },
        ..bare(mac, POD_NETWORK)
    }
}

/// `position` among the secondary NICs. The boot does not wait for an `optional` NIC.
fn ethernet(nic: &Nic, position: u16, optional: bool) -> Ethernet {
    Ethernet {
        addresses: Addresses {
            optional: optional.then_some(true),
            ..addresses(
                nic.ip.as_ref(),
                GATEWAY_METRIC + position,
                DHCP_METRIC + position,
            )
        },
        mtu: nic.mtu,
        ..bare(nic.mac, &nic.name)
    }
}

/// `position` among all VLANs. Their gateways come after those of the NICs and before the pod network.
fn tag(nic: &Nic, vlan: &GuestVlan, position: u16) -> (String, Vlan) {
    let gateway = (VLAN_GATEWAY_METRIC + position).min(POD_NETWORK_METRIC - 1);
    let entry = Vlan {
        id: vlan.id,
        link: id(nic),
        addresses: Addresses {
            optional: Some(true),
            ..addresses(vlan.ip.as_ref(), gateway, VLAN_DHCP_METRIC + position)
        },
    };
    let name = format!("{}.{}", interface_name(&nic.name), vlan.id);
    (fit(&name, INTERFACE_MAX), entry)
}

/// The id of a NIC's entry. Where VLANs link to it, that is the name of its interface: not every renderer of cloud-init
/// follows an id to the interface behind it.
fn id(nic: &Nic) -> String {
    match nic.guest_vlans.is_empty() {
        true => nic.name.clone(),
        false => interface_name(&nic.name),
    }
}

/// Addresses and routes, with the metrics of default routes by gateway and by DHCP.
fn addresses(ip: Option<&GuestIp>, gateway_metric: u16, dhcp_metric: u16) -> Addresses {
    let Some(ip) = ip else {
        return Addresses {
            accept_ra: Some(false),
            link_local: Some(Vec::new()),
            ..Addresses::default()
        };
    };
    // DHCP for IPv4 only: IPv6 guests follow router advertisements, which say whether DHCPv6 is to be asked. Asking
    // unasked can hold up the boot.
    let dhcp = ip.addresses.is_empty();
    Addresses {
        dhcp4: dhcp,
        dhcp4_overrides: dhcp.then_some(DhcpOverrides {
            route_metric: dhcp_metric,
        }),
        addresses: ip.addresses.iter().map(ToString::to_string).collect(),
        routes: routes(ip, gateway_metric),
        nameservers: nameservers(ip),
        ..Addresses::default()
    }
}

/// A NIC that is up, and nothing else.
fn bare(mac: Mac, name: &str) -> Ethernet {
    Ethernet {
        r#match: Match { macaddress: mac },
        set_name: interface_name(name),
        addresses: Addresses::default(),
        mtu: None,
    }
}

/// The name of the interface in the guest: the NIC's own where Linux and systemd take it, else its beginning and a hash.
///
/// It is always set, because cloud-init before 22.2 takes the key of an entry for the name of an interface that exists.
fn interface_name(nic: &str) -> String {
    let taken = matches!(nic, "lo" | "all" | "default");
    if taken || nic.bytes().all(|byte| byte.is_ascii_digit()) {
        return with_hash(nic, INTERFACE_MAX);
    }
    fit(nic, INTERFACE_MAX)
}

fn routes(ip: &GuestIp, metric: u16) -> Vec<Route> {
    let gateway = ip.gateway.map(|via| (None, via));
    let more = ip.routes.iter().map(|route| (route.to, route.via));
    gateway
        .into_iter()
        .chain(more)
        .map(|(to, via)| Route {
            to: match to {
                Some(network) => network.to_string(),
                None => everywhere(via).to_owned(),
            },
            via,
            metric: to.is_none().then_some(metric),
            on_link: needs_on_link(ip, via).then_some(true),
        })
        .collect()
}

/// The destination of a default route. Netplan also takes the word `default`, but cloud-init's other renderers fail on
/// it and configure nothing at all.
fn everywhere(via: IpAddr) -> &'static str {
    match via {
        IpAddr::V4(_) => "0.0.0.0/0",
        IpAddr::V6(_) => "::/0",
    }
}

/// Before DHCP has given an address, no network tells the kernel that `via` is a neighbour: it would refuse the route,
/// and older networkd the whole NIC.
fn needs_on_link(ip: &GuestIp, via: IpAddr) -> bool {
    let link_local = matches!(via, IpAddr::V6(address) if address.is_unicast_link_local());
    let outside = || {
        let mut links = ip.addresses.iter();
        !links.any(|link| link.contains(&via))
    };
    !link_local && (ip.addresses.is_empty() || ip.gateway_on_link && outside())
}

fn nameservers(ip: &GuestIp) -> Option<Nameservers> {
    let any = !ip.dns_servers.is_empty() || !ip.search_domains.is_empty();
    any.then(|| Nameservers {
        addresses: ip.dns_servers.clone(),
        search: ip.search_domains.clone(),
    })
}
