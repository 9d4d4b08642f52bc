//! The fields that we own of an object, as the API server stores them.
//!
//! Server-side apply keeps, per manager, the set of fields that it owns (KEP-555). The values of our fields are what is
//! left of our last apply: a field that another writer changed is no longer ours, and a removed field is gone. So an
//! object is as we want it when the hash over our fields is the hash over what we would apply. The operator remembers
//! nothing else, not even over a restart.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The fields of `object` that `manager` owns by server-side apply; `None` when it never applied the object.
pub fn owned_by(object: &Value, manager: &str) -> Option<Value> {
    Some(restrict(object, field_set(object, manager)?))
}

/// Whether `manager` owns the field at `pointer`, such as `/f:spec/f:a`, by server-side apply; `None` when it never
/// applied the object.
pub(crate) fn owns(object: &Value, manager: &str, pointer: &str) -> Option<bool> {
    field_set(object, manager).map(|fields| fields.pointer(pointer).is_some())
}

fn field_set<'a>(object: &'a Value, manager: &str) -> Option<&'a Value> {
    object
        .pointer("/metadata/managedFields")?
        .as_array()?
        .iter()
        .find(|entry| {
            entry.get("manager").and_then(Value::as_str) == Some(manager)
                && entry.get("operation").and_then(Value::as_str) == Some("Apply")
                && entry.get("subresource").is_none()
        })?
        .get("fieldsV1")
}

/// The fields of a body that we own after the apply: all but the identity of the object.
pub fn of_body(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(top) = body.as_object_mut() {
        top.remove("apiVersion");
        top.remove("kind");
        if let Some(metadata) = top.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["name", "namespace", "uid", "resourceVersion"] {
                metadata.remove(key);
            }
        }
    }
    body
}

/// A hash over a value, whatever the order of its keys: 16 hex digits.
pub fn hash(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(value, &mut hasher);
    hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn feed(value: &Value, hasher: &mut Sha256) {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            hasher.update(b"{");
            for key in keys {
                hasher.update((key.len() as u64).to_be_bytes());
                hasher.update(key);
                if let Some(value) = fields.get(key) {
                    feed(value, hasher);
                }
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| feed(item, hasher));
            hasher.update(b"]");
        }
        scalar => {
            let text = scalar.to_string();
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
    }
}

/// `value` without what the field set does not name. An entry without members stands for the whole value.
fn restrict(value: &Value, fields: &Value) -> Value {
    let members = fields
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != ".");
    let mut members = members.peekable();
    if members.peek().is_none() {
        return value.clone();
    }
    match value {
        Value::Object(object) => {
            let named = members.filter_map(|(key, inner)| {
                let name = key.strip_prefix("f:")?;
                Some((name.to_owned(), restrict(object.get(name)?, inner)))
            });
            Value::Object(named.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let selectors: Vec<_> = members.collect();
            let select = |item: &Value| {
                selectors
                    .iter()
                    .find(|(key, _)| selects(key, item))
                    .map(|(_, inner)| restrict(item, inner))
            };
            Value::Array(items.iter().filter_map(select).collect())
        }
        scalar => scalar.clone(),
    }
}

/// Whether a list entry's key, `k:{"name":"x"}` or `v:"x"`, stands for this item.
fn selects(key: &str, item: &Value) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let Some(Value::Object(keys)) = key.strip_prefix("k:").and_then(parse) {
        return keys
            .iter()
            .all(|(name, value)| item.get(name) == Some(value));
    }
    key.strip_prefix("v:")
        .and_then(parse)
        .is_some_and(|value| value == *item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored() -> Value {
        json!({
            "apiVersion": "v1", "kind": "X",
            "metadata": {
                "name": "a", "namespace": "b", "uid": "1", "resourceVersion": "7",
                "labels": {"ours": "1", "theirs": "2"},
                "ownerReferences": [{"uid": "o", "kind": "Wukong"}, {"uid": "p", "kind": "Other"}],
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}},
                    {"manager": "us", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:ours": {}}, "f:ownerReferences": {"k:{\"uid\":\"o\"}": {}}},
                        "f:spec": {"f:a": {}, "f:list": {}, "f:set": {"v:\"x\"": {}}},
                    }},
                ],
            },
            "spec": {"a": {"deep": 1}, "b": 2, "list": [1, 2], "set": ["x", "y"]},
        })
    }

    fn applied() -> Value {
        json!({
            "apiVersion": "v1", "kind": "X",
            "metadata": {
                "name": "a", "namespace": "b", "labels": {"ours": "1"},
                "ownerReferences": [{"kind": "Wukong", "uid": "o"}],
            },
            "spec": {"set": ["x"], "list": [1, 2], "a": {"deep": 1}},
        })
    }

    #[test]
    fn what_we_own_is_what_we_applied() {
        let owned = owned_by(&stored(), "us").unwrap();
        assert_eq!(owned, of_body(&applied()));
        assert_eq!(hash(&owned), hash(&of_body(&applied())));
        assert_eq!(owned_by(&stored(), "other"), None);
    }

    #[test]
    fn a_field_that_somebody_removed_or_took_over_shows() {
        let desired = hash(&of_body(&applied()));
        let mut removed = stored();
        removed
            .pointer_mut("/metadata/labels")
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("ours");
        assert_ne!(hash(&owned_by(&removed, "us").unwrap()), desired);
        let mut taken = stored();
        taken
            .pointer_mut("/metadata/managedFields/1/fieldsV1/f:spec")
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove("f:a");
        assert_ne!(hash(&owned_by(&taken, "us").unwrap()), desired);
    }
}
