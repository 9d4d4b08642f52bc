//! The status of a schedule.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wukong_api::protection::{
    SkippedSlot, WukongSnapshotScheduleSpec, WukongSnapshotScheduleStatus,
};
use wukong_api::{ConditionType, Reason};
use wukong_protection::calendar::{Calendar, Invalid};
use wukong_protection::schedule::{Plan, listed};

use super::observed::{ObservedSchedule, Rejected, Rejection};
use crate::diagnosis::condition::Condition;
use crate::protection::report::reported;
use crate::status_report::{Reported, StatusReport};

const VALID: ConditionType = ConditionType::SpecValid;
const RESOLVED: ConditionType = ConditionType::SourceResolved;
const ACTIVE: ConditionType = ConditionType::ScheduleActive;
const SUCCEEDED: ConditionType = ConditionType::LastRunSucceeded;

/// Whether a status says that the schedule took no snapshots.
pub(super) fn was_stopped(status: &WukongSnapshotScheduleStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|known| known.type_ == ACTIVE.as_ref() && known.status == "False")
}

/// The status of a schedule with slots.
pub(super) fn of(
    observed: &ObservedSchedule,
    spec: &WukongSnapshotScheduleSpec,
    calendar: &Calendar,
    plan: &Plan,
    rejected: &[Rejected],
) -> WukongSnapshotScheduleStatus {
    let before = &observed.schedule.status;
    let skipped = plan.skipped.as_ref().map(|(slot, message)| SkippedSlot {
        slot: Time(*slot),
        message: message.clone(),
    });
    let last_skipped = skipped.or_else(|| before.last_skipped.clone());
    let valid = Condition::ok(VALID, Reason::Valid, "The spec is valid");
    let mut conditions = vec![
        valid,
        resolved(observed, spec),
        active(observed, spec, plan),
    ];
    conditions.extend(last_run(observed, plan, last_skipped.as_ref(), rejected));
    let time = |slot: Option<Timestamp>| slot.map(Time);
    let last_success = before.last_successful_slot.as_ref().map(|slot| slot.0);
    with_conditions(
        observed,
        conditions,
        WukongSnapshotScheduleStatus {
            observed_schedule: Some(calendar.text().to_owned()),
            next_slot: time(plan.next_slot),
            last_slot: time(plan.last_slot),
            last_successful_slot: time(plan.last_success.or(last_success)),
            last_skipped,
            consecutive_failures: plan.failures,
            failures_count_after: time(plan.failures_count_after),
            ..WukongSnapshotScheduleStatus::default()
        },
    )
}

/// The status of a schedule without a meaning. What it did before stays recorded.
pub(super) fn refused(
    observed: &ObservedSchedule,
    invalid: &Invalid,
) -> WukongSnapshotScheduleStatus {
    let Invalid { field, message } = invalid;
    let condition = Condition::bad(VALID, Reason::InvalidSpec, format!("{field}: {message}"))
        .hint(format!("correct {field}"));
    let before = WukongSnapshotScheduleStatus {
        next_slot: None,
        ..(*observed.schedule.status).clone()
    };
    with_conditions(observed, vec![condition], before)
}

fn with_conditions(
    observed: &ObservedSchedule,
    conditions: Vec<Condition>,
    status: WukongSnapshotScheduleStatus,
) -> WukongSnapshotScheduleStatus {
    let before = &observed.schedule.status;
    let (conditions, blocker) = reported(
        conditions,
        (&before.conditions, before.blocker.as_ref()),
        "The schedule takes snapshots",
        observed.now,
    );
    WukongSnapshotScheduleStatus {
        observed_generation: Some(observed.schedule.generation),
        conditions,
        blocker,
        ..status
    }
}

/// The write of the status, unless the schedule has it or it was written before.
pub(super) fn report(
    observed: &ObservedSchedule,
    status: &WukongSnapshotScheduleStatus,
) -> Option<StatusReport> {
    let fact = observed.schedule;
    let report = StatusReport {
        kind: Reported::WukongSnapshotSchedule,
        name: fact.meta.name.to_string(),
        uid: fact.meta.uid.to_string(),
        status: serde_json::to_value(status).unwrap_or_default(),
    };
    (*status != *fact.status && observed.memory.is_new(&report)).then_some(report)
}

/// Whether there are VMs.
fn resolved(observed: &ObservedSchedule, spec: &WukongSnapshotScheduleSpec) -> Condition {
    let missing = observed.vms.is_none_or(<[_]>::is_empty);
    match &spec.wukong_name {
        Some(name) if missing => Condition::bad(
            RESOLVED,
            Reason::SourceNotFound,
            format!("Wukong {name} does not exist"),
        )
        .about(format!("Wukong/{name}"))
        .hint("delete the schedule, or create the Wukong"),
        Some(_) => Condition::ok(RESOLVED, Reason::Resolved, "The Wukong exists"),
        None if missing => Condition::bad(
            RESOLVED,
            Reason::SourceNotFound,
            "No Wukong of the namespace has the labels of the selector",
        )
        .hint("correct spec.selector, or label the Wukongs"),
        None => Condition::ok(RESOLVED, Reason::Resolved, "The selector selects Wukongs"),
    }
}

/// Whether snapshots are taken.
fn active(
    observed: &ObservedSchedule,
    spec: &WukongSnapshotScheduleSpec,
    plan: &Plan,
) -> Condition {
    if spec.suspend == Some(true) {
        return Condition::intended(
            ACTIVE,
            Reason::ScheduleSuspended,
            "The spec suspends the schedule: it takes and deletes no snapshots",
        );
    }
    if plan.given_up {
        return left_out(observed, ACTIVE, plan);
    }
    Condition::ok(
        ACTIVE,
        Reason::ScheduleActive,
        "The schedule takes snapshots",
    )
}

/// The condition of VMs of which no more snapshots are taken.
fn left_out(observed: &ObservedSchedule, type_: ConditionType, plan: &Plan) -> Condition {
    let (meta, vms) = (&observed.schedule.meta, listed(&plan.left_out));
    let failures = plan.failures;
    Condition::bad(
        type_,
        Reason::TooManyFailures,
        format!("The schedule takes no more snapshots of {vms}: {failures} in a row failed"),
    )
    .hint(format!(
        "fix the cause ({}), then: kubectl wukong snapshot schedule resume {} -n {}",
        about_failed(observed, plan),
        meta.name,
        meta.namespace
    ))
}

/// A command that shows the cause of the first failure.
fn about_failed(observed: &ObservedSchedule, plan: &Plan) -> String {
    let namespace = &observed.schedule.meta.namespace;
    match plan.failed.first() {
        Some(name) => format!("kubectl describe wukongsnapshot {name} -n {namespace}"),
        None => list(observed),
    }
}

fn list(observed: &ObservedSchedule) -> String {
    let namespace = &observed.schedule.meta.namespace;
    format!("kubectl wukong snapshot list -n {namespace}")
}

/// How the newest snapshots ended; nothing before the first ones.
fn last_run(
    observed: &ObservedSchedule,
    plan: &Plan,
    skipped: Option<&SkippedSlot>,
    rejected: &[Rejected],
) -> Option<Condition> {
    if let Some(Rejected { name, cause }) = rejected.first() {
        let object = format!("WukongSnapshot/{name}");
        let condition = match cause {
            Rejection::NameTaken => Condition::bad(
                SUCCEEDED,
                Reason::NameConflict,
                format!("{object} exists already and does not belong to this schedule"),
            )
            .hint("rename the schedule, or delete this snapshot"),
            Rejection::Failure(message) => Condition::bad(
                SUCCEEDED,
                Reason::ApplyFailed,
                format!("The API server rejects {object}: {message}"),
            )
            .hint("fix this error; the operator retries until the next slot"),
        };
        return Some(condition.about(object));
    }
    if !plan.left_out.is_empty() {
        return Some(left_out(observed, SUCCEEDED, plan));
    }
    if let Some(first) = plan.failed.first() {
        return Some(
            Condition::bad(
                SUCCEEDED,
                Reason::RunFailed,
                format!("These snapshots failed: {}", listed(&plan.failed)),
            )
            .about(format!("WukongSnapshot/{first}"))
            .hint(about_failed(observed, plan)),
        );
    }
    let newest = skipped.filter(|skipped| plan.last_slot == Some(skipped.slot.0));
    if let Some(SkippedSlot { slot, message }) = newest {
        return Some(
            Condition::bad(
                SUCCEEDED,
                Reason::SlotSkipped,
                format!("The slot {} was skipped: {message}", slot.0),
            )
            .hint(list(observed)),
        );
    }
    plan.last_success.map(|slot| {
        Condition::ok(
            SUCCEEDED,
            Reason::RunSucceeded,
            format!("The snapshots of {slot} succeeded"),
        )
    })
}
