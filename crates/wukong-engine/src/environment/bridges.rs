//! Bridges that the operator makes on nodes: which ones, whether it may make them, and the result of NMState.

use std::collections::BTreeMap;

use wukong_api::ValidatedWukong;
use wukong_network::nmstate::NodeNetworkConfigurationPolicy;

use super::Environment;
use super::nodes::Nodes;
use crate::desired::Body;
use crate::environment::demand::Stage;
use crate::facts::{
    EnactmentFact, NodeFact, NodePolicyFact, Presence, Text, find_condition, is_true,
};
use crate::target::Kind;

/// A bridge to make, with its NNCP. Other Wukongs that require the same bridge do not matter.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    /// The policy.
    pub body: Body,
    /// Its name.
    pub name: String,
    /// `linux-bridge` or `ovs-bridge`.
    kind: String,
    /// The node's NIC that becomes its port.
    pub uplink: String,
    /// Labels of the nodes; empty: every node.
    selector: BTreeMap<Text, Text>,
}

impl Bridge {
    /// The bridges that the spec of a Wukong requires and that the operator may make.
    pub(crate) fn wanted(wukong: &ValidatedWukong) -> Vec<Self> {
        let policies = wukong_network::node_policies(wukong);
        policies.iter().filter_map(Self::of).collect()
    }

    fn of(policy: &NodeNetworkConfigurationPolicy) -> Option<Self> {
        let interface = policy.spec.desired_state.interfaces.first()?;
        let port = interface.bridge.as_ref()?.port.first()?;
        Some(Self {
            body: Body::of(Kind::NodeNetworkConfigurationPolicy, policy),
            name: interface.name.clone(),
            kind: interface.type_.clone(),
            uplink: port.name.clone(),
            selector: policy
                .spec
                .node_selector
                .iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        })
    }

    /// The NNCP as it is stored, up to date or not.
    fn policy<'a>(&self, environment: &'a Environment) -> Option<&'a NodePolicyFact> {
        let policies = &environment.node_policies;
        policies.get("", &self.body.target.name).present()
    }

    /// The NNCP, if it is stored as we want it.
    fn stored<'a>(&self, environment: &'a Environment) -> Option<&'a NodePolicyFact> {
        let wanted = |policy: &&NodePolicyFact| {
            policy.meta.owned_hash.as_deref() == Some(&self.body.hash) && !policy.meta.deleting
        };
        self.policy(environment).filter(wanted)
    }

    pub(crate) fn is_stored(&self, environment: &Environment) -> bool {
        self.stored(environment).is_some()
    }

    /// Whether the bridge has to be made on this node.
    pub(crate) fn selects(&self, node: &NodeFact) -> bool {
        matches(&self.selector, node)
    }

    fn selected<'a>(&self, environment: &'a Environment) -> impl Iterator<Item = &'a NodeFact> {
        environment.nodes.iter().filter(|node| self.selects(node))
    }

    /// A kind that the operator must observe to check whether a node would be cut off.
    pub(crate) fn gap(environment: &Environment) -> Option<(&'static str, Presence)> {
        [
            ("NodeNetworkState", environment.node_networks.presence()),
            (
                "NodeNetworkConfigurationPolicy",
                environment.node_policies.presence(),
            ),
            ("Node", environment.nodes.presence()),
        ]
        .into_iter()
        .find(|(_, presence)| *presence != Presence::Served)
    }

    /// Whether NMState manages a node that the bridge is for.
    pub(crate) fn is_looked_after(&self, environment: &Environment) -> bool {
        let seen = |node: &NodeFact| {
            let state = environment.node_networks.get("", &node.meta.name);
            state.present().is_some()
        };
        self.selected(environment).any(seen)
    }

    /// An older NNCP that excludes this one: it makes the bridge of another kind or over another NIC, or gives the NIC to
    /// another bridge, on a node that both are for.
    pub(crate) fn rival<'a>(&self, environment: &'a Environment) -> Option<&'a NodePolicyFact> {
        let ours = self.policy(environment);
        let age = |policy: &NodePolicyFact| (policy.created, policy.meta.name.clone());
        environment.node_policies.iter().find(|other| {
            other.meta.name != self.body.target.name
                && !other.meta.deleting
                && ours.is_none_or(|ours| age(other) < age(ours))
                && self.contradicts(other)
                && self.meets(other, environment)
        })
    }

    fn contradicts(&self, other: &NodePolicyFact) -> bool {
        other.bridges.iter().any(|bridge| {
            let over = bridge.ports.contains(self.uplink.as_str());
            if bridge.name == self.name {
                bridge.kind != self.kind || !over
            } else {
                over
            }
        })
    }

    /// Whether a node is for both, or could be.
    fn meets(&self, other: &NodePolicyFact, environment: &Environment) -> bool {
        let apart = |(key, value): (&Text, &Text)| {
            let theirs = other.node_selector.get(key);
            theirs.is_some_and(|theirs| theirs != value)
        };
        let shares = |node: &NodeFact| matches(&other.node_selector, node);
        !self.selector.iter().any(apart)
            && (self.selector == other.node_selector || self.selected(environment).any(shares))
    }

    /// The nodes that would be cut off, each with what they would lose.
    pub(crate) fn isolates<'a>(&self, environment: &'a Environment) -> Vec<(&'a str, String)> {
        let cause = |node: &'a NodeFact| {
            let name = node.meta.name.as_str();
            let state = environment.node_networks.get("", name).present()?;
            let (interface, carried) = state.at_stake(&self.name, &self.uplink)?;
            let carried = crate::facts::words::listed(carried.iter().map(Text::as_str));
            Some((name, format!("{interface} carries {carried}")))
        };
        self.selected(environment).filter_map(cause).collect()
    }

    /// Whether the NNCP may be written, as far as nodes and other NNCPs are concerned.
    pub(crate) fn may_be_made(&self, environment: &Environment) -> bool {
        Self::gap(environment).is_none()
            && self.is_looked_after(environment)
            && self.rival(environment).is_none()
            && self.isolates(environment).is_empty()
    }

    /// Whether NMState reports that the bridge is made on all nodes.
    pub(crate) fn is_available(&self, environment: &Environment) -> bool {
        let stored = self.stored(environment);
        stored.is_some_and(|policy| is_true(&policy.conditions, "Available"))
    }

    /// Whether the stored policy has no node.
    pub(crate) fn is_ignored(&self, environment: &Environment) -> bool {
        let stored = self.stored(environment);
        stored.is_some_and(|policy| is_true(&policy.conditions, "Ignored"))
    }

    /// The result of the stored policy on each node.
    fn enacted<'a>(&self, environment: &'a Environment) -> impl Iterator<Item = &'a EnactmentFact> {
        let generation = self.stored(environment).map(|policy| policy.generation);
        let enactments = environment.enactments.indexed(&self.body.target.name);
        enactments.filter(move |enactment| {
            let now = [Some(0), generation].contains(&Some(enactment.generation));
            generation.is_some() && now
        })
    }

    /// On how many nodes the bridge was made, and of how many.
    pub(crate) fn progress(&self, environment: &Environment) -> (usize, usize) {
        let all = self.enacted(environment).count();
        let done = |enactment: &&EnactmentFact| is_true(&enactment.conditions, "Available");
        (self.enacted(environment).filter(done).count(), all)
    }

    /// The nodes on which NMState failed, each with its message; and its message about the NNCP if it names no node.
    pub(crate) fn failed<'a>(&self, environment: &'a Environment) -> Vec<(&'a str, String)> {
        let failing = self.enacted(environment).filter_map(|enactment| {
            let failing = find_condition(&enactment.conditions, "Failing")?;
            (failing.status == "True")
                .then(|| (enactment.node.as_str(), failing.message.to_string()))
        });
        let failing: Vec<_> = failing.collect();
        let degraded = self
            .stored(environment)
            .and_then(|policy| find_condition(&policy.conditions, "Degraded"))
            .filter(|degraded| degraded.status == "True");
        match degraded {
            Some(degraded) if failing.is_empty() => {
                vec![("some nodes", degraded.message.to_string())]
            }
            // While it tries again, a node may fail that the policy does not call degraded yet.
            _ => failing,
        }
    }

    /// Whether the bridge was made on a node that the VM may be placed on, though not on all.
    pub(crate) fn works_somewhere(&self, environment: &Environment, nodes: &Nodes) -> bool {
        let failed = self.failed(environment);
        nodes.reaching(Stage::Handler).any(|node| {
            let name = node.meta.name.as_str();
            let state = environment.node_networks.get("", name).present();
            self.selects(node)
                && state.is_some_and(|state| state.bridges.contains(self.name.as_str()))
                && !failed.iter().any(|(known, _)| *known == name)
        })
    }

    /// Whether a VM can be put on it: the CNI plugin would make the bridge itself, without its uplink.
    pub(crate) fn is_usable(&self, environment: &Environment, nodes: &Nodes) -> bool {
        self.is_available(environment)
            || (!self.failed(environment).is_empty() && self.works_somewhere(environment, nodes))
    }
}

fn matches(selector: &BTreeMap<Text, Text>, node: &NodeFact) -> bool {
    selector.iter().all(|(key, value)| node.matches(key, value))
}
