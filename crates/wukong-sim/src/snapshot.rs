//! The simulation of KubeVirt's snapshot controller, and of the CSI snapshotter below it.
//!
//! [`next`] decides the next single step of a VirtualMachineSnapshot. The states follow KubeVirt 1.9 as it was observed: the VM is
//! locked while its snapshot is taken, a volume without a snapshot class is left out without an error, and the sentences are
//! in the reasons of the conditions. The VolumeSnapshots belong to the VirtualMachineSnapshot: there is no content object.
//!
//! Scenarios: `snapshot-exclude=DISK` leaves a volume out, `snapshot-error=TEXT` lets the driver fail with this error,
//! `snapshot-stuck` lets it never answer.

use serde_json::{Value, json};

use super::change::{Change, Conditions, Manager, Moment, Step};
use super::field::{Field, put};
use super::installation;
use super::kind::{Kind, Ref};
use super::reality::Copy;
use super::scenario::Scenario;
use super::world::World;

/// Paces until a snapshot that is not complete has failed (`failureDeadline`).
const DEADLINE: u32 = 12;

/// The next step of the VirtualMachineSnapshot of this name.
pub fn next(world: &World, namespace: &str, name: &str, moment: &Moment) -> Step {
    let Some(snapshot) = world.get(Kind::VmSnapshot, namespace, name) else {
        return Step::quiet();
    };
    if !installation::is_at_work(world, Kind::KubeVirt) {
        return Step::quiet();
    }
    let vm = world.get(Kind::Vm, namespace, snapshot.at("spec.source.name").text());
    let locked = vm.as_ref().filter(|vm| lock(vm) == name);
    if let "Succeeded" | "Failed" = snapshot.at("status.phase").text() {
        let unlock = |vm: &Field<'_>| set_lock(vm, &Value::Null);
        return Step::of(locked.map(unlock));
    }
    let Some(vm) = &vm else {
        let words = Some(("False", "Source does not exist"));
        return Step::of(report(&snapshot, in_progress(&snapshot), words, moment));
    };
    let scenario = Scenario::of(world, vm);
    if locked.is_none() {
        if !lock(vm).is_empty() {
            let words = Some(("False", "Source not locked. Snapshot in progress"));
            return Step::of(report(&snapshot, in_progress(&snapshot), words, moment));
        }
        return Step::of([set_lock(vm, &json!(name))]);
    }
    let (included, excluded) = volumes(world, vm, &scenario);
    let missing = included.iter().filter(|(volume, _)| {
        world
            .get(
                Kind::VolumeSnapshot,
                namespace,
                &volume_name(&snapshot, volume),
            )
            .is_none()
    });
    let missing: Vec<Change> = missing
        .map(|(volume, claim)| create(&snapshot, volume, claim))
        .collect();
    if !missing.is_empty() {
        return Step::of(missing);
    }
    let taken: Vec<Field<'_>> = included
        .iter()
        .filter_map(|(volume, _)| {
            let name = volume_name(&snapshot, volume);
            world.get(Kind::VolumeSnapshot, namespace, &name)
        })
        .collect();
    let open: Vec<&Field<'_>> = taken
        .iter()
        .filter(|taken| !taken.at("status.readyToUse").is_true())
        .collect();
    if !open.is_empty() {
        return wait(world, &snapshot, &open, &scenario, moment);
    }
    let mut status = in_progress(&snapshot);
    for (key, value) in [
        ("phase", json!("Succeeded")),
        ("readyToUse", json!(true)),
        ("creationTime", json!(moment.now)),
        (
            "snapshotVolumes",
            json!({
                "includedVolumes": included.iter().map(|(volume, _)| volume).collect::<Vec<_>>(),
                "excludedVolumes": excluded,
            }),
        ),
    ] {
        put(&mut status, [key], value);
    }
    let indications = indications(world, vm, &excluded);
    if !indications.is_empty() {
        put(&mut status, ["indications"], json!(indications));
    }
    let mut conditions = Conditions::of(&Field::new("", &status));
    conditions.set(
        "Progressing",
        "False",
        "Operation complete",
        "",
        &moment.now,
    );
    conditions.set("Ready", "True", "Ready", "", &moment.now);
    put(&mut status, ["conditions"], conditions.into_value());
    put(&mut status, ["error"], Value::Null);
    Step::of(Change::status(
        Manager::VirtController,
        Kind::VmSnapshot,
        &snapshot,
        &without_null(status),
    ))
}

fn without_null(mut status: Value) -> Value {
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    status
}

/// The driver has not answered for some VolumeSnapshots: it answers now, or with an error, or never.
fn wait(
    world: &World,
    snapshot: &Field<'_>,
    open: &[&Field<'_>],
    scenario: &Scenario,
    moment: &Moment,
) -> Step {
    let words = Some(("True", "Source locked and operation in progress"));
    let progress = report(snapshot, in_progress(snapshot), words, moment);
    // A real copy takes its time, and may fail.
    let copy = |taken: &Field<'_>| world.reality.as_ref()?.copy(taken);
    let failed = open.iter().find_map(|taken| match copy(taken)? {
        Copy::Failed(words) => Some(words.as_str()),
        Copy::Done => None,
    });
    let failing = scenario.value("snapshot-error").or(failed);
    if failing.is_none() && !scenario.has("snapshot-stuck") {
        if let Some(progress) = progress {
            return Step::of([progress]);
        }
        let answer = |taken: &&Field<'_>| {
            let status = json!({
                "readyToUse": true, "creationTime": moment.now,
                "restoreSize": taken.at("metadata.annotations").child(SIZE).text(),
            });
            Change::status(
                Manager::CsiSnapshotter,
                Kind::VolumeSnapshot,
                taken,
                &status,
            )
        };
        let taken =
            |taken: &&&Field<'_>| world.reality.is_none() || copy(taken) == Some(&Copy::Done);
        return Step::of(open.iter().filter(taken).filter_map(answer));
    }
    if moment.waited >= DEADLINE {
        let mut status = in_progress(snapshot);
        put(&mut status, ["phase"], json!("Failed"));
        let mut conditions = Conditions::of(&Field::new("", &status));
        conditions.set("Progressing", "False", "Operation failed", "", &moment.now);
        let reason = "snapshot deadline exceeded";
        conditions.set("Failure", "True", reason, "", &moment.now);
        put(&mut status, ["conditions"], conditions.into_value());
        return Step::of(Change::status(
            Manager::VirtController,
            Kind::VmSnapshot,
            snapshot,
            &status,
        ));
    }
    let step = match (failing, open.first()) {
        (Some(error), Some(taken)) => {
            let name = taken.child("metadata").name();
            let mut status = in_progress(snapshot);
            let message = format!("VolumeSnapshot {name} error: {error}");
            put(&mut status, ["error"], json!({"message": message}));
            let words = Some(("False", "In error state"));
            Step::of(report(snapshot, status, words, moment))
        }
        _ => Step::of(progress),
    };
    match step.changes.is_empty() {
        true => Step::wait(DEADLINE.saturating_sub(moment.waited)),
        false => step,
    }
}

const SIZE: &str = "simulator.wukong.dev/restore-size";

fn lock<'a>(vm: &Field<'a>) -> &'a str {
    vm.at("status.snapshotInProgress").text()
}

fn set_lock(vm: &Field<'_>, name: &Value) -> Change {
    let metadata = vm.child("metadata");
    Change::Merge {
        by: Manager::VirtController,
        at: Ref::new(
            Kind::Vm,
            metadata.child("namespace").text(),
            metadata.name(),
        ),
        version: None,
        status: true,
        patch: json!({"status": {"snapshotInProgress": name}}),
    }
}

/// The status so far, as one in progress.
fn in_progress(snapshot: &Field<'_>) -> Value {
    let status = snapshot.child("status");
    let mut status = match status.is_set() {
        true => status.value().clone(),
        false => json!({}),
    };
    put(&mut status, ["phase"], json!("InProgress"));
    put(&mut status, ["readyToUse"], json!(false));
    status
}

fn report(
    snapshot: &Field<'_>,
    mut status: Value,
    words: Option<(&str, &str)>,
    moment: &Moment,
) -> Option<Change> {
    let mut conditions = Conditions::of(&Field::new("", &status));
    if let Some((state, reason)) = words {
        conditions.set("Progressing", state, reason, "", &moment.now);
        conditions.set("Ready", "False", "Not ready", "", &moment.now);
    }
    put(&mut status, ["conditions"], conditions.into_value());
    Change::status(Manager::VirtController, Kind::VmSnapshot, snapshot, &status)
}

/// The volumes of claims with their claims, and those that a snapshot leaves out.
fn volumes<'a>(
    world: &'a World,
    vm: &Field<'_>,
    scenario: &Scenario,
) -> (Vec<(String, Field<'a>)>, Vec<String>) {
    let namespace = vm.at("metadata.namespace").text();
    let (mut included, mut excluded) = (Vec::new(), Vec::new());
    for volume in vm.at("spec.template.spec.volumes").items() {
        let claim = match volume.child("dataVolume").name() {
            "" => volume.at("persistentVolumeClaim.claimName").text(),
            name => name,
        };
        let bound = world
            .get(Kind::Claim, namespace, claim)
            .filter(|claim| claim.at("status.phase").text() == "Bound");
        let name = volume.name().to_owned();
        match bound.filter(|_| scenario.value("snapshot-exclude") != Some(&name)) {
            Some(claim) => included.push((name, claim)),
            None => excluded.push(name),
        }
    }
    (included, excluded)
}

fn volume_name(snapshot: &Field<'_>, volume: &str) -> String {
    let uid = snapshot.at("metadata.uid").text();
    format!("vmsnapshot-{uid}-volume-{volume}")
}

fn create(snapshot: &Field<'_>, volume: &str, claim: &Field<'_>) -> Change {
    let namespace = snapshot.at("metadata.namespace").text();
    let name = volume_name(snapshot, volume);
    let size = claim.at("status.capacity.storage").text();
    Change::Create {
        by: Manager::VirtController,
        at: Ref::new(Kind::VolumeSnapshot, namespace, &*name),
        object: json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {
                "name": name, "namespace": namespace, "annotations": {SIZE: size},
                "labels": {"snapshot.kubevirt.io/source-vm-name": snapshot.at("spec.source.name").text()},
                "ownerReferences": [{
                    "apiVersion": "snapshot.kubevirt.io/v1beta1", "kind": "VirtualMachineSnapshot",
                    "name": snapshot.child("metadata").name(), "uid": snapshot.at("metadata.uid").text(), "controller": true,
                }],
            },
            "spec": {"source": {"persistentVolumeClaimName": claim.child("metadata").name()}},
        }),
    }
}

fn indications(world: &World, vm: &Field<'_>, excluded: &[String]) -> Vec<&'static str> {
    let metadata = vm.child("metadata");
    let (namespace, name) = (metadata.child("namespace").text(), metadata.name());
    let Some(vmi) = world.get(Kind::Vmi, namespace, name) else {
        return Vec::new();
    };
    let agent = Conditions::of(&vmi.child("status")).status("AgentConnected") == "True";
    let seed = |volume: &Field<'_>| {
        volume.set_among(&["cloudInitNoCloud", "cloudInitConfigDrive", "containerDisk"]) > 0
    };
    let partial = vm
        .at("spec.template.spec.volumes")
        .items()
        .any(|volume| !seed(&volume) && excluded.iter().any(|name| name == volume.name()));
    let agent = match agent {
        true => "GuestAgent",
        false => "NoGuestAgent",
    };
    let partial = partial.then_some("PartialSnapshot");
    [agent, "Online"].into_iter().chain(partial).collect()
}
