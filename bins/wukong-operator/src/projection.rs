//! Projections of watched objects: the parts that the cache keeps.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
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
}
