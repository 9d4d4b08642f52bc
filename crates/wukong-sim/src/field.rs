//! Reading JSON objects as Go structs are read: absent and `null` are the zero value, and every place knows its path
//! for messages.

use serde_json::{Map, Value};

use crate::quantity::Quantity;

static ABSENT: Value = Value::Null;

/// A place in an object: its path, and the value there (`null` when there is none).
#[derive(Clone, Debug)]
pub struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    /// The root of an object, or a part of one that is called `path` in messages.
    pub fn new(path: impl Into<String>, value: &'a Value) -> Self {
        Self {
            path: path.into(),
            value,
        }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The JSON value.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The place below a key.
    pub fn child(&self, key: &str) -> Self {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Self {
            path,
            value: self.value.get(key).unwrap_or(&ABSENT),
        }
    }

    /// The place below, given as keys joined by dots.
    pub fn at(&self, keys: &str) -> Self {
        keys.split('.')
            .fold(self.clone(), |field, key| field.child(key))
    }

    /// The items of a list.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let path = self.path.clone();
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().enumerate().map(move |(index, value)| Self {
            path: format!("{path}[{index}]"),
            value,
        })
    }

    /// The entries of an object.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there is a value.
    pub fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// The length of a list.
    pub fn count(&self) -> usize {
        self.value.as_array().map_or(0, Vec::len)
    }

    /// The text here, or an empty one.
    pub fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The text below `name`.
    pub fn name(&self) -> &'a str {
        self.child("name").text()
    }

    /// The boolean here.
    pub fn flag(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// Whether `true` is here.
    pub fn is_true(&self) -> bool {
        self.flag() == Some(true)
    }

    /// The integer here, or 0.
    pub fn integer(&self) -> i64 {
        self.value.as_i64().unwrap_or_default()
    }

    /// The whole units of the quantity here, such as bytes; 0 when there is none.
    pub fn units(&self) -> i64 {
        self.quantity().value()
    }

    /// The quantity here; zero when there is none or when it cannot be read (decoding refused it before).
    pub(crate) fn quantity(&self) -> Quantity {
        Quantity::from_json(self.value).unwrap_or_default()
    }

    /// How many of `keys` are set here.
    pub fn set_among(&self, keys: &[&str]) -> usize {
        keys.iter().filter(|key| self.child(key).is_set()).count()
    }
}

/// The text below a key of a JSON object; empty when there is none.
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The place below these keys, with the objects on the way made.
pub fn place<'a, const N: usize>(object: &'a mut Value, path: [&str; N]) -> &'a mut Value {
    path.into_iter().fold(object, |below, key| {
        if !below.is_object() {
            *below = Value::Object(Map::new());
        }
        match below {
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            other => other,
        }
    })
}

/// Puts a value below these keys.
pub fn put<const N: usize>(object: &mut Value, path: [&str; N], value: impl Into<Value>) {
    *place(object, path) = value.into();
}
