//! The rows of the list. They are kept as JSON text: of 10,000 Wukongs only what the list shows is in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use wukong_api::Wukong;
use wukong_api::status::{Phase, WukongStatus};

use crate::cluster;

/// Most deletions that are remembered. A page that missed more gets the whole list.
const GONE_MAX: usize = 1024;

/// Namespace and name.
type Key = (String, String);

/// The rows, and when each changed.
#[derive(Default)]
pub struct Rows {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    version: u64,
    rows: BTreeMap<Key, (u64, Box<str>)>,
    gone: VecDeque<(u64, Key)>,
    /// Version of the last deletion that is no longer remembered.
    forgotten: u64,
    /// The keys of a list that is being read.
    listed: BTreeSet<Key>,
    /// Whether a list was read to its end.
    complete: bool,
    error: Option<String>,
    /// The addresses in use.
    addresses: BTreeMap<Key, Vec<Address>>,
}

/// An address of a VM.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    pub network: String,
    pub address: String,
    pub namespace: String,
    pub name: String,
    pub nic: String,
}

/// A change of the list, as JSON, and the version after it.
pub struct Batch {
    pub json: String,
    pub version: u64,
}

impl Rows {
    fn change(&self, change: impl FnOnce(&mut State, u64)) {
        let version = {
            let mut state = self.lock();
            state.version += 1;
            let version = state.version;
            change(&mut state, version);
            version
        };
        self.changed.send_replace(version);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a list.
    pub fn begin(&self) {
        self.lock().listed.clear();
    }

    /// Ends a list: what it did not have is gone.
    pub fn end(&self) {
        self.change(|state, version| {
            let listed = std::mem::take(&mut state.listed);
            let rows = state.rows.keys();
            let gone: Vec<Key> = rows.filter(|key| !listed.contains(*key)).cloned().collect();
            for key in gone {
                state.remove(key, version);
            }
            state.complete = true;
            state.error = None;
        });
    }

    /// Adds or replaces the row of an object. `listed` if it is part of a list.
    pub fn insert(&self, object: &DynamicObject, listed: bool) {
        let key = key(object);
        let wukong = cluster::decode(object).ok();
        let row = row(object, wukong.as_ref());
        let addresses = wukong.map_or_else(Vec::new, |wukong| addresses(&key, wukong));
        self.change(|state, version| {
            if listed {
                state.listed.insert(key.clone());
            }
            if addresses.is_empty() {
                state.addresses.remove(&key);
            } else {
                state.addresses.insert(key.clone(), addresses);
            }
            state.rows.insert(key, (version, row));
        });
    }

    pub fn remove(&self, object: &DynamicObject) {
        self.change(|state, version| state.remove(key(object), version));
    }

    /// Records why the list cannot be read, until it can.
    pub fn fail(&self, error: String) {
        self.change(|state, _| state.error = Some(error));
    }

    /// Subscribes to changes.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns what changed since a version; everything since version 0.
    pub fn since(&self, version: u64) -> Batch {
        let state = self.lock();
        let reset = version == 0 || version < state.forgotten;
        let since = if reset { 0 } else { version };
        let changed = state.rows.values().filter(|(at, _)| *at > since);
        let rows: Vec<&str> = changed.map(|(_, row)| &**row).collect();
        let gone = state.gone.iter().filter(|(at, _)| !reset && *at > since);
        let gone: Vec<&Key> = gone.map(|(_, key)| key).collect();
        let mut json = String::new();
        // Writing into a string cannot fail.
        let _ = write!(
            json,
            "{{\"reset\":{reset},\"complete\":{},\"error\":{},\"gone\":{},\"rows\":[{}]}}",
            state.complete,
            json!(state.error),
            json!(gone),
            rows.join(",")
        );
        Batch {
            json,
            version: state.version,
        }
    }

    /// Returns all addresses, by network.
    pub fn addresses(&self) -> Vec<Address> {
        let state = self.lock();
        let mut all: Vec<Address> = state.addresses.values().flatten().cloned().collect();
        all.sort_by(|a, b| (&a.network, &a.address).cmp(&(&b.network, &b.address)));
        all
    }
}

impl State {
    fn remove(&mut self, key: Key, version: u64) {
        self.addresses.remove(&key);
        if self.rows.remove(&key).is_none() {
            return;
        }
        self.gone.push_back((version, key));
        if self.gone.len() > GONE_MAX
            && let Some((forgotten, _)) = self.gone.pop_front()
        {
            self.forgotten = forgotten;
        }
    }
}

fn key(object: &DynamicObject) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// What the list shows of a Wukong.
fn row(object: &DynamicObject, wukong: Option<&Wukong>) -> Box<str> {
    let (namespace, name) = key(object);
    let created = &object.metadata.creation_timestamp;
    let row = match wukong {
        Some(wukong) => {
            let unknown = WukongStatus::default();
            let status = wukong.status.as_ref().unwrap_or(&unknown);
            let deleting = object.metadata.deletion_timestamp.is_some();
            let phase = if deleting {
                Some(Phase::Deleting)
            } else {
                status.phase
            };
            let blocker = status.blocker.as_ref();
            json!({
                "namespace": namespace,
                "name": name,
                "created": created,
                "phase": phase,
                "cpu": wukong.spec.cpu,
                "memory": wukong.spec.memory,
                "ip": status.networks.iter().find_map(|nic| nic.ip_address.clone()),
                "node": status.node_name,
                "reason": blocker.map(|blocker| &blocker.reason),
                "message": blocker.map(|blocker| &blocker.message),
                "pending": status.pending_changes.len(),
            })
        }
        None => json!({
            "namespace": namespace,
            "name": name,
            "created": created,
            "unreadable": true,
        }),
    };
    row.to_string().into()
}

/// The addresses that a VM has or wants on networks.
fn addresses((namespace, name): &Key, wukong: Wukong) -> Vec<Address> {
    let nics = wukong.status.unwrap_or_default().networks;
    let nics = nics.into_iter().filter(|nic| nic.nad_name.is_some());
    nics.flat_map(|nic| {
        let network = nic.nad_name.unwrap_or_default();
        let intended = nic.intended.iter();
        let intended = intended.map(|address| address.split('/').next().unwrap_or_default());
        let observed = nic.ip_addresses.iter().map(String::as_str);
        let all: BTreeSet<String> = intended.chain(observed).map(str::to_owned).collect();
        let of_nic = |address| Address {
            network: network.clone(),
            address,
            namespace: namespace.clone(),
            name: name.clone(),
            nic: nic.name.clone(),
        };
        all.into_iter().map(of_nic).collect::<Vec<_>>()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use serde_json::Value;

    use super::*;

    fn object(name: &str, phase: &str) -> DynamicObject {
        let kind = ApiResource::erase::<Wukong>(&());
        let mut object = DynamicObject::new(name, &kind).within("shop");
        object.data = json!({"spec": {"cpu": 1, "memory": "1Gi"}, "status": {"phase": phase}});
        object
    }

    fn read(batch: &Batch) -> (bool, Vec<String>, usize) {
        let json: Value = serde_json::from_str(&batch.json).unwrap();
        let rows = json["rows"].as_array().unwrap().iter();
        let rows = rows.map(|row| format!("{}:{}", row["name"], row["phase"]).replace('"', ""));
        let gone = json["gone"].as_array().unwrap().len();
        (json["reset"].as_bool().unwrap(), rows.collect(), gone)
    }

    #[test]
    fn a_page_gets_what_changed_and_a_late_one_everything() {
        let rows = Rows::default();
        rows.begin();
        rows.insert(&object("a", "Running"), true);
        rows.insert(&object("b", "Running"), true);
        rows.end();
        let first = rows.since(0);
        assert_eq!(
            read(&first),
            (true, vec!["a:Running".into(), "b:Running".into()], 0)
        );
        rows.insert(&object("b", "Error"), false);
        rows.remove(&object("a", "Running"));
        let second = rows.since(first.version);
        assert_eq!(read(&second), (false, vec!["b:Error".into()], 1));
        assert_eq!(read(&rows.since(second.version)), (false, vec![], 0));

        // A second list lacks what was deleted in between.
        rows.begin();
        rows.insert(&object("c", "Running"), true);
        rows.end();
        assert_eq!(
            read(&rows.since(second.version)),
            (false, vec!["c:Running".into()], 1)
        );

        for number in 0..=GONE_MAX {
            let one = object(&format!("x{number}"), "Running");
            rows.insert(&one, false);
            rows.remove(&one);
        }
        assert_eq!(
            read(&rows.since(second.version)),
            (true, vec!["c:Running".into()], 0)
        );
    }
}
