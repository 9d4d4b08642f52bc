//! The launcher pod as virt-controller makes it, and the pod that only makes claims bind.

use serde_json::{Value, json};

use super::networks::{self, interfaces};
use super::object::VIRT;
use super::settings::Settings;
use super::volumes;
use crate::change::{Change, pick};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::quantity::Quantity;
use crate::world::World;

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
        by: VIRT,
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
                "initContainers": if temporary { Vec::new() } else { init_containers(vmi) },
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

/// The init containers of a launcher pod: the console's log, and one for each container disk.
fn init_containers(vmi: &Field<'_>) -> Vec<Value> {
    let log = json!({
        "name": "guest-console-log", "image": IMAGE, "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "5m", "memory": "35M"}, "limits": {"cpu": "15m", "memory": "60M"}},
    });
    let disks = vmi.at("spec.volumes").items().filter_map(|volume| {
        let image = volume.at("containerDisk.image");
        image.is_set().then(|| {
            json!({
                "name": format!("volume{}", volume.name()), "image": image.value(),
                "resources": {"requests": {"cpu": "1m", "memory": "1M"}, "limits": {"cpu": "10m", "memory": "40M"}},
            })
        })
    });
    [log].into_iter().chain(disks).collect()
}

/// Memory in bytes that an instance's pod asks for.
#[cfg(test)]
pub fn memory_request(world: &World, vmi: &Field<'_>) -> i64 {
    let requests = requests(world, vmi);
    Field::new("", &requests).child("memory").quantity().value()
}
