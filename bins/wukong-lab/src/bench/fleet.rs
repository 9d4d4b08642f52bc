//! The Wukongs of a measurement: an imported and a blank disk, a network, a login user.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::neighbours::NAMESPACES;
use crate::sim::execute::api_resource;
use wukong_sim::kind::Kind;

/// The objects of one Wukong: the VirtualMachine, two DataVolumes, the NAD, the Secret.
pub const CHILDREN: usize = 5;
/// The user agent of the creations in the audit log.
pub const AGENT: &str = "wukong-bench-user";
/// Creations under way at once.
const CONCURRENCY: usize = 16;
/// Wukongs in one namespace, unless a phase wants them in one.
const IN_NAMESPACE: usize = 100;

/// The creator of Wukongs.
pub struct Fleet {
    client: Client,
    next: AtomicUsize,
}

/// A Wukong that was created.
#[derive(Debug, Clone)]
pub struct Created {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Fleet {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            next: AtomicUsize::new(0),
        }
    }

    /// The number of Wukongs so far.
    pub fn count(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Makes a namespace that the neighbours follow, and returns its name.
    pub async fn namespace(&self, suffix: &str) -> Result<String> {
        let name = format!("{NAMESPACES}{suffix}");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let api: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &api_resource(Kind::Namespace));
        match api
            .create(&PostParams::default(), &serde_json::from_value(object)?)
            .await
        {
            Ok(_) => Ok(name),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(name),
            Err(error) => Err(error).with_context(|| format!("creating the namespace {name}")),
        }
    }

    /// Creates one Wukong.
    pub async fn one(&self, namespace: &str) -> Result<Created> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.create(namespace, number).await
    }

    /// Creates so many at once, in namespaces with this prefix.
    pub async fn many(&self, count: usize, prefix: &str) -> Result<Vec<Created>> {
        self.stream(count, prefix).await?.try_collect().await
    }

    /// Creates so many at once in one namespace.
    pub async fn burst(&self, count: usize, namespace: &str) -> Result<Vec<Created>> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        stream::iter(first..first + count)
            .map(|number| self.create(namespace, number))
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// The same, as they are created.
    pub async fn stream(
        &self,
        count: usize,
        prefix: &str,
    ) -> Result<impl Stream<Item = Result<Created>>> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let mut namespaces = Vec::new();
        for number in 0..count.div_ceil(IN_NAMESPACE) {
            namespaces.push(self.namespace(&format!("{prefix}-{number}")).await?);
        }
        let places = namespaces
            .into_iter()
            .flat_map(|namespace| std::iter::repeat_n(namespace, IN_NAMESPACE))
            .zip(first..first + count);
        Ok(stream::iter(places)
            .map(async |(namespace, number)| self.create(&namespace, number).await)
            .buffer_unordered(CONCURRENCY))
    }

    /// Creates so many that never run: another Secret has the name of theirs.
    pub async fn failing(&self, count: usize, prefix: &str) -> Result<()> {
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        for number in first..first + count {
            let space = (number - first) / IN_NAMESPACE;
            let namespace = self.namespace(&format!("{prefix}-{space}")).await?;
            let secret = json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": format!("{}.cloud-init", name(number))}});
            let secrets: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), &namespace, &api_resource(Kind::Secret));
            secrets
                .create(&PostParams::default(), &serde_json::from_value(secret)?)
                .await?;
            self.create(&namespace, number).await?;
        }
        Ok(())
    }

    async fn create(&self, namespace: &str, number: usize) -> Result<Created> {
        let name = name(number);
        let object: DynamicObject = serde_json::from_value(wukong(&name, number))?;
        let stored = wukongs(&self.client, namespace)
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("creating the Wukong {name}"))?;
        Ok(Created {
            namespace: namespace.to_owned(),
            name,
            uid: stored.metadata.uid.unwrap_or_default(),
        })
    }
}

/// The Wukongs of a namespace.
pub fn wukongs(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("vm.novasphere.dev", "v1alpha1", "Wukong");
    let resource = ApiResource::from_gvk_with_plural(&kind, "wukongs");
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Without a dash or a dot: the names of the children are this name and a suffix behind one of them.
fn name(number: usize) -> String {
    format!("vm{number:06}")
}

/// The name of the Wukong to which an object with this name belongs.
pub fn owner(name: &str) -> &str {
    name.split(['-', '.']).next().unwrap_or(name)
}

fn wukong(name: &str, number: usize) -> Value {
    // Every Wukong has an address of its own.
    let [_, a, b, c] = u32::try_from(number + 256)
        .unwrap_or_default()
        .to_be_bytes();
    json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1",
        "kind": "Wukong",
        "metadata": {"name": name},
        "spec": {
            "cpu": 1,
            "memory": "1Gi",
            "cloudInitUser": {"name": "me"},
            "networks": [{"name": "lan", "type": "bridge", "ipConfig": {"address": format!("10.{a}.{b}.{c}/8")}}],
            "disks": [
                {"name": "root", "size": "2Gi", "image": "http://images.example.com/disk.qcow2"},
                {"name": "data", "size": "1Gi"},
            ],
        },
    })
}

/// A manifest of one more Wukong, for the plugin.
pub fn manifest(namespace: &str) -> String {
    let mut object = wukong("onemore", 8_000_000);
    wukong_sim::field::put(&mut object, ["metadata", "namespace"], namespace);
    object.to_string()
}
