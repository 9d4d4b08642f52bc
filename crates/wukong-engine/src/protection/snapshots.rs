//! One WukongSnapshot: its VirtualMachineSnapshot, and its status.

use serde_json::Value;
use wukong_api::protection::{
    SnapshotPhase, SnapshotVolume, WukongSnapshotSpec, WukongSnapshotStatus,
};
use wukong_api::{ConditionType, Reason, names};
use wukong_protection::snapshot::{Stored, consistency, plan};

use super::report::{is_true, reported};
use super::subject::Subject;
use crate::decision::{Apply, Expect};
use crate::desired::Body;
use crate::diagnosis::condition::Condition;
use crate::facts::{
    ClaimFact, OperationFact, Presence, Seen, VirtualMachineFact, WukongSnapshotFact,
};
use crate::generations;
use crate::observed::Memory;
use crate::status_report::{Reported, StatusReport};
use crate::target::{Kind, Target};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const RESOLVED: ConditionType = ConditionType::SourceResolved;
const TAKEN: ConditionType = ConditionType::SnapshotTaken;

/// Decides one snapshot: the VirtualMachineSnapshot to create, and the status to write.
pub(super) fn decide(
    found: &Subject,
    snapshot: &WukongSnapshotFact,
    memory: &Memory,
) -> (Option<Apply>, Option<StatusReport>) {
    let Some((spec, before)) = snapshot.open.as_deref() else {
        return (None, None);
    };
    let ours = ours(found, snapshot);
    let mut create = None;
    let mut conditions = Vec::new();
    match ours {
        // A snapshot that exists does not need its VM any more.
        Seen::Present(Some(taken)) => {
            conditions.push(Condition::ok(
                RESOLVED,
                Reason::Resolved,
                "The VM existed when the snapshot began",
            ));
            conditions.extend(progress(found, spec, taken));
        }
        Seen::Present(None) => {
            conditions.push(name_conflict(&snapshot.meta.name, found.namespace));
        }
        Seen::Unknown => {
            let presence = found.world.vm_snapshots.presence();
            conditions.push(Condition::unseen(
                RESOLVED,
                presence,
                "VirtualMachineSnapshots",
            ));
        }
        Seen::Absent => {
            let resolved = resolved(found, spec);
            let ready = resolved.is_fine();
            conditions.push(resolved);
            if ready {
                let apply = apply(found, snapshot, spec);
                conditions.push(match memory.failure(&apply.target, &apply.hash) {
                    Some(failure) => Condition::bad(
                        TAKEN,
                        Reason::ApplyFailed,
                        format!(
                            "The API server rejects {}: {}",
                            apply.target, failure.message
                        ),
                    )
                    .about(apply.target.to_string())
                    .hint("fix this error; the operator retries"),
                    None => Condition::progressing(
                        TAKEN,
                        Reason::Creating,
                        "The operator is creating the VirtualMachineSnapshot",
                    ),
                });
                create = Some(apply);
            }
        }
    }
    let spec_then = match ours {
        Seen::Absent if create.is_some() => spec_now(found),
        // The operator stopped between the request and the status.
        Seen::Present(Some(taken)) if taken.phase != "Succeeded" => {
            before.spec.clone().or_else(|| spec_now(found))
        }
        _ => before.spec.clone(),
    };
    let status = WukongSnapshotStatus {
        spec: spec_then,
        ..status(found, snapshot, conditions, before, ours)
    };
    let report = (status != *before).then(|| StatusReport {
        kind: Reported::WukongSnapshot,
        name: snapshot.meta.name.to_string(),
        uid: snapshot.meta.uid.to_string(),
        status: serde_json::to_value(&status).unwrap_or_default(),
    });
    (create, report)
}

/// The VirtualMachineSnapshot of that name; `None` for one that is not ours.
fn ours<'a>(found: &Subject<'a>, snapshot: &WukongSnapshotFact) -> Seen<Option<&'a OperationFact>> {
    let name = &snapshot.meta.name;
    match found.world.vm_snapshots.get(found.namespace, name) {
        Seen::Unknown => Seen::Unknown,
        Seen::Absent => Seen::Absent,
        Seen::Present(taken) if taken.meta.is_controlled_by(&snapshot.meta.uid) => {
            Seen::Present(Some(taken))
        }
        Seen::Present(_) => Seen::Present(None),
    }
}

fn name_conflict(name: &str, namespace: &str) -> Condition {
    let object = format!("VirtualMachineSnapshot/{name}");
    Condition::bad(
        RESOLVED,
        Reason::NameConflict,
        format!("{object} exists already and does not belong to this snapshot"),
    )
    .hint(format!(
        "create a snapshot of another name, or delete this object: kubectl delete virtualmachinesnapshot {name} -n {namespace}"
    ))
    .about(object)
}

/// Whether there is a VM of which a snapshot can be taken.
fn resolved(found: &Subject, spec: &WukongSnapshotSpec) -> Condition {
    let name = found.name;
    if let Some(missing) = found.missing("snapshot") {
        return missing;
    }
    if found.world.vm_snapshots.presence() == Presence::Missing {
        return Condition::bad(
            RESOLVED,
            Reason::KubeVirtNotInstalled,
            "The API server does not serve VirtualMachineSnapshots",
        )
        .hint("install KubeVirt with its snapshot controller");
    }
    if disks(found).next().is_none() {
        return Condition::bad(
            RESOLVED,
            Reason::InvalidSpec,
            format!("Wukong {name} has no disks"),
        )
        .about(format!("Wukong/{name}"))
        .hint("delete the snapshot: a VM without disks keeps no data");
    }
    let Some(vm) = vm(found) else {
        return Condition::progressing(
            RESOLVED,
            Reason::WaitingForVM,
            format!("VirtualMachine {name} does not exist yet"),
        )
        .about(format!("VirtualMachine/{name}"));
    };
    if let Some((disk, why)) = left_out(found, vm).filter(|_| spec.allow_partial != Some(true)) {
        return Condition::bad(
            RESOLVED,
            Reason::NoSnapshotClass,
            format!("disk {disk} would not be in the snapshot: {why}"),
        )
        .about(format!("VirtualMachine/{name}"))
        .hint("create a VolumeSnapshotClass for the driver of its StorageClass, or set allowPartial: true");
    }
    if let Some(disk) = unbound(found).filter(|_| spec.allow_partial != Some(true)) {
        return Condition::progressing(
            RESOLVED,
            Reason::WaitingForDisk,
            format!("disk {disk} has no content yet"),
        )
        .about(format!("Wukong/{name}"));
    }
    if let Some(operation) = &vm.operation {
        return Condition::progressing(
            RESOLVED,
            Reason::OperationInProgress,
            format!("{operation} of the VM is in progress"),
        )
        .about(operation.to_string());
    }
    Condition::ok(RESOLVED, Reason::Resolved, "The VM exists")
}

/// The spec of the Wukong, without its secrets.
fn spec_now(found: &Subject) -> Option<Value> {
    let spec = found.wukong?.spec.clone();
    serde_json::to_value(spec.without_passwords()).ok()
}

fn vm<'a>(found: &Subject<'a>) -> Option<&'a VirtualMachineFact> {
    let uid = found.wukong?.metadata.uid.as_deref()?;
    let vms = &found.world.virtual_machines;
    let vm = vms.get(found.namespace, found.name).present();
    vm.filter(|vm| vm.meta.is_controlled_by(uid) && !vm.meta.deleting)
}

/// The first disk of the Wukong of which KubeVirt cannot take a snapshot, with its reason.
fn left_out<'a>(found: &Subject, vm: &'a VirtualMachineFact) -> Option<(&'a str, &'a str)> {
    let disks = &found.wukong?.spec.disks;
    let excluded = vm.not_snapshottable();
    let (disk, why) = excluded
        .iter()
        .find(|(name, _)| disks.iter().any(|disk| name == &*disk.name))?;
    Some((disk, why))
}

/// The claim that a disk uses, as far as the Wukong has reported it.
fn claim<'a>(found: &Subject<'a>, disk: &str) -> Option<&'a ClaimFact> {
    let volumes = found
        .wukong?
        .status
        .iter()
        .flat_map(|status| &status.volumes);
    let mut used = volumes.filter(|volume| volume.name == disk);
    let used = used.next().and_then(|volume| volume.pvc_name.as_deref());
    let first = names::claim(found.name, disk);
    let claims = &found.world.claims;
    claims
        .get(found.namespace, used.unwrap_or(&first))
        .present()
}

/// The first disk without a bound claim: KubeVirt would leave it out.
fn unbound<'a>(found: &Subject<'a>) -> Option<&'a str> {
    disks(found).find(|disk| claim(found, disk).is_none_or(|claim| claim.phase != "Bound"))
}

fn apply(found: &Subject, snapshot: &WukongSnapshotFact, spec: &WukongSnapshotSpec) -> Apply {
    let planned = plan(&Stored {
        namespace: found.namespace,
        name: &snapshot.meta.name,
        uid: &snapshot.meta.uid,
        spec,
    });
    let body = Body::of(Kind::VirtualMachineSnapshot, &planned);
    Apply {
        target: Target {
            kind: Kind::VirtualMachineSnapshot,
            name: snapshot.meta.name.to_string(),
        },
        expect: Expect::Absent,
        body: body.object,
        hash: body.hash,
    }
}

/// What KubeVirt does with it.
fn progress(found: &Subject, spec: &WukongSnapshotSpec, taken: &OperationFact) -> Vec<Condition> {
    let (name, namespace) = (&taken.meta.name, found.namespace);
    let object = format!("VirtualMachineSnapshot/{name}");
    if taken.has_failed() {
        let words = taken.words().unwrap_or_default();
        return vec![
            Condition::bad(
                TAKEN,
                Reason::OperationFailed,
                format!("KubeVirt gave up on {object}: {words}"),
            )
            .about(object)
            .hint("fix the error in the message, and create another snapshot"),
        ];
    }
    if taken.phase != "Succeeded" {
        let words = taken.words().map(|words| format!(": {words}"));
        return vec![
            Condition::progressing(
                TAKEN,
                Reason::Creating,
                format!("KubeVirt takes the snapshot{}", words.unwrap_or_default()),
            )
            .about(object)
            .hint(format!(
                "No action needed. If it does not end: kubectl describe virtualmachinesnapshot {name} -n {namespace}"
            )),
        ];
    }
    let missing: Vec<&str> = disks(found)
        .filter(|disk| !taken.has_volume(disk))
        .collect();
    if !missing.is_empty() && spec.allow_partial != Some(true) {
        return vec![
            Condition::bad(
                TAKEN,
                Reason::SnapshotIncomplete,
                format!("These disks are not in the snapshot: {}", missing.join(", ")),
            )
            .about(object)
            .hint("create a VolumeSnapshotClass for the driver of their StorageClass, and create another snapshot"),
        ];
    }
    let ready = match taken.ready {
        true => Condition::ok(
            ConditionType::SnapshotReady,
            Reason::Bound,
            "Disks can be restored from the snapshot",
        ),
        false => Condition::progressing(
            ConditionType::SnapshotReady,
            Reason::SnapshotNotReady,
            "The snapshot is taken, and its driver still copies the content",
        )
        .about(object),
    };
    vec![
        Condition::ok(TAKEN, Reason::Created, "The snapshot is taken"),
        ready,
    ]
}

/// The disks of which a snapshot is taken: all that are the Wukong's own or that it uses.
fn disks<'a>(found: &Subject<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let wukong = found.wukong;
    wukong
        .into_iter()
        .flat_map(|wukong| &wukong.spec.disks)
        .map(|disk| disk.name.as_str())
}

fn status(
    found: &Subject,
    snapshot: &WukongSnapshotFact,
    conditions: Vec<Condition>,
    before: &WukongSnapshotStatus,
    ours: Seen<Option<&OperationFact>>,
) -> WukongSnapshotStatus {
    let taken = ours.present().flatten();
    let succeeded = taken.filter(|taken| taken.phase == "Succeeded");
    let has = |reason: Reason| {
        conditions
            .iter()
            .any(|condition| condition.type_ == TAKEN && condition.reason == reason)
    };
    let phase = if has(Reason::OperationFailed) || has(Reason::SnapshotIncomplete) {
        SnapshotPhase::Failed
    } else if is_true(&conditions, TAKEN) {
        SnapshotPhase::Succeeded
    } else if taken.is_some() {
        SnapshotPhase::Creating
    } else {
        SnapshotPhase::Pending
    };
    let size = |disk: &str| Some(generations::guest_size(claim(found, disk)?)?.to_string());
    let volume = |(disk, taken): (&str, &OperationFact)| {
        let included = taken.has_volume(disk);
        SnapshotVolume {
            name: disk.to_owned(),
            included,
            why: (!included).then(|| "KubeVirt left it out".to_owned()),
            size: size(disk),
        }
    };
    let volumes = match succeeded {
        Some(taken) if before.volumes.is_empty() => {
            disks(found).map(|disk| volume((disk, taken))).collect()
        }
        _ => before.volumes.clone(),
    };
    let before_conditions = (&*before.conditions, before.blocker.as_ref());
    let done = "Disks can be restored from the snapshot";
    let (conditions, blocker) = reported(conditions, before_conditions, done, found.now);
    WukongSnapshotStatus {
        phase: Some(phase),
        snapshot_name: taken
            .map(|_| snapshot.meta.name.to_string())
            .or_else(|| before.snapshot_name.clone()),
        creation_time: taken.and_then(|taken| taken.taken_at).map(Time),
        ready_to_use: phase == SnapshotPhase::Succeeded
            && succeeded.is_some_and(|taken| taken.ready),
        consistency: succeeded
            .map(|taken| consistency(taken.indications.iter().map(|text| text.as_str()))),
        volumes,
        spec: None,
        error: taken
            .and_then(|taken| taken.error.as_ref())
            .map(ToString::to_string),
        conditions,
        blocker,
    }
}
