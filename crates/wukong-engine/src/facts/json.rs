//! Reads objects as JSON of any form.

use super::text::Text;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use wukong_api::Bytes;

/// The text at a pointer; empty where there is none.
pub(crate) fn text(object: &Value, pointer: &str) -> Text {
    optional_text(object, pointer).unwrap_or_default()
}

/// The text at a pointer, unless it is absent or empty.
pub(crate) fn optional_text(object: &Value, pointer: &str) -> Option<Text> {
    let text = object.pointer(pointer)?.as_str()?;
    (!text.is_empty()).then(|| printable(text))
}

/// Text from elsewhere, such as a name that the guest reports, without characters that a terminal would interpret.
pub(crate) fn printable(text: &str) -> Text {
    text.replace(char::is_control, " ").into()
}

/// The flag at a pointer; absent is false.
pub(crate) fn flag(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_bool) == Some(true)
}

/// The number at a pointer; absent is 0.
pub(crate) fn number(object: &Value, pointer: &str) -> u64 {
    object
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// The members of the list at a pointer.
pub(crate) fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The members of the list of texts at a pointer.
pub(crate) fn texts(object: &Value, pointer: &str) -> Vec<Text> {
    list(object, pointer)
        .filter_map(Value::as_str)
        .map(printable)
        .collect()
}

/// The entries of the object at a pointer.
pub(crate) fn entries<'a>(
    object: &'a Value,
    pointer: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object
        .pointer(pointer)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The entries with text of the object at a pointer: labels, a selector.
pub(crate) fn text_map(object: &Value, pointer: &str) -> BTreeMap<Text, Text> {
    entries(object, pointer)
        .filter_map(|(key, value)| Some((key.into(), printable(value.as_str()?))))
        .collect()
}

/// The point in time at a pointer.
pub(crate) fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    object.pointer(pointer)?.as_str()?.parse().ok()
}

/// A quantity as a whole number: bytes, or pieces of a device (`1k` is a thousand).
pub(crate) fn whole(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some(text) => Bytes::parse(text).map(|bytes| bytes.0),
        None => value.as_u64(),
    }
}

/// A quantity of CPU as thousandths: `200m`, `0.5`, `4`.
pub(crate) fn milli(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else {
        return value.as_u64().and_then(|cpus| cpus.checked_mul(1000));
    };
    match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().ok(),
        // The remaining spellings are few digits, far from where floating point loses any; the cast saturates.
        None => match text.parse::<f64>() {
            Ok(cpus) => Some((cpus * 1000.0).round() as u64),
            Err(_) => whole(value).and_then(|cpus| cpus.checked_mul(1000)),
        },
    }
}

/// The value as a type of ours; `None` when it is absent or has another form.
pub(crate) fn typed<'a, T: Deserialize<'a>>(value: Option<&'a Value>) -> Option<T> {
    T::deserialize(value?).ok()
}
