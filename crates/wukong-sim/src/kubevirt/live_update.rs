//! Changes of the template while an instance lives: which reach it, and which need a restart.
//!
//! With the rollout strategy `LiveUpdate` sockets, memory and placement are live; network cards and hot-pluggable volumes
//! are under either strategy. What an instance was started with is kept on it.

use serde_json::{Value, json};

use super::boot::{BOOTED_WITH, VM_GENERATION};
use super::object::{VIRT, phase};
use super::settings::Settings;
use crate::change::{Change, difference};
use crate::field::{Field, put, text};
use crate::kind::Kind;
use crate::quantity::Quantity;
use crate::world::World;

const OTHER: &str = "a non-live-updatable field was changed in the template spec";
const NOT_MIGRATABLE: &str =
    "memory updated in template spec. Memory-hotplug is only available for migratable VMs";
const BELOW_BOOT: &str =
    "memory updated in template spec to a value lower than what the VM started with";
const BLOCK: i64 = 2 << 20;
const PLACEMENT: [&str; 3] = ["nodeSelector", "tolerations", "affinity"];

/// Why the VM must be restarted for its template to take effect, if so.
pub fn restart_required(world: &World, vm: &Field<'_>, vmi: &Field<'_>) -> Option<String> {
    let booted = booted_with(vmi)?;
    let (old, new) = (Field::new("", &booted), vm.at("spec.template.spec"));
    let live = Settings::of(world).live_update;
    let moves_volumes = vm.at("spec.updateVolumesStrategy").text() == "Migration";
    if fixed_part(&old, &old, live, moves_volumes) != fixed_part(&new, &old, live, moves_volumes)
        || nics_need_restart(&old, &new, vmi)
    {
        return Some(OTHER.into());
    }
    if !live {
        return None;
    }
    sockets_problem(&old, &new, vmi)
        .or_else(|| memory_problem(&old, &new, vmi))
        .map(str::to_owned)
}

/// The write to the instance.
pub fn changes(world: &World, vm: &Field<'_>, vmi: &Field<'_>) -> Vec<Change> {
    let new = vm.at("spec.template.spec");
    let mut desired = vmi.child("spec").value().clone();
    let live = Settings::of(world).live_update;
    if live && restart_required(world, vm, vmi).is_none() {
        for key in PLACEMENT {
            let wanted = new.child(key);
            if wanted.value() != vmi.child("spec").child(key).value() {
                put(&mut desired, [key], wanted.value().clone());
            }
        }
        let sockets = new.at("domain.cpu.sockets");
        if sockets.integer() > 0 {
            put(
                &mut desired,
                ["domain", "cpu", "sockets"],
                sockets.value().clone(),
            );
        }
        let guest = new.at("domain.memory.guest");
        if guest.is_set() && guest.quantity() != vmi.at("spec.domain.memory.guest").quantity() {
            put(
                &mut desired,
                ["domain", "memory", "guest"],
                guest.value().clone(),
            );
        }
        if vm.at("spec.updateVolumesStrategy").text() == "Migration" {
            swap_volumes(&new, &mut desired);
        }
    }
    plug_nics(&new, &mut desired);
    plug_volumes(&new, &mut desired);
    let patch = difference(vmi.child("spec").value(), &desired);
    let plugged = patch.map(|patch| json!({"spec": patch}));
    plugged
        .or_else(|| later_generation(vm, vmi))
        .map(|patch| Change::merge(VIRT, Kind::Vmi, vmi, patch))
        .into_iter()
        .collect()
}

/// The instance is of the VM's present generation, too, when the VM changed outside of its template.
fn later_generation(vm: &Field<'_>, vmi: &Field<'_>) -> Option<Value> {
    let template = vm.at("spec.template");
    let same = booted_with(vmi)? == *template.child("spec").value()
        && ["labels", "annotations"].iter().all(|kind| {
            let seen = vmi.child("metadata").child(kind);
            let wanted = template.child("metadata").child(kind);
            let mut wanted = wanted.value().as_object().into_iter().flatten();
            wanted.all(|(key, value)| seen.child(key).value() == value)
        });
    let generation = vm.at("metadata.generation").integer().to_string();
    let noted = vmi.at("metadata.annotations").child(VM_GENERATION).text();
    (same && noted != generation)
        .then(|| json!({"metadata": {"annotations": {VM_GENERATION: generation}}}))
}

/// Why a hot-pluggable volume of the template cannot be plugged in.
pub fn hotplug_problem(vm: &Field<'_>, vmi: &Field<'_>) -> Option<String> {
    let spec = vm.at("spec.template.spec");
    let volume = hotpluggable(&spec)
        .into_iter()
        .find(|name| !has(&vmi.at("spec.volumes"), name) && !is_pluggable_disk(&spec, name))?;
    let bus =
        disk(&spec, volume).map_or(String::new(), |disk| disk.at("disk.bus").text().to_owned());
    Some(format!(
        "Hotplug configuration for disk [{volume}] requires bus to be 'scsi' or 'virtio'. [{bus}] is not permitted."
    ))
}

fn booted_with(vmi: &Field<'_>) -> Option<Value> {
    serde_json::from_str(vmi.at("metadata.annotations").child(BOOTED_WITH).text()).ok()
}

fn has(list: &Field<'_>, name: &str) -> bool {
    list.items().any(|item| item.name() == name)
}

fn hotpluggable<'a>(spec: &Field<'a>) -> Vec<&'a str> {
    let marked = |volume: &Field<'_>| {
        ["dataVolume", "persistentVolumeClaim"]
            .iter()
            .any(|kind| volume.child(kind).child("hotpluggable").is_true())
    };
    spec.child("volumes")
        .items()
        .filter(marked)
        .map(|volume| volume.name())
        .collect()
}

fn disk<'a>(spec: &Field<'a>, name: &str) -> Option<Field<'a>> {
    spec.at("domain.devices.disks")
        .items()
        .find(|disk| disk.name() == name)
}

fn is_pluggable_disk(spec: &Field<'_>, name: &str) -> bool {
    disk(spec, name).is_some_and(|disk| {
        ["virtio", "scsi"].contains(&disk.at("disk.bus").text())
            || disk.at("lun.bus").text() == "scsi"
    })
}

/// A template without all that may change while it runs, lists in the order of their names.
fn fixed_part(spec: &Field<'_>, booted: &Field<'_>, live: bool, moves_volumes: bool) -> Value {
    let mut fixed = spec.value().clone();
    if live {
        for key in PLACEMENT {
            put(&mut fixed, [key], Value::Null);
        }
        put(&mut fixed, ["domain", "cpu", "sockets"], Value::Null);
        put(&mut fixed, ["domain", "memory", "guest"], Value::Null);
    }
    put(&mut fixed, ["networks"], Value::Null);
    let plugged: Vec<&str> = hotpluggable(spec)
        .into_iter()
        .filter(|name| is_pluggable_disk(spec, name))
        .collect();
    let keep = |list: &Field<'_>| {
        let mut items: Vec<Value> = list
            .items()
            .filter(|item| !plugged.contains(&item.name()))
            .map(|item| item.value().clone())
            .collect();
        items.sort_by_key(|item| text(item, "name").to_owned());
        items
    };
    let mut volumes = keep(&spec.child("volumes"));
    if moves_volumes {
        for volume in &mut volumes {
            let name = text(volume, "name").to_owned();
            if let Some(old) = booted
                .child("volumes")
                .items()
                .find(|old| old.name() == name)
            {
                *volume = old.value().clone();
            }
        }
    }
    put(&mut fixed, ["volumes"], json!(volumes));
    let disks = keep(&spec.at("domain.devices.disks"));
    put(&mut fixed, ["domain", "devices", "disks"], json!(disks));
    put(&mut fixed, ["domain", "devices", "interfaces"], Value::Null);
    fixed
}

fn nics<'a>(spec: &Field<'a>) -> Field<'a> {
    spec.at("domain.devices.interfaces")
}

/// Everything of a network card but the state of its link.
fn identity(nic: &Field<'_>) -> Value {
    let mut nic = nic.value().clone();
    put(&mut nic, ["state"], Value::Null);
    nic
}

fn nics_need_restart(old: &Field<'_>, new: &Field<'_>, vmi: &Field<'_>) -> bool {
    let changed =
        nics(new).items().any(
            |nic| match nics(old).items().find(|old| old.name() == nic.name()) {
                Some(old) => identity(&old) != identity(&nic),
                None => nic.set_among(&["bridge", "sriov"]) == 0,
            },
        );
    let removed = nics(&vmi.child("spec")).items().any(|nic| {
        nic.child("state").text() != "absent"
            && has(&nics(old), nic.name())
            && !has(&nics(new), nic.name())
    });
    changed || removed
}

fn sockets_problem(old: &Field<'_>, new: &Field<'_>, vmi: &Field<'_>) -> Option<&'static str> {
    let sockets = |spec: &Field<'_>| spec.at("domain.cpu.sockets").integer();
    let maximum = vmi.at("spec.domain.cpu.maxSockets").integer();
    if sockets(new) < sockets(old) {
        Some("Reduction of CPU socket count requires a restart")
    } else if maximum > 0 && sockets(new) > maximum {
        Some("CPU sockets updated in template spec to a value higher than what's available")
    } else {
        None
    }
}

fn memory_problem(old: &Field<'_>, new: &Field<'_>, vmi: &Field<'_>) -> Option<&'static str> {
    let guest = |spec: &Field<'_>| spec.at("domain.memory.guest").quantity();
    let (before, after) = (guest(old), guest(new));
    if before == after {
        return None;
    }
    let migratable = vmi.at("status.conditions").items().any(|item| {
        item.child("type").text() == "LiveMigratable" && item.child("status").text() == "True"
    });
    let maximum = vmi.at("spec.domain.memory.maxGuest").quantity();
    if after < before {
        Some(BELOW_BOOT)
    } else if maximum != Quantity::default() && after > maximum {
        Some(
            "memory hotplug not supported, Guest memory is greater than the configured maxGuest memory",
        )
    } else if after.value() % BLOCK != 0 {
        Some("memory hotplug not supported, Guest memory must be 2Mi aligned")
    } else if phase(vmi) != "Running" || !migratable {
        Some(NOT_MIGRATABLE)
    } else {
        None
    }
}

fn list<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Vec<Value>> {
    value.pointer_mut(pointer).and_then(Value::as_array_mut)
}

/// New cards are plugged in, links go up and down, absent cards are unplugged, networks change their name.
fn plug_nics(new: &Field<'_>, desired: &mut Value) {
    const NICS: &str = "/domain/devices/interfaces";
    let current = desired.clone();
    let current = Field::new("", &current);
    for nic in nics(new).items() {
        let (name, state) = (nic.name(), nic.child("state").text());
        let network = new
            .child("networks")
            .items()
            .find(|network| network.name() == name);
        let there = nics(&current).items().find(|there| there.name() == name);
        match there {
            None if state != "absent" && nic.set_among(&["bridge", "sriov"]) > 0 => {
                if let (Some(nics), Some(network)) = (list(desired, NICS), &network) {
                    nics.push(nic.value().clone());
                    if let Some(networks) = list(desired, "/networks") {
                        networks.push(network.value().clone());
                    }
                }
            }
            // The second pass over an absent card removes it.
            Some(there) if state == "absent" && there.child("state").text() == "absent" => {
                for pointer in [NICS, "/networks"] {
                    if let Some(items) = list(desired, pointer) {
                        items.retain(|item| text(item, "name") != name);
                    }
                }
            }
            Some(there) => {
                let found = |item: &&mut Value| text(item, "name") == name;
                if there.child("state").text() != state
                    && let Some(item) =
                        list(desired, NICS).and_then(|items| items.iter_mut().find(found))
                {
                    put(item, ["state"], nic.child("state").value().clone());
                }
                let wanted = network
                    .as_ref()
                    .map(|network| network.child("multus").value());
                if let Some(wanted) = wanted.filter(|wanted| !wanted.is_null())
                    && let Some(item) =
                        list(desired, "/networks").and_then(|items| items.iter_mut().find(found))
                {
                    put(item, ["multus"], wanted.clone());
                }
            }
            None => {}
        }
    }
}

fn plug_volumes(new: &Field<'_>, desired: &mut Value) {
    const DISKS: &str = "/domain/devices/disks";
    let current = desired.clone();
    let current = Field::new("", &current);
    for name in hotpluggable(new) {
        if has(&current.child("volumes"), name) || !is_pluggable_disk(new, name) {
            continue;
        }
        let volume = new
            .child("volumes")
            .items()
            .find(|volume| volume.name() == name);
        if let (Some(volume), Some(disk)) = (volume, disk(new, name)) {
            for (pointer, item) in [("/volumes", volume), (DISKS, disk)] {
                if let Some(items) = list(desired, pointer) {
                    items.push(item.value().clone());
                }
            }
        }
    }
    for name in hotpluggable(&current) {
        if !has(&new.child("volumes"), name) {
            for pointer in ["/volumes", DISKS] {
                if let Some(items) = list(desired, pointer) {
                    items.retain(|item| text(item, "name") != name);
                }
            }
        }
    }
}

fn swap_volumes(new: &Field<'_>, desired: &mut Value) {
    for volume in list(desired, "/volumes").into_iter().flatten() {
        let wanted = new
            .child("volumes")
            .items()
            .find(|wanted| text(volume, "name") == wanted.name());
        if let Some(wanted) = wanted {
            *volume = wanted.value().clone();
        }
    }
}
