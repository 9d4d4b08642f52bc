//! `NetworksConfigured`: the NICs are attached to their networks.

use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason};

use crate::desired::Body;
use crate::diagnosis::condition::Condition;
use crate::environment::addresses::Taken;
use crate::facts::Presence;
use crate::observed::Memory;

const TYPE: ConditionType = ConditionType::NetworksConfigured;

fn names<'a>(nics: impl IntoIterator<Item = &'a Nic>) -> String {
    let names: Vec<&str> = nics.into_iter().map(|nic| nic.name.as_str()).collect();
    names.join(", ")
}

/// NICs that the VM starts without, while Multus is not installed.
pub(crate) fn degraded(nics: &[Nic]) -> Condition {
    Condition::bad(
        TYPE,
        Reason::DegradedToPodNetwork,
        format!(
            "Multus is not installed, so the VM has only the NIC on the pod network, without {}",
            names(nics)
        ),
    )
    .hint("install Multus: the operator then attaches the NICs; or set onMissingMultus: Block, and the VM waits for Multus")
}

/// NICs that the VM waits for, while Multus is not installed.
pub(crate) fn waiting(nics: &[&Nic]) -> Condition {
    Condition::bad(
        TYPE,
        Reason::MultusNotInstalled,
        format!(
            "Multus is not installed, and the VM must not start without {}",
            names(nics.iter().copied())
        ),
    )
    .hint("install Multus; or set onMissingMultus: PodNetwork to start without these NICs")
}

/// An address that another Wukong has on the same network.
pub(crate) fn taken(taken: &Taken) -> Condition {
    Condition::bad(TYPE, taken.reason, &taken.message)
        .about(&taken.by)
        .hint("set another address in one of them; the VM of the older one keeps running")
}

/// Reports that the operator cannot check for conflicts of addresses.
pub(crate) fn unseen(presence: Presence) -> Condition {
    Condition::unseen(TYPE, presence, "NetworkAttachmentDefinitions")
}

/// Whether the NetworkAttachmentDefinitions that we make are there; `pending` is one that is not.
pub(crate) fn condition(pending: Option<&Body>, memory: &Memory) -> Condition {
    let Some(first) = pending else {
        return Condition::ok(
            TYPE,
            Reason::Configured,
            "Every NIC has its NetworkAttachmentDefinition",
        );
    };
    match memory.failure(&first.target, &first.hash) {
        Some(failure) => Condition::bad(
            TYPE,
            Reason::ApplyConflict,
            format!("{} cannot be written: {}", first.target, failure.message),
        )
        .about(first.target.to_string())
        .hint("fix the error in the message; the operator retries with back-off"),
        None => Condition::progressing(
            TYPE,
            Reason::Creating,
            format!("{} is being written", first.target),
        ),
    }
}
