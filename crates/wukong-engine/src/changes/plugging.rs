//! How KubeVirt plugs disks into a running guest, and out of it.
//!
//! It does so for volumes that are marked `hotpluggable` in the VirtualMachine (gate `DeclarativeHotplugVolumes`, on since
//! 1.9), under every `vmRolloutStrategy` (`pkg/storage/hotplug` and `pkg/storage/admitters/storagehotplug.go` of KubeVirt).

use std::collections::BTreeSet;

use wukong_api::spec::{DiskBus, DiskKind, VolumeMode};
use wukong_api::validated::{Disk, Source};

use super::class::Class;

/// Facts that decide whether a disk is plugged into the running guest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DiskPlugging {
    /// Whether KubeVirt plugs in disks that a VirtualMachine gets while its guest runs; `None`: unknown.
    pub by_spec: Option<bool>,
    /// Names of the disks that the guest got while it ran.
    pub plugged: BTreeSet<String>,
    /// Whether CDI is missing, so that an empty disk gets its image only when the VM starts.
    pub without_cdi: bool,
}

impl DiskPlugging {
    /// The class of a disk that a running VM gets, and why.
    pub(super) fn added(&self, disk: &Disk) -> (Class, String) {
        let later = "it is made at once, and attached with the next start";
        let why = match (self.obstacle(disk), self.by_spec) {
            (Some(obstacle), _) => format!("{later}: {obstacle}"),
            (None, Some(false)) => format!("{later}: {NOT_BY_SPEC}"),
            (None, None) => {
                format!("{later}, if this KubeVirt plugs no disks into a running guest")
            }
            (None, Some(true)) => {
                let why = "it is made at once, and KubeVirt plugs it into the running guest";
                return (Class::HotPlug, why.to_owned());
            }
        };
        (Class::NeedsRestart, why)
    }

    /// The class of a disk that a running VM loses, and why.
    pub(super) fn removed(&self, name: &str) -> (Class, &'static str) {
        match self.pulls(name) {
            true => (
                Class::HotUnplug,
                "KubeVirt pulls it out of the running guest, which must not use it any more; its claim and its data stay",
            ),
            false => (
                Class::NeedsRestart,
                "it is detached with the next start; its claim and its data stay",
            ),
        }
    }

    /// Whether the running guest loses this disk when the VirtualMachine no longer has it.
    pub(super) fn pulls(&self, name: &str) -> bool {
        self.by_spec == Some(true) && self.plugged.contains(name)
    }

    /// Why this disk is not plugged into a running guest, if so.
    pub(crate) fn obstacle(&self, disk: &Disk) -> Option<&'static str> {
        let bus_fits = match disk.kind {
            DiskKind::Cdrom => return Some("KubeVirt plugs no CD-ROM drive into a running guest"),
            DiskKind::Lun => disk.bus == DiskBus::Scsi,
            DiskKind::Disk => matches!(disk.bus, DiskBus::Virtio | DiskBus::Scsi),
        };
        if !bus_fits {
            return Some("KubeVirt plugs in disks of the bus virtio or scsi, and LUNs of scsi");
        }
        if disk.boot {
            return Some("a boot disk counts from a start on");
        }
        let is_empty = disk.source == Source::Blank && disk.volume_mode != Some(VolumeMode::Block);
        (is_empty && self.without_cdi)
            .then_some("without CDI, an empty disk gets its image when the VM starts")
    }
}

const NOT_BY_SPEC: &str = "this KubeVirt plugs no disks of the spec into a running guest (gate DeclarativeHotplugVolumes, without the gate HotplugVolumes)";
