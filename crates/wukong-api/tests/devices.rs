//! Devices of disks: what the validation rejects, with its messages.

mod refusals;

#[track_caller]
fn check(device: &str, expected: &[&str]) {
    let disks = format!(
        "{{cpu: 1, memory: 1Gi, disks: [{{name: root, size: 1Gi}}, {{name: d, size: 1Gi, {device}}}]}}"
    );
    let expected: Vec<String> = expected
        .iter()
        .map(|problem| format!("spec.disks[1].{problem}"))
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    refusals::check(&disks, &expected);
}

#[test]
fn each_kind_has_its_buses() {
    for accepted in [
        "bus: virtio",
        "bus: scsi",
        "bus: sata",
        "bus: usb",
        "kind: cdrom",
        "kind: cdrom, bus: scsi",
        "kind: cdrom, bus: usb",
        "kind: lun",
        "kind: lun, bus: virtio, volumeMode: Block",
    ] {
        check(accepted, &[]);
    }
    check(
        "kind: cdrom, bus: virtio",
        &["bus: a cdrom cannot be on the virtio bus: use sata, scsi or usb"],
    );
    for bus in ["sata", "usb"] {
        check(
            &format!("kind: lun, bus: {bus}"),
            &["bus: a lun takes SCSI commands: use the scsi or the virtio bus"],
        );
    }
    check(
        "kind: lun, volumeMode: Filesystem",
        &["volumeMode: a lun is a block device: use volumeMode: Block"],
    );
}

#[test]
fn io_threads_need_the_virtio_bus() {
    check("dedicatedIOThread: true", &[]);
    check("dedicatedIOThread: false, bus: sata", &[]);
    for other in [
        "bus: scsi",
        "bus: sata",
        "bus: usb",
        "kind: cdrom",
        "kind: lun",
    ] {
        check(
            &format!("dedicatedIOThread: true, {other}"),
            &["dedicatedIOThread: only the virtio bus has IO threads: drop it, or use bus: virtio"],
        );
    }
}

#[test]
fn serial_numbers_are_for_hard_disks() {
    check("serial: A.b_c+d-1", &[]);
    check("bus: sata, serial: X", &[]);
    for kind in ["cdrom", "lun"] {
        check(
            &format!("kind: {kind}, serial: X"),
            &["serial: KubeVirt gives serial numbers to kind: disk only: drop it"],
        );
    }
    check(
        "serial: root",
        &[
            "serial: \"root\" is already the serial of spec.disks[0]: the guest could not distinguish the disks",
        ],
    );
}
