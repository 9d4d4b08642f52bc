//! What an operator remembers of one Wukong, from one state to the next.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;
use wukong_engine::{Called, FailureKind, Memory};

use crate::cluster::{Cluster, NOW};
use crate::request::{Act, Request};
use crate::server::Answer;
use crate::state::Fate;

/// How far back times are moved.
const LONG: SignedDuration = SignedDuration::from_hours(1);
/// The back-off after a rejection.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Numbers that only grow are the same from here on.
const ATTEMPTS_MAX: u32 = 2;
const REPAIRS_MAX: u32 = 3;

impl Cluster {
    /// The memory after a request has ended.
    pub fn remember(&self, memory: u32, request: &Request, result: Fate, answer: &Answer) -> u32 {
        let mut next = (*self.memories.get(memory)).clone();
        let now = *NOW;
        let lost = (
            FailureKind::Transient,
            "the API server did not answer".into(),
        );
        let result = match result {
            Fate::Answered => answer.result.clone(),
            Fate::AnswerLost | Fate::Failed => Err(lost),
        };
        let vm = || wukong_engine::Target {
            kind: wukong_engine::Kind::VirtualMachine,
            name: answer.object.as_ref().map_or("web", |it| &it.1).to_owned(),
        };
        let (target, hash) = match &request.act {
            Act::Apply { target, hash, .. } => (target.clone(), hash.clone()),
            Act::Expand { expand, .. } => (expand.target.clone(), expand.hash()),
            Act::Prune { prune, .. } => (prune.target.clone(), prune.hash()),
            Act::Call(call) => (vm(), call.to_string()),
            Act::Status(_) => {
                next.status_written = Some(now);
                return self.memory(next);
            }
        };
        match (result, &request.act) {
            (Ok(stored), Act::Apply { .. }) => {
                let stored = stored.unwrap_or_else(|| hash.clone());
                next.record_applied(target, hash, stored, now);
            }
            (Ok(_), Act::Call(call)) => {
                next.called = Some(Called {
                    call: *call,
                    at: now,
                });
            }
            (Ok(_), _) => next.record_done(&target),
            (Err((kind, message)), _) => {
                next.record_failure(target, hash, kind, message, now, now + PAUSE);
            }
        }
        self.memory(next)
    }

    pub fn memory(&self, mut memory: Memory) -> u32 {
        for failure in memory.failures.values_mut() {
            failure.attempts = failure.attempts.min(ATTEMPTS_MAX);
        }
        for applied in memory.applied.values_mut() {
            applied.repairs = applied.repairs.min(REPAIRS_MAX);
        }
        if memory == Memory::default() {
            return 0;
        }
        self.memories.put(format!("{memory:?}"), || memory)
    }

    /// The memory when all times are long ago.
    pub fn aged(&self, memory: u32) -> u32 {
        let mut next = (*self.memories.get(memory)).clone();
        let old = *NOW - LONG;
        for failure in next.failures.values_mut() {
            failure.since = old;
            failure.retry_at = old;
        }
        for applied in next.applied.values_mut() {
            applied.since = old;
        }
        next.called.iter_mut().for_each(|called| called.at = old);
        next.status_written.iter_mut().for_each(|at| *at = old);
        self.memory(next)
    }

    /// The memory of a Wukong after a report of Wukongs.
    pub fn after_report(&self, memory: u32, before: u32, after: u32, wukong: usize) -> u32 {
        let known = |view| self.wukong(view, wukong);
        let (before, after) = (known(before), known(after));
        let field = |it: &Option<Arc<Value>>, field: &str| {
            it.as_ref().map(|it| it["metadata"][field].clone())
        };
        if field(&before, "uid") != field(&after, "uid") {
            return 0;
        }
        if field(&before, "generation") == field(&after, "generation") {
            return memory;
        }
        let mut next = (*self.memories.get(memory)).clone();
        next.failures.clear();
        self.memory(next)
    }
}
