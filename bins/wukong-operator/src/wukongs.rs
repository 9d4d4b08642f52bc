//! The Wukongs, what is remembered of each, and which of them an object is about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use wukong_api::{Wukong, names};
use wukong_engine::facts::Meta;

use crate::projection::{Content, StoredWukong};
use crate::queue::Key;
use crate::remembered::Remembered;

/// A Wukong with what is remembered of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As stored.
    pub wukong: Arc<StoredWukong>,
    /// What is remembered of it since we lead.
    pub remembered: Arc<Mutex<Remembered>>,
}

/// All Wukongs.
#[derive(Debug, Default)]
pub struct Wukongs {
    namespaces: HashMap<String, Namespace>,
    /// Those whose status tells that they are not as asked, or that have none.
    stuck: BTreeSet<Key>,
}

#[derive(Debug, Default)]
struct Namespace {
    entries: BTreeMap<String, Entry>,
    /// For the name of an object, the Wukongs that speak of it.
    mentions: HashMap<String, BTreeSet<String>>,
}

impl Wukongs {
    /// The Wukong of that name.
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.namespaces.get(&key.namespace)?.entries.get(&key.name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.namespaces
            .values()
            .flat_map(|namespace| namespace.entries.values())
    }

    /// The names of all of them.
    pub fn keys(&self) -> Vec<Key> {
        let key = |entry: &Entry| Key::new(&*entry.wukong.namespace, &*entry.wukong.name);
        self.iter().map(key).collect()
    }

    /// Those that are not as asked, or of which nothing was said yet.
    pub fn stuck(&self) -> impl Iterator<Item = &Key> {
        self.stuck.iter()
    }

    /// Those that ask for bridges on nodes.
    pub fn bridged(&self) -> impl Iterator<Item = Key> {
        let asks = |entry: &&Entry| match &entry.wukong.content {
            Content::Readable(wukong) => {
                let mut networks = wukong.spec.networks.iter();
                networks.any(|network| network.node_network.is_some())
            }
            Content::Unreadable { .. } => false,
        };
        self.iter()
            .filter(asks)
            .map(|entry| Key::new(&*entry.wukong.namespace, &*entry.wukong.name))
    }

    fn note(stuck: &mut BTreeSet<Key>, wukong: &StoredWukong) {
        let key = Key::new(&*wukong.namespace, &*wukong.name);
        if wukong
            .status()
            .is_none_or(|status| status.phase.is_none() || status.blocker.is_some())
        {
            stuck.insert(key);
        } else {
            stuck.remove(&key);
        }
    }

    /// Takes in a Wukong that was seen. Returns whether it says anything new: an older version than the one known, which
    /// the answer to a status write may have brought, does not.
    pub fn insert(&mut self, wukong: StoredWukong) -> bool {
        let namespace = self.namespaces.entry(wukong.namespace.clone()).or_default();
        let mut remembered = Arc::default();
        let mut news = true;
        if let Some(known) = namespace.entries.get(&wukong.name) {
            // Of another uid, too: it is the one before.
            if known.wukong.version > wukong.version {
                return false;
            }
            if known.wukong.uid == wukong.uid {
                news = !known.wukong.says_the_same(&wukong);
                remembered = Arc::clone(&known.remembered);
            }
        }
        namespace.forget(&wukong.name);
        for mention in mentions(&wukong) {
            let who = namespace.mentions.entry(mention).or_default();
            who.insert(wukong.name.clone());
        }
        Self::note(&mut self.stuck, &wukong);
        let name = wukong.name.clone();
        let entry = Entry {
            wukong: Arc::new(wukong),
            remembered,
        };
        namespace.entries.insert(name, entry);
        news
    }

    /// Takes in the answer to a status write. An answer about a Wukong that is gone or was made anew says nothing; one
    /// that shows an edit is left to the watch, which has it looked at.
    pub fn status_written(&mut self, answer: StoredWukong) {
        let namespace = self.namespaces.get_mut(&answer.namespace);
        let Some(known) = namespace.and_then(|namespace| namespace.entries.get_mut(&answer.name))
        else {
            return;
        };
        let same = known.wukong.uid == answer.uid && known.wukong.asks_the_same(&answer);
        if same && known.wukong.version < answer.version {
            Self::note(&mut self.stuck, &answer);
            known.wukong = Arc::new(answer);
        }
    }

    /// Takes note that a Wukong is gone, unless one of another uid has its name.
    pub fn remove(&mut self, wukong: &StoredWukong) {
        let Some(namespace) = self.namespaces.get_mut(&wukong.namespace) else {
            return;
        };
        let known = namespace.entries.get(&wukong.name);
        if known.is_some_and(|known| known.wukong.uid == wukong.uid) {
            namespace.forget(&wukong.name);
            self.stuck
                .remove(&Key::new(&*wukong.namespace, &*wukong.name));
        }
        if namespace.entries.is_empty() {
            self.namespaces.remove(&wukong.namespace);
        }
    }

    /// Takes in a complete list. Returns those that say anything new.
    pub fn replace(&mut self, list: Vec<StoredWukong>) -> Vec<Key> {
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

    /// The Wukongs that an object is about: the one that it belongs to, by our label or its controller, and those that
    /// speak of its name.
    pub fn concerned(&self, object: &Meta) -> BTreeSet<Key> {
        let Some(namespace) = self.namespaces.get(&object.namespace) else {
            return BTreeSet::new();
        };
        let controller = object
            .controller
            .as_ref()
            .filter(|controller| controller.kind == "Wukong")
            .map(|controller| controller.name.as_str());
        // The VM and its instance have the name of their Wukong, and everything else has it before the first dot.
        let by_name = object.name.split('.').next();
        let by_mention = namespace.mentions.get(&object.name);
        [object.wukong.as_deref(), controller, by_name]
            .into_iter()
            .flatten()
            .chain(by_mention.into_iter().flatten().map(String::as_str))
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
        for mention in mentions(&entry.wukong) {
            if let Some(who) = self.mentions.get_mut(&mention) {
                who.remove(name);
                if who.is_empty() {
                    self.mentions.remove(&mention);
                }
            }
        }
    }
}

/// The names of objects that a Wukong speaks of and that do not show it.
fn mentions(wukong: &StoredWukong) -> Vec<String> {
    match &wukong.content {
        Content::Readable(wukong) => sources(wukong).chain(definitions(wukong)).collect(),
        Content::Unreadable { .. } => Vec::new(),
    }
}

fn sources(wukong: &Wukong) -> impl Iterator<Item = String> {
    let sources = wukong
        .spec
        .disks
        .iter()
        .filter_map(|disk| disk.source.as_ref());
    let copied = sources.flat_map(|source| {
        let data_source = source.data_source.as_ref();
        let named = [&source.pvc, &source.snapshot].into_iter().flatten();
        named
            .map(|named| &named.name)
            .chain(data_source.map(|named| &named.name))
            .cloned()
    });
    let used = wukong
        .spec
        .disks
        .iter()
        .filter_map(|disk| disk.claim.clone());
    copied.chain(used)
}

fn definitions(wukong: &Wukong) -> impl Iterator<Item = String> {
    let name = wukong.metadata.name.as_deref().unwrap_or_default();
    wukong.spec.networks.iter().map(move |network| {
        network
            .nad_name
            .clone()
            .unwrap_or_else(|| names::network_attachment_definition(name, &network.name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
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
    fn an_object_concerns_its_own_wukong_and_those_that_speak_of_it() {
        let mut wukongs = Wukongs::default();
        wukongs.insert(stored("web", "1", 1, plain()));
        let clone = json!({"cpu": 1, "memory": "1Gi",
            "disks": [{"name": "root", "size": "1Gi", "source": {"pvc": {"name": "golden"}}},
                {"name": "data", "claim": "uploaded"}],
            "networks": [{"name": "lan", "type": "bridge", "nadName": "shared"}, {"name": "dmz", "type": "bridge"}]});
        wukongs.insert(stored("copy", "2", 1, clone));

        assert_eq!(listed(wukongs.concerned(&object("web"))), ["web"]);
        assert_eq!(listed(wukongs.concerned(&object("web.root"))), ["web"]);
        assert_eq!(listed(wukongs.concerned(&object("golden"))), ["copy"]);
        assert_eq!(listed(wukongs.concerned(&object("uploaded"))), ["copy"]);
        assert_eq!(listed(wukongs.concerned(&object("shared"))), ["copy"]);
        let own = names::network_attachment_definition("copy", "dmz");
        assert_eq!(listed(wukongs.concerned(&object(&own))), ["copy"]);
        assert!(wukongs.concerned(&object("prime-123")).is_empty());

        let labelled = Meta {
            wukong: Some("web".into()),
            controller: Some(Controller {
                kind: "Wukong".into(),
                name: "copy".into(),
                uid: "2".into(),
            }),
            ..object("anything")
        };
        assert_eq!(listed(wukongs.concerned(&labelled)), ["copy", "web"]);
        let elsewhere = Meta {
            namespace: "other".into(),
            ..labelled
        };
        assert!(wukongs.concerned(&elsewhere).is_empty());
    }

    #[test]
    fn what_a_wukong_no_longer_speaks_of_does_not_concern_it() {
        let mut wukongs = Wukongs::default();
        let lan = json!({"cpu": 1, "memory": "1Gi", "networks": [{"name": "lan", "type": "bridge", "nadName": "shared"}]});
        wukongs.insert(stored("web", "1", 1, lan));
        assert!(wukongs.insert(stored("web", "1", 2, plain())));
        assert!(wukongs.concerned(&object("shared")).is_empty());
    }

    #[test]
    fn the_echo_of_a_write_and_older_versions_are_no_news() {
        let mut wukongs = Wukongs::default();
        assert!(wukongs.insert(stored("web", "1", 5, plain())));
        assert!(!wukongs.insert(stored("web", "1", 5, plain())));
        assert!(!wukongs.insert(stored("web", "1", 6, plain())));
        assert!(!wukongs.insert(stored("web", "1", 4, json!({"cpu": 9, "memory": "1Gi"}))));
        assert!(wukongs.insert(stored("web", "1", 7, json!({"cpu": 9, "memory": "1Gi"}))));
    }

    #[test]
    fn one_that_was_made_again_is_remembered_anew() {
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
            "the old one's end is not its end"
        );
    }

    #[test]
    fn a_list_is_complete() {
        let mut wukongs = Wukongs::default();
        wukongs.insert(stored("old", "1", 1, plain()));
        wukongs.insert(stored("same", "2", 2, plain()));
        let news = wukongs.replace(vec![
            stored("same", "2", 2, plain()),
            stored("new", "3", 3, plain()),
        ]);
        assert_eq!(news, [Key::new("shop", "new")]);
        assert!(wukongs.get(&Key::new("shop", "old")).is_none());
    }

    #[test]
    fn the_answer_to_a_status_write_hides_no_edit_and_brings_nothing_back() {
        let mut wukongs = Wukongs::default();
        let at = |uid: &str, version: u64| {
            stored("web", uid, version, json!({"cpu": 1, "memory": "1Gi"}))
        };
        let edited = |version: u64| stored("web", "1", version, json!({"cpu": 2, "memory": "1Gi"}));
        let generation = |mut wukong: StoredWukong, generation: i64| {
            if let Content::Readable(content) = &mut wukong.content {
                content.metadata.generation = Some(generation);
            }
            wukong
        };
        wukongs.insert(generation(at("1", 5), 1));
        wukongs.status_written(generation(edited(7), 2));
        assert!(
            wukongs.insert(generation(edited(6), 2)),
            "the edit is still news"
        );
        wukongs.remove(&at("1", 8));
        wukongs.status_written(at("1", 7));
        assert!(wukongs.keys().is_empty());
        wukongs.insert(at("2", 9));
        wukongs.status_written(at("1", 10));
        assert_eq!(wukongs.iter().next().unwrap().wukong.uid, "2");
    }
}
