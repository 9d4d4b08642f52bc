//! The launcher pod: what it asks for, and what scheduler and kubelet make of it.

use serde_json::{Value, json};

use super::networks::{self, interfaces};
use super::{Settings, kubelet, volumes};
use crate::cdi::claim::{SELECTED_NODE, is_bound};
use crate::change::{Change, Manager, Moment, Step, at, pick};
use crate::field::{Field, put};
use crate::installation::node;
use crate::quantity::Quantity;
use crate::scenario::Scenario;
use crate::scheduler::{self, Placement};
use crate::world::{Kind, Ref, World};

/// The condition that keeps a launcher pod from being ready while its guest is paused.
pub const UNPAUSED: &str = "kubevirt.io/virtual-machine-unpaused";
const PROVISIONING: &str = "kubevirt.io/ephemeral-provisioning";
/// The launcher's image.
pub const IMAGE: &str = "quay.io/kubevirt/virt-launcher:v1.9.0";
/// What the launcher takes besides the guest's memory.
const OVERHEAD: i64 = 296 << 20;
const SRIOV_OVERHEAD: i64 = 1 << 30;
const PASST_OVERHEAD: i64 = 250 << 20;

/// The launcher pod of an instance, if it exists.
pub fn launcher<'a>(world: &'a World, vmi: &Field<'_>) -> Option<Field<'a>> {
    world.get(
        Kind::Pod,
        vmi.at("metadata.namespace").text(),
        &name(vmi, ""),
    )
}

/// The pod that only makes the claims of an instance bind.
pub fn provisioner<'a>(world: &'a World, vmi: &Field<'_>) -> Option<Field<'a>> {
    world.get(
        Kind::Pod,
        vmi.at("metadata.namespace").text(),
        &name(vmi, "provision"),
    )
}

fn name(vmi: &Field<'_>, purpose: &str) -> String {
    let uid = vmi.at("metadata.uid").text();
    let suffix = pick(&format!("{uid}{purpose}"), 0xf_ffff);
    format!(
        "virt-launcher-{}-{suffix:05x}",
        vmi.child("metadata").name()
    )
}

/// Creates the launcher pod of an instance.
pub fn create_launcher(world: &World, vmi: &Field<'_>) -> Change {
    create(world, vmi, "")
}

pub fn create_provisioner(world: &World, vmi: &Field<'_>) -> Change {
    create(world, vmi, "provision")
}

fn create(world: &World, vmi: &Field<'_>, purpose: &str) -> Change {
    let metadata = vmi.child("metadata");
    let (namespace, owner) = (metadata.child("namespace").text(), metadata.name());
    let name = name(vmi, purpose);
    let mut labels = metadata.child("labels").value().clone();
    // Label values end at 63 characters.
    let short: String = owner.chars().take(63).collect();
    let short = short.trim_end_matches(['-', '.']);
    put(&mut labels, ["kubevirt.io"], json!("virt-launcher"));
    put(
        &mut labels,
        ["kubevirt.io/created-by"],
        metadata.child("uid").value().clone(),
    );
    put(&mut labels, ["vm.kubevirt.io/name"], json!(short));
    let mut annotations =
        json!({"kubevirt.io/domain": owner, "post.hook.backup.velero.io/container": "compute"});
    let networks = networks::annotation(vmi);
    if !networks.is_empty() {
        put(
            &mut annotations,
            [networks::ANNOTATION],
            json!(Value::Array(networks).to_string()),
        );
    }
    let temporary = !purpose.is_empty();
    if temporary {
        put(&mut annotations, [PROVISIONING], json!("true"));
    }
    let requests = requests(world, vmi);
    let command = if temporary {
        json!(["/bin/bash", "-c", "echo bound PVCs"])
    } else {
        json!(["/usr/bin/virt-launcher"])
    };
    let spec = vmi.child("spec");
    let volumes: Vec<Value> = volumes::claim_names(&spec)
        .enumerate()
        .map(|(index, claim)| json!({"name": format!("disk-{index}"), "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    let grace = spec
        .child("terminationGracePeriodSeconds")
        .value()
        .as_i64()
        .unwrap_or(30)
        .max(0)
        + 30;
    Change::Create {
        by: super::VIRT,
        at: Ref::new(Kind::Pod, namespace, name.clone()),
        object: json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "namespace": namespace, "labels": labels, "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": owner,
                    "uid": metadata.child("uid").value(), "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "spec": {
                "containers": [{
                    "name": "compute", "image": IMAGE, "command": command,
                    "resources": {"requests": requests, "limits": devices(&requests)},
                }],
                "initContainers": if temporary { Vec::new() } else { kubelet::init_containers(vmi) },
                "volumes": volumes,
                "readinessGates": [{"conditionType": UNPAUSED}],
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "hostname": short.split('.').next(),
                "terminationGracePeriodSeconds": grace,
                "nodeSelector": node_selector(&spec),
                "affinity": spec.child("affinity").value(),
                "tolerations": spec.child("tolerations").value(),
                "priorityClassName": spec.child("priorityClassName").value(),
                "topologySpreadConstraints": spec.child("topologySpreadConstraints").value(),
            },
        }),
    }
}

fn requests(world: &World, vmi: &Field<'_>) -> Value {
    let domain = vmi.at("spec.domain");
    let cpu = domain.child("cpu");
    let vcpus: i64 = ["sockets", "cores", "threads"]
        .iter()
        .map(|part| cpu.child(part).integer().max(1))
        .product();
    let has = |binding: &str| interfaces(vmi).any(|nic| nic.child(binding).is_set());
    let guest = domain.at("memory.guest").quantity().value();
    let memory = guest
        .saturating_add(OVERHEAD)
        .saturating_add(if has("sriov") { SRIOV_OVERHEAD } else { 0 })
        .saturating_add(if has("passtBinding") {
            PASST_OVERHEAD
        } else {
            0
        });
    let mut requests = json!({"cpu": format!("{}m", vcpus * 100), "memory": Quantity::units(memory.max(0)).to_binary()});
    let emulation = Settings::of(world).emulation;
    let virtio = interfaces(vmi).any(|nic| ["", "virtio"].contains(&nic.child("model").text()));
    let attached = domain.at("devices.autoattachPodInterface").flag() != Some(false)
        || interfaces(vmi).next().is_some();
    for (device, wanted) in [
        ("kvm", !emulation),
        ("tun", attached),
        ("vhost-net", !emulation && virtio),
    ] {
        if wanted {
            put(
                &mut requests,
                [&format!("devices.kubevirt.io/{device}")],
                json!("1"),
            );
        }
    }
    for (resource, count) in networks::devices(world, vmi) {
        put(&mut requests, [&resource], json!(count.to_string()));
    }
    requests
}

/// Extended resources are limited to what is requested.
fn devices(requests: &Value) -> Value {
    let all = requests.as_object().into_iter().flatten();
    all.filter(|(key, _)| key.contains('/'))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn node_selector(spec: &Field<'_>) -> Value {
    let mut selector = spec.child("nodeSelector").value().clone();
    put(&mut selector, ["kubevirt.io/schedulable"], json!("true"));
    put(
        &mut selector,
        ["kubernetes.io/arch"],
        json!(spec.child("architecture").text()),
    );
    let machine = spec.at("domain.machine.type").text();
    put(
        &mut selector,
        [&format!("machine-type.node.kubevirt.io/{machine}")],
        json!("true"),
    );
    selector
}

/// What the kubelet reports of a launcher pod.
#[derive(Debug, PartialEq)]
pub enum State {
    Unscheduled,
    Starting,
    /// Waiting for an image: the reason and the message.
    Pulling(String, String),
    Running,
    Over,
}

pub fn state(pod: &Field<'_>) -> State {
    let waiting = pod
        .at("status.initContainerStatuses")
        .items()
        .chain(pod.at("status.containerStatuses").items())
        .map(|status| status.at("state.waiting"))
        .find(|waiting| {
            ["ErrImagePull", "ImagePullBackOff"].contains(&waiting.child("reason").text())
        });
    match (
        pod.at("spec.nodeName").text(),
        pod.at("status.phase").text(),
    ) {
        (_, "Running") => State::Running,
        (_, "Succeeded" | "Failed") => State::Over,
        ("", _) => State::Unscheduled,
        _ => match waiting {
            Some(waiting) => State::Pulling(
                waiting.child("reason").text().into(),
                waiting.child("message").text().into(),
            ),
            None => State::Starting,
        },
    }
}

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
    (!super::is_deleting(pod)).then(|| Change::Terminate {
        at: at(Kind::Pod, pod),
    })
}

/// The next step of any pod of our nodes: one that is deleted goes, as the kubelet would let it go.
pub fn next(world: &World, namespace: &str, name: &str) -> Step {
    let Some(pod) = world.get(Kind::Pod, namespace, name) else {
        return Step::quiet();
    };
    let heard = !node::is_lost(world, pod.at("spec.nodeName").text());
    if super::is_deleting(&pod) && pod.at("metadata.finalizers").count() == 0 && heard {
        return Step::of([Change::delete(Kind::Pod, &pod)]);
    }
    Step::quiet()
}

/// Memory in bytes that an instance's pod asks for.
#[cfg(test)]
pub fn memory_request(world: &World, vmi: &Field<'_>) -> i64 {
    let requests = requests(world, vmi);
    Field::new("", &requests).child("memory").quantity().value()
}
