//! The input of `decide`: what is observed, and what is remembered.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use wukong_api::{ConditionType, OperatorSettings, Reason, Wukong, WukongStatus};

use crate::call::Called;
use crate::related::Children;
use crate::status_report::{Reported, StatusReport};
use crate::target::{Kind, Target};
use crate::world::World;

/// A state that the VM waits in and that should pass without a user.
pub type Waiting = (ConditionType, Reason);

/// The input of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The Wukong as stored, its last status included.
    pub wukong: &'a Wukong,
    /// The facts of the cluster.
    pub world: &'a World,
    /// What the operator remembers of this Wukong since it started.
    pub memory: &'a Memory,
    /// The operator settings.
    pub settings: &'a OperatorSettings,
    /// The time.
    pub now: Timestamp,
}

/// What the operator remembers of one Wukong since it started. Losing it costs repeated work, never a wrong result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Rejected writes, each with the time of its retry.
    pub failures: BTreeMap<Target, Failure>,
    /// Applied objects, and how they were stored.
    pub applied: BTreeMap<Target, Applied>,
    /// The subresource that was called last.
    pub called: Option<Called>,
    /// When the status was written last.
    pub status_written: Option<Timestamp>,
    /// The status that was written last, and the part of it that the API server kept, if that is less: a CRD that is older
    /// than this operator lacks fields.
    pub status_cut: Option<Box<(WukongStatus, WukongStatus)>>,
    /// The states that it has waited in since it last waited for nothing, each with its start.
    pub waiting: BTreeMap<Waiting, Timestamp>,
    /// The result of the last query.
    pub queried: Queried,
    /// Hash of the status that was written last, of each snapshot and restore.
    pub reported: BTreeMap<(Reported, String), String>,
}

/// The queried pods and events of a Wukong that waits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queried {
    /// When; `None`: not yet.
    pub at: Option<Timestamp>,
    /// How often, without a change in between.
    pub times: u32,
    /// The pods and events.
    pub children: Children,
}

/// A rejected write.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The kind of the rejection.
    pub kind: FailureKind,
    /// The API server's message.
    pub message: String,
    /// When the write with this hash was rejected first.
    pub since: Timestamp,
    /// The time of the next retry.
    pub retry_at: Timestamp,
    /// How often in a row.
    pub attempts: u32,
    /// Hash of the rejected action: [`Apply::hash`](crate::Apply::hash), [`Expand::hash`](crate::Expand::hash),
    /// [`Prune::hash`](crate::Prune::hash), or the name of a [`Call`](crate::Call) on the VirtualMachine. Another action on the target has
    /// no back-off.
    pub hash: String,
}

/// Snapshots and restores of which the last status is remembered.
const REPORTED_MAX: usize = 64;

/// How long repairs of one object are counted together, and how often it is repaired in that time.
const REPAIR_WINDOW: SignedDuration = SignedDuration::from_mins(5);
const REPAIRS_MAX: u32 = 3;

/// How long a VM waits for something before the operator queries its pods and events, the factor for each further query,
/// and the longest time between two queries.
const QUERY_AFTER: SignedDuration = SignedDuration::from_secs(10);
const QUERY_FACTOR: i32 = 3;
const QUERY_MAX: SignedDuration = SignedDuration::from_mins(10);

impl Memory {
    /// Moves all times with the clock, after it was set by this: no pause and no wait becomes longer or shorter.
    pub fn move_times(&mut self, by: SignedDuration) {
        let failures = self.failures.values_mut();
        let failures = failures.flat_map(|failure| [&mut failure.since, &mut failure.retry_at]);
        let applied = self.applied.values_mut().map(|applied| &mut applied.since);
        let times = failures
            .chain(applied)
            .chain(self.called.iter_mut().map(|called| &mut called.at))
            .chain(&mut self.status_written)
            .chain(self.waiting.values_mut())
            .chain(&mut self.queried.at);
        for time in times {
            *time = time.saturating_add(by).unwrap_or(*time);
        }
    }

    /// Records what the VM waits for. A VM that changes between two such states makes no progress.
    pub fn record_waiting(&mut self, waiting: Option<Waiting>, now: Timestamp) {
        match waiting {
            Some(waiting) if self.waiting.contains_key(&waiting) => return,
            Some(waiting) => drop(self.waiting.insert(waiting, now)),
            None => self.waiting.clear(),
        }
        self.queried = Queried::default();
    }

    /// Records the result of a query.
    pub fn record_queried(&mut self, children: Children, now: Timestamp) {
        self.queried = Queried {
            at: Some(now),
            times: self.queried.times + 1,
            children,
        };
    }

    /// When to query the pods and events of a VM that waits for this.
    pub(crate) fn query_at(&self, waiting: Waiting, now: Timestamp) -> Timestamp {
        let Some(since) = self.waiting.get(&waiting) else {
            return now + QUERY_AFTER;
        };
        let Some(last) = self.queried.at else {
            return *since + QUERY_AFTER;
        };
        let pause = (0..self.queried.times.min(8)).fold(QUERY_AFTER, |pause, _| {
            pause.saturating_mul(QUERY_FACTOR).min(QUERY_MAX)
        });
        last + pause
    }

    /// Records that a body with hash `sent` was applied, and how our fields were stored.
    pub fn record_applied(&mut self, target: Target, sent: String, stored: String, now: Timestamp) {
        self.failures.remove(&target);
        let applied = match self.applied.remove(&target) {
            Some(known) if known.sent == sent && now < known.since + REPAIR_WINDOW => Applied {
                stored,
                repairs: known.repairs + 1,
                ..known
            },
            _ => Applied {
                sent,
                stored,
                repairs: 0,
                since: now,
            },
        };
        self.applied.insert(target, applied);
    }

    /// Records a write that was rejected at `now`, with a retry at `retry_at`.
    pub fn record_failure(
        &mut self,
        target: Target,
        hash: String,
        kind: FailureKind,
        message: String,
        now: Timestamp,
        retry_at: Timestamp,
    ) {
        if kind == FailureKind::Transient && target.kind == Kind::Secret {
            // It may have been executed, and no watch shows it.
            self.applied.remove(&target);
        }
        let attempts = self.attempts(&target) + 1;
        let since = self
            .failure(&target, &hash)
            .map_or(now, |known| known.since);
        self.failures.insert(
            target,
            Failure {
                kind,
                message,
                since,
                retry_at,
                attempts,
                hash,
            },
        );
    }

    /// Records that the status of a snapshot or restore was written.
    pub fn record_reported(&mut self, report: &StatusReport) {
        if self.reported.len() >= REPORTED_MAX {
            self.reported.clear();
        }
        let key = (report.kind, report.name.clone());
        self.reported.insert(key, report.hash());
    }

    /// Whether a status differs from the one that was written last.
    pub(crate) fn is_new(&self, report: &StatusReport) -> bool {
        let last = self.reported.get(&(report.kind, report.name.clone()));
        last != Some(&report.hash())
    }

    /// Records that a target was grown or pruned.
    pub fn record_done(&mut self, target: &Target) {
        self.failures.remove(target);
    }

    /// The rejection of the action with this hash on a target.
    pub fn failure(&self, target: &Target, hash: &str) -> Option<&Failure> {
        let failure = self.failures.get(target)?;
        (failure.hash == hash).then_some(failure)
    }

    /// How often in a row the API server rejected writes of the target.
    pub fn attempts(&self, target: &Target) -> u32 {
        self.failures
            .get(target)
            .map_or(0, |failure| failure.attempts)
    }

    /// Until when the operator leaves an object alone that another writer keeps changing back.
    pub fn contested_until(&self, target: &Target, hash: &str) -> Option<Timestamp> {
        let applied = self.applied.get(target)?;
        (applied.sent == hash && applied.repairs >= REPAIRS_MAX)
            .then_some(applied.since + REPAIR_WINDOW)
    }
}

/// Kinds of rejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// The API server was unreachable, overloaded or broken: the operator retries.
    Transient,
    /// The object changed meanwhile: the operator retries with the new object.
    Stale,
    /// A foreign object has the name.
    NameTaken,
    /// A quota is exhausted.
    Quota,
    /// Admission, validation or authorization rejected the write.
    Denied,
    /// The object to change is gone.
    Gone,
}

/// How the API server stored an object that we applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Applied {
    /// Hash over what was sent.
    pub sent: String,
    /// Hash over our fields as stored; differs from `sent` when the server normalizes what we send.
    pub stored: String,
    /// How often the same was applied again because another writer had changed it, in the running window.
    pub repairs: u32,
    /// When the window began.
    pub since: Timestamp,
}
