//! An instance on a node that does not answer: whether the guest runs is unknown. After some time its pod is evicted, and
//! stays until the kubelet agrees.

use serde_json::json;

use super::draft::Draft;
use super::object::{VIRT, is_deleting};
use crate::change::{Change, Conditions, Manager, Moment, Step, at};
use crate::field::{Field, put};
use crate::installation::node;
use crate::kind::Kind;
use crate::world::World;

const BY: Manager = Manager::KubeControllers;
/// Paces until pods are evicted: `tolerationSeconds` of the taint that the node gets.
const EVICTION: u32 = 300;

/// The next step while the node is lost or has just come back; none when nothing is wrong with it.
pub fn step(world: &World, vmi: &Field<'_>, pod: &Field<'_>, moment: &Moment) -> Option<Step> {
    let lost = node::is_lost(world, vmi.at("status.nodeName").text());
    let ready = Conditions::of(&pod.child("status")).status("Ready") == "True";
    if !lost && (ready || is_deleting(pod)) {
        return None;
    }
    let mut draft = Draft::of(vmi, moment);
    if !lost {
        draft.condition("Ready", "True", "", "");
        let change = pod_status(pod, &[("Ready", "True", "", "")], moment);
        return Some(Step::of(draft.change(VIRT).into_iter().chain(change)));
    }
    if is_deleting(pod) {
        draft.condition(
            "Ready",
            "False",
            "PodTerminating",
            super::object::TERMINATING,
        );
        return Some(Step::of(draft.change(VIRT)));
    }
    draft.condition("Ready", "False", "", "");
    let warning = Change::warning(BY, Kind::Pod, pod, "NodeNotReady", "Node is not ready");
    let shown = pod_status(pod, &[("Ready", "False", "", "")], moment);
    let mut changes: Vec<Change> = draft.change(VIRT).into_iter().chain(shown).collect();
    if changes.is_empty() && moment.waited >= EVICTION {
        let reason = "DeletionByTaintManager";
        let message = "Taint manager: deleting due to NoExecute taint";
        let target = [("DisruptionTarget", "True", reason, message)];
        changes.extend(pod_status(pod, &target, moment));
        changes.push(Change::Terminate {
            at: at(Kind::Pod, pod),
        });
        return Some(Step::of(changes));
    }
    changes.push(warning);
    let left = EVICTION.saturating_sub(moment.waited);
    Some(Step::of(changes).or_wait(left.max(1)))
}

fn pod_status(
    pod: &Field<'_>,
    conditions: &[(&str, &str, &str, &str)],
    moment: &Moment,
) -> Option<Change> {
    let mut known = Conditions::of(&pod.child("status"));
    for (kind, status, reason, message) in conditions {
        known.set(kind, status, reason, message, &moment.now);
    }
    let mut status = pod.child("status").value().clone();
    put(&mut status, ["conditions"], json!(known.into_value()));
    Change::status(BY, Kind::Pod, pod, &status)
}
