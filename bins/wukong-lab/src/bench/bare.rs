//! A client that only sends prepared requests: what latencies and rates are held against.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, Request};
use kube::core::ApiResource;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use wukong_sim::kind::Kind;

use super::fleet::{CHILDREN, Created, Fleet, owner, wukongs};
use crate::cluster::audit::Requests;
use crate::sim::execute::api_resource;

/// The user agent of these requests in the audit log.
pub const AGENT: &str = "wukong-bench-bare";
/// The namespace of objects that belong to no Wukong.
const NAMESPACE: &str = "bare";
/// The operator's own limit of requests under way.
const CONCURRENCY: usize = 32;
/// Events for one Wukong until it runs.
const EVENTS: usize = 3;
/// Status writes for one Wukong until it runs.
const STATUSES: i64 = 3;
/// Requests for one Wukong.
pub const WRITES: usize = CHILDREN + STATUSES as usize + EVENTS;
/// Watch parameters that a LIST does not have.
const OF_WATCHES: [&str; 6] = [
    "watch",
    "sendInitialEvents",
    "resourceVersionMatch",
    "allowWatchBookmarks",
    "timeoutSeconds",
    "resourceVersion",
];

/// The requests for one Wukong, as the operator sent them for a first one.
pub struct Prepared {
    specimen: Created,
    disks_and_others: Vec<(Kind, Value)>,
    vm: Value,
    status: Value,
}

impl Prepared {
    /// Reads the children and the status of a Wukong that runs.
    pub async fn of(client: &Client, specimen: Created) -> Result<Self> {
        let mut children = Vec::new();
        for kind in [Kind::DataVolume, Kind::Nad, Kind::Secret] {
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &specimen.namespace, &api_resource(kind));
            let found = api.list(&Default::default()).await?;
            for mut object in found {
                object.types = Some(types(&api_resource(kind)));
                children.push((kind, desired(object)?));
            }
        }
        let vms: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &specimen.namespace, &api_resource(Kind::Vm));
        let vm = desired(vms.get(&specimen.name).await?)?;
        let wukong = wukongs(client, &specimen.namespace)
            .get(&specimen.name)
            .await?;
        Ok(Self {
            specimen,
            disks_and_others: children,
            vm,
            status: wukong.data.get("status").cloned().unwrap_or_default(),
        })
    }

    /// An object of the first Wukong as that of another.
    fn for_other(&self, object: &Value, other: &Created) -> Result<Value> {
        let text = object
            .to_string()
            .replace(&self.specimen.name, &other.name)
            .replace(&self.specimen.namespace, &other.namespace)
            .replace(&self.specimen.uid, &other.uid);
        Ok(serde_json::from_str(&text)?)
    }
}

fn types(resource: &ApiResource) -> kube::core::TypeMeta {
    kube::core::TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    }
}

/// The fields of a stored object that its writer sent.
fn desired(object: DynamicObject) -> Result<Value> {
    let mut object = serde_json::to_value(object)?;
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    remove_metadata(
        &mut object,
        &[
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "managedFields",
            "finalizers",
        ],
    );
    Ok(object)
}

/// Removes fields of the metadata of an object.
pub(super) fn remove_metadata(object: &mut Value, fields: &[&str]) {
    if let Some(metadata) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

/// The client of single requests.
pub struct Bare {
    client: Client,
    vm: Value,
    status: Value,
}

impl Bare {
    /// With the VirtualMachine and the status of a first Wukong.
    pub async fn new(client: Client, prepared: &Prepared) -> Result<Self> {
        let space =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let spaces: Api<DynamicObject> =
            Api::all_with(client.clone(), &api_resource(Kind::Namespace));
        spaces
            .create(&PostParams::default(), &serde_json::from_value(space)?)
            .await?;
        let mut vm = prepared.vm.clone();
        if let Some(metadata) = vm.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.remove("labels");
            metadata.remove("ownerReferences");
            metadata.insert("namespace".to_owned(), NAMESPACE.into());
        }
        Ok(Self {
            client,
            vm,
            status: prepared.status.clone(),
        })
    }

    /// Applies one more VirtualMachine, then a status of the size of that of a Wukong.
    pub async fn apply(&self, number: usize) -> Result<()> {
        let name = format!("bare-{number}");
        let mut vm = self.vm.clone();
        wukong_sim::field::put(&mut vm, ["metadata", "name"], name.clone());
        let resource = api_resource(Kind::Vm);
        apply(&self.client, &resource, NAMESPACE, &name, "", &vm).await?;
        // The schema of KubeVirt has no field for all of it: an annotation of the same size stands for it.
        let status = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": name},
            "status": {"conditions": [{"type": "Bare", "status": "True", "message": self.status.to_string()}]}});
        apply(&self.client, &resource, NAMESPACE, &name, "status", &status).await
    }

    /// The time that LISTs of everything take that a starting operator watched.
    pub async fn lists(&self, watches: &Requests) -> Result<Duration> {
        let mut addresses: Vec<String> = watches.iter().map(|watch| list_of(&watch.uri)).collect();
        addresses.sort();
        addresses.dedup();
        let start = Instant::now();
        let lists = addresses.iter().map(async |address| {
            let request = http::Request::get(address).body(Vec::new())?;
            self.client
                .request_text(request)
                .await
                .with_context(|| address.clone())
        });
        try_join_all(lists).await?;
        Ok(start.elapsed())
    }
}

/// The address of the LIST for that of a watch.
fn list_of(watch: &str) -> String {
    let (path, query) = watch.split_once('?').unwrap_or((watch, ""));
    let kept = query.split('&').filter(|pair| {
        !pair.is_empty()
            && !OF_WATCHES
                .iter()
                .any(|key| pair.starts_with(&format!("{key}=")))
    });
    let query: Vec<&str> = kept.chain(["resourceVersion=0"]).collect();
    format!("{path}?{}", query.join("&"))
}

/// Changes the NAD of a Wukong, as another client would. The operator repairs it.
pub async fn disturb(client: &Client, wukong: &Created) -> Result<()> {
    let nads: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &wukong.namespace, &api_resource(Kind::Nad));
    for nad in nads.list_metadata(&Default::default()).await? {
        let name = nad.metadata.name.unwrap_or_default();
        if owner(&name) == wukong.name {
            let patch = Patch::Merge(json!({"spec": {"config": "{}"}}));
            nads.patch(&name, &PatchParams::default(), &patch).await?;
        }
    }
    Ok(())
}

/// Sends for so many new Wukongs what the operator sends, with the operator's rights. Returns when everything is sent.
pub async fn run(client: &Client, prepared: &Prepared, fleet: &Fleet, count: usize) -> Result<()> {
    let created = fleet.stream(count, "bare").await?;
    created
        .map_ok(async |wukong| lifecycle(client, prepared, &wukong).await)
        .try_buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await
}

async fn lifecycle(client: &Client, prepared: &Prepared, wukong: &Created) -> Result<()> {
    let status = async |number| status(client, prepared, wukong, number).await;
    let children = prepared
        .disks_and_others
        .iter()
        .map(async |(kind, object)| {
            let object = prepared.for_other(object, wukong)?;
            let name = object.pointer("/metadata/name").and_then(Value::as_str);
            let name = name.context("a child has a name")?.to_owned();
            apply(
                client,
                &api_resource(*kind),
                &wukong.namespace,
                &name,
                "",
                &object,
            )
            .await
        });
    try_join_all(children).await?;
    status(1).await?;
    let vm = prepared.for_other(&prepared.vm, wukong)?;
    apply(
        client,
        &api_resource(Kind::Vm),
        &wukong.namespace,
        &wukong.name,
        "",
        &vm,
    )
    .await?;
    for number in 2..=STATUSES {
        status(number).await?;
    }
    stream::iter(0..EVENTS)
        .map(Ok)
        .try_for_each(async |number| event(client, wukong, number).await)
        .await
}

async fn status(client: &Client, prepared: &Prepared, wukong: &Created, number: i64) -> Result<()> {
    let mut status = prepared.for_other(&prepared.status, wukong)?;
    wukong_sim::field::put(&mut status, ["observedGeneration"], number);
    let object = json!({"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": wukong.name}, "status": status});
    let api = wukongs(client, &wukong.namespace);
    apply_to(client, api.resource_url(), &wukong.name, "status", &object).await
}

async fn event(client: &Client, wukong: &Created, number: usize) -> Result<()> {
    let now = Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string();
    let object = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("{}-{number}", wukong.name), "namespace": wukong.namespace},
        "eventTime": now, "action": "Reconcile", "reason": "Started", "type": "Normal", "note": "The VM runs",
        "reportingController": "bench", "reportingInstance": "bench",
        "regarding": {"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "name": wukong.name,
            "namespace": wukong.namespace, "uid": wukong.uid}});
    let path = format!(
        "/apis/events.k8s.io/v1/namespaces/{}/events",
        wukong.namespace
    );
    let request =
        Request::new(path).create(&PostParams::default(), serde_json::to_vec(&object)?)?;
    client.request_text(request).await?;
    Ok(())
}

async fn apply(
    client: &Client,
    resource: &ApiResource,
    namespace: &str,
    name: &str,
    subresource: &str,
    object: &Value,
) -> Result<()> {
    let path = DynamicObject::url_path(resource, Some(namespace));
    apply_to(client, &path, name, subresource, object).await
}

async fn apply_to(
    client: &Client,
    path: &str,
    name: &str,
    subresource: &str,
    object: &Value,
) -> Result<()> {
    let params = PatchParams::apply("wukong-operator").force();
    let patch = Patch::Apply(object);
    let requests = Request::new(path);
    let request = match subresource {
        "" => requests.patch(name, &params, &patch)?,
        part => requests.patch_subresource(part, name, &params, &patch)?,
    };
    client
        .request_text(request)
        .await
        .with_context(|| format!("applying {path}/{name} {subresource}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_a_watch_keeps_its_selectors() {
        let watch = "/api/v1/pods?&watch=true&timeoutSeconds=290&labelSelector=kubevirt.io&sendInitialEvents=true";
        assert_eq!(
            list_of(watch),
            "/api/v1/pods?labelSelector=kubevirt.io&resourceVersion=0"
        );
        assert_eq!(list_of("/api/v1/nodes"), "/api/v1/nodes?resourceVersion=0");
    }
}
