//! `Created`: the objects of the VM exist.

use jiff::{SignedDuration, Timestamp};
use wukong_api::{ConditionType, Reason, ValidatedWukong};

use crate::diagnosis::condition::Condition;
use crate::diagnosis::evidence::Evidence;
use crate::facts::{Presence, VirtualMachineFact};
use crate::observed::{Failure, FailureKind};
use crate::target::Target;

const TYPE: ConditionType = ConditionType::Created;

/// Whether the objects exist. `refused` is a rejected write, `contested` an object that another writer keeps changing
/// back, `attached` names the disks that were attached to the VM by hand, and `waits_for` says what the VM waits for.
pub(crate) fn condition(
    wukong: &ValidatedWukong,
    vm: Option<&VirtualMachineFact>,
    refused: Option<(&Target, &Failure)>,
    contested: Option<(&Target, Option<&str>)>,
    attached: &[&str],
    waits_for: Option<String>,
    now: Timestamp,
) -> Condition {
    let name = &wukong.identity.name;
    if let Some((target, failure)) = refused {
        return rejected(TYPE, target, failure, now);
    }
    if let Some((target, manager)) = contested {
        let manager = manager.unwrap_or("another manager");
        return Condition::bad(
            TYPE,
            Reason::FieldManagerConflict,
            format!("{manager} keeps changing fields of {target} that this Wukong manages; the operator pauses before it restores them"),
        )
        .about(target.to_string())
        .hint(format!("keep {manager} from writing {target}, or change the Wukong instead"));
    }
    if let [first, ..] = attached {
        return Condition::bad(
            TYPE,
            Reason::FieldManagerConflict,
            format!(
                "The VirtualMachine has disks that were attached by hand and are not in the Wukong ({}): the operator does not change it, because applying the manifest would detach them",
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
            "The operator is creating the VirtualMachine",
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
    .hint("install KubeVirt; the operator then creates the VM")
}

/// How long a write may fail for a reason that may pass before it is an error.
pub(crate) const TRANSIENT_MAX: SignedDuration = SignedDuration::from_mins(2);

/// Reports a write that the API server rejected, under the condition that the rejection keeps from being true.
pub(super) fn rejected(
    type_: ConditionType,
    target: &Target,
    failure: &Failure,
    now: Timestamp,
) -> Condition {
    let message = format!("The API server rejects {target}: {}", failure.message);
    let passes = now < failure.since + TRANSIENT_MAX;
    let reason = match failure.kind {
        FailureKind::NameTaken | FailureKind::Stale | FailureKind::Gone => {
            return Condition::progressing(type_, Reason::ApplyFailed, message)
                .closed()
                .hint("No action needed. The operator is checking who owns the object.")
                .about(target.to_string());
        }
        FailureKind::Transient if passes => {
            return Condition::progressing(type_, Reason::ApplyFailed, message)
                .closed()
                .hint("No action needed. The operator retries.")
                .about(target.to_string());
        }
        FailureKind::Transient => Reason::ApplyFailed,
        FailureKind::Quota => Reason::QuotaExceeded,
        FailureKind::Denied => Reason::AdmissionDenied,
    };
    let words = Evidence::rejected(
        &target.to_string(),
        failure.message.clone(),
        Some(failure.since),
    );
    Condition::bad(type_, reason, format!("The API server rejects {target}"))
        .about(target.to_string())
        .words([words])
}
