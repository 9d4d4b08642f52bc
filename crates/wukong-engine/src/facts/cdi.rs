//! Facts of CDI, StorageProfiles and storage drivers.

use serde_json::Value;

use super::same_but;
use super::text::Text;
use crate::facts::json::{list, optional_text, text, texts};
use crate::facts::{ConditionFact, Fact, Meta, conditions};

/// The CDI resource. A cluster has one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CdiFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.phase`.
    pub phase: Text,
    /// Its conditions `Available`, `Progressing` and `Degraded`.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for CdiFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            conditions: conditions(object, &["Available", "Progressing", "Degraded"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

/// A StorageProfile: CDI's settings for the StorageClass of the same name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StorageProfileFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Access and volume modes that claims get, the preferred first.
    pub property_sets: Vec<ClaimPropertySet>,
}

/// Modes that a claim may have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClaimPropertySet {
    /// Access modes.
    pub access_modes: Vec<Text>,
    /// Volume mode.
    pub volume_mode: Option<Text>,
}

impl Fact for StorageProfileFact {
    fn project(object: &Value) -> Self {
        let set = |set: &Value| ClaimPropertySet {
            access_modes: texts(set, "/accessModes"),
            volume_mode: optional_text(set, "/volumeMode"),
        };
        Self {
            meta: Meta::project(object),
            // Status holds what CDI recognized and what spec overrides, merged.
            property_sets: list(object, "/status/claimPropertySets").map(set).collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

/// A CSINode: the storage drivers that are registered on the node of the same name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CsiNodeFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Names of the drivers.
    pub drivers: Vec<Text>,
}

impl Fact for CsiNodeFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            drivers: list(object, "/spec/drivers")
                .map(|driver| text(driver, "/name"))
                .collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its drivers.
    fn index_keys(&self) -> Vec<Text> {
        self.drivers.clone()
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}
