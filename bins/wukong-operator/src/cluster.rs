//! Cache of the cluster, and the Wukongs and schedules to reconcile when it changes.

mod schedules;
#[cfg(test)]
mod tests;
mod waking;

use std::collections::HashMap;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use serde_json::Value;
use tokio::time::Instant;
use wukong_engine::catalogue::{Objects, StoreOf, Wakes, Watched};
use wukong_engine::facts::{Fact, Meta};
use wukong_engine::{Kind, Presence, Reported, World, named_wukongs};

use crate::projection::Project;
use crate::queue::{Key, Queue};
use crate::remembered::Remembered;
use crate::stored_wukong::StoredWukong;
use crate::wukongs::{Entry, Wukongs};

/// The facts of one kind in the world.
#[derive(Debug)]
pub struct Part<F: Fact> {
    store: StoreOf<F>,
    objects: Objects,
    wakes: Wakes,
}

impl<F: Fact> Clone for Part<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Fact> Copy for Part<F> {}

impl<F: Fact> Part<F> {
    /// The facts of a watched kind.
    pub const fn of(watched: &Watched, store: StoreOf<F>) -> Self {
        Self {
            store,
            objects: watched.objects,
            wakes: watched.wakes,
        }
    }

    /// The facts of a kind that Wukongs own or reference.
    #[cfg(test)]
    pub const fn of_wukongs(store: StoreOf<F>) -> Self {
        Self {
            store,
            objects: Objects::All,
            wakes: Wakes::Affected,
        }
    }
}

/// Cache of the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Wukongs to reconcile.
    pub queue: Queue,
    /// WukongSnapshotSchedules to reconcile.
    pub schedules: Queue,
    world: RwLock<World>,
    wukongs: RwLock<Wukongs>,
    /// When blocked Wukongs were queued last, or will be next: by namespace, and under the empty name for changes of the cluster.
    woken: Mutex<HashMap<String, Instant>>,
}

impl Cluster {
    /// Returns the facts of all kinds except Wukongs.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read()
    }

    /// Returns the Wukongs.
    pub fn wukongs(&self) -> RwLockReadGuard<'_, Wukongs> {
        self.wukongs.read()
    }

    /// Returns a Wukong with its remembered state.
    pub fn wukong(&self, key: &Key) -> Option<Entry> {
        self.wukongs.read().get(key).cloned()
    }

    /// Discards the remembered state and queues every Wukong, because another replica may have been the leader since.
    pub fn reset(&self) {
        for entry in self.wukongs.read().iter() {
            *entry.remembered.lock() = Remembered::default();
        }
        self.clear();
        self.enqueue_all();
    }

    /// Empties the queues.
    pub fn clear(&self) {
        self.queue.clear();
        self.schedules.clear();
    }

    /// Queues every schedule and every Wukong, and those that snapshots and restores name although they do not exist.
    fn enqueue_all(&self) {
        let named = named_wukongs(&self.world.read());
        let keys = self.wukongs.read().keys();
        for key in keys.into_iter().chain(named.into_iter().map(Key::from)) {
            self.queue.add(key);
        }
        self.enqueue_schedules();
    }

    /// Replaces the facts of a kind by a complete list.
    pub fn listed<F: Fact>(&self, part: Part<F>, mut facts: Vec<F>) {
        facts.retain(|fact| part.objects.keeps(fact.meta()));
        let (before, changed) = {
            let mut world = self.world.write();
            let store = (part.store)(&mut world);
            let before = store.presence();
            let changed = store.replace(facts);
            world.update_environment();
            (before, changed)
        };
        if before == Presence::Served {
            self.enqueue_for(part.wakes, changed.iter().map(Fact::meta));
        } else {
            self.enqueue_for_kind(part.wakes);
        }
    }

    /// Records an object that was added or changed.
    pub fn updated<F: Fact>(&self, part: Part<F>, fact: F) {
        if !part.objects.keeps(fact.meta()) {
            return;
        }
        let meta = fact.meta().clone();
        let (before, changed) = {
            let mut world = self.world.write();
            let store = (part.store)(&mut world);
            let before = store
                .get(&meta.namespace, &meta.name)
                .present()
                .map(|known| known.meta().clone());
            (before, store.insert(fact))
        };
        if changed {
            // A change of the owner affects both owners.
            self.enqueue_for(part.wakes, before.iter().chain([&meta]));
        }
    }

    /// Records that an object was deleted.
    pub fn deleted<F: Fact>(&self, part: Part<F>, fact: &F) {
        let meta = fact.meta();
        let known = {
            let mut world = self.world.write();
            (part.store)(&mut world).remove(&meta.namespace, &meta.name, &meta.uid)
        };
        if known {
            self.enqueue_for(part.wakes, [meta]);
        }
    }

    /// Records that a kind is not served or not readable.
    pub fn unavailable<F: Fact>(&self, part: Part<F>, presence: Presence) {
        let before = {
            let mut world = self.world.write();
            let store = (part.store)(&mut world);
            let before = store.presence();
            if before != presence {
                store.clear(presence);
                world.update_environment();
            }
            before
        };
        if before != presence {
            self.enqueue_for_kind(part.wakes);
        }
    }

    /// Replaces the Wukongs by a complete list.
    pub fn wukongs_listed(&self, list: Vec<StoredWukong>) {
        let changed = self.wukongs.write().replace(list);
        let all: Vec<Entry> = self.wukongs.read().iter().cloned().collect();
        let all = all
            .iter()
            .filter(|entry| entry.wukong.has_addresses)
            .filter_map(|entry| entry.wukong.readable());
        let others = self.world.write().environment.addresses.replace(all);
        for key in changed.into_iter().chain(others.into_iter().map(Key::from)) {
            self.queue.add(key);
        }
        self.enqueue_schedules();
    }

    /// Records a Wukong that was added or changed.
    pub fn wukong_updated(&self, wukong: StoredWukong) {
        let key = Key::new(&*wukong.namespace, &*wukong.name);
        let before = self.wukong(&key);
        if !self.wukongs.write().insert(wukong) {
            return;
        }
        let entry = self.wukong(&key);
        self.enqueue_schedules_of_vm(before.as_ref(), entry.as_ref());
        let addresses = &mut self.world.write().environment.addresses;
        let readable = entry
            .filter(|entry| entry.wukong.has_addresses)
            .and_then(|entry| entry.wukong.readable());
        let others = match readable {
            Some(wukong) => addresses.note(&wukong),
            None => addresses.forget(&key.namespace, &key.name),
        };
        for key in others.into_iter().map(Key::from).chain([key]) {
            self.queue.add(key);
        }
    }

    /// Records that a Wukong was deleted.
    pub fn wukong_deleted(&self, wukong: &StoredWukong) {
        let (namespace, name) = (&wukong.namespace, &wukong.name);
        let before = self.wukong(&Key::new(&**namespace, &**name));
        self.wukongs.write().remove(wukong);
        self.enqueue_schedules_of_vm(before.as_ref(), None);
        // Another Wukong of this name may exist already.
        if self.wukong(&Key::new(&**namespace, &**name)).is_some() {
            return;
        }
        let addresses = &mut self.world.write().environment.addresses;
        for other in addresses.forget(namespace, name) {
            self.queue.add(Key::from(other));
        }
    }

    /// Records the response to a write for the Wukong `by` before its watch event arrives. That event then changes nothing, so
    /// this queues the other Wukongs that the object affects. `by` decides again anyway.
    pub fn written(&self, by: &Key, kind: Kind, object: &Value) {
        match kind {
            // Secrets are not watched.
            Kind::Secret => {}
            Kind::NetworkAttachmentDefinition => self.put(by, |world| &mut world.nads, object),
            Kind::NodeNetworkConfigurationPolicy => {
                self.put(by, |world| &mut world.environment.node_policies, object);
            }
            Kind::DataVolume => self.put(by, |world| &mut world.data_volumes, object),
            Kind::PersistentVolumeClaim => self.put(by, |world| &mut world.claims, object),
            Kind::VirtualMachine => self.put(by, |world| &mut world.virtual_machines, object),
            Kind::VirtualMachineSnapshot => {
                self.put(by, |world| &mut world.vm_snapshots, object);
            }
            Kind::WukongSnapshot => self.put(by, |world| &mut world.wukong_snapshots, object),
        }
    }

    /// Records a snapshot or restore that a status write for the Wukong `by` returned.
    pub fn reported(&self, by: &Key, kind: Reported, object: &Value) {
        match kind {
            Reported::WukongSnapshot => {
                self.put(by, |world| &mut world.wukong_snapshots, object);
                let Meta {
                    namespace, name, ..
                } = Meta::project(object);
                self.enqueue_schedules_of_snapshot(&namespace, &name);
            }
            Reported::WukongRestore => self.put(by, |world| &mut world.wukong_restores, object),
            Reported::WukongSnapshotSchedule => {
                self.put(by, |world| &mut world.snapshot_schedules, object);
            }
        }
    }

    /// Records that a child of the Wukong `by` was deleted, before its watch event arrives.
    pub fn pruned(&self, by: &Key, kind: Kind, name: &str, uid: &str) {
        match kind {
            // No decision about a Wukong deletes these.
            Kind::Secret
            | Kind::NodeNetworkConfigurationPolicy
            | Kind::VirtualMachineSnapshot
            | Kind::WukongSnapshot => {}
            Kind::NetworkAttachmentDefinition => {
                self.take(by, |world| &mut world.nads, name, uid);
            }
            Kind::DataVolume => self.take(by, |world| &mut world.data_volumes, name, uid),
            Kind::PersistentVolumeClaim => self.take(by, |world| &mut world.claims, name, uid),
            Kind::VirtualMachine => self.take(by, |world| &mut world.virtual_machines, name, uid),
        }
    }

    fn put<F: Fact>(&self, by: &Key, store: StoreOf<F>, object: &Value) {
        let fact = F::project(object);
        let meta = fact.meta().clone();
        if store(&mut self.world.write()).insert(fact) {
            self.enqueue_others(by, &meta);
        }
    }

    fn take<F: Fact>(&self, by: &Key, store: StoreOf<F>, name: &str, uid: &str) {
        let known = {
            let mut world = self.world.write();
            let store = store(&mut world);
            let known = store.get(&by.namespace, name).present();
            let known = known.map(|fact| fact.meta().clone());
            known.filter(|_| store.remove(&by.namespace, name, uid))
        };
        if let Some(meta) = known {
            self.enqueue_others(by, &meta);
        }
    }

    fn enqueue_others(&self, by: &Key, object: &Meta) {
        let wukongs = self.wukongs.read();
        let mut others = match object.namespace.as_str() {
            "" => wukongs.with_node_networks().collect(),
            _ => wukongs.affected(object),
        };
        others.remove(by);
        for key in others {
            self.queue.add(key);
        }
    }

    /// Records the Wukong that a status write returned.
    pub fn status_written(&self, wukong: Value) {
        self.wukongs
            .write()
            .status_written(StoredWukong::project(wukong));
    }
}
