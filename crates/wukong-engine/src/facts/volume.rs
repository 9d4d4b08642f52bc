//! Facts of PersistentVolumes.

use serde_json::Value;

use super::json::{list, text};
use super::selector::{Requirement, Requirements, requirements};
use super::text::Text;
use super::{Fact, Meta, bounded};

/// Most terms of a node affinity that are kept. Of a longer one, nothing is said.
const TERMS_MAX: usize = 32;

/// A PersistentVolume.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VolumeFact {
    /// Who it is.
    pub meta: Meta,
    /// `status.phase`: `Pending`, `Available`, `Bound`, `Released` or `Failed`.
    pub phase: Text,
    /// `status.reason` and `status.message`: why it failed.
    pub message: Text,
    /// Terms of its node affinity, of which one has to hold; `None` where it has none, or more than are kept.
    pub terms: Option<Vec<NodeTerm>>,
}

/// One term of a node affinity.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeTerm {
    /// Requirements on the labels of the node.
    pub labels: Requirements,
    /// Requirements on its fields, of which there is only `metadata.name`.
    pub fields: Requirements,
}

impl NodeTerm {
    /// The requirements of the term in words.
    pub fn in_words(&self) -> String {
        let all = self.labels.iter().chain(&self.fields).flatten();
        let words: Vec<String> = all.map(Requirement::in_words).collect();
        words.join(" and ")
    }
}

impl Fact for VolumeFact {
    fn project(object: &Value) -> Self {
        const TERMS: &str = "/spec/nodeAffinity/required/nodeSelectorTerms";
        let terms: Vec<NodeTerm> = list(object, TERMS)
            .take(TERMS_MAX + 1)
            .map(|term| NodeTerm {
                labels: requirements(term, "/matchExpressions"),
                fields: requirements(term, "/matchFields"),
            })
            .collect();
        let (reason, message) = (
            text(object, "/status/reason"),
            text(object, "/status/message"),
        );
        let message = match (reason.as_str(), message.as_str()) {
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        };
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            message: bounded(&message),
            terms: (1..=TERMS_MAX).contains(&terms.len()).then_some(terms),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
