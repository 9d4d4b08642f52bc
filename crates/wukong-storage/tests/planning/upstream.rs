//! CDI's own schema of a DataVolume.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crds: Value = serde_json::from_str(include_str!(
        "../../../../crates/wukong-sim/schemas/upstream-crds.json"
    ))
    .unwrap();
    let crd = crds["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|crd| crd["spec"]["names"]["kind"] == "DataVolume");
    crd.unwrap()["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
});

/// Panics unless the schema knows every field, with its type, and no required field is missing.
pub fn assert_valid(data_volume: &Value) {
    let mut problems = Vec::new();
    // An API server checks metadata by itself.
    for (field, value) in data_volume.as_object().unwrap() {
        if field != "metadata" {
            check(
                field,
                value,
                &SCHEMA["properties"][field.as_str()],
                &mut problems,
            );
        }
    }
    assert!(problems.is_empty(), "{problems:#?} in {data_volume:#}");
}

fn check(path: &str, value: &Value, schema: &Value, problems: &mut Vec<String>) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::Null => "null",
    };
    let known = schema["type"] == kind
        || (schema["x-kubernetes-int-or-string"] == true && kind == "string");
    if !known {
        problems.push(format!("{path}: no {kind} is known there"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        problems.push(format!("{path}: {value} is none of {allowed:?}"));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value[required.as_str().unwrap()].is_null() {
            problems.push(format!("{path}: {required} is missing"));
        }
    }
    for (field, inner) in value.as_object().into_iter().flatten() {
        let schema = match &schema["properties"][field.as_str()] {
            Value::Null => &schema["additionalProperties"],
            property => property,
        };
        check(&format!("{path}.{field}"), inner, schema, problems);
    }
    for inner in value.as_array().into_iter().flatten() {
        check(&format!("{path}[]"), inner, &schema["items"], problems);
    }
}

#[test]
#[should_panic(expected = "spec.source.http.sum: no string is known there")]
fn an_unknown_field_is_a_failure() {
    assert_valid(
        &serde_json::json!({"spec": {"source": {"http": {"url": "http://h.lan/x", "sum": "x"}}}}),
    );
}

#[test]
#[should_panic(expected = "spec.source.pvc: \\\"namespace\\\" is missing")]
fn a_missing_field_is_a_failure() {
    assert_valid(&serde_json::json!({"spec": {"source": {"pvc": {"name": "x"}}}}));
}
