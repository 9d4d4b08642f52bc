//! Volumes of a running instance: how the status shows them, and the pod through which volumes are plugged in.

use serde_json::{Value, json};

use super::draft::Draft;
use super::{launcher_pod, volumes};
use crate::change::{Change, Manager, Moment, Step, pick};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::storage;
use crate::world::World;

/// Size of the disk that virt-launcher makes for cloud-init.
const SEED: i64 = 1 << 20;
/// Paces between two attempts to make a pod that the API server refuses.
const RETRY: u32 = 20;

/// Whether the volume of this disk is plugged in by a pod of its own.
pub fn is_plugged(vmi: &Field<'_>, disk: &str) -> bool {
    let mut volumes = vmi.at("spec.volumes").items();
    volumes.any(|volume| volume.name() == disk && is_pluggable(&volume))
}

/// Whether a volume is plugged in by a pod of its own.
fn is_pluggable(volume: &Field<'_>) -> bool {
    ["dataVolume", "persistentVolumeClaim"]
        .iter()
        .any(|kind| volume.child(kind).child("hotpluggable").is_true())
}

fn claim_name<'a>(volume: &Field<'a>) -> &'a str {
    match volume.child("dataVolume").name() {
        "" => volume.at("persistentVolumeClaim.claimName").text(),
        name => name,
    }
}

fn claim<'a>(world: &'a World, vmi: &Field<'_>, volume: &Field<'_>) -> Option<Field<'a>> {
    world.get(
        Kind::Claim,
        vmi.at("metadata.namespace").text(),
        claim_name(volume),
    )
}

/// `volumeStatus`, in the order of the names. Those of ordinary volumes have no phase; `runs` tells whether the guest does.
pub fn ordinary(world: &World, vmi: &Field<'_>, runs: bool) -> Vec<Value> {
    let mut entries: Vec<Value> = vmi
        .at("spec.volumes")
        .items()
        .filter(|volume| !is_pluggable(volume))
        .map(|volume| {
            let mut entry = json!({"name": volume.name(), "target": target(vmi, volume.name())});
            if let Some(claim) = claim(world, vmi, &volume) {
                put(&mut entry, ["persistentVolumeClaimInfo"], info(&claim));
            }
            if runs && volume.set_among(&["cloudInitNoCloud", "cloudInitConfigDrive"]) > 0 {
                put(&mut entry, ["size"], SEED);
            }
            entry
        })
        .collect();
    entries.sort_by_key(name_of);
    entries
}

fn name_of(entry: &Value) -> String {
    Field::new("", entry).name().to_owned()
}

/// The device of a disk in the guest.
fn target(vmi: &Field<'_>, disk: &str) -> String {
    let index = vmi
        .at("spec.domain.devices.disks")
        .items()
        .position(|known| known.name() == disk)
        .unwrap_or_default();
    let letter = char::from(b'a'.saturating_add(u8::try_from(index % 26).unwrap_or_default()));
    format!("vd{letter}")
}

fn info(claim: &Field<'_>) -> Value {
    json!({
        "accessModes": claim.at("spec.accessModes").value(),
        "capacity": claim.at("status.capacity").value(),
        "claimName": claim.child("metadata").name(),
        "filesystemOverhead": "0.06",
        "requests": claim.at("spec.resources.requests").value(),
        "volumeMode": claim.at("spec.volumeMode").value(),
    })
}

/// Brings `volumeStatus` one step on, and the pod that attaches the volumes of the spec.
pub fn step(world: &World, vmi: &Field<'_>, draft: &mut Draft<'_>, moment: &Moment) -> Step {
    let plugged: Vec<Field<'_>> = vmi
        .at("spec.volumes")
        .items()
        .filter(is_pluggable)
        .collect();
    let present: Vec<&Field<'_>> = plugged
        .iter()
        .filter(|volume| claim(world, vmi, volume).is_some())
        .collect();
    let mut step = Step::quiet();
    let wanted = name(vmi, &present);
    for old in attachments(world, vmi) {
        if old.child("metadata").name() != wanted {
            step.changes.push(Change::delete(Kind::Pod, &old));
        }
    }
    let namespace = vmi.at("metadata.namespace").text();
    let attacher = world.get(Kind::Pod, namespace, &wanted);
    if let Some(attacher) = &attacher {
        step.changes.extend(run(attacher, moment));
    } else if !present.is_empty() {
        let refused = moment
            .refusal
            .as_ref()
            .is_some_and(|refusal| refusal.kind == Kind::Pod);
        if !refused || moment.waited >= RETRY {
            step.changes.extend(create(world, vmi, &wanted, &present));
        } else {
            step.again = Some(RETRY - moment.waited);
        }
    }
    let mut entries = ordinary(world, vmi, true);
    entries.extend(
        plugged
            .iter()
            .map(|volume| shown(world, vmi, volume, attacher.as_ref())),
    );
    entries.sort_by_key(name_of);
    put(&mut draft.status, ["volumeStatus"], json!(entries));
    step
}

/// The next state of a volume that is plugged in.
fn shown(
    world: &World,
    vmi: &Field<'_>,
    volume: &Field<'_>,
    attacher: Option<&Field<'_>>,
) -> Value {
    let name = volume.name();
    let Some(claim) = claim(world, vmi, volume) else {
        return json!({"name": name, "target": "", "phase": "Pending", "reason": "FailedPvcNotFound",
            "message": format!("PVC {} not found", claim_name(volume))});
    };
    let Some(attacher) = attacher else {
        return json!({"name": name, "target": "", "phase": "Pending"});
    };
    let pod = attacher.child("metadata");
    let known = vmi
        .at("status.volumeStatus")
        .items()
        .find(|entry| entry.name() == name);
    let known = known.map_or("", |entry| entry.child("phase").text());
    let runs = attacher.at("status.phase").text() == "Running" && has_image(world, &claim);
    let (phase, reason, message, target) = match known {
        "AttachedToNode" if runs => (
            "MountedToPod",
            "VolumeMountedToPod",
            format!("Volume {name} has been mounted in virt-launcher pod"),
            String::new(),
        ),
        "MountedToPod" | "Ready" => (
            "Ready",
            "VolumeReady",
            format!("Successfully attach hotplugged volume {name} to VM"),
            target(vmi, name),
        ),
        _ => (
            "AttachedToNode",
            "SuccessfulCreate",
            format!(
                "Created hotplug attachment pod {}, for volume {name}",
                pod.name()
            ),
            String::new(),
        ),
    };
    json!({
        "name": name, "target": target, "phase": phase, "reason": reason, "message": message,
        "persistentVolumeClaimInfo": info(&claim),
        "hotplugVolume": {"attachPodName": pod.name(), "attachPodUID": pod.child("uid").value()},
    })
}

/// Whether there is something to mount: on an empty filesystem, KubeVirt waits for an image for ever.
fn has_image(world: &World, claim: &Field<'_>) -> bool {
    let metadata = claim.child("metadata");
    claim.at("spec.volumeMode").text() == "Block"
        || world
            .get(
                Kind::DataVolume,
                metadata.child("namespace").text(),
                metadata.name(),
            )
            .is_some_and(|dv| dv.at("status.phase").text() == "Succeeded")
}

/// The pods that attach volumes of an instance.
pub fn attachments<'a>(world: &'a World, vmi: &Field<'_>) -> Vec<Field<'a>> {
    let launcher = launcher_pod::launcher(world, vmi);
    let uid = launcher.map_or("", |launcher| launcher.at("metadata.uid").text());
    world
        .refs(Kind::Pod)
        .filter_map(|at| world.get(at.kind, &at.namespace, &at.name))
        .filter(|pod| {
            let owned = |owner: Field<'_>| owner.child("uid").text() == uid;
            is_attachment(pod) && pod.at("metadata.ownerReferences").items().any(owned)
        })
        .collect()
}

/// Whether a pod attaches volumes.
pub fn is_attachment(pod: &Field<'_>) -> bool {
    pod.at("metadata.labels").child("kubevirt.io").text() == "hotplug-disk"
}

/// The name of the pod that attaches these volumes.
fn name(vmi: &Field<'_>, volumes: &[&Field<'_>]) -> String {
    let mut identity = vmi.at("metadata.uid").text().to_owned();
    for volume in volumes {
        identity.push_str(volume.name());
    }
    format!("hp-volume-{:05x}", pick(&identity, 0xf_ffff))
}

fn create(world: &World, vmi: &Field<'_>, name: &str, volumes: &[&Field<'_>]) -> Option<Change> {
    let launcher = launcher_pod::launcher(world, vmi)?;
    let owner = launcher.child("metadata");
    let at = Ref::new(Kind::Pod, owner.child("namespace").text(), name);
    let mounts: Vec<Value> = volumes
        .iter()
        .map(|volume| json!({"name": volume.name(), "persistentVolumeClaim": {"claimName": claim_name(volume)}}))
        .collect();
    let object = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": at.namespace, "labels": {"kubevirt.io": "hotplug-disk"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Pod", "name": owner.name(), "uid": owner.child("uid").value(),
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "nodeName": launcher.at("spec.nodeName").value(),
            "containers": [{
                "name": "hotplug-disk", "image": launcher_pod::IMAGE,
                "resources": {"limits": {"cpu": "100m", "memory": "80M"}, "requests": {"cpu": "10m", "memory": "2M"}},
            }],
            "volumes": mounts,
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
        },
    });
    Some(Change::Create {
        by: super::object::VIRT,
        at,
        object,
    })
}

/// The kubelet starts the pod.
fn run(pod: &Field<'_>, moment: &Moment) -> Option<Change> {
    if pod.at("status.phase").text() == "Running" {
        return None;
    }
    let mut status = pod.child("status").value().clone();
    put(&mut status, ["phase"], "Running");
    put(&mut status, ["startTime"], moment.now.as_str());
    Change::status(Manager::Kubelet, Kind::Pod, pod, &status)
}

/// The disk with an image that another guest has locked; the scenario `write-lock` locks the first one.
pub fn locked(world: &World, vmi: &Field<'_>, wanted: bool) -> Option<String> {
    let namespace = vmi.at("metadata.namespace").text();
    let others: Vec<Field<'_>> = world
        .list(Kind::Vmi, namespace)
        .filter(|other| {
            other.at("status.phase").text() == "Running"
                && other.child("metadata").name() != vmi.child("metadata").name()
        })
        .collect();
    let shareable = |name: &str| {
        vmi.at("spec.domain.devices.disks")
            .items()
            .any(|disk| disk.name() == name && disk.child("shareable").is_true())
    };
    let disk = vmi.at("spec.volumes").items().find(|volume| {
        let claim = claim_name(volume);
        let used = others
            .iter()
            .any(|other| volumes::claim_names(&other.child("spec")).any(|name| name == claim));
        !claim.is_empty() && !shareable(volume.name()) && (wanted || used)
    })?;
    // What is not imported yet cannot be locked.
    claim(world, vmi, &disk).filter(storage::is_bound)?;
    Some(disk.name().to_owned())
}
