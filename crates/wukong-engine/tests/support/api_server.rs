//! A simulation of an API server: one namespace of objects with uids, versions, finalizers and managed fields, and
//! server-side apply as Kubernetes does it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::fields::{self, FieldSet};

/// The one namespace.
pub const NAMESPACE: &str = "shop";

/// All objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiServer {
    stored: BTreeMap<(String, String), Stored>,
    version: u64,
    uids: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    /// Without managed fields.
    object: Value,
    managers: BTreeMap<Writer, Owned>,
}

/// What a manager owns, and when it wrote last.
#[derive(Clone, Debug, Default, PartialEq)]
struct Owned {
    fields: FieldSet,
    time: String,
}

/// The manager, and how it wrote.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Writer {
    manager: String,
    operation: &'static str,
    subresource: Option<&'static str>,
}

impl ApiServer {
    /// Grows with every write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The object as a client gets it.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.stored.get(&key(kind, name)).map(Stored::read)
    }

    /// The objects of a kind, in order of their names.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let of_kind = self.stored.iter().filter(|((known, _), _)| known == kind);
        of_kind.map(|(_, stored)| stored.read()).collect()
    }

    /// `Kind/name` of all objects.
    pub fn names(&self) -> Vec<String> {
        let names = self.stored.keys();
        names.map(|(kind, name)| format!("{kind}/{name}")).collect()
    }

    /// Creates an object.
    pub fn create(&mut self, manager: &str, mut object: Value) -> Value {
        let (kind, name) = identity(&object);
        assert!(self.get(&kind, &name).is_none(), "{kind}/{name} exists");
        self.complete(&mut object);
        let owned = self.owned(fields::of(&object));
        let managers = BTreeMap::from([(updates(manager, None), owned)]);
        self.put(Stored { object, managers })
    }

    /// Applies a body by force, and returns the object.
    pub fn apply(&mut self, manager: &str, body: &Value) -> Value {
        let (kind, name) = identity(body);
        let known = self.stored.get(&key(&kind, &name)).cloned();
        let mut next = known.clone().unwrap_or_else(|| {
            let mut object = json!({
                "apiVersion": body["apiVersion"], "kind": kind,
                "metadata": {"name": name, "namespace": body["metadata"]["namespace"]},
            });
            self.complete(&mut object);
            let managers = BTreeMap::new();
            Stored { object, managers }
        });
        let writer = Writer {
            manager: manager.to_owned(),
            operation: "Apply",
            subresource: None,
        };
        let before = next.managers.remove(&writer).unwrap_or_default();
        let sent = fields::of(body);
        let live = next.object.clone();
        for path in &sent {
            let value = fields::get(body, path).unwrap().clone();
            let is_entry = path.last().unwrap().starts_with("k:");
            let there = fields::get(&next.object, path).is_some();
            let keeps_others = there
                && (value == json!({})
                    || is_entry
                        && sent
                            .iter()
                            .any(|other| other.len() > path.len() && other.starts_with(path)));
            if !keeps_others {
                fields::set(&mut next.object, path, value);
            }
        }
        for path in before.fields.difference(&sent) {
            if !next
                .managers
                .values()
                .any(|others| others.fields.contains(path))
            {
                fields::remove(&mut next.object, path);
            }
        }
        next.disown_changes(&live);
        let owned = match before.fields == sent {
            true => before,
            false => self.owned(sent),
        };
        next.managers.insert(writer, owned);
        match known {
            Some(known) if known == next => known.read(),
            _ => self.put(next),
        }
    }

    /// Changes an object; the writer of a field owns it.
    pub fn update(
        &mut self,
        manager: &str,
        kind: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Value {
        self.write(updates(manager, None), kind, name, edit)
    }

    /// Changes the status of an object.
    pub fn update_status(&mut self, manager: &str, kind: &str, name: &str, status: Value) -> Value {
        let writer = updates(manager, Some("status"));
        self.write(writer, kind, name, |object| object["status"] = status)
    }

    fn write(
        &mut self,
        writer: Writer,
        kind: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Value {
        let known = self.stored.get(&key(kind, name));
        let known = known
            .unwrap_or_else(|| panic!("there is no {kind}/{name}"))
            .clone();
        let mut next = known.clone();
        edit(&mut next.object);
        if next.object == known.object {
            return known.read();
        }
        let changed: FieldSet = fields::of(&next.object)
            .into_iter()
            .filter(|path| fields::get(&next.object, path) != fields::get(&known.object, path))
            .collect();
        next.disown_changes(&known.object);
        let mut fields = next.managers.remove(&writer).unwrap_or_default().fields;
        fields.extend(changed);
        next.managers.insert(writer, self.owned(fields));
        let object = self.put(next);
        self.finish_deletion(kind, name);
        object
    }

    /// Requests the deletion of an object, and collects its dependents.
    pub fn delete(&mut self, kind: &str, name: &str) {
        let Some(stored) = self.stored.get(&key(kind, name)) else {
            return;
        };
        if stored.object["metadata"]["deletionTimestamp"].is_null() {
            let mut next = stored.clone();
            next.object["metadata"]["deletionTimestamp"] = json!("2025-11-22T10:00:00Z");
            self.put(next);
        }
        self.finish_deletion(kind, name);
    }

    fn finish_deletion(&mut self, kind: &str, name: &str) {
        let metadata = &self.stored[&key(kind, name)].object["metadata"];
        let held = metadata["finalizers"]
            .as_array()
            .is_some_and(|held| !held.is_empty());
        if !metadata["deletionTimestamp"].is_null() && !held {
            self.stored.remove(&key(kind, name));
            self.version += 1;
            self.collect_garbage();
        }
    }

    fn collect_garbage(&mut self) {
        let uid = |stored: &Stored| {
            stored.object["metadata"]["uid"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let alive: BTreeSet<String> = self.stored.values().map(uid).collect();
        let orphaned = self.stored.iter().find(|(_, stored)| {
            let owners = stored.object["metadata"]["ownerReferences"].as_array();
            let gone = |owner: &Value| !alive.contains(owner["uid"].as_str().unwrap());
            let deleting = !stored.object["metadata"]["deletionTimestamp"].is_null();
            !deleting && owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(gone))
        });
        if let Some(((kind, name), _)) = orphaned {
            let (kind, name) = (kind.clone(), name.clone());
            self.delete(&kind, &name);
            self.collect_garbage();
        }
    }

    fn owned(&self, fields: FieldSet) -> Owned {
        let (hours, minutes, seconds) = (
            self.version / 3600,
            self.version / 60 % 60,
            self.version % 60,
        );
        let time = format!("2025-11-22T{hours:02}:{minutes:02}:{seconds:02}Z");
        Owned { fields, time }
    }

    fn complete(&mut self, object: &mut Value) {
        self.uids += 1;
        let metadata = &mut object["metadata"];
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.uids));
        }
        metadata["generation"] = json!(0);
    }

    fn put(&mut self, mut stored: Stored) -> Value {
        self.version += 1;
        let (kind, name) = identity(&stored.object);
        let known = self.stored.get(&key(&kind, &name));
        if known.is_none_or(|known| known.object["spec"] != stored.object["spec"]) {
            let generation = stored.object["metadata"]["generation"].as_i64().unwrap();
            stored.object["metadata"]["generation"] = json!(generation + 1);
        }
        stored.object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = stored.read();
        self.stored.insert(key(&kind, &name), stored);
        object
    }
}

impl Stored {
    fn read(&self) -> Value {
        let mut object = self.object.clone();
        let entry = |(writer, owned): (&Writer, &Owned)| {
            let mut entry = json!({
                "manager": writer.manager, "operation": writer.operation, "time": owned.time,
                "fieldsType": "FieldsV1", "fieldsV1": fields::to_json(&owned.fields),
            });
            if let Some(subresource) = writer.subresource {
                entry["subresource"] = json!(subresource);
            }
            entry
        };
        object["metadata"]["managedFields"] = self.managers.iter().map(entry).collect();
        object
    }

    /// A manager that owned a field with another value owns it no longer.
    fn disown_changes(&mut self, before: &Value) {
        let now = &self.object;
        for owned in self.managers.values_mut() {
            owned.fields.retain(|path| {
                let value = fields::get(now, path);
                value.is_some() && value == fields::get(before, path)
            });
        }
        self.managers.retain(|_, owned| !owned.fields.is_empty());
    }
}

fn updates(manager: &str, subresource: Option<&'static str>) -> Writer {
    Writer {
        manager: manager.to_owned(),
        operation: "Update",
        subresource,
    }
}

fn identity(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn key(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}
