//! One look at one Wukong: decide, carry out, decide again, until nothing is left to do but to say how it is.
//!
//! What is to be done is the engine's decision; here is only the order in which it is carried out, and what is
//! remembered of it.

mod remembered;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::time::Instant;
use tracing::{debug, info, warn};
use wukong_api::{Policy, Wukong, WukongSpec, WukongStatus};
use wukong_engine::{Apply, Decision, Expand, Kind, Note, Observed, Target, decide, undecodable};

use crate::cluster::Cluster;
use crate::metrics::{Ended, Metrics};
use crate::port::{Port, Subject};
use crate::projection::{Content, StoredWukong};
use crate::queue::Key;
use crate::refusal::{Cause, Refusal};
use crate::wukongs::Entry;

pub use remembered::Remembered;

/// How often a look decides. Each round writes something or is the last, and a VM needs three.
const ROUNDS: usize = 5;
/// How many writes for one Wukong are under way at once.
const AT_ONCE: usize = 8;
/// When to look again at a Wukong that is not settled after all rounds.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Looks at Wukongs.
pub struct Reconciler {
    cluster: Arc<Cluster>,
    port: Arc<dyn Port>,
    policy: Policy,
    metrics: Metrics,
}

/// The Wukong that is looked at.
struct Work {
    subject: Subject,
    vm: Target,
    entry: Entry,
}

impl Work {
    fn of(entry: Entry) -> Self {
        let StoredWukong {
            namespace,
            name,
            uid,
            ..
        } = &*entry.wukong;
        Self {
            subject: Subject {
                namespace: namespace.clone(),
                name: name.clone(),
                uid: uid.clone(),
            },
            vm: Target {
                kind: Kind::VirtualMachine,
                name: name.clone(),
            },
            entry,
        }
    }
}

/// What became of a decision.
#[derive(Default)]
struct Outcome {
    done: Vec<String>,
    /// When to look again because something was refused.
    refused: Option<Duration>,
}

impl Outcome {
    fn refuse(&mut self, pause: Duration) {
        self.refused = Some(self.refused.map_or(pause, |known| known.min(pause)));
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// Writes through `port`.
    pub fn new(
        cluster: Arc<Cluster>,
        port: Arc<dyn Port>,
        policy: Policy,
        metrics: Metrics,
    ) -> Self {
        Self {
            cluster,
            port,
            policy,
            metrics,
        }
    }

    /// Looks at a Wukong. Returns when to look again if nothing happens before.
    pub async fn reconcile(&self, key: &Key) -> Option<Duration> {
        let started = Instant::now();
        let (ended, pause) = self.look(key).await;
        self.metrics.reconciled(ended, started.elapsed());
        pause
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
            let (decision, now) = self.decide(&work, wukong);
            if decision.is_settled() {
                return self.say(&work, decision, now, ended, None).await;
            }
            if round == ROUNDS {
                return self.say(&work, decision, now, ended, Some(UNSETTLED)).await;
            }
            let outcome = self.carry_out(&work, decision).await;
            if !outcome.done.is_empty() {
                ended = Ended::Changed;
            }
            if let Some(pause) = outcome.refused {
                let (decision, now) = self.decide(&work, wukong);
                // What only came too late is done in a moment. Until then there is nothing new to say.
                let late = work.entry.remembered.lock().memory.failures.is_empty();
                if late && !decision.is_settled() {
                    return (Ended::Refused, Some(pause));
                }
                // What was refused is part of what there is to say.
                let (_, again) = self.say(&work, decision, now, ended, Some(pause)).await;
                return (Ended::Refused, again);
            }
        }
        (ended, Some(UNSETTLED))
    }

    fn decide(&self, work: &Work, wukong: &Wukong) -> (Decision, Timestamp) {
        let now = Timestamp::now();
        let mut remembered = work.entry.remembered.lock();
        remembered.turn_to(wukong.metadata.generation, now);
        let world = self.cluster.world();
        let mut decision = decide(&Observed {
            wukong,
            world: &world,
            memory: &remembered.memory,
            policy: &self.policy,
            now,
        });
        remembered.hold_back(&mut decision, &work.vm, now);
        (decision, now)
    }

    /// First what the VM needs, all at once; then the VM; then what it is told; then what is no longer needed.
    async fn carry_out(&self, work: &Work, decision: Decision) -> Outcome {
        let Decision {
            apply,
            apply_vm,
            expand,
            calls,
            prune,
            status: _,
            write_status: _,
            notes: _,
            wake_at: _,
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
                Err(pause) => outcome.refuse(pause),
            }
        }
        if let Some(vm) = apply_vm
            && outcome.refused.is_none()
        {
            match self.write(work, Write::Apply(vm)).await {
                (what, Ok(())) => outcome.done.push(what),
                (_, Err(pause)) => outcome.refuse(pause),
            }
        }
        for call in calls {
            if outcome.refused.is_some() {
                break;
            }
            let result = self.port.call(&work.subject, call).await;
            let (now, mut remembered) = (Timestamp::now(), work.entry.remembered.lock());
            match result {
                Ok(()) => {
                    remembered.called(&work.vm, call, now);
                    outcome.done.push(format!("called {call}"));
                }
                Err(refusal) => {
                    self.report(work, call.as_ref(), &refusal);
                    outcome.refuse(remembered.refused(&work.vm, call.as_ref(), &refusal, now));
                }
            }
        }
        for prune in prune {
            if outcome.refused.is_some() {
                break;
            }
            let result = self.port.prune(&work.subject, &prune).await;
            let mut remembered = work.entry.remembered.lock();
            match result {
                Ok(()) => {
                    remembered.pruned(&prune.target);
                    let namespace = &work.subject.namespace;
                    let Target { kind, name } = &prune.target;
                    self.cluster.pruned(namespace, *kind, name, &prune.uid);
                    outcome.done.push(format!("deleted {}", prune.target));
                }
                Err(refusal) => {
                    self.report(work, &prune.target.to_string(), &refusal);
                    let pause = remembered.prune_refused(&prune.target, &refusal, Timestamp::now());
                    outcome.refuse(pause);
                }
            }
        }
        if outcome.refused.is_none() {
            work.entry.remembered.lock().well();
        }
        if !outcome.done.is_empty() {
            let Subject {
                namespace, name, ..
            } = &work.subject;
            info!(namespace, name, "{}", outcome.done.join(", "));
        }
        outcome
    }

    /// Carries out one write and remembers what became of it; what was done, or when to look again.
    async fn write(&self, work: &Work, write: Write) -> (String, Result<(), Duration>) {
        let target = write.target();
        let result = match &write {
            Write::Apply(apply) => self.port.apply(&work.subject, apply).await,
            Write::Expand(expand) => self.port.expand(&work.subject, expand).await,
        };
        let stored = match result {
            Ok(stored) => stored,
            Err(refusal) => {
                self.report(work, &target.to_string(), &refusal);
                let mut remembered = work.entry.remembered.lock();
                let pause = remembered.refused(target, &write.hash(), &refusal, Timestamp::now());
                return (String::new(), Err(pause));
            }
        };
        self.cluster.written(target.kind, &stored);
        let mut remembered = work.entry.remembered.lock();
        match &write {
            Write::Apply(apply) => remembered.applied(apply, &stored, Timestamp::now()),
            Write::Expand(expand) => remembered.expanded(&expand.target),
        }
        (write.done(), Ok(()))
    }

    /// Writes the status if it is time, tells the notes that go with it, and returns when to look again.
    async fn say(
        &self,
        work: &Work,
        decision: Decision,
        now: Timestamp,
        ended: Ended,
        pause: Option<Duration>,
    ) -> (Ended, Option<Duration>) {
        let until = |at: Timestamp| Duration::try_from(at - now).unwrap_or_default();
        let again = pause.into_iter().chain(decision.wake_at.map(until)).min();
        match decision.write_status {
            None => (ended, again),
            Some(at) if at > now => (ended, again.into_iter().chain([until(at)]).min()),
            Some(_) => {
                let written = self
                    .write_status(work, &decision.status, decision.notes)
                    .await;
                match written {
                    Ok(()) if ended == Ended::Unchanged => (Ended::Changed, again),
                    Ok(()) => (ended, again),
                    Err(pause) => (Ended::Refused, again.into_iter().chain(pause).min()),
                }
            }
        }
    }

    async fn say_unreadable(&self, work: &Work) -> (Ended, Option<Duration>) {
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
            Ok(()) => (Ended::Changed, None),
            Err(pause) => (Ended::Refused, pause),
        }
    }

    /// Writes the status and tells what goes with it. When it is refused, returns when it is worth trying again.
    async fn write_status(
        &self,
        work: &Work,
        status: &WukongStatus,
        notes: Vec<Note>,
    ) -> Result<(), Option<Duration>> {
        let refusal = match self.port.write_status(&work.subject, status).await {
            Ok(wukong) => {
                self.cluster.status_written(wukong);
                let mut remembered = work.entry.remembered.lock();
                remembered.memory.status_written = Some(Timestamp::now());
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
            return Ok(());
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

/// A write of the first wave, or the VM's.
enum Write {
    Apply(Apply),
    Expand(Expand),
}

impl Write {
    fn target(&self) -> &Target {
        match self {
            Self::Apply(apply) => &apply.target,
            Self::Expand(expand) => &expand.target,
        }
    }

    /// What the engine compares a refusal with.
    fn hash(&self) -> String {
        match self {
            Self::Apply(apply) => apply.hash.clone(),
            Self::Expand(expand) => expand.to.to_string(),
        }
    }

    fn done(&self) -> String {
        match self {
            Self::Apply(apply) => format!("applied {}", apply.target),
            Self::Expand(expand) => format!("grew {} to {}", expand.target, expand.to),
        }
    }
}
