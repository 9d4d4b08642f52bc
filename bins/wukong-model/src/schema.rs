//! Values generated from the schema of the CustomResourceDefinition.

use std::sync::LazyLock;

use fastrand::Rng;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};
use wukong_api::Wukong;

/// The schema of the spec.
pub static SPEC: LazyLock<Value> = LazyLock::new(|| {
    let crd = serde_json::to_value(Wukong::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
});

/// Texts that mean something somewhere in a spec.
const TEXTS: [&str; 36] = [
    "a",
    "lan",
    "web",
    "root",
    "data",
    "eth1",
    "br-lan",
    "10.0.0.5/24",
    "10.0.0.1",
    "10.99.0.0/16",
    "fd00::5/64",
    "fd00::1",
    "192.168.1.7/24",
    "02:00:00:00:00:01",
    "02:00:00:00:00:02",
    "lan.example",
    "fedora:41",
    "ubuntu:24.04",
    "https://images.example.com/a.qcow2",
    "docker://registry.example.com/a:1",
    "s3://bucket/a.qcow2",
    "1Gi",
    "2Gi",
    "20Gi",
    "64Mi",
    "1.5G",
    "intel.com/vf",
    "macvtap.network.kubevirt.io/eth1",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqd7C4cR6mXxR3q7c0e0lqA a@b",
    "$6$salt$hash",
    "golden",
    "fast",
    "keys",
    "zone",
    "Exists",
    "md5:0123456789abcdef0123456789abcdef",
];

/// Texts that break careless code.
const HOSTILE: [&str; 24] = [
    "",
    " ",
    "\n",
    "a\nb: c",
    "\"",
    "'",
    "\\",
    "../../etc/passwd",
    "\u{0}",
    "\u{1b}[31m",
    "${a}",
    "{{a}}",
    "-1",
    "0",
    "1e30Gi",
    "9223372036854775808",
    "0x10",
    "::",
    "10.0.0.0/33",
    "ff:ff:ff:ff:ff:ff",
    "é\u{202e}x",
    "http://user:secret@host/a",
    "http://169.254.169.254/latest",
    "%s%n",
];

/// Makes values.
#[derive(Debug)]
pub struct Generator {
    pub random: Rng,
    /// Whether values may be outside what users would write.
    pub hostile: bool,
}

impl Generator {
    pub fn new(seed: u64, hostile: bool) -> Self {
        Self {
            random: Rng::with_seed(seed),
            hostile,
        }
    }

    /// A value of this schema; for hostile generators, rarely of another.
    pub fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if self.hostile && self.random.usize(..200) == 0 {
            return self.anything(2);
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[self.random.usize(..values.len())].clone();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let most = schema["maxItems"].as_u64().unwrap_or(64).min(3);
                let many = self.hostile && self.random.usize(..300) == 0;
                let count = if many { 300 } else { self.random.u64(..=most) };
                let items = (0..count).map(|_| self.value(&schema["items"], depth + 1));
                items.collect()
            }
            Some("boolean") => json!(self.random.bool()),
            Some("integer" | "number") => self.number(schema),
            _ if schema["x-kubernetes-int-or-string"] == true && self.random.bool() => {
                json!(self.random.u32(..100))
            }
            _ => json!(self.text()),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required = schema["required"].as_array();
        let is_required = |name: &str| required.is_some_and(|all| all.contains(&json!(name)));
        let mut object = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if is_required(name) || self.random.usize(..2 + depth) == 0 {
                let value = self.value(schema, depth + 1);
                object.insert(name.clone(), value);
            }
        }
        let others = &schema["additionalProperties"];
        if others.is_object() {
            for _ in 0..self.random.usize(..3) {
                object.insert(self.text(), self.value(others, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn number(&mut self, schema: &Value) -> Value {
        let bound =
            |name: &str, default: i64| schema[name].as_f64().map_or(default, |it| it as i64);
        let (least, most) = (bound("minimum", 0), bound("maximum", 10_000));
        if self.hostile && self.random.usize(..20) == 0 {
            let numbers = [i64::MIN, -1, 0, i64::MAX, i64::from(u32::MAX)];
            return json!(numbers[self.random.usize(..numbers.len())]);
        }
        match self.random.usize(..4) {
            0 => json!(least),
            1 => json!(most),
            _ => json!(self.random.i64(least..=most.max(least))),
        }
    }

    fn text(&mut self) -> String {
        if self.hostile && self.random.usize(..4) == 0 {
            return match self.random.usize(..10) {
                0 => "x".repeat(self.random.usize(..5000)),
                1 => (0..self.random.usize(..40))
                    .map(|_| self.random.char(..))
                    .collect(),
                _ => HOSTILE[self.random.usize(..HOSTILE.len())].to_owned(),
            };
        }
        TEXTS[self.random.usize(..TEXTS.len())].to_owned()
    }

    fn anything(&mut self, depth: usize) -> Value {
        match self.random.usize(..if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.random.bool()),
            2 => json!(self.random.i64(..)),
            3 => json!(self.random.f64() * 1e20),
            4 => json!(self.text()),
            5 => (0..self.random.usize(..4))
                .map(|_| self.anything(depth - 1))
                .collect(),
            _ => {
                let pairs = 0..self.random.usize(..4);
                let pairs = pairs.map(|_| (self.text(), self.anything(depth - 1)));
                Value::Object(pairs.collect())
            }
        }
    }

    /// Changes a field somewhere in a value of this schema, or removes it. Returns its path, without positions in lists.
    pub fn edit(&mut self, value: &mut Value, schema: &Value) -> String {
        let descend = self.random.usize(..3) > 0;
        if let (Some(items), true) = (value.as_array_mut(), descend)
            && !items.is_empty()
        {
            let index = self.random.usize(..items.len());
            return format!("[]{}", self.edit(&mut items[index], &schema["items"]));
        }
        let properties = schema["properties"].as_object();
        if let (Some(properties), Some(object)) = (properties, value.as_object_mut()) {
            let names: Vec<&String> = properties.keys().collect();
            let name = names[self.random.usize(..names.len())];
            let schema = &properties[name];
            let rest = match object.get_mut(name) {
                Some(inner) if inner.is_object() || inner.is_array() => self.edit(inner, schema),
                Some(_) if self.random.usize(..4) == 0 => {
                    object.remove(name);
                    String::new()
                }
                _ => {
                    let new = self.value(schema, 3);
                    object.insert(name.clone(), new);
                    String::new()
                }
            };
            return format!(".{name}{rest}");
        }
        *value = self.value(schema, 2);
        String::new()
    }
}

/// The paths of all fields of a schema, as [`Generator::edit`] writes them.
pub fn paths(schema: &Value, path: &str, all: &mut Vec<String>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        paths(schema, &path, all);
        if schema["items"].is_object() {
            paths(&schema["items"], &format!("{path}[]"), all);
        }
        all.push(path);
    }
}
