//! `VolumesBound`: the disks have their content.

use std::collections::BTreeMap;

use wukong_api::{ConditionType, Reason};

use super::import;
use crate::condition::{Condition, Status};
use crate::facts::{ClaimFact, DataVolumeFact, find_condition};
use crate::observed::Memory;
use crate::ownership::DiskSeen;
use crate::store::Presence;
use crate::world::World;

const TYPE: ConditionType = ConditionType::VolumesBound;

/// A disk that should grow and cannot.
pub(crate) struct Refused {
    pub disk: String,
    pub why: String,
}

/// The condition on the disk that needs most attention. `said` is what was said of failing imports before, by disk: an
/// importer's words come and go while it restarts, so they are kept. `runs`: the VM is asked to run.
pub(crate) fn condition(
    disks: &[DiskSeen],
    refused: &[Refused],
    world: &World,
    memory: &Memory,
    runs: bool,
    said: &BTreeMap<&str, &str>,
) -> Condition {
    let conditions = disks
        .iter()
        .map(|seen| disk(seen, refused, world, memory, said))
        .map(|condition| match condition.reason {
            Reason::WaitingForFirstConsumer if !runs => until_it_starts(condition),
            _ => condition,
        });
    let rank = |condition: &Condition| match condition.status {
        Status::False => 0,
        Status::Progressing => 1,
        Status::Unknown => 2,
        Status::True if condition.reason != Reason::Bound => 3,
        Status::True | Status::Intended => 4,
    };
    conditions
        .min_by_key(rank)
        .unwrap_or_else(|| Condition::ok(TYPE, Reason::Bound, "There are no disks"))
}

fn disk(
    seen: &DiskSeen,
    refused: &[Refused],
    world: &World,
    memory: &Memory,
    said: &BTreeMap<&str, &str>,
) -> Condition {
    let name = &seen.disk.name;
    let before = said.get(name.as_str()).copied();
    if seen.unseen {
        let presence = world.data_volumes.presence();
        return match presence {
            Presence::Unknown | Presence::Forbidden => {
                Condition::unseen(TYPE, presence, "DataVolumes")
            }
            Presence::Missing | Presence::Served => {
                Condition::unseen(TYPE, world.claims.presence(), "PersistentVolumeClaims")
            }
        };
    }
    let lost = |claim: &ClaimFact| {
        Condition::bad(TYPE, Reason::ClaimLost, format!("disk {name}: the volume behind claim {} is lost", claim.meta.name))
            .about(format!("PersistentVolumeClaim/{}", claim.meta.name))
            .hint("bring the PersistentVolume back, or delete the claim and its DataVolume to make the disk anew without its data")
    };
    if let Some(claim) = seen.claim.filter(|claim| claim.phase == "Lost") {
        return lost(claim);
    }
    if let Some(refused) = refused.iter().find(|refused| refused.disk == *name) {
        return Condition::bad(
            TYPE,
            Reason::ResizeRefused,
            format!("disk {name} cannot grow: {}", refused.why),
        )
        .about(format!("PersistentVolumeClaim/{}", seen.claim_name))
        .hint("use a StorageClass that can expand volumes, or write the old size again");
    }
    match (seen.data_volume, seen.claim) {
        (Some(volume), claim) => data_volume(name, volume, claim, world, before),
        (None, Some(claim)) => plain_claim(name, claim, world),
        (None, None) if world.data_volumes.presence() == Presence::Missing => Condition::bad(
            TYPE,
            Reason::CDINotInstalled,
            format!("disk {name} is filled by CDI, which is not installed"),
        )
        .hint("install CDI (Containerized Data Importer); the disk is then made by itself"),
        (None, None) => {
            let failed = memory
                .failures
                .iter()
                .find(|(target, _)| target.name == seen.claim_name);
            match failed {
                Some((target, failure)) => Condition::progressing(
                    TYPE,
                    Reason::Pending,
                    format!(
                        "disk {name}: {target} cannot be written: {}",
                        failure.message
                    ),
                ),
                None => Condition::progressing(
                    TYPE,
                    Reason::Pending,
                    format!("disk {name} is being made"),
                ),
            }
        }
    }
}

fn data_volume(
    name: &str,
    volume: &DataVolumeFact,
    claim: Option<&ClaimFact>,
    world: &World,
    before: Option<&str>,
) -> Condition {
    let object = format!("DataVolume/{}", volume.meta.name);
    let running = find_condition(&volume.conditions, "Running");
    if let Some(quota) = volume
        .conditions
        .iter()
        .find(|condition| condition.reason == "ErrExceededQuota")
    {
        return Condition::bad(TYPE, Reason::QuotaExceeded, format!("disk {name}: {}", quota.message))
            .about(object)
            .hint("raise the quota: an import on a CSI class needs twice the storage, and file systems 6 % more; CDI tries again within minutes");
    }
    match volume.phase.as_str() {
        "Succeeded" => {
            return claim.map_or_else(
                || being_made(name, "its claim is missing"),
                |claim| plain_claim(name, claim, world),
            );
        }
        "WaitForFirstConsumer" | "PendingPopulation" => {
            return first_consumer(name, &volume.meta.name);
        }
        _ => {}
    }
    if let Some(pull) = running.filter(|running| running.reason == "ImagePullFailed") {
        return Condition::bad(
            TYPE,
            Reason::ImagePullFailed,
            format!(
                "disk {name}: the importer's image cannot be pulled: {}",
                pull.message
            ),
        )
        .about(object)
        .hint("see that the node reaches the registry of CDI's images");
    }
    if let Some(failure) = import::failure(name, volume, before) {
        return failure.about(object);
    }
    if let Some(invalid) = volume
        .conditions
        .iter()
        .find(|condition| condition.reason == "ErrClaimNotValid")
    {
        return Condition::bad(
            TYPE,
            Reason::StorageProfileIncomplete,
            format!("disk {name}: CDI cannot make a claim: {}", invalid.message),
        )
        .about(object)
        .hint("give the disk accessModes, or complete the StorageProfile of its class");
    }
    let importing = [
        "Import",
        "Clone",
        "CSIClone",
        "Snapshot",
        "SmartClone",
        "Rebind",
        "Prep",
        "NamespaceTransfer",
        "Expansion",
        "PVCBound",
        "Upload",
    ];
    if importing
        .iter()
        .any(|start| volume.phase.starts_with(start))
    {
        let progress = volume
            .progress
            .as_deref()
            .filter(|progress| *progress != "N/A");
        let progress = progress
            .map(|progress| format!(" ({progress})"))
            .unwrap_or_default();
        let restarts = match volume.restart_count {
            0 => String::new(),
            count => format!(", after {count} restarts of the importer"),
        };
        return Condition::progressing(
            TYPE,
            Reason::Importing,
            format!("disk {name} is being filled{progress}{restarts}"),
        )
        .about(object);
    }
    being_made(name, "CDI has not begun yet").about(object)
}

fn being_made(name: &str, detail: &str) -> Condition {
    Condition::progressing(
        TYPE,
        Reason::Pending,
        format!("disk {name} is being made: {detail}"),
    )
}

fn plain_claim(name: &str, claim: &ClaimFact, world: &World) -> Condition {
    let object = format!("PersistentVolumeClaim/{}", claim.meta.name);
    if claim.phase != "Bound" {
        let class = claim
            .class
            .as_deref()
            .and_then(|class| world.environment.storage_classes.get("", class).present());
        if class.is_some_and(|class| class.waits_for_first_consumer) {
            return first_consumer(name, &claim.meta.name);
        }
        return Condition::progressing(
            TYPE,
            Reason::Pending,
            format!("disk {name}: claim {} has no volume yet", claim.meta.name),
        )
        .about(object);
    }
    if claim.grows_offline_only() {
        return Condition::ok(
            TYPE,
            Reason::Bound,
            format!("disk {name} has its volume, which grows only while no node uses it"),
        );
    }
    if let Some(error) = claim
        .conditions
        .iter()
        .find(|condition| condition.type_.ends_with("ResizeError") && condition.status == "True")
    {
        return Condition::bad(
            TYPE,
            Reason::ResizeRefused,
            format!("disk {name} cannot grow: {}", error.message),
        )
        .about(object)
        .hint("see what the message says; or write the old size again");
    }
    match (claim.capacity, claim.request) {
        (Some(capacity), Some(request)) if capacity < request => Condition::progressing(
            TYPE,
            Reason::Resizing,
            format!("disk {name} grows from {capacity} to {request}"),
        )
        .about(object),
        _ => Condition::ok(
            TYPE,
            Reason::Bound,
            "Every disk has its volume and its content",
        ),
    }
}

fn first_consumer(name: &str, claim: &str) -> Condition {
    Condition::ok(
        TYPE,
        Reason::WaitingForFirstConsumer,
        format!("disk {name}: its StorageClass binds claim {claim} when the VM starts"),
    )
}

/// Nothing binds the disk of a VM that is not started.
fn until_it_starts(condition: Condition) -> Condition {
    let message = format!(
        "{}; for a VM that stays stopped, a pod that mounts the claim binds it, and the image is then imported",
        condition.message
    );
    Condition {
        message,
        ..condition
    }
}
