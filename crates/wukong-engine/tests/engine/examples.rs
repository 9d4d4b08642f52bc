//! Each example manifest, and every object that becomes of it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::support::manifests::{examples, rendered};

#[test]
fn every_object_of_every_example() {
    for (name, wukong) in examples() {
        insta::assert_yaml_snapshot!(name, readable(rendered(&wukong)));
    }
}

/// With the data of Secrets as text.
fn readable(mut objects: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    for (name, object) in &mut objects {
        if name.starts_with("Secret/") {
            let secret: Secret = serde_json::from_value(object.clone()).unwrap();
            let data = secret.data.unwrap().into_iter();
            object["data"] = data
                .map(|(key, bytes)| (key, Value::from(String::from_utf8(bytes.0).unwrap())))
                .collect();
        }
    }
    objects
}
