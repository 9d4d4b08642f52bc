//! Networks and interfaces (`pkg/network/admitter`).

use std::collections::HashSet;
use std::net::IpAddr;

use super::config::ClusterConfig;
use super::verdict::Causes;
use super::{disks, names};
use crate::field::Field;

const BINDINGS: [&str; 5] = ["bridge", "masquerade", "sriov", "passtBinding", "binding"];
const DISCONTINUED: [(&str, &str); 3] = [
    (
        "slirp",
        "Slirp interface support has been discontinued since v1.3",
    ),
    (
        "macvtap",
        "Macvtap network binding has been discontinued since v1.3",
    ),
    (
        "passt",
        "Passt network binding has been discontinued since v1.3",
    ),
];
const MODELS: [&str; 8] = [
    "", "e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "virtio",
];
/// The address of the bridge inside the launcher pod.
const IN_POD_BRIDGE: [u8; 6] = [2, 0, 0, 0, 0, 0];
const DHCP_PRIVATE_OPTIONS: std::ops::RangeInclusive<i64> = 224..=254;

/// What is refused on creation only, and then alone.
pub fn check_creation(vmi: &Field<'_>, causes: &mut Causes) {
    for nic in interfaces(vmi) {
        for (binding, message) in DISCONTINUED {
            causes.add_if(nic.child(binding).is_set(), || message.into());
        }
    }
}

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    sources(vmi, config, causes);
    unique_and_matched(vmi, causes);
    let networks: Vec<_> = vmi.child("networks").items().collect();
    for nic in interfaces(vmi) {
        // As in a Go map filled in order, the last of two networks with one name counts.
        let network = networks
            .iter()
            .rev()
            .find(|network| network.name() == nic.name());
        let on_pod = network.is_some_and(|network| network.child("pod").is_set());
        state(&nic, vmi, causes);
        binding(&nic, on_pod, config, causes);
        fields(&nic, causes);
        if on_pod {
            ports(&nic, causes);
        }
        dhcp(&nic, causes);
    }
}

pub fn has_pod_network(vmi: &Field<'_>) -> bool {
    vmi.child("networks")
        .items()
        .any(|network| network.child("pod").is_set())
}

fn interfaces<'a>(vmi: &Field<'a>) -> impl Iterator<Item = Field<'a>> {
    vmi.at("domain.devices.interfaces").items()
}

fn is_multus_default(network: &Field<'_>) -> bool {
    network.at("multus.default").is_true()
}

fn sources(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let networks: Vec<_> = vmi.child("networks").items().collect();
    let pods = networks
        .iter()
        .filter(|network| network.child("pod").is_set())
        .count();
    let defaults = networks
        .iter()
        .filter(|network| is_multus_default(network))
        .count();
    causes.add_if(pods > 1, || {
        format!(
            "more than one interface is connected to a pod network in {}.interfaces",
            vmi.path()
        )
    });
    causes.add_if(defaults > 1, || {
        "Multus CNI should only have one default network".into()
    });
    causes.add_if(pods > 0 && defaults > 0, || {
        "Pod network cannot be defined when Multus default network is defined".into()
    });
    for network in &networks {
        match network.set_among(&["pod", "multus", "resourceClaim"]) {
            0 => causes.add("should have a network type"),
            1 => {}
            _ => causes.add("should have only one network type"),
        }
        let multus = network.child("multus");
        causes.add_if(
            multus.is_set() && multus.child("networkName").text().is_empty(),
            || "CNI delegating plugin must have a networkName".into(),
        );
        let claim = network.child("resourceClaim").is_set();
        causes.add_if(claim && !config.has("NetworkDevicesWithDRA"), || {
            "NetworkDevicesWithDRA feature gate is not enabled in kubevirt-config".into()
        });
    }
}

/// Every network has one interface of its name, and the other way round.
fn unique_and_matched(vmi: &Field<'_>, causes: &mut Causes) {
    let networks: Vec<_> = vmi.child("networks").items().collect();
    let nics: Vec<_> = interfaces(vmi).collect();
    let mut seen = HashSet::new();
    for network in &networks {
        causes.add_if(!seen.insert(network.name()), || {
            format!(
                "Network with name {:?} already exists, every network must have a unique name",
                network.name()
            )
        });
        causes.add_if(!nics.iter().any(|nic| nic.name() == network.name()), || {
            format!("{}.name '{}' not found.", network.path(), network.name())
        });
    }
    let mut seen = HashSet::new();
    for nic in &nics {
        causes.add_if(!seen.insert(nic.name()), || {
            "Only one interface can be connected to one specific network".into()
        });
        causes.add_if(
            !networks.iter().any(|network| network.name() == nic.name()),
            || format!("{}.name '{}' not found.", nic.path(), nic.name()),
        );
    }
}

fn state(nic: &Field<'_>, vmi: &Field<'_>, causes: &mut Causes) {
    let (name, state) = (nic.name(), nic.child("state").text());
    let link = ["up", "down"].contains(&state);
    causes.add_if(!link && !["", "absent"].contains(&state), || {
        format!("logical {name} interface state value is unsupported: {state}")
    });
    causes.add_if(link && nic.child("sriov").is_set(), || {
        format!("{name:?} interface's state {state:?} is not supported for SR-IOV NICs")
    });
    if state == "absent" {
        causes.add_if(!nic.child("bridge").is_set(), || {
            format!("{name:?} interface's state {state:?} is supported only for bridge binding")
        });
        let default = vmi
            .child("networks")
            .items()
            .find(|network| network.child("pod").is_set() || is_multus_default(network));
        causes.add_if(
            default.is_some_and(|network| network.name() == name),
            || format!("{name:?} interface's state {state:?} is not supported on default networks"),
        );
    }
}

fn binding(nic: &Field<'_>, on_pod: bool, config: &ClusterConfig, causes: &mut Causes) {
    causes.add_if(nic.set_among(&BINDINGS) != 1, || {
        format!(
            "logical {} interface must have exactly one binding method or binding plugin",
            nic.name()
        )
    });
    if nic.child("masquerade").is_set() {
        causes.add_if(!on_pod, || {
            "Masquerade interface only implemented with pod network".into()
        });
        let reserved =
            parse_mac(nic.child("macAddress").text()).is_some_and(|mac| mac == IN_POD_BRIDGE);
        causes.add_if(reserved, || {
            "The requested MAC address is reserved for the in-pod bridge. Please choose another one.".into()
        });
    }
    if nic.child("passtBinding").is_set() {
        causes.add_if(!config.has("PasstBinding"), || {
            "PasstBinding feature gate is not enabled".into()
        });
        causes.add_if(!on_pod, || {
            "PasstBinding interface only implemented with pod network".into()
        });
    }
}

fn fields(nic: &Field<'_>, causes: &mut Causes) {
    let name = nic.name();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    causes.add_if(name.is_empty() || !name.bytes().all(plain), || {
        "Network interface name can only contain alphabetical characters, numbers, dashes (-) or underscores (_)".into()
    });
    let model = nic.child("model").text();
    causes.add_if(!MODELS.contains(&model), || {
        format!(
            "interface {}.name uses model {model} that is not supported.",
            nic.path()
        )
    });
    let mac = nic.child("macAddress").text();
    if !mac.is_empty() {
        match parse_mac(mac) {
            None => causes.add(format!(
                "interface {}.name has malformed MAC address ({mac}).",
                nic.path()
            )),
            Some(bytes) if bytes.len() > 6 => {
                causes.add(format!(
                    "interface {}.name has too long MAC address ({mac}).",
                    nic.path()
                ));
            }
            Some(_) => {}
        }
    }
    let pci = nic.child("pciAddress").text();
    causes.add_if(!pci.is_empty() && !disks::is_pci_address(pci), || {
        format!(
            "interface {}.name has malformed PCI address ({pci}).",
            nic.path()
        )
    });
}

/// Reads a hardware address as Go's `net.ParseMAC` does: 6, 8 or 20 bytes; pairs joined by `:` or `-`, groups of four
/// digits joined by `.`, or bare digits.
fn parse_mac(text: &str) -> Option<Vec<u8>> {
    let separator = text.chars().find(|c| [':', '-', '.'].contains(c));
    let width = match separator {
        Some('.') => 4,
        Some(_) => 2,
        None => text.len(),
    };
    let groups: Vec<&str> = match separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    let well_formed =
        |group: &&str| group.len() == width && group.bytes().all(|b| b.is_ascii_hexdigit());
    if !groups.iter().all(well_formed) {
        return None;
    }
    let digits = groups.concat();
    if ![12, 16, 40].contains(&digits.len()) {
        return None;
    }
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn ports(nic: &Field<'_>, causes: &mut Causes) {
    let mut seen = HashSet::new();
    for port in nic.child("ports").items() {
        let name = port.name();
        if !name.is_empty() {
            causes.add_if(!seen.insert(name), || {
                format!("Duplicate name of the port: {name}")
            });
            causes.add_if(!names::is_port_name(name), || {
                format!("Invalid name of the port: {name}")
            });
        }
        match port.child("port").integer() {
            0 => causes.add("Port field is mandatory."),
            1..=65535 => {}
            _ => causes.add("Port field must be in range 0 < x < 65536."),
        }
        causes.add_if(
            !["", "TCP", "UDP"].contains(&port.child("protocol").text()),
            || "Unknown protocol, only TCP or UDP allowed".into(),
        );
    }
}

fn dhcp(nic: &Field<'_>, causes: &mut Causes) {
    let mut seen = HashSet::new();
    for option in nic.at("dhcpOptions.privateOptions").items() {
        let number = option.child("option").integer();
        causes.add_if(!seen.insert(number), || {
            "Found Duplicates: you have provided duplicate DHCPPrivateOptions".into()
        });
        causes.add_if(!DHCP_PRIVATE_OPTIONS.contains(&number), || {
            "provided DHCPPrivateOptions are out of range, must be in range 224 to 254".into()
        });
    }
    for server in nic.at("dhcpOptions.ntpServers").items() {
        let v4 = match server.text().parse() {
            Ok(IpAddr::V4(_)) => true,
            Ok(IpAddr::V6(v6)) => v6.to_ipv4_mapped().is_some(),
            Err(_) => false,
        };
        causes.add_if(!v4, || {
            "NTP servers must be a list of valid IPv4 addresses.".into()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_read_as_go_reads_them() {
        for good in [
            "02:00:00:00:00:01",
            "02-00-00-00-00-01",
            "0200.0000.0001",
            "020000000001",
            "AA:BB:CC:dd:ee:ff",
        ] {
            assert_eq!(parse_mac(good).unwrap().len(), 6, "{good}");
        }
        assert_eq!(parse_mac("02:00:00:00:00:01:02:03").unwrap().len(), 8);
        for bad in [
            "",
            "02:00:00:00:00",
            "zz:00:00:00:00:01",
            "02:00-00:00:00:01",
            "2:0:0:0:0:1",
            "0200:0000:0001",
            "ä20000000001",
        ] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
    }
}
