//! Facts of WukongSnapshotSchedules.

use std::collections::BTreeMap;

use serde_json::Value;
use wukong_api::protection::{WukongSnapshotScheduleSpec, WukongSnapshotScheduleStatus};

use super::protection::part;
use super::text::Text;
use super::{Fact, Meta};

/// A WukongSnapshotSchedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WukongSnapshotScheduleFact {
    /// Who it is.
    pub meta: Meta,
    /// Generation of the spec.
    pub generation: i64,
    /// Its spec; `None`: this version cannot read it.
    pub spec: Option<Box<WukongSnapshotScheduleSpec>>,
    /// Its last status.
    pub status: Box<WukongSnapshotScheduleStatus>,
}

impl WukongSnapshotScheduleFact {
    /// Whether a Wukong of its namespace, with these labels, is one of its VMs.
    pub fn selects(&self, wukong: &str, labels: &BTreeMap<Text, Text>) -> bool {
        let Some(spec) = &self.spec else {
            return false;
        };
        let label = |key: &str| labels.get(&Text::from(key)).map(Text::as_str);
        let selected = spec.selector.as_ref().map(|it| it.selects(label));
        selected.unwrap_or_else(|| spec.wukong_name.as_deref() == Some(wukong))
    }
}

impl Fact for WukongSnapshotScheduleFact {
    fn project(object: &Value) -> Self {
        let generation = object.pointer("/metadata/generation");
        Self {
            meta: Meta {
                wukong: None,
                ..Meta::project(object)
            },
            generation: generation.and_then(Value::as_i64).unwrap_or_default(),
            spec: part(object, "spec").map(Box::new),
            status: part(object, "status").unwrap_or_default(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}
