//! Which namespaces a policy is about.

use std::collections::BTreeMap;

use super::{LabelCondition, LabelOperator, NamespaceSelector, WukongPolicy};

/// The label that every namespace has: its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// A namespace, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels; `None` where they are not known.
    pub labels: Option<BTreeMap<String, String>>,
}

impl WukongPolicy {
    /// Whether the policy applies to a namespace. Unknown labels count as matching: one policy too many is better than one
    /// too few.
    pub fn is_about(&self, namespace: &Namespace) -> bool {
        let Some(NamespaceSelector {
            match_labels,
            match_expressions,
        }) = &self.spec.namespace_selector
        else {
            return true;
        };
        match_labels
            .iter()
            .all(|(key, value)| namespace.meets(key, |label| label == Some(value)))
            && match_expressions
                .iter()
                .all(|condition| namespace.meets(&condition.key, |label| condition.holds(label)))
    }
}

impl Namespace {
    fn meets(&self, key: &str, condition: impl Fn(Option<&str>) -> bool) -> bool {
        match &self.labels {
            _ if key == NAME => condition(Some(&self.name)),
            Some(labels) => condition(labels.get(key).map(String::as_str)),
            None => true,
        }
    }
}

impl LabelCondition {
    /// Whether the value of the label, if it is there, meets the condition.
    pub(crate) fn holds(&self, label: Option<&str>) -> bool {
        let listed = label.is_some_and(|label| self.values.iter().any(|value| value == label));
        match self.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => label.is_some(),
            LabelOperator::DoesNotExist => label.is_none(),
        }
    }
}
