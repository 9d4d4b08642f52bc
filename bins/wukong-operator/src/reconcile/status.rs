//! Status of a Wukong and the events for its changes.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;
use tracing::debug;
use wukong_api::{Wukong, WukongSpec, WukongStatus};
use wukong_engine::{Decision, Note, undecodable};

use super::Reconciler;
use super::work::{Work, phase_and_reason};
use crate::metrics::Ended;
use crate::projection::{Content, StoredWukong};
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
                let written = self
                    .write_status(work, &decision.status, decision.notes)
                    .await;
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

    /// Writes the status of a Wukong that this version cannot read.
    pub(super) async fn report_unreadable(&self, work: &Work) -> (Ended, Option<Duration>) {
        let StoredWukong {
            content:
                Content::Unreadable {
                    error,
                    generation,
                    status,
                },
            namespace,
            name,
            uid,
            ..
        } = &*work.entry.wukong
        else {
            return (Ended::Unchanged, None);
        };
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.clone()),
            uid: Some(uid.clone()),
            generation: *generation,
            ..ObjectMeta::default()
        };
        let without_spec = Wukong {
            metadata,
            spec: WukongSpec::default(),
            status: Some((**status).clone()),
        };
        let wanted = undecodable(&without_spec, error, Timestamp::now());
        if wanted == **status {
            return (Ended::Unchanged, None);
        }
        let note = wanted.blocker.as_ref().map(|blocker| Note {
            warning: true,
            reason: blocker.reason.clone(),
            message: blocker.message.clone(),
        });
        let notes = note.into_iter().collect();
        match self.write_status(work, &wanted, notes).await {
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
        notes: Vec<Note>,
    ) -> Result<Option<Duration>, Option<Duration>> {
        let mut more = None;
        let error = match self.port.write_status(&work.subject, status).await {
            Ok(wukong) => {
                let before = work.entry.wukong.status();
                if before.is_none_or(|before| phase_and_reason(before) != phase_and_reason(status))
                {
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
                    .map(|kept| (status.clone(), kept));
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
            self.publish(work, notes).await;
        }
        let Some(error) = error else {
            return Ok(more);
        };
        self.log_failure(work, "status", &error);
        let mut remembered = work.entry.remembered.lock();
        remembered.status_failures += 1;
        Err(Some(error.pause(remembered.status_failures)))
    }

    /// Publishes the events that were not published recently.
    async fn publish(&self, work: &Work, mut notes: Vec<Note>) {
        let now = Instant::now();
        notes.retain(|note| work.entry.remembered.lock().recent_events.admit(note, now));
        for note in notes {
            if let Err(error) = self.port.publish(&work.subject, &note).await {
                debug!(name = work.subject.name, %error, "event not published");
            }
        }
    }
}
