//! Facts of events, queried only while a VM waits for something.

use jiff::Timestamp;
use serde_json::Value;

use super::text::Text;
use crate::facts::json::{number, text, time};
use crate::facts::{Fact, Meta, bounded};

/// An event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EventFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Whether it is a warning event.
    pub warning: bool,
    /// Its reason, such as `FailedMount`.
    pub reason: Text,
    /// Its message, shortened to a bounded length.
    pub message: Text,
    /// Kind of the object that it is about.
    pub kind: Text,
    /// Name of that object.
    pub name: Text,
    /// Uid of that object; empty if the event has none.
    pub uid: Text,
    /// When it happened first.
    pub first: Option<Timestamp>,
    /// How often it happened.
    pub count: u64,
    /// When it happened last.
    pub last: Option<Timestamp>,
}

impl Fact for EventFact {
    /// Takes both forms: `v1` and `events.k8s.io/v1`.
    fn project(object: &Value) -> Self {
        let first = |pointers: [&str; 2]| {
            pointers
                .iter()
                .map(|pointer| text(object, pointer))
                .find(|text| !text.is_empty())
                .unwrap_or_default()
        };
        let last = [
            "/series/lastObservedTime",
            "/lastTimestamp",
            "/deprecatedLastTimestamp",
            "/eventTime",
            "/metadata/creationTimestamp",
        ];
        Self {
            meta: Meta::project(object),
            warning: text(object, "/type") == "Warning",
            reason: text(object, "/reason"),
            message: bounded(&first(["/message", "/note"])),
            kind: first(["/involvedObject/kind", "/regarding/kind"]),
            name: first(["/involvedObject/name", "/regarding/name"]),
            uid: first(["/involvedObject/uid", "/regarding/uid"]),
            first: ["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"]
                .iter()
                .find_map(|pointer| time(object, pointer)),
            count: number(object, "/count")
                .max(number(object, "/series/count"))
                .max(1),
            last: last.iter().find_map(|pointer| time(object, pointer)),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
