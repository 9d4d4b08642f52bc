//! `Created`: the objects of the VM exist.

use wukong_api::{ConditionType, Reason};

use crate::decision::{Failure, FailureKind, Kind, Observed, Target};
use crate::facts::VirtualMachineFact;
use crate::verdict::Verdict;
use crate::world::Presence;

const TYPE: ConditionType = ConditionType::Created;

/// Whether the objects exist; `contested` is one that somebody keeps changing back, `waits_for` what the VM waits for.
pub(crate) fn verdict(
    vm: Option<&VirtualMachineFact>,
    observed: &Observed,
    contested: Option<(&Target, Option<&str>)>,
    waits_for: &str,
) -> Verdict {
    if observed.world.virtual_machines.presence() == Presence::Missing {
        return Verdict::bad(
            TYPE,
            Reason::KubeVirtNotInstalled,
            "The cluster has no kind VirtualMachine: KubeVirt is not installed",
        )
        .hint("install KubeVirt; the VM is then created by itself");
    }
    // The VirtualMachine says most, so its refusal comes first.
    let refused = observed
        .memory
        .failures
        .iter()
        .filter(|(_, failure)| failure.kind != FailureKind::NameTaken);
    if let Some((target, failure)) = refused.max_by_key(|(target, _)| target.kind) {
        return refusal(target, failure);
    }
    if let Some((target, manager)) = contested {
        let manager = manager.unwrap_or("another manager");
        return Verdict::bad(
            TYPE,
            Reason::FieldManagerConflict,
            format!("{manager} keeps changing fields of {target} that this Wukong decides; the operator pauses before it changes them back"),
        )
        .about(target.to_string())
        .hint(format!("keep {manager} from writing {target}, or change the Wukong instead"));
    }
    match vm {
        Some(_) => Verdict::ok(TYPE, Reason::Created, "The VirtualMachine exists"),
        None => Verdict::progressing(TYPE, Reason::Creating, waits_for),
    }
}

fn refusal(target: &Target, failure: &Failure) -> Verdict {
    let message = format!("{target} cannot be written: {}", failure.message);
    match failure.kind {
        FailureKind::Transient | FailureKind::Stale | FailureKind::Gone => {
            Verdict::progressing(TYPE, Reason::ApplyFailed, message).hint("nothing: the operator tries again")
        }
        FailureKind::Quota => {
            Verdict::bad(TYPE, Reason::QuotaExceeded, message).hint("raise the quota of the namespace, or free some of it")
        }
        FailureKind::Denied | FailureKind::NameTaken => {
            let hint = match target.kind {
                Kind::PersistentVolumeClaim => "see what the message says about the claim",
                _ => "see what the message says; the operator tries again now and then, and at once when the Wukong changes",
            };
            Verdict::bad(TYPE, Reason::AdmissionDenied, message).hint(hint)
        }
    }
    .about(target.to_string())
}
