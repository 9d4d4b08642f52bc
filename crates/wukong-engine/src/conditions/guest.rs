//! `GuestReady` and `ConfigurationApplied`: what the running guest says and lacks.

use std::net::IpAddr;

use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason};

use crate::facts::{VirtualMachineFact, VirtualMachineInstanceFact, condition, is_true};
use crate::verdict::Verdict;

/// Whether the guest answers, and has the addresses that the manifest gives it.
pub(crate) fn ready(instance: &VirtualMachineInstanceFact, nics: &[&Nic]) -> Verdict {
    const TYPE: ConditionType = ConditionType::GuestReady;
    if let Some(old) = condition(&instance.conditions, "AgentVersionNotSupported")
        .filter(|old| old.status == "True")
    {
        return Verdict::bad(
            TYPE,
            Reason::AgentVersionNotSupported,
            format!("The guest agent is too old: {}", old.message),
        )
        .hint("update qemu-guest-agent in the guest");
    }
    if !is_true(&instance.conditions, "AgentConnected") {
        return Verdict::progressing(
            TYPE,
            Reason::AgentNotReady,
            "The guest agent does not answer (yet): addresses of secondary NICs are unknown",
        )
        .hint("install and start qemu-guest-agent in the guest if it stays so");
    }
    let wrong = nics.iter().find_map(|nic| {
        let wanted = &nic.ip.as_ref()?.addresses;
        let seen = &instance
            .interfaces
            .iter()
            .find(|interface| interface.name == nic.name)?
            .addresses;
        let missing = wanted.iter().find(|address| {
            !seen
                .iter()
                .any(|seen| seen.parse() == Ok::<IpAddr, _>(address.addr()))
        })?;
        (!seen.is_empty()).then(|| (nic, missing, seen.join(", ")))
    });
    match wrong {
        Some((nic, wanted, seen)) => Verdict::bad(
            TYPE,
            Reason::AddressMismatch,
            format!("network {}: the guest has {seen}, not {}", nic.name, wanted.addr()),
        )
        .hint("cloud-init configures addresses on first boot only: change them in the guest, or make the boot disk anew"),
        None => Verdict::ok(TYPE, Reason::AgentConnected, "The guest agent answers"),
    }
}

/// Whether the running VM is what the manifest says.
pub(crate) fn configuration(vm: &VirtualMachineFact) -> Verdict {
    const TYPE: ConditionType = ConditionType::ConfigurationApplied;
    match condition(&vm.conditions, "RestartRequired").filter(|restart| restart.status == "True") {
        Some(restart) => Verdict::bad(
            TYPE,
            Reason::RestartRequired,
            format!(
                "The VM runs with an earlier configuration: {}",
                restart.message
            ),
        )
        .about(format!("VirtualMachine/{}", vm.meta.name))
        .hint(format!(
            "virtctl restart {}, or restartApproval: Automatic",
            vm.meta.name
        )),
        None => Verdict::ok(
            TYPE,
            Reason::Applied,
            "The VM runs with what the manifest says; cloud-init data count on the guest's first boot only",
        ),
    }
}
