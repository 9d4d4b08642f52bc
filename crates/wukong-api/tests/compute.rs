//! CPUs, memory and the grace period: what is refused, in the words that the user reads.

mod refusals;
use refusals::check;

#[test]
fn the_number_of_cpus_is_bounded() {
    check("{cpu: 1, memory: 1Gi}", &[]);
    check("{cpu: 512, memory: 1Gi}", &[]);
    check(
        "{cpu: 0, memory: 1Gi}",
        &["spec.cpu: 0 is not between 1 and 512"],
    );
    check(
        "{cpu: 513, memory: 1Gi}",
        &["spec.cpu: 513 is not between 1 and 512"],
    );
}

#[test]
fn every_spelling_of_memory_that_kubernetes_parses_is_accepted() {
    for memory in [
        "4Gi",
        "4096Mi",
        "1.5Gi",
        "2G",
        "'2e9'",
        "64Mi",
        "64Ti",
        "4294967296",
        "'4294967296'",
    ] {
        check(&format!("{{cpu: 1, memory: {memory}}}"), &[]);
    }
}

#[test]
fn memory_that_cannot_be_meant_says_what_to_write() {
    for (memory, problem) in [
        ("4", "4 is 4 bytes; did you mean 4Gi?"),
        ("'4'", "4 is 4 bytes; did you mean 4Gi?"),
        ("2048", "2048 is 2048 bytes; did you mean 2048Mi?"),
        (
            "4194304",
            "4194304 is 4194304 bytes; did you mean 4194304Ki?",
        ),
        (
            "1K",
            "\"1K\" is not a quantity: K is not a suffix that Kubernetes knows, write k (1000) or Ki (1024)",
        ),
        (
            "4GB",
            "\"4GB\" is not a quantity: GB is not a suffix that Kubernetes knows, write Gi",
        ),
        ("4096m", "\"4096m\" counts thousandths of a byte: write Mi"),
        (
            "1.5.2Gi",
            "\"1.5.2Gi\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        (
            "''",
            "\"\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        (
            "\"4Gi\\n\"",
            "\"4Gi\\n\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        ("-1Gi", "\"-1Gi\" is negative: write a size such as 4Gi"),
        (
            "1e30Gi",
            "\"1e30Gi\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        ("0", "0 is less than the minimum of 64Mi"),
        ("63Mi", "63Mi is less than the minimum of 64Mi"),
        ("65Ti", "65Ti is more than the maximum of 64Ti"),
    ] {
        check(
            &format!("{{cpu: 1, memory: {memory}}}"),
            &[&format!("spec.memory: {problem}")],
        );
    }
}

#[test]
fn the_grace_period_is_bounded() {
    check(
        "{cpu: 1, memory: 1Gi, terminationGracePeriodSeconds: 0}",
        &[],
    );
    for seconds in ["-1", "86401"] {
        check(
            &format!("{{cpu: 1, memory: 1Gi, terminationGracePeriodSeconds: {seconds}}}"),
            &[&format!(
                "spec.terminationGracePeriodSeconds: {seconds} is not between 0 and 86400 seconds"
            )],
        );
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    check(
        "{cpu: 0, memory: 4, terminationGracePeriodSeconds: -1, sshKeySecret: Keys}",
        &[
            "spec.cpu: 0 is not between 1 and 512",
            "spec.terminationGracePeriodSeconds: -1 is not between 0 and 86400 seconds",
            "spec.memory: 4 is 4 bytes; did you mean 4Gi?",
            "spec.sshKeySecret: \"Keys\" is not the name of a Kubernetes object",
        ],
    );
}

#[test]
fn an_architecture_excludes_hardware_that_it_does_not_have() {
    check(
        "{cpu: 1, memory: 1Gi, architecture: arm64, firmware: BIOS, cpuModel: host-model,
          disks: [{name: a, size: 1Gi, bus: sata}, {name: b, size: 1Gi, kind: cdrom}]}",
        &[
            "spec.firmware: architecture: arm64 boots with UEFI without secure boot only: write UEFI, or drop firmware",
            "spec.cpuModel: architecture: arm64 takes host-passthrough only: write that, or drop cpuModel",
            "spec.disks[0].bus: architecture: arm64 has no sata bus: use virtio or scsi",
        ],
    );
    check(
        "{cpu: 1, memory: 1Gi, architecture: s390x, firmware: UEFI, tpm: {}, disks: [{name: a, size: 1Gi, bus: usb}]}",
        &[
            "spec.firmware: architecture: s390x has neither BIOS nor UEFI: drop firmware",
            "spec.tpm: architecture: s390x has no TPM: drop tpm",
            "spec.disks[0].bus: architecture: s390x has no usb bus: use virtio or scsi",
        ],
    );
    check(
        "{cpu: 1, memory: 1025Mi, hugepages: 2Mi, cpuModel: 'no such'}",
        &[
            "spec.cpuModel: \"no such\" is not a CPU model such as host-model, host-passthrough or Skylake-Server",
            "spec.hugepages: memory 1025Mi is not a multiple of 2Mi",
        ],
    );
}
