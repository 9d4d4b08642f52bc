//! Schedules in the cache: their VMs, their snapshots, and which of them to reconcile.

use serde_json::Value;
use wukong_engine::ScheduledVm;
use wukong_engine::facts::{Fact, WukongSnapshotFact, WukongSnapshotScheduleFact};

use super::Cluster;
use crate::queue::Key;
use crate::wukongs::Entry;

impl Cluster {
    /// Returns a schedule.
    pub fn schedule(&self, key: &Key) -> Option<WukongSnapshotScheduleFact> {
        let world = self.world.read();
        let schedules = &world.snapshot_schedules;
        schedules.get(&key.namespace, &key.name).present().cloned()
    }

    /// Returns the VMs of a schedule; `None` before the initial list of the Wukongs.
    pub fn vms_of(&self, schedule: &WukongSnapshotScheduleFact) -> Option<Vec<ScheduledVm>> {
        let wukongs = self.wukongs.read();
        let all = wukongs.of_namespace(&schedule.meta.namespace)?;
        let own = all
            .map(|entry| &entry.wukong)
            .filter(|wukong| !wukong.deleting && schedule.selects(&wukong.name, &wukong.labels));
        let vm = own.map(|wukong| ScheduledVm {
            name: wukong.name.to_string(),
            created: wukong.created,
        });
        Some(vm.collect())
    }

    /// Records a snapshot that a schedule has created, before its watch event arrives, and queues its Wukong.
    pub fn snapshot_created(&self, object: &Value) {
        let fact = WukongSnapshotFact::project(object);
        let meta = fact.meta.clone();
        let changed = self.world.write().wukong_snapshots.insert(fact);
        if let (true, Some(wukong)) = (changed, &meta.wukong) {
            self.queue.add(Key::new(&*meta.namespace, &**wukong));
        }
    }

    /// Records that a schedule has deleted a snapshot.
    pub fn snapshot_deleted(&self, namespace: &str, name: &str, uid: &str) {
        let snapshots = &mut self.world.write().wukong_snapshots;
        snapshots.remove(namespace, name, uid);
    }

    /// Records a schedule that a status write returned.
    pub fn schedule_reported(&self, object: &Value) {
        let fact = WukongSnapshotScheduleFact::project(object);
        self.world.write().snapshot_schedules.insert(fact);
    }

    /// Queues every schedule.
    pub(super) fn enqueue_schedules(&self) {
        let keys: Vec<Key> = self
            .world
            .read()
            .snapshot_schedules
            .iter()
            .map(key)
            .collect();
        self.add_schedules(keys);
    }

    /// Queues the schedules that a snapshot can belong to. Its name begins with that of its schedule.
    pub(super) fn enqueue_schedules_of_snapshot(&self, namespace: &str, snapshot: &str) {
        let is_prefix = |schedule: &&WukongSnapshotScheduleFact| {
            let rest = snapshot.strip_prefix(schedule.meta.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        let keys: Vec<Key> = {
            let world = self.world.read();
            let schedules = world.snapshot_schedules.in_namespace(namespace);
            schedules.filter(is_prefix).map(key).collect()
        };
        self.add_schedules(keys);
    }

    /// Queues the schedules of a Wukong that appeared, disappeared or has other labels.
    pub(super) fn enqueue_schedules_of_vm(&self, before: Option<&Entry>, after: Option<&Entry>) {
        let same = |one: &Entry, other: &Entry| {
            let (one, other) = (&one.wukong, &other.wukong);
            one.uid == other.uid && one.labels == other.labels && one.deleting == other.deleting
        };
        let Some(known) = after.or(before) else {
            return;
        };
        if let (Some(before), Some(after)) = (before, after)
            && same(before, after)
        {
            return;
        }
        let selects = |schedule: &&WukongSnapshotScheduleFact| {
            let mut entries = before.into_iter().chain(after);
            entries.any(|entry| schedule.selects(&entry.wukong.name, &entry.wukong.labels))
        };
        let keys: Vec<Key> = {
            let world = self.world.read();
            let schedules = world
                .snapshot_schedules
                .in_namespace(&known.wukong.namespace);
            schedules.filter(selects).map(key).collect()
        };
        self.add_schedules(keys);
    }

    fn add_schedules(&self, keys: Vec<Key>) {
        for key in keys {
            self.schedules.add(key);
        }
    }
}

fn key(schedule: &WukongSnapshotScheduleFact) -> Key {
    Key::new(&*schedule.meta.namespace, &*schedule.meta.name)
}
