//! Multus: its DaemonSet, and whether it works on a node.

use serde_json::json;

use super::node;
use crate::change::{Change, Manager, Step};
use crate::kind::{Kind, Ref};
use crate::scenario::Scenario;
use crate::world::World;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-multus-ds";
const BY: Manager = Manager::KubeControllers;

/// The next step of Multus, where its kind is installed.
pub fn next(world: &World) -> Step {
    if !world.serves(Kind::Nad) {
        return Step::quiet();
    }
    let Some(known) = world.get(Kind::DaemonSet, NAMESPACE, NAME) else {
        let labels = json!({"app": "multus"});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{
                    "name": "kube-multus", "image": "ghcr.io/k8snetworkplumbingwg/multus-cni:v4.3.0-thick",
                }]},
            }},
        });
        let at = Ref::new(Kind::DaemonSet, NAMESPACE, NAME);
        return Step::of([Change::Create { by: BY, at, object }]);
    };
    let nodes: Vec<&str> = world
        .refs(Kind::Node)
        .map(|node| node.name.as_str())
        .collect();
    let ready = nodes.iter().filter(|node| works_on(world, node)).count();
    let mut status = known.child("status").value().clone();
    let numbers = [
        ("currentNumberScheduled", nodes.len()),
        ("desiredNumberScheduled", nodes.len()),
        ("numberReady", ready),
        ("numberMisscheduled", 0),
    ];
    for (key, number) in numbers {
        crate::field::put(&mut status, [key], json!(number));
    }
    Step::of(Change::status(BY, Kind::DaemonSet, &known, &status))
}

/// Whether pods of this node get their secondary networks.
pub fn works_on(world: &World, name: &str) -> bool {
    let daemon = world.get(Kind::DaemonSet, NAMESPACE, NAME);
    let broken = daemon.is_some_and(|daemon| Scenario::of(world, &daemon).has("multus-broken"));
    !broken && node::has_multus(world, name) && !node::is_lost(world, name)
}
