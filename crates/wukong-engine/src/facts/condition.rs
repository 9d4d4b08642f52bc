//! Conditions of objects, and messages from elsewhere.

use jiff::Timestamp;
use serde_json::Value;

use super::json::{list, printable, text, time};
use super::text::Text;
use super::words::{TEXT_MAX, shorten, without_credentials};

/// A condition of an object that we watch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConditionFact {
    /// Its type.
    pub type_: Text,
    /// `True`, `False` or `Unknown`.
    pub status: Text,
    /// Its reason.
    pub reason: Text,
    /// Its message, shortened to a bounded length.
    pub message: Text,
    /// Since when it has this status.
    pub since: Option<Timestamp>,
}

/// The conditions of an object, those of `types` only.
pub(crate) fn conditions(object: &Value, types: &[&str]) -> Box<[ConditionFact]> {
    list(object, "/status/conditions")
        .filter(|condition| types.contains(&text(condition, "/type").as_str()))
        .map(|condition| ConditionFact {
            type_: text(condition, "/type"),
            status: text(condition, "/status"),
            reason: text(condition, "/reason"),
            message: bounded(&text(condition, "/message")),
            since: time(condition, "/lastTransitionTime"),
        })
        .collect()
}

/// The condition of a type.
pub(crate) fn find_condition<'a>(
    conditions: &'a [ConditionFact],
    type_: &str,
) -> Option<&'a ConditionFact> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type is true.
pub(crate) fn is_true(conditions: &[ConditionFact], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// The text of another program: on one line, without control characters and credentials, shortened from the middle to a
/// bounded length.
pub fn bounded(message: &str) -> Text {
    shorten(printable(&without_credentials(message)).trim(), TEXT_MAX).into()
}
