//! The machine that a VirtualMachineInstance asks for, with everything that it refers to looked up.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::seed::Seed;
use crate::plant::cdi;
use crate::plant::field::Field;
use crate::plant::world::{Kind, World};

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
    pub disks: Vec<Disk>,
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    pub mac: String,
    pub network: Network,
    pub mtu: Option<i64>,
    pub boot_order: Option<i64>,
    pub model: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    Pod,
    /// The L2 segment of this name.
    Segment(String),
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
        let disks = domain
            .at("devices.disks")
            .items()
            .map(|disk| Disk::of(world, vmi, &disk))
            .collect::<Result<Vec<_>>>()?;
        let nics = domain
            .at("devices.interfaces")
            .items()
            .filter(|nic| nic.child("state").text() != "absent")
            .map(|nic| Nic::of(world, vmi, &nic))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            namespace: metadata.child("namespace").text().to_owned(),
            name: metadata.name().to_owned(),
            uid: metadata.child("uid").text().to_owned(),
            sockets: count("sockets"),
            cores: count("cores"),
            threads: count("threads"),
            memory: domain.at("memory.guest").quantity().value(),
            firmware,
            uuid: domain.at("firmware.uuid").text().to_owned(),
            serial: domain.at("firmware.serial").text().to_owned(),
            disks,
            nics,
            seed: Seed::of(world, vmi)?,
            paused: spec.child("startStrategy").text() == "Paused",
        })
    }

    /// The bytes that each disk with a claim shall have, by the disk's position.
    pub fn sizes(&self) -> Vec<(usize, i64)> {
        let sizes = self
            .disks
            .iter()
            .enumerate()
            .filter_map(|(position, disk)| match disk.content {
                Content::Claim { bytes, .. } => Some((position, bytes)),
                Content::Seed | Content::Empty { .. } => None,
            });
        sizes.collect()
    }
}

fn boot_order(device: &Field<'_>) -> Option<i64> {
    Some(device.child("bootOrder").integer()).filter(|order| *order > 0)
}

impl Disk {
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
                bytes: capacity.quantity().value(),
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

impl Nic {
    fn of(world: &World, vmi: &Field<'_>, nic: &Field<'_>) -> Result<Self> {
        let name = nic.name();
        let network = vmi
            .at("spec.networks")
            .items()
            .find(|network| network.name() == name)
            .with_context(|| format!("interface {name} has no network"))?;
        let mut planned = Self {
            mac: nic.child("macAddress").text().to_ascii_lowercase(),
            network: Network::Pod,
            mtu: None,
            boot_order: boot_order(nic),
            model: nic.child("model").text().to_owned(),
        };
        if network.child("pod").is_set() {
            return Ok(planned);
        }
        let attachment = network.at("multus.networkName").text();
        let (namespace, attachment) = attachment
            .split_once('/')
            .unwrap_or((vmi.at("metadata.namespace").text(), attachment));
        let definition = world
            .get(Kind::Nad, namespace, attachment)
            .with_context(|| {
                format!("NetworkAttachmentDefinition {namespace}/{attachment} does not exist")
            })?;
        let config: Value = serde_json::from_str(definition.at("spec.config").text())
            .with_context(|| format!("the configuration of {namespace}/{attachment}"))?;
        let config = Field::new("", &config);
        planned.network = Network::Segment(segment(&config, namespace, attachment));
        planned.mtu = Some(config.child("mtu").integer()).filter(|mtu| *mtu > 0);
        Ok(planned)
    }
}

/// On a node, all that is plugged into one bridge with one VLAN is on one wire, whichever definition plugs it there.
fn segment(config: &Field<'_>, namespace: &str, definition: &str) -> String {
    let vlan = config.child("vlan").integer();
    match config.child("bridge").text() {
        "" => format!("{namespace}/{definition}"),
        bridge => format!("{} {bridge} vlan {vlan}", config.child("type").text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_bridge_with_one_vlan_is_one_segment() {
        let segment_of = |config: Value| segment(&Field::new("", &config), "ns", "nad");
        let lan = json!({"type": "bridge", "bridge": "br-lan", "vlan": 20, "name": "one"});
        let same = json!({"type": "bridge", "bridge": "br-lan", "vlan": 20, "name": "two"});
        let other = json!({"type": "bridge", "bridge": "br-lan", "vlan": 30});
        let untagged = json!({"type": "bridge", "bridge": "br-lan"});
        assert_eq!(segment_of(lan.clone()), segment_of(same));
        assert_ne!(segment_of(lan.clone()), segment_of(other));
        assert_ne!(segment_of(lan), segment_of(untagged));
        assert_eq!(segment_of(json!({"type": "sriov"})), "ns/nad");
    }
}
