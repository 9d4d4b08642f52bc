//! The status of a VirtualMachine: `printableStatus`, conditions copied from the instance, start failures.

use serde_json::{Value, json};

use super::object::{VIRT, is_deleting, is_final, phase, run_strategy};
use super::{boot, lifecycle, live_update, migration, volumes};
use crate::change::{Change, Conditions, Moment, Step};
use crate::field::{Field, put, text};
use crate::kind::Kind;
use crate::storage;
use crate::world::World;

/// Conditions of the VM itself; all others are the instance's.
const OWN: [&str; 3] = ["Failure", "RestartRequired", "ManualRecoveryRequired"];

/// The write that brings the status up to date, as far as it is not.
pub fn change(
    world: &World,
    vm: &Field<'_>,
    vmi: Option<&Field<'_>>,
    step: &Step,
    moment: &Moment,
) -> Option<Change> {
    let starts = step
        .changes
        .iter()
        .any(|change| matches!(change, Change::Create { at, .. } if at.kind == Kind::Vmi));
    let old = vm.child("status");
    let mut status = if old.is_set() {
        old.value().clone()
    } else {
        json!({})
    };
    let failures = start_failure(vm, vmi);
    put(
        &mut status,
        ["conditions"],
        conditions(world, vm, vmi, moment).into_value(),
    );
    put(&mut status, ["created"], json!(vmi.is_some()));
    put(
        &mut status,
        ["ready"],
        json!(vmi.is_some_and(|vmi| condition(vmi, "Ready").0 == "True")),
    );
    put(
        &mut status,
        ["printableStatus"],
        json!(printable(world, vm, vmi, failures > 0)),
    );
    put(
        &mut status,
        ["observedGeneration"],
        vm.at("metadata.generation").value().clone(),
    );
    put(
        &mut status,
        ["desiredGeneration"],
        vm.at("metadata.generation").value().clone(),
    );
    if starts || lifecycle::next_action(vm, vmi) == lifecycle::Action::Nothing {
        put(&mut status, ["runStrategy"], json!(run_strategy(vm)));
    }
    let requests = lifecycle::open_requests(vm, vmi, starts);
    set_or_drop(
        &mut status,
        "stateChangeRequests",
        (!requests.is_empty()).then(|| json!(requests)),
    );
    let failure = failed_uid(vm, vmi).map(|uid| {
        json!({"consecutiveFailCount": failures, "lastFailedVMIUID": uid, "retryAfterTimestamp": moment.now})
    });
    if phase_of(vmi) == "Running" {
        set_or_drop(&mut status, "startFailure", None);
    } else if let Some(failure) = failure {
        put(&mut status, ["startFailure"], failure);
    }
    Change::status(VIRT, Kind::Vm, vm, &status)
}

fn set_or_drop(status: &mut Value, key: &str, value: Option<Value>) {
    if let Some(map) = status.as_object_mut() {
        match value {
            Some(value) => map.insert(key.into(), value),
            None => map.remove(key),
        };
    }
}

fn phase_of<'a>(vmi: Option<&Field<'a>>) -> &'a str {
    vmi.map_or("", phase)
}

fn condition<'a>(object: &Field<'a>, kind: &str) -> (&'a str, &'a str) {
    let found = object
        .at("status.conditions")
        .items()
        .find(|item| item.child("type").text() == kind);
    found.map_or(("", ""), |item| {
        (item.child("status").text(), item.child("reason").text())
    })
}

/// The uid of an instance that ended without ever running, when it is not counted yet.
fn failed_uid<'a>(vm: &Field<'_>, vmi: Option<&Field<'a>>) -> Option<&'a str> {
    let vmi = vmi.filter(|vmi| is_final(vmi))?;
    let ran = vmi
        .at("status.phaseTransitionTimestamps")
        .items()
        .any(|item| item.child("phase").text() == "Running");
    let uid = vmi.at("metadata.uid").text();
    (!ran && vm.at("status.startFailure.lastFailedVMIUID").text() != uid).then_some(uid)
}

fn start_failure(vm: &Field<'_>, vmi: Option<&Field<'_>>) -> i64 {
    let known = vm.at("status.startFailure.consecutiveFailCount").integer();
    if phase_of(vmi) == "Running" {
        return 0;
    }
    known + i64::from(failed_uid(vm, vmi).is_some())
}

fn conditions(
    world: &World,
    vm: &Field<'_>,
    vmi: Option<&Field<'_>>,
    moment: &Moment,
) -> Conditions {
    let mut conditions = Conditions::of(&vm.child("status"));
    let now = &moment.now;
    match vmi {
        Some(vmi) => {
            let theirs = Conditions::of(&vmi.child("status"));
            let gone: Vec<String> = conditions
                .iter()
                .map(|item| text(item, "type"))
                .filter(|kind| !OWN.contains(kind) && theirs.get(kind).is_none())
                .map(str::to_owned)
                .collect();
            gone.iter().for_each(|kind| conditions.remove(kind));
            theirs.iter().for_each(|item| conditions.take_over(item));
        }
        None => {
            // These stay behind, stale.
            let kept = ["Ready", "PodScheduled", "DataVolumesReady"];
            let gone: Vec<String> = conditions
                .iter()
                .map(|item| text(item, "type"))
                .filter(|kind| !kept.contains(kind) && !OWN.contains(kind))
                .map(str::to_owned)
                .collect();
            gone.iter().for_each(|kind| conditions.remove(kind));
            conditions.set("Ready", "False", "VMINotExists", "VMI does not exist", now);
        }
    }
    let restart = vmi
        .filter(|vmi| !is_final(vmi))
        .and_then(|vmi| live_update::restart_required(world, vm, vmi));
    match restart {
        Some(message) => {
            conditions.set("RestartRequired", "True", "RestartRequired", &message, now)
        }
        None => conditions.remove("RestartRequired"),
    }
    match failure(world, vm, vmi, moment) {
        Some((reason, message)) => conditions.set("Failure", "True", reason, &message, now),
        None => conditions.remove("Failure"),
    }
    conditions
}

fn failure(
    world: &World,
    vm: &Field<'_>,
    vmi: Option<&Field<'_>>,
    moment: &Moment,
) -> Option<(&'static str, String)> {
    if let Some(vmi) = vmi {
        return live_update::hotplug_problem(vm, vmi)
            .map(|message| ("HotPlugVolumeError", message));
    }
    if is_deleting(vm) || lifecycle::next_action(vm, None) != lifecycle::Action::Start {
        return None;
    }
    let refused = || {
        let refusal = moment
            .refusal
            .as_ref()
            .filter(|refusal| refusal.kind == Kind::Vmi)?;
        Some((
            "FailedCreate",
            format!("Error encountered while creating VMI: {}", refusal.message),
        ))
    };
    boot::problem(world, vm).or_else(refused)
}

/// KubeVirt's table: the status is the first one that holds.
fn printable(
    world: &World,
    vm: &Field<'_>,
    vmi: Option<&Field<'_>>,
    failing: bool,
) -> &'static str {
    let namespace = vm.at("metadata.namespace").text();
    let spec = vm.at("spec.template.spec");
    let is_condition = |kind: &str, status: &str, reason: &str| {
        vmi.is_some_and(|vmi| condition(vmi, kind) == (status, reason))
    };
    let data_volumes = volumes::data_volumes(world, namespace, &spec);
    let unbound = || {
        let claims = volumes::claims(world, namespace, &spec);
        claims.iter().any(|claim| !storage::is_bound(claim))
    };
    let wanted = lifecycle::next_action(vm, None) == lifecycle::Action::Start;
    let set_to_start = vmi.is_some_and(|vmi| !is_final(vmi)) || wanted;
    if is_deleting(vm) {
        "Terminating"
    } else if vmi.is_some_and(|vmi| is_deleting(vmi) && !is_final(vmi)) {
        "Stopping"
    } else if vmi.is_some_and(migration::is_migrating) {
        "Migrating"
    } else if vmi.is_some_and(|vmi| condition(vmi, "Paused").0 == "True") {
        "Paused"
    } else if phase_of(vmi) == "Running" {
        "Running"
    } else if is_condition("Synchronized", "False", "FailedPvcNotFound") {
        "ErrorPvcNotFound"
    } else if data_volumes.iter().any(volumes::has_error) {
        "DataVolumeError"
    } else if is_condition("PodScheduled", "False", "Unschedulable") {
        "ErrorUnschedulable"
    } else if data_volumes
        .iter()
        .any(|dv| volumes::is_provisioning(world, dv))
    {
        "Provisioning"
    } else if set_to_start && !failing && unbound() {
        "WaitingForVolumeBinding"
    } else if is_condition("Synchronized", "False", "ErrImagePull") {
        "ErrImagePull"
    } else if is_condition("Synchronized", "False", "ImagePullBackOff") {
        "ImagePullBackOff"
    } else if vmi.is_some_and(|vmi| !is_final(vmi)) {
        "Starting"
    } else if failing && !["Halted", "Manual"].contains(&run_strategy(vm)) {
        "CrashLoopBackOff"
    } else {
        "Stopped"
    }
}
