//! A quantity as the user wrote it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A Kubernetes quantity such as `4Gi`, `1.5G` or `2e9`, kept as it was written. Whole numbers may stand without
/// quotes. [`crate::validate`] parses it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Quantity(pub String);

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrString {
            Int(i64),
            // What YAML makes of `2e9`.
            Float(f64),
            String(String),
        }
        Ok(match NumberOrString::deserialize(deserializer)? {
            NumberOrString::Int(number) => Self(number.to_string()),
            NumberOrString::Float(number) => Self(number.to_string()),
            NumberOrString::String(text) => Self(text),
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 64 })
    }
}
