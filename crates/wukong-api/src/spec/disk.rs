//! Disks.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantity;

/// Disk and the source of its content. A disk without `image`, `source` and `claim` starts empty.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.image) && has(self.source))").message("image is a short form of source: keep one of the two"),
    validation = Rule::new("has(self.claim) != has(self.size)")
        .message("a disk has either a size or a claim: size makes a new claim, claim uses an existing one")
)]
pub struct Disk {
    /// Name of the disk, a DNS label, and the default of its serial in the guest. The claim is named `<wukong>.<disk>`.
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

    /// Name of the StorageClass. Default: the default class of the cluster. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,

    /// Marks the disk that boots first, and that `osImage` fills. At most one. Default: the first disk (no CD-ROM) with
    /// an image, else the first disk that is no CD-ROM. After it, the VM tries the other disks with content in their
    /// order, so an installer CD boots while the disk is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<bool>,

    /// Short form of `source`: an `http(s)://`, `docker://`, `oci-archive://`, `s3://` or `gs://` URL, or a registry
    /// reference. Use `source` for Secrets and certificates. Excludes `source` and `claim`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub image: Option<String>,

    /// Source of the content; exactly one of its fields. Excludes `image` and `claim`. Default: empty, or `osImage` for
    /// the boot disk. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<DiskSource>,

    /// Access modes of the claim. Default: those of the StorageProfile of the class. Immutable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub access_modes: Vec<AccessMode>,

    /// Volume mode of the claim: `Filesystem` or `Block`. Default: that of the StorageProfile of the class; `Block` for
    /// `kind: lun`, which excludes `Filesystem`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<VolumeMode>,

    /// Bus in the guest: `virtio`, `scsi`, `sata` or `usb`. Default `virtio`; `sata` for a `cdrom` (`scsi` with
    /// `architecture` arm64 or s390x); `scsi` for a `lun`. A `cdrom` excludes `virtio`, a `lun` excludes `sata` and
    /// `usb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<DiskBus>,

    /// Device in the guest: `disk`, `cdrom` or `lun` (a SCSI device passed through). Default `disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DiskKind>,

    /// Data after deletion of the Wukong: `Delete` deletes it, `Retain` keeps it and attaches it again to a Wukong of
    /// the same name with a disk of the same name. Default `Delete` for a disk with a source, `Retain` for an empty
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<ReclaimPolicy>,

    /// Cache mode on the host: `none`, `writethrough` or `writeback`. Default: the choice of KubeVirt for the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<DiskCache>,

    /// Gives the disk an IO thread of its own. Needs `bus: virtio`. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "dedicatedIOThread")]
    pub dedicated_io_thread: Option<bool>,

    /// Lets several VMs write to the disk at the same time, for cluster file systems. Needs `accessModes: [ReadWriteMany]`
    /// (or a `claim` that has it) and excludes `cache` other than `none`. Only for `kind: disk` and `kind: lun`. Default
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shareable: Option<bool>,

    /// Serial number in the guest, at most 256 of `A-Z a-z 0-9 _ . + -`. Unique among the disks. Only for `kind: disk`.
    /// Default: the name of the disk.
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
    /// File on a web server: raw or qcow2, plain or compressed.
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
    /// Copy of another claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc: Option<NamedSource>,
    /// Copy of a VolumeSnapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<NamedSource>,
    /// Copy of the volume that a CDI DataSource points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_source: Option<DataSourceSource>,
    /// No content: an empty disk, also for the boot disk of a Wukong with `osImage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank: Option<BlankSource>,
}

/// A file on a web server.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// URL with the scheme `http` or `https`, without user and password.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Name of a Secret with the keys `accessKeyId` (user) and `secretKey` (password). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// Name of a ConfigMap with the CA certificates of the server. Default: the CA certificates of the importer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
    /// Expected digest of the file: `md5:`, `sha1:`, `sha256:` or `sha512:` and the hex digits. Default: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 160))]
    pub checksum: Option<String>,
}

/// A container disk in a registry.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrySource {
    /// URL with the scheme `docker` or `oci-archive`, or a registry reference.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Puller of the image: the importer of CDI (`pod`) or the container runtime of the node (`node`). Default `pod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_method: Option<PullMethod>,
    /// Name of a Secret with the keys `accessKeyId` (user) and `secretKey` (password). Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// Name of a ConfigMap with the CA certificates of the registry. Default: the CA certificates of the importer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
}

/// An object in Google Cloud Storage.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GcsSource {
    /// URL `gs://bucket/object` or `https://endpoint/bucket/object`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Name of a Secret with the key file of the account under the key `credentials.json`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
}

/// An object in S3 or a compatible store.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Source {
    /// URL `https://endpoint/bucket/object`, or `s3://bucket/object` for a bucket of Amazon in us-east-1.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
    /// Name of a Secret with the keys `accessKeyId` and `secretKey`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_ref: Option<String>,
    /// Name of a ConfigMap with the CA certificates of the store. Default: the CA certificates of the importer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub cert_config_map: Option<String>,
}

/// Object of the same namespace.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct NamedSource {
    /// Name of the object.
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

/// Puller of a container disk.
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

/// Data of a disk after deletion of its Wukong.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum ReclaimPolicy {
    /// It is deleted.
    Delete,
    /// The data stays. A Wukong of the same name with a disk of the same name gets it again.
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
