//! What the pods and events of a VM's children tell. They are looked up only while something is stuck.

use wukong_api::{ConditionType, Reason, Wukong, names};

use super::check::{Check, CheckStatus, anchor};
use super::facts::{EventFact, PodFact};
use super::rules::{MULTUS_ON_K3S, is_in_cluster};
use super::{Platform, scheduler};
use crate::conditions::import;
use crate::facts::{ClaimFact, Fact};
use crate::store::{Presence, Seen, Store};
use crate::world::World;

/// Most events that are kept; of more, the newest.
const EVENTS_MAX: usize = 200;

/// The pods and events of one VM's children.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Children {
    /// Pods: virt-launcher, importers.
    pub pods: Store<PodFact>,
    /// Events about the children and their pods and claims.
    pub events: Store<EventFact>,
    /// Pods of the provisioners that are no CSI drivers, where one of them is waited for ([`RelatedNames::waits_for_provisioner`]).
    pub provisioners: Store<PodFact>,
}

/// An event that is understood.
struct Known {
    /// The reasons that the event may have.
    events: &'static [&'static str],
    /// Texts of which the message has one; empty: any message.
    texts: &'static [&'static str],
    condition: ConditionType,
    reason: Reason,
    hint: &'static str,
    platforms: &'static [(Platform, &'static str)],
}

/// The events that are understood; of two that match, the first is meant. (Texts: kubelet, the attach/detach and volume
/// controllers, Multus, CDI.)
const KNOWN: &[Known] = &[
    Known {
        events: &["FailedCreatePodSandBox"],
        texts: &["cannot find a network-attachment-definition"],
        condition: ConditionType::DependenciesResolved,
        reason: Reason::NADNotFound,
        hint: "make the NetworkAttachmentDefinition, or drop nadName to have one made",
        platforms: &[],
    },
    Known {
        events: &["FailedCreatePodSandBox"],
        texts: &["multus", "Multus"],
        condition: ConditionType::EnvironmentReady,
        reason: Reason::MultusUnhealthy,
        hint: "see that Multus runs on this node, and that the CNI plugin that the message names is in /opt/cni/bin",
        platforms: &[(Platform::K3s, MULTUS_ON_K3S)],
    },
    Known {
        events: &["FailedMount"],
        texts: &["secret \"", "references non-existent secret key"],
        condition: ConditionType::DependenciesResolved,
        reason: Reason::SecretNotFound,
        hint: "make the Secret in the namespace of the Wukong: kubectl create secret generic NAME --from-file=key=$HOME/.ssh/id_ed25519.pub for sshKeySecret, --from-file=userdata=FILE for userDataSecret; the VM then starts by itself",
        platforms: &[],
    },
    Known {
        events: &["ProvisioningFailed"],
        texts: &["storageclass.storage.k8s.io"],
        condition: ConditionType::DependenciesResolved,
        reason: Reason::StorageClassNotFound,
        hint: "make the class, or name one that exists",
        platforms: &[],
    },
    Known {
        events: &[
            "ProvisioningFailed",
            "ErrCreatingPVCPrime",
            "ErrExceededQuota",
            "FailedCreate",
        ],
        texts: &["exceeded quota"],
        condition: ConditionType::VolumesBound,
        reason: Reason::QuotaExceeded,
        hint: "raise the quota: an import on a CSI class needs twice the storage; CDI tries again within minutes",
        platforms: &[],
    },
    Known {
        events: &["ProvisioningFailed"],
        texts: &[],
        condition: ConditionType::VolumesBound,
        reason: Reason::ProvisionerNotReady,
        hint: "see what the driver says about the volume, and the log of its provisioner",
        platforms: &[],
    },
    Known {
        events: &["Failed", "BackOff"],
        texts: &["ImagePull", "pull image", "pulling image"],
        condition: ConditionType::VolumesBound,
        reason: Reason::ImagePullFailed,
        hint: "see that the image is spelled right, and that the node reaches its registry",
        platforms: &[],
    },
    Known {
        events: &["FailedAttachVolume"],
        texts: &["Multi-Attach"],
        condition: ConditionType::Running,
        reason: Reason::PodNotStarted,
        hint: "the disk is still attached to another node: wait until that is over (six minutes after a node was lost), or take the lost node out of service",
        platforms: &[],
    },
    Known {
        events: &[
            "FailedMount",
            "FailedAttachVolume",
            "FailedMapVolume",
            "FailedCreatePodSandBox",
            "NetworkNotReady",
        ],
        texts: &[],
        condition: ConditionType::Running,
        reason: Reason::PodNotStarted,
        hint: "see what the message says",
        platforms: &[],
    },
];

impl Children {
    /// Takes in a list of events, the newest of them only.
    pub fn hear(&mut self, mut events: Vec<EventFact>) {
        events.sort_by_key(|event| std::cmp::Reverse(event.last));
        events.truncate(EVENTS_MAX);
        self.events.replace(events);
    }

    /// What is wrong with the children in this namespace: the first in causal order, of the newest event or pod.
    pub fn trouble(&self, namespace: &str, platform: Option<Platform>) -> Option<Check> {
        // Events outlive the pods that they are about, and say nothing about those that came after.
        let past = |event: &EventFact| {
            event.kind == "Pod"
                && self.pods.presence() == Presence::Served
                && self.pods.get(namespace, &event.name) == Seen::Absent
        };
        let events = self.events.in_namespace(namespace);
        let mut events: Vec<&EventFact> = events.filter(|event| !past(event)).collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.last));
        let of_events = events
            .into_iter()
            .filter_map(|event| of_event(event, platform));
        let of_pods = self.pods.in_namespace(namespace).filter_map(of_pod);
        // The first of equals is kept, so an event wins over the pod that it is about.
        of_events.chain(of_pods).min_by_key(|check| check.condition)
    }
}

/// What a warning means; `None` for events that are not understood or mere progress.
pub fn of_event(event: &EventFact, platform: Option<Platform>) -> Option<Check> {
    if !event.warning {
        return None;
    }
    let subject = format!("{}/{}", event.kind, event.name);
    let times = match (event.count, event.last) {
        (1, Some(last)) => format!("once, at {last}"),
        (count, Some(last)) => format!("{count} times, last at {last}"),
        (count, None) => format!("{count} times"),
    };
    let check = |condition, reason, hint: &str| Check {
        id: "event",
        condition,
        reason,
        status: CheckStatus::Fail,
        subject: Some(subject.clone()),
        message: format!("{subject}: {}", event.message),
        hint: Some(hint.into()),
        anchor: anchor(reason),
        evidence: vec![format!("event {}, {times}", event.reason)],
    };
    if event.reason == "FailedScheduling" {
        let parsed = scheduler::parse(&event.message)?;
        let reason = parsed
            .causes
            .iter()
            .max_by_key(|(count, _, _)| *count)
            .map_or(Reason::Unschedulable, |(_, cause, _)| cause.reason());
        return Some(check(
            ConditionType::Scheduled,
            reason,
            "see what the scheduler says about each node: kubectl wukong doctor",
        ));
    }
    let known = KNOWN.iter().find(|known| {
        known.events.contains(&event.reason.as_str())
            && (known.texts.is_empty()
                || known.texts.iter().any(|text| event.message.contains(text)))
    })?;
    let special = known.platforms.iter().find(|(on, _)| Some(*on) == platform);
    let hint = special.map_or(known.hint, |(_, hint)| hint);
    Some(check(known.condition, known.reason, hint))
}

/// An importer that ends again and again; its last words tell why.
fn of_importer(pod: &PodFact) -> Option<Check> {
    let mut ended = pod
        .containers
        .iter()
        .filter_map(|container| container.terminated.as_ref());
    let words = &ended.find(|ended| ended.exit_code != 0)?.message;
    if words.is_empty() {
        return None;
    }
    let (message, hint) = import::told_by_pod(words);
    let subject = format!("Pod/{}", pod.meta().name);
    Some(Check {
        id: "importer",
        condition: ConditionType::VolumesBound,
        reason: Reason::ImportFailed,
        status: CheckStatus::Fail,
        message: format!("{subject}: {message}"),
        subject: Some(subject),
        hint: Some(hint.into()),
        anchor: anchor(Reason::ImportFailed),
        evidence: vec![format!("restarted {} times", pod.restarts())],
    })
}

/// What belongs to a Wukong, told by its name: the Wukong, its children, and the pods that work for it. All our names begin
/// with the Wukong's; KubeVirt's and CDI's pods put something before, or have the uid of a claim.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RelatedNames {
    namespace: String,
    name: String,
    disks: Vec<String>,
    /// Uids of its claims.
    claims: Vec<String>,
    waits_for_provisioner: bool,
}

impl RelatedNames {
    /// Of a Wukong, as far as its claims are known.
    pub fn of(wukong: &Wukong, world: &World) -> Self {
        let namespace = wukong.metadata.namespace.clone().unwrap_or_default();
        let name = wukong.metadata.name.clone().unwrap_or_default();
        let disks = wukong.spec.disks.iter().map(|disk| disk.name.clone());
        let disks: Vec<String> = disks.collect();
        let claims = disks.iter().filter_map(|disk| {
            let claim = world.claims.get(&namespace, &names::claim(&name, disk));
            claim.present()
        });
        let claims: Vec<&ClaimFact> = claims.collect();
        let classes = &world.environment.storage_classes;
        let waits = |claim: &&ClaimFact| {
            let class = claim.class.as_deref();
            let class = class.and_then(|class| classes.get("", class).present());
            claim.phase == "Pending" && class.is_some_and(|it| is_in_cluster(&it.provisioner))
        };
        Self {
            waits_for_provisioner: claims.iter().any(waits),
            claims: claims.iter().map(|claim| claim.meta.uid.clone()).collect(),
            disks,
            name,
            namespace,
        }
    }

    /// Whether it has disks, for which importers may work.
    pub fn has_disks(&self) -> bool {
        !self.disks.is_empty()
    }

    /// Whether a claim waits for a provisioner that is no CSI driver: of that, only its pods tell.
    pub fn waits_for_provisioner(&self) -> bool {
        self.waits_for_provisioner
    }

    /// Whether the object of this name belongs to it.
    pub fn has(&self, object: &str, namespace: &str) -> bool {
        if namespace != self.namespace {
            return false;
        }
        let prime = object.strip_prefix("importer-").unwrap_or(object);
        let uid = prime.strip_prefix("prime-").unwrap_or_default();
        if self.claims.iter().any(|claim| uid.starts_with(claim)) {
            return true;
        }
        let rest = [
            "virt-launcher-",
            "hp-volume-",
            "importer-",
            "cdi-upload-",
            "",
        ]
        .iter()
        .find_map(|prefix| object.strip_prefix(prefix))
        .unwrap_or(object);
        let Some(rest) = rest.strip_prefix(&self.name) else {
            return false;
        };
        let claim = |rest: &str| {
            self.disks.iter().any(|disk| {
                rest == disk
                    || rest
                        .strip_prefix(disk)
                        .is_some_and(|rest| rest.starts_with('-'))
            })
        };
        match rest.strip_prefix('.') {
            Some(rest) => claim(rest),
            // `virt-launcher-web-x7k2p`, and not one of a Wukong `web-2`: KubeVirt's suffix has five letters.
            None => {
                rest.is_empty()
                    || rest
                        .strip_prefix('-')
                        .is_some_and(|suffix| suffix.len() == 5 && !suffix.contains('-'))
            }
        }
    }
}

/// What is wrong with a pod.
pub fn of_pod(pod: &PodFact) -> Option<Check> {
    let failure = pod.failure()?;
    let pulls = failure.contains("cannot pull its image");
    let (condition, reason, hint) = if pulls {
        (
            ConditionType::VolumesBound,
            Reason::ImagePullFailed,
            "see that the image is spelled right, and that the node reaches its registry",
        )
    } else if pod.component == "importer" {
        return of_importer(pod);
    } else if pod.component.starts_with("virt-launcher") {
        (
            ConditionType::Running,
            Reason::PodNotStarted,
            "see the log of the pod",
        )
    } else {
        return None;
    };
    let subject = format!("Pod/{}", pod.meta().name);
    Some(Check {
        id: "pod",
        condition,
        reason,
        status: CheckStatus::Fail,
        message: format!("{subject}: {failure}"),
        subject: Some(subject),
        hint: Some(hint.into()),
        anchor: anchor(reason),
        evidence: vec![format!("restarted {} times", pod.restarts())],
    })
}
