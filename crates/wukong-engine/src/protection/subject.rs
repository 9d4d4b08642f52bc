//! A Wukong with its snapshots and restores.

use jiff::Timestamp;
use wukong_api::{ConditionType, Reason, Wukong};

use crate::diagnosis::condition::Condition;
use crate::facts::{WukongRestoreFact, WukongSnapshotFact, wukong_key};
use crate::world::World;

/// A Wukong, which may not exist, with the facts of the cluster.
pub(super) struct Subject<'a> {
    pub world: &'a World,
    pub now: Timestamp,
    pub namespace: &'a str,
    pub name: &'a str,
    pub wukong: Option<&'a Wukong>,
}

impl<'a> Subject<'a> {
    /// The snapshots that have not ended.
    pub fn snapshots(&self) -> impl Iterator<Item = &'a WukongSnapshotFact> + use<'a> {
        let key = wukong_key(self.namespace, self.name);
        let all: Vec<_> = self.world.wukong_snapshots.indexed(&key).collect();
        all.into_iter()
            .filter(|snapshot| !snapshot.meta.deleting && snapshot.open.is_some())
    }

    /// The restores that have not ended.
    pub fn restores(&self) -> impl Iterator<Item = &'a WukongRestoreFact> + use<'a> {
        let key = wukong_key(self.namespace, self.name);
        let all: Vec<_> = self.world.wukong_restores.indexed(&key).collect();
        all.into_iter()
            .filter(|restore| !restore.meta.deleting && restore.open.is_some())
    }

    /// The condition of what is for a Wukong that does not exist; `None` if it does. `what` is `snapshot` or `restore`.
    pub fn missing(&self, what: &str) -> Option<Condition> {
        let deleting = |wukong: &Wukong| wukong.metadata.deletion_timestamp.is_some();
        if self.wukong.is_some_and(|wukong| !deleting(wukong)) {
            return None;
        }
        let name = self.name;
        let condition = Condition::bad(
            ConditionType::SourceResolved,
            Reason::SourceNotFound,
            format!("Wukong {name} does not exist"),
        );
        let hint = format!("delete the {what}, or create the Wukong");
        Some(condition.about(format!("Wukong/{name}")).hint(hint))
    }
}
