//! A survey: everything that the rules read, from the cluster or from a file.

mod children;
mod kept;
mod named;
mod parts;
mod source;

use futures::stream::{self, StreamExt};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use serde::Deserialize;
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::catalogue::{self, StoreOf, Visitor, Watched};
use wukong_engine::environment::{Environment, is_provisioner};
use wukong_engine::facts::Fact;
use wukong_engine::store::{Presence, Store};
use wukong_engine::world::World;

use crate::cluster::{Cluster, denied, unseen};
pub use kept::{Kept, is_known};
use source::{
    CHILDREN, DEPLOYMENTS, MUTATING, NAMED, NAMESPACES, SERVICES, SOURCES, Scope, Source,
    VALIDATING, VOLUMES,
};

/// How many kinds are read at the same time.
const AT_ONCE: usize = 8;

/// The objects of the kinds that the rules read.
#[derive(Debug, Default)]
pub struct Survey {
    parts: Vec<Part>,
}

/// The objects of one kind.
#[derive(Debug)]
struct Part {
    plural: &'static str,
    presence: Presence,
    objects: Vec<Value>,
}

impl Survey {
    /// Reads the cluster. Quotas and limits are those of the cluster's namespace. A kind that does not exist
    /// or may not be read is recorded as such.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_cluster(cluster: &Cluster) -> anyhow::Result<Self> {
        let parts: Vec<anyhow::Result<Part>> = stream::iter(SOURCES.iter())
            .map(|source| read(cluster, source))
            .buffered(AT_ONCE)
            .collect()
            .await;
        Ok(Self {
            parts: parts.into_iter().collect::<anyhow::Result<_>>()?,
        })
    }

    /// Reads the Wukongs only.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukongs(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut parts = Vec::new();
        for source in SOURCES.iter().filter(|source| source.kind == "Wukong") {
            parts.push(read(cluster, source).await?);
        }
        Ok(Self { parts })
    }

    /// Reads the objects of the cluster's namespace; they replace those of another namespace.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn read_namespace(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        for source in SOURCES
            .iter()
            .filter(|source| source.scope == Scope::Namespace)
        {
            let part = read(cluster, source).await?;
            self.parts.retain(|known| known.plural != part.plural);
            self.parts.push(part);
        }
        Ok(())
    }

    /// Returns the survey of a dump. A kind without objects is unknown: the dump may not include it.
    pub fn of_objects(objects: &[Value]) -> Self {
        let sources = CHILDREN
            .iter()
            .chain(SOURCES.iter())
            .chain(NAMED.iter().copied());
        let parts = sources.map(|source| {
            let of_kind = |object: &&Value| source.is_kind_of(object);
            let found: Vec<Value> = objects.iter().filter(of_kind).cloned().collect();
            // One kind of a project implies its other kinds. Every cluster has those of Kubernetes.
            let known = match source.scope {
                Scope::Kind => objects.iter().any(|object| source.is_group_of(object)),
                _ => !found.is_empty(),
            };
            Part {
                plural: source.plural,
                presence: if known {
                    Presence::Served
                } else {
                    Presence::Unknown
                },
                objects: found,
            }
        });
        Self {
            parts: parts.collect(),
        }
    }

    /// Returns the input of the rules.
    pub fn environment(&self) -> Environment {
        self.world().environment
    }

    /// Returns the input of the operator's decision.
    pub fn world(&self) -> World {
        let mut fill = Fill {
            survey: self,
            world: World::default(),
        };
        catalogue::visit(&mut fill);
        let mut world = fill.world;
        world.update_environment();
        self.fill(&mut world.volumes, VOLUMES, any);
        self.fill(&mut world.vm_snapshots, "virtualmachinesnapshots", any);
        self.fill(&mut world.vm_restores, "virtualmachinerestores", any);
        self.fill(
            &mut world.migrations,
            "virtualmachineinstancemigrations",
            any,
        );
        let environment = &mut world.environment;
        self.fill(&mut environment.namespaces, NAMESPACES, any);
        self.fill(&mut environment.deployments, DEPLOYMENTS, any);
        self.fill(&mut environment.services, SERVICES, any);
        self.fill(&mut environment.validating_webhooks, VALIDATING, any);
        self.fill(&mut environment.mutating_webhooks, MUTATING, any);
        self.fill(&mut environment.provisioner_pods, "pods", |pod| {
            is_provisioner(name(pod))
        });
        match self.presence("wukongs") {
            Presence::Served => drop(environment.addresses.replace(&self.wukongs())),
            other => environment.addresses.clear(other),
        }
        world
    }

    /// The Wukongs, those that this version can read.
    fn wukongs(&self) -> Vec<Wukong> {
        let objects = self
            .part("wukongs")
            .into_iter()
            .flat_map(|part| &part.objects);
        objects
            .filter_map(|object| Wukong::deserialize(object).ok())
            .collect()
    }

    fn part(&self, plural: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.plural == plural)
    }

    fn presence(&self, plural: &str) -> Presence {
        self.part(plural)
            .map_or(Presence::Unknown, |part| part.presence)
    }

    fn fill<F: Fact>(&self, store: &mut Store<F>, plural: &str, keep: impl Fn(&Value) -> bool) {
        match self.presence(plural) {
            Presence::Served => store.replace(self.facts(plural, keep)),
            other => store.clear(other),
        };
    }

    fn facts<F: Fact>(&self, plural: &str, keep: impl Fn(&Value) -> bool) -> Vec<F> {
        let objects = self.part(plural).into_iter().flat_map(|part| &part.objects);
        objects
            .filter(|object| keep(object))
            .map(F::project)
            .collect()
    }
}

/// Fills the stores with what a survey has.
struct Fill<'a> {
    survey: &'a Survey,
    world: World,
}

impl Visitor for Fill<'_> {
    fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>) {
        let has = |object: &Value| watched.objects.has(object);
        self.survey
            .fill(store(&mut self.world), watched.plural, has);
    }
}

fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn any(_: &Value) -> bool {
    true
}

fn namespace(object: &Value) -> &str {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

async fn read(cluster: &Cluster, source: &'static Source) -> anyhow::Result<Part> {
    let part = |presence, objects| Part {
        plural: source.plural,
        presence,
        objects,
    };
    if source.scope == Scope::Kind {
        let presence = match serves(cluster, source).await {
            Ok(true) => Presence::Served,
            Ok(false) => Presence::Missing,
            Err(error) => unseen(error)?,
        };
        return Ok(part(presence, Vec::new()));
    }
    let resource = source.api_resource();
    let here = || Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    let everywhere = || Api::all_with(cluster.client.clone(), &resource);
    let listed = match source.scope {
        Scope::Namespace => list(here()).await,
        Scope::One(name) => {
            let one = ListParams::default().fields(&format!("metadata.name={name}"));
            everywhere().list(&one).await.map(|list| list.items)
        }
        Scope::EverywhereElseNamespace => match list(everywhere()).await {
            Err(error) if denied(&error) == Some(Presence::Forbidden) => list(here()).await,
            listed => listed,
        },
        _ => list(everywhere()).await,
    };
    match listed {
        Ok(list) => Ok(part(Presence::Served, values(source, list)?)),
        Err(error) => Ok(part(unseen(error)?, Vec::new())),
    }
}

/// Returns objects as JSON, with their type.
fn values(source: &Source, objects: Vec<DynamicObject>) -> serde_json::Result<Vec<Value>> {
    let objects = objects.into_iter().map(|mut object| {
        object.types = Some(kube::core::TypeMeta {
            api_version: source.api_version(),
            kind: source.kind.to_owned(),
        });
        serde_json::to_value(object)
    });
    objects.collect()
}

async fn list(api: Api<DynamicObject>) -> Result<Vec<DynamicObject>, kube::Error> {
    Ok(api.list(&ListParams::default()).await?.items)
}

/// Returns whether the API server serves the kind. Every authenticated user may read the discovery documents.
async fn serves(cluster: &Cluster, source: &Source) -> Result<bool, kube::Error> {
    let found = cluster
        .client
        .list_api_group_resources(&source.api_version())
        .await?;
    Ok(found
        .resources
        .iter()
        .any(|resource| resource.name == source.plural))
}
