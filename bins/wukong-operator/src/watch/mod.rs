//! Watches: one for each kind, in all replicas, so that a new leader knows everything.
//!
//! An object is reduced to its facts while it is read, and forgotten. Kinds may be absent, appear and disappear while
//! we run: their CustomResourceDefinitions tell.

mod crds;
mod kind;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Client;
use kube::core::ApiResource;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wukong_api::Wukong;
use wukong_engine::facts::Fact;
use wukong_engine::{Kind, Presence};

use crate::cluster::{Cluster, StoreOf};
use crate::metrics::Metrics;
use crate::projection::StoredWukong;
use crds::Definitions;
use kind::{KindWatch, Sink};

/// All watches; dropping them ends them.
#[derive(Debug)]
pub struct Watches {
    tasks: JoinSet<()>,
    waiting: Waiting,
}

/// Kinds of which nothing is known yet.
#[derive(Clone, Debug)]
pub struct Waiting(watch::Receiver<BTreeSet<String>>);

impl Waiting {
    /// These kinds.
    pub fn kinds(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }

    /// Returns once there are none.
    pub async fn over(&mut self) {
        // Without its sender, the watches, nothing will ever be known.
        if self.0.wait_for(BTreeSet::is_empty).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Watches {
    /// Starts them all.
    pub fn start(client: &Client, cluster: &Arc<Cluster>, metrics: &Metrics) -> Self {
        let (definitions, watch_definitions) = crds::watch(client.clone());
        let (sender, receiver) = watch::channel(BTreeSet::new());
        let mut start = Start {
            client,
            metrics,
            definitions,
            waiting: Arc::new(sender),
            tasks: JoinSet::new(),
        };
        start.tasks.spawn(watch_definitions);
        start.custom(
            ApiResource::erase::<Wukong>(&()),
            AllWukongs(Arc::clone(cluster)),
        );
        let facts = Facts::of(cluster, |world| &mut world.virtual_machines);
        start.custom(Kind::VirtualMachine.api_resource(), facts);
        let facts = Facts::of(cluster, |world| &mut world.instances);
        start.custom(
            resource(
                "kubevirt.io",
                "v1",
                "VirtualMachineInstance",
                "virtualmachineinstances",
            ),
            facts,
        );
        let facts = Facts::of(cluster, |world| &mut world.data_volumes);
        start.custom(Kind::DataVolume.api_resource(), facts);
        let facts = Facts::of(cluster, |world| &mut world.definitions);
        start.custom(Kind::NetworkAttachmentDefinition.api_resource(), facts);
        let facts = Facts::of(cluster, |world| &mut world.snapshots);
        start.custom(
            resource(
                "snapshot.storage.k8s.io",
                "v1",
                "VolumeSnapshot",
                "volumesnapshots",
            ),
            facts,
        );
        let facts = Facts::of(cluster, |world| &mut world.data_sources);
        start.custom(
            resource("cdi.kubevirt.io", "v1beta1", "DataSource", "datasources"),
            facts,
        );
        let facts = Facts::of(cluster, |world| &mut world.claims);
        start.built_in(ApiResource::erase::<PersistentVolumeClaim>(&()), facts);
        let facts = Facts::of(cluster, |world| &mut world.storage_classes);
        start.built_in(ApiResource::erase::<StorageClass>(&()), facts);
        Self {
            tasks: start.tasks,
            waiting: Waiting(receiver),
        }
    }

    /// Which kinds have not told anything yet.
    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Returns when one of them ended, which none should.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    }
}

struct Start<'a> {
    client: &'a Client,
    metrics: &'a Metrics,
    definitions: Definitions,
    waiting: Arc<watch::Sender<BTreeSet<String>>>,
    tasks: JoinSet<()>,
}

impl Start<'_> {
    fn custom(&mut self, resource: ApiResource, sink: impl Sink) {
        let definition = format!("{}.{}", resource.plural, resource.group);
        self.spawn(resource, Some(definition), sink);
    }

    fn built_in(&mut self, resource: ApiResource, sink: impl Sink) {
        self.spawn(resource, None, sink);
    }

    fn spawn(&mut self, resource: ApiResource, definition: Option<String>, sink: impl Sink) {
        self.waiting.send_modify(|kinds| {
            kinds.insert(resource.kind.clone());
        });
        let watch = KindWatch {
            client: self.client.clone(),
            resource,
            definition,
            definitions: self.definitions.clone(),
            sink,
            metrics: self.metrics.clone(),
            waiting: Arc::clone(&self.waiting),
        };
        self.tasks.spawn(watch.run());
    }
}

struct Facts<F: Fact> {
    cluster: Arc<Cluster>,
    store: StoreOf<F>,
}

impl<F: Fact> Facts<F> {
    fn of(cluster: &Arc<Cluster>, store: StoreOf<F>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            store,
        }
    }
}

impl<F: Fact> Sink for Facts<F> {
    type Kept = F;

    fn listed(&self, list: Vec<F>) {
        self.cluster.listed(self.store, list);
    }

    fn seen(&self, fact: F) {
        self.cluster.seen(self.store, fact);
    }

    fn gone(&self, fact: F) {
        self.cluster.gone(self.store, &fact);
    }

    fn unseen(&self, presence: Presence) {
        self.cluster.unseen(self.store, presence);
    }
}

struct AllWukongs(Arc<Cluster>);

impl Sink for AllWukongs {
    type Kept = StoredWukong;

    fn listed(&self, list: Vec<StoredWukong>) {
        self.0.wukongs_listed(list);
    }

    fn seen(&self, wukong: StoredWukong) {
        self.0.wukong_seen(wukong);
    }

    fn gone(&self, wukong: StoredWukong) {
        self.0.wukong_gone(&wukong);
    }

    fn unseen(&self, presence: Presence) {
        // Without the right to see them, those that we know are still there.
        if presence == Presence::Missing {
            self.0.wukongs_listed(Vec::new());
        }
    }
}
