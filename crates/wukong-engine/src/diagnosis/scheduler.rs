//! Splits the scheduler's message into phrases, and explains them per node.
//!
//! The meaning of each phrase is in the table of [signatures](super::signatures), as for every other text.

use std::cmp::Reverse;

use wukong_api::{ConditionType, Reason};

use super::cause::{Cause, Knowledge, rank};
use super::evidence::{Evidence, Role};
use super::labels;
use super::matching::{self, Match};
use super::signature::{Permanence, Place};
use super::volume_nodes;
use crate::environment::Platform;
use crate::environment::demand::Stage;
use crate::environment::nodes::Nodes;
use crate::situation::Situation;

/// A message such as `0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {a: b}. ...`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unschedulable {
    /// Nodes that could run the pod.
    pub available: u32,
    /// Nodes of the cluster.
    pub total: u32,
    /// What keeps the others away, in the scheduler's order.
    pub phrases: Vec<Phrase>,
}

/// One cause that keeps nodes away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Phrase {
    /// On how many nodes; 0: on all.
    pub nodes: u32,
    /// The scheduler's words, without the number.
    pub text: String,
}

/// Phrases that the facts of the nodes account for: labels, taints and cordons.
const OF_PLACEMENT: [&str; 4] = [
    "untolerated taint",
    "didn't tolerate",
    SELECTOR,
    "were unschedulable",
];
/// The phrase about the node selector and the node affinity of the pod.
const SELECTOR: &str = "node affinity/selector";
const OF_DEVICES: &str = "Insufficient devices.kubevirt.io/";
/// A taint that keeps VMs off on purpose: another phrase is blamed as long as there is one.
const CONTROL_PLANE: [&str; 2] = [
    "node-role.kubernetes.io/control-plane",
    "node-role.kubernetes.io/master",
];

/// Takes the scheduler's message apart; `None` for any other text, KubeVirt's about missing claims included.
pub fn parse(text: &str) -> Option<Unschedulable> {
    if text.contains("no nodes available to schedule pods") {
        return Some(Unschedulable {
            available: 0,
            total: 0,
            phrases: Vec::new(),
        });
    }
    let (before, list) = text.split_once(" nodes are available")?;
    let (available, total) = before.rsplit([' ', ':']).next()?.split_once('/')?;
    let list = list.trim_start_matches(':').trim();
    // What follows the list is about preemption and resource claims, which are consequences.
    let end = [". preemption:", ". no new claims", ". "]
        .iter()
        .filter_map(|mark| list.find(mark))
        .min()
        .unwrap_or(list.len());
    let list = list.get(..end).unwrap_or(list).trim_end_matches('.');
    let mut phrases: Vec<Phrase> = Vec::new();
    for piece in list.split(", ").filter(|piece| !piece.is_empty()) {
        let phrase = |nodes, text: &str| Phrase {
            nodes,
            text: text.to_owned(),
        };
        match (counted(piece), phrases.last_mut()) {
            (Some((count, words)), _) => phrases.push(phrase(count, words)),
            (None, None) => phrases.push(phrase(0, piece)),
            // A comma inside of a phrase: only a number begins the next.
            (None, Some(last)) => last.text = format!("{}, {piece}", last.text),
        }
    }
    Some(Unschedulable {
        available: available.parse().ok()?,
        total: total.parse().ok()?,
        phrases,
    })
}

/// The number of nodes and the words of `2 node(s) had ...`.
fn counted(piece: &str) -> Option<(u32, &str)> {
    let (number, words) = piece.trim().split_once(' ')?;
    Some((
        number.parse().ok()?,
        words.trim_start_matches("node(s) ").trim(),
    ))
}

/// A phrase with its facts.
struct Known {
    phrase: Phrase,
    found: Option<Match>,
}

impl Known {
    fn has(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.phrase.text.contains(text))
    }

    /// What keeps these nodes away, in our words where the phrase is known.
    fn words(&self) -> String {
        let words = match &self.found {
            Some(found) => found.message.as_str(),
            None => self.phrase.text.as_str(),
        };
        match self.phrase.nodes {
            0 => words.to_owned(),
            count => format!("{count} {words}"),
        }
    }
}

/// Why no node takes a pod, from the scheduler's message. One message of the scheduler covers many causes. Nodes that are
/// excluded for reasons in the facts are blamed only if there are no others.
pub(crate) fn cause(
    situation: &Situation,
    evidence: &Evidence,
    place: &Place,
    platform: Option<Platform>,
) -> Option<Cause> {
    let Some(parsed) = parse(&evidence.text) else {
        // `running PreBind plugin …`; KubeVirt's texts about missing claims mean nothing.
        matching::find(evidence, place, platform)?;
        return Cause::of(evidence, place, platform);
    };
    let observed = situation.observed;
    let environment = &observed.world.environment;
    let nodes = Nodes::new(environment, Some(situation.wukong), observed.now);
    let known: Vec<Known> = parsed
        .phrases
        .into_iter()
        .map(|phrase| {
            let text = Evidence {
                text: phrase.text.clone(),
                ..evidence.clone()
            };
            Known {
                found: matching::find(&text, place, platform),
                phrase,
            }
        })
        .collect();
    let blamed = blamed(&known, &nodes);
    let mut told: Vec<String> = known.iter().map(Known::words).collect();
    // Of several devices each is a phrase of its own.
    told.dedup();
    let message = match (parsed.total, told.is_empty()) {
        (0, _) => "the cluster has no nodes".to_owned(),
        (_, true) => "the scheduler does not say why".to_owned(),
        _ => told.join(", "),
    };
    let found = blamed.and_then(|known| known.found.as_ref());
    let reason = found.map_or(Reason::Unschedulable, |found| found.signature.reason);
    let unnamed = || {
        format!(
            "kubectl describe {} -n {}",
            evidence.object.to_lowercase(),
            place.namespace
        )
    };
    let mut cause = Cause {
        condition: found.map_or(ConditionType::Scheduled, |found| found.signature.condition),
        reason,
        state: format!("None of {} nodes can run the VM", parsed.total),
        detail: "",
        message,
        hint: found.map_or_else(unnamed, |found| found.hint.clone()),
        rank: rank(
            evidence,
            match found {
                Some(_) => Knowledge::Known,
                None => Knowledge::Unknown,
            },
            found.map_or(Permanence::Transient, |found| found.signature.permanence),
        ),
        evidence: evidence.clone(),
    };
    match evidence.role {
        Role::Disk => of_importer(&mut cause, blamed),
        Role::Attachment => {
            cause.state = format!(
                "disk {} is not attached to the running VM: no node takes its attachment pod",
                evidence.disk.as_deref().unwrap_or("?")
            )
        }
        Role::Guest | Role::Write => of_guest(situation, &known, &mut cause),
    }
    Some(cause.placed())
}

/// The phrase that is to blame.
fn blamed<'a>(known: &'a [Known], nodes: &Nodes) -> Option<&'a Known> {
    let count = |stages: &[Stage]| {
        let count: usize = stages
            .iter()
            .map(|stage| nodes.causes_at(*stage).len())
            .sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let placement = count(&[
        Stage::Placement,
        Stage::Handler,
        Stage::MachineType,
        Stage::CpuModel,
    ]);
    let devices = count(&[Stage::Kvm, Stage::Tun, Stage::VhostNet, Stage::DevicePlugin]);
    let placed = known
        .iter()
        .filter(|known| known.has(&OF_PLACEMENT))
        .map(|known| known.phrase.nodes)
        .fold(0, u32::saturating_add);
    let accounted = |known: &Known| {
        known.has(&[OF_DEVICES]) && known.phrase.nodes <= devices
            || known.has(&OF_PLACEMENT) && placed <= placement
    };
    known
        .iter()
        .enumerate()
        .max_by_key(|(index, known)| {
            (
                !known.has(&CONTROL_PLANE),
                !accounted(known),
                known.phrase.nodes,
                Reverse(*index),
            )
        })
        .map(|(_, known)| known)
}

/// CDI's pods get their placement from the CDI resource, not from the Wukong.
fn of_importer(cause: &mut Cause, blamed: Option<&Known>) {
    let disk = cause.evidence.disk.as_deref().unwrap_or("?");
    cause.state = format!("disk {disk}: no node takes the importer pod");
    if blamed.is_some_and(|known| known.has(&OF_PLACEMENT)) {
        cause.hint = "set spec.workload (tolerations, nodeSelector) of the CDI resource, so that importer pods get onto these nodes: kubectl edit cdi".into();
    }
}

/// Adds the facts of nodes, claims and the pod. A field of the Wukong is named only if it is set.
fn of_guest(situation: &Situation, known: &[Known], cause: &mut Cause) {
    let wukong = situation.wukong;
    let environment = &situation.observed.world.environment;
    // A label that no node has excludes every node, so it is the cause next to any other phrase.
    let selects = known.iter().find(|known| known.has(&[SELECTOR]));
    if let Some(selects) = selects
        && let Some((message, hint)) = labels::missing(situation, selects.phrase.nodes)
    {
        if let Some(found) = &selects.found {
            cause.condition = found.signature.condition;
            cause.reason = found.signature.reason;
        }
        cause.message = format!("{}; {message}", cause.message);
        cause.hint = hint;
        return;
    }
    let local = known
        .iter()
        .any(|known| known.has(&["volume node affinity"]));
    if local && let Some(found) = volume_nodes::unreachable(situation) {
        cause.reason = Reason::VolumeNodeAffinity;
        cause.message = format!("{}; {}", cause.message, found.message);
        cause.hint = found.hint;
        return;
    }
    let selected = situation
        .disks
        .iter()
        .find_map(|seen| Some((&seen.disk.name, seen.claim?.selected_node.as_deref()?)));
    if local && let Some((disk, node)) = selected {
        let cordoned = environment
            .nodes
            .get("", node)
            .present()
            .is_some_and(|node| node.unschedulable);
        cause.reason = Reason::VolumeNodeAffinity;
        if cordoned {
            cause.message = format!(
                "{}; disk {disk} lies on {node}, which is cordoned",
                cause.message
            );
            cause.hint = format!(
                "kubectl uncordon {node}; the disk lies there, so no other node can run the VM"
            );
        } else {
            cause.message = format!("{}; disk {disk} lies on {node}", cause.message);
            cause.hint = format!("make room on {node}, where disk {disk} lies, or move the disk");
        }
        return;
    }
    let unset = [
        ("antiAffinity", !wukong.placement.anti_affinity),
        ("topologySpread", !wukong.placement.topology_spread),
        ("nodeSelector", wukong.placement.node_selector.is_empty()),
    ];
    let blames_unset = unset.iter().any(|(field, unset)| {
        *unset
            && cause
                .hint
                .contains(&format!("spec.highAvailability.{field}"))
    });
    if blames_unset {
        cause.hint = format!(
            "the rule comes from KubeVirt or from other pods on the nodes, not from the Wukong: kubectl get pod -n {} -l kubevirt.io/domain={} -o yaml, and the affinity rules of the pods on these nodes",
            wukong.identity.namespace, wukong.identity.name
        );
    }
}
