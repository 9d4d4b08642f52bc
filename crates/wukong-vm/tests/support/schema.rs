//! Holds objects against the upstream schemas of their kinds. Included by path from the tests of other crates, too.
//!
//! It checks what a planner can get wrong: an unknown field (which an API server would drop), a wrong type, a value
//! outside an enumeration, a missing field, a list that is too long. Patterns, formats and CEL are left to a real API
//! server.

use serde::Serialize;
use serde_json::Value;

const CRDS: &str = include_str!("../../../../crates/wukong-sim/schemas/upstream-crds.json");

/// Everything in which `object`, a custom resource with `apiVersion` and `kind`, departs from the schema of its kind.
pub fn problems(object: &impl Serialize) -> Vec<String> {
    let object = serde_json::to_value(object).unwrap_or_default();
    let Some(schema) = schema(&object) else {
        let (version, kind) = (&object["apiVersion"], &object["kind"]);
        return vec![format!("there is no schema for {version} {kind}")];
    };
    let mut problems = Vec::new();
    check("", &object, &schema, &mut problems);
    problems
}

fn schema(object: &Value) -> Option<Value> {
    let crds: Value = serde_json::from_str(CRDS).ok()?;
    let (group, version) = object["apiVersion"].as_str()?.split_once('/')?;
    let crd = crds["items"].as_array()?.iter().find(|crd| {
        crd["spec"]["group"] == group && crd["spec"]["names"]["kind"] == object["kind"]
    })?;
    let versions = crd["spec"]["versions"].as_array()?;
    let version = versions.iter().find(|entry| entry["name"] == version)?;
    Some(version["schema"]["openAPIV3Schema"].clone())
}

fn check(path: &str, value: &Value, schema: &Value, problems: &mut Vec<String>) {
    let mut complain = |what: String| problems.push(format!("{path}: {what}"));
    if value.is_null() {
        if schema["nullable"] != true {
            complain("is null".to_owned());
        }
        return;
    }
    let type_of_value = match value {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) | Value::Null => "object",
    };
    let fits = match schema["type"].as_str() {
        Some("number") => value.is_number(),
        Some(expected) => type_of_value == expected,
        None if schema["x-kubernetes-int-or-string"] == true => {
            matches!(type_of_value, "integer" | "string")
        }
        None => schema["x-kubernetes-preserve-unknown-fields"] == true,
    };
    if !fits {
        complain(format!("{type_of_value} does not fit {}", schema["type"]));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        complain(format!("{value} is none of {}", schema["enum"]));
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if required
            .as_str()
            .is_some_and(|name| value.get(name).is_none())
        {
            complain(format!("{required} is missing"));
        }
    }
    if let (Some(list), Some(max)) = (value.as_array(), schema["maxItems"].as_u64())
        && list.len() as u64 > max
    {
        complain(format!("{} entries; at most {max}", list.len()));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(
            &format!("{path}[{index}]"),
            item,
            &schema["items"],
            problems,
        );
    }
    // An API server knows metadata by itself; the schema says nothing of its fields.
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true || path == "metadata";
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            _ => format!("{path}.{name}"),
        };
        match (
            &schema["properties"][name.as_str()],
            &schema["additionalProperties"],
        ) {
            (Value::Null, Value::Null) if open => {}
            (Value::Null, Value::Null) => problems.push(format!("{path}: unknown field")),
            (Value::Null, values) => check(&path, field, values, problems),
            (known, _) => check(&path, field, known, problems),
        }
    }
}

#[test]
fn departures_are_found() {
    let object = serde_json::json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "web"},
        "spec": {"runStrategy": true, "template": {"spec": {
            "domain": {"memory": {"guest": [], "hugepage": {}}, "devices": {"disks": [{"serial": "x"}]}},
            "volumes": vec![serde_json::json!({"name": "x"}); 257],
        }}},
    });
    assert_eq!(
        problems(&object),
        [
            "spec.runStrategy: boolean does not fit \"string\"",
            "spec.template.spec.domain.devices.disks[0]: \"name\" is missing",
            "spec.template.spec.domain.memory.guest: array does not fit null",
            "spec.template.spec.domain.memory.hugepage: unknown field",
            "spec.template.spec.volumes: 257 entries; at most 256",
        ]
    );
    assert_eq!(
        problems(&serde_json::json!({"apiVersion": "kubevirt.io/v1", "kind": "VM"})),
        ["there is no schema for \"kubevirt.io/v1\" \"VM\""]
    );
}
