//! The scheduler's words, taken apart per cause, and told again per node.

use std::cmp::Reverse;

use jiff::Timestamp;
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use super::check::anchor;
use super::demand::Stage;
use super::nodes::Nodes;
use super::{Check, CheckStatus, Environment};
use crate::facts::bounded;

/// A message such as `0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint {a: b}. ...`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unschedulable {
    /// Nodes that could run the pod.
    pub available: u32,
    /// Nodes of the cluster.
    pub total: u32,
    /// What keeps the others away, in the scheduler's order: on how many nodes (0: on all), what, and its words.
    pub causes: Vec<(u32, Cause, String)>,
}

/// What keeps nodes away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// A device of KubeVirt: kvm, tun or vhost-net.
    VirtualizationDevice,
    /// Another extended resource.
    OtherResource,
    /// Memory.
    Memory,
    /// CPU.
    Cpu,
    /// Pods on the node.
    PodCount,
    /// A claim that is not bound, on a class that binds at once.
    UnboundClaim,
    /// A volume that lies elsewhere.
    VolumeElsewhere,
    /// A taint.
    Taint,
    /// Labels. KubeVirt's own selectors are among them, so this may be virt-handler, too.
    Selector,
    /// Another VM of the group.
    AntiAffinity,
    /// The spread over zones.
    Spread,
    /// The node is cordoned.
    Cordoned,
    /// Something else.
    Other,
}

/// Texts of `pkg/scheduler/framework/plugins` of Kubernetes; of two that match, the first is meant.
const TEXTS: [(&str, Cause); 14] = [
    (
        "Insufficient devices.kubevirt.io/",
        Cause::VirtualizationDevice,
    ),
    ("Insufficient memory", Cause::Memory),
    ("Insufficient cpu", Cause::Cpu),
    ("Too many pods", Cause::PodCount),
    ("Insufficient ", Cause::OtherResource),
    (
        "unbound immediate PersistentVolumeClaims",
        Cause::UnboundClaim,
    ),
    ("volume node affinity conflict", Cause::VolumeElsewhere),
    (
        "didn't find available persistent volumes",
        Cause::UnboundClaim,
    ),
    ("untolerated taint", Cause::Taint),
    ("didn't tolerate", Cause::Taint),
    ("node affinity/selector", Cause::Selector),
    ("anti-affinity rules", Cause::AntiAffinity),
    ("topology spread constraints", Cause::Spread),
    ("were unschedulable", Cause::Cordoned),
];

impl Cause {
    fn of(text: &str) -> Self {
        TEXTS
            .iter()
            .find(|(known, _)| text.contains(known))
            .map_or(Self::Other, |(_, cause)| *cause)
    }

    /// The reason of the condition `Scheduled`.
    pub fn reason(self) -> Reason {
        match self {
            Self::VirtualizationDevice | Self::OtherResource => Reason::InsufficientDevices,
            Self::Memory => Reason::InsufficientMemory,
            Self::Cpu => Reason::InsufficientCPU,
            Self::VolumeElsewhere => Reason::VolumeNodeAffinity,
            Self::Taint => Reason::UntoleratedTaint,
            Self::Selector | Self::AntiAffinity | Self::Spread => Reason::NodeSelectorMismatch,
            Self::PodCount | Self::UnboundClaim | Self::Cordoned | Self::Other => {
                Reason::Unschedulable
            }
        }
    }

    /// In our words, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::VirtualizationDevice => (
                "lack a virtualization device",
                "see the check of the devices: kubectl wukong preflight",
            ),
            Self::OtherResource => (
                "lack a device that the VM asks for",
                "install the device plugin, or correct resourceName",
            ),
            Self::Memory => (
                "have too little memory left",
                "lower spec.memory, stop other VMs, or add a node",
            ),
            Self::Cpu => (
                "have too little CPU left",
                "lower spec.cpu, stop other VMs, or add a node",
            ),
            Self::PodCount => ("run as many pods as they may", "add a node"),
            Self::UnboundClaim => (
                "wait for a claim that is not bound",
                "see why the claims of the disks are not bound",
            ),
            Self::VolumeElsewhere => (
                "cannot reach a disk, which lies on another node",
                "make room on the node of the disk, or move the disk",
            ),
            Self::Taint => (
                "have a taint that the VM does not tolerate",
                "add a toleration to spec.highAvailability.tolerations, or remove the taint",
            ),
            Self::Selector => (
                "do not have the labels that are asked for, by the VM or by KubeVirt",
                "correct spec.highAvailability.nodeSelector, and see that virt-handler runs",
            ),
            Self::AntiAffinity => (
                "run a VM of the same group",
                "add a node, or drop spec.highAvailability.antiAffinity",
            ),
            Self::Spread => (
                "would break the spread over zones",
                "add nodes in another zone, or drop spec.highAvailability.topologySpread",
            ),
            Self::Cordoned => ("are cordoned", "uncordon a node"),
            Self::Other => ("are refused", "see the scheduler's words"),
        }
    }
}

/// Takes the scheduler's message apart; `None` for any other text, KubeVirt's about missing claims included.
pub fn parse(text: &str) -> Option<Unschedulable> {
    if text.contains("no nodes available to schedule pods") {
        return Some(Unschedulable {
            available: 0,
            total: 0,
            causes: Vec::new(),
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
    let mut causes: Vec<(u32, Cause, String)> = Vec::new();
    for piece in list.split(", ").filter(|piece| !piece.is_empty()) {
        match (counted(piece), causes.last_mut()) {
            (Some((count, words)), _) => causes.push((count, Cause::Other, words.to_owned())),
            (None, None) => causes.push((0, Cause::Other, piece.to_owned())),
            // A comma inside of a cause: only a number begins the next.
            (None, Some((_, _, text))) => *text = format!("{text}, {piece}"),
        }
    }
    for (_, cause, text) in &mut causes {
        *cause = Cause::of(text);
        *text = bounded(text);
    }
    Some(Unschedulable {
        available: available.parse().ok()?,
        total: total.parse().ok()?,
        causes,
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

impl Unschedulable {
    /// The cause that keeps most nodes away. A cause that so many nodes account for is left out, as long as another
    /// remains: `placement` nodes that are out by their labels, taints or virt-handler, `devices` nodes that lack one.
    fn blamed(&self, placement: u32, devices: u32) -> Option<Cause> {
        let of_placement =
            |cause: Cause| matches!(cause, Cause::Selector | Cause::Taint | Cause::Cordoned);
        let placed = self
            .causes
            .iter()
            .filter(|(_, cause, _)| of_placement(*cause))
            .map(|(count, _, _)| *count)
            .fold(0, u32::saturating_add);
        let accounted = |count: u32, cause: Cause| match cause {
            Cause::VirtualizationDevice => count <= devices,
            cause if of_placement(cause) => placed <= placement,
            _ => false,
        };
        self.causes
            .iter()
            .enumerate()
            .max_by_key(|(index, (count, cause, _))| {
                (!accounted(*count, *cause), *count, Reverse(*index))
            })
            .map(|(_, (_, cause, _))| *cause)
    }
}

/// Why no node runs the VM of this name: the scheduler's message in our words, with what is known of each node. One sentence of the
/// scheduler covers many causes, so nodes that are out for reasons that the facts tell are not what is blamed, as long
/// as there are others.
pub fn explain(
    environment: &Environment,
    wukong: Option<&ValidatedWukong>,
    name: &str,
    text: &str,
    now: Timestamp,
) -> Option<Check> {
    let parsed = parse(text)?;
    let nodes = Nodes::new(environment, wukong, now);
    let count = |stages: &[Stage]| {
        let count: usize = stages
            .iter()
            .map(|stage| nodes.causes_at(*stage).len())
            .sum();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let placement = count(&[Stage::Placement, Stage::Handler, Stage::MachineType]);
    let devices = count(&[Stage::Kvm, Stage::Tun, Stage::VhostNet, Stage::DevicePlugin]);
    let total = parsed.total;
    let (reason, hint) = parsed.blamed(placement, devices).map_or(
        (Reason::Unschedulable, "see the scheduler's words"),
        |cause| (cause.reason(), cause.words().1),
    );
    let mut told: Vec<String> = parsed
        .causes
        .iter()
        .map(|(count, cause, _)| {
            let (words, _) = cause.words();
            match count {
                0 => format!("all {words}"),
                count => format!("{count} {words}"),
            }
        })
        .collect();
    // Of several devices each is a cause of its own.
    told.dedup();
    let message = match (total, told.is_empty()) {
        (0, _) => "The cluster has no nodes".to_owned(),
        (_, true) => format!("None of {total} nodes can run the VM"),
        _ => format!("None of {total} nodes can run the VM: {}", told.join(", ")),
    };
    let mut evidence: Vec<String> = nodes
        .causes_until(Stage::Cpu)
        .iter()
        .take(20)
        .map(|(node, cause)| format!("Node/{node}: {cause}"))
        .collect();
    evidence.push(format!("the scheduler says: {}", bounded(text)));
    Some(Check {
        id: "scheduler",
        condition: ConditionType::Scheduled,
        reason,
        status: CheckStatus::Fail,
        subject: Some(format!("VirtualMachineInstance/{name}")),
        message,
        hint: Some(hint.into()),
        anchor: anchor(reason),
        evidence,
    })
}
