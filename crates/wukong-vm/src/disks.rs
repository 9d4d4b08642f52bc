//! Disks and their volumes.

use std::collections::{BTreeMap, BTreeSet};

use wukong_api::spec::{DiskBus, DiskKind, UserDataFormat};
use wukong_api::validated::{self, Source};
use wukong_api::{ValidatedWukong, names};

use crate::secret;
use crate::virtual_machine::{Disk, DiskDevice, SecretReference, Volume, VolumeContent};

/// How a disk's volume names its claim.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum VolumeSource {
    /// By the DataVolume of the same name: the VM's status then follows the import.
    #[default]
    DataVolume,
    /// By itself, for a claim that has no DataVolume.
    Claim,
}

/// Every disk with its volume: the disks of the Wukong in their order (or the image that it boots from when it has
/// none), then the cloud-init seed. Those of `hot_plugged` are marked for KubeVirt.
pub(crate) fn disks(
    wukong: &ValidatedWukong,
    sources: &BTreeMap<String, VolumeSource>,
    hot_plugged: &BTreeSet<String>,
) -> Vec<(Disk, Volume)> {
    let orders = boot_orders(&wukong.disks, hot_plugged);
    let claims = wukong.disks.iter().zip(orders).map(|(disk, boot_order)| {
        let claim = wukong.claim_name(disk);
        let source = match disk.source {
            Source::Existing(_) => VolumeSource::Claim,
            _ => sources.get(&disk.name).copied().unwrap_or_default(),
        };
        let hotpluggable = hot_plugged.contains(&disk.name).then_some(true);
        let content = match source {
            VolumeSource::DataVolume => VolumeContent::DataVolume {
                name: claim,
                hotpluggable,
            },
            VolumeSource::Claim => VolumeContent::PersistentVolumeClaim {
                claim_name: claim,
                hotpluggable,
            },
        };
        (device(disk, boot_order), volume(&disk.name, content))
    });
    let image = wukong.ephemeral_image.iter().map(|image| {
        let disk = Disk {
            boot_order: Some(1),
            ..virtio(names::OS_IMAGE_DISK, None)
        };
        let content = VolumeContent::ContainerDisk {
            image: image.clone(),
        };
        (disk, volume(names::OS_IMAGE_DISK, content))
    });
    claims.chain(image).chain([seed(wukong)]).collect()
}

/// The place of each disk in the boot order: the boot disk first, then the others that can hold a system, in their
/// order. KubeVirt does not try a disk without a place once another has one. An empty data disk gets none: there is
/// nothing on it to boot. A hot-plugged disk gets none either: the others keep the places that they booted with.
fn boot_orders(disks: &[validated::Disk], hot_plugged: &BTreeSet<String>) -> Vec<Option<u32>> {
    let mut next = 1..;
    let boot: Vec<_> = disks
        .iter()
        .map(|disk| disk.boot.then(|| next.next()).flatten())
        .collect();
    let order = |(disk, boot): (&validated::Disk, Option<u32>)| {
        boot.or_else(|| {
            (disk.source != Source::Blank && !hot_plugged.contains(&disk.name))
                .then(|| next.next())
                .flatten()
        })
    };
    disks.iter().zip(boot).map(order).collect()
}

fn device(disk: &validated::Disk, boot_order: Option<u32>) -> Disk {
    let bus = disk.bus;
    Disk {
        name: disk.name.clone(),
        device: match disk.kind {
            DiskKind::Disk => DiskDevice::Disk {
                bus,
                readonly: None,
            },
            DiskKind::Cdrom => DiskDevice::Cdrom { bus },
            DiskKind::Lun => DiskDevice::Lun { bus },
        },
        boot_order,
        // KubeVirt gives a serial number to hard disks only.
        serial: (disk.kind == DiskKind::Disk).then(|| disk.serial.clone()),
        cache: disk.cache,
        dedicated_io_thread: disk.dedicated_io_thread.then_some(true),
        shareable: disk.shareable.then_some(true),
    }
}

fn seed(wukong: &ValidatedWukong) -> (Disk, Volume) {
    let name = names::cloud_init_volume(wukong.disks.iter().map(|disk| disk.name.as_str()));
    let secret_ref = SecretReference {
        name: secret::user_data_secret(wukong),
    };
    let content = match wukong.user_data_format {
        UserDataFormat::CloudInit => VolumeContent::CloudInitNoCloud {
            secret_ref,
            network_data_secret_ref: SecretReference {
                name: secret::network_data_secret(wukong),
            },
        },
        UserDataFormat::Ignition => VolumeContent::CloudInitConfigDrive { secret_ref },
    };
    (virtio(&name, Some(true)), volume(&name, content))
}

fn virtio(name: &str, readonly: Option<bool>) -> Disk {
    Disk {
        name: name.to_owned(),
        device: DiskDevice::Disk {
            bus: DiskBus::Virtio,
            readonly,
        },
        boot_order: None,
        serial: None,
        cache: None,
        dedicated_io_thread: None,
        shareable: None,
    }
}

fn volume(name: &str, content: VolumeContent) -> Volume {
    Volume {
        name: name.to_owned(),
        content,
    }
}
