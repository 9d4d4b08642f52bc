//! One look at one Wukong: decide, carry out, decide again, until nothing is left to do but to say how it is.
//!
//! What is to be done is the engine's decision; here is only the order in which it is carried out, and what is
//! remembered of it.

mod say;
#[cfg(test)]
mod tests;
mod work;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tracing::{debug, error, warn};
use wukong_api::{OperatorSettings, Wukong};
use wukong_engine::environment::events::RelatedNames;
use wukong_engine::{Decision, Observed, Target, decide};

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::metrics::{Ended, Metrics};
use crate::port::{Port, Subject};
use crate::projection::Content;
use crate::queue::Key;
use crate::refusal::{Cause, Refusal};
use crate::remembered::Remembered;
use work::{Work, Write};

/// How often a look decides. Each round writes something or is the last, and a VM needs three.
const ROUNDS: usize = 5;
/// How many writes for one Wukong are under way at once.
const AT_ONCE: usize = 8;
/// When to look again at a Wukong that is not settled after all rounds.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Pauses after looks that panicked.
const PANICS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(120));
/// How many Wukongs that wait are looked into at once.
const LOOKS_AT_ONCE: usize = 2;

/// Looks at Wukongs.
pub struct Reconciler {
    cluster: Arc<Cluster>,
    port: Arc<dyn Port>,
    settings: OperatorSettings,
    metrics: Metrics,
    looks: Semaphore,
    /// Whose turn it is to change nodes ([`Decision::changes_nodes`]).
    nodes: Mutex<()>,
}

/// What became of a decision.
#[derive(Default)]
struct Outcome {
    done: Vec<String>,
    /// Whether something was refused.
    refused: bool,
    /// When to look again, because it is of no use to decide again now.
    stop: Option<Duration>,
}

impl Outcome {
    fn refuse(&mut self, stop: Option<Duration>) {
        self.refused = true;
        self.stop = self.stop.into_iter().chain(stop).min();
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// Writes through `port`.
    pub fn new(
        cluster: Arc<Cluster>,
        port: Arc<dyn Port>,
        settings: OperatorSettings,
        metrics: Metrics,
    ) -> Self {
        Self {
            cluster,
            port,
            settings,
            metrics,
            looks: Semaphore::new(LOOKS_AT_ONCE),
            nodes: Mutex::new(()),
        }
    }

    /// Looks at a Wukong. Returns when to look again if nothing happens before.
    pub async fn reconcile(&self, key: &Key) -> Option<Duration> {
        let started = Instant::now();
        let looked = AssertUnwindSafe(self.look(key)).catch_unwind().await;
        let (ended, pause) = match looked {
            Ok(looked) => {
                self.remember(key, |remembered| remembered.panics = 0);
                looked
            }
            Err(panic) => (Ended::Panicked, self.panicked(key, &*panic)),
        };
        self.metrics.reconciled(ended, started.elapsed());
        pause
    }

    /// A mistake of ours that one Wukong brings to light must not end the work for all others. Nothing is left half
    /// done by it: what was written is seen again, and locks are free.
    fn panicked(&self, key: &Key, panic: &(dyn Any + Send)) -> Option<Duration> {
        let Key { namespace, name } = key;
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        error!(
            namespace,
            name,
            panic = text,
            "a look at this Wukong panicked, which is a bug"
        );
        self.remember(key, |remembered| {
            remembered.panics += 1;
            PANICS.pause(remembered.panics)
        })
    }

    fn remember<T>(&self, key: &Key, change: impl FnOnce(&mut Remembered) -> T) -> Option<T> {
        let entry = self.cluster.wukong(key)?;
        Some(change(&mut entry.remembered.lock()))
    }

    async fn look(&self, key: &Key) -> (Ended, Option<Duration>) {
        let mut ended = Ended::Unchanged;
        for round in 1..=ROUNDS {
            let Some(entry) = self.cluster.wukong(key) else {
                return (ended, None);
            };
            let work = Work::of(entry);
            let Content::Readable(wukong) = &work.entry.wukong.content else {
                return self.say_unreadable(&work).await;
            };
            let (mut decision, mut now) = self.decide(&work, wukong);
            if round == 1 {
                self.metrics.skipped(decision.in_place);
            }
            let mut _turn = None;
            if decision.changes_nodes() {
                _turn = Some(self.nodes.lock().await);
                (decision, now) = self.decide(&work, wukong);
            }
            if decision.is_settled() {
                if decision.query_at.is_some_and(|at| at <= now)
                    && self.look_up(&work, wukong).await
                {
                    continue;
                }
                return self.say(&work, decision, now, ended, None).await;
            }
            if round == ROUNDS {
                return self.say(&work, decision, now, ended, Some(UNSETTLED)).await;
            }
            let outcome = self.carry_out(&work, decision).await;
            if outcome.refused {
                ended = Ended::Rejected;
            } else if ended == Ended::Unchanged && !outcome.done.is_empty() {
                ended = Ended::Changed;
            }
            if let Some(pause) = outcome.stop {
                let (decision, now) = self.decide(&work, wukong);
                // What only came too late is done in a moment. Until then there is nothing new to say.
                let late = work.entry.remembered.lock().memory.failures.is_empty();
                if late && !decision.is_settled() {
                    return (ended, Some(pause));
                }
                return self.say(&work, decision, now, ended, Some(pause)).await;
            }
        }
        (ended, Some(UNSETTLED))
    }

    /// Looks at the pods and events of a Wukong that waits, unless others do already. Returns whether it did.
    async fn look_up(&self, work: &Work, wukong: &Wukong) -> bool {
        let Ok(_permit) = self.looks.try_acquire() else {
            return false;
        };
        let related = RelatedNames::of(wukong, &self.cluster.world());
        let children = self.port.look(&work.subject, &related).await;
        let mut remembered = work.entry.remembered.lock();
        remembered.memory.record_queried(children, Timestamp::now());
        true
    }

    fn decide(&self, work: &Work, wukong: &Wukong) -> (Decision, Timestamp) {
        let now = Timestamp::now();
        let mut remembered = work.entry.remembered.lock();
        remembered.turn_to(wukong.metadata.generation, now);
        let world = self.cluster.world();
        let decision = decide(&Observed {
            wukong,
            world: &world,
            memory: &remembered.memory,
            settings: &self.settings,
            now,
        });
        remembered.memory.record_waiting(decision.waiting, now);
        (decision, now)
    }

    /// First what the VM needs, all at once; then the VM; then what it is told; then what is no longer needed. After a
    /// refusal it is for the next decision to say what goes on without it.
    async fn carry_out(&self, work: &Work, decision: Decision) -> Outcome {
        let Decision {
            apply,
            apply_vm,
            in_place: _,
            expand,
            calls,
            prune,
            status,
            write_status: _,
            notes: _,
            wake_at: _,
            waiting: _,
            query_at: _,
            findings: _,
        } = decision;
        let mut outcome = Outcome::default();
        let applies = apply.into_iter().map(Write::Apply);
        let wave = applies.chain(expand.into_iter().map(Write::Expand));
        let mut results = stream::iter(wave)
            .map(|write| self.write(work, write))
            .buffer_unordered(AT_ONCE);
        while let Some((what, result)) = results.next().await {
            match result {
                Ok(()) => outcome.done.push(what),
                Err(stop) => outcome.refuse(stop),
            }
        }
        if let Some(vm) = apply_vm
            && !outcome.refused
        {
            match self.write(work, Write::Apply(vm)).await {
                (what, Ok(())) => outcome.done.push(what),
                (_, Err(stop)) => outcome.refuse(stop),
            }
        }
        for call in calls {
            if outcome.refused {
                break;
            }
            match self.port.call(&work.subject, call).await {
                Ok(()) => {
                    let mut remembered = work.entry.remembered.lock();
                    remembered.called(&work.vm, call, Timestamp::now());
                    outcome.done.push(format!("called {call}"));
                }
                Err(refusal) => {
                    outcome.refuse(self.refused(work, &work.vm, call.as_ref(), &refusal));
                }
            }
        }
        for prune in prune {
            if outcome.refused {
                break;
            }
            let target = &prune.target;
            match self.port.prune(&work.subject, &prune).await {
                Ok(()) => {
                    work.entry.remembered.lock().memory.record_done(target);
                    let Target { kind, name } = target;
                    self.cluster.pruned(&work.key(), *kind, name, &prune.uid);
                    outcome.done.push(format!("deleted {target}"));
                }
                Err(refusal) => {
                    outcome.refuse(self.refused(work, target, &prune.hash(), &refusal));
                }
            }
        }
        if !outcome.refused {
            work.entry.remembered.lock().well();
        }
        if !outcome.done.is_empty() {
            work.log(&status, &outcome.done.join(", "));
        }
        outcome
    }

    /// Takes note of a refusal. Returns when to look again if it is of no use to decide again now: what came too late is
    /// not noted and would be tried again at once, and in an outage everything else is refused as well.
    fn refused(
        &self,
        work: &Work,
        target: &Target,
        hash: &str,
        refusal: &Refusal,
    ) -> Option<Duration> {
        self.report(work, &target.to_string(), refusal);
        let (now, mut remembered) = (Timestamp::now(), work.entry.remembered.lock());
        let pause = remembered.refused(target, hash, refusal, now);
        let noted = remembered.memory.failure(target, hash);
        let held_back = noted.is_some_and(|failure| failure.retry_at > now);
        (refusal.cause == Cause::Outage || !held_back).then_some(pause)
    }

    /// Carries out one write and remembers what became of it; what was done, or whether and when to look again.
    async fn write(&self, work: &Work, write: Write) -> (String, Result<(), Option<Duration>>) {
        let target = write.target();
        let result = match &write {
            Write::Apply(apply) => self.port.apply(&work.subject, apply).await,
            Write::Expand(expand) => self.port.expand(&work.subject, expand).await,
        };
        let stored = match result {
            Ok(stored) => stored,
            Err(refusal) => {
                let stop = self.refused(work, target, &write.hash(), &refusal);
                return (String::new(), Err(stop));
            }
        };
        self.cluster.written(&work.key(), target.kind, &stored);
        let mut remembered = work.entry.remembered.lock();
        match &write {
            Write::Apply(apply) => remembered.applied(apply, &stored, Timestamp::now()),
            Write::Expand(expand) => remembered.memory.record_done(&expand.target),
        }
        (write.done(), Ok(()))
    }

    fn report(&self, work: &Work, what: &str, refusal: &Refusal) {
        let Subject {
            namespace, name, ..
        } = &work.subject;
        let cause = refusal.cause;
        if matches!(cause, Cause::Stale | Cause::Gone) {
            debug!(namespace, name, what, ?cause, %refusal, "too late");
        } else {
            warn!(namespace, name, what, ?cause, %refusal, "refused");
        }
    }
}
