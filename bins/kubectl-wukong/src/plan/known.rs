//! The stored objects: in a cluster, or in a file that kubectl printed.

use std::path::Path;

use anyhow::Context;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::Environment;
use wukong_engine::facts::{Fact, KubeVirtFact, VirtualMachineInstanceFact};

use crate::action::{FIELD_MANAGER, power_managers};
use crate::cluster::{self, Cluster};
use crate::manifest::{self, Manifest};
use crate::survey::Survey;

/// Source of the stored objects.
pub enum Known {
    Cluster(Cluster),
    Dump(Vec<Value>),
}

impl Known {
    pub fn from_cluster(cluster: Cluster) -> Self {
        Self::Cluster(cluster)
    }

    pub fn from_dump(file: &Path) -> anyhow::Result<Self> {
        Ok(Self::Dump(manifest::documents(file)?))
    }

    /// Returns the namespace of manifests without one.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Cluster(cluster) => &cluster.namespace,
            Self::Dump(_) => "default",
        }
    }

    /// Returns the stored Wukong with the name of a manifest.
    pub async fn wukong(&self, manifest: &Manifest) -> anyhow::Result<Option<Wukong>> {
        let identity = &manifest.validated.identity;
        match self {
            Self::Cluster(cluster) => {
                let namespace = identity.namespace.clone();
                let there = Cluster {
                    namespace,
                    ..cluster.clone()
                };
                let found = there.wukongs(false).get_opt(&identity.name).await;
                found
                    .map_err(cluster::readable)?
                    .as_ref()
                    .map(cluster::decode)
                    .transpose()
            }
            Self::Dump(objects) => {
                let wukongs = of_kind(objects, "Wukong").map(|object| {
                    serde_json::from_value::<Wukong>(object.clone())
                        .context("cannot decode a Wukong of the dump")
                });
                for wukong in wukongs {
                    let wukong = wukong?;
                    if wukong.name_any() == identity.name
                        && wukong.namespace().as_ref() == Some(&identity.namespace)
                    {
                        return Ok(Some(wukong));
                    }
                }
                Ok(None)
            }
        }
    }

    /// Returns the addresses of the Wukongs that share one with a manifest.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn addresses(&self, manifests: &[Manifest]) -> anyhow::Result<Environment> {
        let wukongs: Vec<&Wukong> = manifests.iter().map(|manifest| &manifest.wukong).collect();
        let survey = match self {
            Self::Cluster(cluster) => Survey::of_addresses(cluster, &wukongs).await?,
            Self::Dump(objects) => Survey::of_objects(objects),
        };
        Ok(Environment {
            addresses: survey.environment().addresses,
            ..Environment::default()
        })
    }

    /// Returns the KubeVirt resource.
    pub async fn kubevirt(&self) -> Option<KubeVirtFact> {
        let kubevirt = match self {
            Self::Cluster(cluster) => first_kubevirt(cluster).await,
            Self::Dump(objects) => of_kind(objects, "KubeVirt").next().cloned(),
        };
        kubevirt.as_ref().map(KubeVirtFact::project)
    }

    /// Returns the running VM of a manifest. `None`: it does not run, or it cannot be read.
    pub async fn instance(&self, manifest: &Manifest) -> Option<VirtualMachineInstanceFact> {
        let identity = &manifest.validated.identity;
        let found = match self {
            Self::Cluster(cluster) => {
                let namespace = &identity.namespace;
                let api: Api<DynamicObject> =
                    Api::namespaced_with(cluster.client.clone(), namespace, &resource(INSTANCE));
                let found = api.get_opt(&identity.name).await.ok().flatten();
                found.and_then(|found| serde_json::to_value(found).ok())
            }
            Self::Dump(objects) => {
                let mut instances = of_kind(objects, INSTANCE);
                let is = |object: &&Value, pointer, value: &str| {
                    object.pointer(pointer).is_some_and(|found| found == value)
                };
                instances
                    .find(|object| {
                        is(object, "/metadata/name", &identity.name)
                            && is(object, "/metadata/namespace", &identity.namespace)
                    })
                    .cloned()
            }
        };
        found.as_ref().map(VirtualMachineInstanceFact::project)
    }
}

const INSTANCE: &str = "VirtualMachineInstance";

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects
        .iter()
        .filter(move |object| object.get("kind").is_some_and(|value| value == kind))
}

/// Returns a kind of KubeVirt.
fn resource(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("kubevirt.io", "v1", kind))
}

async fn first_kubevirt(cluster: &Cluster) -> Option<Value> {
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource("KubeVirt"));
    let list = api.list(&ListParams::default()).await.ok()?;
    serde_json::to_value(list.items.first()?).ok()
}

/// Returns the manifest as it would be stored over `stored`: with its uid, and with the power state that this plugin set.
pub fn as_stored(mut manifest: Wukong, stored: &Wukong) -> Wukong {
    manifest.metadata.uid.clone_from(&stored.metadata.uid);
    if power_managers(stored).any(|manager| manager == FIELD_MANAGER) {
        manifest.spec.power_state = manifest.spec.power_state.or(stored.spec.power_state);
    }
    manifest
}
