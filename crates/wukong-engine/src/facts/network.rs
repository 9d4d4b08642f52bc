//! Facts of the nodes' networks, as NMState reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::same_but;
use super::text::Text;
use crate::facts::json::{list, number, text, text_map, time};
use crate::facts::{ConditionFact, Fact, Meta, conditions};

/// The interfaces of pods: their addresses are inside, and they come and go.
const OF_PODS: &str = "veth";
/// Destinations of default routes.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];
/// How many interfaces lie above one another at most: a VLAN on a bond under a bridge is three.
const STOREYS_MAX: usize = 8;

/// A NodeNetworkState: NMState's report about the network of the node of the same name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeNetworkFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Names of its bridges, of Linux and of Open vSwitch.
    pub bridges: BTreeSet<Text>,
    /// The addresses of the node on each interface, and `the default route`.
    pub carried: BTreeMap<Text, Vec<Text>>,
    /// The bridge or bond that each port belongs to.
    pub controllers: BTreeMap<Text, Text>,
}

impl NodeNetworkFact {
    /// What the node would lose if `uplink` became a port of `bridge`, and the bridge had no address: the interface and
    /// what it carries. The uplink may belong to a bond or another bridge, which lives on it.
    pub fn at_stake(&self, bridge: &str, uplink: &str) -> Option<(&str, &[Text])> {
        let above = std::iter::successors(Some(uplink), |port| {
            self.controllers.get(*port).map(Text::as_str)
        });
        let mut touched = above.take(STOREYS_MAX).chain([bridge]);
        touched.find_map(|interface| {
            let (name, carried) = self.carried.get_key_value(interface)?;
            Some((name.as_str(), carried.as_slice()))
        })
    }
}

impl NodeNetworkFact {
    /// Index key of the nodes with this bridge.
    pub(crate) fn with_bridge(bridge: &str) -> Text {
        format!("bridge {bridge}").into()
    }
}

impl Fact for NodeNetworkFact {
    fn project(object: &Value) -> Self {
        let mut fact = Self {
            meta: Meta::project(object),
            ..Self::default()
        };
        let interfaces = list(object, "/status/currentState/interfaces");
        for interface in interfaces.filter(|interface| text(interface, "/type") != OF_PODS) {
            let name = text(interface, "/name");
            let ports =
                ["/bridge/port", "/link-aggregation/port"].map(|ports| list(interface, ports));
            for port in ports.into_iter().flatten() {
                let port = port
                    .as_str()
                    .map_or_else(|| text(port, "/name"), Into::into);
                fact.controllers.insert(port, name.clone());
            }
            let addresses =
                ["/ipv4/address", "/ipv6/address"].map(|list_at| list(interface, list_at));
            let own: Vec<Text> = addresses
                .into_iter()
                .flatten()
                .map(|address| text(address, "/ip"))
                .filter(|address| !is_link_local(address))
                .collect();
            if !own.is_empty() {
                fact.carried.entry(name.clone()).or_default().extend(own);
            }
            if matches!(
                text(interface, "/type").as_str(),
                "linux-bridge" | "ovs-bridge"
            ) {
                fact.bridges.insert(name);
            }
        }
        let defaults = list(object, "/status/currentState/routes/running")
            .filter(|route| EVERYWHERE.contains(&text(route, "/destination").as_str()));
        for route in defaults {
            let carried = fact
                .carried
                .entry(text(route, "/next-hop-interface"))
                .or_default();
            if !carried.iter().any(|known| known == DEFAULT_ROUTE) {
                carried.push(DEFAULT_ROUTE.into());
            }
        }
        fact
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its bridges.
    fn index_keys(&self) -> Vec<Text> {
        let bridges = self.bridges.iter();
        bridges.map(|bridge| Self::with_bridge(bridge)).collect()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

const DEFAULT_ROUTE: &str = "the default route";

/// Whether every interface has such an address by itself.
fn is_link_local(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// A NodeNetworkConfigurationPolicy, ours or foreign.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodePolicyFact {
    /// Identity and owner.
    pub meta: Meta,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Generation of its spec.
    pub generation: u64,
    /// Labels of the nodes that it is for; empty: every node.
    pub node_selector: BTreeMap<Text, Text>,
    /// The bridges that it makes.
    pub bridges: Vec<BridgeFact>,
    /// Its conditions `Available`, `Degraded`, `Progressing` and `Ignored`.
    pub conditions: Box<[ConditionFact]>,
}

/// A bridge that a policy makes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BridgeFact {
    /// Its name.
    pub name: Text,
    /// `linux-bridge` or `ovs-bridge`.
    pub kind: Text,
    /// Its ports on the node.
    pub ports: BTreeSet<Text>,
}

impl Fact for NodePolicyFact {
    fn project(object: &Value) -> Self {
        let bridge = |interface: &Value| BridgeFact {
            name: text(interface, "/name"),
            kind: text(interface, "/type"),
            ports: list(interface, "/bridge/port")
                .map(|port| text(port, "/name"))
                .collect(),
        };
        let interfaces = list(object, "/spec/desiredState/interfaces");
        Self {
            meta: Meta::project(object),
            created: time(object, "/metadata/creationTimestamp"),
            generation: number(object, "/metadata/generation"),
            node_selector: text_map(object, "/spec/nodeSelector"),
            bridges: interfaces
                .filter(|interface| interface.get("bridge").is_some())
                .map(bridge)
                .collect(),
            conditions: conditions(object, &["Available", "Degraded", "Ignored", "Progressing"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// A NodeNetworkConfigurationEnactment: the result of a policy on one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EnactmentFact {
    /// Identity and owner.
    pub meta: Meta,
    /// The policy.
    pub policy: Text,
    /// The node.
    pub node: Text,
    /// Generation of the policy that it is about; 0 if it has none.
    pub generation: u64,
    /// Its conditions `Available` and `Failing`.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for EnactmentFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            policy: text(object, "/metadata/labels/nmstate.io~1policy"),
            node: text(object, "/metadata/labels/nmstate.io~1node"),
            generation: number(object, "/status/policyGeneration"),
            conditions: conditions(object, &["Available", "Failing"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its policy.
    fn index_keys(&self) -> Vec<Text> {
        vec![self.policy.clone()]
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}
