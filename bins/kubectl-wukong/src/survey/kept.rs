//! A survey as it is kept in a bundle.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wukong_api::{Wukong, labels};
use wukong_engine::catalogue;
use wukong_engine::environment::addresses::{Addresses, WukongName};
use wukong_engine::environment::is_provisioner;
use wukong_engine::related::RelatedNames;
use wukong_engine::store::Presence;

use super::source::{CHILDREN, ENACTMENTS, NAMED, POLICIES, SOURCES, Source};
use super::{Part, Survey, name, parts};

/// The objects of one kind.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub plural: String,
    /// Whether the kind exists and may be read.
    seen: Seen,
    #[serde(default)]
    pub objects: Vec<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Seen {
    Missing,
    Forbidden,
    Served,
    /// Also what a later version writes.
    #[serde(other)]
    Unknown,
}

impl Survey {
    /// Returns what a bundle of the Wukong contains: of the objects of other owners, only what the rules need.
    pub fn kept(&self, wukong: &Wukong) -> Vec<Kept> {
        let (related, rivals) = (self.related(wukong), self.rivals(wukong));
        self.parts
            .iter()
            .map(|part| Kept {
                plural: part.plural.to_owned(),
                seen: match part.presence {
                    Presence::Unknown => Seen::Unknown,
                    Presence::Missing => Seen::Missing,
                    Presence::Forbidden => Seen::Forbidden,
                    Presence::Served => Seen::Served,
                },
                objects: part
                    .objects
                    .iter()
                    .filter_map(
                        |object| match parts::part(self, wukong, part.plural, object) {
                            Some(kept) => (!kept.is_null()).then_some(kept),
                            None => keep(part.plural, object, &related, &rivals),
                        },
                    )
                    .collect(),
            })
            .collect()
    }

    /// Returns the Wukongs that share an address with this one, including itself.
    fn rivals(&self, wukong: &Wukong) -> BTreeSet<WukongName> {
        let rivals = self.wukongs().into_iter().flat_map(|other| {
            let mut both = Addresses::default();
            both.replace([wukong, &other]);
            both.rivals()
        });
        rivals.collect()
    }

    /// The survey that was kept. Kinds that no survey reads are left out.
    pub fn of_kept(kept: Vec<Kept>) -> Self {
        let parts = kept.into_iter().filter_map(|one| {
            Some(Part {
                plural: source(&one.plural)?.plural,
                presence: match one.seen {
                    Seen::Unknown => Presence::Unknown,
                    Seen::Missing => Presence::Missing,
                    Seen::Forbidden => Presence::Forbidden,
                    Seen::Served => Presence::Served,
                },
                objects: one.objects,
            })
        });
        Self {
            parts: parts.collect(),
        }
    }
}

/// Whether a survey reads the kind.
pub fn is_known(plural: &str) -> bool {
    source(plural).is_some()
}

fn source(plural: &str) -> Option<&'static Source> {
    SOURCES
        .iter()
        .chain(CHILDREN.iter())
        .chain(NAMED.iter().copied())
        .find(|source| source.plural == plural)
}

/// Whether the operator watches the object.
fn is_watched(plural: &str, object: &Value) -> bool {
    let mut rows = catalogue::all().into_iter();
    rows.any(|row| row.plural == plural && row.objects.has(object))
}

fn is_made_by_us(object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    let by = labels.and_then(|labels| labels.get(labels::MANAGED_BY));
    by.and_then(Value::as_str) == Some(labels::MANAGER)
}

/// Returns the part of an object that a bundle contains.
fn keep(
    plural: &str,
    object: &Value,
    related: &RelatedNames,
    rivals: &BTreeSet<WukongName>,
) -> Option<Value> {
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let ours = |name: &str| related.has(name, namespace);
    let rival = rivals.contains(&(namespace.to_owned(), name(object).to_owned()));
    match plural {
        // The Wukongs with the same addresses.
        "wukongs" => rival.then(|| {
            let part = |name: &str| object.get(name).cloned().unwrap_or_default();
            let identity = ["name", "namespace", "uid", "creationTimestamp"];
            json!({
                "apiVersion": part("apiVersion"),
                "kind": part("kind"),
                "metadata": reduced(&part("metadata"), &identity),
                "spec": reduced(&part("spec"), &["cpu", "memory", "networks"]),
            })
        }),
        "virtualmachines" if rival && !ours(name(object)) => {
            Some(reduced(object, &["apiVersion", "kind", "metadata"]))
        }
        "virtualmachines" | "virtualmachineinstances" | "datavolumes" => {
            ours(name(object)).then(|| object.clone())
        }
        "pods" => {
            let of_cluster = is_watched(plural, object) || is_provisioner(name(object));
            (of_cluster || ours(name(object))).then(|| object.clone())
        }
        "daemonsets" => is_watched(plural, object).then(|| object.clone()),
        "events" => {
            let about = object
                .pointer("/involvedObject/name")
                .and_then(Value::as_str);
            ours(about.unwrap_or_default()).then(|| object.clone())
        }
        // The rules need only their existence and readiness.
        "datasources" | "volumesnapshots" => Some(reduced(
            object,
            &["apiVersion", "kind", "metadata", "status"],
        )),
        // Of the policies of others, the rules need the bridges; the rest of a network may contain keys.
        POLICIES if !is_made_by_us(object) => {
            let mut kept = reduced(
                object,
                &["apiVersion", "kind", "metadata", "spec", "status"],
            );
            if let Some(state) = kept.pointer_mut("/spec/desiredState") {
                let interfaces = state.get("interfaces").and_then(Value::as_array);
                let interfaces = interfaces.into_iter().flatten();
                let bridges =
                    interfaces.map(|it| reduced(it, &["name", "type", "state", "bridge"]));
                *state = json!({"interfaces": bridges.collect::<Vec<_>>()});
            }
            Some(kept)
        }
        ENACTMENTS => {
            let mut kept = reduced(object, &["apiVersion", "kind", "metadata", "status"]);
            if let Some(status) = kept.get_mut("status") {
                *status = reduced(status, &["conditions", "policyGeneration"]);
            }
            Some(kept)
        }
        _ => Some(object.clone()),
    }
}

/// These fields of an object.
fn reduced(object: &Value, fields: &[&str]) -> Value {
    let kept = fields
        .iter()
        .filter_map(|field| Some(((*field).to_owned(), object.get(*field)?.clone())));
    Value::Object(kept.collect())
}
