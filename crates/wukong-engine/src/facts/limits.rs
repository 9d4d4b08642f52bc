//! Facts of ResourceQuotas and LimitRanges.

use std::collections::BTreeMap;

use serde_json::Value;
use wukong_api::Bytes;

use super::same_but;
use super::text::Text;
use crate::facts::json::{entries, list, milli, text, texts, whole};
use crate::facts::{Fact, Meta};

/// A ResourceQuota.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QuotaFact {
    /// Identity and owner.
    pub meta: Meta,
    /// By resource: bytes and pieces as they are, CPU in thousandths.
    pub shares: BTreeMap<Text, Share>,
    /// Whether it counts only some of the pods (`scopes`, `scopeSelector`).
    pub scoped: bool,
}

/// One line of a quota.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Share {
    /// The limit for all pods together.
    pub hard: u64,
    /// The amount in use.
    pub used: u64,
}

impl Share {
    /// The amount that is left.
    pub fn left(self) -> u64 {
        self.hard.saturating_sub(self.used)
    }
}

impl Fact for QuotaFact {
    fn project(object: &Value) -> Self {
        let amount = |name: &str, value: &Value| {
            if name == "cpu" || name.ends_with(".cpu") {
                milli(value)
            } else {
                whole(value)
            }
        };
        let used = |name: &str| {
            object
                .pointer("/status/used")
                .and_then(|used| used.get(name))
                .and_then(|value| amount(name, value))
        };
        let shares = entries(object, "/spec/hard").filter_map(|(name, hard)| {
            let share = Share {
                hard: amount(name, hard)?,
                used: used(name).unwrap_or_default(),
            };
            Some((name.into(), share))
        });
        Self {
            meta: Meta::project(object),
            shares: shares.collect(),
            scoped: !texts(object, "/spec/scopes").is_empty()
                || object.pointer("/spec/scopeSelector").is_some(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

/// A LimitRange.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LimitRangeFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Its limits.
    pub limits: Vec<LimitFact>,
}

/// One limit of a LimitRange.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LimitFact {
    /// The type: `Container`, `Pod` or `PersistentVolumeClaim`.
    pub type_: Text,
    /// Most memory that one may have.
    pub memory: Option<Bytes>,
    /// Most storage that one may have.
    pub storage: Option<Bytes>,
}

impl Fact for LimitRangeFact {
    fn project(object: &Value) -> Self {
        let limit = |limit: &Value| LimitFact {
            type_: text(limit, "/type"),
            memory: limit.pointer("/max/memory").and_then(whole).map(Bytes),
            storage: limit.pointer("/max/storage").and_then(whole).map(Bytes),
        };
        Self {
            meta: Meta::project(object),
            limits: list(object, "/spec/limits").map(limit).collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}
