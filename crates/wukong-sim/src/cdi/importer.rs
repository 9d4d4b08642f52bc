//! The importer's pod: the fields that people and controllers read.

use serde_json::{Value, json};

use super::failure::Death;
use super::report::BY;
use crate::change::{Change, Conditions, Manager, Moment, at, pick};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::scheduler;
use crate::storage::SELECTED_NODE;
use crate::world::World;

pub const IMAGE: &str = "quay.io/kubevirt/cdi-importer:v1.66.0";
/// Names of pods that get longer than this are shortened.
const NAME_MAX: usize = 230;

/// The state of the importer.
pub enum Doing<'a> {
    /// It copies.
    Copies,
    /// It has died of something, for the how-maniest time.
    Died(&'a Death, i64),
    /// Its image cannot be pulled.
    Pulls,
    /// Its environment is taken from a Secret that does not exist, in the kubelet's words.
    LacksSecret(&'a str),
    /// It mounts a ConfigMap of this name, which does not exist.
    WaitsForConfigMap(&'a str),
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
    conditions.set("Initialized", "True", "", "", &moment.now);
    for kind in ["Ready", "ContainersReady"] {
        if matches!(doing, Doing::Copies) {
            conditions.set(kind, "True", "", "", &moment.now);
        } else {
            let unready = "containers with unready status: [importer]";
            conditions.set(kind, "False", "ContainersNotReady", unready, &moment.now);
        }
    }
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
    let warning = match doing {
        Doing::Pulls => Some((
            "Failed",
            format!("Failed to pull image \"{IMAGE}\": {}", unpulled()),
        )),
        Doing::LacksSecret(words) => Some(("Failed", format!("Error: {words}"))),
        Doing::WaitsForConfigMap(name) => Some((
            "FailedMount",
            format!(
                "MountVolume.SetUp failed for volume \"cdi-cert-vol\" : configmap {name:?} not found"
            ),
        )),
        Doing::Copies | Doing::Died(..) | Doing::FindsNoNode => None,
    };
    changes.extend(warning.map(|(reason, message)| {
        Change::warning(Manager::Kubelet, Kind::Pod, &pod, reason, message)
    }));
    changes
}

/// Why the image cannot be pulled, in the words of containerd.
fn unpulled() -> String {
    let (host, path) = IMAGE.split_once('/').unwrap_or(("", IMAGE));
    let (path, tag) = path.split_once(':').unwrap_or((path, "latest"));
    format!(
        "failed to pull and unpack image \"{IMAGE}\": failed to resolve image: failed to do request: Head \
         \"https://{host}/v2/{path}/manifests/{tag}\": dial tcp: lookup {host} on 10.96.0.10:53: read udp \
         10.244.0.1:40334->10.96.0.10:53: i/o timeout"
    )
}

/// The writes by which the kubelet waits before it starts the importer again, if it does not wait yet.
pub fn back_off(world: &World, claim: &Field<'_>, death: &Death) -> Vec<Change> {
    let Some(pod) = of(world, claim) else {
        return Vec::new();
    };
    let known = pod.at("status.containerStatuses").items().next();
    let Some(known) = known.filter(|known| known.at("state.terminated").is_set()) else {
        return Vec::new();
    };
    let metadata = pod.child("metadata");
    let identity = format!(
        "{}_{}({})",
        metadata.name(),
        metadata.child("namespace").text(),
        metadata.child("uid").text()
    );
    let mut container = known.value().clone();
    let message = format!("back-off 5m0s restarting failed container=importer pod={identity}");
    put(
        &mut container,
        ["state"],
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}}),
    );
    put(
        &mut container,
        ["lastState"],
        json!({"terminated": ended(death)}),
    );
    let mut status = pod.child("status").value().clone();
    put(&mut status, ["containerStatuses"], json!([container]));
    let warning = format!("Back-off restarting failed container importer in pod {identity}");
    Change::status(Manager::Kubelet, Kind::Pod, &pod, &status)
        .into_iter()
        .chain([Change::warning(
            Manager::Kubelet,
            Kind::Pod,
            &pod,
            "BackOff",
            warning,
        )])
        .collect()
}

fn ended(death: &Death) -> Value {
    json!({"exitCode": death.exit_code, "reason": death.reason, "message": death.words})
}

/// The pod's phase, and the state of its container, if that is not reported already.
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
        Doing::Died(death, count) => {
            if !known.child("ready").is_true() && restarts == *count {
                return ("Running", None);
            }
            let last = known.child("lastState").value();
            if !last.is_null() {
                put(&mut container, ["lastState"], last.clone());
            }
            (
                "Running",
                false,
                *count,
                json!({"terminated": ended(death)}),
            )
        }
        Doing::Pulls | Doing::LacksSecret(_) | Doing::WaitsForConfigMap(_) => {
            let waiting = match doing {
                Doing::Pulls => {
                    let message = format!(
                        "Back-off pulling image \"{IMAGE}\": ErrImagePull: {}",
                        unpulled()
                    );
                    json!({"reason": "ImagePullBackOff", "message": message})
                }
                Doing::LacksSecret(words) => {
                    json!({"reason": "CreateContainerConfigError", "message": words})
                }
                _ => json!({"reason": "ContainerCreating"}),
            };
            if known.at("state.waiting").value() == &waiting {
                return ("Pending", None);
            }
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
