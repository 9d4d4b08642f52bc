//! The objects that a cluster has from the start: namespaces, nodes, storage classes, webhooks, the aggregated API.

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{subresources, webhook};
use wukong_sim::cdi;
use wukong_sim::field::{Field, place, text};
use wukong_sim::installation::{KUBEVIRT_NAMESPACE, LOCAL_PATH_NAMESPACE, healthy_node};

const MANAGER: &str = "wukong-lab-simulator";

/// Creates or replaces all of them, over those of an earlier simulator.
pub async fn cluster(client: &Client, names: &[String], port: u16, authority: &str) -> Result<()> {
    for namespace in [KUBEVIRT_NAMESPACE, "cdi", LOCAL_PATH_NAMESPACE] {
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        apply(client, "namespaces", "", object).await?;
    }
    for (class, _) in cdi::offered() {
        apply(client, "storageclasses", "", class).await?;
    }
    for name in names {
        make_node(client, name).await?;
    }
    for (plural, object) in webhook::configurations(port, authority) {
        apply(client, plural, "", object).await?;
    }
    for (plural, namespace, object) in subresources::registration(port, authority) {
        apply(client, plural, namespace, object).await?;
    }
    Ok(())
}

fn api(client: &Client, plural: &str, namespace: &str, object: &Value) -> Api<DynamicObject> {
    let text = |key: &str| text(object, key);
    let (group, version) = text("apiVersion")
        .split_once('/')
        .unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(group, version, text("kind")),
        plural,
    );
    if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

async fn apply(client: &Client, plural: &str, namespace: &str, object: Value) -> Result<()> {
    let name = Field::new("", &object).child("metadata").name().to_owned();
    api(client, plural, namespace, &object)
        .patch(
            &name,
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(&object),
        )
        .await
        .with_context(|| format!("setting up {plural} {name}"))?;
    Ok(())
}

/// Makes a ready node: the API server taints new nodes until a controller reports that they are ready.
async fn make_node(client: &Client, name: &str) -> Result<()> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut object = healthy_node(name, &now);
    let status = place(&mut object, ["status"]).take();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    apply(client, "nodes", "", object.clone()).await?;
    let nodes = api(client, "nodes", "", &object);
    let parameters = PatchParams::default();
    nodes
        .patch_status(name, &parameters, &Patch::Merge(json!({"status": status})))
        .await?;
    nodes
        .patch(
            name,
            &parameters,
            &Patch::Merge(json!({"spec": {"taints": null}})),
        )
        .await?;
    Ok(())
}
