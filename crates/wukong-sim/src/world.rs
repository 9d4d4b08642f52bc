//! The objects of a cluster as the simulated controllers see them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::field::Field;
use super::kind::{Kind, Ref};
use crate::reality::{Guest, Import, Reality};

/// The objects, as last observed.
#[derive(Clone, Debug, Default)]
pub struct World {
    objects: BTreeMap<Ref, Arc<Value>>,
    served: BTreeSet<Kind>,
    /// The observed state of real guests and imports; `None` if they are simulated.
    pub reality: Option<Reality>,
}

impl World {
    /// An object, if it is observed.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Field<'_>> {
        let object = self.objects.get(&Ref::new(kind, namespace, name))?;
        Some(Field::new("", object))
    }

    /// The objects of a kind in a namespace, in the order of their names.
    pub fn list<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = Field<'a>> {
        self.objects
            .range(Ref::new(kind, namespace, "")..)
            .take_while(move |(key, _)| key.kind == kind && key.namespace == namespace)
            .map(|(_, object)| Field::new("", object))
    }

    /// The objects of a kind in all namespaces.
    pub fn refs(&self, kind: Kind) -> impl Iterator<Item = &Ref> {
        self.objects
            .range(Ref::new(kind, "", "")..)
            .take_while(move |(key, _)| key.kind == kind)
            .map(|(key, _)| key)
    }

    /// Notes that the API server serves a kind.
    pub fn mark_served(&mut self, kind: Kind) {
        self.served.insert(kind);
    }

    /// Whether the API server was seen to serve a kind.
    pub fn serves(&self, kind: Kind) -> bool {
        self.served.contains(&kind)
    }

    /// Stores an object, unless it has a newer version. Returns whether the object changed.
    pub fn insert(&mut self, key: Ref, object: Value) -> bool {
        let newer = |old: &Arc<Value>| version(&object) > version(old);
        if self.objects.get(&key).is_some_and(|old| !newer(old)) {
            return false;
        }
        self.objects.insert(key, Arc::new(object));
        true
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &Ref) {
        self.objects.remove(key);
    }

    /// The objects that an object with this uid owns.
    pub(crate) fn owned_by(&self, uid: &str) -> Vec<Ref> {
        let owns = |object: &Value| {
            Field::new("", object)
                .at("metadata.ownerReferences")
                .items()
                .any(|owner| owner.child("uid").text() == uid)
        };
        self.objects
            .iter()
            .filter(|(_, object)| owns(object))
            .map(|(at, _)| at.clone())
            .collect()
    }

    /// The real guest of an instance, if it was observed.
    pub fn guest(&self, vmi: &Field<'_>) -> Option<&Guest> {
        self.reality.as_ref()?.guest(vmi)
    }

    /// The real import into a claim, if it was observed.
    pub fn import(&self, claim: &Field<'_>) -> Option<&Import> {
        self.reality.as_ref()?.import(claim)
    }
}

fn version(object: &Value) -> u64 {
    let version = object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str);
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}
