//! When the admission policies of `deploy/policies` are in force.

use anyhow::Result;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::wait::{CONTROL_PLANE_DEADLINE, eventually};

/// Waits until the API server holds Wukongs to WukongPolicies. Before, it does not know the policies, or refuses every
/// Wukong because it does not know their parameters.
pub(crate) async fn in_force(client: &Client) -> Result<()> {
    let name = "nothing-in-default-yet";
    let probe = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongPolicy", "metadata": {"name": name},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            "limits": {"cpu": 1},
        },
    });
    let wukong = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "metadata": {"name": "probe"},
        "spec": {"cpu": 2, "memory": "1Gi"},
    });
    let policies: Api<DynamicObject> =
        Api::all_with(client.clone(), &resource("WukongPolicy", "wukongpolicies"));
    let wukongs: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &resource("Wukong", "wukongs"));
    policies
        .create(&PostParams::default(), &object(probe)?)
        .await?;
    let wukong = object(wukong)?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually(
        "WukongPolicies are in force",
        CONTROL_PLANE_DEADLINE,
        async || match wukongs.create(&dry_run, &wukong).await {
            Err(kube::Error::Api(status)) if status.message.contains("allows at most 1") => Ok(()),
            other => Err(other.map(drop)),
        },
    )
    .await?;
    policies.delete(name, &DeleteParams::default()).await?;
    Ok(())
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("vm.novasphere.dev", "v1alpha1", kind),
        plural,
    )
}

fn object(value: Value) -> Result<DynamicObject> {
    Ok(serde_json::from_value(value)?)
}
