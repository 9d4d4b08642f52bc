//! `GuestReady` and `ConfigurationApplied`: the state of the running guest, and its pending changes.

use std::net::IpAddr;

use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason};

use crate::changes::{Change, Class, NO_AUTOMATIC_MIGRATION, RunningVm};
use crate::diagnosis::condition::Condition;
use crate::facts::{
    Meta, VirtualMachineFact, VirtualMachineInstanceFact, bounded, find_condition, is_true,
};

/// Whether the guest answers, and has the addresses that the manifest gives it.
pub(crate) fn ready(instance: &VirtualMachineInstanceFact, nics: &[&Nic]) -> Condition {
    const TYPE: ConditionType = ConditionType::GuestReady;
    if let Some(old) = find_condition(&instance.conditions, "AgentVersionNotSupported")
        .filter(|old| old.status == "True")
    {
        return Condition::bad(
            TYPE,
            Reason::AgentVersionNotSupported,
            format!("The guest agent is too old: {}", old.message),
        )
        .hint("update qemu-guest-agent in the guest");
    }
    if !is_true(&instance.conditions, "AgentConnected") {
        return Condition::progressing(
            TYPE,
            Reason::AgentNotReady,
            "The guest agent does not respond (yet): the addresses of secondary NICs are unknown",
        )
        .hint("if this stays, install and start qemu-guest-agent in the guest");
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
        Some((nic, wanted, seen)) => Condition::bad(
            TYPE,
            Reason::AddressMismatch,
            format!("network {}: the guest has {seen}, not {}", nic.name, wanted.addr()),
        )
        .hint("cloud-init configures addresses on first boot only: change them in the guest, or create the boot disk again"),
        None => Condition::ok(TYPE, Reason::AgentConnected, "The guest agent responds"),
    }
}

/// Whether the running VM matches the spec. `pending` are the pending changes, and `refusal` says why the operator cannot
/// apply the spec.
pub(crate) fn configuration(
    vm: &VirtualMachineFact,
    pending: &[Change],
    running: &RunningVm,
    refusal: Option<&Condition>,
) -> Condition {
    const TYPE: ConditionType = ConditionType::ConfigurationApplied;
    let Meta {
        name, namespace, ..
    } = &vm.meta;
    let object = format!("VirtualMachine/{name}");
    let bad = |reason, message: String, hint: String| {
        Condition::bad(TYPE, reason, message)
            .about(object.clone())
            .hint(hint)
    };
    let of = |classes: &[Class]| -> Vec<&Change> {
        let of_class = |change: &&Change| classes.contains(&change.class);
        pending.iter().filter(of_class).collect()
    };
    let mut smaller = of(&[Class::Refused]);
    smaller.retain(|change| change.path.ends_with("].size"));
    if !smaller.is_empty() {
        return bad(
            Reason::ShrinkRefused,
            format!("A disk cannot shrink: {}", listed(&smaller)),
            "set the old size again; until then, the operator applies no other change of the manifest"
                .into(),
        );
    }
    if let Some(refusal) = refusal {
        return Condition {
            type_: TYPE,
            ..refusal.clone()
        };
    }
    let restart = of(&[Class::NeedsRestart, Class::DestroysData]);
    let first_boot = of(&[Class::FirstBootOnly]);
    let (plugged, migration): (Vec<_>, Vec<_>) = of(&[Class::HotPlug, Class::HotUnplug])
        .into_iter()
        .partition(|change| {
            change.class == Class::HotUnplug || change.path.starts_with("spec.disks[")
        });
    let required = find_condition(&vm.conditions, "RestartRequired")
        .filter(|required| required.status == "True");
    // KubeVirt requires a restart also after a change of the cloud-init data, which a restart does not apply.
    let required = required.filter(|_| !restart.is_empty() || first_boot.is_empty());
    if required.is_some() || !restart.is_empty() {
        let what = match (restart.as_slice(), required) {
            ([], Some(required)) => required.message.clone(),
            _ => listed(&restart).into(),
        };
        return bad(
            Reason::RestartRequired,
            format!("The VM runs with an earlier configuration: {what}"),
            format!("kubectl wukong restart {name} -n {namespace}, or restartApproval: Automatic"),
        );
    }
    let power_off = of(&[Class::PowerOff]);
    if !power_off.is_empty() {
        return bad(
            Reason::PowerOffRequired,
            format!(
                "The volume grows only while no node uses it: {}",
                listed(&power_off)
            ),
            format!(
                "kubectl wukong stop {name} -n {namespace} --wait; when the claim has grown: kubectl wukong start {name} -n {namespace}"
            ),
        );
    }
    if !migration.is_empty() {
        let message = format!(
            "KubeVirt applies this to the running VM by a live migration: {}",
            listed(&migration)
        );
        return match running.migrates_by_itself {
            Some(false) => bad(
                Reason::MigrationRequired,
                message,
                format!(
                    "kubectl wukong migrate {name} -n {namespace}, or kubectl wukong restart {name} -n {namespace}: KubeVirt starts no migration by itself, because {NO_AUTOMATIC_MIGRATION}"
                ),
            ),
            _ => Condition::progressing(TYPE, Reason::MigrationRequired, message).about(object),
        };
    }
    if !plugged.is_empty() {
        let message = format!(
            "KubeVirt applies this to the running VM: {}",
            listed(&plugged)
        );
        return Condition::progressing(TYPE, Reason::PluggingDevices, message).about(object);
    }
    if !first_boot.is_empty() {
        return bad(
            Reason::FirstBootOnly,
            format!(
                "cloud-init applies this only at the first boot, which is over: {}",
                listed(&first_boot)
            ),
            "make the same change in the guest, or create the boot disk again".into(),
        );
    }
    Condition::ok(TYPE, Reason::Applied, "The running VM matches the manifest")
}

fn listed(changes: &[&Change]) -> String {
    let one = |change: &&Change| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{} ({from} -> {to})", change.path),
        _ => change.path.clone(),
    };
    bounded(&changes.iter().map(one).collect::<Vec<_>>().join(", ")).into()
}
