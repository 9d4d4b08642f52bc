//! The facts of one kind, and the state of one object.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::text::Text;
use super::{Fact, Meta};

/// Whether the API server serves a kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Presence {
    /// The first list is not there yet.
    #[default]
    Unknown,
    /// The API server does not serve the kind.
    Missing,
    /// The operator has no permission to read the kind.
    Forbidden,
    /// The store has the listed objects.
    Served,
}

/// The state of one object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen<T> {
    /// The first list of its kind is not there yet, so nothing is known.
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists.
    Present(T),
}

impl<T> Seen<T> {
    /// The fact, if there is one.
    pub fn present(self) -> Option<T> {
        match self {
            Self::Present(fact) => Some(fact),
            Self::Unknown | Self::Absent => None,
        }
    }
}

/// How many facts a store has handed out.
#[derive(Debug, Default)]
struct Visited(AtomicUsize);

impl Visited {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clone for Visited {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Visited {
    /// It says nothing about the facts.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The facts of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Store<T> {
    presence: Presence,
    /// By namespace and name. Boxed: a node of the map has room for eleven facts, and is often half empty.
    facts: BTreeMap<Text, BTreeMap<Text, Box<T>>>,
    /// Index keys, each with namespace and name of a fact that has it.
    index: BTreeSet<(Text, Text, Text)>,
    /// Uids of objects that were deleted lately: the answer to a write may come after the deletion event.
    gone: VecDeque<Text>,
    visited: Visited,
}

/// How many deleted objects are remembered.
const GONE_MAX: usize = 256;

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self {
            presence: Presence::Unknown,
            facts: BTreeMap::new(),
            index: BTreeSet::new(),
            gone: VecDeque::new(),
            visited: Visited::default(),
        }
    }
}

impl<T: Fact> Store<T> {
    /// Whether the API server serves the kind.
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// The object of that name. (Cluster-scoped objects have the empty namespace.)
    pub fn get(&self, namespace: &str, name: &str) -> Seen<&T> {
        match (
            self.presence,
            self.facts.get(namespace).and_then(|facts| facts.get(name)),
        ) {
            (_, Some(fact)) => Seen::Present(self.visit(fact)),
            (Presence::Unknown | Presence::Forbidden, None) => Seen::Unknown,
            (Presence::Missing | Presence::Served, None) => Seen::Absent,
        }
    }

    /// The objects of a namespace, in order of their names.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &T> {
        self.facts
            .get(namespace)
            .into_iter()
            .flat_map(BTreeMap::values)
            .map(|fact| self.visit(fact))
    }

    /// The objects of all namespaces, in order of these and of their names.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.facts
            .values()
            .flat_map(BTreeMap::values)
            .map(|fact| self.visit(fact))
    }

    /// The objects with this index key ([`Fact::index_keys`]), in order of their namespaces and names.
    pub fn indexed(&self, key: &str) -> impl Iterator<Item = &T> {
        self.with_key(key).filter_map(|(_, namespace, name)| {
            Some(self.visit(self.facts.get(namespace)?.get(name)?))
        })
    }

    /// Whether an object has this index key.
    pub fn has(&self, key: &str) -> bool {
        self.with_key(key).next().is_some()
    }

    fn with_key(&self, key: &str) -> impl Iterator<Item = &(Text, Text, Text)> + use<'_, T> {
        let key = Text::from(key);
        let first = (key.clone(), Text::new(), Text::new());
        let from = self.index.range(first..);
        from.take_while(move |(known, ..)| *known == key)
    }

    fn visit<'a>(&self, fact: &'a T) -> &'a T {
        self.visited.add();
        fact
    }

    /// How many facts the store has handed out since it was made: a measure of the cost of a decision.
    pub fn visited(&self) -> usize {
        self.visited.0.load(Ordering::Relaxed)
    }

    /// Number of objects with this index key.
    pub fn count(&self, key: &str) -> usize {
        self.with_key(key).count()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.facts.values().map(BTreeMap::len).sum()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stores an object that was observed or written. Ignores a version older than the stored one, so the answer to a write
    /// can be stored before its watch event. Returns whether the fact changed.
    pub fn insert(&mut self, fact: T) -> bool {
        let meta = fact.meta();
        if self.gone.contains(&meta.uid) {
            return false;
        }
        let known = self
            .facts
            .get(&meta.namespace)
            .and_then(|facts| facts.get(&meta.name));
        // Of another uid, too: the last events of an object may come after the answer that created its successor.
        if known.is_some_and(|known| version(known.meta()) > version(meta)) {
            return false;
        }
        let changed = known.is_none_or(|known| !known.says_the_same(&fact));
        self.put(fact);
        changed
    }

    fn put(&mut self, fact: T) {
        let Meta {
            namespace, name, ..
        } = fact.meta().clone();
        let keys = fact.index_keys();
        let facts = self.facts.entry(namespace.clone()).or_default();
        let old = facts.insert(name.clone(), Box::new(fact));
        let old = old.map(|old| old.index_keys()).unwrap_or_default();
        if old != keys {
            self.unlist(old, &namespace, &name);
            let keys = keys.into_iter();
            self.index
                .extend(keys.map(|key| (key, namespace.clone(), name.clone())));
        }
    }

    fn unlist(&mut self, keys: Vec<Text>, namespace: &Text, name: &Text) {
        for key in keys {
            self.index.remove(&(key, namespace.clone(), name.clone()));
        }
    }

    /// Removes a deleted object. An object of another uid under the same name stays. Returns whether it was stored.
    pub fn remove(&mut self, namespace: &str, name: &str, uid: &str) -> bool {
        self.gone.truncate(GONE_MAX - 1);
        self.gone.push_front(uid.to_owned().into());
        let Some(facts) = self.facts.get_mut(namespace) else {
            return false;
        };
        let known = facts.get(name).is_some_and(|fact| fact.meta().uid == uid);
        let removed = known.then(|| facts.remove(name)).flatten();
        if facts.is_empty() {
            self.facts.remove(namespace);
        }
        if let Some(fact) = removed {
            let meta = fact.meta();
            self.unlist(fact.index_keys(), &meta.namespace, &meta.name);
        }
        known
    }

    /// Replaces all objects by a complete list. Returns the facts that changed or were removed.
    pub fn replace(&mut self, list: Vec<T>) -> Vec<T> {
        let mut old = std::mem::take(self);
        self.presence = Presence::Served;
        let mut changed = Vec::new();
        for fact in list {
            let known = old
                .facts
                .get_mut(&fact.meta().namespace)
                .and_then(|facts| facts.remove(&fact.meta().name))
                .map(|known| *known);
            if known
                .as_ref()
                .is_none_or(|known| !known.says_the_same(&fact))
            {
                changed.push(fact.clone());
            }
            // An answer to a write may be newer than the list.
            let newest = known
                .filter(|known| {
                    known.meta().uid == fact.meta().uid
                        && version(known.meta()) > version(fact.meta())
                })
                .unwrap_or(fact);
            self.put(newest);
        }
        changed.extend(old.into_facts());
        changed
    }

    /// Records that the kind is not served or not permitted. Returns the removed facts.
    pub fn clear(&mut self, presence: Presence) -> Vec<T> {
        let old = std::mem::take(self);
        self.presence = presence;
        old.into_facts().collect()
    }

    fn into_facts(self) -> impl Iterator<Item = T> {
        self.facts
            .into_values()
            .flat_map(BTreeMap::into_values)
            .map(|fact| *fact)
    }
}

/// Resource versions are comparable as numbers (KEP-5504); one that is no number counts as the oldest.
fn version(meta: &Meta) -> u64 {
    meta.resource_version.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::ObjectFact;

    #[test]
    fn an_answer_that_comes_after_the_news_of_the_deletion_brings_nothing_back() {
        let object = |uid: &str, version: &str| {
            ObjectFact::project(
                &json!({"metadata": {"name": "a", "namespace": "b", "uid": uid, "resourceVersion": version}}),
            )
        };
        let mut store = Store::default();
        store.replace(Vec::new());
        assert!(!store.remove("b", "a", "1"), "not listed yet");
        assert!(!store.insert(object("1", "5")));
        assert_eq!(store.get("b", "a"), Seen::Absent);
        assert!(
            store.insert(object("2", "6")),
            "its successor is another object"
        );
    }
}
