//! Volumes: unique names, exactly one source, gates (`validateVolumes` of `vmi-create-admitter.go`).

use super::config::ClusterConfig;
use super::verdict::Causes;
use crate::field::Field;

/// Every member of `VolumeSource`.
const SOURCES: [&str; 16] = [
    "persistentVolumeClaim",
    "sysprep",
    "cloudInitNoCloud",
    "cloudInitConfigDrive",
    "containerDisk",
    "containerPath",
    "ephemeral",
    "emptyDisk",
    "hostDisk",
    "dataVolume",
    "configMap",
    "secret",
    "downwardAPI",
    "serviceAccount",
    "downwardMetrics",
    "memoryDump",
];
const AT_MOST_ONCE: [&str; 3] = ["serviceAccount", "downwardMetrics", "memoryDump"];

pub fn check(vmi: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let volumes: Vec<_> = vmi.child("volumes").items().collect();
    for (index, volume) in volumes.iter().enumerate() {
        if let Some(other) = volumes
            .iter()
            .take(index)
            .find(|other| other.name() == volume.name())
        {
            causes.add(format!(
                "{} and {} must not have the same Name.",
                volume.path(),
                other.path()
            ));
        }
        causes.add_if(volume.set_among(&SOURCES) != 1, || {
            format!("{} must have exactly one source type set", volume.path())
        });
        let data_volume = volume.child("dataVolume");
        causes.add_if(
            data_volume.is_set() && data_volume.name().is_empty(),
            || "DataVolume 'name' must be set".into(),
        );
        host_disk(&volume.child("hostDisk"), config, causes);
        causes.add_if(volume.child("downwardMetrics").is_set() && !config.has("DownwardMetrics"), || {
            "downwardMetrics disks are not allowed: DownwardMetrics feature gate is not enabled.".into()
        });
        for (source, key) in [
            ("configMap", "name"),
            ("secret", "secretName"),
            ("serviceAccount", "serviceAccountName"),
        ] {
            let named = volume.child(source).child(key);
            causes.add_if(
                volume.child(source).is_set() && named.text().is_empty(),
                || format!("{} is a required field", named.path()),
            );
        }
        let path = volume.at("containerDisk.path");
        if !path.text().is_empty() {
            absolute_path(&path, causes);
        }
    }
    for source in AT_MOST_ONCE {
        let count = volumes
            .iter()
            .filter(|volume| volume.child(source).is_set())
            .count();
        causes.add_if(count > 1, || {
            format!(
                "{} must have max one {source} volume set",
                vmi.child("volumes").path()
            )
        });
    }
    causes.add_if(vmi.child("utilityVolumes").is_set(), || {
        "cannot create VMI with utility volumes in spec, utility volumes can only be added via hotplug".into()
    });
}

fn host_disk(disk: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    if !disk.is_set() {
        return;
    }
    causes.add_if(!config.has("HostDisk"), || {
        "HostDisk feature gate is not enabled".into()
    });
    causes.add_if(disk.child("path").text().is_empty(), || {
        format!("{}.path is required for hostDisk volume", disk.path())
    });
    let kind = disk.child("type").text();
    causes.add_if(!["Disk", "DiskOrCreate"].contains(&kind), || {
        format!(
            "{}.type has invalid value '{kind}', allowed are 'Disk' or 'DiskOrCreate'",
            disk.path()
        )
    });
    causes.add_if(
        kind == "Disk" && !disk.child("capacity").quantity().is_zero(),
        || {
            format!(
                "{0}.capacity is allowed to pass only with {0}.type equal to 'DiskOrCreate'",
                disk.path()
            )
        },
    );
}

/// An absolute path without `.`, `..` or doubled slashes; one trailing slash is forgiven.
pub fn absolute_path(field: &Field<'_>, causes: &mut Causes) {
    let path = field.text();
    if path == "/" {
        causes.add(format!("{} must not point to root", field.path()));
        return;
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let clean = trimmed.strip_prefix('/').is_some_and(|rest| {
        rest.split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
    });
    causes.add_if(!clean, || {
        format!(
            "{} must be an absolute path to a file without relative components",
            field.path()
        )
    });
}
