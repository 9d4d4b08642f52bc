//! Documentation of one reason.

use wukong_api::{ConditionType, Reason};

use crate::diagnosis::rules::{RULES, Rule};
use crate::environment::Platform;

/// Documentation of a reason.
#[derive(Debug)]
pub struct ReasonDoc {
    /// The reason.
    pub reason: Reason,
    /// Severity of the reason.
    pub severity: Severity,
    /// Conditions that can have the reason.
    pub conditions: &'static [ConditionType],
    /// Meaning, in Markdown. `explain-reason` lists its first sentence.
    pub meaning: &'static str,
    /// Fix, in Markdown; empty for [`Severity::Ok`].
    pub fix: &'static str,
    /// Fixes for single platforms, in addition to those of the rules.
    pub platforms: &'static [(Platform, &'static str)],
}

/// Severity of a reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// No problem.
    Ok,
    /// The VM works, with a restriction that the user should know.
    Warning,
    /// The VM waits for something that usually happens without user action.
    Waiting,
    /// The user has to fix the cause.
    Error,
}

impl ReasonDoc {
    /// Returns the checks that report the reason.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        let reason = self.reason;
        RULES.iter().filter(move |rule| rule.reason == reason)
    }
}
