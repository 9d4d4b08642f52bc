//! Reconciles one WukongSnapshotSchedule: decides, creates and deletes snapshots, then writes the status.
//!
//! The engine decides what to do, by the time. Between two slots, nothing is sent.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{error, info, warn};
use wukong_engine::facts::{Text, WukongSnapshotScheduleFact};
use wukong_engine::{
    Apply, ObservedSchedule, Prune, ScheduleDecision, StatusReport, Target, decide_schedule,
};

use crate::cluster::Cluster;
use crate::metrics::{Ended, Metrics};
use crate::port::{Port, Subject};
use crate::queue::Key;
use crate::remembered::Remembered;
use crate::write_error::{Cause, WriteError};

/// Maximum number of decisions in one reconcile: one creates, one deletes, and one writes the status.
const ROUNDS: usize = 4;
/// Pause before the next reconcile of a schedule that is not settled after all rounds.
const UNSETTLED: Duration = Duration::from_secs(1);
/// Longest time until the next decision, so that a clock that was set is noticed.
const CLOCK: Duration = Duration::from_secs(60);
/// Pause after a reconcile that panicked.
const PANIC: Duration = Duration::from_secs(120);

/// Reconciles schedules.
pub struct Schedules {
    cluster: Arc<Cluster>,
    port: Arc<dyn Port>,
    metrics: Metrics,
    remembered: Mutex<HashMap<Key, (Text, Remembered)>>,
}

impl std::fmt::Debug for Schedules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedules").finish_non_exhaustive()
    }
}

/// A schedule, and for what its writes are.
struct Work<'a> {
    key: &'a Key,
    schedule: &'a WukongSnapshotScheduleFact,
    subject: Subject,
}

impl Schedules {
    /// Creates a reconciler that writes through `port`.
    pub fn new(cluster: Arc<Cluster>, port: Arc<dyn Port>, metrics: Metrics) -> Self {
        Self {
            cluster,
            port,
            metrics,
            remembered: Mutex::default(),
        }
    }

    /// Reconciles a schedule. Returns the pause before the next reconcile, unless a change triggers one before.
    pub async fn reconcile(&self, key: &Key) -> Option<Duration> {
        let started = Instant::now();
        let result = AssertUnwindSafe(self.run(key)).catch_unwind().await;
        let (ended, pause) = result.unwrap_or_else(|_| {
            let Key { namespace, name } = key;
            error!(
                namespace,
                name, "the reconcile of this schedule panicked, which is a bug"
            );
            (Ended::Panicked, Some(PANIC))
        });
        self.metrics.reconciled(ended, started.elapsed());
        pause
    }

    async fn run(&self, key: &Key) -> (Ended, Option<Duration>) {
        let mut ended = Ended::Unchanged;
        for _ in 0..ROUNDS {
            let Some(schedule) = self.cluster.schedule(key) else {
                self.remembered.lock().remove(key);
                return (ended, None);
            };
            let now = Timestamp::now();
            let ScheduleDecision {
                create,
                delete,
                report,
                wake_at,
            } = self.decide(key, &schedule, now);
            let work = Work {
                key,
                schedule: &schedule,
                subject: Subject {
                    namespace: key.namespace.clone(),
                    name: key.name.clone(),
                    uid: schedule.meta.uid.to_string(),
                },
            };
            let pause = wake_at.map(|at| Duration::try_from(now.duration_until(at)));
            let pause = pause.map(|pause| pause.unwrap_or_default().min(CLOCK));
            if create.is_empty() && delete.is_empty() {
                return match report {
                    None => (ended, pause),
                    Some(report) => match self.report(&work, &report).await {
                        Ok(()) => (Ended::Changed, pause),
                        Err(pause) => (Ended::Rejected, Some(pause)),
                    },
                };
            }
            match self.write(&work, &create, &delete).await {
                Ok(()) => ended = Ended::Changed,
                // The status reports the rejection, unless nothing can be written now.
                Err(None) => ended = Ended::Rejected,
                Err(Some(pause)) => return (Ended::Rejected, Some(pause)),
            }
        }
        (ended, Some(UNSETTLED))
    }

    fn decide(
        &self,
        key: &Key,
        schedule: &WukongSnapshotScheduleFact,
        now: Timestamp,
    ) -> ScheduleDecision {
        let vms = self.cluster.vms_of(schedule);
        let world = self.cluster.world();
        self.remember(key, schedule, |remembered| {
            remembered.begin(Some(schedule.generation), now);
            decide_schedule(&ObservedSchedule {
                schedule,
                vms: vms.as_deref(),
                world: &world,
                memory: &remembered.memory,
                now,
            })
        })
    }

    /// Changes what is remembered of a schedule. A schedule with another uid begins again.
    fn remember<T>(
        &self,
        key: &Key,
        schedule: &WukongSnapshotScheduleFact,
        change: impl FnOnce(&mut Remembered) -> T,
    ) -> T {
        let mut all = self.remembered.lock();
        let uid = &schedule.meta.uid;
        let (known, remembered) = all.entry(key.clone()).or_default();
        if known != uid {
            (*known, *remembered) = (uid.clone(), Remembered::default());
        }
        change(remembered)
    }

    /// Creates and deletes snapshots.
    ///
    /// # Errors
    /// If a write failed, returns the pause before the next reconcile, if another decision now would not help.
    async fn write(
        &self,
        work: &Work<'_>,
        create: &[Apply],
        delete: &[Prune],
    ) -> Result<(), Option<Duration>> {
        let Key { namespace, name } = work.key;
        let mut outcome = Ok(());
        for apply in create {
            let target = &apply.target;
            match self.port.apply(&work.subject, apply).await {
                Ok(stored) => {
                    self.cluster.snapshot_created(&stored);
                    self.done(work, target);
                    info!(
                        namespace,
                        name,
                        snapshot = target.name,
                        "snapshot requested"
                    );
                }
                Err(error) => outcome = Err(self.failed(work, target, &apply.hash, &error)?),
            }
        }
        for prune in delete {
            let target = &prune.target;
            match self.port.prune(&work.subject, prune).await {
                Ok(()) => {
                    let uid = &prune.uid;
                    self.cluster.snapshot_deleted(namespace, &target.name, uid);
                    self.done(work, target);
                    info!(namespace, name, snapshot = target.name, "snapshot deleted");
                }
                Err(error) => outcome = Err(self.failed(work, target, &prune.hash(), &error)?),
            }
        }
        outcome
    }

    fn done(&self, work: &Work, target: &Target) {
        self.remember(work.key, work.schedule, |remembered| {
            remembered.memory.record_done(target);
            remembered.record_success();
        });
    }

    /// Records a rejection.
    ///
    /// # Errors
    /// If another write now would fail as well, returns the pause before the next reconcile.
    fn failed(
        &self,
        work: &Work,
        target: &Target,
        hash: &str,
        error: &WriteError,
    ) -> Result<Option<Duration>, Option<Duration>> {
        let Key { namespace, name } = work.key;
        let cause = error.cause;
        warn!(namespace, name, %target, ?cause, %error, "write rejected");
        let now = Timestamp::now();
        let (pause, noted) = self.remember(work.key, work.schedule, |remembered| {
            let pause = remembered.record_failure(target, hash, error, now);
            (pause, remembered.memory.failure(target, hash).is_some())
        });
        match cause == Cause::Outage || !noted {
            true => Err(Some(pause)),
            false => Ok(None),
        }
    }

    /// Writes the status.
    ///
    /// # Errors
    /// If it is rejected, returns the pause before the next attempt.
    async fn report(&self, work: &Work<'_>, report: &StatusReport) -> Result<(), Duration> {
        let result = self.port.write_report(&work.subject, report).await;
        if let Ok(stored) = &result {
            self.cluster.schedule_reported(stored);
        }
        self.remember(work.key, work.schedule, |remembered| match result {
            Ok(_) => {
                remembered.memory.record_reported(report);
                remembered.status_failures = 0;
                Ok(())
            }
            Err(error) => {
                let Key { namespace, name } = work.key;
                warn!(namespace, name, %error, "status rejected");
                remembered.status_failures += 1;
                Err(error.pause(remembered.status_failures))
            }
        })
    }
}
