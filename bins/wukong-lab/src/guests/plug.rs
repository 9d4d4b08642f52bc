//! Disks that are plugged into a running guest, and out of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::disks;
use super::machine::{Content, Disk, Machine};
use super::qemu::{self, PORTS, SCSI, port, set};
use super::qmp::{Event, Qmp};
use wukong_sim::field::Field;

/// The disks that shall be plugged in. KubeVirt starts a guest with all that it has, and plugs in the later ones when their
/// volume is mounted. A disk leaves the guest when the instance no longer has it.
pub fn wanted(vmi: &Field<'_>, machine: &Machine, plugged: &[Disk]) -> Vec<Disk> {
    let starts = vmi.at("status.phase").text() != "Running";
    let mounted = |disk: &Disk| {
        let statuses = vmi.at("status.volumeStatus");
        let mut statuses = statuses.items();
        statuses.any(|status| {
            let is_mounted = matches!(status.child("phase").text(), "MountedToPod" | "Ready");
            status.name() == disk.name && is_mounted
        })
    };
    let known = |disk: &Disk| plugged.iter().any(|known| known.name == disk.name);
    let wanted = machine.plugged.iter();
    wanted
        .filter(|disk| starts || known(disk) || mounted(disk))
        .cloned()
        .collect()
}

/// What is plugged in.
pub struct Plugs {
    /// Where the images are.
    dir: PathBuf,
    /// By node, with the port of a disk on the virtio bus.
    plugged: BTreeMap<String, Option<usize>>,
}

impl Plugs {
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            plugged: BTreeMap::new(),
        }
    }

    /// Plugs in what is missing, and asks the guest to release what is too much.
    pub async fn apply(&mut self, qmp: &mut Qmp, wanted: &[Disk]) -> Result<()> {
        for id in self.plugged.keys() {
            if !wanted.iter().any(|disk| disk.plug() == *id) {
                qmp.send("device_del", json!({"id": id})).await?;
            }
        }
        for disk in wanted {
            if !self.plugged.contains_key(&disk.plug()) {
                self.add(qmp, disk).await?;
            }
        }
        Ok(())
    }

    async fn add(&mut self, qmp: &mut Qmp, disk: &Disk) -> Result<()> {
        let Content::Claim { uid, bytes } = &disk.content else {
            return Ok(());
        };
        let image = disks::image(&self.dir, uid);
        disks::provide(&image, *bytes).await?;
        let id = disk.plug();
        let (driver, bus, free) = match disk.bus.as_str() {
            "virtio" => {
                let free = |index: &usize| !self.plugged.values().any(|used| used == &Some(*index));
                let free = (0..PORTS).find(free);
                let free = free.context("the guest has no free PCI port for another disk")?;
                ("virtio-blk-pci", port(free), Some(free))
            }
            _ => ("scsi-hd", format!("{SCSI}.0"), None),
        };
        let mut device = json!({"id": id, "drive": id, "driver": driver, "bus": bus});
        let serial = (!disk.serial.is_empty()).then(|| json!(disk.serial));
        set(&mut device, "serial", serial);
        qmp.send("blockdev-add", qemu::blockdev(&id, disk, &image, "qcow2"))
            .await?;
        qmp.send("device_add", device).await?;
        self.plugged.insert(id, free);
        Ok(())
    }

    /// Whether QEMU has this node.
    pub fn has(&self, node: &str) -> bool {
        self.plugged.contains_key(node)
    }

    /// Takes the image away from QEMU when the guest has released its disk.
    pub async fn observe(&mut self, qmp: &mut Qmp, event: &Event) -> Result<()> {
        let device = event.data.get("device").and_then(Value::as_str);
        let released = device.filter(|_| event.name == "DEVICE_DELETED");
        if let Some(id) = released.filter(|id| self.plugged.contains_key(*id)) {
            self.plugged.remove(id);
            qmp.send("blockdev-del", json!({"node-name": id})).await?;
        }
        Ok(())
    }
}
