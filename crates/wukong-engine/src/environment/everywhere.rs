//! Objects that may lie in any namespace.

use std::collections::BTreeSet;

use crate::facts::Fact;
use crate::world::{Presence, Store};

/// A store that can be walked without knowing the namespaces: those of KubeVirt, Multus and provisioners are whatever
/// somebody chose.
#[derive(Clone, Debug)]
pub struct Everywhere<T> {
    store: Store<T>,
    namespaces: BTreeSet<String>,
}

impl<T> Default for Everywhere<T> {
    fn default() -> Self {
        Self {
            store: Store::default(),
            namespaces: BTreeSet::new(),
        }
    }
}

impl<T: Fact> Everywhere<T> {
    /// Whether the API server serves the kind.
    pub fn presence(&self) -> Presence {
        self.store.presence()
    }

    /// All objects, in order of their namespaces and names.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.namespaces
            .iter()
            .flat_map(|namespace| self.store.in_namespace(namespace))
    }

    /// See [`Store::insert`].
    pub fn insert(&mut self, fact: T) -> bool {
        self.namespaces.insert(fact.meta().namespace.clone());
        self.store.insert(fact)
    }

    /// See [`Store::remove`].
    pub fn remove(&mut self, namespace: &str, name: &str, uid: &str) -> bool {
        let known = self.store.remove(namespace, name, uid);
        if self.store.in_namespace(namespace).next().is_none() {
            self.namespaces.remove(namespace);
        }
        known
    }

    /// See [`Store::replace`].
    pub fn replace(&mut self, list: Vec<T>) -> Vec<T> {
        self.namespaces = list
            .iter()
            .map(|fact| fact.meta().namespace.clone())
            .collect();
        self.store.replace(list)
    }

    /// See [`Store::clear`].
    pub fn clear(&mut self, presence: Presence) -> Vec<T> {
        self.namespaces.clear();
        self.store.clear(presence)
    }
}
