//! A Wukong as the cache keeps it.
//!
//! A Wukong with its status is about 5 KiB as JSON and 12 KiB as a struct, and most of it is needed only for a decision about
//! this Wukong. So the cache keeps what all Wukongs are searched for, and the rest as compressed JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use wukong_api::status::Phase;
use wukong_api::{ConditionType, Wukong, WukongStatus};
use wukong_engine::environment::addresses::requests_any;
use wukong_engine::facts::Text;
use wukong_engine::managed_fields;

use crate::projection::Project;
use crate::references::references;

/// A Wukong as stored, even if this version cannot read it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWukong {
    /// Namespace.
    pub namespace: Text,
    /// Name.
    pub name: Text,
    /// Uid.
    pub uid: Text,
    /// Resource version, as a number (KEP-5504).
    pub version: u64,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<Text, Text>,
    /// Whether its deletion was requested.
    pub deleting: bool,
    /// Names of the objects that the spec refers to, without those that contain the name of the Wukong.
    pub references: Box<[Text]>,
    /// Whether a network has `nodeNetwork`.
    pub has_node_networks: bool,
    /// Whether the spec has a MAC address or an IP address.
    pub has_addresses: bool,
    /// Phase in the status.
    pub phase: Option<Phase>,
    /// Reason of `status.blocker`.
    pub blocker: Option<Text>,
    /// Reason of the condition `Ready`.
    pub ready: Option<Text>,
    /// Hash of generation, labels and deletion.
    spec: Text,
    /// Content.
    pub content: Content,
}

/// Content of a stored Wukong.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The Wukong.
    Readable(Packed),
    /// Content that this version cannot read.
    Unreadable(Box<Unreadable>),
}

/// Content that this version cannot read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// Error of the decoder, without values.
    pub error: String,
    /// Generation of the spec.
    pub generation: Option<i64>,
    /// Last status, or the default if it cannot be read.
    pub status: WukongStatus,
}

/// The JSON of a Wukong without what no decision depends on, compressed with LZ4.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed(Box<[u8]>);

/// A Wukong with the words that most Wukongs have in common. LZ4 refers to it, so the compressed text of a running VM is less
/// than a third of its JSON.
const DICTIONARY: &[u8] = include_bytes!("dictionary.json");

impl Packed {
    fn of(wukong: &Value) -> Self {
        let json = wukong.to_string();
        let packed = lz4_flex::block::compress_prepend_size_with_dict(json.as_bytes(), DICTIONARY);
        Self(packed.into())
    }

    /// The Wukong; `None` if this version cannot read it, which [`StoredWukong::project`] has excluded.
    fn unpack(&self) -> Option<Wukong> {
        let json = lz4_flex::block::decompress_size_prepended_with_dict(&self.0, DICTIONARY);
        serde_json::from_slice(&json.ok()?).ok()
    }
}

impl StoredWukong {
    /// Returns the Wukong if this version can read it, without `managedFields` and annotations.
    pub fn readable(&self) -> Option<Wukong> {
        let Content::Readable(packed) = &self.content else {
            return None;
        };
        let mut wukong = packed.unpack()?;
        wukong.metadata.resource_version = Some(self.version.to_string());
        Some(wukong)
    }

    /// Returns whether the Wukong is blocked, or was not reported on yet.
    pub fn is_blocked(&self) -> bool {
        self.phase.is_none() || self.blocker.is_some()
    }

    /// Returns whether spec, labels and deletion are the same as in `other`.
    pub fn same_spec(&self, other: &Self) -> bool {
        self.spec == other.spec
    }

    /// Returns whether everything that a decision depends on is the same as in `other`.
    pub fn same_content(&self, other: &Self) -> bool {
        self.uid == other.uid && self.content == other.content
    }
}

impl Project for StoredWukong {
    fn project(mut object: Value) -> Self {
        let own = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (namespace, name, uid): (Text, Text, Text) = (
            own("/metadata/namespace").into(),
            own("/metadata/name").into(),
            own("/metadata/uid").into(),
        );
        let created = own("/metadata/creationTimestamp").parse().ok();
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        let labels = labels.into_iter().flatten().filter_map(|(key, value)| {
            Some((Text::from(key.as_str()), Text::from(value.as_str()?)))
        });
        let labels = labels.collect();
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        let version = own("/metadata/resourceVersion").parse().unwrap_or_default();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for unused in ["managedFields", "annotations", "resourceVersion"] {
                metadata.remove(unused);
            }
        }
        let part = |pointer: &str| object.pointer(pointer).unwrap_or(&Value::Null);
        let spec = managed_fields::hash(&Value::Array(
            ["generation", "labels", "deletionTimestamp"]
                .map(|field| part(&format!("/metadata/{field}")).clone())
                .into(),
        ));
        let decoded: Result<Wukong, _> = serde_path_to_error::deserialize(&object);
        let known = decoded.as_ref().ok();
        let references = known.map(references).unwrap_or_default();
        let has_node_networks = known.is_some_and(|wukong| {
            let mut networks = wukong.spec.networks.iter();
            networks.any(|network| network.node_network.is_some())
        });
        let has_addresses = known.is_some_and(requests_any);
        let (content, status) = match decoded {
            Ok(wukong) => (
                Content::Readable(Packed::of(&object)),
                wukong.status.unwrap_or_default(),
            ),
            Err(error) => {
                let status: WukongStatus = object
                    .get("status")
                    .and_then(|status| Deserialize::deserialize(status).ok())
                    .unwrap_or_default();
                let unreadable = Unreadable {
                    error: format!(
                        "{}: {}",
                        error.path(),
                        without_value(&error.inner().to_string())
                    ),
                    generation: part("/metadata/generation").as_i64(),
                    status: status.clone(),
                };
                (Content::Unreadable(Box::new(unreadable)), status)
            }
        };
        let ready = status
            .conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Ready.as_ref());
        Self {
            namespace,
            name,
            uid,
            version,
            created,
            labels,
            deleting,
            references,
            has_node_networks,
            has_addresses,
            phase: status.phase,
            blocker: status
                .blocker
                .as_ref()
                .map(|blocker| blocker.reason.as_str().into()),
            ready: ready.map(|ready| ready.reason.as_str().into()),
            spec: spec.into(),
            content,
        }
    }
}

/// Removes the value from an error of serde, for example `invalid type: string "secret", expected u32`.
fn without_value(error: &str) -> String {
    let unexpected = error.strip_prefix("invalid type: ");
    match error.rsplit_once(", expected ") {
        Some((_, expected)) => match unexpected.and_then(|rest| rest.split([' ', '`', '"']).next())
        {
            Some(kind) => format!("{kind} instead of {expected}"),
            None => format!("expected {expected}"),
        },
        None if error.starts_with("missing field ") => error.to_owned(),
        None => "unexpected format".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(spec: Value, version: &str) -> StoredWukong {
        let object = json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": version, "generation": 3,
                         "managedFields": [{"manager": "kubectl"}]},
            "spec": spec,
            "status": {"phase": "Running"},
        });
        StoredWukong::project(object)
    }

    #[test]
    fn the_dictionary_has_the_words_of_a_running_vm() {
        let objects = include_str!("../tests/objects/running-vm.json");
        let objects: Value = serde_json::from_str(objects).unwrap();
        let Content::Readable(packed) =
            StoredWukong::project(objects["wukongs"][0].clone()).content
        else {
            panic!("it is not readable")
        };
        let json = objects["wukongs"][0]["status"].to_string();
        let (packed, json) = (packed.0.len(), json.len());
        assert!(packed * 3 <= json, "{packed} bytes for {json}");
    }

    #[test]
    fn no_error_repeats_a_value() {
        for error in [
            "unknown variant `hunter2`, expected one of `a`, `b`",
            "invalid value: string \"hunter2, expected x\", expected a quantity",
            "hunter2 is no quantity",
            "unknown field `hunter2`",
        ] {
            assert!(!without_value(error).contains("hunter2"), "{error}");
        }
        let missing = "missing field `name`";
        assert_eq!(without_value(missing), missing);
    }

    #[test]
    fn an_unreadable_wukong_has_an_error_and_keeps_its_status() {
        let broken = stored(json!({"cpu": "many"}), "7");
        assert_eq!((broken.name.as_str(), broken.version), ("web", 7));
        let Content::Unreadable(broken) = broken.content else {
            panic!("it is readable")
        };
        assert_eq!(broken.error, "spec.cpu: string instead of u32");
        assert_eq!(broken.generation, Some(3));
        assert!(broken.status.phase.is_some());
    }

    #[test]
    fn an_error_does_not_repeat_a_possible_secret() {
        let spec =
            json!({"cpu": 1, "memory": "1Gi", "cloudInitUser": {"name": "ada", "password": 4711}});
        let Content::Unreadable(broken) = stored(spec, "7").content else {
            panic!("it is readable")
        };
        assert_eq!(
            broken.error,
            "spec.cloudInitUser.password: integer instead of a string"
        );
        assert_eq!(without_value("missing field `cpu`"), "missing field `cpu`");
    }

    #[test]
    fn the_content_is_compared_without_the_version() {
        let spec = json!({"cpu": 1, "memory": "1Gi"});
        let wukong = stored(spec.clone(), "7");
        let read = wukong.readable().unwrap();
        assert_eq!(read.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(read.metadata.managed_fields, None);
        assert_eq!(read.spec.cpu, 1);
        assert!(wukong.same_content(&stored(spec, "8")));
        assert!(!wukong.same_content(&stored(json!({"cpu": 2, "memory": "1Gi"}), "8")));
    }
}
