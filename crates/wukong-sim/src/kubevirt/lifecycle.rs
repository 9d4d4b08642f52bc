//! Whether a VirtualMachine has an instance: run strategies, start and stop requests, deletion.

use serde_json::{Value, json};

use super::boot;
use super::object::{CONTROLLER_FINALIZER, VIRT, is_deleting, is_final, run_strategy};
use crate::change::{Change, Moment, Step, at};
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::scenario::Scenario;
use crate::world::World;

const LATEST_API: &str = "kubevirt.io/latest-observed-api-version";
const STORAGE_API: &str = "kubevirt.io/storage-observed-api-version";
/// Longest pause between two attempts to start, in paces.
const MAX_BACKOFF: u32 = 300;

pub fn next(world: &World, vm: &Field<'_>, vmi: Option<&Field<'_>>, moment: &Moment) -> Step {
    if is_deleting(vm) {
        return delete(vm, vmi);
    }
    if let Some(claim) = claim_ownership(vm) {
        return Step::of([claim]);
    }
    let templates = boot::missing_templates(world, vm);
    if !templates.is_empty() {
        return Step::of(templates);
    }
    match next_action(vm, vmi) {
        Action::Stop => Step::of(vmi.map(|vmi| Change::delete(Kind::Vmi, vmi))),
        Action::Start => start(world, vm, moment),
        Action::Nothing => Step::quiet(),
    }
}

/// Whether this step gives the VM's finalizer back.
pub fn is_released(step: &Step) -> bool {
    step.changes.iter().any(|change| match change {
        Change::Merge { at, patch, .. } => {
            at.kind == Kind::Vm
                && patch.pointer("/metadata/finalizers").is_some_and(|list| {
                    !list
                        .as_array()
                        .is_some_and(|list| list.iter().any(|item| item == CONTROLLER_FINALIZER))
                })
        }
        _ => false,
    })
}

fn finalizers<'a>(object: &Field<'a>) -> Vec<&'a str> {
    object
        .at("metadata.finalizers")
        .items()
        .map(|item| item.text())
        .collect()
}

/// The instance goes first, unless it is to be orphaned.
fn delete(vm: &Field<'_>, vmi: Option<&Field<'_>>) -> Step {
    let held = finalizers(vm);
    if !held.contains(&CONTROLLER_FINALIZER) {
        return Step::quiet();
    }
    match vmi {
        Some(vmi) if !held.contains(&"orphan") => {
            if is_deleting(vmi) {
                Step::quiet()
            } else {
                Step::of([Change::delete(Kind::Vmi, vmi)])
            }
        }
        _ => {
            let left: Vec<&str> = held
                .into_iter()
                .filter(|item| *item != CONTROLLER_FINALIZER)
                .collect();
            let patch = json!({"metadata": {"finalizers": left}});
            Step::of([Change::merge(VIRT, Kind::Vm, vm, patch)])
        }
    }
}

/// Adds the finalizer, bookkeeping annotations, and the firmware's identity where the VM has none.
fn claim_ownership(vm: &Field<'_>) -> Option<Change> {
    let mut held = finalizers(vm);
    let identity = vm.at("spec.template.spec.domain.firmware.uuid");
    if held.contains(&CONTROLLER_FINALIZER) && identity.is_set() {
        return None;
    }
    let mut patch = json!({});
    if !held.contains(&CONTROLLER_FINALIZER) {
        held.push(CONTROLLER_FINALIZER);
        put(
            &mut patch,
            ["metadata"],
            json!({
                "finalizers": held,
                "annotations": {LATEST_API: "v1", STORAGE_API: "v1"},
            }),
        );
    }
    if !identity.is_set() {
        let uuid = boot::legacy_uuid(vm.child("metadata").name());
        put(
            &mut patch,
            ["spec"],
            json!({"template": {"spec": {"domain": {"firmware": {"uuid": uuid}}}}}),
        );
    }
    Some(Change::merge(VIRT, Kind::Vm, vm, patch))
}

#[derive(Debug, PartialEq)]
pub enum Action {
    Nothing,
    Start,
    Stop,
}

/// What the run strategy and the requests of the subresources want now.
pub fn next_action(vm: &Field<'_>, vmi: Option<&Field<'_>>) -> Action {
    let strategy = run_strategy(vm);
    // Coming from another strategy is a reason to start, once.
    let changed = vm.at("status.runStrategy").text() != strategy;
    match vmi {
        Some(vmi) if is_deleting(vmi) => Action::Nothing,
        Some(vmi) => {
            let over = is_final(vmi);
            let stop = match strategy {
                "Halted" => true,
                "Always" | "RerunOnFailure" => over || stop_requested(vm, vmi),
                _ => stop_requested(vm, vmi),
            };
            if stop { Action::Stop } else { Action::Nothing }
        }
        None => {
            let start = match strategy {
                "Always" => true,
                "RerunOnFailure" => changed || start_requested(vm),
                "Once" => changed,
                "Manual" => start_requested(vm),
                _ => false,
            };
            if start {
                Action::Start
            } else {
                Action::Nothing
            }
        }
    }
}

fn requests<'a>(vm: &Field<'a>) -> impl Iterator<Item = Field<'a>> {
    vm.at("status.stateChangeRequests").items()
}

fn start_requested(vm: &Field<'_>) -> bool {
    requests(vm).any(|request| request.child("action").text() == "Start")
}

fn stop_requested(vm: &Field<'_>, vmi: &Field<'_>) -> bool {
    let uid = vmi.at("metadata.uid").text();
    requests(vm).any(|request| {
        request.child("action").text() == "Stop" && request.child("uid").text() == uid
    })
}

/// The requests that are still open, given what exists; a failed instance that shall run again adds one.
pub fn open_requests(vm: &Field<'_>, vmi: Option<&Field<'_>>, starts: bool) -> Vec<Value> {
    let uid = vmi.map_or("", |vmi| vmi.at("metadata.uid").text());
    let mut open: Vec<Value> = requests(vm)
        .filter(|request| match request.child("action").text() {
            "Stop" => vmi.is_some() && request.child("uid").text() == uid,
            // A start after a stop waits until the old instance is gone.
            _ => {
                !starts
                    && (vmi.is_none() || vmi.is_some_and(is_deleting) || requests(vm).count() > 1)
            }
        })
        .map(|request| request.value().clone())
        .collect();
    let failed =
        vmi.is_some_and(|vmi| vmi.at("status.phase").text() == "Failed" && !is_deleting(vmi));
    if failed && run_strategy(vm) == "RerunOnFailure" && !start_requested(vm) {
        open.push(json!({"action": "Start"}));
    }
    open
}

/// Creates the instance, as soon as templates and back-off allow.
fn start(world: &World, vm: &Field<'_>, moment: &Moment) -> Step {
    if !boot::templates_are_ready(world, vm) || boot::problem(world, vm).is_some() {
        return Step::quiet();
    }
    let failures = u32::try_from(vm.at("status.startFailure.consecutiveFailCount").integer())
        .unwrap_or_default();
    let pause = if failures == 0 {
        0
    } else {
        5_u32.saturating_mul(1 << failures.min(6)).min(MAX_BACKOFF)
    };
    if moment.waited < pause {
        return Step::wait(pause - moment.waited);
    }
    // A refused creation is tried again, more slowly.
    if moment.refusal.is_some() && moment.waited < MAX_BACKOFF {
        return Step::wait(MAX_BACKOFF - moment.waited);
    }
    Step::of([Change::Create {
        by: VIRT,
        at: at(Kind::Vmi, vm),
        object: boot::instance(vm, &Scenario::of(world, vm)),
    }])
}
