//! Collects evidence from the pods and events that were queried while the VM waits.
//!
//! Live state beats old words: an event counts only while the state that it is about still holds.

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Evidence, Role, Source};
use crate::facts::words::unwrapped;
use crate::facts::{
    ContainerFact, EventFact, Fact, PodFact, Presence, Seen, Terminated, find_condition,
};
use crate::ownership::DiskSeen;
use crate::situation::Situation;

/// States of a container that is still being created.
const CREATING: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Events about a stage that a pod leaves behind once it has a node.
const UNPLACED: [&str; 1] = ["FailedScheduling"];
/// Events about a stage that a pod leaves behind once one of its containers was made.
const NOT_CREATED: [&str; 17] = [
    "FailedCreatePodSandBox",
    "FailedCreatePodSandbox",
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "NetworkNotReady",
    "FailedCreatePodContainer",
    "FailedPrepareDynamicResources",
    // Of the controllers of Kube-OVN and OVN-Kubernetes.
    "AcquireAddressFailed",
    "CreateOVNPortFailed",
    "GetVlanInfoFailed",
    "PodNetworkAllocationFailed",
    "PodNetworkUpdateFailed",
    "ErrorAddingResource",
    "ErrorUpdatingResource",
    "ErrorReconcilingPod",
    "ErrorAddingLogicalPort",
];
/// Reasons of CDI's events that repeat the last words of a pod.
const CDI_REPEATS: [&str; 5] = [
    "ErrImportFailed",
    "ErrCloneFailed",
    "ErrUploadFailed",
    "ErrUnableToClone",
    "Error",
];
/// How often, and for how long, an event occurs that repeats.
const REPEATS_MIN: u64 = 3;
const REPEATS_FOR: SignedDuration = SignedDuration::from_mins(2);
/// Texts that controllers print about each other's work. They need no action.
const HARMLESS: [&str; 3] = [
    "the object has been modified",
    "StorageError: invalid object",
    "waiting for an external controller to",
];

/// Collects the evidence from the pods and events of the Wukong.
pub(crate) fn collect(situation: &Situation) -> Vec<Evidence> {
    let children = &situation.observed.memory.queried.children;
    let namespace = &situation.wukong.identity.namespace;
    let at_work =
        |pod: &&PodFact| role(&pod.meta.name) != Role::Disk || !moves(situation, &pod.meta.name);
    let pods = children.pods.in_namespace(namespace).filter(at_work);
    let mut evidence: Vec<Evidence> = pods.flat_map(|pod| of_pod(situation, pod)).collect();
    let events = children.events.in_namespace(namespace);
    evidence.extend(
        events
            .filter(|event| event.warning && counts(situation, event))
            .map(|event| of_event(situation, event)),
    );
    evidence.retain(|evidence| !HARMLESS.iter().any(|text| evidence.text.contains(text)));
    evidence
}

/// What a pod does for the VM, by its name.
pub(crate) fn role(pod: &str) -> Role {
    if pod.starts_with("hp-volume-") {
        Role::Attachment
    } else if pod.starts_with("virt-launcher-") {
        Role::Guest
    } else {
        Role::Disk
    }
}

/// Whether the guest of the VM runs and is ready.
fn guest_is_ready(situation: &Situation) -> bool {
    situation.instance.is_some_and(|instance| {
        instance.phase == "Running" && crate::facts::is_true(&instance.conditions, "Ready")
    })
}

/// Whether the state that the event is about still holds.
fn counts(situation: &Situation, event: &EventFact) -> bool {
    let namespace = &situation.wukong.identity.namespace;
    let children = &situation.observed.memory.queried.children;
    let world = situation.observed.world;
    let same = |uid: &str| event.uid.is_empty() || uid.is_empty() || event.uid == uid;
    match event.kind.as_str() {
        "Pod" => match children.pods.get(namespace, &event.name) {
            Seen::Present(pod) => same(&pod.meta.uid) && !is_over(pod, &event.reason),
            Seen::Absent => children.pods.presence() != Presence::Served,
            Seen::Unknown => true,
        },
        "PersistentVolumeClaim" => match world.claims.get(namespace, &event.name) {
            Seen::Present(claim) => {
                let resize = is_of_resize(&event.reason) && claim.grows();
                // CDI fills a claim after it is bound.
                let filling = event.reason.starts_with("Err") && !is_filled(situation, &event.name);
                same(&claim.meta.uid) && (claim.phase != "Bound" || resize || filling)
            }
            // Claims that CDI fills for ours.
            Seen::Absent | Seen::Unknown => !is_filled(situation, &event.name),
        },
        "DataVolume" => match world.data_volumes.get(namespace, &event.name) {
            Seen::Present(volume) => same(&volume.meta.uid) && volume.phase != "Succeeded",
            Seen::Absent | Seen::Unknown => true,
        },
        "VirtualMachineInstance" => match situation.instance {
            Some(instance) => same(&instance.meta.uid) && !guest_is_ready(situation),
            None => true,
        },
        "VirtualMachine" => situation
            .vm
            .is_none_or(|vm| same(&vm.meta.uid) && !guest_is_ready(situation)),
        // An event that the operator itself wrote.
        "Wukong" => false,
        _ => true,
    }
}

/// Whether an event of this reason is about the growth of a claim: `VolumeResizeFailed`, `FileSystemResizeFailed`,
/// `ExternalExpanding`.
pub(crate) fn is_of_resize(reason: &str) -> bool {
    reason.contains("Resize") || reason.contains("Expand")
}

/// Whether the pod has passed the stage that the event is about.
fn is_over(pod: &PodFact, reason: &str) -> bool {
    let made = |container: &ContainerFact| {
        let waits = container.waiting.as_deref();
        container.running_since.is_some()
            || container.terminated.is_some()
            || waits.is_some_and(|reason| !CREATING.contains(&reason))
    };
    let ran = matches!(pod.phase.as_str(), "Running" | "Succeeded");
    (UNPLACED.contains(&reason) && pod.node.is_some())
        || (NOT_CREATED.contains(&reason) && (ran || pod.containers.iter().any(made)))
        || pod.is_ready()
}

/// Whether the disk that the claim `prime-<uid of the disk's claim>` helps to fill has its content.
fn is_filled(situation: &Situation, claim: &str) -> bool {
    disk_of(situation, claim).is_some_and(|seen| {
        let volume = situation.disks.get(seen).and_then(|seen| seen.data_volume);
        volume.is_some_and(|volume| volume.phase == "Succeeded")
    })
}

/// Whether the disk that this pod works for gets its content.
fn moves(situation: &Situation, pod: &str) -> bool {
    let disk = disk_of(situation, pod).and_then(|index| situation.disks.get(index));
    let volume = disk.and_then(|seen| seen.data_volume);
    volume.is_some_and(|volume| volume.phase == "Succeeded" || volume.moves())
}

/// Whether a pod works for this disk; `None` if the pods are not known.
pub(crate) fn has_worker(situation: &Situation, disk: &str) -> Option<bool> {
    let pods = &situation.observed.memory.queried.children.pods;
    let namespace = &situation.wukong.identity.namespace;
    let mut workers = pods
        .in_namespace(namespace)
        .filter_map(|pod| situation.disks.get(disk_of(situation, &pod.meta.name)?))
        .map(|seen| seen.disk.name.as_str());
    (pods.presence() == Presence::Served).then(|| workers.any(|name| name == disk))
}

/// Index of the disk that an object works for: its name has the name or the uid of the disk's claim.
fn disk_of(situation: &Situation, object: &str) -> Option<usize> {
    let works_for = |seen: &DiskSeen| {
        let uid = seen.claim.map(|claim| claim.meta.uid.as_str());
        object.contains(&seen.claim_name)
            || uid.is_some_and(|uid| !uid.is_empty() && object.contains(uid))
    };
    // Of several claims with the same start of the name, the one with the longest name is meant.
    let disks = situation.disks.iter().enumerate();
    disks
        .filter(|(_, seen)| works_for(seen))
        .max_by_key(|(_, seen)| seen.claim_name.len())
        .map(|(index, _)| index)
        .or_else(|| {
            let mut instance = situation
                .instance
                .into_iter()
                .flat_map(|instance| &instance.plugged);
            let attached = instance.find(|volume| volume.pod == object)?;
            let mut disks = situation.disks.iter();
            disks.position(|seen| seen.disk.name == attached.name)
        })
}

/// Evidence about an object, before its text is known.
pub(crate) fn about(situation: &Situation, source: Source, role: Role, object: String) -> Evidence {
    let name = object.split_once('/').map_or("", |(_, name)| name);
    let disk = disk_of(situation, name).and_then(|index| situation.disks.get(index));
    Evidence {
        source,
        role,
        disk: disk.map(|seen| seen.disk.name.clone()),
        claim: disk.map(|seen| seen.claim_name.clone()),
        driver: disk.and_then(|seen| driver(situation, seen)),
        node: match role {
            Role::Guest => situation
                .instance
                .and_then(|instance| instance.node.as_deref())
                .map(Into::into),
            Role::Disk | Role::Attachment | Role::Write => None,
        },
        object,
        state: String::new(),
        reason: String::new(),
        text: String::new(),
        since: None,
        last: None,
        repeats: false,
    }
}

/// The driver that makes the volume of a disk.
fn driver(situation: &Situation, seen: &DiskSeen) -> Option<String> {
    let classes = &situation.observed.world.environment.storage_classes;
    let class = classes.get("", seen.claim?.class.as_deref()?).present()?;
    let driver = class.provisioner.to_string();
    Some(format!("driver {driver}")).filter(|_| !class.provisioner.is_empty())
}

/// The disk with the volume that the text of an event names.
fn disk_of_volume<'a>(situation: &'a Situation, text: &str) -> Option<&'a DiskSeen<'a>> {
    let (_, rest) = text.split_once("olume \"")?;
    let (volume, _) = rest.split_once('"')?;
    let holds = |seen: &&DiskSeen| {
        let claim = seen.claim.and_then(|claim| claim.volume.as_deref());
        claim == Some(volume)
    };
    situation.disks.iter().find(holds)
}

/// Whether the event repeats, and not only in one attempt.
fn repeats(event: &EventFact) -> bool {
    let lasts = |first, last: Timestamp| last.duration_since(first) >= REPEATS_FOR;
    event.count >= REPEATS_MIN
        && event
            .first
            .zip(event.last)
            .is_some_and(|(first, last)| lasts(first, last))
}

fn of_event(situation: &Situation, event: &EventFact) -> Evidence {
    let object = format!("{}/{}", event.kind, event.name);
    let role = match event.kind.as_str() {
        "Pod" => role(&event.name),
        "DataVolume" | "PersistentVolumeClaim" => Role::Disk,
        _ => Role::Guest,
    };
    let source = match event.reason.as_str() {
        "FailedScheduling" => Source::Scheduler,
        "SyncFailed" => Source::Synchronized,
        // CDI repeats the last words of its pods.
        reason if role == Role::Disk && CDI_REPEATS.contains(&reason) => Source::Importer,
        _ => Source::Event,
    };
    let children = &situation.observed.memory.queried.children;
    let pod = children
        .pods
        .get(&situation.wukong.identity.namespace, &event.name)
        .present();
    let mut evidence = about(situation, source, role, object);
    if evidence.disk.is_none()
        && let Some(seen) = disk_of_volume(situation, &event.message)
    {
        evidence.disk = Some(seen.disk.name.clone());
        evidence.claim = Some(seen.claim_name.clone());
        evidence.driver = driver(situation, seen);
    }
    Evidence {
        state: format!("event {}", event.reason),
        reason: event.reason.to_string(),
        text: unwrapped(&event.message).into_owned(),
        node: pod
            .and_then(|pod| pod.node.as_deref())
            .map(Into::into)
            .or(evidence.node),
        since: event.first,
        last: event.last,
        repeats: repeats(event),
        ..evidence
    }
}

fn of_pod(situation: &Situation, pod: &PodFact) -> Vec<Evidence> {
    let role = role(&pod.meta().name);
    let evidence = |source, state: String, reason: &str, text: &str, at: Option<Timestamp>| {
        let known = about(situation, source, role, format!("Pod/{}", pod.meta.name));
        Evidence {
            state,
            reason: reason.to_owned(),
            text: unwrapped(text).into_owned(),
            node: pod.node.as_deref().map(Into::into).or(known.node),
            since: at,
            last: at,
            ..known
        }
    };
    let mut found = Vec::new();
    if !pod.reason.is_empty() || (pod.phase == "Failed" && !pod.message.is_empty()) {
        let state = format!("{} {}", pod.phase, pod.reason);
        let text = match pod.message.as_str() {
            "" => pod.reason.as_str(),
            message => message,
        };
        let state = state.trim().to_owned();
        found.push(evidence(Source::PodStatus, state, &pod.reason, text, None));
    }
    let unplaced = find_condition(&pod.conditions, "PodScheduled")
        .filter(|scheduled| scheduled.status == "False" && !scheduled.message.is_empty());
    if let (Some(scheduled), None) = (unplaced, &pod.node) {
        found.push(evidence(
            Source::Scheduler,
            format!("PodScheduled=False {}", scheduled.reason),
            &scheduled.reason,
            &scheduled.message,
            scheduled.since,
        ));
    }
    // An importer is ready between two failures, too.
    if (pod.is_ready() && role != Role::Disk) || pod.meta.deleting {
        return found;
    }
    for container in &pod.containers {
        let name = &container.name;
        if let Some(ended) = container.terminated.as_ref().filter(|ended| failed(ended)) {
            let source = match role {
                Role::Disk => Source::Importer,
                _ => Source::PodTerminated,
            };
            let text = match ended.message.as_str() {
                "" => format!("{} (exit code {})", ended.reason, ended.exit_code),
                words => words.to_owned(),
            };
            let state = format!(
                "container {name} ended: {} (exit code {})",
                ended.reason, ended.exit_code
            );
            found.push(evidence(source, state, &ended.reason, &text, ended.at));
        }
        let waiting = container.waiting.as_deref();
        if let Some(reason) = waiting.filter(|reason| !CREATING.contains(reason)) {
            // Its last words say more.
            if reason == "CrashLoopBackOff" && container.terminated.is_some() {
                continue;
            }
            found.push(evidence(
                Source::PodWaiting,
                format!("container {name} waits: {reason}"),
                reason,
                &container.waiting_message,
                None,
            ));
        }
    }
    found
}

fn failed(ended: &Terminated) -> bool {
    ended.exit_code != 0 || ended.reason == "OOMKilled"
}
