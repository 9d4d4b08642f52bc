//! A cluster in memory: applies what the simulated controllers want, so that whole life cycles are unit tests.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::change::{Change, Moment, Refusal, Step, merge};
use super::field::Field;
use super::world::{Kind, Ref, World};

#[derive(Default)]
pub struct Sim {
    pub world: World,
    pub events: Vec<String>,
    pub refuse: Option<Refusal>,
    version: u64,
    waited: HashMap<String, u32>,
}

impl Sim {
    pub fn put(&mut self, kind: Kind, mut object: Value) {
        self.version += 1;
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{name}-{}", self.version));
        }
        self.world.insert(Ref::new(kind, namespace, name), object);
    }

    pub fn object(&self, at: &Ref) -> Value {
        let object = self.world.get(at.kind, &at.namespace, &at.name);
        object.map_or(Value::Null, |object| object.value().clone())
    }

    pub fn edit(&mut self, at: &Ref, patch: Value) {
        let mut object = self.object(at);
        merge(&mut object, &patch);
        self.put(at.kind, object);
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Create { at, object, .. } => self.put(at.kind, object),
            Change::Merge { at, patch, .. } => {
                self.edit(&at, patch);
                let object = self.object(&at);
                let object = Field::new("", &object);
                let metadata = object.child("metadata");
                if metadata.child("deletionTimestamp").is_set()
                    && metadata.child("finalizers").count() == 0
                {
                    self.world.remove(&at);
                }
            }
            Change::Delete { at } => {
                let finalizers = Field::new("", &self.object(&at))
                    .at("metadata.finalizers")
                    .count();
                if finalizers > 0 {
                    self.edit(
                        &at,
                        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
                    );
                } else {
                    self.world.remove(&at);
                }
            }
            Change::Terminate { at } => self.edit(
                &at,
                json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
            ),
            Change::Bind { at, node } => self.edit(&at, json!({"spec": {"nodeName": node}})),
            Change::Event {
                reason, message, ..
            } => self.events.push(format!("{reason}: {message}")),
        }
    }

    /// Takes one step. Says whether it wrote anything but events.
    pub fn step(&mut self, key: &str, next: impl Fn(&World, &Moment) -> Step) -> bool {
        let waited = self.waited.entry(key.to_owned()).or_default();
        let moment = Moment {
            now: format!("2026-01-01T00:00:{:02}Z", self.version % 60),
            waited: *waited,
            refusal: self.refuse.clone(),
        };
        *waited += 1;
        let step = next(&self.world, &moment);
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
                self.apply(change);
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
