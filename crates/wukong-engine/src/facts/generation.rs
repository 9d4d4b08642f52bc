//! The generation of a disk that a DataVolume or a claim holds.

use serde_json::Value;
use wukong_api::labels;

use super::json::printable;
use super::text::Text;

/// The generation of a disk that an object holds. The objects of a disk that never had more than one have none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GenerationFact {
    /// Name of the disk.
    pub disk: Text,
    /// Number of the generation.
    pub number: u32,
    /// The WukongRestore that made it.
    pub restore: Option<Text>,
    /// Number of its latest use; 0: it was never in use.
    pub activation: u32,
}

impl GenerationFact {
    /// Projects the generation. Boxed: almost all objects have none.
    pub(super) fn project(object: &Value) -> Option<Box<Self>> {
        let text = |of: &str, key: &str| {
            let all = object.get("metadata")?.get(of)?;
            all.get(key)?.as_str()
        };
        let number = |of: &str, key: &str| text(of, key)?.parse().ok();
        let generation = number("labels", labels::GENERATION);
        let activation = number("annotations", labels::ACTIVATION);
        if generation.is_none() && activation.is_none() {
            return None;
        }
        Some(Box::new(Self {
            disk: text("labels", labels::DISK)?.into(),
            number: generation.unwrap_or(1),
            restore: text("annotations", labels::RESTORE).map(printable),
            activation: activation.unwrap_or_default(),
        }))
    }

    /// The index key of the generations of a disk.
    pub(crate) fn key(namespace: &str, wukong: &str, disk: &str) -> Text {
        format!("{namespace}/{wukong}.{disk}").into()
    }

    /// The index keys of an object that holds it.
    pub(super) fn keys(generation: Option<&Self>, meta: &super::Meta) -> Vec<Text> {
        let (Some(generation), Some(wukong)) = (generation, &meta.wukong) else {
            return Vec::new();
        };
        vec![Self::key(&meta.namespace, wukong, &generation.disk)]
    }
}

/// Reads the generations that a VirtualMachine uses ([`labels::DISK_GENERATIONS`]).
pub(super) fn in_use(object: &Value) -> Box<[(Text, u32)]> {
    let entry = |entry: &str| {
        let (disk, number) = entry.split_once('=')?;
        Some((disk.into(), number.parse().ok()?))
    };
    let noted = noted(object, labels::DISK_GENERATIONS);
    noted.filter_map(entry).collect()
}

/// Reads the restores that changed the disks of a VirtualMachine ([`labels::RESTORES`]).
pub(super) fn restores(object: &Value) -> Box<[Text]> {
    let noted = noted(object, labels::RESTORES);
    noted
        .filter(|name| !name.is_empty())
        .map(printable)
        .collect()
}

/// The entries of an annotation.
fn noted<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    object
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .split(',')
}
