//! `VolumesBound`: the disks have their content.

use wukong_api::spec::VolumeMode;
use wukong_api::validated::Source as DiskSource;
use wukong_api::{ConditionType, Reason};

use super::attachment::attachment;
use super::created::rejected;
use super::import;
use crate::diagnosis::about;
use crate::diagnosis::condition::{Condition, Status};
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::facts::{ClaimFact, DataVolumeFact, Presence};
use crate::ownership::DiskSeen;
use crate::situation::Situation;

const TYPE: ConditionType = ConditionType::VolumesBound;

/// A disk that should grow and cannot.
pub(crate) struct Refused {
    pub disk: String,
    pub why: String,
}

/// The condition of the disk that needs most attention. `refused` are the disks that cannot grow.
pub(crate) fn condition(situation: &Situation, refused: &[Refused]) -> Condition {
    let conditions = situation
        .disks
        .iter()
        .map(|seen| disk(situation, seen, refused))
        .map(|condition| match condition.reason {
            Reason::WaitingForFirstConsumer if !situation.power.runs() => {
                until_it_starts(condition)
            }
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

fn disk(situation: &Situation, seen: &DiskSeen, refused: &[Refused]) -> Condition {
    let world = situation.observed.world;
    let name = &seen.disk.name;
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
    if let Some(claim) = seen.claim.filter(|claim| claim.phase == "Lost") {
        let claim = &claim.meta.name;
        return Condition::bad(
            TYPE,
            Reason::ClaimLost,
            format!("disk {name}: the PersistentVolume of claim {claim} is lost"),
        )
        .about(format!("PersistentVolumeClaim/{claim}"))
        .hint("restore the PersistentVolume; or delete the claim and its DataVolume to create the disk again without its data");
    }
    if let Some(failed) = seen
        .claim
        .and_then(|claim| failed_volume(situation, name, claim))
    {
        return failed;
    }
    if let Some(refused) = refused.iter().find(|refused| refused.disk == *name) {
        return Condition::bad(
            TYPE,
            Reason::ResizeRefused,
            format!("disk {name} cannot grow: {}", refused.why),
        )
        .about(format!("PersistentVolumeClaim/{}", seen.claim_name))
        .hint("use a StorageClass that can expand volumes, or restore the previous size");
    }
    let filled = match (seen.data_volume, seen.claim) {
        (Some(volume), claim) => data_volume(situation, name, volume, claim),
        (None, Some(claim)) => plain_claim(situation, name, claim),
        (None, None) if world.data_volumes.presence() == Presence::Missing => Condition::bad(
            TYPE,
            Reason::CDINotInstalled,
            format!("disk {name}: CDI fills it, and CDI is not installed"),
        )
        .hint("install CDI (Containerized Data Importer); the operator then creates the disk"),
        (None, None) => {
            let failed = situation
                .observed
                .memory
                .failures
                .iter()
                .find(|(target, _)| target.name == seen.claim_name);
            match failed {
                Some((target, failure)) => rejected(TYPE, target, failure, situation.observed.now),
                None => being_made(name, "the operator is creating it"),
            }
        }
    };
    match filled.status {
        Status::True => attachment(situation, name).unwrap_or(filled),
        _ => filled,
    }
}

/// A claim with a volume that failed.
fn failed_volume(situation: &Situation, disk: &str, claim: &ClaimFact) -> Option<Condition> {
    let volumes = &situation.observed.world.volumes;
    let volume = volumes.get("", claim.volume.as_deref()?).present()?;
    if volume.phase != "Failed" {
        return None;
    }
    let (name, claim) = (&volume.meta.name, &claim.meta.name);
    let object = format!("PersistentVolume/{name}");
    let words = Evidence {
        state: "phase Failed".into(),
        text: volume.message.to_string(),
        ..about(situation, Source::Claim, Role::Disk, object.clone())
    };
    let words = Some(words).filter(|words| !words.text.is_empty());
    let mut condition = Condition::bad(
        TYPE,
        Reason::ClaimLost,
        format!("disk {disk}: PersistentVolume {name} of claim {claim} failed"),
    )
    .about(object)
    .hint(format!("kubectl describe pv {name}, then the log of its driver; repair the volume, or delete claim {claim} and its DataVolume to create the disk again without its data"));
    condition.open = words.is_some();
    condition.words.extend(words);
    Some(condition)
}

fn data_volume(
    situation: &Situation,
    name: &str,
    volume: &DataVolumeFact,
    claim: Option<&ClaimFact>,
) -> Condition {
    let object = format!("DataVolume/{}", volume.meta.name);
    match volume.phase.as_str() {
        "Succeeded" => {
            return claim.map_or_else(
                || being_made(name, "its claim is missing"),
                |claim| plain_claim(situation, name, claim),
            );
        }
        "WaitForFirstConsumer" | "PendingPopulation" => {
            return first_consumer(name, &volume.meta.name);
        }
        _ => {}
    }
    let words = import::words(situation, volume);
    if let Some(invalid) = volume
        .conditions
        .iter()
        .find(|condition| condition.reason == "ErrClaimNotValid")
    {
        return Condition::bad(
            TYPE,
            Reason::StorageProfileIncomplete,
            format!(
                "disk {name}: CDI cannot create a claim: {}",
                invalid.message
            ),
        )
        .about(object)
        .hint("give the disk accessModes, or complete the StorageProfile of its class");
    }
    if let Some(condition) = larger_source(situation, name, volume)
        .or_else(|| import::foreign_snapshot(situation, name, volume))
    {
        return condition.about(object);
    }
    if import::fails(volume) {
        return Condition::bad(
            TYPE,
            Reason::ImportFailed,
            format!("disk {name}: import failed"),
        )
        .about(object)
        .hint(format!(
            "kubectl describe datavolume {} -n {}; kubectl logs -n {} -l cdi.kubevirt.io=importer --previous",
            volume.meta.name, volume.meta.namespace, volume.meta.namespace
        ))
        .words(words);
    }
    let mut condition = if import::is_under_way(volume) {
        import::progress(situation, name, volume)
    } else {
        being_made(name, "CDI has not started")
            .hint("if this stays: kubectl get pods -A -l cdi.kubevirt.io=cdi-deployment, and the log of that pod")
    };
    condition.words.extend(words);
    condition.about(object)
}

/// Reports a copy of a block volume that is larger than the disk. CDI refuses it (`ValidateClone` in its
/// `pkg/controller/common/util.go`), and its event does not say why.
fn larger_source(situation: &Situation, name: &str, volume: &DataVolumeFact) -> Option<Condition> {
    let disks = &situation.wukong.disks;
    let disk = disks.iter().find(|disk| disk.name == name)?;
    let DiskSource::Claim(source) = &disk.source else {
        return None;
    };
    let claims = &situation.observed.world.claims;
    let claim = claims.get(&volume.meta.namespace, source).present()?;
    let block = claim.volume_mode == Some(VolumeMode::Block);
    let needs = claim.request.filter(|needs| block && *needs > disk.size)?;
    let (has, needs) = (disk.size.rounded(), needs.rounded());
    let message =
        format!("disk {name} ({has}) is smaller than claim {source} ({needs}), which it copies");
    Some(
        Condition::bad(TYPE, Reason::ImportFailed, message).hint(format!(
            "raise size of disk {name} to at least {needs}, then delete the DataVolume, which has no data yet: kubectl delete datavolume {} -n {}",
            volume.meta.name, volume.meta.namespace
        )),
    )
}

fn being_made(name: &str, detail: &str) -> Condition {
    Condition::progressing(
        TYPE,
        Reason::Pending,
        format!("disk {name} is not ready: {detail}"),
    )
}

fn plain_claim(situation: &Situation, name: &str, claim: &ClaimFact) -> Condition {
    let world = situation.observed.world;
    let object = format!("PersistentVolumeClaim/{}", claim.meta.name);
    if claim.phase != "Bound" {
        let class = claim
            .class
            .as_deref()
            .and_then(|class| world.environment.storage_classes.get("", class).present());
        if class.is_some_and(|class| class.waits_for_first_consumer) {
            return first_consumer(name, &claim.meta.name);
        }
        let waits = Condition::progressing(
            TYPE,
            Reason::Pending,
            format!("disk {name}: claim {} has no volume yet", claim.meta.name),
        )
        .about(object);
        return match &claim.data_source {
            Some(source) => Condition {
                message: format!(
                    "{}: its dataSourceRef names {source}, which has to fill it",
                    waits.message
                ),
                ..waits.hint(format!("check that {source} exists in namespace {}; if the source of a restored claim is gone, create the claim again without dataSourceRef", claim.meta.namespace))
            },
            None => waits,
        };
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
        let words = Evidence {
            state: format!("{}=True", error.type_),
            reason: error.reason.to_string(),
            text: error.message.to_string(),
            since: error.since,
            last: error.since,
            ..about(situation, Source::Claim, Role::Disk, object.clone())
        };
        return Condition::bad(
            TYPE,
            Reason::ResizeRefused,
            format!("disk {name} cannot grow"),
        )
        .about(object)
        .words([words]);
    }
    match (claim.capacity, claim.request) {
        (Some(capacity), Some(request))
            if situation.instance.is_none() && claim.waits_for_a_pod_to_grow() =>
        {
            Condition::ok(
                TYPE,
                Reason::Bound,
                format!(
                    "disk {name} has its volume, which grows from {} to {} at the next start of the VM",
                    capacity.rounded(),
                    request.rounded()
                ),
            )
        }
        (Some(capacity), Some(request)) if capacity < request => Condition::progressing(
            TYPE,
            Reason::Resizing,
            format!(
                "disk {name} grows from {} to {}",
                capacity.rounded(),
                request.rounded()
            ),
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

/// Adds to the message how to bind the disk of a VM that stays stopped.
fn until_it_starts(condition: Condition) -> Condition {
    let message = format!(
        "{}; while the VM is stopped, only a pod that mounts the claim binds it and starts the import",
        condition.message
    );
    Condition {
        message,
        ..condition
    }
}
