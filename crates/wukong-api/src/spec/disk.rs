//! Disks.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantity;

/// A disk and where its content comes from. A disk without `image` and `source` starts empty.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.image) && has(self.source))").message("image is a short form of source: keep one of the two"),
    validation = Rule::new("has(self.claim) != has(self.size)")
        .message("a disk has either a size or a claim: size makes a new claim, claim uses an existing one")
)]
pub struct Disk {
    /// Name of the disk, its serial in the guest, and the second part of its claim's name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Size as the guest sees it, as a Kubernetes quantity of 1Mi to 1Ei. Required unless `claim` is set. A larger size
    /// grows the claim; a size below the present one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,

    /// Name of an existing claim of the same namespace to use as it is. The operator never creates, resizes, owns or
    /// deletes it. Excludes `size`, `image`, `source`, `storageClassName`, `accessModes`, `volumeMode` and
    /// `reclaimPolicy`. `osImage` does not fill such a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub claim: Option<String>,

    /// StorageClass. Absent: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,

    /// Marks the boot disk. With no disk marked, the first with an image boots, else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<bool>,

    /// Short form of `source`: an `http(s)://`, `docker://`, `oci-archive://`, `s3://` or `gs://` URL, or a registry
    /// reference. What needs a Secret or certificates is written as `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub image: Option<String>,

    /// Where the content comes from; exactly one of its fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DiskSource>,

    /// Access modes of the claim. Default: what the StorageProfile of the class says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub access_modes: Vec<AccessMode>,

    /// Volume mode of the claim. Default: what the StorageProfile of the class says; `Block` for a `lun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<VolumeMode>,

    /// Bus in the guest. Default `virtio`; `sata` for a `cdrom`, `scsi` for a `lun`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<DiskBus>,

    /// Kind of device in the guest. Default `disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DiskKind>,

    /// What happens to the data when the Wukong is deleted. Default: `Delete` for a disk with a source, `Retain` for
    /// an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<ReclaimPolicy>,

    /// Host cache mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<DiskCache>,

    /// Gives the disk an IO thread of its own; on the `virtio` bus only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "dedicatedIOThread")]
    pub dedicated_io_thread: Option<bool>,

    /// Lets several VMs write to the disk at the same time, for cluster file systems. Needs `accessModes: [ReadWriteMany]`
    /// (or a `claim` that has it) and excludes `cache` other than `none`. Only for `kind: disk` and `kind: lun`. Default
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shareable: Option<bool>,

    /// Serial number in the guest, of `[A-Za-z0-9_.+-]`. Default: the disk's name. A `cdrom` and a
    /// `lun` have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub serial: Option<String>,
}

/// Source of a disk's content; exactly one field is set. Every object named here is in the same namespace, except that
/// `dataSource` can name another one.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.http), has(self.registry), has(self.s3), has(self.gcs), has(self.pvc), has(self.snapshot), has(self.dataSource), has(self.blank)].filter(set, set).size() == 1")
        .message("source needs exactly one of http, registry, s3, gcs, pvc, snapshot, dataSource, blank")
)]
pub struct DiskSource {
    /// A file on a web server: raw or qcow2, plain or compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// A container disk in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistrySource>,
    /// An object in S3 or a compatible store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Source>,
    /// An object in Google Cloud Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsSource>,
    /// A copy of another claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc: Option<NamedSource>,
    /// A copy of a VolumeSnapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<NamedSource>,
    /// A copy of what a CDI DataSource points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_source: Option<DataSourceSource>,
    /// Nothing: an empty disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<BlankSource>,
}

/// A file on a web server.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// `http://` or `https://` URL.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Secret with the keys `accessKeyId` and `secretKey`: user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// ConfigMap with the certificates of the server's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
    /// Digest of the file, such as `sha256:<64 hex digits>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 160))]
    pub checksum: Option<String>,
}

/// A container disk in a registry.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrySource {
    /// `docker://` or `oci-archive://` URL, or a registry reference.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Who pulls: CDI's importer (`pod`) or the node's container runtime (`node`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_method: Option<PullMethod>,
    /// Secret with the keys `accessKeyId` and `secretKey`: user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// ConfigMap with the certificates of the registry's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
}

/// An object in Google Cloud Storage.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsSource {
    /// `gs://bucket/object`, or `https://endpoint/bucket/object`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Secret with the account's key file under the key `credentials.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
}

/// An object in S3 or a compatible store.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Source {
    /// `https://endpoint/bucket/object`, or short `s3://bucket/object` when the bucket is Amazon's and in us-east-1.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Secret with the keys `accessKeyId` and `secretKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// ConfigMap with the certificates of the store's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
}

/// An object of the same namespace.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NamedSource {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A CDI DataSource.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct DataSourceSource {
    /// Name of the DataSource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the DataSource. Default: the namespace of the Wukong. For another namespace, an administrator grants
    /// the operator's account `create` on `datavolumes/source` of `cdi.kubevirt.io` there: CDI checks that right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// An empty disk.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct BlankSource {}

/// Who pulls a container disk.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum PullMethod {
    /// CDI's importer pod.
    Pod,
    /// The node's container runtime.
    Node,
}

/// Access mode of a claim.
#[derive(
    JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, strum::AsRefStr,
)]
#[schemars(transform = super::without_description)]
pub enum AccessMode {
    /// One node at a time.
    ReadWriteOnce,
    /// Many nodes; live migration needs it.
    ReadWriteMany,
    /// Many nodes, for reading.
    ReadOnlyMany,
    /// One pod.
    ReadWriteOncePod,
}

/// Volume mode of a claim.
#[derive(
    JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, strum::AsRefStr,
)]
#[schemars(transform = super::without_description)]
pub enum VolumeMode {
    /// A file on a file system.
    Filesystem,
    /// A raw block device.
    Block,
}

/// Bus of a disk in the guest.
#[derive(
    JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, strum::AsRefStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum DiskBus {
    /// virtio-blk.
    #[default]
    Virtio,
    /// virtio-scsi.
    Scsi,
    /// SATA.
    Sata,
    /// USB storage.
    Usb,
}

/// Kind of device in the guest.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum DiskKind {
    /// A hard disk.
    #[default]
    Disk,
    /// A CD-ROM drive.
    Cdrom,
    /// A SCSI device passed through.
    Lun,
}

/// What happens to a disk's data when the Wukong is deleted.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum ReclaimPolicy {
    /// It is deleted.
    Delete,
    /// It stays, and is attached again when a Wukong of that name and disk name comes back.
    Retain,
}

/// Host cache mode of a disk.
#[derive(
    JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, strum::AsRefStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[schemars(transform = super::without_description)]
pub enum DiskCache {
    /// No host cache.
    None,
    /// Reads are cached.
    WriteThrough,
    /// Reads and writes are cached.
    WriteBack,
}
