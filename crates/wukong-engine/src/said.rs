//! What a decision says: the status, and what follows from it.

use wukong_api::WukongStatus;

use crate::decision::{Decision, Waiting};
use crate::environment::Check;
use crate::notes::notes;
use crate::observed::Observed;
use crate::status::{self, Findings};
use crate::verdict::{Status, Verdict};

/// What there is to say besides the status.
pub(crate) struct Said {
    /// What the VM waits for that should come by itself.
    pub waiting: Option<Waiting>,
    /// Causes that are not in the status, because another of the same condition is.
    pub others: Vec<Check>,
}

/// Adds the status and what follows from it.
pub(crate) fn finish(
    observed: &Observed,
    found: Findings,
    said: Said,
    decision: Decision,
) -> Decision {
    let before = observed.wukong.status.as_ref();
    let blocker = found.verdicts.iter().position(Verdict::blocks);
    let first = blocker.and_then(|index| found.verdicts.get(index)).cloned();
    let off = found
        .verdicts
        .iter()
        .enumerate()
        .filter(|(index, verdict)| {
            let bad = verdict.status == Status::False || blocker.is_none() && !verdict.is_fine();
            bad && Some(*index) != blocker
        });
    let mut others: Vec<Check> = off.map(|(_, verdict)| verdict.clone().into()).collect();
    others.extend(said.others);
    others.sort_by_key(|check| check.condition);
    let status = found.status();
    let write_status = status::write_at(before, &status, observed.memory, observed.now);
    Decision {
        notes: match write_status {
            Some(_) => notes(before, &status),
            None => Vec::new(),
        },
        write_status,
        status,
        waiting: said.waiting,
        look_at: said
            .waiting
            .map(|waiting| observed.memory.look_at(waiting, observed.now)),
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
            status: WukongStatus::default(),
            write_status: None,
            notes: Vec::new(),
            wake_at: None,
            waiting: None,
            look_at: None,
            findings: Vec::new(),
        }
    }
}
