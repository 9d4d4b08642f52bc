//! What makes volumes: CSI drivers, the pods of other provisioners, and what CDI knows of their classes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::component::{Component, Health};
use crate::change::{Change, Manager, Moment, Step};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::scenario::Scenario;
use crate::storage::{Class, LOCAL_PATH, access_mode};
use crate::world::World;

/// The namespace of the local-path provisioner.
pub const LOCAL_PATH_NAMESPACE: &str = "local-path-storage";

/// The CSI drivers that run.
pub fn drivers(world: &World) -> BTreeSet<String> {
    let classes = world.list(Kind::StorageClass, "");
    let served = classes.filter(|class| {
        let class = Class::read(world, class);
        class.csi && class.served
    });
    served
        .map(|class| class.child("provisioner").text().to_owned())
        .collect()
}

/// The next step of a storage class: its profile, and what makes its volumes.
pub fn next(world: &World, name: &str, moment: &Moment) -> Step {
    let mut step = profile(world, name);
    if let Some(class) = world.get(Kind::StorageClass, "", name) {
        step.changes.extend(driver(world, &class));
        step.changes.extend(provisioner(world, &class, moment));
    }
    step
}

fn driver(world: &World, class: &Field<'_>) -> Option<Change> {
    let Class { csi, served, .. } = Class::read(world, class);
    let name = class.child("provisioner").text();
    let known = world.get(Kind::CsiDriver, "", name);
    match (csi && served, known) {
        (true, None) => Some(Change::Create {
            by: Manager::CsiProvisioner,
            at: Ref::new(Kind::CsiDriver, "", name),
            object: json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name},
                "spec": {"attachRequired": false}}),
        }),
        (false, Some(known)) => Some(Change::delete(Kind::CsiDriver, &known)),
        _ => None,
    }
}

/// The pod of a provisioner that is no CSI driver.
fn provisioner(world: &World, class: &Field<'_>, moment: &Moment) -> Option<Change> {
    if class.child("provisioner").text() != LOCAL_PATH {
        return None;
    }
    let node = world.list(Kind::Node, "").next()?;
    let component = Component {
        namespace: LOCAL_PATH_NAMESPACE,
        name: "local-path-provisioner",
        image: "docker.io/rancher/local-path-provisioner:v0.0.31",
        labels: json!({"app": "local-path-provisioner"}),
        node: node.child("metadata").name(),
    };
    let scenario = Scenario::of(world, class);
    if !Class::read(world, class).served {
        let pod = world.get(Kind::Pod, LOCAL_PATH_NAMESPACE, &component.pod())?;
        return Some(Change::delete(Kind::Pod, &pod));
    }
    let health = match scenario.value("provisioner-crash") {
        Some(_) => Health::Crashes("invalid empty flag helper-pod-file".into()),
        None => Health::Runs,
    };
    component.next(world, &health, moment)
}

/// The StorageProfile of a storage class. That of a class with an unknown provisioner stays empty.
fn profile(world: &World, name: &str) -> Step {
    let (by, kind) = (Manager::CdiController, Kind::StorageProfile);
    if !world.serves(kind) {
        return Step::quiet();
    }
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
    match access_mode(class) {
        Some(mode) => json!([{"accessModes": [mode], "volumeMode": "Filesystem"}]),
        None => json!([]),
    }
}
