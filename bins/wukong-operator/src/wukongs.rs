//! Cache of the Wukongs with their remembered state, and an index of the objects that they reference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use wukong_api::Reason;
use wukong_engine::facts::{Meta, Text};

use crate::queue::Key;
use crate::remembered::Remembered;
use crate::stored_wukong::StoredWukong;

/// A Wukong with its remembered state.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The Wukong as stored.
    pub wukong: Arc<StoredWukong>,
    /// State that this replica remembers while it is the leader.
    pub remembered: Arc<Mutex<Remembered>>,
}

/// All Wukongs.
#[derive(Debug, Default)]
pub struct Wukongs {
    namespaces: HashMap<Text, Namespace>,
    /// Wukongs with a blocker or without a phase.
    blocked: BTreeSet<Key>,
    /// Whether there was a complete list.
    listed: bool,
}

#[derive(Debug, Default)]
struct Namespace {
    entries: BTreeMap<Text, Entry>,
    /// For the name of an object, the Wukongs that reference it.
    references: HashMap<Text, BTreeSet<Text>>,
}

impl Wukongs {
    /// Returns a Wukong.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.namespaces
            .get(key.namespace.as_str())?
            .entries
            .get(key.name.as_str())
    }

    /// Returns the Wukongs of a namespace; `None` before the first complete list.
    pub fn of_namespace(&self, namespace: &str) -> Option<impl Iterator<Item = &Entry>> {
        let known = self.namespaces.get(namespace);
        self.listed
            .then(|| known.into_iter().flat_map(|known| known.entries.values()))
    }

    /// Returns all Wukongs.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.namespaces
            .values()
            .flat_map(|namespace| namespace.entries.values())
    }

    /// Returns the names of all Wukongs.
    pub fn keys(&self) -> Vec<Key> {
        let key = |entry: &Entry| Key::new(&*entry.wukong.namespace, &*entry.wukong.name);
        self.iter().map(key).collect()
    }

    /// Returns the Wukongs with a blocker or without a phase.
    pub fn blocked(&self) -> impl Iterator<Item = &Key> {
        self.blocked.iter()
    }

    /// Returns the Wukongs of a namespace that are blocked for this reason.
    pub fn blocked_in(&self, namespace: &str, reason: Reason) -> impl Iterator<Item = Key> {
        let entries = self.namespaces.get(namespace);
        let entries = entries.into_iter().flat_map(|known| known.entries.values());
        entries
            .filter(move |entry| entry.wukong.blocker.as_deref() == Some(reason.as_ref()))
            .map(|entry| Key::new(&*entry.wukong.namespace, &*entry.wukong.name))
    }

    /// Returns the Wukongs with `nodeNetwork`.
    pub fn with_node_networks(&self) -> impl Iterator<Item = Key> {
        self.iter()
            .filter(|entry| entry.wukong.has_node_networks)
            .map(|entry| Key::new(&*entry.wukong.namespace, &*entry.wukong.name))
    }

    fn track_blocked(blocked: &mut BTreeSet<Key>, wukong: &StoredWukong) {
        let key = Key::new(&*wukong.namespace, &*wukong.name);
        if wukong.is_blocked() {
            blocked.insert(key);
        } else {
            blocked.remove(&key);
        }
    }

    /// Records an observed Wukong. Returns whether it differs from the known one. An older version than the known one, which
    /// can come from the response to a status write, is ignored.
    pub fn insert(&mut self, wukong: StoredWukong) -> bool {
        let namespace = self.namespaces.entry(wukong.namespace.clone()).or_default();
        let mut remembered = Arc::default();
        let mut changed = true;
        if let Some(known) = namespace.entries.get(&wukong.name) {
            // With another uid too: that is a previous Wukong of this name.
            if known.wukong.version > wukong.version {
                return false;
            }
            if known.wukong.uid == wukong.uid {
                changed = !known.wukong.same_content(&wukong);
                remembered = Arc::clone(&known.remembered);
            }
        }
        namespace.forget(&wukong.name);
        for reference in &wukong.references {
            let who = namespace.references.entry(reference.clone()).or_default();
            who.insert(wukong.name.clone());
        }
        Self::track_blocked(&mut self.blocked, &wukong);
        let name = wukong.name.clone();
        let entry = Entry {
            wukong: Arc::new(wukong),
            remembered,
        };
        namespace.entries.insert(name, entry);
        changed
    }

    /// Records the response to a status write. Ignores it if the Wukong was deleted or created again, or if it shows an edit:
    /// the watch delivers the edit and queues the Wukong.
    pub fn status_written(&mut self, answer: StoredWukong) {
        let namespace = self.namespaces.get_mut(&answer.namespace);
        let Some(known) = namespace.and_then(|namespace| namespace.entries.get_mut(&answer.name))
        else {
            return;
        };
        let same = known.wukong.uid == answer.uid && known.wukong.same_spec(&answer);
        if same && known.wukong.version < answer.version {
            Self::track_blocked(&mut self.blocked, &answer);
            known.wukong = Arc::new(answer);
        }
    }

    /// Removes a Wukong, unless another uid has its name.
    pub fn remove(&mut self, wukong: &StoredWukong) {
        let Some(namespace) = self.namespaces.get_mut(&wukong.namespace) else {
            return;
        };
        let known = namespace.entries.get(&wukong.name);
        if known.is_some_and(|known| known.wukong.uid == wukong.uid) {
            namespace.forget(&wukong.name);
            self.blocked
                .remove(&Key::new(&*wukong.namespace, &*wukong.name));
        }
        if namespace.entries.is_empty() {
            self.namespaces.remove(&wukong.namespace);
        }
    }

    /// Replaces all Wukongs by a complete list. Returns those that changed.
    pub fn replace(&mut self, list: Vec<StoredWukong>) -> Vec<Key> {
        self.listed = true;
        let listed: BTreeSet<Key> = list
            .iter()
            .map(|wukong| Key::new(&*wukong.namespace, &*wukong.name))
            .collect();
        for key in self.keys() {
            if !listed.contains(&key)
                && let Some(entry) = self.get(&key).cloned()
            {
                self.remove(&entry.wukong);
            }
        }
        let insert = |wukong: StoredWukong| {
            let key = Key::new(&*wukong.namespace, &*wukong.name);
            self.insert(wukong).then_some(key)
        };
        list.into_iter().filter_map(insert).collect()
    }

    /// Returns the Wukongs that an object affects: its owner by our label, its controller, and the Wukongs that reference its
    /// name.
    pub fn affected(&self, object: &Meta) -> BTreeSet<Key> {
        let Some(namespace) = self.namespaces.get(object.namespace.as_str()) else {
            return BTreeSet::new();
        };
        let controller = object
            .controller
            .as_ref()
            .filter(|controller| controller.kind == "Wukong")
            .map(|controller| controller.name.as_str());
        // The VM and its instance have the name of their Wukong. Other objects have it before the first dot.
        let by_name = object.name.split('.').next();
        let by_reference = namespace.references.get(object.name.as_str());
        [object.wukong.as_deref(), controller, by_name]
            .into_iter()
            .flatten()
            .chain(by_reference.into_iter().flatten().map(Text::as_str))
            .filter(|name| namespace.entries.contains_key(*name))
            .map(|name| Key::new(&*object.namespace, name))
            .collect()
    }
}

impl Namespace {
    fn forget(&mut self, name: &str) {
        let Some(entry) = self.entries.remove(name) else {
            return;
        };
        for reference in &entry.wukong.references {
            if let Some(who) = self.references.get_mut(reference) {
                who.remove(name);
                if who.is_empty() {
                    self.references.remove(reference);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wukong_api::names;
    use wukong_engine::facts::Controller;

    use super::*;
    use crate::projection::Project;

    fn stored(name: &str, uid: &str, version: u64, spec: Value) -> StoredWukong {
        StoredWukong::project(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": version.to_string()},
            "spec": spec,
        }))
    }

    fn plain() -> Value {
        json!({"cpu": 1, "memory": "1Gi"})
    }

    fn object(name: &str) -> Meta {
        Meta {
            namespace: "shop".into(),
            name: name.into(),
            ..Meta::default()
        }
    }

    fn listed(keys: BTreeSet<Key>) -> Vec<String> {
        keys.into_iter().map(|key| key.name).collect()
    }

    #[test]
    fn an_object_affects_its_own_wukong_and_those_that_reference_it() {
        let mut wukongs = Wukongs::default();
        wukongs.insert(stored("web", "1", 1, plain()));
        let clone = json!({"cpu": 1, "memory": "1Gi",
            "disks": [{"name": "root", "size": "1Gi", "source": {"pvc": {"name": "golden"}}},
                {"name": "data", "claim": "uploaded"}],
            "networks": [{"name": "lan", "type": "bridge", "nadName": "shared"}, {"name": "dmz", "type": "bridge"}]});
        wukongs.insert(stored("copy", "2", 1, clone));

        assert_eq!(listed(wukongs.affected(&object("web"))), ["web"]);
        assert_eq!(listed(wukongs.affected(&object("web.root"))), ["web"]);
        assert_eq!(listed(wukongs.affected(&object("golden"))), ["copy"]);
        assert_eq!(listed(wukongs.affected(&object("uploaded"))), ["copy"]);
        assert_eq!(listed(wukongs.affected(&object("shared"))), ["copy"]);
        let own = names::network_attachment_definition("copy", "dmz");
        assert_eq!(listed(wukongs.affected(&object(&own))), ["copy"]);
        assert!(wukongs.affected(&object("prime-123")).is_empty());

        let labelled = Meta {
            wukong: Some("web".into()),
            controller: Some(Controller {
                kind: "Wukong".into(),
                name: "copy".into(),
                uid: "2".into(),
            }),
            ..object("anything")
        };
        assert_eq!(listed(wukongs.affected(&labelled)), ["copy", "web"]);
        let elsewhere = Meta {
            namespace: "other".into(),
            ..labelled
        };
        assert!(wukongs.affected(&elsewhere).is_empty());
    }

    #[test]
    fn an_object_that_is_no_longer_referenced_does_not_affect_the_wukong() {
        let mut wukongs = Wukongs::default();
        let lan = json!({"cpu": 1, "memory": "1Gi", "networks": [{"name": "lan", "type": "bridge", "nadName": "shared"}]});
        wukongs.insert(stored("web", "1", 1, lan));
        assert!(wukongs.insert(stored("web", "1", 2, plain())));
        assert!(wukongs.affected(&object("shared")).is_empty());
    }

    #[test]
    fn the_event_of_an_own_write_and_older_versions_are_no_change() {
        let mut wukongs = Wukongs::default();
        assert!(wukongs.insert(stored("web", "1", 5, plain())));
        assert!(!wukongs.insert(stored("web", "1", 5, plain())));
        assert!(!wukongs.insert(stored("web", "1", 6, plain())));
        assert!(!wukongs.insert(stored("web", "1", 4, json!({"cpu": 9, "memory": "1Gi"}))));
        assert!(wukongs.insert(stored("web", "1", 7, json!({"cpu": 9, "memory": "1Gi"}))));
    }

    #[test]
    fn a_recreated_wukong_starts_with_empty_state() {
        let mut wukongs = Wukongs::default();
        wukongs.insert(stored("web", "1", 5, plain()));
        let key = Key::new("shop", "web");
        let first = wukongs.get(&key).unwrap().remembered.clone();
        wukongs.insert(stored("web", "1", 6, plain()));
        assert!(Arc::ptr_eq(&first, &wukongs.get(&key).unwrap().remembered));
        assert!(wukongs.insert(stored("web", "2", 7, plain())));
        assert!(!Arc::ptr_eq(&first, &wukongs.get(&key).unwrap().remembered));
        wukongs.remove(&stored("web", "1", 8, plain()));
        assert!(
            wukongs.get(&key).is_some(),
            "the deletion of the old one does not remove it"
        );
    }

    #[test]
    fn a_list_replaces_all_wukongs() {
        let mut wukongs = Wukongs::default();
        wukongs.insert(stored("old", "1", 1, plain()));
        wukongs.insert(stored("same", "2", 2, plain()));
        let changed = wukongs.replace(vec![
            stored("same", "2", 2, plain()),
            stored("new", "3", 3, plain()),
        ]);
        assert_eq!(changed, [Key::new("shop", "new")]);
        assert!(wukongs.get(&Key::new("shop", "old")).is_none());
    }

    #[test]
    fn the_response_to_a_status_write_hides_no_edit_and_restores_no_deleted_wukong() {
        let mut wukongs = Wukongs::default();
        let generation = |uid: &str, version: u64, generation: i64| {
            StoredWukong::project(json!({
                "metadata": {"name": "web", "namespace": "shop", "uid": uid, "resourceVersion": version.to_string(),
                             "generation": generation},
                "spec": {"cpu": generation, "memory": "1Gi"},
            }))
        };
        let at = |uid: &str, version: u64| generation(uid, version, 1);
        let edited = |version: u64| generation("1", version, 2);
        wukongs.insert(at("1", 5));
        wukongs.status_written(edited(7));
        assert!(wukongs.insert(edited(6)), "the edit is still a change");
        wukongs.remove(&at("1", 8));
        wukongs.status_written(at("1", 7));
        assert!(wukongs.keys().is_empty());
        wukongs.insert(at("2", 9));
        wukongs.status_written(at("1", 10));
        assert_eq!(wukongs.iter().next().unwrap().wukong.uid, "2");
    }
}
