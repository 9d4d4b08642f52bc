//! The initial content of a new Wukong's disks from a WukongSnapshot (`spec.restoreFromSnapshot`).
//!
//! A disk that exists keeps what it was made with, also when the snapshot is gone. So the DataVolume notes its snapshot.

use jiff::{SignedDuration, Timestamp};
use wukong_api::validated::{Disk, Source};
use wukong_api::{Bytes, ValidatedWukong, names};

use crate::facts::Text;
use crate::taken::{Problem, Taken};
use crate::world::World;

/// Pause between two decisions while a VolumeSnapshot is not there: no change of it queues a Wukong.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// The Wukong with the VolumeSnapshots of its disks, as far as they are there.
pub(crate) fn with_volume_snapshots(wukong: ValidatedWukong, world: &World) -> ValidatedWukong {
    let volume = |disk: &Disk| {
        let taken = taken(&wukong, disk, world)?;
        let volume = made(&wukong, disk, taken).or_else(|| content(disk, taken).ok())?;
        Some((disk.name.clone(), volume))
    };
    let volumes = wukong.disks.iter().filter_map(volume).collect();
    wukong.with_volume_snapshots(&volumes)
}

/// Why a new disk cannot be copied from its WukongSnapshot.
pub(crate) fn problem(wukong: &ValidatedWukong, disk: &Disk, world: &World) -> Option<Problem> {
    let Source::WukongSnapshot { volume: None, .. } = &disk.source else {
        return None;
    };
    content(disk, taken(wukong, disk, world)?).err()
}

/// When to decide again about a disk that waits for its snapshot.
pub(crate) fn again(problem: &Problem, now: Timestamp) -> Option<Timestamp> {
    let object = problem.object.as_deref().unwrap_or_default();
    object.starts_with("VolumeSnapshot/").then(|| now + PAUSE)
}

/// The size of a disk in its WukongSnapshot.
pub(crate) fn size(wukong: &ValidatedWukong, disk: &Disk, world: &World) -> Option<Bytes> {
    let snapshot = taken(wukong, disk, world)?.snapshot().ok()?;
    let (_, size) = snapshot.sizes.iter().find(|(name, _)| *name == disk.name)?;
    Some(*size)
}

fn taken<'a>(wukong: &'a ValidatedWukong, disk: &'a Disk, world: &'a World) -> Option<Taken<'a>> {
    let Source::WukongSnapshot { name, .. } = &disk.source else {
        return None;
    };
    Some(Taken {
        namespace: &wukong.identity.namespace,
        name,
        another: "set spec.restoreFromSnapshot to",
        world,
    })
}

/// The VolumeSnapshot that a disk which exists was copied from.
fn made(wukong: &ValidatedWukong, disk: &Disk, taken: Taken) -> Option<String> {
    let claim = names::claim(&wukong.identity.name, &disk.name);
    let volume = taken.world.data_volumes.get(taken.namespace, &claim);
    let volume = volume.present()?;
    match &volume.source {
        Some(Source::Snapshot(name))
            if volume.snapshot.as_deref().map(Text::as_str) == Some(taken.name) =>
        {
            Some(name.clone())
        }
        _ => None,
    }
}

/// The VolumeSnapshot of a new disk.
fn content(disk: &Disk, taken: Taken) -> Result<String, Problem> {
    let of_disk = |problem: Problem| Problem {
        message: format!("disk {}: {}", disk.name, problem.message),
        ..problem
    };
    let complete = taken.snapshot().and_then(|found| taken.complete(found));
    let complete = complete.map_err(of_disk)?;
    if !complete.has_volume(&disk.name) {
        return Err(taken.lacks(&disk.name).hint(
            "name the disk as in the snapshot, or give it a source: source: {blank: {}} for an empty disk",
        ));
    }
    taken.ready(complete, &disk.name).map_err(of_disk)
}
