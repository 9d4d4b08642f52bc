//! Redacts secrets in objects that leave the cluster.

use serde_json::Value;
use wukong_api::labels;

/// Replaces a secret. It begins like a crypt(3) string, so that a password hash stays valid.
pub const REDACTED: &str = "$REDACTED";

/// Fields with a text that is a secret, or may hold one: passwords of Wukongs, cloud-init data inside VirtualMachines. The
/// certificates of webhooks are public, and no rule reads them.
const SECRET: &[&str] = &[
    "password",
    "passwordHash",
    "userData",
    "userDataBase64",
    "networkData",
    "networkDataBase64",
    "caBundle",
];

/// The annotation in which kubectl keeps the whole manifest, secrets included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Replaces secrets in an object of any kind.
pub fn redact(object: &mut Value) {
    match object {
        Value::Object(fields) => {
            fields.remove(LAST_APPLIED);
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if is_secret(name) => REDACTED.clone_into(text),
                    Value::Array(variables) if name == "env" => {
                        variables.iter_mut().for_each(redact_variable)
                    }
                    other => redact(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

/// Returns whether a field holds a secret or a hash of one, in `status.firstBoot` or an annotation of the VirtualMachine:
/// a hash reveals a weak password.
fn is_secret(name: &str) -> bool {
    let field = name.rsplit('.').next().unwrap_or(name);
    SECRET.contains(&field) || name == labels::CLOUD_INIT_HASH
}

/// The environment of a container: names stay, values go.
fn redact_variable(variable: &mut Value) {
    if let Some(value) = variable.get_mut("value") {
        *value = REDACTED.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let mut object = json!({
            "metadata": {"name": "web", "annotations": {LAST_APPLIED: "hunter2", labels::CLOUD_INIT_HASH: "4a5b", "a": "b"}},
            "spec": {
                "cloudInitUser": {"name": "me", "password": "hunter2", "passwordHash": "$6$hunter2"},
                "volumes": [{"cloudInitNoCloud": {"userData": "hunter2", "secretRef": {"name": "s"}}}],
                "fields": {"spec.cloudInitUser.password": "4a5b", "spec.cloudInitUser.name": "c0de"},
                "containers": [{"env": [{"name": "TOKEN", "value": "hunter2"}], "image": "x"}],
            },
        });
        redact(&mut object);
        assert_eq!(
            object,
            json!({
                "metadata": {"name": "web", "annotations": {labels::CLOUD_INIT_HASH: REDACTED, "a": "b"}},
                "spec": {
                    "cloudInitUser": {"name": "me", "password": REDACTED, "passwordHash": REDACTED},
                    "volumes": [{"cloudInitNoCloud": {"userData": REDACTED, "secretRef": {"name": "s"}}}],
                    "fields": {"spec.cloudInitUser.password": REDACTED, "spec.cloudInitUser.name": "c0de"},
                    "containers": [{"env": [{"name": "TOKEN", "value": REDACTED}], "image": "x"}],
                },
            })
        );
    }
}
