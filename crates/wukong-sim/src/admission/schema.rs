//! What does not fit the published schema: KubeVirt's webhooks and the API server both check it, under strict field
//! validation.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::names;
use super::verdict::{Causes, Denial};
use crate::UPSTREAM_CRDS;
use crate::field::text;

/// The schema of VirtualMachine `kubevirt.io/v1`, out of the CRDs that the lab installs.
fn virtual_machine() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let crds: Value = serde_json::from_str(UPSTREAM_CRDS).unwrap_or_default();
        let items = crds
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let named = |crd: &&Value| {
            crd.pointer("/metadata/name")
                .is_some_and(|name| name == "virtualmachines.kubevirt.io")
        };
        let schema = items
            .iter()
            .find(named)
            .and_then(|crd| crd.pointer("/spec/versions/0/schema/openAPIV3Schema"));
        schema.cloned().unwrap_or_default()
    })
}

/// Checks the name, and the spec against the schema: unknown fields, types, list bounds and duplicate keys.
///
/// Required fields are not asked for: the mutating webhook sends back typed objects, in which those have a value.
pub fn check_vm(object: &Value) -> Result<(), Denial> {
    let mut causes = Causes::default();
    if let Some(name) = object.pointer("/metadata/name").and_then(Value::as_str) {
        let wrong = names::dns_subdomain(name);
        causes.extend(
            wrong
                .into_iter()
                .map(|wrong| format!("metadata.name: Invalid value: {name:?}: {wrong}")),
        );
    }
    let schema = virtual_machine().pointer("/properties/spec");
    if let (Some(schema), Some(spec)) = (schema, object.get("spec")) {
        check("spec", spec, schema, &mut causes);
    }
    causes.into_result()
}

/// Required fields that stay absent: a pointer, and the quantity of an `emptyDisk`, which KubeVirt reports as missing.
const WITHOUT_ZERO: [&str; 2] = ["virtiofs", "capacity"];

/// Gives required fields the zero value that they have in typed objects. Pointers have none there: lists, the template,
/// `virtiofs`.
pub fn complete_vm(object: &mut Value) {
    let schema = virtual_machine().pointer("/properties/spec/properties/template");
    if let (Some(schema), Some(template)) = (schema, object.pointer_mut("/spec/template")) {
        complete(template, schema);
    }
}

fn complete(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(map) => {
            let required = schema.get("required").and_then(Value::as_array);
            for key in required.into_iter().flatten().filter_map(Value::as_str) {
                let zero = schema.pointer(&format!("/properties/{key}")).and_then(zero);
                if let Some(zero) = zero.filter(|_| !WITHOUT_ZERO.contains(&key)) {
                    map.entry(key).or_insert(zero);
                }
            }
            for (key, value) in map.iter_mut() {
                if let Some(schema) = schema.pointer(&format!("/properties/{key}")) {
                    complete(value, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| complete(item, schema));
            }
        }
        _ => {}
    }
}

fn zero(schema: &Value) -> Option<Value> {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return Some(json!(0));
    }
    match text(schema, "type") {
        "object" => Some(json!({})),
        "string" => Some(json!("")),
        "integer" => Some(json!(0)),
        _ => None,
    }
}

fn check(path: &str, value: &Value, schema: &Value, causes: &mut Causes) {
    if value.is_null() {
        return;
    }
    if !has_type(value, schema) {
        causes.add(format!(
            "{path}: Invalid value: {value}: must be of type {}",
            text(schema, "type")
        ));
        return;
    }
    match value {
        Value::Object(map) => check_object(path, map, schema, causes),
        Value::Array(items) => check_list(path, items, schema, causes),
        _ => {}
    }
}

fn has_type(value: &Value, schema: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return value.is_string() || value.is_number();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    }
}

fn check_object(path: &str, map: &Map<String, Value>, schema: &Value, causes: &mut Causes) {
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema
        .get("additionalProperties")
        .filter(|schema| schema.is_object());
    let open = schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    for (key, value) in map {
        let path = format!("{path}.{key}");
        match properties.and_then(|known| known.get(key)).or(additional) {
            Some(schema) => check(&path, value, schema, causes),
            None if open => {}
            None => causes.add(format!("strict decoding error: unknown field {path:?}")),
        }
    }
}

fn check_list(path: &str, items: &[Value], schema: &Value, causes: &mut Causes) {
    let most = schema
        .get("maxItems")
        .and_then(Value::as_u64)
        .and_then(|most| usize::try_from(most).ok());
    if let Some(most) = most.filter(|most| items.len() > *most) {
        causes.add(format!(
            "{path}: Too many: {}: must have at most {most} items",
            items.len()
        ));
    }
    let keys = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array);
    let identity = |item: &Value| match (
        schema.get("x-kubernetes-list-type").and_then(Value::as_str),
        keys,
    ) {
        (Some("set"), _) => Some(vec![item.clone()]),
        (Some("map"), Some(keys)) => {
            let field = |key: &Value| {
                item.get(key.as_str().unwrap_or_default())
                    .cloned()
                    .unwrap_or_default()
            };
            Some(keys.iter().map(field).collect())
        }
        _ => None,
    };
    let mut seen = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(identity) = identity(item) {
            causes.add_if(seen.contains(&identity), || {
                format!("{path}[{index}]: Duplicate value: {identity:?}")
            });
            seen.push(identity);
        }
        if let Some(schema) = schema.get("items") {
            check(&format!("{path}[{index}]"), item, schema, causes);
        }
    }
}
