//! Selection of Wukongs by their labels.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::policy::LabelCondition;

/// Wukongs by their labels; every condition has to hold.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WukongSelector {
    /// Labels that the Wukong has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub match_labels: BTreeMap<String, String>,

    /// Conditions on labels of the Wukong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub match_expressions: Vec<LabelCondition>,
}

impl WukongSelector {
    /// Whether a Wukong is selected. `label` returns the value of its label with this key.
    pub fn selects<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let mut equal = self.match_labels.iter();
        let mut conditions = self.match_expressions.iter();
        equal.all(|(key, value)| label(key) == Some(value.as_str()))
            && conditions.all(|condition| condition.holds(label(&condition.key)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_condition_has_to_hold() {
        let labels = BTreeMap::from([("tier", "db"), ("zone", "a")]);
        for (selector, selected) in [
            (json!({}), true),
            (json!({"matchLabels": {"tier": "db"}}), true),
            (json!({"matchLabels": {"tier": "db", "zone": "b"}}), false),
            (
                json!({"matchLabels": {"tier": "db"}, "matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "rack", "operator": "DoesNotExist"}]}),
                true,
            ),
        ] {
            let parsed: WukongSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(
                parsed.selects(|key| labels.get(key).copied()),
                selected,
                "{selector}"
            );
        }
    }
}
