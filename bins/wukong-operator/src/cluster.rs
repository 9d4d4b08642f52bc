//! Cache of the cluster, and the Wukongs and schedules to reconcile when it changes.

mod schedules;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use serde_json::Value;
use tokio::time::Instant;
use wukong_api::Reason;
use wukong_engine::catalogue::{Objects, StoreOf, Wakes, Watched};
use wukong_engine::facts::{Fact, Meta};
use wukong_engine::{Kind, Presence, Reported, World, named_wukongs};

use crate::projection::Project;
use crate::queue::{Key, Queue};
use crate::remembered::Remembered;
use crate::stored_wukong::StoredWukong;
use crate::wukongs::{Entry, Wukongs};

/// Least time between two times at which changes of the cluster, or of the quotas of a namespace, queue the Wukongs that they
/// block. A quota changes with every pod and claim of its namespace.
const WAKE_INTERVAL: Duration = Duration::from_secs(5);

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
        self.enqueue_schedules_of_snapshot(&object.namespace, &object.name);
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

    /// Queues Wukongs because a kind appeared or disappeared.
    fn enqueue_for_kind(&self, wakes: Wakes) {
        match wakes {
            Wakes::Affected | Wakes::Named => self.enqueue_all(),
            Wakes::Itself => self.enqueue_schedules(),
            Wakes::NodeNetworks => {
                for key in self.wukongs.read().with_node_networks() {
                    self.queue.add(key);
                }
            }
            Wakes::Blocked | Wakes::BlockedByQuota => {
                for key in self.wukongs.read().blocked() {
                    self.queue.add(key.clone());
                }
            }
        }
    }

    fn enqueue_for<'a>(&self, wakes: Wakes, objects: impl IntoIterator<Item = &'a Meta>) {
        let wukongs = self.wukongs.read();
        let (mut keys, mut begun) = (BTreeSet::new(), BTreeSet::new());
        let mut named = Vec::new();
        for object in objects {
            match wakes {
                Wakes::Affected if object.namespace.is_empty() => keys.extend(wukongs.keys()),
                Wakes::Affected => begun.extend(wukongs.affected(object)),
                Wakes::NodeNetworks => keys.extend(wukongs.with_node_networks()),
                Wakes::Itself => self
                    .schedules
                    .add(Key::new(&*object.namespace, &*object.name)),
                Wakes::Named => {
                    named.push(object);
                    let named = object.wukong.iter();
                    keys.extend(named.map(|name| Key::new(&*object.namespace, &**name)));
                }
                Wakes::Blocked => self.wake("", wukongs.blocked().cloned()),
                Wakes::BlockedByQuota => {
                    let blocked = wukongs.blocked_in(&object.namespace, Reason::QuotaExceeded);
                    self.wake(&object.namespace, blocked);
                }
            }
        }
        drop(wukongs);
        for key in begun {
            self.queue.add_begun(key);
        }
        for key in keys {
            self.queue.add(key);
        }
        for object in named {
            self.enqueue_schedules_of_snapshot(&object.namespace, &object.name);
        }
    }
}

impl Cluster {
    /// Queues Wukongs that are blocked, now or when the interval of the scope is over.
    fn wake(&self, scope: &str, blocked: impl Iterator<Item = Key>) {
        let mut blocked = blocked.peekable();
        if blocked.peek().is_none() {
            return;
        }
        let now = Instant::now();
        let mut woken = self.woken.lock();
        woken.retain(|_, last| *last + WAKE_INTERVAL > now);
        let at = match woken.get(scope) {
            Some(last) if *last > now => *last,
            Some(last) => *last + WAKE_INTERVAL,
            None => now,
        };
        woken.insert(scope.to_owned(), at);
        for key in blocked {
            match at > now {
                true => self.queue.add_by(key, at),
                false => self.queue.add(key),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;
    use wukong_engine::facts::{ClaimFact, QuotaFact, StorageClassFact, WukongSnapshotFact};

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

    /// Takes all queued Wukongs and returns their names.
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
    async fn a_change_queues_only_the_affected_wukongs() {
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.listed(CLAIMS, vec![claim("a.root", "1", "Pending")]);
        assert_eq!(ready(&cluster), ["a", "b"], "the kind is now observed");
        cluster.updated(CLAIMS, claim("a.root", "1", "Pending"));
        assert!(ready(&cluster).is_empty());
        cluster.updated(CLAIMS, claim("a.root", "2", "Bound"));
        assert_eq!(ready(&cluster), ["a"]);
        cluster.listed(
            CLAIMS,
            vec![claim("a.root", "2", "Bound"), claim("b.root", "3", "Bound")],
        );
        assert_eq!(
            ready(&cluster),
            ["b"],
            "a new list queues only what changed"
        );
        cluster.deleted(CLAIMS, &claim("b.root", "4", "Bound"));
        assert_eq!(ready(&cluster), ["b"]);
    }

    #[tokio::test]
    async fn an_own_write_queues_other_affected_wukongs_once() {
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
        cluster.updated(CLAIMS, Fact::project(&answer));
        assert!(ready(&cluster).is_empty());
        cluster.pruned(&a, claim, "a.root", "a.root");
        assert_eq!(ready(&cluster), ["copy"]);
        cluster.deleted(CLAIMS, &Fact::project(&answer));
        assert!(ready(&cluster).is_empty());
    }

    #[tokio::test]
    async fn a_snapshot_queues_the_wukong_that_it_names_although_there_is_none() {
        let snapshots = Part {
            store: |world| &mut world.wukong_snapshots,
            objects: Objects::All,
            wakes: Wakes::Named,
        };
        let snapshot = |wukong: &str, version: &str| {
            <WukongSnapshotFact as Fact>::project(&json!({
                "metadata": {"name": "before", "namespace": "shop", "uid": "s", "resourceVersion": version},
                "spec": {"wukongName": wukong},
            }))
        };
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
        ready(&cluster);
        cluster.listed(snapshots, vec![snapshot("gone", "1")]);
        assert_eq!(
            ready(&cluster),
            ["a", "b", "gone"],
            "the kind is now observed"
        );
        cluster.updated(snapshots, snapshot("a", "2"));
        assert_eq!(ready(&cluster), ["a", "gone"]);
        cluster.reset();
        assert_eq!(ready(&cluster), ["a", "b"]);
    }

    #[tokio::test]
    async fn storage_classes_and_new_or_removed_kinds_queue_every_wukong() {
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
        cluster.listed(CLASSES, Vec::new());
        ready(&cluster);
        cluster.updated(
            CLASSES,
            Fact::project(&json!({"metadata": {"name": "fast", "uid": "1"}})),
        );
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.unavailable(CLASSES, Presence::Forbidden);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.unavailable(CLASSES, Presence::Forbidden);
        assert!(ready(&cluster).is_empty());
    }

    fn blocked(name: &str, reason: &str) -> StoredWukong {
        StoredWukong::project(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"},
            "spec": {"cpu": 1, "memory": "1Gi"},
            "status": {"phase": "Error", "blocker": {
                "condition": "EnvironmentReady", "reason": reason, "message": "", "since": "2026-01-01T00:00:00Z"}},
        }))
    }

    fn quota(used: u32) -> QuotaFact {
        Fact::project(&json!({
            "metadata": {"name": "team", "namespace": "shop", "uid": "q", "resourceVersion": used.to_string()},
            "status": {"hard": {"pods": "99"}, "used": {"pods": used.to_string()}},
            "spec": {"hard": {"pods": "99"}},
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_queues_those_that_it_blocks_once_in_five_seconds() {
        let quotas = Part {
            store: |world| &mut world.environment.quotas,
            objects: Objects::All,
            wakes: Wakes::BlockedByQuota,
        };
        let cluster = Cluster::default();
        cluster.wukongs_listed(vec![
            wukong("new"),
            blocked("full", "QuotaExceeded"),
            blocked("broken", "ImportFailed"),
        ]);
        cluster.listed(quotas, vec![quota(1)]);
        ready(&cluster);
        let mut woken = Vec::new();
        for used in 2..=51 {
            cluster.updated(quotas, quota(used));
            woken.extend(ready(&cluster));
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        assert_eq!(woken, ["full", "full"], "50 changes in 10 seconds");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ready(&cluster), ["full"], "the last change counts, too");
        cluster.updated(quotas, quota(60));
        assert!(ready(&cluster).is_empty(), "the interval is not over");
    }

    #[tokio::test]
    async fn a_wukong_that_waits_for_an_address_is_queued_when_it_is_released() {
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
        cluster.wukong_updated(fixed("b", "2", 2, 2));
        assert_eq!(ready(&cluster), ["b"], "the older one is not affected");
        cluster.wukong_updated(fixed("b", "3", 2, 1));
        ready(&cluster);
        cluster.wukong_updated(fixed("a", "4", 1, 3));
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.wukong_updated(fixed("a", "5", 1, 1));
        ready(&cluster);
        cluster.wukong_deleted(&fixed("a", "6", 1, 1));
        assert_eq!(ready(&cluster), ["b"]);
        cluster.wukongs_listed(vec![fixed("a", "7", 1, 1), fixed("b", "3", 2, 1)]);
        assert_eq!(ready(&cluster), ["a", "b"]);
        cluster.wukongs_listed(vec![fixed("b", "3", 2, 1)]);
        assert_eq!(ready(&cluster), ["b"]);
    }
}
