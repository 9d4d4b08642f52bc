//! A simulation of an API server: one namespace of objects with uids, versions, finalizers and managed fields, and
//! server-side apply as Kubernetes does it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fields::{self, FieldSet};

/// The one namespace.
pub const NAMESPACE: &str = "shop";

/// Begin of the uids that new objects get.
const NEW_UID: &str = "uid-";
/// The version of every canonical API server; the times of later writes follow from it.
const CANONICAL_VERSION: u64 = 100;

/// All objects.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ApiServer {
    stored: BTreeMap<Arc<(String, String)>, Arc<Stored>>,
    version: u64,
    uids: u64,
    /// Whether garbage stays until [`ApiServer::collect`].
    garbage_stays: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    /// Without managed fields.
    object: Value,
    managers: BTreeMap<Writer, Owned>,
    /// The object as clients read it, with managed fields.
    shown: Arc<Value>,
    /// A number for the content, once it is canonical.
    print: Option<u64>,
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
    /// An API server with a garbage collector that works only when it is called, object by object.
    pub fn with_lazy_garbage_collection() -> Self {
        Self {
            garbage_stays: true,
            ..Self::default()
        }
    }

    /// Grows with every write.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The object as a client gets it.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let stored = self.stored.get(&key(kind, name))?;
        Some((*stored.shown).clone())
    }

    /// Whether there is an object of this kind and name.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.stored.contains_key(&key(kind, name))
    }

    /// The objects of a kind, in order of their names.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        self.all(kind).cloned().collect()
    }

    /// The same without copies.
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let of_kind = self.stored.iter().filter(move |(key, _)| key.0 == kind);
        of_kind.map(|(_, stored)| &*stored.shown)
    }

    /// `Kind/name` of all objects.
    pub fn names(&self) -> Vec<String> {
        let names = self.stored.keys();
        names.map(|key| format!("{}/{}", key.0, key.1)).collect()
    }

    /// The objects as they are stored, without managed fields.
    pub fn objects(&self) -> impl Iterator<Item = &Value> {
        self.stored.values().map(|stored| &stored.object)
    }

    /// Creates an object.
    pub fn create(&mut self, manager: &str, mut object: Value) -> Value {
        let (kind, name) = identity(&object);
        assert!(self.get(&kind, &name).is_none(), "{kind}/{name} exists");
        self.complete(&mut object);
        let owned = self.owned(fields::of(&object));
        let managers = BTreeMap::from([(updates(manager, None), owned)]);
        self.put(Stored::new(object, managers))
    }

    /// Applies a body by force, and returns the object. `admit` gets the new object and the stored one; it changes the new
    /// object as mutating webhooks do, or rejects it.
    pub fn apply<E>(
        &mut self,
        manager: &str,
        body: &Value,
        admit: impl FnOnce(&Self, &mut Value, Option<&Value>) -> Result<(), E>,
    ) -> Result<Value, E> {
        let (kind, name) = identity(body);
        let known = self.stored.get(&key(&kind, &name)).cloned();
        let mut next = known.as_deref().cloned().unwrap_or_else(|| {
            let mut object = json!({
                "apiVersion": body["apiVersion"], "kind": kind,
                "metadata": {"name": name, "namespace": body["metadata"]["namespace"]},
            });
            self.complete(&mut object);
            Stored::new(object, BTreeMap::new())
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
            let has_sent_part = sent.iter().any(|other| other.starts_with(path));
            if !has_sent_part
                && !next
                    .managers
                    .values()
                    .any(|others| others.fields.contains(path))
            {
                fields::remove(&mut next.object, path);
            }
        }
        // A map that is sent empty stays, though its last field was removed.
        for path in &sent {
            if fields::get(&next.object, path).is_none() {
                let value = fields::get(body, path).unwrap().clone();
                fields::set(&mut next.object, path, value);
            }
        }
        let old = known.as_ref().map(|known| &known.object);
        admit(self, &mut next.object, old)?;
        next.disown_changes(&live);
        let owned = match before.fields == sent {
            true => before,
            false => self.owned(sent),
        };
        next.managers.insert(writer, owned);
        Ok(match known {
            Some(known) if *known == next => (*known.shown).clone(),
            _ => self.put(next),
        })
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

    /// Merges a JSON merge patch into an object, or into its status.
    pub fn merge(&mut self, manager: &str, kind: &str, name: &str, status: bool, patch: &Value) {
        let writer = updates(manager, status.then_some("status"));
        self.write(writer, kind, name, |object| {
            wukong_sim::change::merge(object, patch)
        });
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
        let mut next = (*known).clone();
        edit(&mut next.object);
        if next.object == known.object {
            return (*known.shown).clone();
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
        if kind != "Pod" {
            self.finish_deletion(kind, name);
        }
        object
    }

    /// Requests the deletion of an object, and collects its dependents. A pod stays until its kubelet has stopped it.
    pub fn delete(&mut self, kind: &str, name: &str) {
        if kind == "Pod" {
            self.mark_deleted(kind, name);
        } else {
            self.remove(kind, name);
        }
    }

    /// Deletes an object, unless finalizers hold it, and collects its dependents.
    pub fn remove(&mut self, kind: &str, name: &str) {
        self.mark_deleted(kind, name);
        if self.stored.contains_key(&key(kind, name)) {
            self.finish_deletion(kind, name);
        }
    }

    fn mark_deleted(&mut self, kind: &str, name: &str) {
        let Some(stored) = self.stored.get(&key(kind, name)) else {
            return;
        };
        if stored.object["metadata"]["deletionTimestamp"].is_null() {
            let mut next = (**stored).clone();
            next.object["metadata"]["deletionTimestamp"] = json!("2025-11-22T10:00:00Z");
            self.put(next);
        }
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
        while !self.garbage_stays {
            let Some((kind, name)) = self.garbage().into_iter().next() else {
                return;
            };
            self.delete(&kind, &name);
        }
    }

    /// Kind and name of the objects that lost all their owners, and are not being deleted.
    pub fn garbage(&self) -> Vec<(String, String)> {
        let uid = |stored: &Stored| {
            stored.object["metadata"]["uid"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let alive: BTreeSet<String> = self.stored.values().map(|it| uid(it)).collect();
        let orphaned = |stored: &Stored| {
            let metadata = &stored.object["metadata"];
            let gone = |owner: &Value| !alive.contains(owner["uid"].as_str().unwrap());
            let owners = metadata["ownerReferences"].as_array();
            metadata["deletionTimestamp"].is_null()
                && owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(gone))
        };
        let orphans = self.stored.iter().filter(|(_, stored)| orphaned(stored));
        orphans.map(|(key, _)| (**key).clone()).collect()
    }

    /// Makes two API servers with the same objects equal, whatever led there: new objects get the first free uid of their
    /// kind and name, versions follow from the content, and times of managed fields from their order. `is_taken` names
    /// uids that an operator still knows. Returns the new uids.
    pub fn canonicalize(&mut self, is_taken: impl Fn(&str) -> bool) -> Vec<String> {
        let changed = self.stored.iter().filter(|(_, it)| it.print.is_none());
        let changed: Vec<Arc<(String, String)>> = changed.map(|(key, _)| key.clone()).collect();
        let mut created = Vec::new();
        for key in changed {
            let mut stored = (*self.stored[&key]).clone();
            let uid = stored.object["metadata"]["uid"].as_str().unwrap();
            if uid.starts_with(NEW_UID) {
                let (kind, name) = (key.0.to_lowercase(), &key.1);
                let in_use = self.uids_in_use();
                let is_free = |uid: &String| !in_use.contains(uid) && !is_taken(uid);
                let mut numbered = (0..).map(|number| format!("{kind}.{name}.{number}"));
                let uid = numbered.find(is_free).unwrap();
                stored.object["metadata"]["uid"] = json!(uid);
                created.push(uid);
            }
            let times = stored.managers.values().map(|owned| owned.time.clone());
            let times: BTreeSet<String> = times.collect();
            for owned in stored.managers.values_mut() {
                let rank = times.range(..owned.time.clone()).count();
                owned.time = format!("2025-11-22T00:00:{rank:02}Z");
            }
            let metadata = stored.object["metadata"].as_object_mut().unwrap();
            metadata.remove("resourceVersion");
            let mut shown = stored.with_managed_fields();
            let mut hasher = DefaultHasher::new();
            shown.to_string().hash(&mut hasher);
            let print = hasher.finish();
            stored.print = Some(print);
            // Versions are numbers.
            let version = json!(print.to_string());
            stored.object["metadata"]["resourceVersion"] = version.clone();
            shown["metadata"]["resourceVersion"] = version;
            stored.shown = Arc::new(shown);
            self.stored.insert(key, Arc::new(stored));
        }
        self.version = CANONICAL_VERSION;
        self.uids = 0;
        created
    }

    /// The objects of a kind, each with the number of its content, after [`ApiServer::canonicalize`].
    pub fn prints(&self, kind: Option<&str>) -> Vec<(u64, Arc<Value>)> {
        let objects = self.stored.iter();
        let of_kind = objects.filter(|(key, _)| kind.is_none_or(|kind| key.0 == kind));
        let print = |stored: &Stored| stored.print.unwrap_or_default();
        of_kind
            .map(|(_, stored)| (print(stored), stored.shown.clone()))
            .collect()
    }

    fn uids_in_use(&self) -> BTreeSet<String> {
        self.stored
            .values()
            .flat_map(|stored| uids(&stored.object))
            .collect()
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
            metadata["uid"] = json!(format!("{NEW_UID}{}", self.uids));
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
        stored.print = None;
        let object = stored.with_managed_fields();
        stored.shown = Arc::new(object.clone());
        self.stored
            .insert(Arc::new(key(&kind, &name)), Arc::new(stored));
        object
    }
}

impl Stored {
    fn new(object: Value, managers: BTreeMap<Writer, Owned>) -> Self {
        Self {
            object,
            managers,
            shown: Arc::default(),
            print: None,
        }
    }

    fn with_managed_fields(&self) -> Value {
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

/// The uid of an object, and those of its owners.
pub fn uids(object: &Value) -> Vec<String> {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array();
    let owners = owners.into_iter().flatten().map(|owner| &owner["uid"]);
    let all = [&metadata["uid"]].into_iter().chain(owners);
    all.filter_map(Value::as_str).map(str::to_owned).collect()
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
