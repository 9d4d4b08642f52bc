//! Claims: binding, loss and growth, as provisioner, resizer and kubelet would do it.

use serde_json::{Value, json};

use crate::change::{Change, Conditions, Manager, Moment, Step};
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::scenario::Scenario;
use crate::storage::{self, Class, SELECTED_NODE};
use crate::world::World;

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const PROVISIONED_BY: &str = "volume.kubernetes.io/storage-provisioner";

pub fn class(world: &World, claim: &Field<'_>) -> Option<Class> {
    Class::named(world, claim.at("spec.storageClassName").text())
}

/// The next step of a claim that nothing populates.
pub fn next(world: &World, claim: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    match claim.at("status.phase").text() {
        "Lost" if scenario.has("claim-lost") => Step::quiet(),
        "Lost" => find_again(claim),
        "Bound" if scenario.has("claim-lost") => lose(claim),
        "Bound" => grow(world, claim, moment),
        _ if scenario.has("claim-never-binds") => Step::quiet(),
        _ => match class(world, claim) {
            Some(class) if can_bind(claim, &class) => Step::of(bind(claim)),
            Some(_) => Step::quiet(),
            None => Step::of(missing_class(claim)),
        },
    }
}

/// Whether the provisioner makes the volume now.
pub fn can_bind(claim: &Field<'_>, class: &Class) -> bool {
    let selected = !claim
        .at("metadata.annotations")
        .child(SELECTED_NODE)
        .text()
        .is_empty();
    class.served && (selected || !class.waits_for_consumer)
}

pub fn missing_class(claim: &Field<'_>) -> Option<Change> {
    let name = claim.at("spec.storageClassName").text();
    let message = format!("storageclass.storage.k8s.io {name:?} not found");
    let by = Manager::CsiProvisioner;
    (!name.is_empty())
        .then(|| Change::warning(by, Kind::Claim, claim, "ProvisioningFailed", message))
}

/// The volume is there and belongs to the claim.
pub fn bind(claim: &Field<'_>) -> Vec<Change> {
    let uid = claim.at("metadata.uid").text();
    let spec = claim.child("spec");
    let volume = json!({
        "metadata": {"annotations": {BIND_COMPLETED: "yes", PROVISIONED_BY: storage::CSI}},
        "spec": {"volumeName": format!("pvc-{uid}")},
    });
    let status = json!({
        "phase": "Bound",
        "accessModes": spec.child("accessModes").value(),
        "capacity": {"storage": spec.at("resources.requests.storage").value()},
    });
    let by = Manager::CsiProvisioner;
    [
        Some(Change::merge(by, Kind::Claim, claim, volume)),
        Change::status(by, Kind::Claim, claim, &status),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub fn lose(claim: &Field<'_>) -> Step {
    let mut status = claim.child("status").value().clone();
    put(&mut status, ["phase"], json!("Lost"));
    Step::of(Change::status(
        Manager::CsiProvisioner,
        Kind::Claim,
        claim,
        &status,
    ))
}

pub fn find_again(claim: &Field<'_>) -> Step {
    let mut status = claim.child("status").value().clone();
    put(&mut status, ["phase"], json!("Bound"));
    Step::of(Change::status(
        Manager::CsiProvisioner,
        Kind::Claim,
        claim,
        &status,
    ))
}

/// A claim that asks for more than it has grows, where its class allows it. A filesystem waits for a pod to use it.
pub fn grow(world: &World, claim: &Field<'_>, moment: &Moment) -> Step {
    let requested = claim.at("spec.resources.requests.storage");
    let capacity = claim.at("status.capacity.storage");
    let expands = class(world, claim).is_some_and(|class| class.expands);
    if requested.quantity() <= capacity.quantity() || !expands {
        return Step::quiet();
    }
    let mut conditions = Conditions::of(&claim.child("status"));
    let mut status = claim.child("status").value().clone();
    let filesystem = claim.at("spec.volumeMode").text() != "Block";
    let (by, conditions) = if conditions.status("FileSystemResizePending") == "True" {
        if !is_used(world, claim) {
            return Step::quiet();
        }
        (Manager::Kubelet, None)
    } else if conditions.status("Resizing") == "True" {
        if filesystem {
            conditions.remove("Resizing");
            let message = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";
            conditions.set("FileSystemResizePending", "True", "", message, &moment.now);
            (Manager::CsiResizer, Some(conditions))
        } else {
            (Manager::CsiResizer, None)
        }
    } else {
        conditions.set("Resizing", "True", "", "", &moment.now);
        (Manager::CsiResizer, Some(conditions))
    };
    match conditions {
        Some(conditions) => put(&mut status, ["conditions"], conditions.into_value()),
        None => {
            put(&mut status, ["conditions"], json!([]));
            put(
                &mut status,
                ["capacity", "storage"],
                requested.value().clone(),
            );
        }
    }
    Step::of(Change::status(by, Kind::Claim, claim, &status))
}

/// The bytes that a guest may use of a bound claim: a filesystem keeps its overhead.
pub fn usable(claim: &Field<'_>) -> i64 {
    let capacity = claim.at("status.capacity.storage").quantity().value();
    match claim.at("spec.volumeMode").text() {
        "Block" => capacity,
        _ => super::target::without_overhead(capacity),
    }
}

/// Whether a running pod mounts the claim.
fn is_used(world: &World, claim: &Field<'_>) -> bool {
    let metadata = claim.child("metadata");
    let mounts = |pod: &Field<'_>| {
        pod.at("status.phase").text() == "Running"
            && pod.at("spec.volumes").items().any(|volume| {
                volume.at("persistentVolumeClaim.claimName").text() == metadata.name()
            })
    };
    world
        .list(Kind::Pod, metadata.child("namespace").text())
        .any(|pod| mounts(&pod))
}

/// The claim that CDI makes for a DataVolume: its labels and annotations are copied, some of them overwritten.
pub fn for_data_volume(dv: &Field<'_>, spec: Value, populated: bool) -> Value {
    let metadata = dv.child("metadata");
    let copy = |key: &str| match metadata.child(key).value() {
        Value::Object(map) => map.clone(),
        _ => serde_json::Map::new(),
    };
    let (mut labels, mut annotations) = (copy("labels"), copy("annotations"));
    labels
        .entry("app")
        .or_insert(json!("containerized-data-importer"));
    for (key, value) in [
        ("app.kubernetes.io/component", "storage"),
        ("app.kubernetes.io/managed-by", "cdi-controller"),
        ("alerts.k8s.io/KubePersistentVolumeFillingUp", "disabled"),
    ] {
        labels.insert(key.into(), json!(value));
    }
    let uid = metadata.child("uid").text();
    annotations.insert("cdi.kubevirt.io/createdForDataVolume".into(), json!(uid));
    let mut spec = spec;
    if populated {
        put(
            &mut spec,
            ["dataSourceRef"],
            json!({
                "apiGroup": "cdi.kubevirt.io", "kind": "VolumeImportSource", "name": format!("volume-import-source-{uid}"),
            }),
        );
    }
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": metadata.name(),
            "namespace": metadata.child("namespace").text(),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [owner_reference(dv)],
        },
        "spec": spec,
    })
}

pub fn owner_reference(dv: &Field<'_>) -> Value {
    json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
        "name": dv.child("metadata").name(), "uid": dv.at("metadata.uid").text(),
        "controller": true, "blockOwnerDeletion": true,
    })
}
