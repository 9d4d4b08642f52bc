//! Changes of NICs.

use wukong_api::spec::NicModel;
use wukong_api::validated::{GuestIp, GuestRoute, Nic, NodeNetwork};
use wukong_api::{ValidatedWukong, names};
use wukong_vm::virtual_machine::{Binding, Interface};

use super::change::{Change, Changes, RESTART};
use super::class::Class;
use super::show::{list, reordered, written};
use crate::facts::MachineFact;

const FIRST_BOOT: &str = "cloud-init configures addresses on the first boot: change them in the guest, too, or create the boot disk again";
pub(crate) const ATTACHED: &str =
    "the network is changed at once; a running VM is attached again when it migrates or restarts";

pub(super) fn compare(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    pod_network(old, new, changes);
    for nic in &old.nics {
        match find(new, nic) {
            Some(other) => one((old, nic), (new, other), changes),
            None => changes.list.push(Change {
                from: Some(summary(nic)),
                ..gone(&nic.name, nic.kind.is_bridge() && !nic.primary)
            }),
        }
    }
    for nic in new.nics.iter().filter(|nic| find(old, nic).is_none()) {
        let restart = |why: &str| (Class::NeedsRestart, why.to_owned());
        let other_model = nic.model.is_some_and(|model| model != NicModel::Virtio);
        let (class, why) = if nic.primary || other_model {
            restart(
                "KubeVirt plugs neither another model than virtio nor the primary network into a running guest",
            )
        } else if nic.kind.is_macvtap() {
            restart("KubeVirt plugs bridge and SR-IOV NICs only into a running guest")
        } else {
            let (class, why) = changes.vm.by_migration("NICs");
            let own = "A guest that has booted before has to configure the NIC itself";
            (class, format!("{why}. {own}"))
        };
        changes.add(&path(nic, ""), None, Some(summary(nic)), class, &why);
    }
    let names = |wukong: &ValidatedWukong| -> Vec<String> {
        wukong.nics.iter().map(|nic| nic.name.clone()).collect()
    };
    let (before, after) = (names(old), names(new));
    let [a, b] =
        [&before, &after].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
    if reordered(&a, &b) {
        changes.add(
            "spec.networks",
            list(before.into_iter()),
            list(after.into_iter()),
            Class::NeedsRestart,
            RESTART,
        );
    }
}

/// A NIC that the spec no longer has. `pulled`: the running guest loses it.
pub(crate) fn gone(name: &str, pulled: bool) -> Change {
    let (class, why) = match pulled {
        true => (
            Class::HotUnplug,
            "KubeVirt pulls it out of the running guest; the pod of the VM has the network until the next migration or start",
        ),
        false => (Class::NeedsRestart, "it is unplugged with the next start"),
    };
    Change {
        path: format!("spec.networks[{name}]"),
        from: None,
        to: None,
        class,
        why: why.into(),
    }
}

/// Whether KubeVirt pulls this NIC of a running guest out of it (`pkg/network/admitter` of KubeVirt: bridge NICs only, and not
/// the first network of the pod).
pub(crate) fn pulls(machine: &MachineFact, nic: &Interface) -> bool {
    let is_primary = machine.primary.as_ref() == Some(&nic.name) || nic.name == names::POD_NETWORK;
    nic.binding == Binding::Bridge {} && !is_primary
}

fn pod_network(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    let shown = |wukong: &ValidatedWukong| {
        Some(
            if wukong.pod_nic.is_some() {
                "Masquerade"
            } else {
                "None"
            }
            .to_owned(),
        )
    };
    changes.field(
        "spec.podNetworkIpFamily",
        &old.pod_ip_family,
        &new.pod_ip_family,
        Class::FirstBootOnly,
        FIRST_BOOT,
    );
    if old.pod_dns_servers != new.pod_dns_servers {
        changes.add(
            "spec.podNetworkDnsServers",
            servers(old),
            servers(new),
            Class::FirstBootOnly,
            FIRST_BOOT,
        );
    }
    if old.pod_nic != new.pod_nic {
        changes.add(
            "spec.podNetwork",
            shown(old),
            shown(new),
            Class::NeedsRestart,
            RESTART,
        );
    }
}

pub(super) fn servers(wukong: &ValidatedWukong) -> Option<String> {
    list(wukong.pod_dns_servers.iter().map(ToString::to_string))
}

/// VLANs of the guest for people.
pub(super) fn vlans(nic: &Nic) -> Option<String> {
    list(
        nic.guest_vlans
            .iter()
            .map(|vlan| match ip(vlan.ip.as_ref()) {
                Some(ip) => format!("{} ({ip})", vlan.id),
                None => vlan.id.to_string(),
            }),
    )
}

type Owned<'a> = (&'a ValidatedWukong, &'a Nic);

fn one((old_wukong, old): Owned<'_>, (new_wukong, new): Owned<'_>, changes: &mut Changes) {
    let at = |field: &str| path(old, field);
    changes.field(
        &at("type"),
        &old.kind,
        &new.kind,
        Class::NeedsRestart,
        RESTART,
    );
    if old.attachment != new.attachment {
        let (class, why) = changes.vm.by_migration("the NIC of another network");
        changes.add(
            &at("nadName"),
            Some(old.attachment.name().into()),
            Some(new.attachment.name().into()),
            class,
            &why,
        );
    }
    // Under a foreign NAD, some of these fields have no effect.
    let definition = |(wukong, nic): Owned<'_>| wukong_network::nads(wukong, &[nic]);
    let policies = |wukong| wukong_network::node_policies(wukong);
    let attached = definition((old_wukong, old)) != definition((new_wukong, new));
    let made = policies(old_wukong) != policies(new_wukong);
    if attached {
        changes.field(
            &at("vlanId"),
            &old.vlan,
            &new.vlan,
            Class::NeedsRestart,
            ATTACHED,
        );
        changes.field(
            &at("resourceName"),
            &old.resource,
            &new.resource,
            Class::NeedsRestart,
            ATTACHED,
        );
    }
    if attached || made {
        changes.field(
            &at("bridgeName"),
            &old.bridge,
            &new.bridge,
            Class::NeedsRestart,
            ATTACHED,
        );
    }
    let (class, why) = match attached {
        true => (Class::NeedsRestart, ATTACHED),
        false => (Class::FirstBootOnly, FIRST_BOOT),
    };
    changes.field(&at("mtu"), &old.mtu, &new.mtu, class, why);
    changes.field(&at("macAddress"), &old.mac, &new.mac, Class::NeedsRestart,
        "the running VM keeps what it was started with; the guest knows its NIC by the MAC of the first boot");
    if old.ip != new.ip {
        changes.add(
            &at("ipConfig"),
            ip(old.ip.as_ref()),
            ip(new.ip.as_ref()),
            Class::FirstBootOnly,
            FIRST_BOOT,
        );
    }
    if old.guest_vlans != new.guest_vlans {
        changes.add(
            &at("guestVlans"),
            vlans(old),
            vlans(new),
            Class::FirstBootOnly,
            FIRST_BOOT,
        );
    }
    changes.field(
        &at("model"),
        &old.model,
        &new.model,
        Class::NeedsRestart,
        "the running VM keeps what it was started with; the guest needs a driver for the new model",
    );
    changes.field(
        &at("linkState"),
        &old.link_state,
        &new.link_state,
        Class::InPlace,
        "KubeVirt sets the link of the running NIC: the guest loses or gets its connection at once",
    );
    changes.field(
        &at("primary"),
        &old.primary,
        &new.primary,
        Class::NeedsRestart,
        RESTART,
    );
    changes.field(
        &at("onMissingMultus"),
        &old.on_missing_multus,
        &new.on_missing_multus,
        Class::InPlace,
        "the operator heeds it from now on",
    );
    if old.node_network != new.node_network {
        changes.add(
            &at("nodeNetwork"),
            node(old.node_network.as_ref()),
            node(new.node_network.as_ref()),
            Class::InPlace,
            match new.node_network {
                Some(_) => {
                    "the operator makes the bridge on the nodes, unless it exists with another configuration"
                }
                None => "the bridge stays on the nodes as it is",
            },
        );
    }
}

fn find<'a>(wukong: &'a ValidatedWukong, nic: &Nic) -> Option<&'a Nic> {
    wukong.nics.iter().find(|other| other.name == nic.name)
}

pub(super) fn path(nic: &Nic, field: &str) -> String {
    match field {
        "" => format!("spec.networks[{}]", nic.name),
        _ => format!("spec.networks[{}].{field}", nic.name),
    }
}

/// A NIC for people.
pub(crate) fn summary(nic: &Nic) -> String {
    let bridge = nic.bridge.as_ref().map(|bridge| format!(" {bridge}"));
    let vlan = nic.vlan.map(|vlan| format!(", VLAN {vlan}"));
    let kind = written(&nic.kind).unwrap_or_default();
    format!(
        "{kind}{}{}",
        bridge.unwrap_or_default(),
        vlan.unwrap_or_default()
    )
}

pub(super) fn ip(ip: Option<&GuestIp>) -> Option<String> {
    let ip = ip?;
    let route = |route: &GuestRoute| match route.to {
        Some(to) => format!("{to} via {}", route.via),
        None => format!("default via {}", route.via),
    };
    let parts = [
        (
            "",
            list(ip.addresses.iter().map(ToString::to_string)).or_else(|| Some("dhcp".into())),
        ),
        ("gateway ", ip.gateway.map(|gateway| gateway.to_string())),
        ("", ip.gateway_on_link.then(|| "on link".to_owned())),
        ("dns ", list(ip.dns_servers.iter().map(ToString::to_string))),
        ("search ", list(ip.search_domains.iter().cloned())),
        ("routes ", list(ip.routes.iter().map(route))),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}{}", value?)));
    Some(parts.collect::<Vec<_>>().join("; "))
}

fn node(network: Option<&NodeNetwork>) -> Option<String> {
    let network = network?;
    let nodes = list(
        network
            .node_selector
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    Some(format!(
        "{} on {}",
        network.uplink,
        nodes.unwrap_or_else(|| "every node".into())
    ))
}
