//! Snapshots of a Wukong, their schedules, and restores from them.
//!
//! A restore changes the objects of its Wukong, so the decision about the Wukong executes it (`restoring.rs`). This module decides
//! what else is written for snapshots and restores: the VirtualMachineSnapshots, and the status of both kinds.

mod report;
mod restores;
mod schedules;
mod snapshots;
mod subject;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::decision::Decision;
use crate::observed::{Memory, Observed};
use crate::restoring::Restoring;
use crate::status_report::StatusReport;
use crate::world::World;
pub use schedules::{ObservedSchedule, ScheduleDecision, decide_schedule};
use subject::Subject;

/// Adds the writes for the snapshots and restores of a Wukong to the decision about it.
pub(crate) fn add(
    observed: &Observed,
    restoring: Option<&Restoring>,
    mut decision: Decision,
) -> Decision {
    let namespace = observed.wukong.namespace().unwrap_or_default();
    let name = observed.wukong.name_any();
    let found = Subject {
        world: observed.world,
        now: observed.now,
        namespace: &namespace,
        name: &name,
        wukong: Some(observed.wukong),
    };
    let mut reports = Vec::new();
    for snapshot in found.snapshots() {
        let (create, report) = snapshots::decide(&found, snapshot, observed.memory);
        if let Some(apply) = create {
            let failure = observed.memory.failure(&apply.target, &apply.hash);
            match failure.map(|failure| failure.retry_at) {
                Some(retry_at) if retry_at > observed.now => {
                    let wake_at = decision.wake_at.map_or(retry_at, |at| at.min(retry_at));
                    decision.wake_at = Some(wake_at);
                }
                _ => decision.apply.push(apply),
            }
        }
        reports.extend(report);
    }
    for restore in found.restores() {
        let current = restoring.filter(|it| it.fact.meta.uid == restore.meta.uid);
        reports.extend(restores::report(&found, restore, current, restoring));
    }
    reports.retain(|report| observed.memory.is_new(report));
    decision.reports = reports;
    decision
}

/// Returns the statuses of the snapshots and restores of a Wukong that does not exist.
pub fn decide_orphans(
    namespace: &str,
    name: &str,
    world: &World,
    memory: &Memory,
    now: Timestamp,
) -> Vec<StatusReport> {
    let found = Subject {
        world,
        now,
        namespace,
        name,
        wukong: None,
    };
    let snapshots = found
        .snapshots()
        .filter_map(|snapshot| snapshots::decide(&found, snapshot, memory).1);
    let restores = found
        .restores()
        .filter_map(|restore| restores::report(&found, restore, None, None));
    let mut reports: Vec<StatusReport> = snapshots.chain(restores).collect();
    reports.retain(|report| memory.is_new(report));
    reports
}

/// Returns the Wukongs that snapshots and restores name, each with its namespace.
pub fn named_wukongs(world: &World) -> Vec<(String, String)> {
    let snapshots = world.wukong_snapshots.iter().map(|fact| &fact.meta);
    let restores = world.wukong_restores.iter().map(|fact| &fact.meta);
    let mut named: Vec<(String, String)> = snapshots
        .chain(restores)
        .filter_map(|meta| {
            Some((
                meta.namespace.to_string(),
                meta.wukong.as_ref()?.to_string(),
            ))
        })
        .collect();
    named.sort();
    named.dedup();
    named
}
