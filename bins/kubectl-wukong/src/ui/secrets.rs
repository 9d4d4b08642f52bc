//! Secrets of a manifest never reach the browser. What the page sends back in their place stands for the stored ones.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::redact::{LAST_APPLIED, REDACTED};

/// Puts the stored secrets where the page shows none.
pub fn restore(object: &mut Value, stored: &DynamicObject) {
    if let (Some(spec), Some(known)) = (object.get_mut("spec"), stored.data.get("spec")) {
        put_back(spec, known);
    }
}

fn put_back(value: &mut Value, stored: &Value) {
    match (value, stored) {
        (Value::String(text), Value::String(known)) if text == REDACTED => {
            text.clone_from(known);
        }
        (Value::Object(fields), Value::Object(known)) => {
            for (name, value) in fields {
                if let Some(known) = known.get(name) {
                    put_back(value, known);
                }
            }
        }
        _ => {}
    }
}

/// Returns the annotations of `new`, and those of `stored` that the page does not show.
pub fn kept_annotations(
    stored: &DynamicObject,
    new: &DynamicObject,
) -> Option<BTreeMap<String, String>> {
    let mut annotations = new.annotations().clone();
    if let Some(text) = stored.annotations().get(LAST_APPLIED) {
        annotations.insert(LAST_APPLIED.into(), text.clone());
    }
    Some(annotations).filter(|annotations| !annotations.is_empty())
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use serde_json::json;
    use wukong_api::Wukong;

    use super::*;
    use crate::redact::redact;

    #[test]
    fn what_was_hidden_comes_back_and_what_was_changed_stays() {
        let user =
            json!({"cloudInitUser": {"name": "me", "password": "hunter2", "passwordHash": "$6$x"}});
        let mut stored = DynamicObject::new("web", &ApiResource::erase::<Wukong>(&()));
        stored.data = json!({"spec": user});
        let mut sent = stored.data.clone();
        redact(&mut sent);
        assert!(!sent.to_string().contains("hunter2"));
        sent["spec"]["cloudInitUser"]["passwordHash"] = json!("$6$new");
        restore(&mut sent, &stored);
        let mut expected = stored.data.clone();
        expected["spec"]["cloudInitUser"]["passwordHash"] = json!("$6$new");
        assert_eq!(sent, expected);
    }
}
