//! How the guest configures its NICs: cloud-init network data, version 2.
//!
//! The rules below are those that every renderer of cloud-init understands (netplan, networkd, NetworkManager,
//! sysconfig, ifupdown), not only netplan.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use wukong_api::names::{INTERFACE_MAX, POD_NETWORK};
use wukong_api::validated::{GuestIp, Nic};
use wukong_api::{Mac, ValidatedWukong};

use crate::fit::{fit, with_hash};

/// Metrics of default routes, the lowest wins. A gateway that the user names wins over the pod network, and the pod
/// network over a gateway that DHCP names on another NIC; among equals the first NIC wins. Renderers have different
/// defaults, so each is written out.
const GATEWAY_METRIC: u16 = 10;
const POD_NETWORK_METRIC: u16 = 100;
const DHCP_METRIC: u16 = 200;

/// Everything of netplan's format that we use.
#[derive(Serialize)]
struct NetworkData {
    version: u8,
    #[serde(serialize_with = "in_order")]
    ethernets: Vec<(String, Ethernet)>,
}

fn in_order<S: Serializer>(
    ethernets: &[(String, Ethernet)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(ethernets.iter().map(|(id, ethernet)| (id, ethernet)))
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ethernet {
    r#match: Match,
    set_name: String,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
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
/// YAML whose strings are all quoted: cloud-init reads YAML 1.1, where `02:00:00:00:00:01` is a number to base 60 and
/// `on` a truth value.
pub fn guest_network_data(wukong: &ValidatedWukong, nics: &[&Nic]) -> String {
    let pod = wukong
        .pod_nic
        .map(|mac| (POD_NETWORK.to_owned(), pod_ethernet(mac)));
    let awaited = match pod {
        Some(_) => None,
        None => nics.iter().position(|nic| nic.ip.is_some()),
    };
    let secondary = (0..).zip(nics).map(|(position, nic)| {
        let optional = awaited != Some(usize::from(position));
        (nic.name.clone(), ethernet(nic, position, optional))
    });
    let data = NetworkData {
        version: 2,
        ethernets: pod.into_iter().chain(secondary).collect(),
    };
    let options = serde_saphyr::ser_options! { quote_all: true };
    // Strings, numbers and flags: nothing that YAML cannot hold.
    serde_saphyr::to_string_with_options(&data, options).unwrap_or_default()
}

/// KubeVirt serves the pod network's IPv4 address by DHCP. For IPv6 it serves nothing: a guest would have to give
/// itself a fixed address and route, which lead nowhere on a cluster without IPv6, so it gets none.
fn pod_ethernet(mac: Mac) -> Ethernet {
    Ethernet {
        dhcp4: true,
        dhcp4_overrides: Some(DhcpOverrides {
            route_metric: POD_NETWORK_METRIC,
        }),
        ..bare(mac, POD_NETWORK)
    }
}

/// `position` among the secondary NICs. The boot does not wait for an `optional` NIC.
fn ethernet(nic: &Nic, position: u16, optional: bool) -> Ethernet {
    let common = Ethernet {
        optional: optional.then_some(true),
        mtu: nic.mtu,
        ..bare(nic.mac, &nic.name)
    };
    let Some(ip) = &nic.ip else {
        return Ethernet {
            accept_ra: Some(false),
            link_local: Some(Vec::new()),
            ..common
        };
    };
    // DHCP for IPv4 only: IPv6 guests follow router advertisements, which say whether DHCPv6 is to be asked. Asking
    // unasked can hold up the boot.
    let dhcp = ip.addresses.is_empty();
    Ethernet {
        dhcp4: dhcp,
        dhcp4_overrides: dhcp.then_some(DhcpOverrides {
            route_metric: DHCP_METRIC + position,
        }),
        addresses: ip.addresses.iter().map(ToString::to_string).collect(),
        routes: routes(ip, GATEWAY_METRIC + position),
        nameservers: nameservers(ip),
        ..common
    }
}

/// A NIC that is up, and nothing else.
fn bare(mac: Mac, name: &str) -> Ethernet {
    Ethernet {
        r#match: Match { macaddress: mac },
        set_name: interface_name(name),
        optional: None,
        dhcp4: false,
        dhcp4_overrides: None,
        accept_ra: None,
        link_local: None,
        addresses: Vec::new(),
        routes: Vec::new(),
        nameservers: None,
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
    ip.addresses.is_empty() && !link_local
}

fn nameservers(ip: &GuestIp) -> Option<Nameservers> {
    let any = !ip.dns_servers.is_empty() || !ip.search_domains.is_empty();
    any.then(|| Nameservers {
        addresses: ip.dns_servers.clone(),
        search: ip.search_domains.clone(),
    })
}
