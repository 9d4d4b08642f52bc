//! Saying how a Wukong is: its status, and the events that go with it.

use std::time::Duration;

use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;
use tracing::debug;
use wukong_api::{Wukong, WukongSpec, WukongStatus};
use wukong_engine::{Decision, Note, undecodable};

use super::Reconciler;
use super::work::{Work, standing};
use crate::metrics::Ended;
use crate::projection::{Content, StoredWukong};
use crate::refusal::Cause;

/// When to come back to one that waits while others are looked into.
const LOOK_LATER: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Writes the status if it is time, tells the notes that go with it, and returns when to look again.
    pub(super) async fn say(
        &self,
        work: &Work,
        decision: Decision,
        now: Timestamp,
        ended: Ended,
        pause: Option<Duration>,
    ) -> (Ended, Option<Duration>) {
        let until = |at: Timestamp| Duration::try_from(at - now).unwrap_or_default();
        let look = decision.query_at.map(until);
        let again = pause
            .into_iter()
            .chain(decision.wake_at.map(until))
            .chain(look.map(|look| look.max(LOOK_LATER)))
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

    pub(super) async fn say_unreadable(&self, work: &Work) -> (Ended, Option<Duration>) {
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

    /// Writes the status and tells what goes with it. Returns when there is more to say: at once when the API server cuts the
    /// status for the first time, or no longer. When it is refused, returns when it is worth trying again.
    async fn write_status(
        &self,
        work: &Work,
        status: &WukongStatus,
        notes: Vec<Note>,
    ) -> Result<Option<Duration>, Option<Duration>> {
        let mut more = None;
        let refusal = match self.port.write_status(&work.subject, status).await {
            Ok(wukong) => {
                let before = work.entry.wukong.status();
                if before.is_none_or(|before| standing(before) != standing(status)) {
                    let said = status.blocker.as_ref().map(|blocker| &*blocker.message);
                    work.log(status, said.unwrap_or("nothing stands in its way"));
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
                remembered.status_refused = 0;
                None
            }
            // It is gone, and so is whoever would read it.
            Err(refusal) if refusal.cause == Cause::Gone => return Err(None),
            Err(refusal) => Some(refusal),
        };
        // The server takes no status at all of an object that it cannot read itself: then only events can say so.
        if refusal
            .as_ref()
            .is_none_or(|refusal| refusal.cause == Cause::Denied)
        {
            self.tell(work, notes).await;
        }
        let Some(refusal) = refusal else {
            return Ok(more);
        };
        self.report(work, "status", &refusal);
        let mut remembered = work.entry.remembered.lock();
        remembered.status_refused += 1;
        Err(Some(refusal.pause(remembered.status_refused)))
    }

    /// Publishes what was not told lately.
    async fn tell(&self, work: &Work, mut notes: Vec<Note>) {
        let now = Instant::now();
        notes.retain(|note| work.entry.remembered.lock().told.admit(note, now));
        for note in notes {
            if let Err(refusal) = self.port.publish(&work.subject, &note).await {
                debug!(name = work.subject.name, %refusal, "an event was not published");
            }
        }
    }
}
