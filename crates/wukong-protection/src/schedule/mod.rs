//! What a schedule does at a time: the snapshots to take and to delete, and which slots are done.
//!
//! A slot is done when its snapshots exist or it was skipped. The status keeps the last one that is done, so a snapshot that was
//! deleted is not taken again. Until the status is written, the names of the snapshots do the same: they follow from the slot.

pub mod name;
mod retention;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::core::ObjectMeta;
use wukong_api::labels;
use wukong_api::protection::{
    MAX_FAILURES, WukongSnapshot, WukongSnapshotScheduleSpec, WukongSnapshotSpec,
};

use crate::calendar::Calendar;
pub use snapshot::{Outcome, Snapshot};

/// Time by which the last slot may be after the present time until the clock counts as having been wrong when it was taken. Up to
/// it, the schedule waits until the clock has passed the slot again.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A WukongSnapshotSchedule as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Uid.
    pub uid: &'a str,
    /// Time of its creation. Earlier slots are not its own.
    pub created: Timestamp,
    /// Generation of the spec.
    pub generation: i64,
    /// Spec.
    pub spec: &'a WukongSnapshotScheduleSpec,
}

/// A VM of the schedule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vm {
    /// Name of its Wukong.
    pub name: String,
    /// Time of the creation of the Wukong. It has no earlier slots.
    pub created: Option<Timestamp>,
}

/// What the last status says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record {
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// [`Calendar::text`] at that time.
    pub calendar: Option<String>,
    /// Newest slot that was done.
    pub last_slot: Option<Timestamp>,
    /// Slot up to which failures do not count.
    pub failures_count_after: Option<Timestamp>,
    /// Whether the schedule took no snapshots.
    pub stopped: bool,
}

/// What is known of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The schedule.
    pub schedule: Stored<'a>,
    /// Its slots.
    pub calendar: &'a Calendar,
    /// Its VMs that exist.
    pub vms: &'a [Vm],
    /// Its snapshots.
    pub snapshots: &'a [Snapshot<'a>],
    /// The last status.
    pub record: &'a Record,
    /// The time.
    pub now: Timestamp,
}

/// What a schedule does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Snapshots to take.
    pub take: Vec<Take>,
    /// Names of snapshots to delete.
    pub delete: Vec<String>,
    /// Newest slot that is done.
    pub last_slot: Option<Timestamp>,
    /// Next slot; `None` while the schedule takes no snapshots.
    pub next_slot: Option<Timestamp>,
    /// A slot that is skipped now, with the reason.
    pub skipped: Option<(Timestamp, String)>,
    /// Slot up to which failures do not count.
    pub failures_count_after: Option<Timestamp>,
    /// Highest number of failures in a row of a VM.
    pub failures: u32,
    /// VMs of which no more snapshots are taken, because too many have failed.
    pub left_out: Vec<String>,
    /// Whether no snapshots are taken at all, because all VMs are left out.
    pub given_up: bool,
    /// Newest snapshot of each VM that has ended, if it failed.
    pub failed: Vec<String>,
    /// Newest slot with a success.
    pub last_success: Option<Timestamp>,
}

/// A snapshot to take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Take {
    /// Name of the snapshot.
    pub name: String,
    /// Name of the Wukong.
    pub wukong: String,
}

impl Take {
    /// The WukongSnapshot. It has no owner: it stays when the schedule is deleted.
    pub fn object(&self, schedule: &Stored) -> WukongSnapshot {
        let spec = WukongSnapshotSpec {
            wukong_name: self.wukong.clone(),
            ..WukongSnapshotSpec::default()
        };
        WukongSnapshot {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(schedule.namespace.to_owned()),
                labels: Some(labels::of_scheduled(
                    &self.wukong,
                    schedule.name,
                    schedule.uid,
                )),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        }
    }
}

/// Plans what the schedule does.
pub fn plan(observed: &Observed) -> Plan {
    let Observed {
        schedule,
        calendar,
        record,
        now,
        ..
    } = *observed;
    let spec = schedule.spec;
    let edited = record
        .generation
        .is_some_and(|generation| generation != schedule.generation);
    let failures_count_after = match edited {
        true => record.last_slot,
        false => record.failures_count_after,
    };
    let by_vm = by_vm(observed);
    let failures = by_vm
        .iter()
        .map(|(vm, snapshots)| (*vm, failures(snapshots, failures_count_after)));
    let limit = spec.max_failures.unwrap_or(MAX_FAILURES);
    let left_out: Vec<String> = failures
        .clone()
        .filter(|(_, failures)| *failures >= limit)
        .map(|(vm, _)| vm.to_owned())
        .collect();
    let given_up = !left_out.is_empty() && left_out.len() == by_vm.len();
    let suspended = spec.suspend == Some(true);
    let mut plan = Plan {
        failures: failures.map(|(_, failures)| failures).max().unwrap_or(0),
        failures_count_after,
        given_up,
        failed: by_vm.values().filter_map(|own| last_failed(own)).collect(),
        last_success: last_success(&by_vm),
        left_out,
        ..Plan::default()
    };
    if suspended || given_up {
        plan.last_slot = record.last_slot;
        return plan;
    }
    let newest = calendar.newest(now);
    plan.last_slot = done(observed, newest);
    let begin = plan.last_slot.unwrap_or(schedule.created);
    if let Some(slot) = newest.filter(|slot| *slot > begin) {
        run(observed, slot, &by_vm, &mut plan);
    }
    plan.next_slot = calendar.next(plan.last_slot.map_or(now, |last| last.max(now)));
    let retain = usize::try_from(spec.retain).unwrap_or(usize::MAX);
    plan.delete = by_vm
        .values()
        .flat_map(|own| retention::surplus(own, retain, now))
        .map(|snapshot| snapshot.name.to_owned())
        .collect();
    plan
}

/// The snapshots of each VM of the schedule, the newest first. Those of other VMs are not touched: a VM that is deleted, or that a
/// selector no longer selects, keeps its snapshots.
fn by_vm<'a>(observed: &Observed<'a>) -> BTreeMap<&'a str, Vec<Snapshot<'a>>> {
    let named = observed.schedule.spec.wukong_name.as_deref();
    let existing = observed.vms.iter().map(|vm| vm.name.as_str());
    let mut by_vm: BTreeMap<&str, Vec<Snapshot>> = named
        .into_iter()
        .chain(existing)
        .map(|vm| (vm, Vec::new()))
        .collect();
    for snapshot in observed.snapshots {
        if let Some(own) = by_vm.get_mut(snapshot.wukong) {
            own.push(*snapshot);
        }
    }
    for own in by_vm.values_mut() {
        own.sort_by(|one, other| (other.slot, other.name).cmp(&(one.slot, one.name)));
    }
    by_vm
}

/// Number of failures since the last success.
fn failures(own: &[Snapshot], after: Option<Timestamp>) -> u32 {
    let since = own
        .iter()
        .take_while(|snapshot| snapshot.outcome != Outcome::Succeeded)
        .filter(|snapshot| snapshot.outcome == Outcome::Failed)
        .filter(|snapshot| after.is_none_or(|after| snapshot.slot > after));
    u32::try_from(since.count()).unwrap_or(u32::MAX)
}

fn last_failed(own: &[Snapshot]) -> Option<String> {
    let ended = own
        .iter()
        .find(|snapshot| snapshot.outcome != Outcome::Open)?;
    (ended.outcome == Outcome::Failed).then(|| ended.name.to_owned())
}

fn last_success(by_vm: &BTreeMap<&str, Vec<Snapshot>>) -> Option<Timestamp> {
    let all = by_vm.values().flatten();
    all.filter(|snapshot| snapshot.outcome == Outcome::Succeeded)
        .map(|snapshot| snapshot.slot)
        .max()
}

/// The newest slot that is done before this decision: slots that passed before the schedule changed, during a pause, or while the
/// clock was wrong, are not made up for.
fn done(observed: &Observed, newest: Option<Timestamp>) -> Option<Timestamp> {
    let record = observed.record;
    let known = record.calendar.as_ref()?;
    let changed = known != observed.calendar.text();
    let limit = observed.now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let was_wrong = record.last_slot.is_some_and(|last| last > limit);
    if changed || record.stopped || was_wrong {
        return newest.max(record.last_slot.filter(|last| *last <= limit));
    }
    record.last_slot
}

/// Takes the snapshots of a slot, unless it is skipped.
fn run(
    observed: &Observed,
    slot: Timestamp,
    by_vm: &BTreeMap<&str, Vec<Snapshot>>,
    plan: &mut Plan,
) {
    let Observed { schedule, now, .. } = *observed;
    let spec = schedule.spec;
    let mut reasons = Vec::new();
    let deadline = spec.starting_deadline_seconds;
    let late = deadline
        .filter(|seconds| slot.duration_until(now) > SignedDuration::from_secs((*seconds).into()));
    if let Some(seconds) = late {
        reasons.push(format!(
            "the operator did not run within {seconds} s after the slot"
        ));
    } else {
        if let Some(name) = spec
            .wukong_name
            .as_ref()
            .filter(|_| observed.vms.is_empty())
        {
            reasons.push(format!("Wukong {name} did not exist"));
        }
        let due = observed.vms.iter().filter(|vm| {
            !plan.left_out.contains(&vm.name) && vm.created.is_none_or(|created| created < slot)
        });
        for vm in due {
            let own = by_vm.get(vm.name.as_str()).into_iter().flatten();
            if own.clone().any(|snapshot| snapshot.slot == slot) {
                continue;
            }
            if let Some(open) = own
                .clone()
                .find(|snapshot| snapshot.outcome == Outcome::Open)
            {
                reasons.push(format!("snapshot {} had not ended", open.name));
                continue;
            }
            let in_name = spec.selector.as_ref().map(|_| vm.name.as_str());
            plan.take.push(Take {
                name: name::snapshot(schedule.name, slot, in_name),
                wukong: vm.name.clone(),
            });
        }
    }
    plan.skipped = (!reasons.is_empty()).then(|| (slot, listed(&reasons)));
    if plan.take.is_empty() {
        plan.last_slot = Some(slot);
    }
}

/// Most reasons or names that a message has.
const LISTED_MAX: usize = 3;

/// The first texts, and the number of the others.
pub fn listed(texts: &[String]) -> String {
    let first: Vec<&str> = texts.iter().take(LISTED_MAX).map(String::as_str).collect();
    match texts.len().saturating_sub(LISTED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
