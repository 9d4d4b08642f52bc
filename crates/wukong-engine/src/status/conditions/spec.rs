//! `SpecValid`: whether the operator can apply the spec.

use wukong_api::validated::Source;
use wukong_api::{Bytes, ConditionType, InvalidWukong, Reason, ValidatedWukong, Wukong};
use wukong_storage::Existing;

use crate::desired::Body;
use crate::diagnosis::condition::Condition;
use crate::facts::{DataVolumeFact, Text};
use crate::initial;
use crate::ownership::{self, DiskSeen, DiskState, Owner};
use crate::target::Target;
use crate::world::World;

const TYPE: ConditionType = ConditionType::SpecValid;

/// Reports an invalid spec. `by_policy`: only rules of the operator settings reject it.
pub(crate) fn invalid(error: &InvalidWukong, by_policy: bool) -> Condition {
    if by_policy {
        return Condition::bad(TYPE, Reason::PolicyViolation, error.to_string())
            .hint("take the image from a host that is allowed, or have the operator's --denied-host changed");
    }
    Condition::bad(TYPE, Reason::InvalidSpec, error.to_string())
        .hint("correct the manifest; `kubectl explain wukong.spec` documents each field")
}

/// Reports disks that cannot change as in the spec: a smaller size, or another source.
pub(crate) fn immutable(disks: &[DiskSeen], data_volumes: &[Body]) -> Option<Condition> {
    disks.iter().enumerate().find_map(|(index, seen)| {
        if seen.state != DiskState::Free {
            return None;
        }
        shrunk(index, seen).or_else(|| other_source(index, seen, data_volumes))
    })
}

fn shrunk(index: usize, seen: &DiskSeen) -> Option<Condition> {
    let now: Bytes = seen
        .stands_for()
        .or_else(|| seen.data_volume.and_then(|volume| volume.size))?;
    (seen.disk.size < now).then(|| {
        let message = format!(
            "spec.disks[{index}].size: {} is less than the {now} that the disk has: a disk cannot shrink",
            seen.disk.size
        );
        Condition::bad(TYPE, Reason::ImmutableFieldChanged, message)
            .hint(format!("set {now} again; for a smaller disk, add one with another name and copy the data"))
    })
}

fn other_source(index: usize, seen: &DiskSeen, data_volumes: &[Body]) -> Option<Condition> {
    let volume = seen.data_volume?;
    let planned = data_volumes
        .iter()
        .find(|body| body.target.name == volume.meta.name)?;
    let planned_hash = planned
        .object
        .get("spec")
        .map(crate::managed_fields::hash)?;
    if planned_hash == volume.spec_hash {
        return None;
    }
    Some(other_snapshot(seen, volume).unwrap_or_else(|| {
        let name = &volume.meta.name;
        Condition::bad(
            TYPE,
            Reason::ImmutableFieldChanged,
            format!("spec.disks[{index}]: the disk was created from another source or with other settings, and these cannot change"),
        )
        .about(format!("DataVolume/{name}"))
        .hint(format!("undo the change, or add a disk with another name; to create this one again without its data: kubectl delete datavolume {name} -n {}", volume.meta.namespace))
    }))
}

/// Reports a disk that exists and is a copy of another WukongSnapshot than in the spec, or of none.
fn other_snapshot(seen: &DiskSeen, volume: &DataVolumeFact) -> Option<Condition> {
    let wanted = match &seen.disk.source {
        Source::WukongSnapshot { name, .. } => Some(name.as_str()),
        _ => None,
    };
    let made = volume.snapshot.as_deref().map(Text::as_str);
    if wanted == made {
        return None;
    }
    let origin = made.map_or("no WukongSnapshot".to_owned(), |made| {
        format!("WukongSnapshot {made}")
    });
    let message = format!(
        "spec.restoreFromSnapshot: disk {} exists and is a copy of {origin}: the field fills new disks only",
        seen.disk.name
    );
    let undo = made.map_or("remove restoreFromSnapshot".to_owned(), |made| {
        format!("write restoreFromSnapshot: {made} again")
    });
    let wukong = volume.meta.wukong.as_deref().unwrap_or("NAME");
    Some(
        Condition::bad(TYPE, Reason::ImmutableFieldChanged, message)
            .about(format!("DataVolume/{}", volume.meta.name))
            .hint(format!(
                "{undo}; to bring a snapshot back into this VM: kubectl wukong restore {wukong} --snapshot {} -n {}",
                wanted.unwrap_or("SNAPSHOT"),
                volume.meta.namespace
            )),
    )
}

/// Reports a new disk that is smaller than in its WukongSnapshot.
pub(crate) fn below_snapshot(
    wukong: &ValidatedWukong,
    disks: &[DiskSeen],
    world: &World,
) -> Option<Condition> {
    disks.iter().enumerate().find_map(|(index, seen)| {
        let disk = seen.disk;
        let size = initial::size(wukong, disk, world)?;
        let is_new = seen.existing == Existing::Nothing && seen.claim.is_none();
        (is_new && disk.size < size).then(|| {
            let message = format!(
                "spec.disks[{index}].size: {} is less than the {size} that disk {} has in the snapshot",
                disk.size, disk.name
            );
            Condition::bad(TYPE, Reason::InvalidSpec, message).hint(format!("write size: {size} or more"))
        })
    })
}

/// Reports a foreign object that has one of our names.
pub(crate) fn name_conflict(
    wukong: &ValidatedWukong,
    disks: &[DiskSeen],
    bodies: &[&Body],
    world: &World,
) -> Option<Condition> {
    let namespace = &wukong.identity.namespace;
    let disk = disks.iter().find_map(|seen| match &seen.state {
        DiskState::Taken { object, owner } => foreign(object, owner, namespace),
        DiskState::Free | DiskState::Wait => None,
    });
    // The disks above have their own check: retained ones have no controller.
    let others = || {
        bodies
            .iter()
            .filter(|body| !body.target.kind.is_of_disk())
            .find_map(|body| {
                let owner = ownership::owner(&body.target, wukong, world)?;
                foreign(&body.target.to_string(), &owner, namespace)
            })
    };
    disk.or_else(others)
}

/// Reports a write that the API server rejected because a foreign object has the name. For Secrets, which the operator
/// may not read, there is no other way to know it.
pub(crate) fn name_refused(refused: &Target, namespace: &str) -> Condition {
    taken(
        &refused.to_string(),
        "it does not belong to this Wukong",
        namespace,
    )
}

/// Reports an object that the operator does not change.
fn foreign(object: &str, owner: &Owner, namespace: &str) -> Option<Condition> {
    match owner {
        Owner::Us | Owner::Retained | Owner::Leaving => None,
        Owner::Restored => Some(restored(object, namespace)),
        Owner::Other(owner) => Some(taken(object, owner, namespace)),
    }
}

/// Reports an object that has the label of this Wukong, but was neither applied by the operator nor has an owner.
fn restored(object: &str, namespace: &str) -> Condition {
    let owner = "it has the label of this Wukong but no owner: a backup program restored it, or it is a copy";
    let hint = match object.split_once('/') {
        Some(("DataVolume", name)) => format!(
            "if it has the disk of this VM, delete the DataVolume alone, which keeps the claim and its data, and the operator uses the claim: kubectl delete datavolume {name} --cascade=orphan -n {namespace}; without that option the data is deleted"
        ),
        Some(("VirtualMachine", name)) => format!(
            "delete it, which stops its guest and keeps its disks, and the operator creates it again: kubectl delete virtualmachine {name} -n {namespace}"
        ),
        _ => format!(
            "delete it, and the operator creates it again: kubectl delete {} -n {namespace}",
            object.to_lowercase()
        ),
    };
    taken(object, owner, namespace).hint(hint)
}

fn taken(object: &str, owner: &str, namespace: &str) -> Condition {
    Condition::bad(
        TYPE,
        Reason::NameConflict,
        format!("{object} exists already, and {owner}: the operator does not change it"),
    )
    .about(object)
    .hint(match object.split_once('/') {
        Some(("DataVolume" | "PersistentVolumeClaim", _)) => {
            "rename this Wukong or its disk, or name the claim in disks[].claim to use it as it is; deleting the other object deletes its data".to_owned()
        }
        Some(("Secret", name)) => format!(
            "if a backup program restored it, delete it, and the operator creates it again: kubectl delete secret {name} -n {namespace}; otherwise rename this Wukong or the Secret"
        ),
        _ => "rename this Wukong or the other object, or delete the other object".to_owned(),
    })
}

/// Reports a valid spec, and the fields of it that have no effect.
pub(crate) fn valid(requested: &Wukong) -> Condition {
    let ignored = requested.ignored_fields();
    if !ignored.is_empty() {
        let ignored: Vec<String> = ignored.iter().map(ToString::to_string).collect();
        let message = format!("The spec is valid, but: {}", ignored.join("; "));
        return Condition::ok(TYPE, Reason::UnsupportedCombination, message);
    }
    Condition::ok(TYPE, Reason::Valid, "The spec is valid")
}
