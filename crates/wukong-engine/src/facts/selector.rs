//! Requirements on labels: of a label selector, and of a volume's node affinity.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{list, text, text_map, texts};
use super::text::Text;

/// Most requirements that are kept of one selector. Of a longer one, nothing is said.
const REQUIREMENTS_MAX: usize = 32;

/// One requirement on a label.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement {
    /// Key of the label.
    pub key: Text,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: Text,
    /// Its values.
    pub values: Vec<Text>,
}

/// Requirements that all have to hold; `None` where they are too many to keep.
pub type Requirements = Option<Vec<Requirement>>;

impl Requirement {
    fn project(object: &Value) -> Self {
        Self {
            key: text(object, "/key"),
            operator: text(object, "/operator"),
            values: texts(object, "/values"),
        }
    }

    /// Whether the labels meet the requirement; `None` where its operator is unknown.
    pub fn holds(&self, labels: &BTreeMap<Text, Text>) -> Option<bool> {
        let label = labels.get(&self.key);
        let number = |text: &Text| text.parse::<i64>().ok();
        let compared = |than: fn(i64, i64) -> bool| {
            let limit = self.values.first().and_then(number);
            let found = label.and_then(number);
            found
                .zip(limit)
                .is_some_and(|(found, limit)| than(found, limit))
        };
        Some(match self.operator.as_str() {
            "In" => label.is_some_and(|label| self.values.contains(label)),
            "NotIn" => label.is_none_or(|label| !self.values.contains(label)),
            "Exists" => label.is_some(),
            "DoesNotExist" => label.is_none(),
            "Gt" => compared(|found, limit| found > limit),
            "Lt" => compared(|found, limit| found < limit),
            _ => return None,
        })
    }

    /// The requirement in words, such as `kubernetes.io/hostname in (worker-1)`.
    pub fn in_words(&self) -> String {
        let Self {
            key,
            operator,
            values,
        } = self;
        match operator.as_str() {
            "In" => format!("{key} in ({})", values.join(", ")),
            "NotIn" => format!("{key} not in ({})", values.join(", ")),
            "Exists" => key.to_string(),
            "DoesNotExist" => format!("no {key}"),
            _ => format!("{key} {operator} {}", values.join(", ")),
        }
    }
}

/// The requirements at a pointer to a list of them.
pub(super) fn requirements(object: &Value, pointer: &str) -> Requirements {
    let all: Vec<Requirement> = list(object, pointer)
        .take(REQUIREMENTS_MAX + 1)
        .map(Requirement::project)
        .collect();
    (all.len() <= REQUIREMENTS_MAX).then_some(all)
}

/// The requirements of the label selector at a pointer.
pub(super) fn label_selector(object: &Value, pointer: &str) -> Requirements {
    let equal = text_map(object, &format!("{pointer}/matchLabels"));
    let equal = equal.into_iter().map(|(key, value)| Requirement {
        key,
        operator: "In".into(),
        values: vec![value],
    });
    let mut all = requirements(object, &format!("{pointer}/matchExpressions"))?;
    all.extend(equal);
    (all.len() <= REQUIREMENTS_MAX).then_some(all)
}

/// Whether the labels meet every requirement; `None` where that is not known.
pub fn all_hold(requirements: &Requirements, labels: &BTreeMap<Text, Text>) -> Option<bool> {
    let mut unknown = false;
    for requirement in requirements.as_ref()? {
        match requirement.holds(labels) {
            Some(false) => return Some(false),
            Some(true) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_requirement_that_is_not_known_decides_nothing() {
        let labels = BTreeMap::from([("zone".into(), "a".into()), ("cpus".into(), "8".into())]);
        let judged = |expressions: Value| {
            let selector = json!({"selector": {"matchExpressions": expressions}});
            all_hold(&label_selector(&selector, "/selector"), &labels)
        };
        for (expression, holds) in [
            (
                json!({"key": "zone", "operator": "In", "values": ["a", "b"]}),
                Some(true),
            ),
            (
                json!({"key": "zone", "operator": "NotIn", "values": ["a"]}),
                Some(false),
            ),
            (
                json!({"key": "rack", "operator": "NotIn", "values": ["a"]}),
                Some(true),
            ),
            (json!({"key": "rack", "operator": "Exists"}), Some(false)),
            (
                json!({"key": "rack", "operator": "DoesNotExist"}),
                Some(true),
            ),
            (
                json!({"key": "cpus", "operator": "Gt", "values": ["4"]}),
                Some(true),
            ),
            (
                json!({"key": "cpus", "operator": "Lt", "values": ["4"]}),
                Some(false),
            ),
            (
                json!({"key": "zone", "operator": "Near", "values": ["a"]}),
                None,
            ),
        ] {
            assert_eq!(judged(json!([expression])), holds, "{expression}");
        }
        assert_eq!(judged(json!([])), Some(true));
        let many = vec![json!({"key": "zone", "operator": "Exists"}); 40];
        assert_eq!(judged(json!(many)), None);
        let equal = json!({"selector": {"matchLabels": {"zone": "b"}}});
        assert_eq!(
            all_hold(&label_selector(&equal, "/selector"), &labels),
            Some(false)
        );
    }
}
