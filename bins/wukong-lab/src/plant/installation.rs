//! What an installed KubeVirt and CDI look like: their custom resources, and the profiles of storage classes.

use serde_json::{Value, json};

use super::cdi::class;
use super::change::{Change, Manager, Moment, Step};
use super::field::{Field, put};
use super::world::{Kind, Ref, World};

pub const KUBEVIRT_NAMESPACE: &str = "kubevirt";
const KUBEVIRT_VERSION: &str = "v1.9.0";
const CDI_VERSION: &str = "v1.66.0";

/// The KubeVirt or CDI resource: made when there is none, and available.
pub fn next(world: &World, kind: Kind, moment: &Moment) -> Step {
    let found = world
        .refs(kind)
        .next()
        .and_then(|key| world.get(key.kind, &key.namespace, &key.name));
    let by = if kind == Kind::Cdi {
        Manager::CdiOperator
    } else {
        Manager::VirtOperator
    };
    let Some(found) = found else {
        let (at, object) = resource(kind);
        return Step::of([Change::Create { by, at, object }]);
    };
    if found.at("status.phase").text() == "Deployed" {
        return Step::quiet();
    }
    let condition = |name: &str, status: &str, reason: &str| {
        json!({"type": name, "status": status, "reason": reason, "message": "",
            "lastProbeTime": moment.now, "lastTransitionTime": moment.now})
    };
    let mut status = json!({
        "phase": "Deployed",
        "conditions": [
            condition("Available", "True", "AllComponentsReady"),
            condition("Progressing", "False", "AllComponentsReady"),
            condition("Degraded", "False", "AllComponentsReady"),
        ],
    });
    let versions: &[(&str, &str)] = if kind == Kind::Cdi {
        &[
            ("observedVersion", CDI_VERSION),
            ("operatorVersion", CDI_VERSION),
            ("targetVersion", CDI_VERSION),
        ]
    } else {
        &[
            ("observedKubeVirtVersion", KUBEVIRT_VERSION),
            ("operatorVersion", KUBEVIRT_VERSION),
            ("targetKubeVirtVersion", KUBEVIRT_VERSION),
        ]
    };
    for (key, version) in versions {
        put(&mut status, [key], json!(version));
    }
    Step::of(Change::status(by, kind, &found, &status))
}

fn resource(kind: Kind) -> (Ref, Value) {
    if kind == Kind::Cdi {
        let object = json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "CDI", "metadata": {"name": "cdi"},
            "spec": {"config": {"featureGates": ["HonorWaitForFirstConsumer"]}}});
        return (Ref::new(kind, "", "cdi"), object);
    }
    let object = json!({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt",
        "metadata": {"name": "kubevirt", "namespace": KUBEVIRT_NAMESPACE},
        "spec": {"configuration": {"developerConfiguration": {}},
            "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}});
    (Ref::new(kind, KUBEVIRT_NAMESPACE, "kubevirt"), object)
}

/// The StorageProfile of a storage class. That of a class with an unknown provisioner stays empty.
pub fn next_profile(world: &World, name: &str) -> Step {
    let (by, kind) = (Manager::CdiController, Kind::StorageProfile);
    let Some(class) = world.get(Kind::StorageClass, "", name) else {
        return Step::of(
            world
                .get(kind, "", name)
                .map(|profile| Change::delete(kind, &profile)),
        );
    };
    let Some(profile) = world.get(kind, "", name) else {
        let object = json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "StorageProfile",
            "metadata": {"name": name, "labels": {"app": "containerized-data-importer"}}, "spec": {}});
        let at = Ref::new(kind, "", name);
        return Step::of([Change::Create { by, at, object }]);
    };
    let mut status =
        json!({"provisioner": class.child("provisioner").text(), "storageClass": name});
    let sets = property_sets(&profile, &class);
    if sets.as_array().is_some_and(|sets| !sets.is_empty()) {
        put(&mut status, ["claimPropertySets"], sets);
    }
    Step::of(Change::status(by, kind, &profile, &status))
}

/// What the profile's own spec says wins over what is known of the provisioner.
fn property_sets(profile: &Field<'_>, class: &Field<'_>) -> Value {
    let given = profile.at("spec.claimPropertySets");
    if given.count() > 0 {
        return given.value().clone();
    }
    match class::access_mode(class) {
        Some(mode) => json!([{"accessModes": [mode], "volumeMode": "Filesystem"}]),
        None => json!([]),
    }
}
