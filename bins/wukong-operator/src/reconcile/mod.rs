//! One look at one Wukong: decide, carry out, decide again, until nothing is left to do but to say how it is.
//!
//! What is to be done is the engine's decision; here is only the order in which it is carried out, and what is
//! remembered of it.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use wukong_api::{ConditionType, Policy, Wukong, WukongSpec, WukongStatus};
use wukong_engine::environment::events::Kin;
use wukong_engine::{Apply, Decision, Expand, Kind, Note, Observed, Target, decide, undecodable};

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::metrics::{Ended, Metrics};
use crate::port::{Port, Subject};
use crate::projection::{Content, StoredWukong};
use crate::queue::Key;
use crate::refusal::{Cause, Refusal};
use crate::remembered::Remembered;
use crate::wukongs::Entry;

/// How often a look decides. Each round writes something or is the last, and a VM needs three.
const ROUNDS: usize = 5;
/// How many writes for one Wukong are under way at once.
const AT_ONCE: usize = 8;
/// When to look again at a Wukong that is not settled after all rounds.
const UNSETTLED: Duration = Duration::from_secs(1);

/// Pauses after looks that panicked.
const PANICS: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(120));
/// How many Wukongs that wait are looked into at once, and when to come back when it is another's turn.
const LOOKS_AT_ONCE: usize = 2;
const LOOK_LATER: Duration = Duration::from_secs(1);

/// Looks at Wukongs.
pub struct Reconciler {
    cluster: Arc<Cluster>,
    port: Arc<dyn Port>,
    policy: Policy,
    metrics: Metrics,
    looks: Semaphore,
    /// Whose turn it is to change nodes ([`Decision::changes_nodes`]).
    nodes: Mutex<()>,
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

    /// One line of what was done, and of what it was done for: where the VM stands, and what it waits for.
    fn log(&self, status: &WukongStatus, done: &str) {
        let Subject {
            namespace, name, ..
        } = &self.subject;
        let (phase, reason) = standing(status);
        info!(namespace, name, phase, reason, "{done}");
    }

    fn key(&self) -> Key {
        Key::new(&*self.subject.namespace, &*self.subject.name)
    }
}

/// Where a VM stands, in two words: its phase, and the reason of `Ready`.
fn standing(status: &WukongStatus) -> (&str, &str) {
    let ready = ConditionType::Ready.as_ref();
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == ready);
    (
        status.phase.as_ref().map_or("Unknown", AsRef::as_ref),
        ready.map_or("", |condition| &condition.reason),
    )
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
                if decision.look_at.is_some_and(|at| at <= now) && self.look_up(&work, wukong).await
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
                ended = Ended::Refused;
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
        let kin = Kin::of(wukong, &self.cluster.world());
        let children = self.port.look(&work.subject, &kin).await;
        let mut remembered = work.entry.remembered.lock();
        remembered.memory.record_looked(children, Timestamp::now());
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
            policy: &self.policy,
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
            look_at: _,
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
        let look = decision.look_at.map(until);
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
            Ok(_) => (Ended::Changed, None),
            Err(pause) => (Ended::Refused, pause),
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
            Self::Expand(expand) => expand.hash(),
        }
    }

    fn done(&self) -> String {
        match self {
            Self::Apply(apply) => format!("applied {}", apply.target),
            Self::Expand(expand) => format!("grew {} to {}", expand.target, expand.to),
        }
    }
}
