//! Validates a manifest against the schema of the CustomResourceDefinition.
//!
//! An API server drops unknown fields, and a decoder stops at the first wrong type. This check lists all of them at once,
//! each with a suggestion.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::{CustomResourceExt, Resource};
use regex_lite::Regex;
use serde_json::{Map, Value};
use wukong_api::validate::Problem;

/// Similarity from which a name is suggested, from 0 to 1.
const ALIKE: f64 = 0.75;
/// Maximum number of names that are listed if none is similar.
const NAMES_MAX: usize = 12;

/// The fields of `metadata`, which the schema of a CustomResourceDefinition does not list.
const METADATA: &[&str] = &[
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Returns the manifest without its status, and the violations of the schema of its kind.
pub fn check<K>(mut manifest: Value) -> (Value, Vec<Problem>)
where
    K: Resource<DynamicType = ()> + CustomResourceExt,
{
    let mut problems = Problems(Vec::new());
    let Some(fields) = manifest.as_object_mut() else {
        return (manifest, problems.0);
    };
    let expected = [("apiVersion", K::api_version(&())), ("kind", K::kind(&()))];
    for (field, expected) in expected {
        if fields
            .get(field)
            .is_none_or(|written| *written != *expected)
        {
            problems.add(field, format!("must be {expected}"));
        }
    }
    let top: Vec<&str> = vec!["apiVersion", "kind", "metadata", "spec", "status"];
    problems.unknown("", fields, &top);
    if let Some(Value::Object(metadata)) = fields.get("metadata") {
        problems.unknown("metadata", metadata, METADATA);
    }
    // The operator writes the status; it is not part of the manifest.
    fields.remove("status");
    match (fields.get("spec"), spec_schema::<K>()) {
        (Some(spec), Some(schema)) => problems.value("spec", spec, &schema),
        _ => problems.add("spec", "is required"),
    }
    (manifest, problems.0)
}

fn spec_schema<K: CustomResourceExt>() -> Option<JSONSchemaProps> {
    let version = K::crd().spec.versions.into_iter().next()?;
    version
        .schema?
        .open_api_v3_schema?
        .properties?
        .remove("spec")
}

/// Removes null fields, which are the same as absent ones.
pub fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_empty);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            message: message.into(),
        });
    }

    fn unknown(&mut self, path: &str, fields: &Map<String, Value>, known: &[&str]) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(
                &join(path, name),
                format!("unknown field{}", suggestion(name, known)),
            );
        }
    }

    fn value(&mut self, path: &str, value: &Value, schema: &JSONSchemaProps) {
        if schema.x_kubernetes_int_or_string == Some(true) {
            if !value.is_number() && !value.is_string() {
                self.add(
                    path,
                    format!("must be a quantity such as 4Gi, not {}", kind(value)),
                );
            }
            return;
        }
        match (schema.type_.as_deref(), value) {
            (Some("object"), Value::Object(fields)) => self.object(path, fields, schema),
            (Some("array"), Value::Array(items)) => self.array(path, items, schema),
            (Some("string"), Value::String(text)) => self.text(path, text, schema),
            (Some("integer"), Value::Number(number)) if !number.is_f64() => {
                self.number(path, number.as_f64(), schema);
            }
            (Some("boolean"), Value::Bool(_)) | (None, _) => {}
            (Some("string"), Value::Number(_) | Value::Bool(_)) => {
                self.add(
                    path,
                    format!("must be text, not {}: put it in quotes", kind(value)),
                );
            }
            (Some(type_), _) => {
                let article = match type_ {
                    "object" => "a mapping",
                    "array" => "a list",
                    "string" => "text",
                    "integer" => "a whole number without quotes",
                    "boolean" => "true or false",
                    other => other,
                };
                self.add(path, format!("must be {article}, not {}", kind(value)));
            }
        }
    }

    fn object(&mut self, path: &str, fields: &Map<String, Value>, schema: &JSONSchemaProps) {
        if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
            for (name, value) in fields {
                self.value(&format!("{path}[{name}]"), value, values);
            }
            return;
        }
        let none = BTreeMap::new();
        let properties = schema.properties.as_ref().unwrap_or(&none);
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        self.unknown(path, fields, &known);
        for name in schema
            .required
            .iter()
            .flatten()
            .filter(|name| !fields.contains_key(*name))
        {
            self.add(&join(path, name), "is required");
        }
        for (name, value) in fields {
            if let Some(property) = properties.get(name) {
                self.value(&join(path, name), value, property);
            }
        }
    }

    fn array(&mut self, path: &str, items: &[Value], schema: &JSONSchemaProps) {
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(max) = schema.max_items.filter(|max| count > *max) {
            self.add(
                path,
                format!("has {count} entries; at most {max} are allowed"),
            );
        }
        if let Some(JSONSchemaPropsOrArray::Schema(each)) = &schema.items {
            for (index, item) in items.iter().enumerate() {
                self.value(&format!("{path}[{index}]"), item, each);
            }
        }
    }

    fn text(&mut self, path: &str, text: &str, schema: &JSONSchemaProps) {
        if let Some(values) = &schema.enum_ {
            let known: Vec<&str> = values.iter().filter_map(|value| value.0.as_str()).collect();
            if !known.contains(&text) {
                self.add(
                    path,
                    format!("unknown value {text:?}{}", suggestion(text, &known)),
                );
            }
        }
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if let Some(min) = schema.min_length.filter(|min| length < *min) {
            self.add(
                path,
                format!("is too short: it needs at least {min} characters"),
            );
        }
        if let Some(max) = schema.max_length.filter(|max| length > *max) {
            self.add(
                path,
                format!("has {length} characters; at most {max} are allowed"),
            );
        }
        if let Some(pattern) = &schema.pattern
            && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            self.add(path, format!("does not match {pattern}"));
        }
    }

    fn number(&mut self, path: &str, number: Option<f64>, schema: &JSONSchemaProps) {
        let Some(number) = number else { return };
        let low = schema.minimum.is_some_and(|min| number < min);
        let high = schema.maximum.is_some_and(|max| number > max);
        if low || high {
            let bound =
                |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
            let (min, max) = (bound(schema.minimum), bound(schema.maximum));
            self.add(path, format!("{number} is not between {min} and {max}"));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

/// Returns the most similar name, or the list of names.
fn suggestion(written: &str, known: &[&str]) -> String {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(&plain(written), &plain(name)), name))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((likeness, name)) if likeness >= ALIKE => format!("; did you mean {name}?"),
        Some(_) if known.len() <= NAMES_MAX => format!("; expected one of: {}", known.join(", ")),
        _ => String::new(),
    }
}

/// Returns the type of a value without the value, which may be a password.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
