//! `Snapshottable`: whether a snapshot has all disks of the VM. KubeVirt reports it for each volume.

use wukong_api::{ConditionType, Reason};

use crate::diagnosis::condition::Condition;
use crate::situation::Situation;

/// Returns the condition, if KubeVirt has reported on the volumes.
pub(crate) fn condition(situation: &Situation) -> Option<Condition> {
    const TYPE: ConditionType = ConditionType::Snapshottable;
    let vm = situation.vm.filter(|vm| vm.reports_snapshots)?;
    let excluded = vm.not_snapshottable();
    let disks = &situation.wukong.disks;
    if disks.is_empty() {
        return None;
    }
    let why = |name: &str| {
        let mut excluded = excluded.iter();
        excluded.find(|(disk, _)| disk == name).map(|(_, why)| why)
    };
    let left_out: Vec<String> = disks
        .iter()
        .filter_map(|disk| Some(format!("disk {}: {}", disk.name, why(&disk.name)?)))
        .collect();
    Some(match left_out.first() {
        None => Condition::ok(
            TYPE,
            Reason::Snapshottable,
            "A snapshot has all disks of the VM",
        ),
        Some(_) => Condition::bad(
            TYPE,
            Reason::NoSnapshotClass,
            format!("A snapshot would leave out: {}", left_out.join("; ")),
        )
        .about(format!("VirtualMachine/{}", vm.meta.name))
        .hint("create a VolumeSnapshotClass for the driver of the StorageClass"),
    })
}
