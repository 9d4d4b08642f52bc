//! Disks, and how they match volumes and boot orders.
//!
//! From `pkg/storage/admitters/disks.go` and `validateBootOrder` of `vmi-create-admitter.go`.

use std::collections::HashSet;

use super::config::ClusterConfig;
use super::names;
use super::verdict::Causes;
use crate::field::Field;

const TARGETS: [&str; 3] = ["disk", "lun", "cdrom"];
const MAX_SERIAL: usize = 256;
const BLOCK_SIZES: std::ops::RangeInclusive<i64> = 512..=2_097_152;

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    boot_order_and_volumes(vmi, config, causes);
    let mut seen: Vec<&str> = Vec::new();
    for disk in vmi.at("domain.devices.disks").items() {
        if let Some(other) = seen.iter().position(|name| *name == disk.name()) {
            let list = vmi.at("domain.devices.disks");
            causes.add(format!(
                "{} and {}[{other}] must not have the same Name.",
                disk.path(),
                list.path()
            ));
        }
        seen.push(disk.name());
        causes.extend(names::dns_label(disk.name()));
        target(&disk, config, causes);
        tuning(&disk, causes);
        block_size(&disk, causes);
    }
}

fn boot_order_and_volumes(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let mut taken = HashSet::new();
    let volumes: Vec<_> = vmi.child("volumes").items().collect();
    for disk in vmi.at("domain.devices.disks").items() {
        // As in a Go map filled in order, the last of two volumes with one name counts.
        let volume = volumes
            .iter()
            .rev()
            .find(|volume| volume.name() == disk.name());
        match volume {
            None if !disk.child("cdrom").is_set() => {
                causes.add(format!("{}.Name '{}' not found.", disk.path(), disk.name()));
            }
            None => causes.add_if(!config.has("DeclarativeHotplugVolumes"), || {
                "DeclarativeHotplugVolumes feature gate not enabled, cannot define an empty CD-ROM disk".into()
            }),
            Some(volume) => {
                let claim = volume.set_among(&["dataVolume", "persistentVolumeClaim"]) > 0;
                causes.add_if(disk.child("lun").is_set() && !claim, || {
                    format!("{}.lun can only be mapped to a DataVolume or PersistentVolumeClaim volume.", disk.path())
                });
            }
        }
        let order = disk.child("bootOrder");
        if order.is_set() {
            causes.add_if(order.integer() < 1, || {
                format!("{} must have a boot order > 0, if supplied", disk.path())
            });
            causes.add_if(!taken.insert(order.integer()), || already_set(&order));
        }
    }
    for (index, nic) in vmi.at("domain.devices.interfaces").items().enumerate() {
        let order = nic.child("bootOrder");
        if !order.is_set() {
            continue;
        }
        if order.integer() < 1 {
            causes.add(format!(
                "{}[{index}] must have a boot order > 0, if supplied",
                vmi.path()
            ));
        } else {
            causes.add_if(!taken.insert(order.integer()), || already_set(&order));
        }
    }
}

fn already_set(order: &Field<'_>) -> String {
    format!(
        "Boot order for {} already set for a different device.",
        order.path()
    )
}

/// The device's kind and bus.
fn target(disk: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    causes.add_if(disk.set_among(&TARGETS) > 1, || {
        format!("{} can only have a single target type defined", disk.path())
    });
    let Some(kind) = TARGETS.into_iter().find(|kind| disk.child(kind).is_set()) else {
        return;
    };
    let device = disk.child(kind);
    let bus = device.child("bus").text();
    pci_address(disk, causes);
    if kind == "lun"
        && device.child("reservation").is_true()
        && !config.has("PersistentReservation")
    {
        causes.add("PersistentReservation feature gate is not enabled in kubevirt-config");
    }
    match bus {
        "" => return,
        "ide" => causes.add("IDE bus is not supported"),
        "virtio" if kind == "cdrom" => causes.add("Bus type virtio is invalid for CD-ROM device"),
        "sata" if kind == "disk" && device.child("readonly").is_true() => {
            causes.add("sata hard-disks do not support read-only.");
        }
        "virtio" | "sata" | "scsi" | "usb" => {}
        other => causes.add(format!(
            "{} is set with an unrecognized bus {other}, must be one of: [virtio scsi sata usb]",
            disk.path()
        )),
    }
    causes.add_if(
        disk.child("dedicatedIOThread").is_true() && bus != "virtio",
        || format!("IOThreads are not supported for disks on a {bus} bus"),
    );
}

fn pci_address(disk: &Field<'_>, causes: &mut Causes) {
    let address = disk.at("disk.pciAddress").text();
    if address.is_empty() {
        return;
    }
    causes.add_if(disk.at("disk.bus").text() != "virtio", || {
        format!(
            "disk {} - setting a PCI address is only possible with bus type virtio.",
            disk.path()
        )
    });
    causes.add_if(!is_pci_address(address), || {
        format!(
            "disk {} has malformed PCI address ({address}).",
            disk.path()
        )
    });
}

/// `domain:bus:slot.function` in hexadecimal digits (`pkg/util/hardware`).
pub fn is_pci_address(text: &str) -> bool {
    let hex =
        |part: &str, len: usize| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = text.split([':', '.']).collect();
    let [domain, bus, slot, function] = parts.as_slice() else {
        return false;
    };
    hex(domain, 4)
        && hex(bus, 2)
        && hex(slot, 2)
        && matches!(function.as_bytes(), [b'0'..=b'7'])
        && text.find('.') == Some(10)
}

fn tuning(disk: &Field<'_>, causes: &mut Causes) {
    let serial = disk.child("serial").text();
    causes.add_if(
        !serial
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.+-".contains(&b)),
        || {
            format!(
                "{} must be made up of the following characters [A-Za-z0-9_.+-], if specified",
                disk.path()
            )
        },
    );
    causes.add_if(serial.chars().count() > MAX_SERIAL, || {
        format!(
            "{} must be less than or equal to {MAX_SERIAL} in length, if specified",
            disk.path()
        )
    });
    let cache = disk.child("cache");
    causes.add_if(
        !["", "none", "writethrough", "writeback"].contains(&cache.text()),
        || format!("{} has invalid value {}", cache.path(), cache.text()),
    );
    causes.add_if(
        !["", "native", "threads"].contains(&disk.child("io").text()),
        || {
            "Disk IO mode for spec.template.spec.domain.devices.disks is not supported. Supported modes are: native, \
             threads."
                .to_owned()
        },
    );
    let policy = disk.child("errorPolicy");
    let known = ["stop", "ignore", "report", "enospace"].contains(&policy.text());
    causes.add_if(policy.is_set() && !known, || {
        format!("{} has invalid value {:?}", policy.path(), policy.text())
    });
}

fn block_size(disk: &Field<'_>, causes: &mut Causes) {
    let custom = disk.at("blockSize.custom");
    if !custom.is_set() {
        return;
    }
    let matching = disk.at("blockSize.matchVolume");
    if matching.is_set() && matching.child("enabled").flag() != Some(false) {
        causes.add("Block size matching can't be enabled together with a custom value");
        return;
    }
    let (logical, physical) = (
        custom.child("logical").integer(),
        custom.child("physical").integer(),
    );
    let granularity = custom.child("discardGranularity");
    if logical > physical {
        causes.add(format!(
            "Logical size {logical} must be the same or less than the physical size of {physical}"
        ));
    } else if disk.at("disk.bus").text() == "sata" && logical != *BLOCK_SIZES.start() {
        causes.add(format!(
            "Logical size {logical} must be {} for SATA devices",
            BLOCK_SIZES.start()
        ));
    } else if granularity.is_set() && logical != 0 && granularity.integer() % logical != 0 {
        causes.add(format!(
            "Discard granularity must be multiples of logical size {logical}"
        ));
    } else {
        for size in [logical, physical] {
            causes.add_if(
                !BLOCK_SIZES.contains(&size) || !size.unsigned_abs().is_power_of_two(),
                || format!("Provided size of {size} is not a power of 2 between 512 and 2097152"),
            );
        }
    }
}
