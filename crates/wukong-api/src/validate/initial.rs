//! The initial content of disks from a WukongSnapshot.

use super::problem::Problems;
use super::text;
use crate::spec::{self, WukongSpec};
use crate::validated::Source;

const PATH: &str = "spec.restoreFromSnapshot";

/// Checks that the snapshot fills a disk.
pub(super) fn check(spec: &WukongSpec, problems: &mut Problems) {
    let Some(name) = &spec.restore_from_snapshot else {
        return;
    };
    problems.check(PATH, text::dns_label(name));
    if !spec.disks.iter().any(is_filled) {
        problems.add(
            PATH,
            "fills no disk: add a disk of the snapshot to disks, without source and claim",
        );
    }
}

/// Whether the snapshot fills the disk, if the Wukong names one.
pub(super) fn is_filled(disk: &spec::Disk) -> bool {
    disk.source.is_none() && disk.claim.is_none()
}

/// The source of a disk that the snapshot fills.
pub(super) fn source(spec: &WukongSpec, disk: &spec::Disk) -> Option<Source> {
    let name = spec.restore_from_snapshot.clone()?;
    is_filled(disk).then_some(Source::WukongSnapshot { name, volume: None })
}
