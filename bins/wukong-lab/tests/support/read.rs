//! Reads objects.

use serde_json::Value;

/// Status, reason and message of a condition; empty when there is none.
pub fn condition<'a>(object: &'a Value, type_: &str) -> (&'a str, &'a str, &'a str) {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == type_);
    let text = |key: &str| {
        found
            .and_then(|condition| condition[key].as_str())
            .unwrap_or_default()
    };
    (text("status"), text("reason"), text("message"))
}

pub fn phase(wukong: &Value) -> &str {
    wukong["status"]["phase"].as_str().unwrap_or_default()
}

/// The reason of the blocker; empty when nothing blocks.
pub fn blocker(wukong: &Value) -> &str {
    wukong["status"]["blocker"]["reason"]
        .as_str()
        .unwrap_or_default()
}

/// Whether the status is about the current spec.
pub fn is_settled(wukong: &Value) -> bool {
    let generation = &wukong["metadata"]["generation"];
    generation.is_number() && *generation == wukong["status"]["observedGeneration"]
}

/// The strings in a list.
pub fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The object as its writers specified it, without its status and without the fields of the API server.
pub fn without_bookkeeping(object: &Value) -> Value {
    let mut object = object.clone();
    // Items of a list have no kind of their own.
    let fields = object.as_object_mut().unwrap();
    fields.retain(|key, _| !["status", "apiVersion", "kind"].contains(&key.as_str()));
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in ["managedFields", "resourceVersion", "generation"] {
        metadata.remove(key);
    }
    object
}
