//! Steps of single objects, for the unit tests of the simulated controllers.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use serde_json::Value;

use crate::Cluster;
use crate::change::{Change, Moment, Refusal, Step};
use crate::field::Field;
use crate::kind::{Kind, Ref};
use crate::world::World;

/// A cluster in which only what a test names takes steps.
pub struct Sim {
    cluster: Cluster,
    pub refuse: Option<Refusal>,
    waited: HashMap<String, u32>,
}

impl Default for Sim {
    fn default() -> Self {
        Self {
            cluster: Cluster::new("2026-01-01T00:00:00Z".parse().unwrap(), 0),
            refuse: None,
            waited: HashMap::new(),
        }
    }
}

impl Deref for Sim {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for Sim {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

impl Sim {
    pub fn put(&mut self, kind: Kind, object: Value) {
        self.cluster.put(kind, object);
    }

    pub fn edit(&mut self, at: &Ref, patch: Value) {
        self.cluster.edit(at, &patch);
    }

    /// Whether an event says this.
    pub fn was_reported(&self, text: &str) -> bool {
        self.events()
            .iter()
            .any(|event| format!("{}: {}", event.reason, event.message).contains(text))
    }

    /// Takes one step. Says whether it wrote anything but events.
    pub fn step(&mut self, key: &str, next: impl Fn(&World, &Moment) -> Step) -> bool {
        let waited = self.waited.entry(key.to_owned()).or_default();
        let moment = Moment {
            now: self.cluster.now(),
            waited: *waited,
            refusal: self.refuse.clone(),
        };
        *waited += 1;
        let step = next(self.cluster.world(), &moment);
        let wrote = step
            .changes
            .iter()
            .any(|change| !matches!(change, Change::Event { .. }));
        if wrote {
            self.waited.insert(key.to_owned(), 0);
        }
        let refused = self.refuse.is_some();
        for change in step.changes {
            if !(refused && matches!(change, Change::Create { .. })) {
                self.cluster.apply(change).unwrap();
            }
        }
        wrote
    }
}

/// One condition of an object as `status reason message`.
pub fn condition(object: &Value, kind: &str) -> String {
    let object = Field::new("", object);
    let found = object
        .at("status.conditions")
        .items()
        .find(|item| item.child("type").text() == kind);
    found.map_or(String::new(), |item| {
        let parts = ["status", "reason", "message"].map(|key| item.child(key).text().to_owned());
        parts.join(" ").trim().to_owned()
    })
}
