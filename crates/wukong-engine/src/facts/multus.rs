//! Facts of Multus.

use serde_json::Value;

use super::same_but;
use crate::facts::json::number;
use crate::facts::{Fact, Meta};

/// A DaemonSet: Multus.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DaemonSetFact {
    /// Identity and owner.
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
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}
