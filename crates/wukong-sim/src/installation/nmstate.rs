//! NMState: its report about the nodes' networks, and how it applies policies.
//!
//! Each node applies a policy for itself, and reports the result in an enactment; the policy sums them up. The bridges stay
//! when their policy is deleted.

use serde_json::{Value, json};

use crate::change::{Change, Conditions, Manager, Moment, Step, pick};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::scenario::Scenario;
use crate::world::World;

const BY: Manager = Manager::NmState;
/// The bridges of every node, besides its NICs.
const BRIDGES: [(&str, &str); 5] = [
    ("br-backup", "linux-bridge"),
    ("br-dmz", "linux-bridge"),
    ("br-lan", "linux-bridge"),
    ("br-other", "linux-bridge"),
    ("ovs-dmz", "ovs-bridge"),
];
/// The NICs of every node that carry nothing of its own. `eth0` does.
const SPARE: [&str; 3] = ["eth1", "eth2", "eth3"];
const POLICY: &str = "nmstate.io/policy";
const NODE: &str = "nmstate.io/node";
const CONFIGURED: &str = "SuccessfullyConfigured";
const FAILED: &str = "FailedToConfigure";

/// What NMState does on a node.
pub fn on_node(world: &World, node: &Field<'_>, faults: &Scenario, moment: &Moment) -> Vec<Change> {
    let mut changes: Vec<Change> = state(world, node, faults).into_iter().collect();
    let name = node.child("metadata").name();
    for policy in world.list(Kind::NodePolicy, "") {
        if selects(&policy, node) {
            changes.extend(enact(world, &policy, name, faults, moment));
        }
    }
    let stale = enactments(world, NODE, name).filter(|enactment| {
        let policy = label(enactment, POLICY);
        let known = world.get(Kind::NodePolicy, "", policy);
        known.is_none_or(|policy| !selects(&policy, node))
    });
    changes.extend(stale.map(|enactment| Change::delete(Kind::Enactment, &enactment)));
    changes
}

/// The objects that are deleted with a node.
pub fn forsake<'a>(world: &'a World, node: &'a str) -> impl Iterator<Item = Change> + 'a {
    enactments(world, NODE, node).map(|enactment| Change::delete(Kind::Enactment, &enactment))
}

/// The policy and the node that an enactment is about.
pub fn of_enactment<'a>(enactment: &Field<'a>) -> (&'a str, &'a str) {
    (label(enactment, POLICY), label(enactment, NODE))
}

fn label<'a>(object: &Field<'a>, key: &str) -> &'a str {
    object.at("metadata.labels").child(key).text()
}

fn enactments<'a>(
    world: &'a World,
    key: &'static str,
    value: &'a str,
) -> impl Iterator<Item = Field<'a>> {
    let of = move |enactment: &Field<'_>| label(enactment, key) == value;
    world.list(Kind::Enactment, "").filter(of)
}

fn selects(policy: &Field<'_>, node: &Field<'_>) -> bool {
    let labels = node.at("metadata.labels");
    policy
        .at("spec.nodeSelector")
        .entries()
        .all(|(key, value)| labels.child(key).value() == value)
}

/// NMState's report about the node's network.
fn state(world: &World, node: &Field<'_>, faults: &Scenario) -> Option<Change> {
    if !world.serves(Kind::NodeNetwork) {
        return None;
    }
    let name = node.child("metadata").name();
    let Some(known) = world.get(Kind::NodeNetwork, "", name) else {
        let object = json!({"apiVersion": "nmstate.io/v1beta1", "kind": "NodeNetworkState",
            "metadata": {"name": name}});
        let at = Ref::new(Kind::NodeNetwork, "", name);
        return Some(Change::Create { by: BY, at, object });
    };
    let own = own_nic(faults);
    let address = format!("10.0.{}.{}", pick(name, 250), pick(own, 200) + 10);
    let nic = |nic: &str| {
        let mut interface = json!({"name": nic, "type": "ethernet", "state": "up"});
        if nic == own {
            let addresses = json!([{"ip": address, "prefix-length": 16}]);
            put(
                &mut interface,
                ["ipv4"],
                json!({"enabled": true, "address": addresses}),
            );
        }
        interface
    };
    let mut interfaces: Vec<Value> = ["eth0"].into_iter().chain(SPARE).map(nic).collect();
    let gone = faults.value("no-bridge");
    let is_there = |bridge: &str| gone.is_none_or(|gone| !gone.is_empty() && gone != bridge);
    let mut made: Vec<Value> = BRIDGES
        .into_iter()
        .map(|(bridge, kind)| json!({"name": bridge, "type": kind, "state": "up"}))
        .collect();
    let done = enactments(world, NODE, name).filter(|enactment| {
        Conditions::of(&enactment.child("status")).status("Available") == "True"
    });
    let wanted = done.flat_map(|enactment| enactment.at("status.desiredState.interfaces").items());
    let before = known.at("status.currentState.interfaces");
    let before = before.items().filter(|it| it.child("bridge").is_set());
    for bridge in before.chain(wanted) {
        made.retain(|known| known.get("name") != Some(bridge.child("name").value()));
        made.push(bridge.value().clone());
    }
    made.retain(|bridge| is_there(Field::new("", bridge).name()));
    made.sort_by_key(|bridge| Field::new("", bridge).name().to_owned());
    interfaces.extend(made);
    let routes = json!({"running": [
        {"destination": "0.0.0.0/0", "next-hop-interface": own, "next-hop-address": "10.0.0.1"},
    ]});
    let mut status = match known.child("status").value() {
        Value::Null => json!({}),
        known => known.clone(),
    };
    put(
        &mut status,
        ["currentState"],
        json!({"interfaces": interfaces, "routes": routes}),
    );
    Change::status(BY, Kind::NodeNetwork, &known, &status)
}

/// The NIC that has the node's address.
fn own_nic(faults: &Scenario) -> &str {
    faults.value("address-on").unwrap_or("eth0")
}

/// The next write about a policy on one node.
fn enact(
    world: &World,
    policy: &Field<'_>,
    node: &str,
    faults: &Scenario,
    moment: &Moment,
) -> Option<Change> {
    let policy_name = policy.child("metadata").name();
    let name = format!("{node}.{policy_name}");
    let Some(known) = world.get(Kind::Enactment, "", &name) else {
        let object = json!({
            "apiVersion": "nmstate.io/v1beta1", "kind": "NodeNetworkConfigurationEnactment",
            "metadata": {"name": name, "labels": {POLICY: policy_name, NODE: node}},
        });
        let at = Ref::new(Kind::Enactment, "", name);
        return Some(Change::Create { by: BY, at, object });
    };
    let generation = policy.at("metadata.generation").value().clone();
    let fails = faults.value("nmstate-fails");
    let mut conditions = Conditions::of(&known.child("status"));
    let begun = *known.at("status.policyGeneration").value() == generation;
    let heals = conditions.status("Failing") == "True" && fails.is_none();
    if !begun || heals {
        report(
            &mut conditions,
            "Progressing",
            "ConfigurationProgressing",
            "Applying desired state",
            moment,
        );
    } else if conditions.status("Progressing") == "True" && !faults.has("nmstate-hangs") {
        match fails {
            Some(words) => {
                let words = if words.is_empty() {
                    "error reconciling NodeNetworkConfigurationPolicy on node: the uplink does not exist\nrolled back"
                } else {
                    words
                };
                report(&mut conditions, "Failing", FAILED, words, moment);
            }
            None => report(
                &mut conditions,
                "Available",
                CONFIGURED,
                "successfully reconciled",
                moment,
            ),
        }
    }
    let status = json!({
        "conditions": conditions.into_value(),
        "desiredState": policy.at("spec.desiredState").value(),
        "policyGeneration": generation,
    });
    Change::status(BY, Kind::Enactment, &known, &status)
}

/// Makes one condition of an enactment true, and the others false.
fn report(conditions: &mut Conditions, holds: &str, reason: &str, message: &str, moment: &Moment) {
    for kind in ["Failing", "Available", "Progressing", "Pending", "Aborted"] {
        let (status, message) = match kind == holds {
            true => ("True", message),
            false => ("False", ""),
        };
        conditions.set(kind, status, reason, message, &moment.now);
    }
}

/// The next step of a policy: the sum of its results on its nodes.
pub fn next(world: &World, name: &str, moment: &Moment) -> Step {
    let Some(policy) = world.get(Kind::NodePolicy, "", name) else {
        let left = enactments(world, POLICY, name);
        return Step::of(left.map(|it| Change::delete(Kind::Enactment, &it)));
    };
    let nodes = world.list(Kind::Node, "");
    let nodes = nodes.filter(|node| selects(&policy, node)).count();
    let generation = policy.at("metadata.generation").value();
    let status_of = |kind: &'static str| {
        enactments(world, POLICY, name)
            .filter(|it| it.at("status.policyGeneration").value() == generation)
            .filter(|it| Conditions::of(&it.child("status")).status(kind) == "True")
            .count()
    };
    let (failing, available) = (status_of("Failing"), status_of("Available"));
    let ([is_available, is_degraded, is_progressing, is_ignored], reason, message) = if nodes == 0 {
        (
            ["False", "False", "False", "True"],
            "NoMatchingNode",
            "Policy does not match any node".to_owned(),
        )
    } else if available == nodes {
        (
            ["True", "False", "False", "False"],
            CONFIGURED,
            format!("{nodes}/{nodes} nodes successfully configured"),
        )
    } else if failing > 0 {
        (
            ["False", "True", "False", "False"],
            FAILED,
            format!("{failing}/{nodes} nodes failed to configure"),
        )
    } else {
        (
            ["Unknown", "Unknown", "True", "False"],
            "ConfigurationProgressing",
            format!("Policy is progressing {available}/{nodes} nodes finished"),
        )
    };
    let mut conditions = Conditions::of(&policy.child("status"));
    for (kind, status) in [
        ("Available", is_available),
        ("Degraded", is_degraded),
        ("Progressing", is_progressing),
        ("Ignored", is_ignored),
    ] {
        conditions.set(kind, status, reason, &message, &moment.now);
    }
    let status = json!({"conditions": conditions.into_value()});
    Step::of(Change::status(BY, Kind::NodePolicy, &policy, &status))
}
