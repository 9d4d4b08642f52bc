//! Snapshots and restores of a Wukong that does not exist: only their status is written.

use std::time::Duration;

use jiff::Timestamp;
use tracing::warn;
use wukong_engine::{Reported, decide_orphans};

use super::Reconciler;
use crate::metrics::Ended;
use crate::port::Subject;
use crate::queue::Key;

/// Attempts that the pause after a rejected status corresponds to: nothing waits for it.
const ATTEMPTS: u32 = 6;

impl Reconciler {
    /// Writes the statuses of the snapshots and restores that name a Wukong which does not exist.
    pub(super) async fn report_orphans(&self, key: &Key) -> (Ended, Option<Duration>) {
        let mut memory = self.orphans.lock().remove(key).unwrap_or_default();
        let (namespace, name) = (&key.namespace, &key.name);
        let reports = {
            let world = self.cluster.world();
            let snapshot = |object: &str| world.wukong_snapshots.get(namespace, object).present();
            let restore = |object: &str| world.wukong_restores.get(namespace, object).present();
            // What is deleted is forgotten.
            memory.reported.retain(|(kind, object), _| match kind {
                Reported::WukongSnapshot => snapshot(object).is_some(),
                Reported::WukongRestore => restore(object).is_some(),
                // It names no Wukong.
                Reported::WukongSnapshotSchedule => false,
            });
            decide_orphans(namespace, name, &world, &memory, Timestamp::now())
        };
        let subject = Subject {
            namespace: namespace.clone(),
            name: name.clone(),
            uid: String::new(),
        };
        let mut ended = Ended::Unchanged;
        let mut pause = None;
        for report in reports {
            match self.port.write_report(&subject, &report).await {
                Ok(stored) => {
                    self.cluster.reported(key, report.kind, &stored);
                    memory.record_reported(&report);
                    ended = Ended::Changed;
                }
                Err(error) => {
                    let object = format!("{}/{}", report.kind.as_ref(), report.name);
                    warn!(namespace, object, %error, "status rejected");
                    pause = Some(error.pause(ATTEMPTS));
                    ended = Ended::Rejected;
                }
            }
        }
        if !memory.reported.is_empty() {
            self.orphans.lock().insert(key.clone(), memory);
        }
        (ended, pause)
    }
}
