//! Labels and annotations of what we create.

use std::collections::BTreeMap;

/// Label of the objects that the operator created. Its value is [`MANAGER`]. (CDI overwrites it on claims: select by
/// [`WUKONG`].)
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`].
pub const MANAGER: &str = "wukong-operator";
/// Name of the Wukong that the object belongs to.
pub const WUKONG: &str = "vm.novasphere.dev/wukong";
/// Name of the disk that the object holds.
pub const DISK: &str = "vm.novasphere.dev/disk";
/// Name of the NIC that the object attaches.
pub const NETWORK: &str = "vm.novasphere.dev/network";
/// Name of the group of VMs that avoid one another (`highAvailability.group`), on the VM's pods.
pub const GROUP: &str = "vm.novasphere.dev/group";
/// The default of `highAvailability.group`.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// Annotation on the VirtualMachine: the power state that the operator enforced last. While the desired power state
/// stays the same, users start and stop the VM freely.
// The name of the annotation is stored in clusters. word-list: allow
pub const POWER_WISH: &str = "vm.novasphere.dev/power-wish";
/// Annotation on the VirtualMachine: hash of the cloud-init Secret that was applied before it. The operator has no
/// right to read Secrets, so this is how it knows.
pub const CLOUD_INIT_HASH: &str = "vm.novasphere.dev/cloud-init-hash";

/// Annotation on a claim: the size, as the guest sees it, that its request stands for. CDI copies it from the
/// DataVolume, and each expansion of the claim updates it. (Absent: the size at creation.) The request itself is larger
/// by CDI's file system overhead.
pub const GUEST_SIZE: &str = "vm.novasphere.dev/guest-size";

/// Label on a DataVolume and its claim: the generation of the disk that they hold. The first generation has no label.
pub const GENERATION: &str = "vm.novasphere.dev/generation";
/// Annotation on the DataVolume of a generation: a number that grows each time a generation of the disk comes into use. The
/// highest one marks the generation that a VM uses that is created again.
pub const ACTIVATION: &str = "vm.novasphere.dev/activation";
/// Annotation on the DataVolume of a generation: the WukongRestore that made it.
pub const RESTORE: &str = "vm.novasphere.dev/restore";
/// Annotation on a DataVolume: the WukongSnapshot that it is a copy of by `spec.restoreFromSnapshot`. The snapshot may be gone
/// when the copy is complete.
pub const SNAPSHOT: &str = "vm.novasphere.dev/snapshot";
/// Annotation on the VirtualMachine: the generation of each disk that ever had more than one, such as `data=1,root=3`. One
/// write changes it together with the volumes, so all disks of a VM change their generation at once or not at all.
pub const DISK_GENERATIONS: &str = "vm.novasphere.dev/disk-generations";
/// Annotation on the VirtualMachine: names of the WukongRestores that changed its disks, such as `undo,redo`, the newest last. The
/// write that changes the disks adds the name, so a restore of the same name does not run again.
pub const RESTORES: &str = "vm.novasphere.dev/restores";

/// Label on a WukongSnapshot: name of the WukongSnapshotSchedule that created it.
pub const SCHEDULE: &str = "vm.novasphere.dev/schedule";
/// Label on a WukongSnapshot: uid of that schedule. Another schedule of the same name does not delete the snapshot.
pub const SCHEDULE_UID: &str = "vm.novasphere.dev/schedule-uid";

/// The labels of every child of a Wukong.
pub fn of_child(wukong: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (MANAGED_BY.to_owned(), MANAGER.to_owned()),
        (WUKONG.to_owned(), wukong.to_owned()),
    ])
}

/// The labels of a snapshot that a schedule creates.
pub fn of_scheduled(wukong: &str, schedule: &str, uid: &str) -> BTreeMap<String, String> {
    let mut labels = of_child(wukong);
    labels.insert(SCHEDULE.to_owned(), schedule.to_owned());
    labels.insert(SCHEDULE_UID.to_owned(), uid.to_owned());
    labels
}

/// The labels of a disk's objects.
pub fn of_disk(wukong: &str, disk: &str) -> BTreeMap<String, String> {
    let mut labels = of_child(wukong);
    labels.insert(DISK.to_owned(), disk.to_owned());
    labels
}

/// The labels of the objects of a generation of a disk.
pub fn of_generation(wukong: &str, disk: &str, generation: u32) -> BTreeMap<String, String> {
    let mut labels = of_disk(wukong, disk);
    if generation > 1 {
        labels.insert(GENERATION.to_owned(), generation.to_string());
    }
    labels
}

/// The labels of a NIC's objects.
pub fn of_network(wukong: &str, network: &str) -> BTreeMap<String, String> {
    let mut labels = of_child(wukong);
    labels.insert(NETWORK.to_owned(), network.to_owned());
    labels
}
