//! What is known of the cluster, and what has to be looked at because of it.

use std::collections::BTreeSet;

use parking_lot::{RwLock, RwLockReadGuard};
use serde_json::Value;
use wukong_engine::facts::{Fact, Meta};
use wukong_engine::{Kind, Presence, Store, World};

use crate::projection::{Project, StoredWukong};
use crate::queue::{Key, Queue};
use crate::remembered::Remembered;
use crate::wukongs::{Entry, Wukongs};

/// Which store of the world holds the facts of a kind.
type StoreOf<F> = fn(&mut World) -> &mut Store<F>;

/// A part of the world: the facts of one kind.
#[derive(Debug)]
pub struct Part<F: Fact> {
    store: StoreOf<F>,
    /// Which objects matter.
    keep: fn(&F) -> bool,
    wakes: Wakes,
}

/// Who is looked at when a fact of a kind changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wakes {
    /// The Wukongs that the object is about; all, when it has no namespace.
    Concerned,
    /// All Wukongs that are not as asked.
    Stuck,
    /// Those of the object's namespace.
    StuckThere,
    /// Those that have bridges made on nodes, in whatever namespace.
    Bridged,
}

impl<F: Fact> Clone for Part<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Fact> Copy for Part<F> {}

impl<F: Fact> Part<F> {
    const fn of(store: StoreOf<F>, wakes: Wakes) -> Self {
        Self {
            store,
            keep: |_| true,
            wakes,
        }
    }

    /// Only the objects of which this holds.
    pub const fn only(self, keep: fn(&F) -> bool) -> Self {
        Self { keep, ..self }
    }

    /// What Wukongs are made of and name, or what all of them depend on.
    pub const fn of_wukongs(store: StoreOf<F>) -> Self {
        Self::of(store, Wakes::Concerned)
    }

    /// What the cluster is made of: it matters to Wukongs that are not as asked.
    pub const fn of_cluster(store: StoreOf<F>) -> Self {
        Self::of(store, Wakes::Stuck)
    }

    /// Bridges on nodes: they matter to all who ask for some.
    pub const fn of_bridges(store: StoreOf<F>) -> Self {
        Self::of(store, Wakes::Bridged)
    }

    /// What a namespace is limited by.
    pub const fn of_namespace(store: StoreOf<F>) -> Self {
        Self::of(store, Wakes::StuckThere)
    }
}

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    /// What has to be looked at.
    pub queue: Queue,
    world: RwLock<World>,
    wukongs: RwLock<Wukongs>,
}

impl Cluster {
    /// What is known besides the Wukongs.
    pub fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read()
    }

    /// The Wukongs.
    pub fn wukongs(&self) -> RwLockReadGuard<'_, Wukongs> {
        self.wukongs.read()
    }

    /// A Wukong with what is remembered of it.
    pub fn wukong(&self, key: &Key) -> Option<Entry> {
        self.wukongs.read().get(key).cloned()
    }

    /// Forgets what was remembered of the Wukongs, and has each looked at: somebody else may have led meanwhile.
    pub fn start_over(&self) {
        for entry in self.wukongs.read().iter() {
            *entry.remembered.lock() = Remembered::default();
        }
        self.queue.clear();
        self.look_at_all();
    }

    /// Has every Wukong looked at.
    fn look_at_all(&self) {
        for key in self.wukongs.read().keys() {
            self.queue.add(key);
        }
    }

    /// A watch lists all objects of a kind.
    pub fn listed<F: Fact>(&self, part: Part<F>, mut facts: Vec<F>) {
        facts.retain(part.keep);
        let (before, changed) = {
            let mut world = self.world.write();
            let store = (part.store)(&mut world);
            let before = store.presence();
            let changed = store.replace(facts);
            world.tell_environment();
            (before, changed)
        };
        if before == Presence::Served {
            self.look_because_of(part.wakes, changed.iter().map(Fact::meta));
        } else {
            self.look_because_of_kind(part.wakes);
        }
    }

    /// A watch saw an object.
    pub fn seen<F: Fact>(&self, part: Part<F>, fact: F) {
        if !(part.keep)(&fact) {
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
            // One that changed hands concerns both.
            self.look_because_of(part.wakes, before.iter().chain([&meta]));
        }
    }

    /// A watch saw that an object is gone.
    pub fn gone<F: Fact>(&self, part: Part<F>, fact: &F) {
        let meta = fact.meta();
        let known = {
            let mut world = self.world.write();
            (part.store)(&mut world).remove(&meta.namespace, &meta.name, &meta.uid)
        };
        if known {
            self.look_because_of(part.wakes, [meta]);
        }
    }

    /// A kind is not served or not to be seen.
    pub fn unseen<F: Fact>(&self, part: Part<F>, presence: Presence) {
        let before = {
            let mut world = self.world.write();
            let store = (part.store)(&mut world);
            let before = store.presence();
            if before != presence {
                store.clear(presence);
                world.tell_environment();
            }
            before
        };
        if before != presence {
            self.look_because_of_kind(part.wakes);
        }
    }

    /// The watch of the Wukongs lists them all.
    pub fn wukongs_listed(&self, list: Vec<StoredWukong>) {
        let news = self.wukongs.write().replace(list);
        let all: Vec<Entry> = self.wukongs.read().iter().cloned().collect();
        let all = all.iter().filter_map(|entry| entry.wukong.readable());
        let others = self.world.write().environment.addresses.replace(all);
        for key in news.into_iter().chain(others.into_iter().map(Key::from)) {
            self.queue.add(key);
        }
    }

    /// A Wukong was seen.
    pub fn wukong_seen(&self, wukong: StoredWukong) {
        let key = Key::new(&*wukong.namespace, &*wukong.name);
        if !self.wukongs.write().insert(wukong) {
            return;
        }
        let entry = self.wukong(&key);
        let addresses = &mut self.world.write().environment.addresses;
        let others = match entry.as_ref().and_then(|entry| entry.wukong.readable()) {
            Some(wukong) => addresses.note(wukong),
            None => addresses.forget(&key.namespace, &key.name),
        };
        for key in others.into_iter().map(Key::from).chain([key]) {
            self.queue.add(key);
        }
    }

    /// A Wukong is gone.
    pub fn wukong_gone(&self, wukong: &StoredWukong) {
        let (namespace, name) = (&wukong.namespace, &wukong.name);
        self.wukongs.write().remove(wukong);
        // Another of its name may be there already.
        if self.wukong(&Key::new(&**namespace, &**name)).is_some() {
            return;
        }
        let addresses = &mut self.world.write().environment.addresses;
        for other in addresses.forget(namespace, name) {
            self.queue.add(Key::from(other));
        }
    }

    /// Takes in the answer to a write for the Wukong `by`, before its watch event comes. The event will tell nothing new
    /// then, so others whom the object concerns are looked at now; `by` looks again anyway.
    pub fn written(&self, by: &Key, kind: Kind, object: &Value) {
        match kind {
            // Secrets are not watched, so nothing is known of them.
            Kind::Secret => {}
            Kind::NetworkAttachmentDefinition => self.put(by, |world| &mut world.nads, object),
            Kind::NodeNetworkConfigurationPolicy => {
                self.put(by, |world| &mut world.environment.node_policies, object);
            }
            Kind::DataVolume => self.put(by, |world| &mut world.data_volumes, object),
            Kind::PersistentVolumeClaim => self.put(by, |world| &mut world.claims, object),
            Kind::VirtualMachine => self.put(by, |world| &mut world.virtual_machines, object),
        }
    }

    /// Takes note that a child of the Wukong `by` was deleted, before its watch event comes.
    pub fn pruned(&self, by: &Key, kind: Kind, name: &str, uid: &str) {
        match kind {
            // Nor is a policy for nodes ever deleted.
            Kind::Secret | Kind::NodeNetworkConfigurationPolicy => {}
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
            self.look_at_others(by, &meta);
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
            self.look_at_others(by, &meta);
        }
    }

    fn look_at_others(&self, by: &Key, object: &Meta) {
        let wukongs = self.wukongs.read();
        let mut others = match object.namespace.as_str() {
            "" => wukongs.bridged().collect(),
            _ => wukongs.concerned(object),
        };
        others.remove(by);
        for key in others {
            self.queue.add(key);
        }
    }

    /// Takes in the Wukong that a status write returned.
    pub fn status_written(&self, wukong: Value) {
        self.wukongs
            .write()
            .status_written(StoredWukong::project(wukong));
    }

    /// A kind came or went.
    fn look_because_of_kind(&self, wakes: Wakes) {
        match wakes {
            Wakes::Concerned => self.look_at_all(),
            Wakes::Bridged => {
                for key in self.wukongs.read().bridged() {
                    self.queue.add(key);
                }
            }
            Wakes::Stuck | Wakes::StuckThere => {
                for key in self.wukongs.read().stuck() {
                    self.queue.add(key.clone());
                }
            }
        }
    }

    fn look_because_of<'a>(&self, wakes: Wakes, objects: impl IntoIterator<Item = &'a Meta>) {
        let wukongs = self.wukongs.read();
        let mut keys = BTreeSet::new();
        for object in objects {
            match wakes {
                Wakes::Concerned if object.namespace.is_empty() => keys.extend(wukongs.keys()),
                Wakes::Concerned => keys.extend(wukongs.concerned(object)),
                Wakes::Bridged => keys.extend(wukongs.bridged()),
                Wakes::Stuck => keys.extend(wukongs.stuck().cloned()),
                Wakes::StuckThere => {
                    let there = |key: &&Key| key.namespace == object.namespace;
                    keys.extend(wukongs.stuck().filter(there).cloned());
                }
            }
        }
        for key in keys {
            self.queue.add(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;
    use wukong_engine::facts::{ClaimFact, StorageClassFact};

    use super::*;

    fn wukong(name: &str) -> StoredWukong {
        StoredWukong::project(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"},
            "spec": {"cpu": 1, "memory": "1Gi"},
        }))
    }

    fn claim(name: &str, version: &str, phase: &str) -> ClaimFact {
        Fact::project(&json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version},
            "status": {"phase": phase},
        }))
    }

    /// The names that are ready to be looked at; the work on them is done then.
    fn ready(cluster: &Cluster) -> Vec<String> {
        let next = || {
            let key = cluster.queue.next().now_or_never()?;
            cluster.queue.done(&key, None);
            Some(key.name)
        };
        let mut names: Vec<_> = std::iter::from_fn(next).collect();
        names.sort();
        names
    }

    const CLAIMS: Part<ClaimFact> = Part::of_wukongs(|world| &mut world.claims);
    const CLASSES: Part<StorageClassFact> =
        Part::of_wukongs(|world| &mut world.environment.storage_classes);

    #[tokio::test]
    async fn only_what_changed_is_looked_at_by_those_whom_it_concerns() {
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.listed(CLAIMS, vec![claim("a.root", "1", "Pending")]);
        assert_eq!(ready(&cluster), ["a", "b"], "the kind is known now");
        cluster.seen(CLAIMS, claim("a.root", "1", "Pending"));
        assert!(ready(&cluster).is_empty());
        cluster.seen(CLAIMS, claim("a.root", "2", "Bound"));
        assert_eq!(ready(&cluster), ["a"]);
        cluster.listed(
            CLAIMS,
            vec![claim("a.root", "2", "Bound"), claim("b.root", "3", "Bound")],
        );
        assert_eq!(ready(&cluster), ["b"], "a relist tells only what is new");
        cluster.gone(CLAIMS, &claim("b.root", "4", "Bound"));
        assert_eq!(ready(&cluster), ["b"]);
    }

    #[tokio::test]
    async fn an_own_write_is_looked_at_by_others_whom_it_concerns_and_its_echo_by_nobody() {
        let cluster = Cluster::default();
        let copy = StoredWukong::project(json!({
            "metadata": {"name": "copy", "namespace": "shop", "uid": "copy", "resourceVersion": "1"},
            "spec": {"cpu": 1, "memory": "1Gi",
                "disks": [{"name": "root", "size": "1Gi", "source": {"pvc": {"name": "a.root"}}}]},
        }));
        cluster.wukongs_listed(vec![wukong("a"), wukong("b"), copy]);
        cluster.listed(CLAIMS, Vec::new());
        ready(&cluster);
        let (a, claim) = (Key::new("shop", "a"), Kind::PersistentVolumeClaim);
        let answer = json!({"metadata": {"name": "a.root", "namespace": "shop", "uid": "a.root", "resourceVersion": "5"}});
        cluster.written(&a, claim, &answer);
        assert_eq!(ready(&cluster), ["copy"], "it waits for this claim");
        cluster.written(&a, claim, &answer);
        cluster.seen(CLAIMS, Fact::project(&answer));
        assert!(ready(&cluster).is_empty());
        cluster.pruned(&a, claim, "a.root", "a.root");
        assert_eq!(ready(&cluster), ["copy"]);
        cluster.gone(CLAIMS, &Fact::project(&answer));
        assert!(ready(&cluster).is_empty());
    }

    #[tokio::test]
    async fn storage_classes_and_kinds_that_come_and_go_concern_everybody() {
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
        cluster.listed(CLASSES, Vec::new());
        ready(&cluster);
        cluster.seen(
            CLASSES,
            Fact::project(&json!({"metadata": {"name": "fast", "uid": "1"}})),
        );
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.unseen(CLASSES, Presence::Forbidden);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.unseen(CLASSES, Presence::Forbidden);
        assert!(ready(&cluster).is_empty());
    }

    #[tokio::test]
    async fn who_waits_for_an_address_is_looked_at_when_the_other_gives_it_away() {
        let fixed = |name: &str, version: &str, made: u8, mac: u8| {
            StoredWukong::project(json!({
                "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version,
                             "creationTimestamp": format!("2026-01-01T00:00:0{made}Z")},
                "spec": {"cpu": 1, "memory": "1Gi",
                    "networks": [{"name": "lan", "type": "bridge", "macAddress": format!("02:00:00:00:00:0{mac}")}]},
            }))
        };
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![
            fixed("a", "1", 1, 1),
            fixed("b", "1", 2, 1),
            wukong("c"),
        ]);
        ready(&cluster);
        cluster.wukong_seen(fixed("b", "2", 2, 2));
        assert_eq!(ready(&cluster), ["b"], "the older one hears nothing");
        cluster.wukong_seen(fixed("b", "3", 2, 1));
        ready(&cluster);
        cluster.wukong_seen(fixed("a", "4", 1, 3));
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.wukong_seen(fixed("a", "5", 1, 1));
        ready(&cluster);
        cluster.wukong_gone(&fixed("a", "6", 1, 1));
        assert_eq!(ready(&cluster), ["b"]);
        cluster.wukongs_listed(vec![fixed("a", "7", 1, 1), fixed("b", "3", 2, 1)]);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.wukongs_listed(vec![fixed("b", "3", 2, 1)]);
        assert_eq!(ready(&cluster), ["b"]);
    }
}
