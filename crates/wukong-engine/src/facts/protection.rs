//! Facts of WukongSnapshots and WukongRestores.

use serde::Deserialize;
use serde_json::Value;
use wukong_api::protection::{
    RestorePhase, SnapshotPhase, SnapshotVolume, WukongRestoreSpec, WukongRestoreStatus,
    WukongSnapshotSpec, WukongSnapshotStatus,
};
use wukong_api::{Bytes, labels};

use super::json::text_map;
use super::text::Text;
use super::{Fact, Meta};

/// A WukongSnapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WukongSnapshotFact {
    /// Who it is; as its Wukong counts the one that the spec names.
    pub meta: Meta,
    /// Uid of the schedule that created it.
    pub schedule: Option<Text>,
    /// The result of one that has ended.
    pub ended: Option<SnapshotPhase>,
    /// Sizes of its disks, as the guest sees them.
    pub sizes: Box<[(Text, Bytes)]>,
    /// One that has not ended, with its last status.
    pub open: Option<Box<(WukongSnapshotSpec, WukongSnapshotStatus)>>,
}

/// A WukongRestore.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WukongRestoreFact {
    /// Who it is; as its Wukong counts the one that the spec names.
    pub meta: Meta,
    /// One that has not ended, with its last status.
    pub open: Option<Box<(WukongRestoreSpec, WukongRestoreStatus)>>,
}

impl Fact for WukongSnapshotFact {
    fn project(object: &Value) -> Self {
        let spec: Option<WukongSnapshotSpec> = part(object, "spec");
        let status: WukongSnapshotStatus = part(object, "status").unwrap_or_default();
        let ended = status.phase.filter(|phase| match phase {
            SnapshotPhase::Failed => true,
            SnapshotPhase::Succeeded => status.ready_to_use,
            SnapshotPhase::Pending | SnapshotPhase::Creating => false,
        });
        let size = |volume: &SnapshotVolume| {
            let size = volume.size.as_deref().and_then(Bytes::parse)?;
            Some((volume.name.as_str().into(), size))
        };
        Self {
            meta: meta(object, spec.as_ref().map(|spec| spec.wukong_name.as_str())),
            sizes: status.volumes.iter().filter_map(size).collect(),
            schedule: text_map(object, "/metadata/labels").remove(labels::SCHEDULE_UID),
            ended,
            open: spec
                .filter(|_| ended.is_none())
                .map(|spec| Box::new((spec, status))),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The Wukong, and the schedule.
    fn index_keys(&self) -> Vec<Text> {
        let mut keys = key_of(&self.meta);
        keys.extend(self.schedule.iter().map(|uid| schedule_key(uid)));
        keys
    }
}

impl Fact for WukongRestoreFact {
    fn project(object: &Value) -> Self {
        let spec: Option<WukongRestoreSpec> = part(object, "spec");
        let status: WukongRestoreStatus = part(object, "status").unwrap_or_default();
        let ended = matches!(
            status.phase,
            Some(RestorePhase::Succeeded | RestorePhase::Failed)
        );
        Self {
            meta: meta(object, spec.as_ref().map(|spec| spec.wukong_name.as_str())),
            open: spec.filter(|_| !ended).map(|spec| Box::new((spec, status))),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The Wukong.
    fn index_keys(&self) -> Vec<Text> {
        key_of(&self.meta)
    }
}

pub(super) fn part<T: for<'a> Deserialize<'a>>(object: &Value, field: &str) -> Option<T> {
    T::deserialize(object.get(field)?).ok()
}

fn meta(object: &Value, wukong: Option<&str>) -> Meta {
    Meta {
        wukong: wukong.map(Into::into),
        ..Meta::project(object)
    }
}

fn key_of(meta: &Meta) -> Vec<Text> {
    let wukong = meta.wukong.iter();
    wukong
        .map(|name| wukong_key(&meta.namespace, name))
        .collect()
}

/// The index key of the snapshots of a schedule. No namespace has a dot.
pub(crate) fn schedule_key(uid: &str) -> Text {
    format!("schedule./{uid}").into()
}

/// The index key of the snapshots and restores of a Wukong.
pub(crate) fn wukong_key(namespace: &str, wukong: &str) -> Text {
    format!("{namespace}/{wukong}").into()
}
