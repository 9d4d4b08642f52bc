//! The status of an instance while a step changes it.

use serde_json::{Value, json};

use crate::change::{Change, Conditions, Manager, Moment};
use crate::field::{Field, place, put, text};
use crate::kind::Kind;

/// The status of an instance while a step changes it.
pub struct Draft<'a> {
    vmi: &'a Field<'a>,
    pub status: Value,
    pub conditions: Conditions,
    pub now: &'a str,
}

impl<'a> Draft<'a> {
    pub fn of(vmi: &'a Field<'a>, moment: &'a Moment) -> Self {
        let status = vmi.child("status");
        let conditions = Conditions::of(&status);
        let status = if status.is_set() {
            status.value().clone()
        } else {
            json!({})
        };
        Self {
            vmi,
            status,
            conditions,
            now: &moment.now,
        }
    }

    pub fn phase(&mut self, phase: &str) {
        if text(&self.status, "phase") == phase {
            return;
        }
        put(&mut self.status, ["phase"], json!(phase));
        let entry = json!({"phase": phase, "phaseTransitionTimestamp": self.now});
        match place(&mut self.status, ["phaseTransitionTimestamps"]) {
            Value::Array(list) => list.push(entry),
            empty => *empty = json!([entry]),
        }
    }

    pub fn condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        self.conditions.set(kind, status, reason, message, self.now);
    }

    pub fn change(mut self, by: Manager) -> Option<Change> {
        put(
            &mut self.status,
            ["conditions"],
            self.conditions.into_value(),
        );
        Change::status(by, Kind::Vmi, self.vmi, &self.status)
    }
}
