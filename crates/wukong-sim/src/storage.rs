//! Storage classes and claims: what the simulator offers, how a class makes volumes, and the state of a claim.

use serde_json::{Value, json};

use crate::field::{Field, put};
use crate::kind::Kind;
use crate::scenario::Scenario;
use crate::world::World;

/// A CSI driver: imports go through a prime claim, and volumes can grow.
pub const CSI: &str = "csi.simulator.wukong.dev";
/// A provisioner of the old kind, on the node's own disk.
pub const LOCAL_PATH: &str = "rancher.io/local-path";
/// A provisioner of the old kind, on shared storage that cannot grow.
const FIXED: &str = "fixed.simulator.wukong.dev";
/// Drivers of this domain run as soon as a class names them.
const DOMAIN: &str = ".simulator.wukong.dev";
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const WAIT: &str = "WaitForFirstConsumer";

/// Annotation with the node that the scheduler chose for the first consumer of a claim.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Whether a claim has its volume.
pub fn is_bound(claim: &Field<'_>) -> bool {
    claim.at("status.phase").text() == "Bound"
}

/// The classes that the simulator creates, with the access modes that their StorageProfiles offer.
pub fn offered() -> Vec<(Value, &'static str)> {
    [
        ("standard", CSI, "Immediate", true, "ReadWriteMany"),
        ("standard-wffc", CSI, WAIT, true, "ReadWriteOnce"),
        ("local-path", LOCAL_PATH, WAIT, false, "ReadWriteOnce"),
        ("fixed", FIXED, "Immediate", false, "ReadWriteOnce"),
    ]
    .map(|(name, provisioner, binding, expands, mode)| {
        let mut class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": provisioner, "volumeBindingMode": binding, "allowVolumeExpansion": expands,
        });
        if name == "standard" {
            put(&mut class, ["metadata", "annotations"], json!({IS_DEFAULT: "true"}));
        }
        (class, mode)
    })
    .to_vec()
}

/// The access mode that CDI knows of a class's provisioner.
pub fn access_mode(class: &Field<'_>) -> Option<&'static str> {
    let name = class.child("metadata").name();
    let known = offered()
        .into_iter()
        .find(|(offered, _)| Field::new("", offered).child("metadata").name() == name);
    known
        .map(|(_, mode)| mode)
        .or_else(|| Class::is_known(class).then_some("ReadWriteOnce"))
}

/// How a class makes volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    pub name: String,
    pub csi: bool,
    pub waits_for_consumer: bool,
    pub expands: bool,
    /// Whether a provisioner for it runs.
    pub served: bool,
}

impl Class {
    pub fn read(world: &World, class: &Field<'_>) -> Self {
        let provisioner = class.child("provisioner").text();
        // What is missing for one class of a provisioner is missing for all of them.
        let missing = world.list(Kind::StorageClass, "").any(|class| {
            class.child("provisioner").text() == provisioner
                && Scenario::of(world, &class).has("provisioner-missing")
        });
        Self {
            name: class.child("metadata").name().to_owned(),
            csi: provisioner.contains("csi"),
            waits_for_consumer: class.child("volumeBindingMode").text() == WAIT,
            expands: class.child("allowVolumeExpansion").is_true(),
            served: Self::is_known(class) && !missing,
        }
    }

    /// Whether the provisioner of a class is one that the simulator plays.
    fn is_known(class: &Field<'_>) -> bool {
        let provisioner = class.child("provisioner").text();
        [LOCAL_PATH, FIXED].contains(&provisioner) || provisioner.ends_with(DOMAIN)
    }

    pub fn named(world: &World, name: &str) -> Option<Self> {
        world
            .get(Kind::StorageClass, "", name)
            .map(|class| Self::read(world, &class))
    }

    pub fn default(world: &World) -> Option<Self> {
        let is_default =
            |class: &Field<'_>| class.at("metadata.annotations").child(IS_DEFAULT).text() == "true";
        world
            .list(Kind::StorageClass, "")
            .find(is_default)
            .map(|class| Self::read(world, &class))
    }
}

/// The access mode and volume mode that CDI takes from the class's StorageProfile.
pub fn profile(world: &World, class: &str) -> Option<(String, String)> {
    let profile = world.get(Kind::StorageProfile, "", class)?;
    let set = profile.at("status.claimPropertySets").items().next()?;
    let mode = set.child("accessModes").items().next()?.text().to_owned();
    Some((mode, set.child("volumeMode").text().to_owned()))
}
