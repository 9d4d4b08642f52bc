//! Facts of Multus and of the nodes' networks.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::{list, number, text};
use crate::facts::{Fact, Meta};

/// A DaemonSet: Multus.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DaemonSetFact {
    /// Who it is.
    pub meta: Meta,
    /// Nodes that should run it.
    pub desired: u64,
    /// Nodes on which it is ready.
    pub ready: u64,
}

impl Fact for DaemonSetFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            desired: number(object, "/status/desiredNumberScheduled"),
            ready: number(object, "/status/numberReady"),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        *other
            == Self {
                meta: other.meta.clone(),
                ..self.clone()
            }
    }
}

/// A NodeNetworkState: what NMState sees of the network of the node of the same name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeNetworkFact {
    /// Who it is.
    pub meta: Meta,
    /// Names of its bridges, of Linux and of Open vSwitch.
    pub bridges: BTreeSet<String>,
}

impl Fact for NodeNetworkFact {
    fn project(object: &Value) -> Self {
        let bridges = list(object, "/status/currentState/interfaces")
            .filter(|interface| {
                matches!(
                    text(interface, "/type").as_str(),
                    "linux-bridge" | "ovs-bridge"
                )
            })
            .map(|interface| text(interface, "/name"));
        Self {
            meta: Meta::project(object),
            bridges: bridges.collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        *other
            == Self {
                meta: other.meta.clone(),
                ..self.clone()
            }
    }
}
