//! The loop: watches feed the world, due keys take their next step, writes come back into the world.
//!
//! One task owns the world. A key stands for one small group of objects (a DataVolume with its claim, a VM with its
//! instance and pod), takes one step at a time, and rests one pace after each write. One shared watch per kind and no
//! polling: hundreds of VMs cost what their events cost.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::execute::{Outcome, api_resource, execute};
use crate::guests::Machines;
use wukong_sim::change::{Change, Moment, Refusal, Step};
use wukong_sim::key::{self, Key};
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::reality::{Reality, Seen};
use wukong_sim::world::World;

/// Writes under way at once.
const CONCURRENCY: usize = 32;
const RETRY: Duration = Duration::from_millis(500);
/// How often the nodes may give a sign of life; each node checks itself whether it is time.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Longest pause after failed writes, in paces.
const MAX_PAUSE: u32 = 64;

/// The state of a key besides its objects.
struct Slot {
    due: Option<Instant>,
    written: Instant,
    busy: bool,
    /// An object changed while the key was busy.
    dirty: bool,
    failures: u32,
    refusal: Option<Refusal>,
}

struct Done {
    key: Key,
    outcome: Outcome,
}

pub struct Engine {
    client: Client,
    pace: Duration,
    started: Instant,
    world: World,
    slots: HashMap<Key, Slot>,
    due: BTreeSet<(Instant, Key)>,
    /// Events that were written: object and text.
    reported: HashSet<(Ref, String)>,
    /// Kinds with a first list that is still missing.
    unlisted: HashSet<Kind>,
    /// What the current list of a kind has shown so far.
    listed: HashMap<Kind, HashSet<Ref>>,
    permits: Arc<Semaphore>,
    writes: JoinSet<Done>,
    /// Real guests, if there are any, and their observed state.
    machines: Option<Machines>,
    seen: mpsc::UnboundedReceiver<Seen>,
}

impl Engine {
    pub fn new(client: Client, pace: Duration) -> Self {
        // Nothing is ever seen of simulated guests.
        let (_, seen) = mpsc::unbounded_channel();
        Self {
            client,
            pace,
            started: Instant::now(),
            world: World::default(),
            slots: HashMap::new(),
            due: BTreeSet::new(),
            reported: HashSet::new(),
            unlisted: Kind::ALL.into(),
            listed: HashMap::new(),
            permits: Arc::new(Semaphore::new(CONCURRENCY)),
            writes: JoinSet::new(),
            machines: None,
            seen,
        }
    }

    /// With real guests in place of simulated ones.
    pub fn with_machines(
        mut self,
        machines: Machines,
        seen: mpsc::UnboundedReceiver<Seen>,
    ) -> Self {
        self.world.reality = Some(Reality::default());
        self.machines = Some(machines);
        self.seen = seen;
        self
    }

    /// Runs until the watches end, which they do not.
    pub async fn run(mut self) {
        let (sender, mut events) = mpsc::channel(1024);
        for kind in Kind::ALL {
            tokio::spawn(follow(self.client.clone(), kind, sender.clone()));
        }
        drop(sender);
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            // No step is decided before the first list of every kind.
            let next = self
                .due
                .first()
                .filter(|_| self.unlisted.is_empty())
                .map(|(at, _)| *at);
            let sleep = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some((kind, event)) => self.observe(kind, event),
                    None => return,
                },
                Some(Ok(done)) = self.writes.join_next(), if !self.writes.is_empty() => self.written(done),
                Some(seen) = self.seen.recv() => self.saw(seen),
                () = sleep => self.step_due(),
                _ = heartbeat.tick() => self.mark_all(Kind::Node),
            }
        }
    }

    fn observe(&mut self, kind: Kind, event: watcher::Result<Event<DynamicObject>>) {
        match event {
            Ok(Event::Init) => {
                self.listed.insert(kind, HashSet::new());
            }
            Ok(Event::InitApply(object)) => {
                let (at, object) = project(kind, object);
                self.listed.entry(kind).or_default().insert(at.clone());
                self.absorb(at, object);
            }
            Ok(Event::InitDone) => {
                let listed = self.listed.remove(&kind).unwrap_or_default();
                let gone: Vec<Ref> = self
                    .world
                    .refs(kind)
                    .filter(|at| !listed.contains(at))
                    .cloned()
                    .collect();
                gone.into_iter().for_each(|at| self.forget(at));
                self.unlisted.remove(&kind);
                self.world.mark_served(kind);
                match kind {
                    Kind::Cdi | Kind::KubeVirt | Kind::Nad => self.mark(Key::Installation(kind)),
                    Kind::NodeNetwork | Kind::NodePolicy => self.mark_all(Kind::Node),
                    Kind::StorageProfile => self.mark_all(Kind::StorageClass),
                    _ => {}
                }
            }
            Ok(Event::Apply(object)) => {
                let (at, object) = project(kind, object);
                self.absorb(at, object);
            }
            Ok(Event::Delete(object)) => self.forget(project(kind, object).0),
            Err(error) => {
                tracing::debug!(?kind, %error, "watching");
                self.unlisted.remove(&kind);
            }
        }
    }

    fn saw(&mut self, seen: Seen) {
        if let Some(reality) = &mut self.world.reality {
            let at = reality.take(seen);
            let key = match at.kind {
                Kind::Vmi => Key::Vm(at.namespace, at.name),
                Kind::VmSnapshot => Key::Snapshot(at.namespace, at.name),
                _ => Key::Disk(at.namespace, at.name),
            };
            self.mark(key);
        }
    }

    fn absorb(&mut self, at: Ref, object: Value) {
        let keys = key::concerned(&self.world, &at, &object);
        if self.world.insert(at, object) {
            keys.into_iter().for_each(|key| self.mark(key));
        }
    }

    fn forget(&mut self, at: Ref) {
        let Some(object) = self
            .world
            .get(at.kind, &at.namespace, &at.name)
            .map(|object| object.value().clone())
        else {
            return;
        };
        self.world.remove(&at);
        key::concerned(&self.world, &at, &object)
            .into_iter()
            .for_each(|key| self.mark(key));
    }

    fn mark_all(&mut self, kind: Kind) {
        key::all(&self.world, kind)
            .into_iter()
            .for_each(|key| self.mark(key));
    }

    /// The key gets its next step as soon as it has rested.
    fn mark(&mut self, key: Key) {
        let rested = self.slot(&key).written + self.pace;
        self.mark_at(key, rested.max(Instant::now()));
    }

    fn mark_at(&mut self, key: Key, at: Instant) {
        let slot = self.slot(&key);
        if slot.busy {
            slot.dirty = true;
            return;
        }
        let earlier = slot.due.is_some_and(|due| due <= at);
        if earlier {
            return;
        }
        let old = slot.due.replace(at);
        if let Some(old) = old {
            self.due.remove(&(old, key.clone()));
        }
        self.due.insert((at, key));
    }

    fn slot(&mut self, key: &Key) -> &mut Slot {
        let long_ago = self
            .started
            .checked_sub(self.pace * 1000)
            .unwrap_or(self.started);
        self.slots.entry(key.clone()).or_insert(Slot {
            due: None,
            written: long_ago,
            busy: false,
            dirty: false,
            failures: 0,
            refusal: None,
        })
    }

    fn step_due(&mut self) {
        let now = Instant::now();
        while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            self.due.pop_first();
            self.step(key, now);
        }
    }

    fn step(&mut self, key: Key, now: Instant) {
        let pace = self.pace;
        let slot = self.slot(&key);
        slot.due = None;
        let waited = now.duration_since(slot.written).as_millis() / pace.as_millis().max(1);
        let moment = Moment {
            now: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            waited: u32::try_from(waited).unwrap_or(u32::MAX),
            refusal: slot.refusal.clone(),
        };
        self.follow_guests(&key);
        let Step { mut changes, again } = key::next(&self.world, &key, &moment);
        changes.retain(|change| match change {
            Change::Event { about, message, .. } => {
                self.reported.insert((about.clone(), message.clone()))
            }
            _ => true,
        });
        if changes.is_empty() {
            if let Some(paces) = again {
                self.mark_at(key, now + pace * paces.max(1));
            }
            return;
        }
        self.slot(&key).busy = true;
        let (client, permits) = (self.client.clone(), Arc::clone(&self.permits));
        self.writes.spawn(async move {
            let _permit = permits.acquire_owned().await;
            Done {
                key,
                outcome: execute(&client, changes).await,
            }
        });
    }

    /// Real guests follow their objects.
    fn follow_guests(&mut self, key: &Key) {
        match (&mut self.machines, key) {
            (Some(machines), Key::Vm(namespace, name)) => {
                machines.observe_instance(&self.world, namespace, name);
            }
            (Some(machines), Key::Disk(namespace, name)) => {
                machines.observe_disk(&self.world, namespace, name);
            }
            (Some(machines), Key::Snapshot(namespace, name)) => {
                machines.observe_snapshot(&self.world, namespace, name);
            }
            _ => {}
        }
    }

    fn written(&mut self, Done { key, outcome }: Done) {
        let now = Instant::now();
        let pace = self.pace;
        let slot = self.slot(&key);
        slot.busy = false;
        slot.dirty = false;
        slot.written = now;
        slot.failures = if outcome.failed {
            slot.failures.saturating_add(1)
        } else {
            0
        };
        let wrote = |kind| outcome.stored.iter().any(|(at, _)| at.kind == kind);
        if outcome.refusal.is_some() {
            slot.refusal = outcome.refusal;
        } else if slot
            .refusal
            .as_ref()
            .is_some_and(|refusal| wrote(refusal.kind))
        {
            slot.refusal = None;
        }
        let pause = 2_u32.saturating_pow(slot.failures).min(MAX_PAUSE);
        for (at, object) in outcome.stored {
            self.absorb(at, object);
        }
        for at in outcome.gone {
            self.forget(at);
        }
        self.mark_at(key, now + pace * pause);
    }
}

/// An object without the fields that no rule of the simulator reads.
fn project(kind: Kind, mut object: DynamicObject) -> (Ref, Value) {
    object.metadata.managed_fields = None;
    let at = Ref::new(
        kind,
        object.metadata.namespace.clone().unwrap_or_default(),
        object.metadata.name.clone().unwrap_or_default(),
    );
    (at, serde_json::to_value(object).unwrap_or_default())
}

/// A kind that is not installed is listed again and again: it may come.
struct Retry;

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(RETRY)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {}
}

type Observed = (Kind, watcher::Result<Event<DynamicObject>>);

async fn follow(client: Client, kind: Kind, events: mpsc::Sender<Observed>) {
    let api: Api<DynamicObject> = Api::all_with(client, &api_resource(kind));
    let mut stream = watch(api, watcher::Config::default())
        .backoff(Retry)
        .boxed();
    while let Some(event) = stream.next().await {
        if events.send((kind, event)).await.is_err() {
            return;
        }
    }
}
