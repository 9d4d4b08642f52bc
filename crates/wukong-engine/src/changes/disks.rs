//! Changes of disks.

use wukong_api::ValidatedWukong;
use wukong_api::spec::DiskKind;
use wukong_api::validated::{Disk, Source};

use super::change::{Change, Changes, RESTART};
use super::class::Class;
use super::plugging::DiskPlugging;
use super::show::{list, reordered, written};

const IMMUTABLE: &str = "a disk keeps what it was made with: add a disk under another name, or delete its DataVolume to create it again, without its data";

pub(super) fn compare(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    ephemeral(old, new, changes);
    snapshot(old, new, changes);
    for disk in &old.disks {
        match new.disk(&disk.name) {
            Some(other) => one(disk, other, changes),
            None => changes.list.push(Change {
                from: Some(summary(disk)),
                ..gone(&disk.name, &changes.vm.disks)
            }),
        }
    }
    for disk in new
        .disks
        .iter()
        .filter(|disk| old.disk(&disk.name).is_none())
    {
        let (class, why) = changes.vm.disks.added(disk);
        changes.add(&path(disk, ""), None, Some(summary(disk)), class, &why);
    }
    // A disk that was plugged in is the last one in the guest, wherever the spec has it.
    let plugged = &changes.vm.disks.plugged;
    let names = |wukong: &'_ ValidatedWukong| -> Vec<String> {
        let names = wukong.disks.iter().map(|disk| disk.name.clone());
        names.filter(|name| !plugged.contains(name)).collect()
    };
    let (before, after) = (names(old), names(new));
    let [a, b] =
        [&before, &after].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
    if reordered(&a, &b) {
        changes.add("spec.disks", list(before.into_iter()), list(after.into_iter()), Class::InPlace,
            "the running guest keeps its devices as they are; the order counts from the next start on");
    }
}

/// A disk that the spec no longer has.
pub(crate) fn gone(name: &str, plugging: &DiskPlugging) -> Change {
    let (class, why) = plugging.removed(name);
    Change {
        path: format!("spec.disks[{name}]"),
        from: None,
        to: None,
        class,
        why: why.into(),
    }
}

/// A VM without disks runs from the image itself.
fn ephemeral(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    let class = match old.ephemeral_image {
        Some(_) => Class::DestroysData,
        None => Class::NeedsRestart,
    };
    let why = match old.ephemeral_image {
        Some(_) => {
            "the VM runs from its image and has no disk: what the guest wrote is lost when it restarts"
        }
        None => RESTART,
    };
    changes.field(
        "spec.osImage",
        &old.ephemeral_image,
        &new.ephemeral_image,
        class,
        why,
    );
}

/// The WukongSnapshot that a disk is a copy of.
fn restored(disk: &Disk) -> Option<&String> {
    match &disk.source {
        Source::WukongSnapshot { name, .. } => Some(name),
        _ => None,
    }
}

/// The snapshot of the disks that both have.
fn snapshot(old: &ValidatedWukong, new: &ValidatedWukong, changes: &mut Changes) {
    let both = old.disks.iter().filter_map(|disk| {
        Some((
            restored(disk).cloned(),
            restored(new.disk(&disk.name)?).cloned(),
        ))
    });
    if let Some((from, to)) = both.into_iter().find(|(from, to)| from != to) {
        changes.add(
            "spec.restoreFromSnapshot",
            from,
            to,
            Class::Refused,
            "it fills new disks only, and a disk keeps what it was made with: kubectl wukong restore brings a snapshot back into a VM",
        );
    }
}

fn one(old: &Disk, new: &Disk, changes: &mut Changes) {
    let at = |field: &str| path(old, field);
    if let (Source::Existing(_), _) | (_, Source::Existing(_)) = (&old.source, &new.source) {
        return claim(old, new, changes);
    }
    let (class, why) = match new.size < old.size {
        true => (
            Class::Refused,
            "a disk cannot shrink: add a smaller one under another name and copy the data",
        ),
        false => (
            Class::InPlace,
            "the claim grows; its StorageClass has to allow that",
        ),
    };
    changes.field(&at("size"), &old.size, &new.size, class, why);
    let of_snapshot = [old, new].iter().any(|disk| restored(disk).is_some());
    if old.source != new.source && !of_snapshot {
        changes.add(
            &at("source"),
            Some(source(&old.source)),
            Some(source(&new.source)),
            Class::Refused,
            IMMUTABLE,
        );
    }
    changes.field(
        &at("storageClassName"),
        &old.storage_class,
        &new.storage_class,
        Class::Refused,
        IMMUTABLE,
    );
    if old.access_modes != new.access_modes {
        changes.add(
            &at("accessModes"),
            modes(old),
            modes(new),
            Class::Refused,
            IMMUTABLE,
        );
    }
    changes.field(
        &at("volumeMode"),
        &old.volume_mode,
        &new.volume_mode,
        Class::Refused,
        IMMUTABLE,
    );
    device(old, new, changes);
    changes.field(
        &at("reclaimPolicy"),
        &old.reclaim_policy,
        &new.reclaim_policy,
        Class::InPlace,
        "it counts on deletion of the Wukong",
    );
}

/// Between an existing claim and another one, or one that the operator makes: the volume is exchanged.
fn claim(old: &Disk, new: &Disk, changes: &mut Changes) {
    if old.source != new.source {
        let (class, why) = match changes.vm.disks.pulls(&old.name) {
            true => (
                Class::HotUnplug,
                "KubeVirt pulls the disk out of the running guest and plugs in the other claim; the former one keeps its data",
            ),
            false => (
                Class::NeedsRestart,
                "the VM gets the other claim with its next start; the former one keeps its data",
            ),
        };
        changes.add(
            &path(old, "claim"),
            Some(summary(old)),
            Some(summary(new)),
            class,
            why,
        );
    }
    device(old, new, changes);
}

fn device(old: &Disk, new: &Disk, changes: &mut Changes) {
    let at = |field: &str| path(old, field);
    changes.field(
        &at("boot"),
        &old.boot,
        &new.boot,
        Class::NeedsRestart,
        RESTART,
    );
    changes.field(&at("bus"), &old.bus, &new.bus, Class::NeedsRestart,
        "the running VM keeps what it was started with; the guest then sees the disk under another name");
    changes.field(
        &at("kind"),
        &old.kind,
        &new.kind,
        Class::NeedsRestart,
        RESTART,
    );
    // KubeVirt gives a serial number to hard disks only.
    if old.kind == DiskKind::Disk && new.kind == DiskKind::Disk {
        changes.field(
            &at("serial"),
            &old.serial,
            &new.serial,
            Class::NeedsRestart,
            RESTART,
        );
    }
    changes.field(
        &at("cache"),
        &old.cache,
        &new.cache,
        Class::NeedsRestart,
        RESTART,
    );
    changes.field(
        &at("dedicatedIOThread"),
        &old.dedicated_io_thread,
        &new.dedicated_io_thread,
        Class::NeedsRestart,
        RESTART,
    );
    changes.field(
        &at("shareable"),
        &old.shareable,
        &new.shareable,
        Class::NeedsRestart,
        RESTART,
    );
}

fn path(disk: &Disk, field: &str) -> String {
    match field {
        "" => format!("spec.disks[{}]", disk.name),
        _ => format!("spec.disks[{}].{field}", disk.name),
    }
}

fn summary(disk: &Disk) -> String {
    match &disk.source {
        Source::Existing(claim) => format!("existing claim {claim}"),
        other => format!("{} {}", disk.size, source(other)),
    }
}

fn modes(disk: &Disk) -> Option<String> {
    list(disk.access_modes.iter().filter_map(written))
}

fn source(source: &Source) -> String {
    // A Secret or a certificate is named behind the URL, so that its change shows.
    let with = |url: &str, more: [&Option<String>; 2]| {
        let more: Vec<&str> = more.into_iter().flatten().map(String::as_str).collect();
        match more.is_empty() {
            true => url.to_owned(),
            false => format!("{url} ({})", more.join(", ")),
        }
    };
    match source {
        Source::Blank => "blank".into(),
        Source::Http {
            url,
            secret,
            certificates,
            checksum,
        } => {
            let checksum = checksum
                .as_ref()
                .map(|sum| format!(" {sum}"))
                .unwrap_or_default();
            with(url, [secret, certificates]) + &checksum
        }
        Source::Registry {
            url,
            pull_method,
            secret,
            certificates,
        } => {
            let pulled = pull_method
                .as_ref()
                .and_then(written)
                .map(|by| format!(" pulled by {by}"))
                .unwrap_or_default();
            with(url, [secret, certificates]) + &pulled
        }
        Source::S3 {
            url,
            secret,
            certificates,
        } => with(url, [secret, certificates]),
        Source::Gcs { url, secret } => with(url, [secret, &None]),
        Source::Claim(name) => format!("claim {name}"),
        Source::Snapshot(name) => format!("snapshot {name}"),
        Source::WukongSnapshot { name, .. } => format!("WukongSnapshot {name}"),
        Source::DataSource { name, namespace } => match namespace {
            Some(namespace) => format!("DataSource {namespace}/{name}"),
            None => format!("DataSource {name}"),
        },
        Source::Existing(name) => format!("existing claim {name}"),
    }
}
