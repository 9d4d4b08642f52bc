//! Messages of the validation about disks.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use wukong_api::spec::{DiskBus, ReclaimPolicy};
use wukong_api::validated::{Disk, Source};
use wukong_api::{InvalidWukong, OperatorSettings, ValidatedWukong, Wukong, WukongSpec};

fn validate(spec: &str) -> Result<ValidatedWukong, InvalidWukong> {
    let spec: WukongSpec = serde_saphyr::from_str(&format!("{{cpu: 2, memory: 4Gi, {spec}}}"))
        .unwrap_or_else(|error| panic!("{spec}: {error}"));
    ValidatedWukong::try_from(&Wukong::new("web", spec))
}

/// Compares the messages about a spec, given in YAML without `cpu` and `memory`, with `path: message` lines. Without
/// lines, the spec is valid.
fn check(spec: &str, expect: &[&str]) {
    let reported: Vec<String> = match validate(spec) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(reported, expect, "{spec}");
}

/// The disks of an accepted spec.
fn disks(spec: &str) -> Vec<Disk> {
    validate(spec)
        .unwrap_or_else(|error| panic!("{spec}: {error}"))
        .disks
}

/// The present operator settings do not count for a disk that was created before.
#[test]
fn a_disk_that_exists_is_not_held_to_other_settings() {
    let settings = OperatorSettings {
        os_image_prefix: "docker://mirror.lan/disks/".into(),
        denied_hosts: vec!["quay.io".into(), "images.lan".into()],
        ..OperatorSettings::default()
    };
    let made = |spec: &str, was: &str| {
        let disk = format!("{{name: root, size: 1Gi, {was}}}");
        let was = disks(&format!("disks: [{disk}]")).remove(0).source;
        let spec: WukongSpec =
            serde_saphyr::from_str(&format!("{{cpu: 2, memory: 4Gi, {spec}}}")).unwrap();
        let made = BTreeMap::from([("root".to_owned(), was.clone())]);
        let wukong = Wukong::new("web", spec);
        let now = ValidatedWukong::validate_existing(&wukong, &settings, &made);
        now.map(|mut wukong| wukong.disks.remove(0).source == was)
            .map_err(|invalid| invalid.to_string())
    };
    let short = "osImage: 'ubuntu:24.04', disks: [{name: root, size: 1Gi}]";
    assert_eq!(made(short, "image: 'ubuntu:24.04'"), Ok(true));
    for image in [
        "image: 'http://images.lan/x'",
        "source: {http: {url: 'http://images.lan/x'}}",
        "image: 'quay.io/a/b'",
    ] {
        let spec = format!("disks: [{{name: root, size: 1Gi, {image}}}]");
        assert_eq!(made(&spec, image), Ok(true));
    }
    // Another image is a change.
    assert_eq!(made(short, "image: 'ubuntu:22.04'"), Ok(false));
    let other = made(
        "disks: [{name: root, size: 1Gi, image: 'http://images.lan/y'}]",
        "image: 'http://images.lan/x'",
    );
    assert!(other.unwrap_err().contains("is denied by"));
}

#[test]
fn sizes() {
    for size in [
        "20Gi",
        "20480Mi",
        "1.5Gi",
        "20G",
        "1.5T",
        "500M",
        "2e10",
        "2E10",
        "'21474836480'",
        "21474836480",
        "'+20Gi'",
        "20.Gi",
        "1Mi",
        "1Ei",
    ] {
        check(&format!("disks: [{{name: root, size: {size}}}]"), &[]);
    }
    for (size, message) in [
        ("20", "20 is 20 bytes; did you mean 20Gi?"),
        ("'20'", "20 is 20 bytes; did you mean 20Gi?"),
        ("1Ki", "1Ki is less than the minimum of 1Mi"),
        ("0", "0 is less than the minimum of 1Mi"),
        ("-1Gi", "\"-1Gi\" is negative: write a size such as 4Gi"),
        ("1025Pi", "1025Pi is more than the maximum of 1Ei"),
        (
            "1K",
            "\"1K\" is not a quantity: K is not a suffix that Kubernetes knows, write k (1000) or Ki (1024)",
        ),
        (
            "20GB",
            "\"20GB\" is not a quantity: GB is not a suffix that Kubernetes knows, write Gi",
        ),
        (
            "1.5.2Gi",
            "\"1.5.2Gi\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        (
            "1e30Gi",
            "\"1e30Gi\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
        (
            "large",
            "\"large\" is not a quantity: write a size such as 4Gi, 512Mi or 20G",
        ),
    ] {
        check(
            &format!("disks: [{{name: root, size: {size}}}]"),
            &[&format!("spec.disks[0].size: {message}")],
        );
    }
}

#[test]
fn images_that_people_have() {
    for image in [
        "http://192.168.1.10/images/ubuntu.img",
        "https://10.1.2.3:8443/ubuntu.qcow2.xz",
        "http://172.16.0.1/x",
        "http://[fd00::1]/x",
        "http://127.0.0.1/x",
        "http://fileserver.lan/x",
        "https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img",
        "https://store.lan/web.img?signature=a%2Fb&expires=1",
        "docker://localhost:5000/web:1",
        "docker://ubuntu:24.04",
        "docker://localhost/web",
        "docker://10.0.0.1:5000/disks/web",
        "docker://quay.io/containerdisks/ubuntu:24.04",
        "quay.io/containerdisks/ubuntu:24.04",
        "registry.lan:5000/team/disks/web:v1.2_rc-3",
        "kubevirt/fedora-cloud-container-disk-demo:latest",
        "oci-archive://images/web.tar",
        "s3://images/web.qcow2",
        "gs://images/web.qcow2",
        "ubuntu:24.04",
        "fedora",
    ] {
        check(
            &format!("disks: [{{name: root, size: 20Gi, image: '{image}'}}]"),
            &[],
        );
        check(
            &format!("osImage: '{image}', disks: [{{name: root, size: 20Gi}}]"),
            &[],
        );
    }
}

#[test]
fn images_that_cannot_be() {
    let password = "has a user or password in it: put them into a Secret, and name it as secretRef beside the url in source";
    for (image, message) in [
        (
            "file:///var/lib/disk.img",
            "\"file:///var/lib/disk.img\" has a scheme that cannot be imported: use one of http, https, docker, oci-archive, s3 and gs",
        ),
        (
            "ftp://h.lan/x",
            "\"ftp://h.lan/x\" has a scheme that cannot be imported: use one of http, https, docker, oci-archive, s3 and gs",
        ),
        ("http://me:secret@h/x", password),
        ("docker://me:secret@h/x", password),
        ("me:secret@h/x", password),
        ("s3://me:secret@images/x", password),
        (
            "http://169.254.169.254/latest/meta-data",
            "the host 169.254.169.254 is denied by the operator's settings",
        ),
        (
            "https://kubernetes.default.svc/x",
            "the host kubernetes.default.svc is denied by the operator's settings",
        ),
        (
            "registry.kube-system.svc.cluster.local:5000/x",
            "the host registry.kube-system.svc.cluster.local is denied by the operator's settings",
        ),
        ("http:///x", "\"http:///x\" has no host"),
        (
            "http://h.lan/%zz",
            "\"http://h.lan/%zz\" has a % without two hex digits: write %25 for the sign itself",
        ),
        (
            "http://h.lan/my image",
            "contains white space: write %20 where a URL has some",
        ),
        (
            "docker://reg.lan/Web",
            "\"docker://reg.lan/Web\" is not a registry reference: write docker://registry/repository:tag, the repository in lower case",
        ),
        (
            "s3://images",
            "\"s3://images\" names no object: write bucket and object behind the scheme",
        ),
        (
            "s3://minio.lan:9000/images/x",
            "\"s3://minio.lan:9000/images/x\" has a server where the bucket belongs: write https://server/bucket/object as url in source",
        ),
    ] {
        check(
            &format!("disks: [{{name: root, size: 20Gi, image: '{image}'}}]"),
            &[&format!("spec.disks[0].image: {message}")],
        );
        check(
            &format!("osImage: '{image}', disks: [{{name: root, size: 20Gi}}]"),
            &[&format!("spec.osImage: {message}")],
        );
    }
}

#[test]
fn sources() {
    let one = "needs exactly one of http, registry, s3, gcs, pvc, snapshot, dataSource, blank";
    let digest = "is not a digest: write md5:, sha1:, sha256: or sha512: and its hex digits";
    let elsewhere = "is not the name of a Kubernetes object; only objects of the same namespace can be named, without a '/'";
    for (source, problems) in [
        ("blank: {}", &[][..]),
        ("pvc: {name: golden.root}", &[]),
        (
            "http: {url: 'http://h.lan/x', checksum: 'SHA1:0123456789ABCDEF0123456789abcdef01234567'}",
            &[],
        ),
        (
            "registry: {url: 'reg.lan/x', pullMethod: node, secretRef: a.b, certConfigMap: c}",
            &[],
        ),
        (
            "s3: {url: 'https://minio.lan/images/x', secretRef: keys}",
            &[],
        ),
        ("gcs: {url: 'https://storage.googleapis.com/images/x'}", &[]),
        ("", &[("", one)]),
        ("blank: {}, pvc: {name: golden}", &[("", one)]),
        (
            "pvc: {name: other/golden}",
            &[(".pvc.name", &*format!("\"other/golden\" {elsewhere}"))],
        ),
        (
            "snapshot: {name: ''}",
            &[(
                ".snapshot.name",
                "\"\" is not the name of a Kubernetes object",
            )],
        ),
        (
            "dataSource: {name: Golden}",
            &[(
                ".dataSource.name",
                "\"Golden\" is not the name of a Kubernetes object",
            )],
        ),
        (
            "http: {url: 'docker://h.lan/x', secretRef: a/b, certConfigMap: C, checksum: 'md5:123'}",
            &[
                (".http.secretRef", &*format!("\"a/b\" {elsewhere}")),
                (
                    ".http.certConfigMap",
                    "\"C\" is not the name of a Kubernetes object",
                ),
                (".http.checksum", &*format!("\"md5:123\" {digest}")),
                (
                    ".http.url",
                    "\"docker://h.lan/x\" is not an http:// or https:// URL",
                ),
            ],
        ),
        (
            "http: {url: 'http://h.lan/x', checksum: 'crc32:01234567'}",
            &[(".http.checksum", &*format!("\"crc32:01234567\" {digest}"))],
        ),
        (
            "registry: {url: 'https://reg.lan/x'}",
            &[(
                ".registry.url",
                "\"https://reg.lan/x\" is not a docker:// or oci-archive:// URL",
            )],
        ),
        (
            "s3: {url: 'gs://images/x'}",
            &[(
                ".s3.url",
                "\"gs://images/x\" is not an s3:// or https:// URL",
            )],
        ),
        (
            "s3: {url: 'https://minio.lan/x'}",
            &[(
                ".s3.url",
                "\"https://minio.lan/x\" names no object: write https://endpoint/bucket/object",
            )],
        ),
        (
            "gcs: {url: 's3://images/x'}",
            &[(
                ".gcs.url",
                "\"s3://images/x\" is not a gs:// or https:// URL",
            )],
        ),
        (
            "pvc: {name: web.root}",
            &[(
                ".pvc.name",
                "is the claim of this very disk: name another claim, or leave the source out to keep what is there",
            )],
        ),
    ] {
        let expect: Vec<String> = problems
            .iter()
            .map(|(path, message)| format!("spec.disks[0].source{path}: {message}"))
            .collect();
        let expect: Vec<&str> = expect.iter().map(String::as_str).collect();
        check(
            &format!("disks: [{{name: root, size: 20Gi, source: {{{source}}}}}]"),
            &expect,
        );
    }
}

#[test]
fn everything_else() {
    let label = "is not a DNS label: use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends";
    let serial = "is not a serial: use at most 256 of A-Z a-z 0-9 _ . + -";
    let long = "x".repeat(64);
    for (disks, expect) in [
        (
            "{name: root, size: 1Gi, image: fedora, source: {blank: {}}}",
            &["spec.disks[0]: image is a short form of source: keep one of the two"][..],
        ),
        (
            "{name: a, size: 1Gi, boot: true}, {name: b, size: 1Gi}, {name: c, size: 1Gi, boot: true}",
            &[
                "spec.disks[2].boot: spec.disks[0] is the boot disk already: only one can have boot: true",
            ],
        ),
        (
            "{name: a, size: 1Gi}, {name: b, size: 1Gi}, {name: a, size: 1Gi}",
            &["spec.disks[2].name: \"a\" is the name of spec.disks[0] already: names are unique"],
        ),
        (
            "{name: Root, size: 1Gi}",
            &[&*format!("spec.disks[0].name: \"Root\" {label}")],
        ),
        (
            "{name: a.b, size: 1Gi}",
            &[&*format!("spec.disks[0].name: \"a.b\" {label}")],
        ),
        (
            "{name: '', size: 1Gi, serial: x}",
            &[&*format!("spec.disks[0].name: \"\" {label}")],
        ),
        (
            &*format!("{{name: {long}, size: 1Gi}}"),
            &[&*format!("spec.disks[0].name: \"{long}\" {label}")],
        ),
        (
            "{name: a, size: 1Gi, storageClassName: Fast}",
            &["spec.disks[0].storageClassName: \"Fast\" is not the name of a Kubernetes object"],
        ),
        (
            "{name: a, size: 1Gi, accessModes: [ReadWriteOnce, ReadWriteMany, ReadWriteOnce]}",
            &["spec.disks[0].accessModes[2]: ReadWriteOnce is named already"],
        ),
        (
            "{name: a, size: 1Gi, kind: cdrom, bus: virtio}",
            &["spec.disks[0].bus: a cdrom cannot be on the virtio bus: use sata, scsi or usb"],
        ),
        (
            "{name: a, size: 1Gi, serial: 'a b'}",
            &[&*format!("spec.disks[0].serial: \"a b\" {serial}")],
        ),
        (
            "{name: a, size: 1Gi}, {name: b, size: 1Gi, serial: a}",
            &[
                "spec.disks[1].serial: \"a\" is already the serial of spec.disks[0]: the guest could not distinguish the disks",
            ],
        ),
        (
            "{name: A, size: 1K, image: 'file:///x', serial: x}, {name: b, size: 0}",
            &[
                &*format!("spec.disks[0].name: \"A\" {label}"),
                "spec.disks[0].size: \"1K\" is not a quantity: K is not a suffix that Kubernetes knows, write k (1000) or Ki (1024)",
                "spec.disks[0].image: \"file:///x\" has a scheme that cannot be imported: use one of http, https, docker, oci-archive, s3 and gs",
                "spec.disks[1].size: 0 is less than the minimum of 1Mi",
            ],
        ),
    ] {
        check(&format!("disks: [{disks}]"), expect);
    }
    let many: Vec<String> = (0..65)
        .map(|index| format!("{{name: d{index}, size: 1Gi}}"))
        .collect();
    check(
        &format!("disks: [{}]", many.join(", ")),
        &["spec.disks: has 65 entries; at most 64 are allowed"],
    );
    check(&format!("disks: [{}]", many[1..].join(", ")), &[]);
}

#[test]
fn without_disks_the_vm_boots_from_the_container_image() {
    check("", &[]);
    check("disks: []", &[]);
    let diskless = |image: &str| validate(&format!("osImage: '{image}'")).unwrap();
    for (image, boots) in [
        ("ubuntu:24.04", "quay.io/containerdisks/ubuntu:24.04"),
        ("docker://localhost:5000/web:1", "localhost:5000/web:1"),
    ] {
        let wukong = diskless(image);
        assert_eq!(wukong.ephemeral_image.as_deref(), Some(boots));
        assert_eq!(wukong.disks, []);
    }
    let disk = "spec.osImage: is not a container image, so it must be copied to a disk: add an entry to disks, such as {name: root, size: 20Gi}";
    check("osImage: 'https://h.lan/x.img'", &[disk]);
    check("osImage: 'oci-archive://x.tar'", &[disk]);
}

#[test]
fn one_disk_boots_and_gets_the_image() {
    for (asked, boots, from_os_image) in [
        ("{name: a, size: 1Gi}, {name: b, size: 1Gi}", "a", true),
        (
            "{name: a, size: 1Gi}, {name: b, size: 1Gi, boot: true}",
            "b",
            true,
        ),
        (
            "{name: a, size: 1Gi}, {name: b, size: 1Gi, image: 'http://h.lan/x'}",
            "b",
            false,
        ),
        (
            "{name: a, size: 1Gi}, {name: b, size: 1Gi, boot: false, image: 'http://h.lan/x'}",
            "b",
            false,
        ),
        (
            "{name: a, size: 1Gi, image: 'http://h.lan/x'}, {name: b, size: 1Gi, boot: true}",
            "b",
            true,
        ),
        (
            "{name: a, size: 1Gi, source: {blank: {}}}, {name: b, size: 1Gi, source: {pvc: {name: p}}}",
            "b",
            false,
        ),
        (
            "{name: a, size: 1Gi, source: {blank: {}}, boot: true}, {name: b, size: 1Gi, source: {pvc: {name: p}}}",
            "a",
            false,
        ),
    ] {
        for disk in disks(&format!("osImage: reg.lan/os, disks: [{asked}]")) {
            let booting = disk.name == boots;
            assert_eq!(disk.boot, booting, "{asked}");
            let os_image = matches!(&disk.source, Source::Registry { url, .. } if url == "docker://reg.lan/os");
            assert_eq!(os_image, booting && from_os_image, "{asked}");
        }
    }
}

#[test]
fn defaults() {
    let all = disks(
        "disks: [{name: root, size: 1Gi, image: 'http://h.lan/x'}, {name: data, size: 1Gi}, \
         {name: kept, size: 1Gi, image: 'http://h.lan/x', reclaimPolicy: Retain, serial: s-1}, \
         {name: iso, size: 1Gi, kind: cdrom}, {name: raw, size: 1Gi, kind: lun}]",
    );
    let short: Vec<_> = all
        .iter()
        .map(|disk| (disk.reclaim_policy, disk.bus, disk.serial.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            (ReclaimPolicy::Delete, DiskBus::Virtio, "root"),
            (ReclaimPolicy::Retain, DiskBus::Virtio, "data"),
            (ReclaimPolicy::Retain, DiskBus::Virtio, "s-1"),
            (ReclaimPolicy::Retain, DiskBus::Sata, "iso"),
            (ReclaimPolicy::Retain, DiskBus::Scsi, "raw"),
        ]
    );
}

#[test]
fn an_existing_claim_excludes_what_it_decides() {
    let disks = |disks: &str| format!("disks: [{disks}]");
    check(&disks("{name: a, claim: uploaded}"), &[]);
    check(
        &disks("{name: a}"),
        &[
            "spec.disks[0].size: is missing: write a size such as 20Gi, or name an existing claim in claim",
        ],
    );
    check(
        &disks("{name: a, claim: x, size: 1Gi, reclaimPolicy: Delete, image: h/x}"),
        &[
            "spec.disks[0].size: is decided by the claim: drop it, or drop claim",
            "spec.disks[0].image: is decided by the claim: drop it, or drop claim",
            "spec.disks[0].reclaimPolicy: is decided by the claim: drop it, or drop claim",
        ],
    );
    check(
        &disks("{name: a, claim: web.b}, {name: b, size: 1Gi}"),
        &["spec.disks[0].claim: \"web.b\" is the claim of the disk \"b\" already"],
    );
}

#[test]
fn a_shared_disk_needs_a_claim_that_many_nodes_can_mount() {
    check(
        "disks: [{name: a, size: 1Gi, shareable: true, cache: writeback}]",
        &[
            "spec.disks[0].shareable: the cache of one node hides writes from the others: drop cache, or write cache: none",
            "spec.disks[0].shareable: needs accessModes: [ReadWriteMany]",
        ],
    );
    check(
        "disks: [{name: a, size: 1Gi, source: {dataSource: {name: a, namespace: A}}}]",
        &[
            "spec.disks[0].source.dataSource.namespace: \"A\" is not a DNS label: use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends",
        ],
    );
}

/// A snapshot fills the disks that name no content of their own.
#[test]
fn a_snapshot_fills_new_disks_and_nothing_else() {
    let path = "spec.restoreFromSnapshot";
    let none = format!(
        "{path}: fills no disk: add a disk of the snapshot to disks, without source and claim"
    );
    for disks in [
        "osImage: 'ubuntu:24.04'",
        "disks: [{name: a, claim: kept}, {name: b, size: 1Gi, source: {blank: {}}}]",
    ] {
        check(&format!("restoreFromSnapshot: before, {disks}"), &[&none]);
    }
    check(
        "restoreFromSnapshot: Before_1, disks: [{name: a, size: 1Gi}]",
        &[
            "spec.restoreFromSnapshot: \"Before_1\" is not a DNS label: use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends",
        ],
    );
    let disks = disks(
        "restoreFromSnapshot: before, osImage: 'ubuntu:24.04', disks: [{name: root, size: 1Gi, boot: true}, {name: data, size: 1Gi}, \
         {name: tools, size: 1Gi, image: 'https://a.example/x'}, {name: empty, size: 1Gi, source: {blank: {}}}]",
    );
    let snapshot = Source::WukongSnapshot {
        name: "before".into(),
        volume: None,
    };
    let sources: Vec<&Source> = disks.iter().map(|disk| &disk.source).collect();
    assert_eq!(sources, [&snapshot, &snapshot, &snapshot, &Source::Blank]);
    let policies: Vec<ReclaimPolicy> = disks.iter().map(|disk| disk.reclaim_policy).collect();
    let (delete, retain) = (ReclaimPolicy::Delete, ReclaimPolicy::Retain);
    assert_eq!(
        policies,
        [delete, retain, delete, retain],
        "as without the snapshot"
    );
}
