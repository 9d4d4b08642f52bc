//! A pod from its creation to its end: what scheduler and kubelet make of it.

use serde_json::json;

use super::kubelet::{self, State, state};
use super::object::is_deleting;
use super::volumes;
use crate::change::{Change, Manager, Moment, Step, at};
use crate::field::Field;
use crate::installation::node;
use crate::kind::{Kind, Ref};
use crate::scenario::Scenario;
use crate::scheduler::{self, Placement};
use crate::storage::{SELECTED_NODE, is_bound};
use crate::world::World;

/// The next step of a launcher pod.
pub fn advance(
    world: &World,
    vmi: &Field<'_>,
    pod: &Field<'_>,
    scenario: &Scenario,
    moment: &Moment,
) -> Step {
    match state(pod) {
        State::Unscheduled => schedule(world, pod, scenario, moment),
        State::Starting | State::Pulling(..) => kubelet::start(world, vmi, pod, scenario, moment),
        State::Running | State::Over => Step::quiet(),
    }
}

fn schedule(world: &World, pod: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let by = Manager::Scheduler;
    match scheduler::place(world, pod, scenario) {
        Placement::Node(node) => Step::of([Change::Bind {
            at: at(Kind::Pod, pod),
            node,
        }]),
        Placement::Waits => Step::quiet(),
        Placement::Volumes { node, claims } => {
            let patch = json!({"metadata": {"annotations": {SELECTED_NODE: node}}});
            let namespace = pod.at("metadata.namespace").text();
            Step::of(claims.into_iter().map(|claim| Change::Merge {
                by,
                at: Ref::new(Kind::Claim, namespace, claim),
                version: None,
                status: false,
                patch: patch.clone(),
            }))
        }
        Placement::Nowhere(message) => Step::of(scheduler::refuse(pod, message, moment)),
    }
}

/// A temporary pod ends when the claims are bound, and goes.
pub fn finish_provisioner(world: &World, vmi: &Field<'_>, pod: &Field<'_>) -> Step {
    let namespace = vmi.at("metadata.namespace").text();
    let bound = volumes::claims(world, namespace, &vmi.child("spec"))
        .iter()
        .all(is_bound);
    if bound {
        Step::of([Change::delete(Kind::Pod, pod)])
    } else {
        Step::quiet()
    }
}

/// Asks that a pod be deleted. One without a node goes at once, any other when its kubelet agrees.
pub fn remove(pod: &Field<'_>) -> Option<Change> {
    if pod.at("spec.nodeName").text().is_empty() {
        return Some(Change::delete(Kind::Pod, pod));
    }
    (!is_deleting(pod)).then(|| Change::Terminate {
        at: at(Kind::Pod, pod),
    })
}

/// The next step of any pod of our nodes: one that is deleted goes, as the kubelet would let it go.
pub fn next(world: &World, namespace: &str, name: &str) -> Step {
    let Some(pod) = world.get(Kind::Pod, namespace, name) else {
        return Step::quiet();
    };
    let node_responds = !node::is_lost(world, pod.at("spec.nodeName").text());
    if is_deleting(&pod) && pod.at("metadata.finalizers").count() == 0 && node_responds {
        return Step::of([Change::delete(Kind::Pod, &pod)]);
    }
    Step::quiet()
}
