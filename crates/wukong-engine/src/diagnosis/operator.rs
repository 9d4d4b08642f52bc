//! Checks whether the operator itself works, as far as another reader of the cluster can see it.

use jiff::{SignedDuration, Timestamp};
use wukong_api::{ConditionType, Reason, Wukong, names};

use super::check::{Check, CheckStatus, anchor};
use crate::world::World;

/// How long the operator may take until its first write for a new Wukong, and until it has processed a change.
const BEGINS: SignedDuration = SignedDuration::from_secs(5);
const PROCESSES: SignedDuration = SignedDuration::from_mins(1);

/// Reports a Wukong that the operator has not processed. Only readers other than the operator call it.
pub fn silent(wukong: &Wukong, world: &World, now: Timestamp) -> Option<Check> {
    let metadata = &wukong.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let status = wukong.status.as_ref();
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    let late = created.is_some_and(|created| created + BEGINS < now);
    let behind = match status {
        None => (late && !has_objects(wukong, world))
            .then(|| "has not processed the Wukong since it was created".to_owned()),
        Some(status) => {
            let (seen, has) = (status.observed_generation?, metadata.generation?);
            let edited = metadata.managed_fields.iter().flatten();
            let edited = edited
                .filter(|entry| entry.subresource.is_none())
                .filter_map(|entry| entry.time.as_ref().map(|time| time.0))
                .max();
            let late = edited
                .or(created)
                .is_some_and(|edited| edited + PROCESSES < now);
            (seen < has && late)
                .then(|| format!("has processed generation {seen} of the Wukong and not generation {has} for more than a minute"))
        }
    }?;
    Some(Check {
        id: "operator",
        condition: ConditionType::Created,
        reason: Reason::OperatorNotReady,
        status: CheckStatus::Fail,
        subject: Some(format!("Wukong/{name}")),
        message: format!("The operator {behind}"),
        hint: Some("check the operator: kubectl get pods -A -l app.kubernetes.io/name=wukong-operator, then the log of its leader".into()),
        anchor: anchor(Reason::OperatorNotReady),
        evidence: Vec::new(),
        chain: Vec::new(),
    })
}

/// Whether the operator has created an object of the Wukong.
fn has_objects(wukong: &Wukong, world: &World) -> bool {
    let namespace = wukong.metadata.namespace.as_deref().unwrap_or_default();
    let name = wukong.metadata.name.as_deref().unwrap_or_default();
    let disk = |disk: &wukong_api::spec::Disk| {
        let claim = names::claim(name, &disk.name);
        world
            .data_volumes
            .get(namespace, &claim)
            .present()
            .is_some()
            || world.claims.get(namespace, &claim).present().is_some()
    };
    world
        .virtual_machines
        .get(namespace, name)
        .present()
        .is_some()
        || wukong.spec.disks.iter().any(disk)
}
