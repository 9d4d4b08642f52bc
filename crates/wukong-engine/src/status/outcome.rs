//! The results of a decision: the status, and what follows from it.

use wukong_api::WukongStatus;

use super::assembly::{self, Findings};
use super::events::events;
use crate::decision::Decision;
use crate::diagnosis::Check;
use crate::diagnosis::condition::{Condition, Status};
use crate::observed::{Observed, Waiting};

/// The results besides the status.
pub(crate) struct Outcome {
    /// The state that the VM waits in, if it should pass without a user.
    pub waiting: Option<Waiting>,
    /// Causes that the status does not show, because it shows another one of the same condition.
    pub others: Vec<Check>,
}

/// Adds the status and what follows from it.
pub(crate) fn finish(
    observed: &Observed,
    found: Findings,
    reported: Outcome,
    decision: Decision,
) -> Decision {
    let before = observed.wukong.status.as_ref();
    let blocker = found.conditions.iter().position(Condition::blocks);
    let first = blocker
        .and_then(|index| found.conditions.get(index))
        .cloned();
    let off = found
        .conditions
        .iter()
        .enumerate()
        .filter(|(index, condition)| {
            let bad =
                condition.status == Status::False || blocker.is_none() && !condition.is_fine();
            bad && Some(*index) != blocker
        });
    let mut others: Vec<Check> = off.map(|(_, condition)| condition.clone().into()).collect();
    others.extend(reported.others);
    others.sort_by_key(|check| check.condition);
    let status = found.status();
    let write_status = assembly::write_at(before, &status, observed.memory, observed.now);
    Decision {
        events: match write_status {
            Some(_) => events(before, &status),
            None => Vec::new(),
        },
        write_status,
        status,
        waiting: reported.waiting,
        query_at: reported
            .waiting
            .map(|waiting| observed.memory.query_at(waiting, observed.now)),
        findings: first.map(Check::from).into_iter().chain(others).collect(),
        ..decision
    }
}

impl Decision {
    pub(crate) fn nothing() -> Self {
        Self {
            apply: Vec::new(),
            apply_vm: None,
            in_place: 0,
            expand: Vec::new(),
            calls: Vec::new(),
            prune: Vec::new(),
            reports: Vec::new(),
            status: WukongStatus::default(),
            write_status: None,
            events: Vec::new(),
            wake_at: None,
            waiting: None,
            query_at: None,
            findings: Vec::new(),
        }
    }
}
