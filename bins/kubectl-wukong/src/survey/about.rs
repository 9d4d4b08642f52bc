//! Which object a JSON value is, and what it is about.

use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::addresses::WukongName;
use wukong_engine::related::RelatedNames;

/// Name of an object.
pub(super) fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Namespace of an object; empty if it has none.
pub(super) fn namespace(object: &Value) -> &str {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Namespace and name of a Wukong.
pub(super) fn identity(wukong: &Wukong) -> (&str, &str) {
    let metadata = &wukong.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

/// Accepts every object.
pub(super) fn any(_: &Value) -> bool {
    true
}

/// The key of a Wukong.
pub(super) fn key(wukong: &Wukong) -> WukongName {
    let (namespace, name) = identity(wukong);
    (namespace.to_owned(), name.to_owned())
}

/// Whether an object in the namespace of the Wukong names its VM at this pointer.
pub(super) fn is_about(wukong: &Wukong, object: &Value, pointer: &str) -> bool {
    let vm = object.pointer(pointer).and_then(Value::as_str);
    identity(wukong) == (namespace(object), vm.unwrap_or_default())
}

/// Whether an object is the snapshot that the disks of the Wukong are copies of.
pub(super) fn is_restored(wukong: &Wukong, object: &Value) -> bool {
    let snapshot = wukong.spec.restore_from_snapshot.as_deref();
    snapshot == Some(name(object)) && identity(wukong).0 == namespace(object)
}

/// Whether an event is about an object of the Wukong.
pub(super) fn is_of(event: &Value, related: &RelatedNames) -> bool {
    let object = event.pointer("/involvedObject/name");
    let object = object.and_then(Value::as_str).unwrap_or_default();
    related.has(object, namespace(event))
}
