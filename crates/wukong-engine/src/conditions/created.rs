//! `Created`: the objects of the VM exist.

use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::condition::Condition;
use crate::decision::{Kind, Target};
use crate::facts::VirtualMachineFact;
use crate::observed::{Failure, FailureKind};
use crate::store::Presence;

const TYPE: ConditionType = ConditionType::Created;

/// Whether the objects exist. `refused` is a write that was, `contested` an object that somebody keeps changing back,
/// `attached` names the disks that somebody attached to the VM by hand, and `waits_for` says what the VM waits for.
pub(crate) fn condition(
    wukong: &ValidatedWukong,
    vm: Option<&VirtualMachineFact>,
    refused: Option<(&Target, &Failure)>,
    contested: Option<(&Target, Option<&str>)>,
    attached: &[&str],
    waits_for: Option<String>,
) -> Condition {
    let name = &wukong.identity.name;
    if let Some((target, failure)) = refused {
        return refusal(target, failure);
    }
    if let Some((target, manager)) = contested {
        let manager = manager.unwrap_or("another manager");
        return Condition::bad(
            TYPE,
            Reason::FieldManagerConflict,
            format!("{manager} keeps changing fields of {target} that this Wukong decides; the operator pauses before it changes them back"),
        )
        .about(target.to_string())
        .hint(format!("keep {manager} from writing {target}, or change the Wukong instead"));
    }
    if let [first, ..] = attached {
        return Condition::bad(
            TYPE,
            Reason::FieldManagerConflict,
            format!(
                "Somebody attached disks to the VirtualMachine that the Wukong does not have ({}): it is left as it is, because applying the manifest would detach them",
                attached.join(", ")
            ),
        )
        .about(format!("VirtualMachine/{name}"))
        .hint(format!(
            "virtctl removevolume {name} --volume-name={first}, and add the disk to spec.disks if it is to stay"
        ));
    }
    match (vm, waits_for) {
        (Some(_), _) => Condition::ok(TYPE, Reason::Created, "The VirtualMachine exists"),
        (_, Some(waits_for)) => Condition::progressing(TYPE, Reason::Creating, waits_for),
        (_, None) => Condition::progressing(
            TYPE,
            Reason::Creating,
            "The VirtualMachine is being written",
        ),
    }
}

/// There is no KubeVirt, or it is hidden from us.
pub(crate) fn without_kubevirt(presence: Presence) -> Condition {
    if presence != Presence::Missing {
        return Condition::unseen(TYPE, presence, "VirtualMachines");
    }
    Condition::bad(
        TYPE,
        Reason::KubeVirtNotInstalled,
        "The cluster has no kind VirtualMachine: KubeVirt is not installed",
    )
    .hint("install KubeVirt; the VM is then created by itself")
}

fn refusal(target: &Target, failure: &Failure) -> Condition {
    let message = format!("{target} cannot be changed: {}", failure.message);
    match failure.kind {
        FailureKind::Transient | FailureKind::Stale | FailureKind::Gone => {
            Condition::progressing(TYPE, Reason::ApplyFailed, message).hint("nothing: the operator tries again")
        }
        FailureKind::Quota => {
            Condition::bad(TYPE, Reason::QuotaExceeded, message).hint("raise the quota of the namespace, or free some of it")
        }
        // Who has the name is told in a moment.
        FailureKind::NameTaken => Condition::progressing(TYPE, Reason::ApplyFailed, message)
            .hint("nothing: the operator looks whose it is"),
        FailureKind::Denied => {
            let hint = match target.kind {
                Kind::PersistentVolumeClaim => "see what the message says about the claim",
                _ => "see what the message says; the operator tries again now and then, and at once when the Wukong changes",
            };
            Condition::bad(TYPE, Reason::AdmissionDenied, message).hint(hint)
        }
    }
    .about(target.to_string())
}
