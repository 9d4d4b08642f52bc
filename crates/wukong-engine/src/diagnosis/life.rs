//! What a VM does, as far as the cluster matters to it.

use wukong_api::Reason;

use super::condition::{Condition, Status};
use crate::situation::Situation;

/// What a VM does, as far as the cluster matters to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// It does not run, and the spec does not require it.
    Rests,
    /// It is to run, and does not yet.
    Rises,
    /// It runs.
    Runs,
}

impl Life {
    /// From the condition `Running` of a VM that exists.
    pub(crate) fn of(situation: &Situation, running: Option<&Condition>) -> Self {
        match running.map(|running| (running.reason, running.status)) {
            None if situation.power.runs() => Self::Rises,
            None => Self::Rests,
            Some((Reason::Running | Reason::Migrating | Reason::Paused, _)) => Self::Runs,
            Some((Reason::StoppedElsewhere | Reason::Stopping, _) | (_, Status::Intended)) => {
                Self::Rests
            }
            Some(_) => Self::Rises,
        }
    }
}
