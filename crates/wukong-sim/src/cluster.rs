//! A cluster in memory: it stores and admits objects, and lets the simulated controllers work on them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::admission::{self, Denial};
use crate::cdi;
use crate::change::{Change, Manager, Moment, Refusal, at, merge};
use crate::field::{Field, put, text};
use crate::installation::{KUBEVIRT_NAMESPACE, healthy_node};
use crate::key::{self, Key};
use crate::kind::{Kind, Ref};
use crate::world::World;

/// How much time one pace takes.
const PACE: SignedDuration = SignedDuration::from_secs(1);
/// Paces between two signs of life of the nodes; each looks itself whether it is time.
const HEARTBEAT: u64 = 20;
/// Paces without a write after which nothing more is to be expected.
const QUIET: u32 = 5;
const UIDS: Uuid = Uuid::from_u128(0x5a1b_0c5e_2f0d_4b7c_9a63_77c1_5f1e_2d90);

/// A Kubernetes event that a simulated controller wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The object that it is about.
    pub about: Ref,
    /// The component that wrote it.
    pub by: Manager,
    /// Whether its type is `Warning`; `Normal` otherwise.
    pub warning: bool,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// The state of a key besides its objects.
#[derive(Debug, Default)]
struct Slot {
    due: Option<u64>,
    written: u64,
    refusal: Option<Refusal>,
}

/// A cluster in memory. Time passes when [`Cluster::advance`] is called, and only then.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) world: World,
    events: Vec<Event>,
    reported: BTreeSet<(Ref, String)>,
    slots: BTreeMap<Key, Slot>,
    start: Timestamp,
    tick: u64,
    seed: u64,
    version: u64,
}

impl Cluster {
    /// A cluster in which nothing is installed. `seed` decides the uids, and with them all that looks random.
    pub fn new(start: Timestamp, seed: u64) -> Self {
        Self {
            world: World::default(),
            events: Vec::new(),
            reported: BTreeSet::new(),
            slots: BTreeMap::new(),
            start,
            tick: 0,
            seed,
            version: 0,
        }
    }

    /// A cluster with KubeVirt, CDI, Multus, storage classes and these nodes, all of them at work.
    pub fn installed(start: Timestamp, seed: u64, nodes: &[&str]) -> Self {
        let mut cluster = Self::new(start, seed);
        for kind in Kind::ALL {
            cluster.world.mark_served(kind);
        }
        for namespace in ["default", "kube-system", KUBEVIRT_NAMESPACE, "cdi"] {
            cluster.put(
                Kind::Namespace,
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
            );
        }
        for (class, _) in cdi::offered() {
            cluster.put(Kind::StorageClass, class);
        }
        let now = cluster.now();
        for name in nodes {
            cluster.put(Kind::Node, healthy_node(name, &now));
        }
        for kind in [Kind::KubeVirt, Kind::Cdi, Kind::Nad] {
            cluster.mark(&Key::Installation(kind));
        }
        cluster.settle(100);
        cluster
    }

    /// The present time in RFC 3339.
    pub fn now(&self) -> String {
        let seconds = i64::try_from(self.tick).unwrap_or(i64::MAX);
        let passed = PACE.checked_mul(i32::try_from(seconds).unwrap_or(i32::MAX));
        let now = passed.and_then(|passed| self.start.checked_add(passed).ok());
        now.unwrap_or(self.start)
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    }

    /// The objects as the simulated controllers see them.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The events so far, in the order in which they were written. One text about one object is written once.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// An object, if it exists.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        let found = self.world.get(kind, namespace, name)?;
        Some(found.value())
    }

    /// Creates an object as a user would. VirtualMachines, DataVolumes and migrations pass the admission webhooks.
    ///
    /// # Errors
    /// The message of the program that rejects it: the API server, KubeVirt or CDI.
    pub fn create(&mut self, mut object: Value) -> Result<Ref, Denial> {
        let kind = Kind::of(text(&object, "apiVersion"), text(&object, "kind"))
            .ok_or_else(|| Denial("no such kind is simulated".into()))?;
        let field = Field::new("", &object);
        let reference = at(kind, &field);
        let Ref {
            namespace, name, ..
        } = &reference;
        if kind.is_namespaced() && self.get(Kind::Namespace, "", namespace).is_none() {
            return Err(Denial(format!("namespaces {namespace:?} not found")));
        }
        if self.get(kind, namespace, name).is_some() {
            let plural = kind.resource().plural;
            return Err(Denial(format!("{plural} {name:?} already exists")));
        }
        self.admit(kind, &mut object, None)?;
        self.put(kind, object);
        Ok(reference)
    }

    /// Changes an object by a JSON merge patch (RFC 7386) as a user would; the status is taken as it is given.
    ///
    /// # Errors
    /// The message of the program that rejects it.
    pub fn patch(&mut self, reference: &Ref, patch: &Value) -> Result<(), Denial> {
        let old = self.object(reference);
        if old.is_null() {
            let (plural, name) = (reference.kind.resource().plural, &reference.name);
            return Err(Denial(format!("{plural} {name:?} not found")));
        }
        let mut new = old.clone();
        merge(&mut new, patch);
        if patch.get("spec").is_some() {
            self.admit(reference.kind, &mut new, Some(&old))?;
        }
        self.replace(reference, &old, new);
        Ok(())
    }

    /// Deletes an object as a user would: finalizers hold it, pods wait for their kubelet, what it owns goes with it.
    pub fn delete(&mut self, reference: &Ref) {
        let change = match reference.kind {
            Kind::Pod => Change::Terminate {
                at: reference.clone(),
            },
            _ => Change::Delete {
                at: reference.clone(),
            },
        };
        // A deletion is never refused.
        let _ = self.apply(change);
    }

    /// Sets the scenario of an object; an empty text heals it.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn scenario(&mut self, reference: &Ref, scenario: &str) -> Result<(), Denial> {
        let text = (!scenario.is_empty()).then_some(scenario);
        self.patch(
            reference,
            &json!({"metadata": {"annotations": {crate::scenario::ANNOTATION: text}}}),
        )
    }

    /// Lets time pass: each pace is a second, in which every object takes at most one step.
    pub fn advance(&mut self, paces: u32) {
        for _ in 0..paces {
            self.step();
        }
    }

    /// Lets time pass until nothing changes any more, for at most so many paces. Says whether that came to be.
    pub fn settle(&mut self, paces: u32) -> bool {
        let mut quiet = 0;
        for _ in 0..paces {
            quiet = if self.step() { 0 } else { quiet + 1 };
            if quiet >= QUIET {
                return true;
            }
        }
        false
    }

    /// Passes one pace. Says whether anything was written but events and signs of life.
    fn step(&mut self) -> bool {
        self.tick += 1;
        if self.tick.is_multiple_of(HEARTBEAT) {
            for key in key::all(&self.world, Kind::Node) {
                self.mark(&key);
            }
        }
        let due: Vec<Key> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.due.is_some_and(|due| due <= self.tick))
            .map(|(key, _)| key.clone())
            .collect();
        let mut wrote = false;
        for key in due {
            wrote |= self.take_step(&key);
        }
        wrote
    }

    fn take_step(&mut self, key: &Key) -> bool {
        let (now, tick) = (self.now(), self.tick);
        let slot = self.slots.entry(key.clone()).or_default();
        slot.due = None;
        let moment = Moment {
            now,
            waited: u32::try_from(tick - slot.written).unwrap_or(u32::MAX),
            refusal: slot.refusal.clone(),
        };
        let step = key::next(&self.world, key, &moment);
        if let Some(paces) = step.again {
            self.mark_at(key, tick + u64::from(paces.max(1)));
        }
        let mut refusal = None;
        let mut kinds = Vec::new();
        for change in step.changes {
            let kind = change.kind();
            match self.apply(change) {
                Ok(()) => kinds.extend(kind),
                Err(Denial(message)) => {
                    refusal = kind.map(|kind| Refusal { kind, message });
                    break;
                }
            }
        }
        let wrote = !kinds.is_empty();
        if wrote || refusal.is_some() {
            let slot = self.slots.entry(key.clone()).or_default();
            slot.written = tick;
            // A refusal counts until an object of its kind is written.
            let over = |known: &Refusal| kinds.contains(&known.kind);
            if refusal.is_some() || slot.refusal.as_ref().is_some_and(over) {
                slot.refusal = refusal;
            }
            self.mark(key);
        }
        wrote
    }

    fn mark(&mut self, key: &Key) {
        self.mark_at(key, self.tick + 1);
    }

    fn mark_at(&mut self, key: &Key, tick: u64) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.due = Some(slot.due.map_or(tick, |due| due.min(tick)));
    }

    pub(crate) fn object(&self, at: &Ref) -> Value {
        self.get(at.kind, &at.namespace, &at.name)
            .cloned()
            .unwrap_or_default()
    }

    /// Stores an object, past all admission.
    pub(crate) fn put(&mut self, kind: Kind, mut object: Value) {
        self.version += 1;
        let reference = at(kind, &Field::new("", &object));
        let metadata = Field::new("", &object).child("metadata");
        let (uid, created, generation) = (
            metadata.child("uid").is_set(),
            metadata.child("creationTimestamp").is_set(),
            metadata.child("generation").is_set(),
        );
        if !uid {
            let seed = format!("{}/{}", self.seed, self.version);
            let uid = Uuid::new_v5(&UIDS, seed.as_bytes()).to_string();
            put(&mut object, ["metadata", "uid"], uid);
        }
        if !created {
            put(&mut object, ["metadata", "creationTimestamp"], self.now());
        }
        if !generation {
            put(&mut object, ["metadata", "generation"], 1);
        }
        put(
            &mut object,
            ["metadata", "resourceVersion"],
            self.version.to_string(),
        );
        let concerned = key::concerned(&self.world, &reference, &object);
        self.world.insert(reference, object);
        concerned.iter().for_each(|key| self.mark(key));
    }

    fn replace(&mut self, reference: &Ref, old: &Value, mut new: Value) {
        if new == *old {
            return;
        }
        if new.get("spec") != old.get("spec") {
            let generation = Field::new("", old).at("metadata.generation").integer();
            put(&mut new, ["metadata", "generation"], generation + 1);
        }
        let metadata = Field::new("", &new).child("metadata");
        let released = metadata.child("deletionTimestamp").is_set()
            && metadata.child("finalizers").count() == 0
            && reference.kind != Kind::Pod;
        self.put(reference.kind, new);
        if released {
            self.remove(reference);
        }
    }

    /// Merges a patch into an object, past all admission.
    pub(crate) fn edit(&mut self, reference: &Ref, patch: &Value) {
        let old = self.object(reference);
        let mut new = old.clone();
        merge(&mut new, patch);
        self.replace(reference, &old, new);
    }

    fn remove(&mut self, reference: &Ref) {
        let object = self.object(reference);
        if object.is_null() {
            return;
        }
        self.world.remove(reference);
        for key in key::concerned(&self.world, reference, &object) {
            self.mark(&key);
        }
        let uid = Field::new("", &object).at("metadata.uid").text().to_owned();
        for owned in self.world.owned_by(&uid) {
            self.delete(&owned);
        }
    }

    /// Writes what a simulated controller decided.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), Denial> {
        match change {
            Change::Create { at, mut object, .. } => {
                self.admit(at.kind, &mut object, None)?;
                if at.kind == Kind::Pod && !Field::new("", &object).at("status.phase").is_set() {
                    put(&mut object, ["status", "phase"], "Pending");
                }
                self.put(at.kind, object);
            }
            Change::Merge { at, patch, .. } => self.edit(&at, &patch),
            Change::Delete { at } => {
                let held = Field::new("", &self.object(&at))
                    .at("metadata.finalizers")
                    .count();
                if held > 0 {
                    self.mark_deleted(&at);
                } else {
                    self.remove(&at);
                }
            }
            Change::Terminate { at } => self.mark_deleted(&at),
            Change::Bind { at, node } => self.edit(&at, &json!({"spec": {"nodeName": node}})),
            Change::Event {
                by,
                about,
                warning,
                reason,
                message,
            } => {
                if self.reported.insert((about.clone(), message.clone())) {
                    self.events.push(Event {
                        about,
                        by,
                        warning,
                        reason: reason.into(),
                        message,
                    });
                }
            }
        }
        Ok(())
    }

    fn mark_deleted(&mut self, at: &Ref) {
        let deleted = Field::new("", &self.object(at))
            .at("metadata.deletionTimestamp")
            .is_set();
        if !deleted {
            let now = self.now();
            self.edit(at, &json!({"metadata": {"deletionTimestamp": now}}));
        }
    }

    /// The admission webhooks of KubeVirt and CDI, and the admission plugins of the API server for pods and claims.
    fn admit(&self, kind: Kind, object: &mut Value, old: Option<&Value>) -> Result<(), Denial> {
        let namespace = Field::new("", object)
            .at("metadata.namespace")
            .text()
            .to_owned();
        match kind {
            Kind::Vm => {
                admission::reachable(&self.world)?;
                admission::decode_vm(object)?;
                admission::canonicalize_vm(object);
                if old.is_none() {
                    admission::default_vm(object, &format!("{}/{}", self.seed, self.version));
                }
                let config = admission::ClusterConfig::default();
                admission::admit_vm(object, old, &config).map_err(|denial| denial.by_kubevirt())
            }
            Kind::DataVolume => {
                let name = Field::new("", object).child("metadata").name().to_owned();
                let claim = self.get(Kind::Claim, &namespace, &name);
                let claim = claim.filter(|_| old.is_none());
                admission::admit_data_volume(object, old, claim).map_err(|denial| denial.by_cdi())
            }
            Kind::Migration if old.is_none() => {
                let vmi = Field::new("", object).at("spec.vmiName").text().to_owned();
                let vmi = self.get(Kind::Vmi, &namespace, &vmi);
                let others: Vec<Value> = self
                    .world
                    .list(Kind::Migration, &namespace)
                    .map(|other| other.value().clone())
                    .collect();
                admission::admit_migration(object, vmi, &others)
            }
            Kind::Pod if old.is_none() => {
                admission::limit_ranges(&self.world, object)?;
                admission::quotas(&self.world, Kind::Pod, object)
            }
            Kind::Claim if old.is_none() => admission::quotas(&self.world, Kind::Claim, object),
            _ => Ok(()),
        }
    }
}
