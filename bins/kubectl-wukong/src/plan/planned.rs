//! Plans as they are printed.

use serde::Serialize;
use wukong_engine::changes::{Change, Class};

/// The changes of one Wukong.
#[derive(Debug, Serialize)]
pub struct Plan {
    pub namespace: String,
    pub name: String,
    /// Whether the Wukong is new.
    pub creates: bool,
    /// Objects that are created for a new Wukong, as `Kind/name`.
    pub objects: Vec<String>,
    pub changes: Vec<Listed>,
    /// Addresses that another Wukong has. They keep a new VM from being created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

/// An address that another Wukong has.
#[derive(Debug, Serialize)]
pub struct Conflict {
    pub reason: String,
    pub message: String,
}

/// A change as it is printed.
#[derive(Debug, Serialize)]
pub struct Listed {
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(serialize_with = "class_name")]
    pub class: Class,
    pub why: String,
}

fn class_name<S: serde::Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(class)
}

impl From<Change> for Listed {
    fn from(
        Change {
            path,
            from,
            to,
            class,
            why,
        }: Change,
    ) -> Self {
        Self {
            path,
            from,
            to,
            class,
            why,
        }
    }
}
