//! Assembles the status, and decides when it is written.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as ApiCondition, Time};
use wukong_api::status::{
    Blocker, EvidenceLink, FirstBoot, GenerationStatus, NetworkStatus, PendingChange, Phase,
    ResourceStatus, StartedWith, Timings, VolumeStatus,
};
use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason, ValidatedWukong, Wukong, WukongStatus, names};

use crate::diagnosis::condition::{Condition, Status};
use crate::facts::VirtualMachineInstanceFact;
use crate::facts::json::printable;
use crate::facts::words::shorten;
use crate::generations;
use crate::observed::Memory;
use crate::ownership::DiskSeen;
use crate::situation::Situation;

/// Least time between two writes that only report progress.
const PROGRESS_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// Longest message in a condition, in bytes.
const MESSAGE_MAX: usize = 1024;
/// Longest text of a link of the chain of evidence, in characters.
const LINK_TEXT_MAX: usize = 400;

/// The input of the status.
pub(crate) struct Findings<'a> {
    /// In causal order, without `Ready`.
    pub conditions: Vec<Condition>,
    pub vm_name: Option<String>,
    pub node_name: Option<String>,
    pub networks: Vec<NetworkStatus>,
    pub volumes: Vec<VolumeStatus>,
    pub resources: Vec<ResourceStatus>,
    pub pending_changes: Vec<PendingChange>,
    pub started_with: Option<StartedWith>,
    pub first_boot: Option<FirstBoot>,
    pub wukong: &'a Wukong,
    pub now: Timestamp,
}

impl<'a> Findings<'a> {
    /// No conditions, and all other fields from the last status.
    pub(crate) fn as_before(wukong: &'a Wukong, now: Timestamp) -> Self {
        let before = wukong.status.clone().unwrap_or_default();
        Self {
            conditions: Vec::new(),
            vm_name: before.vm_name,
            node_name: before.node_name,
            networks: before.networks,
            volumes: before.volumes,
            resources: before.resources,
            pending_changes: before.pending_changes,
            started_with: before.started_with,
            first_boot: before.first_boot,
            wukong,
            now,
        }
    }

    /// The desired status.
    pub(crate) fn status(self) -> WukongStatus {
        let before = self.wukong.status.clone().unwrap_or_default();
        let generation = self.wukong.metadata.generation;
        let deleting = self.wukong.metadata.deletion_timestamp.is_some();
        let blocker = self
            .conditions
            .iter()
            .find(|condition| condition.blocks() && !deleting);
        let wished = self
            .conditions
            .iter()
            .find(|condition| condition.status == Status::Intended);
        const READY: ConditionType = ConditionType::Ready;
        let ready = match (blocker, wished) {
            _ if deleting => {
                Condition::progressing(READY, Reason::Deleting, "The Wukong is being deleted")
            }
            (Some(blocker), _) => Condition {
                type_: READY,
                ..blocker.clone()
            },
            (None, Some(wished)) => Condition::ok(READY, wished.reason, &wished.message),
            (None, None) => Condition::ok(READY, Reason::Ready, "The VM is ready"),
        };
        let phase = phase(&self.conditions, blocker, deleting);
        let at = Time(self.now);
        let entry = |condition: &Condition| entry(condition, &before.conditions, generation, &at);
        let conditions: Vec<ApiCondition> =
            self.conditions.iter().chain([&ready]).map(entry).collect();
        let first_time = |known: Option<&Time>, reached: bool| {
            known.cloned().or_else(|| reached.then(|| at.clone()))
        };
        let is = |type_: ConditionType| {
            self.conditions
                .iter()
                .any(|condition| condition.type_ == type_ && condition.status == Status::True)
        };
        let known = before.timings.clone().unwrap_or_default();
        let timings = Timings {
            created: first_time(known.created.as_ref(), is(ConditionType::Created)),
            // A guest may end before the operator observed it running.
            running: first_time(
                known.running.as_ref(),
                is(ConditionType::Running)
                    || wished.is_some_and(|it| it.reason == Reason::Completed),
            ),
            ready: first_time(known.ready.as_ref(), ready.status == Status::True),
        };
        WukongStatus {
            observed_generation: generation,
            phase: Some(phase),
            vm_name: self.vm_name,
            node_name: self.node_name,
            conditions,
            blocker: blocker.map(|blocker| describe(blocker, before.blocker.as_ref(), &at)),
            networks: self.networks,
            volumes: self.volumes,
            pending_changes: self.pending_changes,
            resources: self.resources,
            started_with: self.started_with,
            first_boot: self.first_boot,
            timings: Some(timings).filter(|timings| *timings != Timings::default()),
        }
    }
}

/// One word for the state of all conditions.
fn phase(conditions: &[Condition], blocker: Option<&Condition>, deleting: bool) -> Phase {
    if deleting {
        return Phase::Deleting;
    }
    let of = |type_: ConditionType| conditions.iter().find(|condition| condition.type_ == type_);
    if let Some(running) = of(ConditionType::Running) {
        match running.reason {
            Reason::Running => return Phase::Running,
            Reason::Migrating => return Phase::Migrating,
            Reason::Paused => return Phase::Paused,
            Reason::Stopping => return Phase::Stopping,
            _ => {}
        }
    }
    let Some(blocker) = blocker else {
        return Phase::Stopped;
    };
    let made = of(ConditionType::Created).is_some_and(|created| created.status == Status::True);
    match (blocker.type_, blocker.status) {
        (ConditionType::Running, _) if blocker.reason == Reason::StoppedElsewhere => Phase::Stopped,
        (ConditionType::SpecValid, _) => Phase::Error,
        (ConditionType::DependenciesResolved, _) => Phase::Pending,
        (ConditionType::EnvironmentReady, _) if !made => Phase::Pending,
        (ConditionType::NetworksConfigured, Status::False) if !made => Phase::Pending,
        (_, Status::False)
            if matches!(
                blocker.reason,
                Reason::KubeVirtNotInstalled | Reason::CDINotInstalled
            ) =>
        {
            Phase::Pending
        }
        (ConditionType::NetworksConfigured, Status::False) => Phase::Starting,
        (_, Status::False) => Phase::Error,
        (
            ConditionType::VolumesBound
            | ConditionType::NetworksConfigured
            | ConditionType::Created,
            _,
        ) => Phase::Creating,
        _ if made => Phase::Starting,
        _ => Phase::Creating,
    }
}

pub(crate) fn entry(
    condition: &Condition,
    before: &[ApiCondition],
    generation: Option<i64>,
    now: &Time,
) -> ApiCondition {
    let status = condition.status.as_str();
    let known = before
        .iter()
        .find(|known| known.type_ == condition.type_.as_ref());
    let unmoved = known
        .filter(|known| known.status == status)
        .map(|known| known.last_transition_time.clone());
    ApiCondition {
        type_: condition.type_.to_string(),
        status: status.into(),
        reason: condition.reason.to_string(),
        message: match &condition.hint {
            // The hint of the blocker is in the blocker itself.
            Some(hint) if condition.is_advisory() || condition.status == Status::True => {
                cut(&format!("{} ({hint})", condition.message))
            }
            _ => cut(&condition.message),
        },
        last_transition_time: unmoved.unwrap_or_else(|| now.clone()),
        observed_generation: generation,
    }
}

pub(crate) fn describe(condition: &Condition, before: Option<&Blocker>, now: &Time) -> Blocker {
    let reason = condition.reason.to_string();
    let type_ = condition.type_.to_string();
    let same = before.filter(|before| before.reason == reason && before.condition == type_);
    Blocker {
        since: same.map_or_else(|| now.clone(), |before| before.since.clone()),
        condition: type_,
        reason,
        object: condition.object.clone(),
        message: cut(&condition.message),
        hint: condition.hint.clone(),
        chain: condition.chain.iter().map(short).collect(),
    }
}

/// The link with a text that fits a status.
fn short(link: &EvidenceLink) -> EvidenceLink {
    EvidenceLink {
        text: link
            .text
            .as_deref()
            .map(|text| shorten(text, LINK_TEXT_MAX)),
        ..link.clone()
    }
}

/// The message on one line and with at most [`MESSAGE_MAX`] bytes.
fn cut(message: &str) -> String {
    let message = printable(message);
    let mut characters = MESSAGE_MAX;
    loop {
        let short = shorten(&message, characters);
        if short.len() <= MESSAGE_MAX {
            return short;
        }
        // In proportion to the bytes of a character.
        characters = characters.min(short.chars().count()) * MESSAGE_MAX / short.len();
    }
}

/// The observed state of the NICs.
pub(crate) fn networks(
    wukong: &ValidatedWukong,
    nics: &[&Nic],
    instance: Option<&VirtualMachineInstanceFact>,
) -> Vec<NetworkStatus> {
    let seen = |name: &str| {
        instance
            .into_iter()
            .flat_map(|instance| &instance.interfaces)
            .find(|interface| interface.name == name)
    };
    let status = |name: &str, mac: String, nad: Option<String>, intended: Vec<String>| {
        let seen = seen(name);
        NetworkStatus {
            name: name.into(),
            interface: seen.and_then(|seen| seen.interface.as_deref().map(Into::into)),
            ip_address: seen.and_then(|seen| Some(seen.addresses.first()?.to_string())),
            ip_addresses: seen
                .into_iter()
                .flat_map(|seen| &seen.addresses)
                .map(ToString::to_string)
                .collect(),
            intended,
            mac_address: Some(
                seen.and_then(|seen| seen.mac.as_deref())
                    .unwrap_or(&mac)
                    .into(),
            ),
            nad_name: nad,
            source: seen.and_then(|seen| seen.source.as_deref().map(Into::into)),
        }
    };
    let pod = wukong
        .pod_nic
        .iter()
        .map(|mac| status(names::POD_NETWORK, mac.to_string(), None, Vec::new()));
    let others = nics.iter().map(|nic| {
        let intended = nic
            .ip
            .iter()
            .flat_map(|ip| &ip.addresses)
            .map(ToString::to_string)
            .collect();
        status(
            &nic.name,
            nic.mac.to_string(),
            Some(nic.attachment.name().into()),
            intended,
        )
    });
    pod.chain(others).collect()
}

/// The observed state of the disks.
pub(crate) fn volumes(
    situation: &Situation,
    messages: &BTreeMap<&str, String>,
) -> Vec<VolumeStatus> {
    let (wukong, world) = (situation.wukong, situation.observed.world);
    let other = |other: generations::Other| GenerationStatus {
        generation: other.number,
        pvc_name: other.claim.meta.name.to_string(),
        size: generations::guest_size(other.claim).map(|size| size.to_string()),
        restore: other.restore,
    };
    let status = |seen: &DiskSeen| {
        let others = generations::others(wukong, seen.disk, world);
        let phase = seen
            .data_volume
            .map(|volume| &volume.phase)
            .or_else(|| seen.claim.map(|claim| &claim.phase));
        VolumeStatus {
            name: seen.disk.name.clone(),
            pvc_name: Some(seen.claim_name.clone()),
            bound: seen.claim.is_some_and(|claim| claim.phase == "Bound"),
            size: Some(seen.disk.size)
                .filter(|size| size.0 > 0)
                .map(|size| size.to_string()),
            phase: phase
                .filter(|phase| !phase.is_empty())
                .map(ToString::to_string),
            progress: seen
                .data_volume
                .and_then(|volume| volume.progress.as_deref())
                .map(Into::into),
            requested: seen
                .claim
                .and_then(|claim| claim.request)
                .map(|size| size.to_string()),
            capacity: seen
                .claim
                .and_then(|claim| claim.capacity)
                .map(|size| size.to_string()),
            message: messages
                .get(seen.disk.name.as_str())
                .map(|message| cut(message)),
            reclaim_policy: Some(format!("{:?}", seen.disk.reclaim_policy)),
            generation: seen
                .disk
                .generation
                .or_else(|| (!others.is_empty()).then_some(1)),
            other_generations: others.into_iter().map(other).collect(),
        }
    };
    situation.disks.iter().map(status).collect()
}

/// When to write the status: at once if a change matters to people, at intervals for progress, never if it is equal.
pub(crate) fn write_at(
    before: Option<&WukongStatus>,
    after: &WukongStatus,
    memory: &Memory,
    now: Timestamp,
) -> Option<Timestamp> {
    let Some(before) = before else {
        return Some(now);
    };
    let cut = memory.status_cut.as_deref();
    if before == after || cut.is_some_and(|(wanted, kept)| wanted == after && kept == before) {
        return None;
    }
    let calm = |phase: Option<Phase>| {
        matches!(
            phase,
            Some(Phase::Pending | Phase::Creating | Phase::Starting | Phase::Stopping)
        )
    };
    let addresses = |status: &WukongStatus| -> Vec<Option<String>> {
        let networks = status.networks.iter();
        networks.map(|nic| nic.ip_address.clone()).collect()
    };
    let urgent = before.observed_generation != after.observed_generation
        || (before.phase != after.phase && !(calm(before.phase) && calm(after.phase)))
        || (!calm(after.phase) && reason(before) != reason(after))
        || (before.phase == after.phase && addresses(before) != addresses(after))
        || importers_words(before) != importers_words(after);
    let interval = memory
        .status_written
        .map_or(now, |written| written + PROGRESS_INTERVAL);
    Some(if urgent { now } else { interval.max(now) })
}

/// The messages of importers that failed. Importers show them only for moments, and only the status keeps them.
fn importers_words(status: &WukongStatus) -> Vec<Option<&str>> {
    let volumes = status.volumes.iter();
    volumes.map(|volume| volume.message.as_deref()).collect()
}

/// The reason of the blocker.
pub(crate) fn reason(status: &WukongStatus) -> Option<&str> {
    status
        .blocker
        .as_ref()
        .map(|blocker| blocker.reason.as_str())
}

/// Whether the guest ran at least once.
pub(crate) fn has_run(wukong: &Wukong) -> bool {
    let timings = wukong
        .status
        .as_ref()
        .and_then(|status| status.timings.as_ref());
    timings.is_some_and(|timings| timings.running.is_some())
}
