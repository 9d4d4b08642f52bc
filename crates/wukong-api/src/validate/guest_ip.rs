//! Addresses and routes in the guest.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::problem::Problems;
use super::text;
use crate::spec::{self, IpMode};
use crate::validated::{GuestIp, GuestRoute};

/// Longest domain name (RFC 1123).
const DOMAIN_MAX: usize = 253;

pub(super) fn check(path: &str, requested: &spec::IpConfig, problems: &mut Problems) -> GuestIp {
    let at = |field: &str| format!("{path}.{field}");
    let first = requested
        .address
        .iter()
        .map(|written| (at("address"), written));
    let more = requested
        .addresses
        .iter()
        .enumerate()
        .map(|(index, written)| (at(&format!("addresses[{index}]")), written));
    let addresses: Vec<IpNet> = first
        .chain(more)
        .filter_map(|(path, written)| problems.check(&path, host_address(written)))
        .collect();
    let given = requested.address.is_some() || !requested.addresses.is_empty();
    match requested.mode {
        Some(IpMode::Static) if !given => problems.add(
            at("address"),
            "mode: static needs an address such as 192.168.10.5/24",
        ),
        Some(IpMode::Dhcp) if given => problems.add(
            at("address"),
            "mode: dhcp gets its address from the network: drop address, or use mode: static",
        ),
        _ => {}
    }
    let on_link = requested.gateway_on_link == Some(true);
    if on_link && requested.gateway.is_none() && requested.routes.is_empty() {
        problems.add(
            at("gatewayOnLink"),
            "says how the gateway is reached: add gateway or routes, or drop it",
        );
    }
    let gateway = requested
        .gateway
        .as_ref()
        .and_then(|written| problems.check(&at("gateway"), next_hop(written, &addresses, on_link)));
    let dns_servers = requested
        .dns_servers
        .iter()
        .enumerate()
        .filter_map(|(index, written)| {
            problems.check(&at(&format!("dnsServers[{index}]")), ip(written))
        })
        .collect();
    for (index, domain) in requested.search_domains.iter().enumerate() {
        problems.check(&at(&format!("searchDomains[{index}]")), domain_name(domain));
    }
    let mut destinations: HashMap<(bool, Option<IpNet>), String> = gateway
        .map(|via| ((via.is_ipv4(), None), at("gateway")))
        .into_iter()
        .collect();
    let mut routes = Vec::new();
    for (index, requested) in requested.routes.iter().enumerate() {
        let path = at(&format!("routes[{index}]"));
        let Some(route) = guest_route(&path, requested, (&addresses, on_link), problems) else {
            continue;
        };
        let destination = (route.via.is_ipv4(), route.to);
        if let Some(first) = destinations.insert(destination, path.clone()) {
            problems.add(
                format!("{path}.to"),
                format!(
                    "{} is the destination of {first} already",
                    text::quoted(&requested.to)
                ),
            );
        }
        routes.push(route);
    }
    GuestIp {
        addresses,
        gateway,
        gateway_on_link: on_link,
        dns_servers,
        search_domains: requested.search_domains.clone(),
        routes,
    }
}

fn guest_route(
    path: &str,
    requested: &spec::Route,
    (addresses, on_link): (&[IpNet], bool),
    problems: &mut Problems,
) -> Option<GuestRoute> {
    let via = problems.check(
        &format!("{path}.via"),
        next_hop(&requested.via, addresses, on_link),
    );
    let to = match requested.to.as_str() {
        "default" => None,
        written => {
            let network = written.parse::<IpNet>().map_err(|_| {
                format!(
                    "{} is not a network such as 10.0.0.0/8, nor `default`",
                    text::quoted(written)
                )
            });
            let network = problems.check(&format!("{path}.to"), network)?.trunc();
            if let Some(via) = via
                && via.is_ipv4() != network.addr().is_ipv4()
            {
                problems.add(
                    path,
                    format!("{network} and {via} are of different IP versions"),
                );
            }
            Some(network).filter(|network| network.prefix_len() > 0)
        }
    };
    Some(GuestRoute { to, via: via? })
}

pub(super) fn ip(written: &str) -> Result<IpAddr, String> {
    written
        .parse()
        .map_err(|_| format!("{} is not an IP address", text::quoted(written)))
}

/// Checks a DNS search domain. DNS ignores case.
fn domain_name(written: &str) -> Result<(), String> {
    let labels = written.to_ascii_lowercase();
    if written.len() <= DOMAIN_MAX
        && labels
            .split('.')
            .all(|label| text::dns_label(label).is_ok())
    {
        return Ok(());
    }
    Err(format!(
        "{} is not a domain such as lan.example (without a dot at the end)",
        text::quoted(written)
    ))
}

/// A gateway or next hop: on the link of a static address of its IP version, where there is one.
fn next_hop(written: &str, addresses: &[IpNet], on_link: bool) -> Result<IpAddr, String> {
    let hop = ip(written)?;
    if hop.is_unspecified() || hop.is_loopback() || hop.is_multicast() {
        return Err(format!("{hop} is not an address that a router can have"));
    }
    let mut links = addresses
        .iter()
        .filter(|address| address.addr().is_ipv4() == hop.is_ipv4())
        .peekable();
    let link_local = matches!(hop, IpAddr::V6(address) if address.is_unicast_link_local());
    if link_local || addresses.is_empty() {
        return Ok(hop);
    }
    if links.peek().is_none() {
        return Err(format!("{hop} is of another IP version than the addresses"));
    }
    if !on_link && !links.any(|link| link.contains(&hop)) {
        return Err(format!(
            "{hop} is not on the link: it lies outside {} (gatewayOnLink: true accepts that)",
            listed(addresses)
        ));
    }
    if addresses.iter().any(|address| address.addr() == hop) {
        return Err(format!("{hop} is the address of the VM itself"));
    }
    Ok(hop)
}

fn listed(addresses: &[IpNet]) -> String {
    addresses
        .iter()
        .map(|address| address.trunc().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// An address with prefix length that a host can have.
fn host_address(written: &str) -> Result<IpNet, String> {
    let address: IpNet = written.parse().map_err(|_| {
        format!(
            "{} is not an address with prefix length, such as 192.168.10.5/24",
            text::quoted(written)
        )
    })?;
    let host = address.addr();
    let shown = text::quoted(written);
    if address.prefix_len() == 0 {
        return Err(format!(
            "{shown} has prefix length 0: write the length of the network's prefix, such as /24"
        ));
    }
    if host.is_unspecified() || host.is_loopback() || host.is_multicast() {
        return Err(format!("{shown} is not an address that a NIC can have"));
    }
    // RFC 3021: a /31 has neither a network nor a broadcast address.
    if let IpNet::V4(network) = address
        && network.prefix_len() < 31
    {
        if network.addr() == network.network() {
            return Err(format!("{shown} is the address of the network itself"));
        }
        if network.addr() == network.broadcast() {
            return Err(format!("{shown} is the broadcast address of its network"));
        }
    }
    Ok(address)
}
