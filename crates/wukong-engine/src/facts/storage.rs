//! Facts of DataVolumes, claims and StorageClasses.

use serde::Deserialize;
use serde_json::Value;
use wukong_api::spec::{AccessMode, VolumeMode};
use wukong_api::validated::Source;
use wukong_api::{Bytes, FIELD_MANAGER, labels};
use wukong_storage::data_volume::DataVolumeSpec;

use super::generation::GenerationFact;
use super::json::{printable, text, typed};
use super::text::Text;
use super::{ConditionFact, Fact, Meta, bounded, conditions, is_true, optional_text};
use crate::managed_fields;

/// A DataVolume.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DataVolumeFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.phase`; empty until CDI saw it.
    pub phase: Text,
    /// `status.progress`, such as `42.0%`.
    pub progress: Option<Text>,
    /// How often the importer was restarted.
    pub restart_count: u64,
    /// Size that it was created with.
    pub size: Option<Bytes>,
    /// The source that it was made from.
    pub source: Option<Source>,
    /// The WukongSnapshot that it is a copy of ([`labels::SNAPSHOT`]). Boxed: almost all DataVolumes have none.
    pub snapshot: Option<Box<Text>>,
    /// StorageClass in its spec; `None`: the default class.
    pub class: Option<Text>,
    /// Access modes in its spec; empty: those of the StorageProfile.
    pub access_modes: Vec<AccessMode>,
    /// Volume mode in its spec; `None`: that of the StorageProfile.
    pub volume_mode: Option<VolumeMode>,
    /// Hash over the fields that we own of its spec, which never changes after creation. If we never applied it, over the
    /// whole spec.
    pub spec_hash: Text,
    /// The generation of its disk that it holds.
    pub generation: Option<Box<GenerationFact>>,
    /// Its conditions.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for DataVolumeFact {
    fn project(object: &Value) -> Self {
        let ours = managed_fields::owned_by(object, FIELD_MANAGER);
        let spec = ours.as_ref().unwrap_or(object).get("spec");
        let planned = spec.and_then(|spec| DataVolumeSpec::deserialize(spec).ok());
        let source = planned.as_ref().map(|planned| {
            planned
                .content
                .requested(&text(object, "/metadata/namespace"))
        });
        let storage = planned.map(|planned| planned.storage).unwrap_or_default();
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            progress: optional_text(object, "/status/progress"),
            restart_count: object
                .pointer("/status/restartCount")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            size: quantity(object, "/spec/storage/resources/requests/storage"),
            source,
            snapshot: object
                .pointer("/metadata/annotations")
                .and_then(|all| Some(Box::new(printable(all.get(labels::SNAPSHOT)?.as_str()?)))),
            class: storage.storage_class_name.map(Into::into),
            access_modes: storage.access_modes,
            volume_mode: storage.volume_mode,
            spec_hash: spec.map(managed_fields::hash).unwrap_or_default().into(),
            generation: GenerationFact::project(object),
            conditions: conditions(object, &["Bound", "Ready", "Running"]),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The disk, if the object notes its generation.
    fn index_keys(&self) -> Vec<Text> {
        GenerationFact::keys(self.generation.as_deref(), &self.meta)
    }
}

impl DataVolumeFact {
    /// Whether some of its content is there.
    pub(crate) fn moves(&self) -> bool {
        let text = self.progress.as_deref().unwrap_or_default();
        let progress = text.trim_end_matches('%').parse::<f64>();
        progress.is_ok_and(|progress| progress > 0.0)
    }
}

/// A claim.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClaimFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.phase`: `Pending`, `Bound` or `Lost`.
    pub phase: Text,
    /// Its StorageClass.
    pub class: Option<Text>,
    /// Its access modes.
    pub access_modes: Vec<AccessMode>,
    /// Its volume mode.
    pub volume_mode: Option<VolumeMode>,
    /// Size that it requests.
    pub request: Option<Bytes>,
    /// Size that it has.
    pub capacity: Option<Bytes>,
    /// Size, as the guest sees it, that the request stands for, on a claim that was grown ([`labels::GUEST_SIZE`]).
    pub guest_size: Option<Bytes>,
    /// The source of a populator, as `Kind/name`.
    pub data_source: Option<Text>,
    /// Its PersistentVolume.
    pub volume: Option<Text>,
    /// Node that the scheduler chose for its volume.
    pub selected_node: Option<Text>,
    /// The generation of its disk that it holds.
    pub generation: Option<Box<GenerationFact>>,
    /// Its conditions.
    pub conditions: Box<[ConditionFact]>,
}

impl Fact for ClaimFact {
    fn project(object: &Value) -> Self {
        let guest_size = object
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(labels::GUEST_SIZE));
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            class: optional_text(object, "/spec/storageClassName"),
            access_modes: typed(object.pointer("/spec/accessModes")).unwrap_or_default(),
            volume_mode: typed(object.pointer("/spec/volumeMode")),
            request: quantity(object, "/spec/resources/requests/storage"),
            capacity: quantity(object, "/status/capacity/storage"),
            guest_size: guest_size.and_then(Value::as_str).and_then(Bytes::parse),
            data_source: object.pointer("/spec/dataSourceRef").map(|source| {
                format!("{}/{}", text(source, "/kind"), text(source, "/name")).into()
            }),
            volume: optional_text(object, "/spec/volumeName").filter(|name| !name.is_empty()),
            selected_node: optional_text(
                object,
                "/metadata/annotations/volume.kubernetes.io~1selected-node",
            ),
            generation: GenerationFact::project(object),
            conditions: conditions(
                object,
                &[
                    "Resizing",
                    "FileSystemResizePending",
                    "ControllerResizeError",
                    "NodeResizeError",
                ],
            ),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The disk, if the object notes its generation.
    fn index_keys(&self) -> Vec<Text> {
        GenerationFact::keys(self.generation.as_deref(), &self.meta)
    }
}

impl ClaimFact {
    /// Whether its volume is still smaller than the claim requests.
    pub(crate) fn grows(&self) -> bool {
        let sizes = self.capacity.zip(self.request);
        self.phase == "Bound" && sizes.is_some_and(|(capacity, request)| capacity < request)
    }

    /// Whether only its file system has still to grow, which the kubelet does where a pod uses it.
    pub(crate) fn waits_for_a_pod_to_grow(&self) -> bool {
        self.grows() && is_true(&self.conditions, "FileSystemResizePending")
    }

    /// Whether its driver grows it only while no node uses it.
    pub(crate) fn grows_offline_only(&self) -> bool {
        const IN_USE: &[&str] = &[
            "offline",
            "online",
            "in use",
            "in-use",
            "attached",
            "published",
        ];
        let error = |condition: &&ConditionFact| {
            condition.type_.ends_with("ResizeError") && condition.status == "True"
        };
        self.conditions.iter().filter(error).any(|error| {
            let message = error.message.to_lowercase();
            IN_USE.iter().any(|words| message.contains(words))
        })
    }
}

/// A VolumeSnapshot.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SnapshotFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.readyToUse`; `None` until its controller saw it.
    pub ready: Option<bool>,
    /// The last error of its controller or driver.
    pub error: Option<Text>,
}

impl Fact for SnapshotFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
            ready: object
                .pointer("/status/readyToUse")
                .and_then(Value::as_bool),
            error: optional_text(object, "/status/error/message").map(|error| bounded(&error)),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// A StorageClass.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StorageClassFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Whether it is the default class, or KubeVirt's own default.
    pub default: bool,
    /// Whether volumes are bound only when a pod needs them.
    pub waits_for_first_consumer: bool,
    /// Whether claims can grow. (Absent means no.)
    pub expandable: bool,
    /// Name of the driver that makes its volumes.
    pub provisioner: Text,
}

impl Fact for StorageClassFact {
    fn project(object: &Value) -> Self {
        let annotation = |key: &str| {
            object
                .pointer("/metadata/annotations")
                .and_then(|all| all.get(key))
                .and_then(Value::as_str)
                == Some("true")
        };
        Self {
            meta: Meta::project(object),
            default: annotation("storageclass.kubernetes.io/is-default-class")
                || annotation("storageclass.kubevirt.io/is-default-virt-class"),
            waits_for_first_consumer: text(object, "/volumeBindingMode") == "WaitForFirstConsumer",
            provisioner: text(object, "/provisioner"),
            expandable: object
                .pointer("/allowVolumeExpansion")
                .and_then(Value::as_bool)
                == Some(true),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

fn quantity(object: &Value, pointer: &str) -> Option<Bytes> {
    let value = object.pointer(pointer)?;
    value
        .as_str()
        .map_or_else(|| value.as_u64().map(Bytes), Bytes::parse)
}
