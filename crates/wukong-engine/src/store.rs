//! The facts of one kind, and the state of one object.

use std::collections::{BTreeMap, VecDeque};

use crate::facts::{Fact, Meta};

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

/// The facts of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Store<T> {
    presence: Presence,
    facts: BTreeMap<String, BTreeMap<String, T>>,
    /// Uids of objects that were deleted lately: the answer to a write may come after the deletion event.
    gone: VecDeque<String>,
}

/// How many deleted objects are remembered.
const GONE_MAX: usize = 256;

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self {
            presence: Presence::Unknown,
            facts: BTreeMap::new(),
            gone: VecDeque::new(),
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
            (_, Some(fact)) => Seen::Present(fact),
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
    }

    /// The objects of all namespaces, in order of these and of their names.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.facts.values().flat_map(BTreeMap::values)
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
        let facts = self.facts.entry(meta.namespace.clone()).or_default();
        if let Some(known) = facts.get(&meta.name) {
            // Of another uid, too: the last events of an object may come after the answer that created its successor.
            if version(known.meta()) > version(meta) {
                return false;
            }
            if known.says_the_same(&fact) {
                facts.insert(meta.name.clone(), fact);
                return false;
            }
        }
        facts.insert(meta.name.clone(), fact);
        true
    }

    /// Removes a deleted object. An object of another uid under the same name stays. Returns whether it was stored.
    pub fn remove(&mut self, namespace: &str, name: &str, uid: &str) -> bool {
        self.gone.truncate(GONE_MAX - 1);
        self.gone.push_front(uid.to_owned());
        let Some(facts) = self.facts.get_mut(namespace) else {
            return false;
        };
        let known = facts.get(name).is_some_and(|fact| fact.meta().uid == uid);
        if known {
            facts.remove(name);
        }
        if facts.is_empty() {
            self.facts.remove(namespace);
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
                .and_then(|facts| facts.remove(&fact.meta().name));
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
            self.facts
                .entry(newest.meta().namespace.clone())
                .or_default()
                .insert(newest.meta().name.clone(), newest);
        }
        changed.extend(old.facts.into_values().flat_map(BTreeMap::into_values));
        changed
    }

    /// Records that the kind is not served or not permitted. Returns the removed facts.
    pub fn clear(&mut self, presence: Presence) -> Vec<T> {
        let old = std::mem::take(self);
        self.presence = presence;
        old.facts
            .into_values()
            .flat_map(BTreeMap::into_values)
            .collect()
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
