//! The status of a restore.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use wukong_api::protection::{RestorePhase, RestoreVolume, WukongRestoreSpec, WukongRestoreStatus};
use wukong_api::{ConditionType, Reason};
use wukong_protection::restore::{Content, Step};

use super::report::{is_true, reported};
use super::subject::Subject;
use crate::diagnosis::condition::Condition;
use crate::facts::{Presence, WukongRestoreFact};
use crate::restoring::{Plan, Restoring};
use crate::status_report::{Reported, StatusReport};

const RESOLVED: ConditionType = ConditionType::SourceResolved;
const PREPARED: ConditionType = ConditionType::DisksPrepared;
const OFF: ConditionType = ConditionType::PoweredOff;
const SWITCHED: ConditionType = ConditionType::DisksSwitched;

/// The status of a restore. `current`: the plan, if it has its turn; `turn`: the restore that has it.
pub(super) fn report(
    found: &Subject,
    restore: &WukongRestoreFact,
    current: Option<&Restoring>,
    turn: Option<&Restoring>,
) -> Option<StatusReport> {
    let (spec, before) = restore.open.as_deref()?;
    let mut conditions = Vec::new();
    let mut phase = RestorePhase::Pending;
    let mut volumes = before.volumes.clone();
    match current.map(|restoring| &restoring.plan) {
        None => conditions.push(no_turn(found, turn)),
        Some(Err(problem)) => {
            if !problem.waits {
                phase = RestorePhase::Failed;
            }
            conditions.push(Condition::of_problem(RESOLVED, problem));
        }
        Some(Ok(plan)) => {
            conditions = steps(found, plan, spec);
            phase = phase_of(plan.step);
            let listed = plan.disks.iter().map(|disk| RestoreVolume {
                name: disk.name.clone(),
                from: disk.before.clone(),
                to: disk.after.clone(),
            });
            // After the switch, both names of a disk are the new one.
            if plan.step != Step::Done || volumes.is_empty() {
                volumes = listed.collect();
            }
        }
    }
    let done = is_true(&conditions, SWITCHED);
    let (conditions, blocker) = reported(
        conditions,
        (&before.conditions, before.blocker.as_ref()),
        "The VM has its restored disks",
        found.now,
    );
    let status = WukongRestoreStatus {
        phase: Some(phase),
        volumes,
        completion_time: done.then_some(Time(found.now)),
        conditions,
        blocker,
    };
    (status != *before).then(|| StatusReport {
        kind: Reported::WukongRestore,
        name: restore.meta.name.to_string(),
        uid: restore.meta.uid.to_string(),
        status: serde_json::to_value(&status).unwrap_or_default(),
    })
}

fn phase_of(step: Step) -> RestorePhase {
    match step {
        Step::Make | Step::Fill => RestorePhase::Preparing,
        Step::Stop | Step::AskToStop | Step::WaitForStop | Step::Switch => RestorePhase::Switching,
        Step::Done => RestorePhase::Succeeded,
    }
}

/// Why a restore without a plan does not begin.
fn no_turn(found: &Subject, turn: Option<&Restoring>) -> Condition {
    let name = found.name;
    if let Some(turn) = turn {
        let other = &turn.fact.meta.name;
        return Condition::progressing(
            RESOLVED,
            Reason::OperationInProgress,
            format!("WukongRestore {other} of this Wukong has not ended"),
        )
        .about(format!("WukongRestore/{other}"));
    }
    if let Some(missing) = found.missing("restore") {
        return missing;
    }
    Condition::bad(
        RESOLVED,
        Reason::WaitingForVM,
        format!("The spec of Wukong {name} is not valid"),
    )
    .about(format!("Wukong/{name}"))
    .hint(format!(
        "fix the spec: kubectl wukong status {name} -n {}",
        found.namespace
    ))
}

fn steps(found: &Subject, plan: &Plan, spec: &WukongRestoreSpec) -> Vec<Condition> {
    let source = match &spec.snapshot_name {
        Some(snapshot) => format!("Snapshot {snapshot} has the disks"),
        None => "The generation exists".to_owned(),
    };
    let mut conditions = vec![
        Condition::ok(RESOLVED, Reason::Resolved, source),
        prepared(found, plan),
    ];
    let name = found.name;
    let instance = format!("VirtualMachineInstance/{name}");
    let off = match plan.step {
        Step::Make | Step::Fill => return conditions,
        Step::AskToStop => Condition::bad(
            OFF,
            Reason::VMRunning,
            "The new claims are complete. The VM runs, and its disks change only while it is off",
        )
        .about(instance)
        .hint(format!(
            "kubectl wukong stop {name} -n {}, and start it after the restore",
            found.namespace
        )),
        Step::Stop | Step::WaitForStop => {
            Condition::progressing(OFF, Reason::Stopping, "The VM is going off for the restore")
                .about(instance)
        }
        Step::Switch | Step::Done => {
            Condition::ok(OFF, Reason::Halted, "The VM was off for the switch")
        }
    };
    let is_off = off.is_fine();
    conditions.push(off);
    if is_off {
        conditions.push(match plan.step {
            Step::Done => {
                Condition::ok(SWITCHED, Reason::Applied, "The VM uses the restored claims")
            }
            _ => Condition::progressing(
                SWITCHED,
                Reason::Applying,
                "The operator gives the VM its restored claims",
            )
            .about(format!("VirtualMachine/{name}")),
        });
    }
    conditions
}

fn prepared(found: &Subject, plan: &Plan) -> Condition {
    if found.world.data_volumes.presence() == Presence::Missing {
        return Condition::bad(
            PREPARED,
            Reason::CDINotInstalled,
            "A restore from a snapshot needs CDI",
        )
        .hint("install CDI");
    }
    let open: Vec<String> = plan
        .disks
        .iter()
        .filter(|disk| disk.disk.content != Content::Complete && plan.step != Step::Done)
        .map(|disk| match disk.phase.as_str() {
            "" => disk.after.clone(),
            phase => format!("{} ({phase})", disk.after),
        })
        .collect();
    match open.first() {
        Some(_) => Condition::progressing(
            PREPARED,
            Reason::Importing,
            format!("These claims are being filled: {}", open.join(", ")),
        )
        .hint(format!(
            "No action needed. If it does not end: kubectl describe datavolume -n {} -l vm.novasphere.dev/wukong={}",
            found.namespace, found.name
        )),
        None => Condition::ok(PREPARED, Reason::Bound, "The claims have their content"),
    }
}
