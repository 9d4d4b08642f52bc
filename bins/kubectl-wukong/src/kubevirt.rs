//! The VirtualMachineInstance of a Wukong.

use kube::Api;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::cluster::{self, Cluster};

/// The fields of a VirtualMachineInstance that the commands need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    pub uid: String,
    pub phase: String,
    pub node: Option<String>,
    pub paused: bool,
    /// The latest migration.
    pub migration: Option<Migration>,
}

/// A migration of a guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Migration {
    pub uid: String,
    pub completed: bool,
    pub failed: bool,
}

/// Returns the API of the VirtualMachineInstances in the namespace.
pub fn instances(cluster: &Cluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("kubevirt.io", "v1", "VirtualMachineInstance");
    let resource = ApiResource::from_gvk(&kind);
    Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource)
}

/// Reads the VirtualMachineInstance of that name; `None` if it does not exist.
pub async fn instance(cluster: &Cluster, name: &str) -> anyhow::Result<Option<Instance>> {
    let object = instances(cluster)
        .get_opt(name)
        .await
        .map_err(|error| match error {
            kube::Error::Api(status) if status.code != 404 => anyhow::anyhow!("{}", status.message),
            error => cluster::readable(error),
        })?;
    Ok(object.as_ref().map(Instance::of))
}

impl Instance {
    /// Extracts the fields of an object.
    pub fn of(object: &DynamicObject) -> Self {
        let status = object.data.get("status").unwrap_or(&Value::Null);
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(String::from);
        let flag = |value: &Value, key: &str| value.get(key).and_then(Value::as_bool) == Some(true);
        let conditions = status.get("conditions").and_then(Value::as_array);
        let paused = conditions.into_iter().flatten().any(|condition| {
            text(condition, "type").as_deref() == Some("Paused")
                && text(condition, "status").as_deref() == Some("True")
        });
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            phase: text(status, "phase").unwrap_or_default(),
            node: text(status, "nodeName"),
            paused,
            migration: status.get("migrationState").map(|state| Migration {
                uid: text(state, "migrationUid").unwrap_or_default(),
                completed: flag(state, "completed"),
                failed: flag(state, "failed"),
            }),
        }
    }
}
