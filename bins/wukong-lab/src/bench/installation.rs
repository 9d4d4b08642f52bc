//! The objects of a measured cluster besides its VMs: KubeVirt, CDI, storage classes, nodes, and objects of others.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use wukong_sim::Cluster;
use wukong_sim::kind::{Kind, Ref};

use super::bare;
use crate::sim::execute::api_resource;

const CONCURRENCY: usize = 32;
const RETRY: Duration = Duration::from_millis(200);
/// The API server accepts pods as soon as their namespace has a service account.
const ATTEMPTS: usize = 150;
/// Objects of others in one namespace.
const FOREIGN_IN_NAMESPACE: usize = 500;

/// Installs everything on so many nodes, and returns their names.
pub async fn install(client: &Client, nodes: usize) -> Result<Vec<String>> {
    let names: Vec<String> = (1..=nodes).map(|number| format!("node-{number}")).collect();
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let cluster = Cluster::installed(Timestamp::now(), 1, &borrowed);
    let spaces = Kind::ALL
        .into_iter()
        .flat_map(|kind| cluster.world().refs(kind));
    let spaces: BTreeSet<&str> = spaces.map(|at| at.namespace.as_str()).collect();
    let spaces = spaces.into_iter().filter(|space| !space.is_empty());
    write_all(client, spaces.map(namespace)).await?;
    let first = [Kind::StorageClass, Kind::Node];
    let others = Kind::ALL.into_iter().filter(|kind| !first.contains(kind));
    for kind in first.into_iter().chain(others) {
        let objects = cluster.world().refs(kind).filter_map(|at| {
            let object = cluster.get(kind, &at.namespace, &at.name)?;
            Some((at.clone(), object.clone()))
        });
        write_all(client, objects).await?;
    }
    Ok(names)
}

/// Creates so many claims, and as many pods, that belong to others.
pub async fn foreign(client: &Client, count: usize) -> Result<()> {
    let space = |number: usize| format!("foreign-{}", number / FOREIGN_IN_NAMESPACE);
    let object = |number: usize, kind: Kind| {
        let resource = kind.resource();
        let spec = match kind {
            Kind::Claim => json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "resources": {"requests": {"storage": "1Gi"}}}),
            _ => json!({"automountServiceAccountToken": false,
                "containers": [{"name": "main", "image": "registry.example.com/app:1"}]}),
        };
        let at = Ref::new(kind, space(number), format!("foreign-{number}"));
        let object = json!({"apiVersion": resource.api_version(), "kind": resource.kind,
            "metadata": {"name": at.name, "namespace": at.namespace}, "spec": spec});
        (at, object)
    };
    let spaces = (0..count).step_by(FOREIGN_IN_NAMESPACE).map(space);
    write_all(client, spaces.map(|space| namespace(&space))).await?;
    for kind in [Kind::Claim, Kind::Pod] {
        write_all(client, (0..count).map(|number| object(number, kind))).await?;
    }
    Ok(())
}

fn namespace(name: &str) -> (Ref, Value) {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    (Ref::new(Kind::Namespace, "", name), object)
}

async fn write_all(client: &Client, objects: impl Iterator<Item = (Ref, Value)>) -> Result<()> {
    stream::iter(objects)
        .map(Ok)
        .try_for_each_concurrent(CONCURRENCY, async |(at, object)| {
            write(client, &at, object)
                .await
                .with_context(|| format!("creating {at}"))
        })
        .await
}

/// Creates an object with its status.
async fn write(client: &Client, at: &Ref, mut object: Value) -> Result<()> {
    let resource = api_resource(at.kind);
    let api: Api<DynamicObject> = if at.kind.is_namespaced() {
        Api::namespaced_with(client.clone(), &at.namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    };
    bare::remove_metadata(
        &mut object,
        &[
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "ownerReferences",
        ],
    );
    let status = object
        .get("status")
        .filter(|status| !status.is_null())
        .cloned();
    let object: DynamicObject = serde_json::from_value(object)?;
    let mut attempt = 1;
    loop {
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => break,
            Err(kube::Error::Api(answer)) if answer.code == 409 => break,
            Err(kube::Error::Api(answer)) if answer.code == 403 && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let params = PatchParams::default();
    if let Some(status) = status {
        let patch = Patch::Merge(json!({"status": status}));
        if at.kind.has_status_subresource() && at.kind != Kind::Namespace {
            api.patch_status(&at.name, &params, &patch).await?;
        }
    }
    if at.kind == Kind::Node {
        // The API server taints new nodes until a controller reports that they are ready.
        let patch = Patch::Merge(json!({"spec": {"taints": null}}));
        api.patch(&at.name, &params, &patch).await?;
    }
    Ok(())
}
