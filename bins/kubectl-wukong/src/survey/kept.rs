//! A survey as it is kept in a bundle.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::facts::Presence;

use super::read::Part;
use super::reduce::Reduction;
use super::{Survey, scope};

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
        let reduction = Reduction::new(self, wukong);
        let parts = self.parts.iter().map(|part| {
            let objects = part.objects.iter();
            Kept {
                plural: part.plural.to_owned(),
                seen: match part.presence {
                    Presence::Unknown => Seen::Unknown,
                    Presence::Missing => Seen::Missing,
                    Presence::Forbidden => Seen::Forbidden,
                    Presence::Served => Seen::Served,
                },
                objects: objects
                    .filter_map(|object| reduction.of(part.plural, object))
                    .collect(),
            }
        });
        parts.collect()
    }

    /// The survey that was kept. Kinds that no survey reads are left out.
    pub fn of_kept(kept: Vec<Kept>) -> Self {
        let parts = kept.into_iter().filter_map(|one| {
            Some(Part {
                plural: scope::row(&one.plural)?.plural,
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
    scope::row(plural).is_some()
}
