//! Access to parts of JSON values.

use serde_json::Value;

/// The part at a JSON pointer such as `/status/phase`; null if there is none.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    const NONE: &Value = &Value::Null;
    value.pointer(pointer).unwrap_or(NONE)
}

/// Sets a field of an object. Does nothing if the value is no object.
pub(crate) fn set(value: &mut Value, field: &str, to: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(field.to_owned(), to);
    }
}
