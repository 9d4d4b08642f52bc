//! The API reference as Markdown, one row per field, from the schema of the CustomResourceDefinition.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// Renders every field of `spec` and `status` with its path, type, bounds and description.
pub fn markdown(crds: &[CustomResourceDefinition]) -> String {
    let mut text = String::from(
        "<!-- Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit. -->\n\n# API reference\n\n\
         Fields in bold are required.\n",
    );
    for crd in crds {
        kind_of(crd, &mut text);
    }
    text
}

fn kind_of(crd: &CustomResourceDefinition, text: &mut String) {
    let Some(version) = crd.spec.versions.first() else {
        return;
    };
    let names = &crd.spec.names;
    let schema = version
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref());
    let _ = write!(
        text,
        "\n## {}\n\n`{}/{}`, short name `{}`, {}. {}\n",
        names.kind,
        crd.spec.group,
        version.name,
        names
            .short_names
            .iter()
            .flatten()
            .next()
            .map_or("", String::as_str),
        match crd.spec.scope.as_str() {
            "Cluster" => "of the cluster",
            _ => "namespaced",
        },
        schema
            .and_then(|schema| schema.description.as_deref())
            .unwrap_or_default(),
    );
    let sections = schema.and_then(|schema| schema.properties.as_ref());
    for section in ["spec", "status"] {
        let Some(schema) = sections.and_then(|sections| sections.get(section)) else {
            continue;
        };
        let _ = write!(
            text,
            "\n### {section}\n\n{}\n",
            schema.description.as_deref().unwrap_or_default()
        );
        text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
        rows(section, schema, text);
    }
}

fn rows(path: &str, schema: &JSONSchemaProps, text: &mut String) {
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let item = match &field.items {
            Some(JSONSchemaPropsOrArray::Schema(item)) => Some(item.as_ref()),
            _ => None,
        };
        let here = format!("{path}.{name}{}", if item.is_some() { "[]" } else { "" });
        let shown = if required.contains(name) {
            format!("**`{here}`**")
        } else {
            format!("`{here}`")
        };
        let mut meaning = description(field);
        for rule in field
            .x_kubernetes_validations
            .iter()
            .chain(item.and_then(|item| item.x_kubernetes_validations.as_ref()))
            .flatten()
        {
            let _ = write!(
                meaning,
                " *Refused otherwise: {}.*",
                rule.message.as_deref().unwrap_or(&rule.rule)
            );
        }
        let _ = writeln!(text, "| {shown} | {} | {meaning} |", kind(field));
        rows(&here, item.unwrap_or(field), text);
    }
}

fn description(schema: &JSONSchemaProps) -> String {
    schema
        .description
        .as_deref()
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|")
}

fn kind(schema: &JSONSchemaProps) -> String {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return "quantity".into();
    }
    let named =
        |value: &k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON| {
            match &value.0 {
                serde_json::Value::String(text) => format!("`{text}`"),
                other => format!("`{other}`"),
            }
        };
    if let Some(values) = &schema.enum_ {
        let values: Vec<String> = values
            .iter()
            .filter(|value| !value.0.is_null())
            .map(named)
            .collect();
        return values.join(", ");
    }
    let mut kind = schema.type_.clone().unwrap_or_default();
    if let (Some(minimum), Some(maximum)) = (schema.minimum, schema.maximum) {
        let _ = write!(kind, " {minimum}..={maximum}");
    }
    if let Some(length) = schema.max_length {
        let _ = write!(kind, " ≤ {length}");
    }
    if let Some(items) = schema.max_items {
        let _ = write!(kind, " ≤ {items} items");
    }
    kind
}
