//! The volumes that an instance waits for.

use crate::field::Field;
use crate::kind::Kind;
use crate::storage;
use crate::world::World;

/// How far the claims of an instance are.
#[derive(Debug, PartialEq)]
pub enum Readiness {
    /// A claim does not exist.
    Missing(String),
    /// A DataVolume has failed for good.
    Failed,
    /// A DataVolume still works.
    Busy,
    /// Old-style claims wait for a consumer, and their import waits for them: something must consume them first.
    NeedsConsumer,
    /// The launcher pod may be made.
    Ready,
}

/// The names of the claims behind DataVolume and claim volumes.
pub fn claim_names<'a>(spec: &Field<'a>) -> impl Iterator<Item = &'a str> {
    spec.child("volumes").items().filter_map(|volume| {
        let (dv, claim) = (
            volume.child("dataVolume"),
            volume.child("persistentVolumeClaim"),
        );
        match (dv.is_set(), claim.is_set()) {
            (true, _) => Some(dv.name()),
            (_, true) => Some(claim.child("claimName").text()),
            _ => None,
        }
    })
}

pub fn claims<'a>(world: &'a World, namespace: &str, spec: &Field<'_>) -> Vec<Field<'a>> {
    claim_names(spec)
        .filter_map(|name| world.get(Kind::Claim, namespace, name))
        .collect()
}

pub fn readiness(world: &World, namespace: &str, spec: &Field<'_>) -> Readiness {
    let mut busy = false;
    let mut needs_consumer = false;
    for name in claim_names(spec) {
        let Some(claim) = world.get(Kind::Claim, namespace, name) else {
            return Readiness::Missing(name.to_owned());
        };
        // A claim waits for its DataVolume, whether it is used as one or as a claim.
        let dv = world.get(Kind::DataVolume, namespace, name);
        match dv
            .as_ref()
            .map_or("Succeeded", |dv| dv.at("status.phase").text())
        {
            "Failed" => return Readiness::Failed,
            "Succeeded" | "PendingPopulation" => {}
            "WaitForFirstConsumer" if !storage::is_bound(&claim) => needs_consumer = true,
            _ => busy = true,
        }
    }
    if needs_consumer {
        Readiness::NeedsConsumer
    } else if busy {
        Readiness::Busy
    } else {
        Readiness::Ready
    }
}

/// What the DataVolumes of a VM's volumes say to `printableStatus`. Only volumes that are DataVolumes count.
pub fn data_volumes<'a>(world: &'a World, namespace: &'a str, spec: &Field<'_>) -> Vec<Field<'a>> {
    spec.child("volumes")
        .items()
        .filter_map(|volume| {
            world.get(
                Kind::DataVolume,
                namespace,
                volume.child("dataVolume").name(),
            )
        })
        .collect()
}

pub fn has_error(dv: &Field<'_>) -> bool {
    let broken = |condition: Field<'_>| {
        condition.child("type").text() == "Running"
            && condition.child("status").text() == "False"
            && ["Error", "ImagePullFailed"].contains(&condition.child("reason").text())
    };
    dv.at("status.phase").text() == "Failed" || dv.at("status.conditions").items().any(broken)
}

pub fn is_provisioning(world: &World, dv: &Field<'_>) -> bool {
    let metadata = dv.child("metadata");
    let claim = world.get(
        Kind::Claim,
        metadata.child("namespace").text(),
        metadata.name(),
    );
    match dv.at("status.phase").text() {
        "Succeeded" | "PendingPopulation" => false,
        "WaitForFirstConsumer" => claim.is_some_and(|claim| storage::is_bound(&claim)),
        _ => true,
    }
}
