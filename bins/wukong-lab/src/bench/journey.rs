//! The writes of KubeVirt and CDI for one VM, recorded once in a simulated cluster and repeated for every other VM.
//!
//! Thousands of VMs of one shape differ in a few strings: names, uids, addresses. A [`Recorder`] lets the simulator play with
//! the objects of the first VM in memory. A [`Journey`] repeats the writes with the strings of another VM, which costs less
//! than a millisecond.

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;
use wukong_sim::Cluster;
use wukong_sim::change::difference;
use wukong_sim::field::{Field, put};
use wukong_sim::kind::{Kind, Ref};

/// The node of the recorded VM.
const NODE: &str = "node-of-the-recording";
/// Paces without a write after which the journey is over.
const QUIET: u32 = 60;
/// No journey is longer.
const MAX_PACES: u32 = 2000;
/// Phases that are written although others follow: what the operator reports as progress, and when the VM runs.
const SHOWN: [&str; 3] = ["ImportInProgress", "Scheduling", "Running"];

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Create {
        at: Ref,
        object: Value,
    },
    /// A JSON merge patch of the object, or of its status.
    Merge {
        at: Ref,
        status: bool,
        patch: Value,
    },
}

/// The writes that follow from one object, in stages.
#[derive(Debug)]
pub struct Journey {
    /// The object, as far as others of its shape may differ.
    start: Value,
    /// The uids of objects that were made on the way.
    made: Vec<String>,
    stages: Vec<Vec<Write>>,
}

/// A simulated cluster in which journeys are recorded.
#[derive(Debug)]
pub struct Recorder(Cluster);

impl Recorder {
    pub fn new(now: Timestamp) -> Self {
        Self(Cluster::installed(now, 1, &[NODE]))
    }

    /// Adds an object that others refer to, such as a Namespace or a Secret.
    pub fn add(&mut self, object: Value) -> Result<()> {
        let added = self.0.create(object);
        added.map(drop).map_err(|denial| anyhow!("{denial}"))
    }

    /// Records what happens with a DataVolume and its claim, or with a VirtualMachine and its instance.
    pub fn record(&mut self, object: &Value) -> Result<Journey> {
        let at = self.0.create(stored_by_user(object));
        let at = at.map_err(|denial| anyhow!("{denial}"))?;
        let follower = match at.kind {
            Kind::DataVolume => Kind::Claim,
            Kind::Vm => Kind::Vmi,
            other => bail!("{other:?} has no journey"),
        };
        let pair = [
            Ref::new(follower, at.namespace.clone(), at.name.clone()),
            at.clone(),
        ];
        let states = self.states(&pair)?;
        let mut stages = Vec::new();
        for (before, after) in states.iter().zip(states.iter().skip(1)) {
            let changes = pair.iter().zip(before.iter().zip(after));
            stages.push(
                changes
                    .flat_map(|(at, (before, after))| writes(at, before, after))
                    .collect(),
            );
        }
        let mut journey = Journey {
            start: identity(object),
            made: Vec::new(),
            stages,
        };
        if let Some(follower) = states.last().and_then(|[follower, _]| {
            journey.complete_creation(follower);
            follower.pointer("/metadata/uid")?.as_str()
        }) {
            journey.made.push(follower.to_owned());
        }
        Ok(journey)
    }

    /// The states that are shown, the first one included. A state is the follower and the object.
    fn states(&mut self, pair: &[Ref; 2]) -> Result<Vec<[Value; 2]>> {
        let mut last = self.state(pair);
        let mut states = vec![last.clone()];
        let mut quiet = 0;
        for _ in 0..MAX_PACES {
            self.0.advance(1);
            let state = self.state(pair);
            quiet = if state == last { quiet + 1 } else { 0 };
            let shows = |state: &[Value; 2]| state.each_ref().map(phase).map(str::to_owned);
            if shows(&state) != shows(&last)
                && state.iter().any(|object| SHOWN.contains(&phase(object)))
                && !states.iter().any(|known| shows(known) == shows(&state))
                && !state.iter().any(Value::is_null)
            {
                states.push(state.clone());
            }
            last = state;
            if quiet > QUIET {
                states.push(last);
                states.dedup();
                return Ok(states);
            }
        }
        Err(anyhow!(
            "{} does not come to rest",
            pair.each_ref().map(ToString::to_string).join(" and ")
        ))
    }

    fn state(&self, pair: &[Ref; 2]) -> [Value; 2] {
        pair.each_ref().map(|at| {
            let found = self.0.get(at.kind, &at.namespace, &at.name);
            found.cloned().unwrap_or_default()
        })
    }
}

impl Journey {
    /// The writes for another object of the same shape; `None` if it has another shape.
    ///
    /// `node` is the node of its VM, and `now` replaces all times.
    pub fn repeat(&self, object: &Value, node: &str, now: &str) -> Option<Vec<Vec<Write>>> {
        let mut pairs = Vec::new();
        differing(&self.start, &identity(object), &mut pairs)?;
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str)?;
        for made in &self.made {
            let new = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{made}{uid}").as_bytes());
            pairs.push((made, new.to_string()));
        }
        pairs.push((NODE, node.to_owned()));
        pairs.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        pairs.dedup();
        let replaced = |text: &str| {
            if is_time(text) {
                return now.to_owned();
            }
            pairs.iter().fold(text.to_owned(), |text, (from, to)| {
                if text.contains(from) {
                    text.replace(from, to)
                } else {
                    text
                }
            })
        };
        let at = |at: &Ref| Ref::new(at.kind, replaced(&at.namespace), replaced(&at.name));
        let write = |write: &Write| match write {
            Write::Create { at: old, object } => Write::Create {
                at: at(old),
                object: mapped(object, &replaced),
            },
            Write::Merge {
                at: old,
                status,
                patch,
            } => Write::Merge {
                at: at(old),
                status: *status,
                patch: mapped(patch, &replaced),
            },
        };
        let stage = |stage: &Vec<Write>| stage.iter().map(write).collect();
        Some(self.stages.iter().map(stage).collect())
    }

    /// Metadata and spec of a claim are written once, as they are in the end.
    fn complete_creation(&mut self, last: &Value) {
        let stages = self.stages.iter_mut().flatten();
        let created = stages.filter_map(|write| match write {
            Write::Create { at, object } if at.kind == Kind::Claim => Some(object),
            _ => None,
        });
        for object in created {
            for part in ["metadata", "spec"] {
                put(object, [part], last.get(part).cloned().unwrap_or_default());
            }
            remove_bookkeeping(object);
        }
    }
}

/// The object without fields that only an API server sets, except its uid.
fn stored_by_user(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

fn remove_bookkeeping(object: &mut Value) {
    if let Some(metadata) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        for key in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            metadata.remove(key);
        }
    }
}

fn identity(object: &Value) -> Value {
    let of = |path| object.pointer(path).cloned().unwrap_or_default();
    json!({"name": of("/metadata/name"), "namespace": of("/metadata/namespace"), "uid": of("/metadata/uid"),
        "spec": of("/spec")})
}

fn phase(object: &Value) -> &str {
    Field::new("", object).at("status.phase").text()
}

/// The writes that lead from one stored object to the other.
fn writes(at: &Ref, before: &Value, after: &Value) -> Vec<Write> {
    if after.is_null() {
        return Vec::new();
    }
    let apart = at.kind.has_status_subresource();
    let mut found = Vec::new();
    let status_of = |object: &Value| object.get("status").cloned().unwrap_or_else(|| json!({}));
    if before.is_null() {
        let mut object = after.clone();
        remove_bookkeeping(&mut object);
        if apart && let Some(object) = object.as_object_mut() {
            object.remove("status");
        }
        found.push(Write::Create {
            at: at.clone(),
            object,
        });
        // The API server gives a new claim the phase Pending by itself.
        if !apart || phase(after) == "Pending" {
            return found;
        }
    } else {
        let kept = |object: &Value| {
            let mut kept = Map::new();
            let mut metadata = Map::new();
            for key in ["labels", "annotations", "finalizers"] {
                if let Some(value) = object.pointer(&format!("/metadata/{key}")) {
                    metadata.insert(key.to_owned(), value.clone());
                }
            }
            kept.insert("metadata".to_owned(), metadata.into());
            kept.insert(
                "spec".to_owned(),
                object.get("spec").cloned().unwrap_or_default(),
            );
            if !apart {
                kept.insert("status".to_owned(), status_of(object));
            }
            Value::Object(kept)
        };
        // Nothing depends on the annotations by which CDI's controllers talk to each other.
        let of_cdi = matches!(at.kind, Kind::DataVolume | Kind::Claim);
        if !of_cdi && let Some(patch) = difference(&kept(before), &kept(after)) {
            found.push(Write::Merge {
                at: at.clone(),
                status: false,
                patch,
            });
        }
        if !apart {
            return found;
        }
    }
    if let Some(patch) = difference(&status_of(before), &status_of(after)) {
        found.push(Write::Merge {
            at: at.clone(),
            status: true,
            patch: json!({"status": patch}),
        });
    }
    found
}

/// Collects the strings in which two objects of one shape differ; `None` if they have different shapes.
fn differing<'a>(one: &'a Value, other: &Value, pairs: &mut Vec<(&'a str, String)>) -> Option<()> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => {
            if one != other {
                pairs.push((one, other.clone()));
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (one, other) in one.iter().zip(other) {
                differing(one, other, pairs)?;
            }
        }
        (Value::Object(one), Value::Object(other)) if one.len() == other.len() => {
            for (key, one) in one {
                differing(one, other.get(key)?, pairs)?;
            }
        }
        (one, other) if one == other => {}
        _ => return None,
    }
    Some(())
}

fn mapped(value: &Value, replaced: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(replaced(text)),
        Value::Array(items) => items.iter().map(|item| mapped(item, replaced)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (replaced(key), mapped(value, replaced)))
            .collect(),
        other => other.clone(),
    }
}

/// Whether a string is a time as the simulator writes it.
fn is_time(text: &str) -> bool {
    text.len() == 20 && text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        let mut recorder = Recorder::new("2026-01-01T00:00:00Z".parse().unwrap());
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "specimen-space"}});
        recorder.add(namespace).unwrap();
        recorder
    }

    fn disk(namespace: &str, name: &str, uid: &str) -> Value {
        json!({
            "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
            "metadata": {"name": name, "namespace": namespace, "uid": uid},
            "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
        })
    }

    #[test]
    fn the_journey_of_one_disk_is_that_of_another_with_other_names() {
        let mut recorder = recorder();
        let journey = recorder
            .record(&disk("specimen-space", "specimen", "uid-1"))
            .unwrap();
        let other = disk("bench-1", "vm-7", "uid-2");
        let now = "2026-02-02T00:00:00Z";
        let stages = journey.repeat(&other, "node-3", now).unwrap();
        let writes: Vec<Write> = stages.concat();
        let Some(Write::Create { at, object }) = writes.first() else {
            panic!("{writes:#?}");
        };
        assert_eq!(*at, Ref::new(Kind::Claim, "bench-1", "vm-7"));
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "uid-2");
        let last = format!("{:?}", writes.last().unwrap());
        assert!(last.contains("Succeeded") && last.contains(now), "{last}");
        let text = format!("{writes:?}");
        for left in ["specimen", "uid-1", "2026-01"] {
            assert!(!text.contains(left), "{left} in {text}");
        }
    }

    #[test]
    fn a_disk_of_another_shape_has_a_journey_of_its_own() {
        let mut recorder = recorder();
        let journey = recorder
            .record(&disk("specimen-space", "specimen", "uid-1"))
            .unwrap();
        let mut other = disk("bench-1", "vm-7", "uid-2");
        other["spec"]["source"] = json!({"http": {"url": "http://images.example.com/disk.qcow2"}});
        assert!(
            journey
                .repeat(&other, "node-3", "2026-02-02T00:00:00Z")
                .is_none()
        );
    }
}
