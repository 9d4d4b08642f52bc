//! `DependenciesResolved`: all referenced objects exist.

use wukong_api::validated::{Attachment, Nic, Source};
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::diagnosis::condition::Condition;
use crate::diagnosis::evidence::{self, Evidence, Role};
use crate::facts::Seen;
use crate::initial;
use crate::observed::Observed;
use crate::ownership::DiskSeen;

const TYPE: ConditionType = ConditionType::DependenciesResolved;

/// Reports the first referenced object that is missing.
pub(crate) fn condition(
    wukong: &ValidatedWukong,
    nics: &[&Nic],
    disks: &[DiskSeen],
    observed: &Observed,
) -> Condition {
    disks
        .iter()
        .find_map(|seen| storage_class(seen, observed).or_else(|| source(seen, wukong, observed)))
        .or_else(|| missing_nad(wukong, nics, observed))
        .unwrap_or_else(|| Condition::ok(TYPE, Reason::Resolved, "All referenced objects exist"))
}

fn storage_class(seen: &DiskSeen, observed: &Observed) -> Option<Condition> {
    let disk = seen.disk;
    // A bound claim keeps its volume, even without its class.
    if seen.claim.is_some_and(|claim| claim.phase == "Bound") {
        return None;
    }
    let classes = &observed.world.environment.storage_classes;
    let available = || {
        let names: Vec<&str> = classes
            .in_namespace("")
            .map(|class| class.meta.name.as_str())
            .collect();
        if names.is_empty() {
            "there is none".into()
        } else {
            format!("there are {}", names.join(", "))
        }
    };
    match &disk.storage_class {
        Some(name) => matches!(classes.get("", name), Seen::Absent).then(|| {
            Condition::bad(
                TYPE,
                Reason::StorageClassNotFound,
                format!(
                    "disk {}: there is no StorageClass {name} ({})",
                    disk.name,
                    available()
                ),
            )
            .about(format!("StorageClass/{name}"))
            .hint("create the class, or give the disk another name and an existing class")
        }),
        None => {
            let served = classes.presence() == crate::facts::Presence::Served;
            let none = !classes.in_namespace("").any(|class| class.default) && seen.claim.is_none();
            (served && none).then(|| {
                Condition::bad(
                    TYPE,
                    Reason::NoDefaultStorageClass,
                    format!("disk {} names no StorageClass, and the cluster has no default one ({})", disk.name, available()),
                )
                .hint("mark a class as default (annotation storageclass.kubernetes.io/is-default-class: \"true\"), or give the disk a storageClassName")
            })
        }
    }
}

fn source(seen: &DiskSeen, wukong: &ValidatedWukong, observed: &Observed) -> Option<Condition> {
    if seen
        .data_volume
        .is_some_and(|volume| volume.phase == "Succeeded")
        || matches!(seen.existing, wukong_storage::Existing::Claim { .. })
    {
        return None;
    }
    let mut namespace = &wukong.identity.namespace;
    let world = observed.world;
    if seen.data_volume.is_none()
        && let Some(problem) = initial::problem(wukong, seen.disk, world)
    {
        return Some(Condition::of_problem(TYPE, &problem));
    }
    if let Some(name) = volume_snapshot(&seen.disk.source)
        && let Seen::Present(snapshot) = world.snapshots.get(namespace, name)
        && snapshot.ready != Some(true)
    {
        let disk = &seen.disk.name;
        let object = format!("VolumeSnapshot/{name}");
        if let Some(error) = &snapshot.error {
            let words = Evidence {
                source: evidence::Source::Snapshot,
                role: Role::Disk,
                object: object.clone(),
                state: "readyToUse=false".into(),
                reason: String::new(),
                text: error.to_string(),
                disk: Some(disk.clone()),
                claim: Some(seen.claim_name.clone()),
                driver: None,
                node: None,
                since: None,
                last: None,
                repeats: false,
            };
            let state = format!("disk {disk}: VolumeSnapshot {name} is not ready to use");
            return Some(
                Condition::bad(TYPE, Reason::SnapshotNotReady, state)
                    .about(object)
                    .words([words]),
            );
        }
        return Some(
            Condition::progressing(
                TYPE,
                Reason::SnapshotNotReady,
                format!(
                    "disk {}: VolumeSnapshot {name} is not ready to use yet",
                    seen.disk.name
                ),
            )
            .about(object)
            .hint("wait until the snapshot is ready; the copy then starts without further action"),
        );
    }
    let (kind, name, missing) = match &seen.disk.source {
        Source::Claim(name) => (
            "PersistentVolumeClaim",
            name,
            matches!(world.claims.get(namespace, name), Seen::Absent),
        ),
        Source::WukongSnapshot { volume: None, .. } => return None,
        Source::Snapshot(name)
        | Source::WukongSnapshot {
            volume: Some(name), ..
        } => (
            "VolumeSnapshot",
            name,
            matches!(world.snapshots.get(namespace, name), Seen::Absent),
        ),
        Source::DataSource {
            name,
            namespace: theirs,
        } => {
            namespace = theirs.as_ref().unwrap_or(namespace);
            (
                "DataSource",
                name,
                matches!(world.data_sources.get(namespace, name), Seen::Absent),
            )
        }
        Source::Existing(name) => {
            let missing = matches!(world.claims.get(namespace, name), Seen::Absent);
            return missing.then(|| {
                Condition::bad(
                    TYPE,
                    Reason::SourceNotFound,
                    format!(
                        "disk {}: there is no PersistentVolumeClaim {name} in namespace {namespace}",
                        seen.disk.name
                    ),
                )
                .about(format!("PersistentVolumeClaim/{name}"))
                .hint("create the claim, or name another one in claim")
            });
        }
        Source::Blank
        | Source::Http { .. }
        | Source::Registry { .. }
        | Source::S3 { .. }
        | Source::Gcs { .. } => {
            return None;
        }
    };
    missing.then(|| {
        Condition::bad(
            TYPE,
            Reason::SourceNotFound,
            format!(
                "disk {}: there is no {kind} {name} in namespace {namespace} to copy",
                seen.disk.name
            ),
        )
        .about(format!("{kind}/{name}"))
        .hint("create it; the copy then starts without further action")
    })
}

/// The VolumeSnapshot that a disk is a copy of.
fn volume_snapshot(source: &Source) -> Option<&String> {
    match source {
        Source::Snapshot(name) => Some(name),
        Source::WukongSnapshot { volume, .. } => volume.as_ref(),
        _ => None,
    }
}

/// Reports a missing NAD that the operator does not make. The operator creates the VM only when the NAD exists: without
/// it, the pod of the VM would not start.
pub(crate) fn missing_nad(
    wukong: &ValidatedWukong,
    nics: &[&Nic],
    observed: &Observed,
) -> Option<Condition> {
    let namespace = &wukong.identity.namespace;
    nics.iter().find_map(|nic| {
        let Attachment::Existing(name) = &nic.attachment else { return None };
        matches!(observed.world.nads.get(namespace, name), Seen::Absent).then(|| {
            Condition::bad(
                TYPE,
                Reason::NADNotFound,
                format!("network {}: there is no NetworkAttachmentDefinition {name} in namespace {namespace}", nic.name),
            )
            .about(format!("NetworkAttachmentDefinition/{name}"))
            .hint("create it, or remove nadName: the operator then creates one")
        })
    })
}
