//! Projections of watched objects: the parts that the cache keeps.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use wukong_api::{Wukong, WukongStatus};
use wukong_engine::facts::Fact;

/// A projection of an object.
pub trait Project: Send + 'static {
    /// Projects an object. Never fails, whatever the object contains.
    fn project(object: Value) -> Self;
}

impl<F: Fact> Project for F {
    fn project(object: Value) -> Self {
        F::project(&object)
    }
}

/// An object of a watch: its identity and its content.
///
/// One type for all kinds keeps the binary small: each type would instantiate the code of a watch again.
#[derive(Clone)]
pub struct WatchedObject {
    meta: ObjectMeta,
    /// Content of the object.
    pub object: Value,
}

impl std::fmt::Debug for WatchedObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{:?}", self.meta.namespace, self.meta.name)
    }
}

impl<'de> Deserialize<'de> for WatchedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Value::deserialize(deserializer)?;
        let meta = ObjectMeta {
            name: text(&object, "/metadata/name"),
            namespace: text(&object, "/metadata/namespace"),
            // Position at which a watch resumes.
            resource_version: text(&object, "/metadata/resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { meta, object })
    }
}

impl Resource for WatchedObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// A Wukong as stored, even if this version cannot read it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredWukong {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Resource version, as a number (KEP-5504).
    pub version: u64,
    /// Content.
    pub content: Content,
}

/// Content of a stored Wukong.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The Wukong, without `managedFields`.
    Readable(Box<Wukong>),
    /// Content that this version cannot read.
    Unreadable {
        /// Error of the decoder, without values.
        error: String,
        /// Generation of the spec.
        generation: Option<i64>,
        /// Last status, or the default if it cannot be read.
        status: Box<WukongStatus>,
    },
}

impl StoredWukong {
    /// Returns the Wukong if this version can read it.
    pub fn readable(&self) -> Option<&Wukong> {
        match &self.content {
            Content::Readable(wukong) => Some(wukong),
            Content::Unreadable { .. } => None,
        }
    }

    /// Returns the status.
    pub fn status(&self) -> Option<&WukongStatus> {
        match &self.content {
            Content::Readable(wukong) => wukong.status.as_ref(),
            Content::Unreadable { status, .. } => Some(status),
        }
    }

    /// Returns whether spec, labels and deletion are the same as in `other`.
    pub fn same_spec(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Readable(own), Content::Readable(theirs)) => {
                let (own, theirs) = (&own.metadata, &theirs.metadata);
                own.generation == theirs.generation
                    && own.labels == theirs.labels
                    && own.deletion_timestamp == theirs.deletion_timestamp
            }
            (Content::Unreadable { .. }, Content::Unreadable { .. }) => true,
            _ => false,
        }
    }

    /// Returns whether everything except the resource version is the same as in `other`.
    pub fn same_content(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.version = self.version;
        if let (Content::Readable(own), Content::Readable(theirs)) =
            (&self.content, &mut other.content)
        {
            theirs
                .metadata
                .resource_version
                .clone_from(&own.metadata.resource_version);
        }
        *self == other
    }
}

impl Project for StoredWukong {
    fn project(mut object: Value) -> Self {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let own = |pointer| text(&object, pointer).unwrap_or_default();
        let (namespace, name, uid) = (
            own("/metadata/namespace"),
            own("/metadata/name"),
            own("/metadata/uid"),
        );
        let version = own("/metadata/resourceVersion").parse().unwrap_or_default();
        let content = match serde_path_to_error::deserialize(&object) {
            Ok(wukong) => Content::Readable(Box::new(wukong)),
            Err(error) => Content::Unreadable {
                error: format!(
                    "{}: {}",
                    error.path(),
                    without_value(&error.inner().to_string())
                ),
                generation: object
                    .pointer("/metadata/generation")
                    .and_then(Value::as_i64),
                status: object
                    .get("status")
                    .and_then(|status| Deserialize::deserialize(status).ok())
                    .unwrap_or_default(),
            },
        };
        Self {
            namespace,
            name,
            uid,
            version,
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

fn text(object: &Value, pointer: &str) -> Option<String> {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use kube::core::WatchEvent;
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
    fn a_watched_object_has_the_version_at_which_its_watch_resumes() {
        let line = r#"{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"b","uid":"c","resourceVersion":"7"},"spec":[1]}}"#;
        let event: WatchEvent<WatchedObject> = serde_json::from_str(line).unwrap();
        let WatchEvent::Added(watched) = event else {
            panic!("not an Added event")
        };
        assert_eq!(watched.meta.resource_version.as_deref(), Some("7"));
        assert_eq!(watched.object.pointer("/spec/0"), Some(&json!(1)));
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
        let Content::Unreadable {
            error,
            generation,
            status,
        } = broken.content
        else {
            panic!("it is readable")
        };
        assert_eq!(error, "spec.cpu: string instead of u32");
        assert_eq!(generation, Some(3));
        assert!(status.phase.is_some());
    }

    #[test]
    fn an_error_does_not_repeat_a_possible_secret() {
        let spec =
            json!({"cpu": 1, "memory": "1Gi", "cloudInitUser": {"name": "ada", "password": 4711}});
        let Content::Unreadable { error, .. } = stored(spec, "7").content else {
            panic!("it is readable")
        };
        assert_eq!(
            error,
            "spec.cloudInitUser.password: integer instead of a string"
        );
        assert_eq!(without_value("missing field `cpu`"), "missing field `cpu`");
    }

    #[test]
    fn the_content_is_compared_without_the_version() {
        let spec = json!({"cpu": 1, "memory": "1Gi"});
        let wukong = stored(spec.clone(), "7");
        assert!(
            matches!(&wukong.content, Content::Readable(wukong) if wukong.metadata.managed_fields.is_none())
        );
        assert!(wukong.same_content(&stored(spec, "8")));
        assert!(!wukong.same_content(&stored(json!({"cpu": 2, "memory": "1Gi"}), "8")));
    }
}
