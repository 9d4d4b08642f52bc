//! Sets of fields as server-side apply keeps them (KEP-555, and structured-merge-diff, which implements it).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

/// A way from the root of an object to one of its fields, each step as a managed field set writes it: `f:<name>`,
/// `k:{<keys>}` for an entry of a list that is a map, `v:<value>` for an entry of a set.
pub type Path = Vec<String>;
pub type FieldSet = BTreeSet<Path>;

/// Schemas of the kinds that have one; other kinds are taken as maps of maps with atomic lists.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let crds: Value = serde_json::from_str(wukong_sim::UPSTREAM_CRDS).unwrap();
    let schema = |crd: &Value| {
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        schema["properties"]["metadata"] = metadata();
        (kind, schema)
    };
    crds["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(schema)
        .collect()
});
static OTHERS: LazyLock<Value> = LazyLock::new(|| json!({"properties": {"metadata": metadata()}}));

fn metadata() -> Value {
    json!({"properties": {
        "finalizers": {"x-kubernetes-list-type": "set"},
        "ownerReferences": {
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "items": {"x-kubernetes-map-type": "atomic"},
        },
    }})
}

/// The fields of an object, without those that say who it is.
pub fn of(object: &Value) -> FieldSet {
    let kind = object["kind"].as_str().unwrap();
    let mut object = object.as_object().unwrap().clone();
    object.retain(|field, _| field != "apiVersion" && field != "kind");
    if let Some(metadata) = object.get_mut("metadata") {
        metadata.as_object_mut().unwrap().retain(|field, _| {
            matches!(
                field.as_str(),
                "labels" | "annotations" | "ownerReferences" | "finalizers"
            )
        });
    }
    object.retain(|_, value| *value != json!({}));
    let mut fields = FieldSet::new();
    collect(
        &Value::Object(object),
        SCHEMAS.get(kind).unwrap_or(&OTHERS),
        &mut Vec::new(),
        &mut fields,
    );
    fields
}

fn collect(value: &Value, schema: &Value, path: &mut Path, fields: &mut FieldSet) {
    let steps: Vec<(String, &Value, &Value)> = match value {
        Value::Object(map) if schema["x-kubernetes-map-type"] != "atomic" => map
            .iter()
            .map(|(name, value)| {
                let property = &schema["properties"][name.as_str()];
                let schema = match property {
                    Value::Null => &schema["additionalProperties"],
                    property => property,
                };
                (format!("f:{name}"), value, schema)
            })
            .collect(),
        Value::Array(items) => match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array().unwrap();
                let key = |item: &Value| -> Value {
                    let name = |key: &Value| key.as_str().unwrap().to_owned();
                    keys.iter()
                        .map(|key| (name(key), item[name(key)].clone()))
                        .collect()
                };
                items
                    .iter()
                    .map(|item| (format!("k:{}", key(item)), item, &schema["items"]))
                    .collect()
            }
            Some("set") => items
                .iter()
                .map(|item| (format!("v:{item}"), item, &schema["items"]))
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    let entry = path.last().is_some_and(|step| !step.starts_with("f:"));
    if (steps.is_empty() || entry) && !path.is_empty() {
        fields.insert(path.clone());
    }
    for (step, value, schema) in steps {
        path.push(step);
        collect(value, schema, path, fields);
        path.pop();
    }
}

/// As `fieldsV1` of a managed fields entry.
pub fn to_json(fields: &FieldSet) -> Value {
    let mut root = json!({});
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = at
                .as_object_mut()
                .unwrap()
                .entry(step.clone())
                .or_insert_with(|| json!({}));
        }
    }
    for path in fields {
        let mut at = &mut root;
        for step in path {
            at = &mut at[step.as_str()];
        }
        // A field that is owned as such, and fields inside it.
        if *at != json!({}) {
            at["."] = json!({});
        }
    }
    root
}

/// The value of a field.
pub fn get<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter()
        .try_fold(object, |value, step| match step.split_at(2) {
            ("f:", name) => value.get(name),
            (_, key) => value
                .as_array()?
                .iter()
                .find(|item| selects(step, key, item)),
        })
}

/// Sets a field, and makes what it is in.
pub fn set(object: &mut Value, path: &[String], new: Value) {
    let Some((step, rest)) = path.split_first() else {
        *object = new;
        return;
    };
    let inner = match step.split_at(2) {
        ("f:", name) => {
            if object.is_null() {
                *object = json!({});
            }
            object
                .as_object_mut()
                .unwrap()
                .entry(name)
                .or_insert(Value::Null)
        }
        (_, key) => {
            if object.is_null() {
                *object = json!([]);
            }
            let items = object.as_array_mut().unwrap();
            let known = items.iter().position(|item| selects(step, key, item));
            let at = known.unwrap_or_else(|| {
                items.push(serde_json::from_str(key).unwrap());
                items.len() - 1
            });
            &mut items[at]
        }
    };
    set(inner, rest, new);
}

/// Removes a field, and what is empty without it.
pub fn remove(object: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    let (kind, name) = step.split_at(2);
    let is_empty = |value: &Value| *value == json!({}) || *value == json!([]);
    if kind == "f:" {
        let Some(map) = object.as_object_mut() else {
            return;
        };
        let Some(inner) = map.get_mut(name) else {
            return;
        };
        remove(inner, rest);
        if rest.is_empty() || is_empty(inner) {
            map.remove(name);
        }
    } else if let Some(items) = object.as_array_mut()
        && let Some(at) = items.iter().position(|item| selects(step, name, item))
    {
        remove(&mut items[at], rest);
        if rest.is_empty() || is_empty(&items[at]) {
            items.remove(at);
        }
    }
}

fn selects(step: &str, key: &str, item: &Value) -> bool {
    let key: Value = serde_json::from_str(key).unwrap();
    match step.starts_with("k:") {
        true => {
            let keys: &Map<String, Value> = key.as_object().unwrap();
            keys.iter()
                .all(|(name, value)| item.get(name) == Some(value))
        }
        false => key == *item,
    }
}
