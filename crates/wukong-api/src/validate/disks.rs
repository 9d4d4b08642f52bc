//! Disks and their sources.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::settings::OperatorSettings;
use super::{compute, image, initial, text};
use crate::Bytes;
use crate::names;
use crate::spec::{self, Architecture, DiskBus, DiskKind, ReclaimPolicy, VolumeMode, WukongSpec};
use crate::validated::{Disk, Identity, Source};

/// CDI refuses less ("Storage size should be at least 1MiB").
const SIZE_MIN: Bytes = Bytes(1 << 20);
const SIZE_MAX: Bytes = Bytes(1 << 60);
const DISKS_MAX: usize = 64;

pub(super) fn check(
    spec: &WukongSpec,
    identity: &Identity,
    settings: &OperatorSettings,
    made: &BTreeMap<String, Source>,
    problems: &mut Problems,
) -> Vec<Disk> {
    if spec.disks.len() > DISKS_MAX {
        problems.add(
            "spec.disks",
            format!(
                "has {} entries; at most {DISKS_MAX} are allowed",
                spec.disks.len()
            ),
        );
        return Vec::new();
    }
    text::unique(
        "disks",
        spec.disks.iter().map(|disk| disk.name.as_str()),
        problems,
    );
    let boot = boot_disk(spec, problems);
    let disks: Vec<Disk> = spec
        .disks
        .iter()
        .enumerate()
        .map(|(index, requested)| {
            let os_image = spec.os_image.as_deref().filter(|_| index == boot);
            let path = format!("spec.disks[{index}]");
            let from = |problems: &mut Problems| {
                let made = made.get(&requested.name);
                if let Some(claim) = &requested.claim {
                    return existing_claim(&path, requested, claim, spec, identity, problems);
                }
                if let Some(source) = initial::source(spec, requested) {
                    return Some(source);
                }
                let source = source(
                    &path,
                    requested,
                    os_image,
                    (settings, &identity.namespace),
                    made,
                    problems,
                )?;
                let own = names::claim(&identity.name, &requested.name);
                if source == Source::Claim(own) {
                    problems.add(
                        format!("{path}.source.pvc.name"),
                        "is the claim of this very disk: name another claim, or leave the source out to keep what is there",
                    );
                }
                Some(source)
            };
            let mut disk = disk(&path, requested, spec.architecture, from, problems);
            disk.boot = index == boot;
            // The snapshot does not change the default: what would be empty without it keeps its data.
            let imageless = requested.image.is_none() && os_image.is_none();
            if imageless
                && requested.reclaim_policy.is_none()
                && initial::source(spec, requested).is_some()
            {
                disk.reclaim_policy = ReclaimPolicy::Retain;
            }
            disk
        })
        .collect();
    for (index, disk) in disks.iter().enumerate() {
        if let Some(first) = disks
            .iter()
            .take(index)
            .position(|other| other.serial == disk.serial && other.name != disk.name)
        {
            problems.add(
                format!("spec.disks[{index}].serial"),
                format!("{} is already the serial of spec.disks[{first}]: the guest could not distinguish the disks", text::quoted(&disk.serial)),
            );
        }
    }
    disks
}

/// The image of a Wukong without disks, which then boots from the container image itself and keeps nothing.
pub(super) fn ephemeral_image(
    spec: &WukongSpec,
    settings: &OperatorSettings,
    problems: &mut Problems,
) -> Option<String> {
    let os_image = spec.os_image.as_ref().filter(|_| spec.disks.is_empty())?;
    match problems.check("spec.osImage", image::source(os_image, settings))? {
        Source::Registry { url, .. } if url.starts_with("docker://") => {
            url.strip_prefix("docker://").map(Into::into)
        }
        _ => {
            problems.add("spec.osImage", "is not a container image, so it must be copied to a disk: add an entry to disks, such as {name: root, size: 20Gi}");
            None
        }
    }
}

/// Index of the disk that boots first and that `osImage` fills: the marked one, else the first hard disk with an image,
/// else the first hard disk, else the first. A CD-ROM boots after it, so an installer starts while the disk is empty.
fn boot_disk(spec: &WukongSpec, problems: &mut Problems) -> usize {
    let mut marked = spec
        .disks
        .iter()
        .enumerate()
        .filter(|(_, disk)| disk.boot == Some(true))
        .map(|(index, _)| index);
    let first = marked.next();
    if let (Some(first), Some(second)) = (first, marked.next()) {
        problems.add(
            format!("spec.disks[{second}].boot"),
            format!("spec.disks[{first}] is the boot disk already: only one can have boot: true"),
        );
    }
    let has_image = |disk: &spec::Disk| {
        disk.claim.is_some()
            || disk.image.is_some()
            || disk
                .source
                .as_ref()
                .is_some_and(|source| source.blank.is_none())
    };
    let hard = |disk: &spec::Disk| disk.kind != Some(DiskKind::Cdrom);
    let position = |fits: &dyn Fn(&spec::Disk) -> bool| spec.disks.iter().position(fits);
    first
        .or_else(|| position(&|disk| hard(disk) && has_image(disk)))
        .or_else(|| position(&hard))
        .unwrap_or(0)
}

/// What a disk that several VMs write to needs.
fn shareable(path: &str, requested: &spec::Disk, kind: DiskKind, problems: &mut Problems) {
    let path = format!("{path}.shareable");
    if kind == DiskKind::Cdrom {
        problems.add(&path, "a cdrom is read only: drop it");
    }
    if requested
        .cache
        .is_some_and(|cache| cache != spec::DiskCache::None)
    {
        problems.add(
            &path,
            "the cache of one node hides writes from the others: drop cache, or write cache: none",
        );
    }
    if requested.claim.is_none()
        && !requested
            .access_modes
            .contains(&spec::AccessMode::ReadWriteMany)
    {
        problems.add(path, "needs accessModes: [ReadWriteMany]");
    }
}

/// A claim that is there and is used as it is: it is no claim of another disk.
fn existing_claim(
    path: &str,
    requested: &spec::Disk,
    claim: &str,
    spec: &WukongSpec,
    identity: &Identity,
    problems: &mut Problems,
) -> Option<Source> {
    let excluded = [
        ("size", requested.size.is_some()),
        ("image", requested.image.is_some()),
        ("source", requested.source.is_some()),
        ("storageClassName", requested.storage_class_name.is_some()),
        ("accessModes", !requested.access_modes.is_empty()),
        ("volumeMode", requested.volume_mode.is_some()),
        ("reclaimPolicy", requested.reclaim_policy.is_some()),
    ];
    for (field, _) in excluded.iter().filter(|(_, given)| *given) {
        problems.add(
            format!("{path}.{field}"),
            "is decided by the claim: drop it, or drop claim",
        );
    }
    let path = format!("{path}.claim");
    problems.check(&path, text::object_name(claim))?;
    let another = |disk: &&spec::Disk| {
        disk.name != requested.name
            && match &disk.claim {
                Some(theirs) => theirs == claim,
                None => names::claim(&identity.name, &disk.name) == claim,
            }
    };
    if let Some(other) = spec.disks.iter().find(another) {
        problems.add(
            path,
            format!(
                "{} is the claim of the disk {} already",
                text::quoted(claim),
                text::quoted(&other.name)
            ),
        );
    }
    Some(Source::Existing(claim.to_owned()))
}

/// Where the content comes from. What a disk that exists was made from stays right when only the operator's settings
/// changed.
fn source(
    path: &str,
    requested: &spec::Disk,
    os_image: Option<&str>,
    (settings, namespace): (&OperatorSettings, &str),
    made: Option<&Source>,
    problems: &mut Problems,
) -> Option<Source> {
    let Some(made) = made else {
        return requested_source(path, requested, os_image, (settings, namespace), problems);
    };
    let any_host = OperatorSettings {
        denied_hosts: Vec::new(),
        ..settings.clone()
    };
    let meant = requested_source(
        path,
        requested,
        os_image,
        (&any_host, namespace),
        &mut Problems::default(),
    );
    let image = match &requested.source {
        None => requested.image.as_deref().or(os_image),
        Some(_) => None,
    };
    match image::unchanged(meant.as_ref(), image, made) {
        Some(made) => Some(made.clone()),
        None => requested_source(path, requested, os_image, (settings, namespace), problems),
    }
}

fn requested_source(
    path: &str,
    requested: &spec::Disk,
    os_image: Option<&str>,
    (settings, namespace): (&OperatorSettings, &str),
    problems: &mut Problems,
) -> Option<Source> {
    let at = |field: &str| format!("{path}.{field}");
    match (&requested.image, &requested.source) {
        (Some(_), Some(_)) => {
            problems.add(path, "image is a short form of source: keep one of the two");
            None
        }
        (Some(image), None) => problems.check(&at("image"), image::source(image, settings)),
        (None, Some(source)) => {
            explicit_source(&at("source"), source, (settings, namespace), problems)
        }
        (None, None) => match os_image {
            Some(image) => problems.check("spec.osImage", image::source(image, settings)),
            None => Some(Source::Blank),
        },
    }
}

fn disk(
    path: &str,
    requested: &spec::Disk,
    architecture: Option<Architecture>,
    source: impl FnOnce(&mut Problems) -> Option<Source>,
    problems: &mut Problems,
) -> Disk {
    let at = |field: &str| format!("{path}.{field}");
    problems.check(&at("name"), text::dns_label(&requested.name));
    let size = match (&requested.size, &requested.claim) {
        (Some(size), None) => problems.check(&at("size"), compute::size(size, SIZE_MIN, SIZE_MAX)),
        (None, None) => {
            problems.add(
                at("size"),
                "is missing: write a size such as 20Gi, or name an existing claim in claim",
            );
            None
        }
        (_, Some(_)) => None,
    };
    let size = size.unwrap_or_default();
    if let Some(class) = &requested.storage_class_name {
        problems.check(&at("storageClassName"), text::object_name(class));
    }
    let source = source(problems).unwrap_or(Source::Blank);
    let modes = &requested.access_modes;
    for (index, mode) in modes.iter().enumerate() {
        if modes.iter().take(index).any(|earlier| earlier == mode) {
            problems.add(
                at(&format!("accessModes[{index}]")),
                format!("{} is named already", mode.as_ref()),
            );
        }
    }
    let kind = requested.kind.unwrap_or_default();
    let bus = requested.bus.unwrap_or(match kind {
        DiskKind::Disk => DiskBus::Virtio,
        DiskKind::Cdrom if no_sata(architecture).is_some() => DiskBus::Scsi,
        DiskKind::Cdrom => DiskBus::Sata,
        DiskKind::Lun => DiskBus::Scsi,
    });
    device(path, requested, kind, bus, problems);
    if let Some(architecture) = no_sata(architecture)
        && (bus == DiskBus::Sata || bus == DiskBus::Usb && architecture == Architecture::S390x)
    {
        problems.add(
            at("bus"),
            format!(
                "architecture: {} has no {} bus: use virtio or scsi",
                architecture.as_ref(),
                bus.as_ref()
            ),
        );
    }
    let serial = requested
        .serial
        .clone()
        .unwrap_or_else(|| requested.name.clone());
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'+' | b'-');
    if serial.is_empty() || serial.len() > 256 || !serial.bytes().all(allowed) {
        problems.add(
            at("serial"),
            format!(
                "{} is not a serial: use at most 256 of A-Z a-z 0-9 _ . + -",
                text::quoted(&serial)
            ),
        );
    }
    Disk {
        name: requested.name.clone(),
        size,
        storage_class: requested.storage_class_name.clone(),
        boot: false,
        reclaim_policy: requested.reclaim_policy.unwrap_or(match source {
            Source::Blank | Source::Existing(_) => ReclaimPolicy::Retain,
            _ => ReclaimPolicy::Delete,
        }),
        source,
        access_modes: modes.clone(),
        volume_mode: requested
            .volume_mode
            .or((kind == DiskKind::Lun).then_some(VolumeMode::Block)),
        bus,
        kind,
        cache: requested.cache,
        dedicated_io_thread: requested.dedicated_io_thread.unwrap_or(false),
        shareable: requested.shareable == Some(true),
        serial,
        generation: None,
    }
}

/// An architecture without SATA controllers.
fn no_sata(architecture: Option<Architecture>) -> Option<Architecture> {
    architecture.filter(|it| matches!(it, Architecture::Arm64 | Architecture::S390x))
}

/// What KubeVirt refuses, ignores, or cannot start.
fn device(
    path: &str,
    requested: &spec::Disk,
    kind: DiskKind,
    bus: DiskBus,
    problems: &mut Problems,
) {
    let at = |field: &str| format!("{path}.{field}");
    match (kind, bus) {
        (DiskKind::Cdrom, DiskBus::Virtio) => problems.add(
            at("bus"),
            "a cdrom cannot be on the virtio bus: use sata, scsi or usb",
        ),
        (DiskKind::Lun, DiskBus::Sata | DiskBus::Usb) => problems.add(
            at("bus"),
            "a lun takes SCSI commands: use the scsi or the virtio bus",
        ),
        _ => {}
    }
    if kind == DiskKind::Lun && requested.volume_mode == Some(VolumeMode::Filesystem) {
        problems.add(
            at("volumeMode"),
            "a lun is a block device: use volumeMode: Block",
        );
    }
    if kind != DiskKind::Disk && requested.serial.is_some() {
        problems.add(
            at("serial"),
            "KubeVirt gives serial numbers to kind: disk only: drop it",
        );
    }
    if requested.shareable == Some(true) {
        shareable(path, requested, kind, problems);
    }
    if requested.dedicated_io_thread == Some(true) && bus != DiskBus::Virtio {
        problems.add(
            at("dedicatedIOThread"),
            "only the virtio bus has IO threads: drop it, or use bus: virtio",
        );
    }
}

fn explicit_source(
    path: &str,
    requested: &spec::DiskSource,
    (settings, namespace): (&OperatorSettings, &str),
    problems: &mut Problems,
) -> Option<Source> {
    let spec::DiskSource {
        http,
        registry,
        s3,
        gcs,
        pvc,
        snapshot,
        data_source,
        blank,
    } = requested;
    let given = [
        http.is_some(),
        registry.is_some(),
        s3.is_some(),
        gcs.is_some(),
        pvc.is_some(),
        snapshot.is_some(),
        data_source.is_some(),
        blank.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        problems.add(
            path,
            "needs exactly one of http, registry, s3, gcs, pvc, snapshot, dataSource, blank",
        );
        return None;
    }
    if let Some(http) = http {
        let path = format!("{path}.http");
        references(&path, &http.secret_ref, &http.cert_config_map, problems);
        if let Some(checksum) = &http.checksum {
            problems.check(&format!("{path}.checksum"), check_checksum(checksum));
        }
        return Some(Source::Http {
            url: problems.check(&format!("{path}.url"), image::http(&http.url, settings))?,
            secret: http.secret_ref.clone(),
            certificates: http.cert_config_map.clone(),
            checksum: http.checksum.clone(),
        });
    }
    if let Some(registry) = registry {
        let path = format!("{path}.registry");
        references(
            &path,
            &registry.secret_ref,
            &registry.cert_config_map,
            problems,
        );
        let url = image::registry(&registry.url, settings);
        return Some(Source::Registry {
            url: problems.check(&format!("{path}.url"), url)?,
            pull_method: registry.pull_method,
            secret: registry.secret_ref.clone(),
            certificates: registry.cert_config_map.clone(),
        });
    }
    if let Some(s3) = s3 {
        let path = format!("{path}.s3");
        references(&path, &s3.secret_ref, &s3.cert_config_map, problems);
        return Some(Source::S3 {
            url: problems.check(&format!("{path}.url"), image::s3(&s3.url, settings))?,
            secret: s3.secret_ref.clone(),
            certificates: s3.cert_config_map.clone(),
        });
    }
    if let Some(gcs) = gcs {
        let path = format!("{path}.gcs");
        references(&path, &gcs.secret_ref, &None, problems);
        return Some(Source::Gcs {
            url: problems.check(&format!("{path}.url"), image::gcs(&gcs.url, settings))?,
            secret: gcs.secret_ref.clone(),
        });
    }
    type MakeSource = fn(String) -> Source;
    let named: [(&str, &Option<spec::NamedSource>, MakeSource); 2] = [
        ("pvc", pvc, Source::Claim),
        ("snapshot", snapshot, Source::Snapshot),
    ];
    for (field, object, make) in named {
        if let Some(object) = object {
            problems.check(
                &format!("{path}.{field}.name"),
                text::object_name(&object.name),
            )?;
            return Some(make(object.name.clone()));
        }
    }
    if let Some(object) = data_source {
        let path = format!("{path}.dataSource");
        if let Some(namespace) = &object.namespace {
            problems.check(&format!("{path}.namespace"), text::dns_label(namespace));
        }
        problems.check(&format!("{path}.name"), text::object_name(&object.name))?;
        return Some(Source::DataSource {
            name: object.name.clone(),
            namespace: object
                .namespace
                .clone()
                .filter(|theirs| theirs != namespace),
        });
    }
    Some(Source::Blank)
}

fn references(
    path: &str,
    secret: &Option<String>,
    config_map: &Option<String>,
    problems: &mut Problems,
) {
    for (field, name) in [("secretRef", secret), ("certConfigMap", config_map)] {
        if let Some(name) = name {
            problems.check(&format!("{path}.{field}"), text::object_name(name));
        }
    }
}

/// A digest as CDI takes it: `algorithm:hex`, in any case (`ParseAndValidate` in its pkg/util/checksum).
fn check_checksum(checksum: &str) -> Result<(), String> {
    let digits = |algorithm: &str| match algorithm.to_ascii_lowercase().as_str() {
        "md5" => Some(32),
        "sha1" => Some(40),
        "sha256" => Some(64),
        "sha512" => Some(128),
        _ => None,
    };
    let valid = checksum.split_once(':').is_some_and(|(algorithm, hex)| {
        digits(algorithm) == Some(hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if valid {
        return Ok(());
    }
    Err(format!(
        "{} is not a digest: write md5:, sha1:, sha256: or sha512: and its hex digits",
        text::quoted(checksum)
    ))
}
