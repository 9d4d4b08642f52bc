//! The scheduler: which node takes a pod, or why none does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::change::{Change, Conditions, Manager, Moment};
use super::field::{Field, put};
use super::kind::Kind;
use super::quantity::Quantity;
use super::scenario::Scenario;
use super::storage;
use super::world::World;

const WAIT: &str = "WaitForFirstConsumer";

/// Where a pod goes.
#[derive(Debug, PartialEq)]
pub enum Placement {
    Node(String),
    /// A node is chosen; these claims get their volumes there before the pod goes.
    Volumes {
        node: String,
        claims: Vec<String>,
    },
    /// A node is chosen, and volumes are on their way.
    Waits,
    Nowhere(String),
}

/// The scheduler's message about a pod that no node takes: in its condition, and in an event.
pub fn refuse(pod: &Field<'_>, message: String, moment: &Moment) -> Vec<Change> {
    const BY: Manager = Manager::Scheduler;
    let mut conditions = Conditions::of(&pod.child("status"));
    conditions.set(
        "PodScheduled",
        "False",
        "Unschedulable",
        &message,
        &moment.now,
    );
    let mut status = pod.child("status").value().clone();
    put(&mut status, ["conditions"], conditions.into_value());
    let warning = Change::warning(BY, Kind::Pod, pod, "FailedScheduling", message);
    Change::status(BY, Kind::Pod, pod, &status)
        .into_iter()
        .chain([warning])
        .collect()
}

/// The causes of the scenario `unschedulable`, by its value.
const CAUSES: [(&str, &str); 7] = [
    ("kvm", "Insufficient devices.kubevirt.io/kvm"),
    ("memory", "Insufficient memory"),
    ("cpu", "Insufficient cpu"),
    (
        "selector",
        "node(s) didn't match Pod's node affinity/selector",
    ),
    ("taint", "node(s) had untolerated taint(s)"),
    ("cordon", "node(s) were unschedulable"),
    (
        "volume-affinity",
        "node(s) had volume node affinity conflict",
    ),
];

pub fn place(world: &World, pod: &Field<'_>, scenario: &Scenario) -> Placement {
    let nodes: Vec<Field<'_>> = world.list(Kind::Node, "").collect();
    if nodes.is_empty() {
        return Placement::Nowhere("no nodes available to schedule pods".into());
    }
    if let Some(cause) = scenario.value("unschedulable") {
        let text = CAUSES
            .iter()
            .find(|(name, _)| *name == cause)
            .map_or("Insufficient memory", |(_, text)| text);
        return Placement::Nowhere(refused(
            nodes.len(),
            &BTreeMap::from([((*text).to_owned(), nodes.len())]),
            0,
        ));
    }
    let namespace = pod.at("metadata.namespace").text();
    let claims: Vec<Field<'_>> = pod
        .at("spec.volumes")
        .items()
        .filter_map(|volume| {
            world.get(
                Kind::Claim,
                namespace,
                volume.at("persistentVolumeClaim.claimName").text(),
            )
        })
        .collect();
    let unbound: Vec<&Field<'_>> = claims
        .iter()
        .filter(|claim| !storage::is_bound(claim))
        .collect();
    if unbound
        .iter()
        .any(|claim| !waits_for_consumer(world, claim))
    {
        return Placement::Nowhere(format!(
            "0/{} nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            nodes.len()
        ));
    }
    let mut reasons = BTreeMap::new();
    let mut preemptible = 0;
    let mut fitting: Vec<(&Field<'_>, Load)> = Vec::new();
    for node in &nodes {
        let load = Load::of(world, node);
        let against = objections(pod, node, &load);
        if against.is_empty() {
            fitting.push((node, load));
        } else if against.iter().all(|objection| objection.preemptible) {
            preemptible += 1;
        }
        for Objection { reason, .. } in against {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let Some((node, _)) = fitting.into_iter().min_by_key(|(_, load)| load.pods) else {
        return Placement::Nowhere(refused(nodes.len(), &reasons, preemptible));
    };
    let node = node.child("metadata").name().to_owned();
    let selected = |claim: &Field<'_>| {
        claim
            .at("metadata.annotations")
            .child(storage::SELECTED_NODE)
            .text()
            .to_owned()
    };
    let fresh: Vec<String> = unbound
        .iter()
        .filter(|claim| selected(claim).is_empty())
        .map(|claim| claim.child("metadata").name().to_owned())
        .collect();
    if !fresh.is_empty() {
        Placement::Volumes {
            node,
            claims: fresh,
        }
    } else if !unbound.is_empty() {
        Placement::Waits
    } else {
        let chosen = claims.iter().map(selected).find(|node| !node.is_empty());
        Placement::Node(chosen.unwrap_or(node))
    }
}

fn waits_for_consumer(world: &World, claim: &Field<'_>) -> bool {
    let class = world.get(
        Kind::StorageClass,
        "",
        claim.at("spec.storageClassName").text(),
    );
    class.is_some_and(|class| class.child("volumeBindingMode").text() == WAIT)
}

/// The scheduler's sentence. `preemptible` nodes would take the pod if they had no other pods, and none of those is
/// less important.
fn refused(nodes: usize, reasons: &BTreeMap<String, usize>, preemptible: usize) -> String {
    let list: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let preemption: Vec<String> = [
        (preemptible, "No preemption victims found for incoming pod"),
        (
            nodes - preemptible.min(nodes),
            "Preemption is not helpful for scheduling",
        ),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, text)| format!("{count} {text}"))
    .collect();
    format!(
        "0/{nodes} nodes are available: {}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {}.",
        list.join(", "),
        preemption.join(", ")
    )
}

/// Why a node does not take a pod.
struct Objection {
    reason: String,
    /// Whether other pods are all that is in the way.
    preemptible: bool,
}

impl Objection {
    fn of_node(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            preemptible: false,
        }
    }

    fn of_pods(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            preemptible: true,
        }
    }
}

/// What the pods of a node take away from it.
#[derive(Debug, Default)]
struct Load {
    pods: usize,
    used: BTreeMap<String, i64>,
    labels: Vec<Value>,
}

impl Load {
    fn of(world: &World, node: &Field<'_>) -> Self {
        let name = node.child("metadata").name();
        let mut load = Self::default();
        let namespaces: Vec<&str> = world
            .refs(Kind::Namespace)
            .map(|key| key.name.as_str())
            .collect();
        for pod in namespaces
            .into_iter()
            .flat_map(|namespace| world.list(Kind::Pod, namespace))
        {
            let over = ["Succeeded", "Failed"].contains(&pod.at("status.phase").text());
            if pod.at("spec.nodeName").text() != name || over {
                continue;
            }
            load.pods += 1;
            load.labels.push(pod.at("metadata.labels").value().clone());
            for (resource, amount) in requests(&pod) {
                *load.used.entry(resource.to_owned()).or_default() += amount.milli();
            }
        }
        load
    }

    /// Whether the pod must not share a node with one that is here.
    fn repels(&self, pod: &Field<'_>) -> bool {
        let rules =
            pod.at("spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution");
        rules
            .items()
            .filter(|rule| rule.child("topologyKey").text() == "kubernetes.io/hostname")
            .any(|rule| {
                let wanted: Vec<_> = rule.at("labelSelector.matchLabels").entries().collect();
                let all = |labels: &Value| {
                    wanted
                        .iter()
                        .all(|(key, value)| labels.get(*key) == Some(*value))
                };
                !wanted.is_empty() && self.labels.iter().any(all)
            })
    }
}

fn requests<'a>(pod: &Field<'a>) -> Vec<(&'a str, Quantity)> {
    pod.at("spec.containers")
        .items()
        .flat_map(|container| {
            let list = container.at("resources.requests");
            list.entries()
                .map(|(key, value)| (key, Field::new("", value).quantity()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Returns why a node does not take a pod. The scheduler's filters run in this order. The first that rejects the pod counts.
fn objections(pod: &Field<'_>, node: &Field<'_>, load: &Load) -> Vec<Objection> {
    let spec = node.child("spec");
    if spec.child("unschedulable").is_true() {
        return vec![Objection::of_node("node(s) were unschedulable")];
    }
    if spec
        .child("taints")
        .items()
        .any(|taint| repels(&taint, pod))
    {
        return vec![Objection::of_node("node(s) had untolerated taint(s)")];
    }
    let labels = node.at("metadata.labels");
    let selected = pod
        .at("spec.nodeSelector")
        .entries()
        .all(|(key, value)| labels.child(key).value() == value);
    if !selected || !matches_affinity(pod, &labels) {
        return vec![Objection::of_node(
            "node(s) didn't match Pod's node affinity/selector",
        )];
    }
    if load.repels(pod) {
        return vec![Objection::of_pods(
            "node(s) didn't match pod anti-affinity rules",
        )];
    }
    requests(pod)
        .into_iter()
        .filter_map(|(resource, amount)| {
            let allocatable = node
                .at("status.allocatable")
                .child(resource)
                .quantity()
                .milli();
            let used = load.used.get(resource).copied().unwrap_or_default();
            let reason = format!("Insufficient {resource}");
            if amount.milli() > allocatable {
                Some(Objection::of_node(reason))
            } else if used.saturating_add(amount.milli()) > allocatable {
                Some(Objection::of_pods(reason))
            } else {
                None
            }
        })
        .collect()
}

fn repels(taint: &Field<'_>, pod: &Field<'_>) -> bool {
    let effect = taint.child("effect").text();
    if !["NoSchedule", "NoExecute"].contains(&effect) {
        return false;
    }
    !pod.at("spec.tolerations").items().any(|toleration| {
        let key = toleration.child("key").text();
        let same_effect = ["", effect].contains(&toleration.child("effect").text());
        let same_key = key == taint.child("key").text()
            && (toleration.child("operator").text() == "Exists"
                || toleration.child("value").text() == taint.child("value").text());
        let everything = key.is_empty() && toleration.child("operator").text() == "Exists";
        same_effect && (same_key || everything)
    })
}

/// Required node affinity: one of the terms, all of its expressions.
fn matches_affinity(pod: &Field<'_>, labels: &Field<'_>) -> bool {
    let required =
        pod.at("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    if !required.is_set() {
        return true;
    }
    let holds = |expression: Field<'_>| {
        let label = labels.child(expression.child("key").text());
        let listed = expression
            .child("values")
            .items()
            .any(|value| value.value() == label.value());
        match expression.child("operator").text() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => label.is_set(),
            "DoesNotExist" => !label.is_set(),
            _ => true,
        }
    };
    required
        .child("nodeSelectorTerms")
        .items()
        .any(|term| term.child("matchExpressions").items().all(holds))
}
