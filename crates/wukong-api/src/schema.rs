//! Changes to the generated JSON schemas.

use schemars::Schema;
use schemars::transform::transform_subschemas;

/// Replaces the integer formats that Kubernetes does not know by the smallest one that it knows and that holds every
/// value. The API server warns about any other (`unrecognized format "uint32"`) and ignores it.
pub fn kubernetes_formats(schema: &mut Schema) {
    let format = match schema.get("format").and_then(|format| format.as_str()) {
        Some("int8" | "int16" | "uint8" | "uint16") => Some("int32"),
        Some("int" | "uint" | "uint32" | "uint64") => Some("int64"),
        _ => None,
    };
    if let Some(format) = format {
        schema.insert("format".to_owned(), format.into());
    }
    transform_subschemas(&mut kubernetes_formats, schema);
}

/// An object with any fields.
pub(crate) fn any_object(_: &mut schemars::SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}
