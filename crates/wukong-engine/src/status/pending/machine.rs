//! The pending changes that an instance shows.

use std::collections::{BTreeMap, BTreeSet};

use litemap::LiteMap;
use wukong_api::spec::{Architecture, DiskKind, Firmware, LinkState, NetworkType, NicModel};
use wukong_api::validated::{self, Attachment, Nic, Source};
use wukong_api::{Mac, ValidatedWukong, names};
use wukong_vm::virtual_machine::{
    Binding, Bootloader, Disk, DiskDevice, Interface, InterfaceState,
};

use super::{Comparison, size};
use crate::changes::{self, Change, Class};
use crate::facts::MachineFact;
use crate::ownership::DiskSeen;

impl Comparison<'_> {
    /// The differences between the guest and the spec, as far as its instance and its disks show them.
    pub(super) fn of_machine(&self) -> Vec<Change> {
        let wukong = self.situation.wukong;
        let desired = self.template().and_then(|template| {
            MachineFact::project(template).filter(|machine| Some(machine) != self.machine())
        });
        let machine = desired.and_then(|_| self.machine());
        let other = |seen: &DiskSeen| as_made(seen).is_some_and(|made| made != *seen.disk);
        if machine.is_none() && !self.situation.disks.iter().any(other) {
            return Vec::new();
        }
        let mut running = wukong.clone();
        for disk in &mut running.disks {
            let mut seen = self.situation.disks.iter();
            let seen = seen.find(|seen| seen.disk.name == disk.name);
            if let Some(made) = seen.and_then(as_made) {
                *disk = made;
            }
        }
        if let Some(machine) = machine {
            overwrite(&mut running, machine);
        }
        let mut changes = changes::classify(&running, wukong, &self.vm);
        changes.extend(machine.into_iter().flat_map(|machine| self.gone(machine)));
        for change in &mut changes {
            self.hold_up(change);
        }
        changes
    }

    fn machine(&self) -> Option<&MachineFact> {
        self.instance?.machine.as_ref()
    }

    /// Devices that the guest has and the spec no longer has. Those that were attached by hand do not count.
    fn gone(&self, machine: &MachineFact) -> Vec<Change> {
        let wukong = self.situation.wukong;
        let vm = self.situation.vm.filter(|vm| vm.disks_by_hand);
        let by_hand = |name: &str| vm.is_some_and(|vm| vm.disks.iter().any(|disk| disk == name));
        let attached = machine.disks.iter().map(|disk| disk.name.as_str());
        let plugged = self.vm.disks.plugged.iter().map(String::as_str);
        let disks: BTreeSet<&str> = attached
            .chain(plugged)
            .filter(|name| wukong.disk(name).is_none() && !by_hand(name))
            .collect();
        let disks = disks
            .into_iter()
            .map(|name| changes::disk_gone(name, &self.vm.disks));
        let nics = machine
            .nics
            .iter()
            .filter(|nic| nic.name != names::POD_NETWORK)
            .filter(|nic| !wukong.nics.iter().any(|known| known.name == nic.name))
            .filter(|nic| nic.state != Some(InterfaceState::Absent) || self.guest_has(&nic.name))
            .map(|nic| changes::nic_gone(&nic.name, changes::pulls(machine, nic)));
        let attached = |gone| Change {
            from: Some("attached".into()),
            ..gone
        };
        disks.chain(nics).map(attached).collect()
    }

    /// Whether the guest has the NIC, and not only its pod.
    fn guest_has(&self, nic: &str) -> bool {
        let mut interfaces = self.instance.into_iter().flat_map(|it| &it.interfaces);
        interfaces.any(|seen| {
            let source = seen.source.as_deref().unwrap_or_default();
            seen.name == nic && source.contains("domain")
        })
    }

    /// While KubeVirt requires a restart, only NICs and volumes reach the running VM.
    fn hold_up(&self, change: &mut Change) {
        let live = matches!(change.class, Class::InPlace | Class::HotPlug);
        if live && self.kubevirt_wants_restart() && !change.is_of_device() {
            change.class = Class::NeedsRestart;
        }
    }
}

/// The disk as its DataVolume or claim was made. `None`: unknown.
fn as_made(seen: &DiskSeen) -> Option<validated::Disk> {
    let size = size(seen)?;
    let mut disk = seen.disk.clone();
    disk.size = size;
    if let Some(volume) = seen.data_volume {
        // A later generation has another source than the spec, because a restore made it.
        let is_first = disk.generation.unwrap_or(1) == 1;
        if let Some(source) = volume.source.as_ref().filter(|_| is_first) {
            disk.source = source.clone();
        }
        disk.storage_class = volume.class.as_deref().map(Into::into);
        disk.access_modes.clone_from(&volume.access_modes);
        disk.volume_mode = volume.volume_mode;
    } else if let Some(claim) = seen.claim {
        // The API server completes what the manifest leaves open.
        if disk.storage_class.is_some() {
            disk.storage_class = claim.class.as_deref().map(Into::into);
        }
        if !disk.access_modes.is_empty() {
            disk.access_modes.clone_from(&claim.access_modes);
        }
        if disk.volume_mode.is_some() {
            disk.volume_mode = claim.volume_mode;
        }
    }
    Some(disk)
}

/// Overwrites the fields of a Wukong with those of this machine.
fn overwrite(wukong: &mut ValidatedWukong, machine: &MachineFact) {
    // Without `..`: the compiler leads from a new fact to this place.
    let MachineFact {
        cpu,
        memory,
        architecture,
        cpu_model,
        dedicated_cpu,
        hugepages,
        tpm,
        bootloader,
        disks,
        claims,
        image,
        nics,
        networks,
        primary,
        node_selector,
        tolerations,
        anti_affinity,
        topology_spread,
        eviction_strategy,
        termination_grace_period_seconds,
        labels,
        annotations,
        group,
    } = machine;
    wukong.cpu = cpu.unwrap_or(wukong.cpu);
    wukong.memory = memory.unwrap_or(wukong.memory);
    let firmware = bootloader.as_ref().map(|loader| match loader {
        Bootloader::Bios {} => Firmware::Bios,
        Bootloader::Efi { secure_boot: true } => Firmware::UefiSecureBoot,
        Bootloader::Efi { secure_boot: false } => Firmware::Uefi,
    });
    let default = match *architecture {
        Some(Architecture::Arm64) => Firmware::Uefi,
        _ => Firmware::Bios,
    };
    // KubeVirt may write its default into the instance.
    let firmware = firmware.unwrap_or(default);
    if wukong.firmware.is_some() || firmware != default {
        wukong.firmware = Some(firmware);
    }
    seen_metadata(&mut wukong.labels, labels);
    seen_metadata(&mut wukong.annotations, annotations);
    let requested = &mut wukong.machine;
    if requested.architecture.is_some() {
        requested.architecture = *architecture;
    }
    if requested.cpu_model.is_some() {
        requested.cpu_model.clone_from(cpu_model);
    }
    requested.dedicated_cpu = *dedicated_cpu;
    requested.hugepages = *hugepages;
    requested.tpm = *tpm;
    if let Some(seconds) = *termination_grace_period_seconds {
        wukong.termination_grace_period_seconds = seconds;
    }
    wukong.ephemeral_image.clone_from(image);
    let placement = &mut wukong.placement;
    placement.anti_affinity = *anti_affinity;
    placement.topology_spread = *topology_spread;
    placement.node_selector = node_selector
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    placement.tolerations.clone_from(tolerations);
    if let Some(strategy) = *eviction_strategy {
        placement.eviction_strategy = strategy;
    }
    if let Some(group) = group {
        wukong.identity.group.clone_from(group);
    }

    let planned = std::mem::take(&mut wukong.disks);
    for seen in disks {
        let mut known = planned
            .iter()
            .filter(|disk| disk.name == seen.name)
            .cloned();
        if let Some(mut disk) = known.next() {
            as_seen(&mut disk, seen);
            let claim = claims.get(&seen.name);
            if let Some(claim) = claim.filter(|claim| **claim != wukong.claim_name(&disk)) {
                disk.source = Source::Existing(claim.clone());
            }
            wukong.disks.push(disk);
        }
    }
    let nic = |name: &str| nics.iter().find(|nic| nic.name == name);
    wukong.pod_nic = nic(names::POD_NETWORK).and_then(|nic| Mac::parse(&nic.mac_address));
    let planned = std::mem::take(&mut wukong.nics);
    for seen in nics {
        let mut known = planned.iter().filter(|nic| nic.name == seen.name).cloned();
        if let Some(mut nic) = known.next() {
            attached(&mut nic, seen, networks.get(&seen.name));
            nic.primary = primary.as_ref() == Some(&nic.name);
            wukong.nics.push(nic);
        }
    }
}

/// Other writers may add labels and annotations to the instance, so only keys that the Wukong has are compared.
fn seen_metadata(requested: &mut BTreeMap<String, String>, seen: &LiteMap<String, String>) {
    let present = |key: &String| Some((key.clone(), seen.get(key)?.clone()));
    *requested = requested.keys().filter_map(present).collect();
}

fn as_seen(disk: &mut validated::Disk, seen: &Disk) {
    (disk.kind, disk.bus) = match seen.device {
        DiskDevice::Disk { bus, .. } => (DiskKind::Disk, bus),
        DiskDevice::Cdrom { bus } => (DiskKind::Cdrom, bus),
        DiskDevice::Lun { bus } => (DiskKind::Lun, bus),
    };
    disk.boot = seen.boot_order == Some(1);
    disk.cache = seen.cache;
    disk.shareable = seen.shareable == Some(true);
    disk.dedicated_io_thread = seen.dedicated_io_thread == Some(true);
    if let Some(serial) = &seen.serial {
        disk.serial.clone_from(serial);
    }
}

fn attached(nic: &mut Nic, seen: &Interface, network: Option<&String>) {
    nic.kind = match &seen.binding {
        Binding::Bridge {} => match nic.kind {
            kind @ (NetworkType::Bridge | NetworkType::Ovs) => kind,
            NetworkType::Sriov | NetworkType::Macvlan => NetworkType::Bridge,
        },
        Binding::Sriov {} => NetworkType::Sriov,
        Binding::Plugin { .. } => NetworkType::Macvlan,
        Binding::Masquerade {} => nic.kind,
    };
    let model = seen.model.unwrap_or(NicModel::Virtio);
    if nic.model.is_some() || model != NicModel::Virtio {
        nic.model = Some(model);
    }
    let is_down = seen.state == Some(InterfaceState::Down);
    if is_down != (nic.link_state == Some(LinkState::Down)) {
        nic.link_state = is_down.then_some(LinkState::Down);
    }
    if let Some(mac) = Mac::parse(&seen.mac_address) {
        nic.mac = mac;
    }
    if let Some(network) = network.filter(|network| *network != nic.attachment.name()) {
        nic.attachment = Attachment::Existing(network.clone());
    }
}
