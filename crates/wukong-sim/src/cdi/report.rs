//! The status of a DataVolume.

use serde_json::{Value, json};

use crate::change::{Change, Conditions, Manager, Moment};
use crate::field::{Field, put};
use crate::kind::Kind;

/// The manager as which CDI writes.
pub const BY: Manager = Manager::CdiController;

/// Status, reason and message.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a>(&'a str, &'a str, &'a str);

impl<'a> Condition<'a> {
    pub fn yes(reason: &'a str, message: &'a str) -> Self {
        Self("True", reason, message)
    }

    pub fn no(reason: &'a str, message: &'a str) -> Self {
        Self("False", reason, message)
    }
}

/// What a DataVolume's status shall say. Unset parts are as CDI has them before it knows more.
#[derive(Debug)]
pub struct Report<'a> {
    phase: &'a str,
    progress: Option<String>,
    bound: Condition<'a>,
    ready: Condition<'a>,
    running: Condition<'a>,
    restarts: i64,
}

impl<'a> Report<'a> {
    /// `phase` may be empty: then status has none.
    pub fn new(phase: &'a str) -> Self {
        Self {
            phase,
            progress: None,
            bound: Condition::no("", ""),
            ready: Condition::no("", ""),
            running: Condition::no("", ""),
            restarts: 0,
        }
    }

    pub fn progress(mut self, progress: impl Into<String>) -> Self {
        self.progress = Some(progress.into());
        self
    }

    pub fn bound(mut self, condition: Condition<'a>) -> Self {
        self.bound = condition;
        self
    }

    pub fn ready(mut self, condition: Condition<'a>) -> Self {
        self.ready = condition;
        self
    }

    pub fn running(mut self, condition: Condition<'a>) -> Self {
        self.running = condition;
        self
    }

    pub fn restarts(mut self, restarts: i64) -> Self {
        self.restarts = restarts;
        self
    }

    /// The write that makes the status say this, if it does not yet.
    pub fn change(self, dv: &Field<'_>, claim: Option<&str>, moment: &Moment) -> Option<Change> {
        let mut conditions = Conditions::of(&dv.child("status"));
        for (kind, Condition(status, reason, message)) in [
            ("Bound", self.bound),
            ("Ready", self.ready),
            ("Running", self.running),
        ] {
            conditions.set(kind, status, reason, message, &moment.now);
        }
        let mut status = json!({"conditions": conditions.into_value()});
        let parts = [
            ("phase", (!self.phase.is_empty()).then(|| json!(self.phase))),
            ("progress", self.progress.map(Value::String)),
            ("claimName", claim.map(|claim| json!(claim))),
            // CDI leaves a count of zero out.
            (
                "restartCount",
                (self.restarts > 0).then(|| json!(self.restarts)),
            ),
        ];
        for (key, value) in parts {
            if let Some(value) = value {
                put(&mut status, [key], value);
            }
        }
        Change::status(BY, Kind::DataVolume, dv, &status)
    }
}
