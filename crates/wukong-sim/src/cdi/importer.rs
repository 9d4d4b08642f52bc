//! The importer's pod, as far as people and controllers look at it.

use serde_json::{Value, json};

use super::BY;
use super::claim::SELECTED_NODE;
use crate::change::{Change, Conditions, Manager, Moment, at, pick};
use crate::field::{Field, put};
use crate::scheduler;
use crate::world::{Kind, Ref, World};

pub const IMAGE: &str = "quay.io/kubevirt/cdi-importer:v1.66.0";
/// Names of pods that get longer than this are shortened.
const NAME_MAX: usize = 230;

/// What the importer does.
pub enum Doing<'a> {
    /// It copies.
    Copies,
    /// It has died of something, for the how-maniest time.
    Died(&'a str, i64),
    /// Its image cannot be pulled.
    Pulls,
    /// No node takes it.
    FindsNoNode,
}

/// The name of the pod that fills a claim. A populator's claim is filled through another one, its prime.
pub fn name(claim: &Field<'_>) -> String {
    let metadata = claim.child("metadata");
    if claim.at("spec.dataSourceRef").is_set() {
        return format!("importer-prime-{}", metadata.child("uid").text());
    }
    let name = format!("importer-{}", metadata.name());
    if name.len() > NAME_MAX {
        return format!("importer-{:08x}", pick(&name, u32::MAX));
    }
    name
}

pub fn of<'a>(world: &'a World, claim: &Field<'_>) -> Option<Field<'a>> {
    world.get(
        Kind::Pod,
        claim.at("metadata.namespace").text(),
        &name(claim),
    )
}

/// The pod goes, if it is there.
pub fn remove(world: &World, claim: &Field<'_>) -> Option<Change> {
    of(world, claim).map(|pod| Change::delete(Kind::Pod, &pod))
}

/// The pod as CDI makes it.
pub fn create(world: &World, claim: &Field<'_>) -> Option<Change> {
    if of(world, claim).is_some() {
        return None;
    }
    let metadata = claim.child("metadata");
    let populated = claim.at("spec.dataSourceRef").is_set();
    let mut volumes = Vec::new();
    if !populated {
        volumes.push(json!({"name": "cdi-data-vol", "persistentVolumeClaim": {"claimName": metadata.name()}}));
    }
    let at = Ref::new(Kind::Pod, metadata.child("namespace").text(), name(claim));
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": at.name, "namespace": at.namespace,
            "labels": {
                "app": "containerized-data-importer", "app.kubernetes.io/component": "storage",
                "app.kubernetes.io/managed-by": "cdi-controller", "cdi.kubevirt.io": "importer",
            },
            "annotations": {"cdi.kubevirt.io/storage.import.importPvcName": metadata.name()},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": metadata.name(),
                "uid": metadata.child("uid").value(), "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "containers": [{
                "name": "importer", "image": IMAGE,
                // CDI's own defaults.
                "resources": {
                    "requests": {"cpu": "100m", "memory": "60M"}, "limits": {"cpu": "750m", "memory": "600M"},
                },
            }],
            "volumes": volumes,
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
        },
    });
    Some(Change::Create { by: BY, at, object })
}

/// The writes that make the pod show what the importer does.
pub fn show(world: &World, claim: &Field<'_>, doing: &Doing<'_>, moment: &Moment) -> Vec<Change> {
    let Some(pod) = of(world, claim) else {
        return Vec::new();
    };
    if matches!(doing, Doing::FindsNoNode) {
        return unschedulable(world, &pod, moment);
    }
    let mut changes = Vec::new();
    if pod.at("spec.nodeName").text().is_empty() {
        let chosen = claim.at("metadata.annotations").child(SELECTED_NODE).text();
        let any = world.refs(Kind::Node).next().map_or("", |node| &node.name);
        let node = if chosen.is_empty() { any } else { chosen }.to_owned();
        let at = at(Kind::Pod, &pod);
        changes.push(Change::Bind { at, node });
    }
    let (phase, container) = container(&pod, doing, moment);
    let mut status = pod.child("status").value().clone();
    let mut conditions = Conditions::of(&pod.child("status"));
    conditions.set("PodScheduled", "True", "", "", &moment.now);
    let ready = if matches!(doing, Doing::Copies) {
        "True"
    } else {
        "False"
    };
    conditions.set("Ready", ready, "", "", &moment.now);
    put(&mut status, ["phase"], json!(phase));
    put(&mut status, ["conditions"], conditions.into_value());
    if let Some(container) = container {
        put(&mut status, ["containerStatuses"], json!([container]));
    }
    if let Some(Change::Merge {
        by,
        at,
        patch,
        status,
        ..
    }) = Change::status(Manager::Kubelet, Kind::Pod, &pod, &status)
    {
        // Binding gives the pod another version.
        let version = None;
        changes.push(Change::Merge {
            by,
            at,
            version,
            status,
            patch,
        });
    }
    if matches!(doing, Doing::Pulls) {
        let message = format!("Back-off pulling image \"{IMAGE}\"");
        changes.push(Change::warning(
            Manager::Kubelet,
            Kind::Pod,
            &pod,
            "Failed",
            message,
        ));
    }
    changes
}

/// The pod's phase, and what is to be said of its container, unless it is said already.
fn container(pod: &Field<'_>, doing: &Doing<'_>, moment: &Moment) -> (&'static str, Option<Value>) {
    let known = pod.at("status.containerStatuses").items().next();
    let known = known.unwrap_or_else(|| Field::new("", &Value::Null));
    let restarts = known.child("restartCount").integer();
    let mut container = json!({"name": "importer", "image": IMAGE, "imageID": ""});
    let (phase, ready, restarts, state) = match doing {
        Doing::FindsNoNode => return ("Pending", None),
        Doing::Copies if known.child("ready").is_true() => return ("Running", None),
        Doing::Copies => {
            let last = known.child("lastState").value();
            if !last.is_null() {
                put(&mut container, ["lastState"], last.clone());
            }
            let state = json!({"running": {"startedAt": moment.now}});
            ("Running", true, restarts, state)
        }
        Doing::Died(words, count) => {
            if !known.child("ready").is_true() && restarts == *count {
                return ("Running", None);
            }
            let ended = json!({"exitCode": 1, "reason": "Error", "message": words});
            put(&mut container, ["lastState"], json!({"terminated": ended}));
            let message = format!(
                "back-off 5m0s restarting failed container=importer pod={}",
                pod.child("metadata").name()
            );
            let waiting = json!({"reason": "CrashLoopBackOff", "message": message});
            ("Running", false, *count, json!({"waiting": waiting}))
        }
        Doing::Pulls => {
            if known.at("state.waiting").is_set() {
                return ("Pending", None);
            }
            let message = format!("Back-off pulling image \"{IMAGE}\"");
            let waiting = json!({"reason": "ImagePullBackOff", "message": message});
            ("Pending", false, restarts, json!({"waiting": waiting}))
        }
    };
    put(&mut container, ["ready"], json!(ready));
    put(&mut container, ["restartCount"], json!(restarts));
    put(&mut container, ["state"], state);
    (phase, Some(container))
}

fn unschedulable(world: &World, pod: &Field<'_>, moment: &Moment) -> Vec<Change> {
    let nodes = world.refs(Kind::Node).count();
    let message = format!(
        "0/{nodes} nodes are available: {nodes} Insufficient memory. no new claims to deallocate, preemption: 0/{nodes} \
         nodes are available: {nodes} Preemption is not helpful for scheduling."
    );
    scheduler::refuse(pod, message, moment)
}
