//! Which nodes can use the PersistentVolumes of a VM's disks.

use wukong_api::{ConditionType, Reason};

use super::check::{Check, CheckStatus, anchor};
use crate::facts::words::listed;
use crate::facts::{NodeFact, NodeTerm, Presence, Requirement, VolumeFact, bounded};
use crate::ownership::DiskSeen;
use crate::situation::Situation;

/// A volume that no node can use on which pods can be placed.
pub(crate) struct Unreachable {
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The volume, as `Kind/name`.
    pub object: String,
    /// The nodes that have the volume, each with what keeps pods away.
    pub evidence: Vec<String>,
}

/// How the nodes of a disk are known.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Known {
    /// By the node affinity of its volume.
    Volume,
    /// Else by the node that the scheduler chose for its claim. Other nodes may reach a volume, too, so this counts only where
    /// the scheduler has said that volumes keep the VM from a node.
    Choice,
}

/// Two disks on different nodes, or else the first disk with such a volume, for a VM that volumes keep from nodes.
pub(crate) fn unreachable(situation: &Situation) -> Option<Unreachable> {
    apart(situation, Known::Choice).or_else(|| out_of_reach(situation))
}

/// Two disks that no node has both of.
fn apart(situation: &Situation, known: Known) -> Option<Unreachable> {
    let disks: Vec<(&DiskSeen, Vec<&str>)> = situation
        .disks
        .iter()
        .filter_map(|seen| Some((seen, nodes_of(situation, seen, known)?)))
        .collect();
    disks.iter().enumerate().find_map(|(index, (one, of_one))| {
        let (other, of_other) = disks
            .iter()
            .skip(index + 1)
            .find(|(_, of_other)| of_one.iter().all(|node| !of_other.contains(node)))?;
        let (first, second) = (&one.disk.name, &other.disk.name);
        Some(Unreachable {
            message: format!(
                "disk {first} lies on {}, and disk {second} on {}: no node has both",
                listed(of_one.iter().copied()),
                listed(of_other.iter().copied())
            ),
            hint: format!(
                "create one of the two disks again, on the node of the other (copy its data first); a StorageClass with volumeBindingMode WaitForFirstConsumer keeps the disks of a VM together; kubectl get pvc -n {} shows their volumes",
                situation.wukong.identity.namespace
            ),
            object: format!("PersistentVolumeClaim/{}", other.claim_name),
            evidence: Vec::new(),
        })
    })
}

/// The nodes that have the volume of a disk: by its node affinity, or the node that the scheduler chose for it. `None` where
/// that is not known, or no node has it.
fn nodes_of<'a>(
    situation: &Situation<'a>,
    seen: &DiskSeen<'a>,
    known: Known,
) -> Option<Vec<&'a str>> {
    let world = situation.observed.world;
    let claim = seen.claim?;
    let volume = claim
        .volume
        .as_deref()
        .and_then(|name| world.volumes.get("", name).present());
    let Some(volume) = volume else {
        let chosen = claim.selected_node.as_deref()?;
        return (known == Known::Choice).then(|| vec![chosen]);
    };
    let terms = volume.terms.as_ref()?;
    let mut having = Vec::new();
    for node in world.environment.nodes.iter() {
        let met: Vec<Option<bool>> = terms.iter().map(|term| meets(term, node)).collect();
        if met.contains(&Some(true)) {
            having.push(node.meta.name.as_str());
        } else if met.contains(&None) {
            return None;
        }
    }
    (!having.is_empty()).then_some(having)
}

/// The first disk with such a volume. Where volumes or nodes are not known, none.
fn out_of_reach(situation: &Situation) -> Option<Unreachable> {
    let world = situation.observed.world;
    let nodes = &world.environment.nodes;
    if nodes.presence() != Presence::Served || nodes.is_empty() {
        return None;
    }
    situation.disks.iter().find_map(|seen| {
        let name = seen.claim?.volume.as_deref()?;
        let volume = world.volumes.get("", name).present()?;
        let terms = volume.terms.as_ref()?;
        let has = |node: &&NodeFact| {
            let mut unknown = false;
            let met = terms.iter().any(|term| match meets(term, node) {
                Some(met) => met,
                None => {
                    unknown = true;
                    false
                }
            });
            met || unknown
        };
        let having: Vec<&NodeFact> = nodes.iter().filter(has).collect();
        let kept_away: Option<Vec<(&str, String)>> = having
            .iter()
            .map(|node| Some((node.meta.name.as_str(), keeps_away(node)?)))
            .collect();
        Some(told(&seen.disk.name, volume, terms, &kept_away?))
    })
}

fn told(
    disk: &str,
    volume: &VolumeFact,
    terms: &[NodeTerm],
    nodes: &[(&str, String)],
) -> Unreachable {
    let name = &volume.meta.name;
    let words: Vec<String> = terms.iter().map(NodeTerm::in_words).collect();
    let wanted = bounded(&words.join(", or "));
    let (message, hint) = match nodes {
        [] => (
            format!(
                "disk {disk} lies on PersistentVolume {name}, which only nodes with {wanted} can use, and the cluster has no such node"
            ),
            format!(
                "bring the node of the volume back, or restore the disk from a backup to another volume; kubectl describe pv {name} shows the volume"
            ),
        ),
        [(node, why), more @ ..] => {
            let names = listed(nodes.iter().map(|(node, _)| *node));
            let cordoned = why == CORDONED;
            let why = match more {
                [] => format!("{node} is {why}"),
                _ => format!("no pod can be placed on {names} ({node} is {why})"),
            };
            let hint = match cordoned {
                true => format!(
                    "kubectl uncordon {node}; the disk lies there, so no other node can run the VM"
                ),
                false => format!(
                    "repair node {node} or its kubelet: the disk lies there, so no other node can run the VM; kubectl describe node {node}"
                ),
            };
            (
                format!(
                    "disk {disk} lies on PersistentVolume {name}, which only {names} can use, and {why}"
                ),
                hint,
            )
        }
    };
    Unreachable {
        message,
        hint,
        object: format!("PersistentVolume/{name}"),
        evidence: nodes
            .iter()
            .map(|(node, why)| format!("Node/{node}: {why}"))
            .collect(),
    }
}

const CORDONED: &str = "cordoned";

/// What keeps every pod away from a node.
fn keeps_away(node: &NodeFact) -> Option<String> {
    if node.unschedulable {
        return Some(CORDONED.into());
    }
    let ready = node.ready.as_ref()?;
    (ready.status != "True").then(|| format!("not ready ({}: {})", ready.reason, ready.message))
}

/// Whether a node meets a term; `None` where that is not known.
fn meets(term: &NodeTerm, node: &NodeFact) -> Option<bool> {
    let (labels, fields) = (term.labels.as_ref()?, term.fields.as_ref()?);
    // A term without requirements matches no node.
    if labels.is_empty() && fields.is_empty() {
        return Some(false);
    }
    let name = [("metadata.name".into(), node.meta.name.clone())].into();
    let label = |requirement: &Requirement| match node.keeps_label(&requirement.key) {
        true => requirement.holds(&node.labels),
        false => None,
    };
    let judged = labels
        .iter()
        .map(label)
        .chain(fields.iter().map(|field| field.holds(&name)));
    let judged: Vec<Option<bool>> = judged.collect();
    if judged.contains(&Some(false)) {
        return Some(false);
    }
    judged.iter().all(Option::is_some).then_some(true)
}

/// The same as a check, for a VM of which the scheduler says nothing.
pub(crate) fn check(situation: &Situation) -> Option<Check> {
    let found = apart(situation, Known::Volume).or_else(|| out_of_reach(situation))?;
    Some(Check {
        id: "volume-nodes",
        condition: ConditionType::Scheduled,
        reason: Reason::VolumeNodeAffinity,
        status: CheckStatus::Fail,
        subject: Some(found.object),
        message: found.message,
        hint: Some(found.hint),
        anchor: anchor(Reason::VolumeNodeAffinity),
        evidence: found.evidence,
        chain: Vec::new(),
    })
}
