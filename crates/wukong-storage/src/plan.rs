//! Which object a disk needs: a DataVolume, a plain claim, or none because the claim is there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use wukong_api::owner::owner_reference;
use wukong_api::spec::{AccessMode, ReclaimPolicy};
use wukong_api::validated::{Disk, Source};
use wukong_api::{Bytes, ValidatedWukong, labels};

use crate::data_volume::{Content, DataVolume, DataVolumeSpec, Storage};

/// What a DataVolume has besides what the spec of its disk says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Made {
    /// The source of a later generation; `None`: the source in the spec.
    pub source: Option<Source>,
    /// The WukongRestore that made it.
    pub restore: Option<String>,
    /// Number of its latest use ([`labels::ACTIVATION`]).
    pub activation: Option<u32>,
}

/// Objects that exist under the name of a disk's claim.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Existing {
    /// Neither a DataVolume nor a claim.
    #[default]
    Nothing,
    /// A DataVolume, with or without its claim.
    DataVolume {
        /// The size in its `spec.storage`, as it was created.
        size: Bytes,
        /// What it has besides.
        made: Made,
    },
    /// A claim without a DataVolume.
    Claim {
        /// What it requests.
        size: Bytes,
        /// Whether it is a plain claim that we applied.
        ours: bool,
    },
}

/// Inputs of planning besides the Wukong.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whether CDI is installed.
    pub cdi: bool,
    /// Existing objects by name of the disk; an absent name means [`Existing::Nothing`].
    pub existing: &'a BTreeMap<String, Existing>,
}

/// The object that a disk needs.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a handful at a time, each rendered and dropped"
)]
pub enum Planned {
    /// A DataVolume, which makes the claim.
    DataVolume(DataVolume),
    /// A plain claim.
    Claim(PersistentVolumeClaim),
    /// None: the claim is there with its data, and is mounted as it is.
    Adopted,
}

/// A disk and the object that it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedDisk<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// Name of its claim, and of its DataVolume.
    pub claim: String,
    /// The object.
    pub planned: Planned,
}

/// Plans the disks of a Wukong, in their order.
///
/// With CDI every new disk is a DataVolume, the empty ones too: so the StorageProfile of the class chooses access and
/// volume mode. Without CDI an empty disk is a plain claim; a disk with a source is planned as a DataVolume all the
/// same, and it is for the caller to say that CDI is missing.
///
/// What is there decides before that, because nothing planned here may ever touch data: a DataVolume is rendered with
/// the size that it was created with (CDI refuses every change of its spec, growth included, which is an
/// [`Expansion`](crate::Expansion) of the claim), and no DataVolume is made for a claim that exists (CDI would refuse
/// it, or take the claim for its own).
pub fn plan<'a>(wukong: &'a ValidatedWukong, context: &Context<'_>) -> Vec<PlannedDisk<'a>> {
    let planned = |disk: &Disk| {
        let existing = context
            .existing
            .get(&disk.name)
            .cloned()
            .unwrap_or_default();
        match existing {
            _ if matches!(disk.source, Source::Existing(_)) => Planned::Adopted,
            Existing::DataVolume { size, made } => {
                Planned::DataVolume(data_volume(wukong, disk, size, &made))
            }
            Existing::Claim { size, ours: true } => Planned::Claim(claim(wukong, disk, size)),
            Existing::Claim { ours: false, .. } => Planned::Adopted,
            Existing::Nothing if context.cdi || disk.source != Source::Blank => {
                Planned::DataVolume(data_volume(wukong, disk, disk.size, &Made::default()))
            }
            Existing::Nothing => Planned::Claim(claim(wukong, disk, disk.size)),
        }
    };
    wukong
        .disks
        .iter()
        .map(|disk| PlannedDisk {
            disk,
            claim: wukong.claim_name(disk),
            planned: planned(disk),
        })
        .collect()
}

/// The DataVolume of a disk.
///
/// It carries [`labels::GUEST_SIZE`], which CDI copies to the claim. The claim of a retained disk keeps it after the
/// DataVolume is gone.
///
/// It never asks CDI to bind at once (`cdi.kubevirt.io/storage.bind.immediate.requested`), not even for a VM that is not
/// started: a class that waits for the first consumer would then choose a node without regard to what the VM asks of
/// its node. Such an import begins when the VM is first started.
fn data_volume(wukong: &ValidatedWukong, disk: &Disk, size: Bytes, made: &Made) -> DataVolume {
    let mut annotations = BTreeMap::from([(labels::GUEST_SIZE.to_owned(), size.to_string())]);
    let optional = [
        (labels::RESTORE, made.restore.clone()),
        (labels::SNAPSHOT, initial_snapshot(disk, made)),
        (
            labels::ACTIVATION,
            made.activation.map(|number| number.to_string()),
        ),
    ];
    for (key, value) in optional {
        annotations.extend(value.map(|value| (key.to_owned(), value)));
    }
    let source = made.source.as_ref().unwrap_or(&disk.source);
    DataVolume {
        metadata: ObjectMeta {
            annotations: Some(annotations),
            ..metadata(wukong, disk)
        },
        spec: DataVolumeSpec {
            content: Content::of(source, &wukong.identity.namespace),
            storage: Storage {
                access_modes: disk.access_modes.clone(),
                resources: request(size),
                storage_class_name: disk.storage_class.clone(),
                volume_mode: disk.volume_mode,
            },
        },
    }
}

/// The WukongSnapshot that the first generation of a disk is a copy of.
fn initial_snapshot(disk: &Disk, made: &Made) -> Option<String> {
    match (&disk.source, &made.source) {
        (Source::WukongSnapshot { name, .. }, None) => Some(name.clone()),
        _ => None,
    }
}

/// The DataVolume of a new generation of a disk: a copy of this source, of the size in the spec. It is not in use until the VM
/// names it.
pub fn new_generation(
    wukong: &ValidatedWukong,
    disk: &Disk,
    generation: u32,
    source: Source,
    restore: &str,
) -> DataVolume {
    let mut later = disk.clone();
    later.generation = Some(generation);
    let made = Made {
        source: Some(source),
        restore: Some(restore.to_owned()),
        activation: None,
    };
    data_volume(wukong, &later, disk.size, &made)
}

/// The plain claim of an empty disk.
fn claim(wukong: &ValidatedWukong, disk: &Disk, size: Bytes) -> PersistentVolumeClaim {
    let modes = match disk.access_modes.as_slice() {
        [] => &[AccessMode::ReadWriteOnce],
        requested => requested,
    };
    PersistentVolumeClaim {
        metadata: metadata(wukong, disk),
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(modes.iter().map(|mode| mode.as_ref().to_owned()).collect()),
            resources: Some(request(size)),
            storage_class_name: disk.storage_class.clone(),
            volume_mode: disk.volume_mode.map(|mode| mode.as_ref().to_owned()),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    }
}

/// Garbage collection follows the owner reference, so a retained disk has none.
fn metadata(wukong: &ValidatedWukong, disk: &Disk) -> ObjectMeta {
    let identity = &wukong.identity;
    let owner = match disk.reclaim_policy {
        ReclaimPolicy::Delete => Some(vec![owner_reference(identity)]),
        ReclaimPolicy::Retain => None,
    };
    ObjectMeta {
        name: Some(wukong.claim_name(disk)),
        namespace: Some(identity.namespace.clone()),
        labels: Some(labels::of_generation(
            &identity.name,
            &disk.name,
            disk.generation.unwrap_or(1),
        )),
        owner_references: owner,
        ..ObjectMeta::default()
    }
}

fn request(size: Bytes) -> VolumeResourceRequirements {
    VolumeResourceRequirements {
        requests: Some(BTreeMap::from([(
            "storage".to_owned(),
            Quantity(size.to_string()),
        )])),
        limits: None,
    }
}
