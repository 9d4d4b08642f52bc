//! Rules about Multus, NMState and the bridges on the nodes.

use std::collections::BTreeMap;

use wukong_api::Reason;
use wukong_api::validated::{Attachment, Nic};

use super::{Finding, RuleInput, gap, grouped, lines};
use crate::environment::addresses::asks_for_any;
use crate::environment::bridges::Bridge;
use crate::environment::demand::Stage;
use crate::facts::words::listed;
use crate::facts::{NodeFact, NodeNetworkFact, Presence, Text};

/// Whether secondary networks matter: to a cluster always, to a Wukong when it has some.
fn concerns(input: &RuleInput) -> bool {
    input.wukong.is_none_or(|wukong| !wukong.nics.is_empty())
}

pub(super) fn multus_installed(input: &RuleInput) -> Finding {
    if !concerns(input) {
        return Finding::Irrelevant;
    }
    let presence = input.environment.nads;
    if let Some(gap) = gap(presence, "NetworkAttachmentDefinition") {
        return gap;
    }
    if presence == Presence::Served {
        return Finding::holds();
    }
    let Some(wukong) = input.wukong else {
        return Finding::found("Multus is not installed: VMs get the NIC on the pod network only")
            .mild(true);
    };
    let (waits, nics) = match wukong.attached_nics(false) {
        Err(waiting) => (true, waiting),
        Ok(_) => (false, wukong.nics.iter().collect()),
    };
    let names = listed(nics.iter().map(|nic| nic.name.as_str()));
    Finding::found(if waits {
        format!("Multus is not installed, and the VM must not start without its networks {names}")
    } else {
        format!(
            "Multus is not installed: the VM gets the NIC on the pod network only, without {names}"
        )
    })
    .mild(!waits)
}

pub(super) fn multus_healthy(input: &RuleInput) -> Finding {
    let environment = input.environment;
    if !concerns(input) || environment.nads != Presence::Served {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(environment.multus.presence(), "DaemonSet") {
        return gap;
    }
    let mut missing = None;
    for multus in environment.multus.iter() {
        let subject = format!("DaemonSet/{}", multus.meta.name);
        if multus.ready >= multus.desired && multus.desired > 0 {
            return Finding::holds();
        }
        let message = format!(
            "Multus is ready on {} of {} nodes: pods with secondary networks do not start on the others",
            multus.ready, multus.desired
        );
        missing = Some(
            Finding::found(message)
                .about(subject)
                .mild(multus.ready > 0),
        );
    }
    missing.unwrap_or_else(|| {
        Finding::found(
            "The kind NetworkAttachmentDefinition exists, but no Multus DaemonSet runs: NICs would be silently left out",
        )
    })
}

/// The networks with `nodeNetwork`: those with bridges that this operator makes, or those with bridges that it does not.
fn asking<'a>(input: &RuleInput<'a>, managed: bool) -> Vec<&'a str> {
    let asks = |nic: &&Nic| {
        let node = nic.node_network.as_ref();
        node.is_some_and(|node| node.managed == managed)
    };
    let nics = input.wukong.into_iter().flat_map(|wukong| &wukong.nics);
    nics.filter(asks).map(|nic| nic.name.as_str()).collect()
}

pub(super) fn nmstate_installed(input: &RuleInput) -> Finding {
    let names = asking(input, true);
    if names.is_empty() {
        return Finding::Irrelevant;
    }
    let presence = input.environment.node_networks.presence();
    if let Some(gap) = gap(presence, "NodeNetworkState") {
        return gap;
    }
    if presence == Presence::Served {
        return Finding::holds();
    }
    Finding::found(format!(
        "NMState is not installed, and the bridges of the networks {} are to be made by it",
        listed(names)
    ))
}

/// Reports bridges that the operator does not make, because its settings do not allow it.
pub(super) fn not_managed(input: &RuleInput) -> Finding {
    let names = asking(input, false);
    if names.is_empty() {
        return Finding::Irrelevant;
    }
    Finding::found(format!(
        "nodeNetwork of {} is not applied, because the operator runs without --manage-node-networks: the bridges must already exist",
        listed(names)
    ))
}

/// Returns the finding of the first bridge that `amiss` reports, of those that this operator makes.
fn of_bridges(input: &RuleInput, amiss: impl Fn(&Bridge) -> Option<Finding>) -> Finding {
    let bridges = input.wukong.map(Bridge::wanted).unwrap_or_default();
    if bridges.is_empty() {
        return Finding::Irrelevant;
    }
    match Bridge::gap(input.environment) {
        Some((kind, presence)) => gap(presence, kind).unwrap_or(Finding::Irrelevant),
        None => bridges
            .iter()
            .find_map(amiss)
            .unwrap_or_else(Finding::holds),
    }
}

/// Reports an NNCP that existed before and configures the same bridge differently: the older NNCP wins.
pub(super) fn one_policy(input: &RuleInput) -> Finding {
    let environment = input.environment;
    of_bridges(input, |bridge| {
        let policy = bridge.rival(environment)?;
        let name = &policy.meta.name;
        let theirs = policy.bridges.iter().map(|theirs| {
            let ports = listed(theirs.ports.iter().map(Text::as_str));
            format!("{} over {ports}", theirs.name)
        });
        let theirs: Vec<String> = theirs.collect();
        let message = format!(
            "{} over {} cannot be made: NodeNetworkConfigurationPolicy {name} was there first, and makes {} on the same nodes",
            bridge.name,
            bridge.uplink,
            listed(theirs.iter().map(String::as_str)),
        );
        Some(Finding::found(message).about(format!("NodeNetworkConfigurationPolicy/{name}")))
    })
}

/// Checks that no node is cut off. A port of a bridge has no addresses. If the uplink has the addresses of the node, no
/// client reaches the node after the uplink becomes a port.
pub(super) fn isolation(input: &RuleInput) -> Finding {
    let environment = input.environment;
    of_bridges(input, |bridge| {
        let causes = bridge.isolates(environment);
        let (node, _) = causes.first().filter(|_| !bridge.is_stored(environment))?;
        let message = format!(
            "{} over {} is not made, because nodes would be cut off: {}",
            bridge.name,
            bridge.uplink,
            grouped(&causes)
        );
        let found = Finding::found(message).about(format!("Node/{node}"));
        Some(found.evidence(lines(&causes)))
    })
}

/// Reports what NMState could not apply.
pub(super) fn degraded(input: &RuleInput) -> Finding {
    let environment = input.environment;
    of_bridges(input, |bridge| {
        let causes = bridge.failed(environment);
        causes.first()?;
        let message = format!(
            "NMState could not make {} over {}: {}",
            bridge.name,
            bridge.uplink,
            grouped(&causes)
        );
        let found = Finding::found(message).about(bridge.body.target.to_string());
        let mild = bridge.works_somewhere(environment, &input.nodes);
        Some(found.evidence(lines(&causes)).mild(mild))
    })
}

/// Checks that bridges exist on nodes where the operator does not make them. The CNI plugin would otherwise make a bridge
/// without an uplink, and the VM would reach no other host (`ensureBridge` of the bridge plugin).
pub(super) fn bridges(input: &RuleInput) -> Finding {
    let environment = input.environment;
    let nics = input.wukong.into_iter().flat_map(|wukong| &wukong.nics);
    let bridges: BTreeMap<&str, &str> = nics
        .filter(|nic| nic.kind.is_bridged())
        .filter(|nic| nic.node_network.as_ref().is_none_or(|node| node.managed))
        .filter(|nic| matches!(nic.attachment, Attachment::Planned(_)))
        .filter_map(|nic| Some((nic.bridge.as_deref()?, nic.name.as_str())))
        .collect();
    let states = &environment.node_networks;
    // Without NMState, the bridges of the nodes are unknown.
    if bridges.is_empty() || states.presence() == Presence::Missing {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(states.presence(), "NodeNetworkState") {
        return gap;
    }
    let everywhere =
        |bridge: &&str| states.count(&NodeNetworkFact::with_bridge(bridge)) == states.len();
    if bridges.keys().all(everywhere) {
        return Finding::holds();
    }
    let candidates: Vec<&NodeFact> = input
        .nodes
        .reaching(Stage::Handler)
        .filter(|node| states.get("", &node.meta.name).present().is_some())
        .collect();
    let made = input.wukong.map(Bridge::wanted).unwrap_or_default();
    let lacking = |bridge: &str| -> Vec<(&str, String)> {
        let lacks = |node: &&&NodeFact| {
            let state = states.get("", &node.meta.name).present();
            let comes = |made: &Bridge| made.name == bridge && made.selects(node);
            state.is_some_and(|state| !state.bridges.contains(bridge)) && !made.iter().any(comes)
        };
        candidates
            .iter()
            .filter(lacks)
            .map(|node| (node.meta.name.as_str(), format!("no bridge {bridge}")))
            .collect()
    };
    // A bridge that is missing everywhere is worse than one that is missing somewhere.
    let worst = bridges
        .iter()
        .map(|(bridge, network)| (*network, lacking(bridge)))
        .max_by_key(|(_, causes)| causes.len())
        .filter(|(_, causes)| !causes.is_empty());
    match worst {
        Some((network, causes)) => Finding::found(format!(
            "network {network}: its bridge is missing on nodes that the VM may be placed on, where it would be cut off: {}",
            grouped(&causes)
        ))
        .evidence(lines(&causes))
        .mild(causes.len() < candidates.len()),
        None => Finding::holds(),
    }
}

pub(super) fn macs(input: &RuleInput) -> Finding {
    nobody_elses(input, Reason::MACConflict)
}

pub(super) fn static_addresses(input: &RuleInput) -> Finding {
    nobody_elses(input, Reason::IPConflict)
}

fn nobody_elses(input: &RuleInput, reason: Reason) -> Finding {
    let Some(wukong) = input.wukong.filter(|wukong| asks_for_any(wukong)) else {
        return Finding::Irrelevant;
    };
    let addresses = &input.environment.addresses;
    if let Some(gap) = gap(addresses.presence(), "Wukong") {
        return gap;
    }
    let nics: Vec<_> = wukong.nics.iter().collect();
    match addresses.taken(wukong, &nics, reason, |_| false) {
        Some(taken) => Finding::found(taken.message).about(taken.by),
        None => Finding::holds(),
    }
}
