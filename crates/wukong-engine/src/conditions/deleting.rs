//! `Deleting`: what a Wukong that is being deleted still waits for, where somebody waits for its objects
//! (`--cascade=foreground`).

use wukong_api::{ConditionType, Reason, names};

use crate::condition::Condition;
use crate::facts::Meta;
use crate::observed::Observed;

const TYPE: ConditionType = ConditionType::Deleting;

/// What is still there of the Wukong `name` in `namespace`.
pub(crate) fn condition(observed: &Observed, namespace: &str, name: &str, uid: &str) -> Condition {
    let world = observed.world;
    let vm = world.virtual_machines.get(namespace, name).present();
    if vm.is_some_and(|vm| vm.meta.is_controlled_by(uid)) {
        return Condition::progressing(
            TYPE,
            Reason::WaitingForVM,
            format!("VirtualMachine {name} is still there: its guest shuts down first"),
        )
        .about(format!("VirtualMachine/{name}"));
    }
    let disks = &observed.wukong.spec.disks;
    let claims = || disks.iter().map(|disk| names::claim(name, &disk.name));
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
        (ours && goes).then(|| format!("{kind}/{claim}"))
    });
    if let Some(object) = waits_for {
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
        return Condition::ok(TYPE, Reason::Deleting, "Nothing is left of it");
    }
    Condition::ok(
        TYPE,
        Reason::DisksRetained,
        format!("These claims stay with their data: {}", retained.join(", ")),
    )
}
