//! The part of CDI's DataVolume that we plan (`cdi.kubevirt.io/v1beta1`, pkg/apis/core/v1beta1/types.go of CDI).

use k8s_openapi::api::core::v1::VolumeResourceRequirements;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use wukong_api::spec::{AccessMode, PullMethod, VolumeMode};
use wukong_api::validated;

/// Claim and the source of its content. CDI refuses every change of it.
#[derive(CustomResource, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "cdi.kubevirt.io",
    version = "v1beta1",
    kind = "DataVolume",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
pub struct DataVolumeSpec {
    /// Source of the content.
    #[serde(flatten)]
    pub content: Content,
    /// The claim.
    pub storage: Storage,
}

/// The two ways to name a source, of which a DataVolume has one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// The source itself.
    Source(Source),
    /// An object that points to the source.
    SourceRef(SourceRef),
}

/// Source of the content.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Source {
    /// None: CDI makes an empty image.
    Blank {},
    /// A file on a web server.
    Http {
        /// `http` or `https` URL.
        url: String,
        /// Secret with `accessKeyId` and `secretKey`.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_ref: Option<String>,
        /// ConfigMap with certificates.
        #[serde(skip_serializing_if = "Option::is_none")]
        cert_config_map: Option<String>,
        /// `algorithm:hex`.
        #[serde(skip_serializing_if = "Option::is_none")]
        checksum: Option<String>,
    },
    /// A container disk.
    Registry {
        /// `docker` or `oci-archive` URL.
        url: String,
        /// Puller of the image.
        #[serde(skip_serializing_if = "Option::is_none")]
        pull_method: Option<PullMethod>,
        /// Secret with `accessKeyId` and `secretKey`.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_ref: Option<String>,
        /// ConfigMap with certificates.
        #[serde(skip_serializing_if = "Option::is_none")]
        cert_config_map: Option<String>,
    },
    /// An object in S3.
    S3 {
        /// `http` or `https` URL of endpoint, bucket and object.
        url: String,
        /// Secret with `accessKeyId` and `secretKey`.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_ref: Option<String>,
        /// ConfigMap with certificates.
        #[serde(skip_serializing_if = "Option::is_none")]
        cert_config_map: Option<String>,
    },
    /// An object in Google Cloud Storage.
    Gcs {
        /// `gs` URL of bucket and object, or `https` URL with an endpoint.
        url: String,
        /// Secret with the account's key file, `credentials.json`.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret_ref: Option<String>,
    },
    /// A copy of a claim.
    Pvc(ObjectRef),
    /// A copy of a VolumeSnapshot.
    Snapshot(ObjectRef),
}

/// Object with its namespace, which CDI requires.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ObjectRef {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// An object that points to a source.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SourceRef {
    /// `DataSource`: CDI knows no other.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// Claim. CDI completes missing fields from the StorageProfile of the class, and adds the file system overhead to the
/// size.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Access modes; empty: those of the StorageProfile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<AccessMode>,
    /// `requests.storage`: the size as the guest sees it.
    pub resources: VolumeResourceRequirements,
    /// StorageClass; absent: the default class for virtual machines, else the default class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Volume mode; absent: that of the StorageProfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_mode: Option<VolumeMode>,
}

impl Content {
    /// The source that a DataVolume in this namespace was planned from.
    pub fn requested(&self, namespace: &str) -> validated::Source {
        use validated::Source as Requested;

        let source = match self.clone() {
            Self::SourceRef(object) => {
                return Requested::DataSource {
                    name: object.name,
                    namespace: Some(object.namespace).filter(|theirs| theirs != namespace),
                };
            }
            Self::Source(source) => source,
        };
        match source {
            Source::Blank {} => Requested::Blank,
            Source::Http {
                url,
                secret_ref,
                cert_config_map,
                checksum,
            } => Requested::Http {
                url,
                secret: secret_ref,
                certificates: cert_config_map,
                checksum,
            },
            Source::Registry {
                url,
                pull_method,
                secret_ref,
                cert_config_map,
            } => Requested::Registry {
                url,
                pull_method,
                secret: secret_ref,
                certificates: cert_config_map,
            },
            Source::S3 {
                url,
                secret_ref,
                cert_config_map,
            } => Requested::S3 {
                url,
                secret: secret_ref,
                certificates: cert_config_map,
            },
            Source::Gcs { url, secret_ref } => Requested::Gcs {
                url,
                secret: secret_ref,
            },
            Source::Pvc(object) => Requested::Claim(object.name),
            Source::Snapshot(object) => Requested::Snapshot(object.name),
        }
    }

    /// The content for a source. `namespace` is that of the DataVolume, where every object lies that names no other.
    /// An existing claim has no DataVolume: for it this is an empty disk. A VolumeSnapshot that is not known yet has a name that
    /// no object can have.
    pub fn of(source: &validated::Source, namespace: &str) -> Self {
        use validated::Source as Requested;

        let object = |name: &str| ObjectRef {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        };
        Self::Source(match source.clone() {
            Requested::Blank | Requested::Existing(_) => Source::Blank {},
            Requested::Http {
                url,
                secret,
                certificates,
                checksum,
            } => Source::Http {
                url,
                secret_ref: secret,
                cert_config_map: certificates,
                checksum,
            },
            Requested::Registry {
                url,
                pull_method,
                secret,
                certificates,
            } => Source::Registry {
                url,
                pull_method,
                secret_ref: secret,
                cert_config_map: certificates,
            },
            Requested::S3 {
                url,
                secret,
                certificates,
            } => Source::S3 {
                url,
                secret_ref: secret,
                cert_config_map: certificates,
            },
            Requested::Gcs { url, secret } => Source::Gcs {
                url,
                secret_ref: secret,
            },
            Requested::Claim(name) => Source::Pvc(object(&name)),
            Requested::Snapshot(name) => Source::Snapshot(object(&name)),
            Requested::WukongSnapshot { name, volume } => Source::Snapshot(object(
                &volume.unwrap_or_else(|| format!("<disk of WukongSnapshot {name}>")),
            )),
            Requested::DataSource {
                name,
                namespace: theirs,
            } => {
                return Self::SourceRef(SourceRef {
                    kind: "DataSource".into(),
                    name,
                    namespace: theirs.unwrap_or_else(|| namespace.into()),
                });
            }
        })
    }
}
