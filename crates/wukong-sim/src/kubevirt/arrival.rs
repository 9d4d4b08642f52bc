//! CPUs, memory and network cards that were added to a running instance: they arrive by a migration.

use super::draft::Draft;
use super::networks;
use crate::change::Moment;
use crate::field::{Field, put};

/// Paces until KubeVirt calls a migration for a plugged network card due.
const AUTO_MIGRATION: u32 = 60;

/// CPUs and memory that were plugged in have arrived, by a migration.
pub fn arrive(draft: &mut Draft<'_>, vmi: &Field<'_>) {
    for kind in ["HotVCPUChange", "HotMemoryChange", "MigrationRequired"] {
        draft.conditions.remove(kind);
    }
    if vmi.at("status.currentCPUTopology.sockets").is_set() {
        put(
            &mut draft.status,
            ["currentCPUTopology", "sockets"],
            vmi.at("spec.domain.cpu.sockets").value().clone(),
        );
    }
    let guest = vmi.at("spec.domain.memory.guest");
    if vmi.at("status.memory").is_set() && guest.is_set() {
        for key in ["guestRequested", "guestCurrent"] {
            put(&mut draft.status, ["memory", key], guest.value().clone());
        }
    }
}

/// What was plugged in waits for a migration. Says when to look again.
pub fn pend(draft: &mut Draft<'_>, vmi: &Field<'_>, moment: &Moment) -> Option<u32> {
    let set = |draft: &mut Draft<'_>, kind: &str, pends: bool| {
        if pends {
            draft.condition(kind, "True", "", "");
        } else {
            draft.conditions.remove(kind);
        }
    };
    let sockets = vmi.at("status.currentCPUTopology.sockets");
    let wanted = vmi.at("spec.domain.cpu.sockets");
    set(
        draft,
        "HotVCPUChange",
        sockets.is_set() && sockets.integer() != wanted.integer(),
    );
    let (current, guest) = (
        vmi.at("status.memory.guestCurrent"),
        vmi.at("spec.domain.memory.guest"),
    );
    let grows = current.is_set() && guest.is_set() && current.quantity() != guest.quantity();
    set(draft, "HotMemoryChange", grows);
    if grows {
        put(
            &mut draft.status,
            ["memory", "guestRequested"],
            guest.value().clone(),
        );
    }
    let shown = vmi.at("status.interfaces");
    let plugged = networks::interfaces(vmi).any(|nic| {
        nic.child("state").text() != "absent"
            && !shown.items().any(|known| known.name() == nic.name())
    });
    if !plugged {
        draft.conditions.remove("MigrationRequired");
        return None;
    }
    if draft.conditions.status("MigrationRequired").is_empty() {
        draft.condition("MigrationRequired", "False", "AutoMigrationPending", "");
    } else if moment.waited >= AUTO_MIGRATION {
        draft.condition(
            "MigrationRequired",
            "True",
            "AutoMigrationDueToLiveUpdate",
            "",
        );
    }
    (moment.waited < AUTO_MIGRATION).then(|| AUTO_MIGRATION - moment.waited)
}
