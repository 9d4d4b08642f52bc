//! The state of an import in CDI's DataVolume: whether it fails, the message of CDI, and whether it makes progress.

use jiff::{SignedDuration, Timestamp};
use wukong_api::validated::Source as DiskSource;
use wukong_api::{ConditionType, Reason};

use crate::diagnosis::condition::Condition;
use crate::diagnosis::evidence::{Evidence, Role, Source};
use crate::diagnosis::{about, has_worker};
use crate::facts::words::unwrapped;
use crate::facts::{ConditionFact, DataVolumeFact, find_condition};
use crate::situation::Situation;

/// Reasons of the condition `Running` that report progress, in a DataVolume that does not run.
const PROGRESS: [&str; 7] = [
    "",
    "Completed",
    "ContainerCreating",
    "PodInitializing",
    "Pending",
    "Pod is running",
    "TransferRunning",
];
/// Phases in which CDI fills a disk, by their first words.
const UNDER_WAY: [&str; 11] = [
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
/// First words of a claim's events that report no failure: of Kubernetes (`pkg/controller/volume/persistentvolume`), of
/// external-provisioner and of CDI. The last is an update conflict of CDI's own.
const IN_ORDER: [&str; 14] = [
    "waiting for first consumer",
    "waiting for pod ",
    "Waiting for a volume to be created",
    "waiting for a volume to be created",
    "External provisioner is provisioning volume",
    "PVC Prime created successfully",
    "Creating scratch space",
    "Default VolumeSnapshotClass selected",
    "First VolumeSnapshotClass selected",
    "VolumeSnapshotClass selected",
    "Multistage import into PVC",
    "Clone Complete",
    "Successfully ",
    "Error saving claim",
];
/// An import that receives no byte for this time makes no progress.
pub(crate) const STANDS_STILL: SignedDuration = SignedDuration::from_mins(3);

/// Whether the importer fails. CDI restarts it for ever; the restart count stays.
pub(crate) fn fails(volume: &DataVolumeFact) -> bool {
    let running = find_condition(&volume.conditions, "Running");
    let error = running.is_some_and(|running| {
        matches!(
            running.reason.as_str(),
            "Error" | "ChecksumError" | "OOMKilled" | "ImagePullFailed"
        )
    });
    let at_work = running.is_some_and(|running| running.status == "True");
    let failed = error || volume.restart_count > 0 || volume.phase == "Failed";
    failed && !(at_work && volume.moves())
}

/// Returns CDI's texts about an import that makes no progress.
pub(crate) fn words(situation: &Situation, volume: &DataVolumeFact) -> Vec<Evidence> {
    let running = find_condition(&volume.conditions, "Running");
    if running.is_some_and(|running| running.status == "True") && volume.moves() {
        return Vec::new();
    }
    let object = || format!("DataVolume/{}", volume.meta.name);
    let evidence = |condition: &ConditionFact, text: &str| Evidence {
        state: format!(
            "{}={} {}",
            condition.type_, condition.status, condition.reason
        ),
        reason: condition.reason.to_string(),
        text: unwrapped(text).into_owned(),
        since: condition.since,
        last: condition.since,
        ..about(situation, Source::DataVolume, Role::Disk, object())
    };
    let mut words = Vec::new();
    let running = running.filter(|running| !PROGRESS.contains(&running.reason.as_str()));
    words.extend(running.map(|running| match running.message.as_str() {
        "" => evidence(running, &running.reason),
        message => evidence(running, message),
    }));
    let others = volume.conditions.iter().filter(|condition| {
        condition.type_ != "Running"
            && condition.status != "True"
            && condition.reason.starts_with("Err")
    });
    words.extend(others.map(|condition| evidence(condition, &condition.message)));
    words.extend(left_in_bound(volume).map(|(condition, text)| evidence(condition, text)));
    words
}

/// The last event of a claim that has no volume, after the name of the prime claim if CDI uses one: CDI puts it into the
/// condition `Bound` (`UpdatePVCBoundConditionFromEvents` in its `pkg/controller/common`), whether it is a warning or not.
fn left_in_bound(volume: &DataVolumeFact) -> Option<(&ConditionFact, &str)> {
    let bound = find_condition(&volume.conditions, "Bound")?;
    let (_, words) = bound.message.split_once(" Pending and ")?;
    let words = words.split_once("] : ").map_or(words, |(_, words)| words);
    let says = !words.is_empty() && !IN_ORDER.iter().any(|start| words.starts_with(start));
    says.then_some((bound, words))
}

/// Whether CDI is filling the disk.
pub(crate) fn is_under_way(volume: &DataVolumeFact) -> bool {
    UNDER_WAY
        .iter()
        .any(|start| volume.phase.starts_with(start))
}

/// Reports a copy that waits for a VolumeSnapshot that is not its own: CDI up to 1.56 names its snapshot like the DataVolume,
/// and takes one that exists for its own without reading its source (`smart-clone-controller.go`).
pub(crate) fn foreign_snapshot(
    situation: &Situation,
    name: &str,
    volume: &DataVolumeFact,
) -> Option<Condition> {
    if volume.phase != "SnapshotForSmartCloneInProgress" {
        return None;
    }
    let (namespace, snapshot) = (&volume.meta.namespace, &volume.meta.name);
    let snapshots = &situation.observed.world.snapshots;
    let found = snapshots.get(namespace, snapshot).present()?;
    let of_volume = found
        .meta
        .controller
        .as_ref()
        .is_some_and(|controller| controller.kind == "DataVolume");
    (!of_volume).then(|| {
        Condition::bad(
            ConditionType::VolumesBound,
            Reason::ImportFailed,
            format!("disk {name}: CDI cannot make the snapshot for its copy, because another VolumeSnapshot has the name {snapshot}"),
        )
        .hint(format!(
            "delete the other VolumeSnapshot if it is not needed (kubectl delete volumesnapshot {snapshot} -n {namespace}), or update CDI to 1.57 or later, which uses names of its own"
        ))
    })
}

/// Phases in which CDI creates the pod that fills the disk, if there is none.
const NEEDS_POD: [&str; 2] = ["PVCBound", "ImportScheduled"];

/// Since when CDI has created no pod for a disk that needs one.
fn without_pod(situation: &Situation, name: &str, volume: &DataVolumeFact) -> Option<Timestamp> {
    let since = find_condition(&volume.conditions, "Bound")
        .filter(|bound| bound.status == "True")
        .and_then(|bound| bound.since)?;
    let missing = NEEDS_POD.contains(&volume.phase.as_str())
        && since + STANDS_STILL <= situation.observed.now
        && has_worker(situation, name) == Some(false);
    missing.then_some(since)
}

/// The state of an import that is under way.
pub(crate) fn progress(situation: &Situation, name: &str, volume: &DataVolumeFact) -> Condition {
    let now = situation.observed.now;
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
    let state = format!("disk {name} is being filled{progress}{restarts}");
    let condition = |message: String| {
        Condition::progressing(ConditionType::VolumesBound, Reason::Importing, message)
    };
    let since = find_condition(&volume.conditions, "Running")
        .filter(|running| running.status == "True" && !volume.moves())
        .and_then(|running| running.since)
        .filter(|since| *since + STANDS_STILL <= now);
    if let Some(since) = without_pod(situation, name, volume) {
        return condition(format!("{state}: its claim is bound since {since}, and CDI has created no importer pod"))
            .hint("read why CDI creates no importer pod in the log of its controller (kubectl get pods -A -l cdi.kubevirt.io=cdi-deployment), and restart that controller");
    }
    match since {
        Some(since) => condition(format!("{state}: no data has arrived since {since}{}", from(volume)))
            .hint("check that the server of the image answers, and that pods of this namespace reach it (proxy, NetworkPolicy, firewall); the importer then continues without further action"),
        None => condition(state),
    }
}

/// Where the content comes from.
fn from(volume: &DataVolumeFact) -> String {
    match &volume.source {
        Some(
            DiskSource::Http { url, .. }
            | DiskSource::Registry { url, .. }
            | DiskSource::S3 { url, .. }
            | DiskSource::Gcs { url, .. },
        ) => {
            let host = url.split("://").nth(1).unwrap_or(url);
            let host = host.split('/').next().unwrap_or(host);
            format!(" from {}", host.rsplit('@').next().unwrap_or(host))
        }
        _ => String::new(),
    }
}
