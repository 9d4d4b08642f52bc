//! `Deleting`: what a Wukong that is being deleted waits for. Only a foreground deletion (`--cascade=foreground`) waits
//! for the objects.

use wukong_api::spec::Disk;
use wukong_api::{ConditionType, Reason, names};

use crate::diagnosis::condition::Condition;
use crate::facts::{Meta, Seen};
use crate::generations;
use crate::observed::Observed;

const TYPE: ConditionType = ConditionType::Deleting;

/// Returns which objects of the Wukong `name` in `namespace` still exist.
pub(crate) fn condition(observed: &Observed, namespace: &str, name: &str, uid: &str) -> Condition {
    let world = observed.world;
    let vm = world.virtual_machines.get(namespace, name).present();
    if let Some(vm) = vm.filter(|vm| vm.meta.is_controlled_by(uid)) {
        let object = format!("VirtualMachine/{name}");
        let stopped = world.instances.get(namespace, name) == Seen::Absent;
        if let Some(held) = held(&object, &vm.meta).filter(|_| stopped) {
            return held;
        }
        return Condition::progressing(
            TYPE,
            Reason::WaitingForVM,
            format!("VirtualMachine {name} still exists: its guest shuts down first"),
        )
        .about(object);
    }
    let disks = &observed.wukong.spec.disks;
    let of_disk = |disk: &Disk| {
        let later = generations::later_claims(namespace, name, &disk.name, world);
        std::iter::once(names::claim(name, &disk.name)).chain(later)
    };
    let claims = || disks.iter().flat_map(of_disk);
    let meta = |claim: &str| -> Option<(&'static str, &Meta)> {
        let volume = world.data_volumes.get(namespace, claim).present();
        let volume = volume.map(|volume| ("DataVolume", &volume.meta));
        volume.or_else(|| {
            let claim = world.claims.get(namespace, claim).present()?;
            Some(("PersistentVolumeClaim", &claim.meta))
        })
    };
    let waits_for = claims().find_map(|claim| {
        let (kind, meta) = meta(&claim)?;
        let ours = meta.wukong.as_deref() == Some(name);
        // A DataVolume's claim goes with it.
        let goes = meta.controller.is_some() || meta.deleting;
        (ours && goes).then(|| (format!("{kind}/{claim}"), meta))
    });
    if let Some((object, meta)) = waits_for {
        if let Some(held) = held(&object, meta) {
            return held;
        }
        let message = format!("{object} is still there");
        return Condition::progressing(TYPE, Reason::WaitingForDisk, message).about(object);
    }
    let retained: Vec<String> = claims()
        .filter(|claim| {
            meta(claim).is_some_and(|(_, meta)| {
                meta.controller.is_none() && meta.wukong.as_deref() == Some(name)
            })
        })
        .collect();
    if retained.is_empty() {
        return Condition::ok(
            TYPE,
            Reason::Deleting,
            "All objects of the Wukong are deleted",
        );
    }
    Condition::ok(
        TYPE,
        Reason::DisksRetained,
        format!("These claims stay with their data: {}", retained.join(", ")),
    )
}

/// Finalizers that Kubernetes and KubeVirt remove by themselves, and what they wait for.
const KNOWN: [(&str, &str); 4] = [
    (
        "kubernetes.io/pvc-protection",
        "a pod that still uses the claim: kubectl describe pvc names it under Used By",
    ),
    (
        "foregroundDeletion",
        "the objects that it owns: delete or release those",
    ),
    (
        "kubevirt.io/virtualMachineControllerFinalize",
        "virt-controller: kubectl get pods -A -l kubevirt.io=virt-controller",
    ),
    (
        "cdi.kubevirt.io/dataVolumeFinalizer",
        "cdi-deployment: kubectl get pods -A -l cdi.kubevirt.io=cdi-deployment",
    ),
];

/// An object that is being deleted and that finalizers hold.
fn held(object: &str, meta: &Meta) -> Option<Condition> {
    let finalizer = meta
        .finalizers
        .iter()
        .find(|finalizer| *finalizer != "orphan")?;
    let known = KNOWN.iter().find(|(known, _)| known == finalizer);
    let hint = match known {
        Some((_, waits)) => format!("finalizer {finalizer} waits for {waits}"),
        None => format!(
            "check that the program which owns finalizer {finalizer} runs and can clean up; remove the finalizer by hand only if that program is gone for good"
        ),
    };
    Some(
        Condition::progressing(
            TYPE,
            Reason::AwaitingFinalizer,
            format!(
                "{object} is being deleted and waits for {}",
                meta.finalizers.join(", ")
            ),
        )
        .about(object)
        .hint(hint),
    )
}
