//! One WukongSnapshotSchedule: the snapshots to create and to delete, and its status.

mod observed;
mod status;

use jiff::Timestamp;
use wukong_api::protection::SnapshotPhase;
use wukong_protection::calendar::{Calendar, Invalid};
use wukong_protection::schedule::{self, Outcome, Plan, Record, Snapshot, Stored, name};

use crate::decision::{Apply, Expect, Prune};
use crate::desired::Body;
use crate::facts::{
    Presence, WukongRestoreFact, WukongSnapshotFact, WukongSnapshotScheduleFact, schedule_key,
};
use crate::observed::Failure;
use crate::status_report::StatusReport;
use crate::target::{Kind, Target};
use crate::world::World;
pub use observed::ObservedSchedule;
use observed::{Rejected, Rejection};

/// What to do for a schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleDecision {
    /// Snapshots to create.
    pub create: Vec<Apply>,
    /// Snapshots to delete.
    pub delete: Vec<Prune>,
    /// The status, if it has to be written.
    pub report: Option<StatusReport>,
    /// Time of the next decision if nothing changes.
    pub wake_at: Option<Timestamp>,
}

/// Decides what to do for a schedule. While a kind is not observed yet, nothing.
pub fn decide_schedule(observed: &ObservedSchedule) -> ScheduleDecision {
    let ObservedSchedule {
        schedule: fact,
        world,
        ..
    } = *observed;
    let known = world.wukong_snapshots.presence() == Presence::Served;
    let (Some(spec), Some(vms), Some(created), true, false) = (
        fact.spec.as_deref(),
        observed.vms,
        fact.meta.created,
        known,
        fact.meta.deleting,
    ) else {
        return ScheduleDecision::default();
    };
    let stored = Stored {
        namespace: &fact.meta.namespace,
        name: &fact.meta.name,
        uid: &fact.meta.uid,
        created,
        generation: fact.generation,
        spec,
    };
    let calendar = match Calendar::parse(&spec.schedule, spec.time_zone.as_deref()) {
        Ok(calendar) => calendar,
        Err(invalid) => return refused(observed, &invalid),
    };
    let snapshots = snapshots(fact, world);
    let plan = schedule::plan(&schedule::Observed {
        schedule: stored,
        calendar: &calendar,
        vms,
        snapshots: &snapshots,
        record: &record(fact),
        now: observed.now,
    });
    let mut decision = ScheduleDecision {
        wake_at: plan.next_slot,
        ..ScheduleDecision::default()
    };
    let rejected = create(observed, &stored, &plan, &mut decision);
    delete(observed, &plan, &mut decision);
    let status = status::of(observed, spec, &calendar, &plan, &rejected);
    decision.report = status::report(observed, &status);
    decision
}

fn refused(observed: &ObservedSchedule, invalid: &Invalid) -> ScheduleDecision {
    let status = status::refused(observed, invalid);
    ScheduleDecision {
        report: status::report(observed, &status),
        ..ScheduleDecision::default()
    }
}

/// The snapshots that this schedule created, by its uid and by their names.
fn snapshots<'a>(fact: &WukongSnapshotScheduleFact, world: &'a World) -> Vec<Snapshot<'a>> {
    let namespace = &fact.meta.namespace;
    let restores = &world.wukong_restores;
    // A restore that is not observed could use any of them.
    let unsure = !matches!(restores.presence(), Presence::Served | Presence::Missing);
    let key = schedule_key(&fact.meta.uid);
    let own = world.wukong_snapshots.indexed(&key);
    let own: Vec<&WukongSnapshotFact> = own
        .filter(|snapshot| snapshot.meta.namespace == *namespace && !snapshot.meta.deleting)
        .collect();
    let of = |snapshot: &'a WukongSnapshotFact| {
        let name = snapshot.meta.name.as_str();
        let uses = |restore: &WukongRestoreFact| {
            let open = restore.open.as_deref();
            open.is_some_and(|(spec, _)| spec.snapshot_name.as_deref() == Some(name))
        };
        Some(Snapshot {
            name,
            wukong: snapshot.meta.wukong.as_deref()?,
            slot: name::slot(&fact.meta.name, name)?,
            outcome: match snapshot.ended {
                None => Outcome::Open,
                Some(SnapshotPhase::Failed) => Outcome::Failed,
                Some(_) => Outcome::Succeeded,
            },
            in_use: unsure || restores.in_namespace(namespace).any(uses),
        })
    };
    own.into_iter().filter_map(of).collect()
}

fn record(fact: &WukongSnapshotScheduleFact) -> Record {
    let status = &fact.status;
    Record {
        generation: status.observed_generation,
        calendar: status.observed_schedule.clone(),
        last_slot: status.last_slot.as_ref().map(|slot| slot.0),
        failures_count_after: status.failures_count_after.as_ref().map(|slot| slot.0),
        stopped: status::was_stopped(status),
    }
}

/// Adds the snapshots to create. Returns those that cannot be created.
fn create(
    observed: &ObservedSchedule,
    stored: &Stored,
    plan: &Plan,
    decision: &mut ScheduleDecision,
) -> Vec<Rejected> {
    let mut rejected = Vec::new();
    for take in &plan.take {
        let taken = observed
            .world
            .wukong_snapshots
            .get(stored.namespace, &take.name);
        if taken.present().is_some() {
            rejected.push(Rejected {
                name: take.name.clone(),
                cause: Rejection::NameTaken,
            });
            continue;
        }
        let body = Body::of(Kind::WukongSnapshot, &take.object(stored));
        let apply = Apply {
            target: body.target,
            expect: Expect::Absent,
            body: body.object,
            hash: body.hash,
        };
        let failure = observed.memory.failure(&apply.target, &apply.hash);
        if let Some(failure) = failure {
            rejected.push(Rejected {
                name: take.name.clone(),
                cause: Rejection::Failure(failure.message.clone()),
            });
        }
        if !waits(failure, observed.now, decision) {
            decision.create.push(apply);
        }
    }
    rejected
}

fn delete(observed: &ObservedSchedule, plan: &Plan, decision: &mut ScheduleDecision) {
    let namespace = &observed.schedule.meta.namespace;
    let stored = &observed.world.wukong_snapshots;
    for name in &plan.delete {
        let Some(snapshot) = stored.get(namespace, name).present() else {
            continue;
        };
        let prune = Prune {
            target: Target {
                kind: Kind::WukongSnapshot,
                name: name.clone(),
            },
            uid: snapshot.meta.uid.to_string(),
            resource_version: snapshot.meta.resource_version.to_string(),
        };
        let failure = observed.memory.failure(&prune.target, &prune.hash());
        if !waits(failure, observed.now, decision) {
            decision.delete.push(prune);
        }
    }
}

/// Whether a rejected write waits for its retry, which is then a time of the next decision.
fn waits(failure: Option<&Failure>, now: Timestamp, decision: &mut ScheduleDecision) -> bool {
    let retry_at = failure.map(|failure| failure.retry_at);
    let Some(retry_at) = retry_at.filter(|at| *at > now) else {
        return false;
    };
    let wake_at = decision.wake_at.map_or(retry_at, |at| at.min(retry_at));
    decision.wake_at = Some(wake_at);
    true
}
