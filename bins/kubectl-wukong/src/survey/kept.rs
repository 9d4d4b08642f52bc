//! A survey as it is kept in a bundle.

use anyhow::bail;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::events::is_of;
use wukong_engine::world::Presence;

use super::children::CHILDREN;
use super::source::SOURCES;
use super::{Part, Survey, is_kubevirt_pod, name};

/// What was seen of one kind.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub plural: String,
    /// Whether the kind is there, and may be seen.
    seen: Seen,
    #[serde(default)]
    pub objects: Vec<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Seen {
    Unknown,
    Missing,
    Forbidden,
    Served,
}

impl Survey {
    /// What a bundle of the Wukong keeps: of objects that may be anybody's, no more than the rules need.
    pub fn kept(&self, wukong: &Wukong) -> Vec<Kept> {
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
                    .filter_map(|object| keep(part.plural, object, wukong))
                    .collect(),
            })
            .collect()
    }

    /// The survey that was kept.
    ///
    /// # Errors
    /// It has a kind that no survey looks at.
    pub fn of_kept(kept: Vec<Kept>) -> anyhow::Result<Self> {
        let mut parts = Vec::new();
        for one in kept {
            let Some(source) = SOURCES
                .iter()
                .chain(CHILDREN)
                .find(|source| source.plural == one.plural)
            else {
                bail!("nothing is known about {}", one.plural);
            };
            parts.push(Part {
                plural: source.plural,
                presence: match one.seen {
                    Seen::Unknown => Presence::Unknown,
                    Seen::Missing => Presence::Missing,
                    Seen::Forbidden => Presence::Forbidden,
                    Seen::Served => Presence::Served,
                },
                objects: one.objects,
            });
        }
        Ok(Self { parts })
    }
}

/// The object as it is kept, if it is.
fn keep(plural: &str, object: &Value, wukong: &Wukong) -> Option<Value> {
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let ours = |name: &str| is_of(name, namespace, wukong);
    match plural {
        "virtualmachines" | "virtualmachineinstances" | "datavolumes" => {
            ours(name(object)).then(|| object.clone())
        }
        "pods" => {
            let of_cluster =
                is_kubevirt_pod(object) || wukong_engine::environment::is_provisioner(name(object));
            (of_cluster || ours(name(object))).then(|| object.clone())
        }
        "daemonsets" => wukong_engine::environment::is_multus(name(object)).then(|| object.clone()),
        "events" => {
            let about = object
                .pointer("/involvedObject/name")
                .and_then(Value::as_str);
            ours(about.unwrap_or_default()).then(|| object.clone())
        }
        // That they exist, and are ready, is all that matters.
        "datasources" | "volumesnapshots" => {
            let fields = ["apiVersion", "kind", "metadata", "status"];
            let kept = fields
                .iter()
                .filter_map(|field| Some(((*field).to_owned(), object.get(*field)?.clone())));
            Some(Value::Object(kept.collect()))
        }
        _ => Some(object.clone()),
    }
}
