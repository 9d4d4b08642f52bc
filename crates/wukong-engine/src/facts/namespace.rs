//! Facts of namespaces.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::text_map;
use super::text::Text;
use super::{ConditionFact, Fact, Meta, conditions};

/// Conditions of a namespace that is being deleted: what remains in it, and what keeps the API server from deleting it.
const CONDITIONS: &[&str] = &[
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
    "NamespaceContentRemaining",
    "NamespaceFinalizersRemaining",
];

/// A namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamespaceFact {
    /// Who it is.
    pub meta: Meta,
    /// Its labels.
    pub labels: BTreeMap<Text, Text>,
    /// What its deletion waits for.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for NamespaceFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            labels: text_map(object, "/metadata/labels"),
            conditions: conditions(object, CONDITIONS),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
