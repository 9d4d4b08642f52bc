//! Reconciles one Wukong: decides, applies, repeats until settled, then writes the status.
//!
//! The engine decides what to do. This module executes the decision in order and records the results.

mod orphans;
mod status;
#[cfg(test)]
mod tests;
mod work;

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{debug, error, warn};
use wukong_api::{OperatorSettings, Wukong};
use wukong_engine::related::RelatedNames;
use wukong_engine::{Decision, Memory, Observed, Target, decide};

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::metrics::{Ended, Metrics};
use crate::port::{Port, Subject};
use crate::publisher::Publisher;
use crate::queries::{Asked, Queries};
use crate::queue::Key;
use crate::remembered::Remembered;
use crate::write_error::{Cause, WriteError};
use work::{Work, Write};

/// Maximum number of decisions in one reconcile. Each round but the last writes something; a VM needs three.
const ROUNDS: usize = 5;
/// Maximum number of concurrent writes for one Wukong.
const MAX_WRITES: usize = 8;
/// Pause before the next reconcile of a Wukong that is not settled after all rounds.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Back-off after a reconcile that panicked.
const PANICS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(120));

/// Reconciles Wukongs.
pub struct Reconciler {
    cluster: Arc<Cluster>,
    port: Arc<dyn Port>,
    publisher: Publisher,
    settings: OperatorSettings,
    metrics: Metrics,
    queries: Queries,
    /// What was reported of the snapshots and restores of Wukongs that do not exist.
    orphans: parking_lot::Mutex<HashMap<Key, Memory>>,
    /// Serializes decisions that change nodes ([`Decision::changes_nodes`]).
    nodes: Mutex<()>,
}

/// Result of executing a decision.
#[derive(Default)]
struct Outcome {
    done: Vec<String>,
    /// Whether a write failed.
    failed: bool,
    /// Pause before the next reconcile, if another decision now would not help.
    stop: Option<Duration>,
}

impl Outcome {
    fn fail(&mut self, stop: Option<Duration>) {
        self.failed = true;
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
    /// Creates a reconciler that writes through `port`, and events through `publisher`.
    pub fn new(
        cluster: Arc<Cluster>,
        port: Arc<dyn Port>,
        publisher: Publisher,
        settings: OperatorSettings,
        metrics: Metrics,
    ) -> Self {
        Self {
            cluster,
            queries: Queries::new(Arc::clone(&port)),
            port,
            publisher,
            settings,
            metrics,
            orphans: parking_lot::Mutex::default(),
            nodes: Mutex::new(()),
        }
    }

    /// Reconciles a Wukong. Returns the pause before the next reconcile, unless a change triggers one before.
    pub async fn reconcile(&self, key: &Key) -> Option<Duration> {
        let started = Instant::now();
        let result = AssertUnwindSafe(self.run(key)).catch_unwind().await;
        let (ended, pause) = match result {
            Ok(result) => {
                self.remember(key, |remembered| remembered.panics = 0);
                result
            }
            Err(panic) => (Ended::Panicked, self.panicked(key, &*panic)),
        };
        self.metrics.reconciled(ended, started.elapsed());
        pause
    }

    /// Logs a panic and returns the pause before the next reconcile. A bug that one Wukong triggers must not stop the
    /// others. The panic leaves no inconsistent state: the watches show every write, and all locks are released.
    fn panicked(&self, key: &Key, panic: &(dyn Any + Send)) -> Option<Duration> {
        let Key { namespace, name } = key;
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        error!(
            namespace,
            name,
            panic = text,
            "the reconcile of this Wukong panicked, which is a bug"
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

    async fn run(&self, key: &Key) -> (Ended, Option<Duration>) {
        let mut ended = Ended::Unchanged;
        for round in 1..=ROUNDS {
            // Before the facts are read, so that no change is missed.
            let changes = self.cluster.queue.changes(key);
            let Some(entry) = self.cluster.wukong(key) else {
                return match self.report_orphans(key).await {
                    (Ended::Unchanged, pause) => (ended, pause),
                    reported => reported,
                };
            };
            self.orphans.lock().remove(key);
            let work = Work::of(entry, changes);
            let Some(wukong) = work.entry.wukong.readable() else {
                return self.report_unreadable(&work).await;
            };
            let (mut decision, mut now) = self.decide(&work, &wukong);
            if round == 1 {
                self.metrics.skipped(decision.in_place);
            }
            let mut _turn = None;
            if decision.changes_nodes() {
                _turn = Some(self.nodes.lock().await);
                (decision, now) = self.decide(&work, &wukong);
            }
            if decision.is_settled() {
                if let Some(due) = decision.query_at.filter(|due| *due <= now) {
                    let late = Duration::try_from(now - due).unwrap_or_default();
                    match self.query_related(&work, &wukong, late).await {
                        Ok(()) => continue,
                        Err(pause) => decision.query_at = now.checked_add(pause).ok(),
                    }
                }
                return self.report(&work, decision, now, ended, None).await;
            }
            if round == ROUNDS {
                return self
                    .report(&work, decision, now, ended, Some(UNSETTLED))
                    .await;
            }
            let outcome = self.execute(&work, decision).await;
            if outcome.failed {
                ended = Ended::Rejected;
            } else if ended == Ended::Unchanged && !outcome.done.is_empty() {
                ended = Ended::Changed;
            }
            if let Some(pause) = outcome.stop {
                let (decision, now) = self.decide(&work, &wukong);
                // A write that was only stale succeeds soon. Until then the status does not change.
                let late = work.entry.remembered.lock().memory.failures.is_empty();
                if late && !decision.is_settled() {
                    return (ended, Some(pause));
                }
                return self.report(&work, decision, now, ended, Some(pause)).await;
            }
        }
        (ended, Some(UNSETTLED))
    }

    /// Queries the pods and events of a waiting Wukong, with those of the others that wait in its namespace. `late`: time since
    /// the query was due.
    ///
    /// # Errors
    /// If it has to wait for another query, returns the pause before the next attempt.
    async fn query_related(
        &self,
        work: &Work,
        wukong: &Wukong,
        late: Duration,
    ) -> Result<(), Duration> {
        let Subject {
            namespace, name, ..
        } = &work.subject;
        let (related, has_vm) = {
            let world = self.cluster.world();
            let vm = world.virtual_machines.get(namespace, name).present();
            (RelatedNames::of(wukong, &world), vm.is_some())
        };
        let now = Instant::now();
        let asked = Asked {
            subject: &work.subject,
            related: &related,
            has_vm,
            due: now.checked_sub(late).unwrap_or(now),
        };
        let (children, at) = self.queries.children(&asked).await?;
        let age = SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        let mut remembered = work.entry.remembered.lock();
        let memory = &mut remembered.memory;
        memory.record_queried(children, Timestamp::now() - age);
        Ok(())
    }

    fn decide(&self, work: &Work, wukong: &Wukong) -> (Decision, Timestamp) {
        let now = Timestamp::now();
        let mut remembered = work.entry.remembered.lock();
        remembered.begin(wukong.metadata.generation, now);
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

    /// Executes a decision: first the objects that the VM needs, concurrently; then the VM, the subresource calls and the
    /// deletions. After an error, the next decision determines what continues without the failed object.
    async fn execute(&self, work: &Work, decision: Decision) -> Outcome {
        let Decision {
            apply,
            apply_vm,
            in_place: _,
            expand,
            calls,
            prune,
            reports,
            status,
            write_status: _,
            events: _,
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
            .buffer_unordered(MAX_WRITES);
        while let Some((what, result)) = results.next().await {
            match result {
                Ok(()) => outcome.done.push(what),
                Err(stop) => outcome.fail(stop),
            }
        }
        if let Some(vm) = apply_vm
            && !outcome.failed
        {
            match self.write(work, Write::Apply(vm)).await {
                (what, Ok(())) => outcome.done.push(what),
                (_, Err(stop)) => outcome.fail(stop),
            }
        }
        for call in calls {
            if outcome.failed {
                break;
            }
            match self.port.call(&work.subject, call).await {
                Ok(()) => {
                    let mut remembered = work.entry.remembered.lock();
                    remembered.record_called(&work.vm, call, Timestamp::now());
                    outcome.done.push(format!("called {call}"));
                }
                Err(error) => {
                    outcome.fail(self.record_failure(work, &work.vm, call.as_ref(), &error));
                }
            }
        }
        for prune in prune {
            if outcome.failed {
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
                Err(error) => {
                    outcome.fail(self.record_failure(work, target, &prune.hash(), &error));
                }
            }
        }
        for report in reports {
            match self.port.write_report(&work.subject, &report).await {
                Ok(stored) => {
                    self.cluster.reported(&work.key(), report.kind, &stored);
                    work.entry.remembered.lock().memory.record_reported(&report);
                    let kind = report.kind.as_ref();
                    outcome
                        .done
                        .push(format!("reported {kind}/{}", report.name));
                }
                Err(error) => {
                    self.log_failure(work, "status of a snapshot or restore", &error);
                    let mut remembered = work.entry.remembered.lock();
                    remembered.status_failures += 1;
                    outcome.fail(Some(error.pause(remembered.status_failures)));
                }
            }
        }
        if !outcome.failed {
            work.entry.remembered.lock().record_success();
        }
        if !outcome.done.is_empty() {
            work.log(&status, &outcome.done.join(", "));
        }
        outcome
    }

    /// Records a failed write. Returns the pause before the next reconcile if another decision now would not help: a stale
    /// write is not recorded and would be retried at once, and in an outage all other writes fail as well.
    fn record_failure(
        &self,
        work: &Work,
        target: &Target,
        hash: &str,
        error: &WriteError,
    ) -> Option<Duration> {
        self.log_failure(work, &target.to_string(), error);
        let (now, mut remembered) = (Timestamp::now(), work.entry.remembered.lock());
        let pause = remembered.record_failure(target, hash, error, now);
        let noted = remembered.memory.failure(target, hash);
        let held_back = noted.is_some_and(|failure| failure.retry_at > now);
        (error.cause == Cause::Outage || !held_back).then_some(pause)
    }

    /// Executes one write and records the result. Returns a description of the write, or the pause before the next reconcile.
    async fn write(&self, work: &Work, write: Write) -> (String, Result<(), Option<Duration>>) {
        let target = write.target();
        let result = match &write {
            Write::Apply(apply) => self.port.apply(&work.subject, apply).await,
            Write::Expand(expand) => self.port.expand(&work.subject, expand).await,
        };
        let stored = match result {
            Ok(stored) => stored,
            Err(error) => {
                let stop = self.record_failure(work, target, &write.hash(), &error);
                return (String::new(), Err(stop));
            }
        };
        self.cluster.written(&work.key(), target.kind, &stored);
        let mut remembered = work.entry.remembered.lock();
        match &write {
            Write::Apply(apply) => remembered.record_applied(apply, &stored, Timestamp::now()),
            Write::Expand(expand) => remembered.memory.record_done(&expand.target),
        }
        (write.done(), Ok(()))
    }

    fn log_failure(&self, work: &Work, what: &str, error: &WriteError) {
        let Subject {
            namespace, name, ..
        } = &work.subject;
        let cause = error.cause;
        if matches!(cause, Cause::Stale | Cause::Gone) {
            debug!(namespace, name, what, ?cause, %error, "write was stale");
        } else {
            warn!(namespace, name, what, ?cause, %error, "write rejected");
        }
    }
}
