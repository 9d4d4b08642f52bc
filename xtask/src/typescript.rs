//! The types of a Wukong in TypeScript, for the page of `kubectl wukong ui`.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

const HEADER: &str = "// Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit.\n";

/// Returns the interfaces of the halves of a kind.
pub fn interfaces(crd: &CustomResourceDefinition) -> String {
    let mut text = HEADER.to_owned();
    let schema = crd.spec.versions.first().and_then(|version| {
        let schema = version.schema.as_ref()?;
        schema.open_api_v3_schema.as_ref()
    });
    let properties = schema.and_then(|schema| schema.properties.as_ref());
    for half in ["spec", "status"] {
        if let Some(schema) = properties.and_then(|properties| properties.get(half)) {
            let name = format!("{}{}", crd.spec.names.kind, capital(half));
            // Writing into a string cannot fail.
            let _ = write!(text, "\nexport interface {name} {}\n", object(schema, 0));
        }
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn type_of(schema: &JSONSchemaProps, depth: usize) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "string | number".into();
    }
    if let Some(values) = &schema.enum_ {
        let names = values.iter().filter_map(|value| value.0.as_str());
        return names
            .map(|name| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(" | ");
    }
    match (schema.type_.as_deref(), &schema.additional_properties) {
        (Some("object"), Some(JSONSchemaPropsOrBool::Schema(values))) => {
            format!("Record<string, {}>", type_of(values, depth))
        }
        (Some("object"), _) => object(schema, depth),
        (Some("array"), _) => match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(each)) => format!("({})[]", type_of(each, depth)),
            _ => "unknown[]".into(),
        },
        (Some("integer" | "number"), _) => "number".into(),
        (Some("boolean"), _) => "boolean".into(),
        (Some("string"), _) => "string".into(),
        _ => "unknown".into(),
    }
}

fn object(schema: &JSONSchemaProps, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let required = schema.required.as_deref().unwrap_or_default();
    let fields = schema.properties.iter().flatten().map(|(name, field)| {
        let mark = if required.contains(name) { "" } else { "?" };
        format!("{indent}{name}{mark}: {};\n", type_of(field, depth + 1))
    });
    format!("{{\n{}{}}}", fields.collect::<String>(), "  ".repeat(depth))
}
