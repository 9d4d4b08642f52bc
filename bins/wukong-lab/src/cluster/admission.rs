//! When the admission policies of `deploy/policies` are in force.

use anyhow::Result;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::{from_value, json};
use wukong_api::Wukong;
use wukong_api::policy::WukongPolicy;

use super::wait::{CONTROL_PLANE_DEADLINE, eventually};

/// Waits until the API server holds Wukongs to WukongPolicies. Before, it does not know the policies, or refuses every
/// Wukong because it does not know their parameters.
pub(crate) async fn in_force(client: &Client) -> Result<()> {
    let name = "nothing-in-default-yet";
    let only_default = json!({"matchLabels": {"kubernetes.io/metadata.name": "default"}});
    let spec = json!({"namespaceSelector": only_default, "limits": {"cpu": 1}});
    let policy = WukongPolicy::new(name, from_value(spec)?);
    let spec = json!({"cpu": 2, "memory": "1Gi"});
    let wukong = Wukong::new("probe", from_value(spec)?);

    let policies: Api<WukongPolicy> = Api::all(client.clone());
    let wukongs: Api<Wukong> = Api::namespaced(client.clone(), "default");
    policies.create(&PostParams::default(), &policy).await?;
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
