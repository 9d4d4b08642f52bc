//! Status of a Wukong and the events for its changes.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wukong_api::{Wukong, WukongSpec, WukongStatus};
use wukong_engine::{Decision, Event, undecodable};

use super::Reconciler;
use super::work::{Work, phase_and_reason};
use crate::metrics::Ended;
use crate::stored_wukong::{Content, Unreadable};
use crate::write_error::Cause;

/// Pause of a waiting Wukong with a query that had to wait for others.
const QUERY_LATER: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Writes the status and publishes its events if they are due. Returns the pause before the next reconcile.
    pub(super) async fn report(
        &self,
        work: &Work,
        decision: Decision,
        now: Timestamp,
        ended: Ended,
        pause: Option<Duration>,
    ) -> (Ended, Option<Duration>) {
        let until = |at: Timestamp| Duration::try_from(at - now).unwrap_or_default();
        let query = decision.query_at.map(until);
        let again = pause
            .into_iter()
            .chain(decision.wake_at.map(until))
            .chain(query.map(|query| query.max(QUERY_LATER)))
            .min();
        match decision.write_status {
            None => (ended, again),
            Some(at) if at > now => (ended, again.into_iter().chain([until(at)]).min()),
            Some(_) => {
                let done = CancellationToken::new();
                let write = async {
                    let _done = done.clone().drop_guard();
                    self.write_status(work, &decision.status, decision.events)
                        .await
                };
                let (written, ()) = tokio::join!(write, self.advance(work, &done));
                let ended = match ended {
                    Ended::Unchanged if written.is_ok() => Ended::Changed,
                    ended => ended,
                };
                match written {
                    Ok(more) => (ended, again.into_iter().chain(more).min()),
                    Err(pause) => (Ended::Rejected, again.into_iter().chain(pause).min()),
                }
            }
        }
    }

    /// Executes what changes of the Wukong and its objects require while its status is written, so that the VM does not wait
    /// for that. The key is queued again for these changes, so the status follows.
    async fn advance(&self, work: &Work, written: &CancellationToken) {
        let (key, mut seen) = (work.key(), work.changes);
        loop {
            let changed = self.cluster.queue.changed_since(&key, seen);
            let Some(changes) = written.run_until_cancelled(changed).await else {
                return;
            };
            seen = changes;
            let Some(entry) = self.cluster.wukong(&key) else {
                return;
            };
            let work = Work::of(entry, changes);
            let Some(wukong) = work.entry.wukong.readable() else {
                return;
            };
            let (decision, _) = self.decide(&work, &wukong);
            // Decisions that change nodes wait for their turn.
            if decision.is_settled() || decision.changes_nodes() {
                continue;
            }
            if self.execute(&work, decision).await.failed {
                return;
            }
        }
    }

    /// Writes the status of a Wukong that this version cannot read.
    pub(super) async fn report_unreadable(&self, work: &Work) -> (Ended, Option<Duration>) {
        let Content::Unreadable(unreadable) = &work.entry.wukong.content else {
            return (Ended::Unchanged, None);
        };
        let Unreadable {
            error,
            generation,
            status,
        } = &**unreadable;
        let metadata = ObjectMeta {
            name: Some(work.subject.name.clone()),
            namespace: Some(work.subject.namespace.clone()),
            uid: Some(work.subject.uid.clone()),
            generation: *generation,
            ..ObjectMeta::default()
        };
        let without_spec = Wukong {
            metadata,
            spec: WukongSpec::default(),
            status: Some(status.clone()),
        };
        let wanted = undecodable(&without_spec, error, Timestamp::now());
        if wanted == *status {
            return (Ended::Unchanged, None);
        }
        let event = wanted.blocker.as_ref().map(|blocker| Event {
            warning: true,
            reason: blocker.reason.clone(),
            message: blocker.message.clone(),
        });
        let events = event.into_iter().collect();
        match self.write_status(work, &wanted, events).await {
            Ok(_) => (Ended::Changed, None),
            Err(pause) => (Ended::Rejected, pause),
        }
    }

    /// Writes the status and publishes its events. Returns the pause before the next reconcile: zero if the API server has
    /// started or stopped to drop fields of the status.
    ///
    /// # Errors
    /// If the write fails, returns the pause before the next attempt; `None` if the Wukong is gone.
    async fn write_status(
        &self,
        work: &Work,
        status: &WukongStatus,
        events: Vec<Event>,
    ) -> Result<Option<Duration>, Option<Duration>> {
        let mut more = None;
        let error = match self.port.write_status(&work.subject, status).await {
            Ok(wukong) => {
                let before = &work.entry.wukong;
                let reported = (before.phase, before.ready.as_deref());
                if reported != phase_and_reason(status) {
                    let message = status.blocker.as_ref().map(|blocker| &*blocker.message);
                    work.log(status, message.unwrap_or("no blocker"));
                }
                let kept = wukong.get("status").cloned().unwrap_or_default();
                self.cluster.status_written(wukong);
                let mut remembered = work.entry.remembered.lock();
                remembered.memory.status_written = Some(Timestamp::now());
                let was_cut = remembered.memory.status_cut.is_some();
                let cut = serde_json::from_value(kept)
                    .ok()
                    .filter(|kept| kept != status)
                    .map(|kept| Box::new((status.clone(), kept)));
                more = (cut.is_some() != was_cut).then_some(Duration::ZERO);
                remembered.memory.status_cut = cut;
                remembered.status_failures = 0;
                None
            }
            // The Wukong is gone.
            Err(error) if error.cause == Cause::Gone => return Err(None),
            Err(error) => Some(error),
        };
        // The API server rejects every status of an object that it cannot decode. Then only an event can report the cause.
        if error
            .as_ref()
            .is_none_or(|error| error.cause == Cause::Denied)
        {
            self.publish(work, events);
        }
        let Some(error) = error else {
            return Ok(more);
        };
        self.log_failure(work, "status", &error);
        let mut remembered = work.entry.remembered.lock();
        remembered.status_failures += 1;
        Err(Some(error.pause(remembered.status_failures)))
    }

    /// Queues the events that were not published recently.
    fn publish(&self, work: &Work, events: Vec<Event>) {
        let now = Instant::now();
        let mut remembered = work.entry.remembered.lock();
        for event in events {
            let publish = || self.publisher.publish(&work.subject, event.clone());
            remembered.recent_events.admit(&event, now, publish);
        }
    }
}
