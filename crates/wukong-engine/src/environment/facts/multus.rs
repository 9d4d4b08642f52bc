//! Facts of Multus.

use serde_json::Value;

use super::json::number;
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
