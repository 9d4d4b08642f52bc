//! The machine that a VirtualMachineInstance asks for, with everything that it refers to looked up.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::nic::{Nic, boot_order};
use super::seed::Seed;
use wukong_sim::cdi;
use wukong_sim::field::Field;
use wukong_sim::kind::Kind;
use wukong_sim::kubevirt;
use wukong_sim::world::World;

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub namespace: String,
    pub name: String,
    /// Of the instance.
    pub uid: String,
    pub sockets: i64,
    pub cores: i64,
    pub threads: i64,
    /// In bytes.
    pub memory: i64,
    pub firmware: Firmware,
    pub uuid: String,
    pub serial: String,
    /// Those that it boots with.
    pub disks: Vec<Disk>,
    /// Those that are plugged in while it runs.
    pub plugged: Vec<Disk>,
    pub nics: Vec<Nic>,
    pub seed: Option<Seed>,
    /// Whether it waits before its first instruction.
    pub paused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Efi { secure: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub name: String,
    pub device: Device,
    pub bus: String,
    pub serial: String,
    pub boot_order: Option<i64>,
    pub content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    Disk { readonly: bool },
    Cdrom,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The image of the claim with this uid, and the bytes that a guest may use of it.
    Claim {
        uid: String,
        bytes: i64,
    },
    Seed,
    /// Gone with the guest.
    Empty {
        bytes: i64,
    },
}

impl Machine {
    /// Errors when something is missing, or cannot be had in the lab.
    pub fn of(world: &World, vmi: &Field<'_>) -> Result<Self> {
        let metadata = vmi.child("metadata");
        let spec = vmi.child("spec");
        let domain = spec.child("domain");
        let count = |key: &str| domain.child("cpu").child(key).integer().max(1);
        let efi = domain.at("firmware.bootloader.efi");
        // Secure boot is the default of `efi: {}`.
        let firmware = if efi.is_set() {
            Firmware::Efi {
                secure: efi.child("secureBoot").flag().unwrap_or(true),
            }
        } else {
            Firmware::Bios
        };
        let all = domain.at("devices.disks");
        let (plugged, disks): (Vec<_>, Vec<_>) = all
            .items()
            .partition(|disk| kubevirt::is_plugged(vmi, disk.name()));
        let of = |disks: Vec<Field<'_>>| -> Result<Vec<_>> {
            let disks = disks.iter().map(|disk| Disk::of(world, vmi, disk));
            disks.collect()
        };
        Ok(Self {
            namespace: metadata.child("namespace").text().to_owned(),
            name: metadata.name().to_owned(),
            uid: metadata.child("uid").text().to_owned(),
            sockets: count("sockets"),
            cores: count("cores"),
            threads: count("threads"),
            memory: domain.at("memory.guest").units(),
            firmware,
            uuid: domain.at("firmware.uuid").text().to_owned(),
            serial: domain.at("firmware.serial").text().to_owned(),
            disks: of(disks)?,
            plugged: of(plugged)?,
            nics: Nic::all(world, vmi)?,
            seed: Seed::of(world, vmi)?,
            paused: spec.child("startStrategy").text() == "Paused",
        })
    }

    /// QEMU's node of the disk with the claim of this uid.
    pub fn node_of(&self, claim: &str) -> Option<String> {
        let is = |disk: &Disk| match &disk.content {
            Content::Claim { uid, .. } => uid == claim,
            Content::Seed | Content::Empty { .. } => false,
        };
        let booted = self.disks.iter().position(is).map(node);
        booted.or_else(|| {
            let mut plugged = self.plugged.iter();
            plugged.find(|disk| is(disk)).map(Disk::plug)
        })
    }

    /// The bytes that each disk with a claim shall have, by its node in QEMU.
    pub fn sizes(&self) -> BTreeMap<String, i64> {
        let booted = self.disks.iter().enumerate();
        let nodes = booted.map(|(position, disk)| (node(position), disk));
        let plugged = self.plugged.iter().map(|disk| (disk.plug(), disk));
        let sizes = nodes
            .chain(plugged)
            .filter_map(|(node, disk)| match disk.content {
                Content::Claim { bytes, .. } => Some((node, bytes)),
                Content::Seed | Content::Empty { .. } => None,
            });
        sizes.collect()
    }
}

/// Start of the name of a disk that is plugged in.
pub const PLUG: &str = "plug-";

/// QEMU's node of a disk that the machine boots with, by its position.
pub fn node(position: usize) -> String {
    format!("disk{position}")
}

impl Disk {
    /// QEMU's node and device of a disk that is plugged in.
    pub fn plug(&self) -> String {
        format!("{PLUG}{}", self.name)
    }

    fn of(world: &World, vmi: &Field<'_>, disk: &Field<'_>) -> Result<Self> {
        let name = disk.name();
        let volume = vmi
            .at("spec.volumes")
            .items()
            .find(|volume| volume.name() == name)
            .with_context(|| format!("disk {name} has no volume"))?;
        let kind = ["disk", "cdrom", "lun"]
            .into_iter()
            .find(|kind| disk.child(kind).is_set())
            .unwrap_or("disk");
        let device = if kind == "cdrom" {
            Device::Cdrom
        } else {
            Device::Disk {
                readonly: disk.child(kind).child("readonly").is_true(),
            }
        };
        let bus = match disk.child(kind).child("bus").text() {
            "" => "sata",
            bus => bus,
        };
        Ok(Self {
            name: name.to_owned(),
            device,
            bus: bus.to_owned(),
            serial: disk.child("serial").text().to_owned(),
            boot_order: boot_order(disk),
            content: Content::of(world, vmi, &volume)?,
        })
    }
}

impl Content {
    fn of(world: &World, vmi: &Field<'_>, volume: &Field<'_>) -> Result<Self> {
        if volume.child("cloudInitNoCloud").is_set() {
            return Ok(Self::Seed);
        }
        let capacity = volume.at("emptyDisk.capacity");
        if capacity.is_set() {
            return Ok(Self::Empty {
                bytes: capacity.units(),
            });
        }
        let name = match volume.child("dataVolume").name() {
            "" => volume.at("persistentVolumeClaim.claimName").text(),
            name => name,
        };
        if name.is_empty() {
            bail!(
                "volume {}: the lab boots from claims only, and pulls no container images",
                volume.name()
            );
        }
        let claim = world
            .get(Kind::Claim, vmi.at("metadata.namespace").text(), name)
            .with_context(|| format!("claim {name} does not exist"))?;
        Ok(Self::Claim {
            uid: claim.at("metadata.uid").text().to_owned(),
            bytes: cdi::usable(&claim),
        })
    }
}
