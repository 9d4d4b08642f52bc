//! Watches: one for each kind, in all replicas, so that a new leader has all facts.
//!
//! Each object is projected to its facts when it arrives. Kinds can be absent, appear and disappear at any time: a watch
//! of the CustomResourceDefinitions shows this.

mod crds;
mod keeper;
mod kind;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wukong_engine::Presence;
use wukong_engine::catalogue::{self, Reader, Role, StoreOf, Visitor, Watched};
use wukong_engine::facts::Fact;

use crate::cluster::{Cluster, Part};
use crate::metrics::Metrics;
use crate::stored_wukong::StoredWukong;
use crds::CrdStates;
use keeper::{Keeper, Store};
use kind::KindWatch;

/// All watches. Dropping this stops them.
#[derive(Debug)]
pub struct Watches {
    tasks: JoinSet<()>,
    waiting: Waiting,
}

/// Kinds without an initial list yet.
#[derive(Clone, Debug)]
pub struct Waiting(watch::Receiver<BTreeSet<String>>);

impl Waiting {
    /// Returns the names of the kinds.
    pub fn kinds(&self) -> Vec<String> {
        self.0.borrow().iter().cloned().collect()
    }

    /// Returns once every kind has its initial list.
    pub async fn over(&mut self) {
        // Without the watches, which hold the sender, there will be no lists.
        if self.0.wait_for(BTreeSet::is_empty).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Watches {
    /// Starts all watches; those for node networks only with `manage_node_networks`.
    pub fn start(
        client: &Client,
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
        manage_node_networks: bool,
    ) -> Self {
        let (crds, watch_crds) = crds::watch(client.clone());
        let (sender, receiver) = watch::channel(BTreeSet::new());
        let mut start = Start {
            client,
            cluster,
            metrics,
            crds,
            waiting: Arc::new(sender),
            tasks: JoinSet::new(),
            manage_node_networks,
        };
        start.tasks.spawn(watch_crds);
        let wukongs = AllWukongs(Arc::clone(cluster));
        start.spawn(&catalogue::WUKONG, wukongs);
        catalogue::visit(Reader::Operator, &mut start);
        Self {
            tasks: start.tasks,
            waiting: Waiting(receiver),
        }
    }

    /// Returns the kinds without an initial list yet.
    pub fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Returns when a watch has ended, which is a bug.
    pub async fn ended(&mut self) {
        self.tasks.join_next().await;
    }
}

struct Start<'a> {
    client: &'a Client,
    cluster: &'a Arc<Cluster>,
    metrics: &'a Metrics,
    crds: CrdStates,
    waiting: Arc<watch::Sender<BTreeSet<String>>>,
    tasks: JoinSet<()>,
    manage_node_networks: bool,
}

impl Visitor for Start<'_> {
    /// Watches a kind. Without its role, its facts are missing and everything else works.
    fn kind<F: Fact>(&mut self, watched: &'static Watched, store: StoreOf<F>) {
        if watched.role == Some(Role::NodeNetworks) && !self.manage_node_networks {
            return;
        }
        let facts = Facts {
            cluster: Arc::clone(self.cluster),
            part: Part::of(watched, store),
        };
        self.spawn(watched, facts);
    }
}

impl Start<'_> {
    fn spawn(&mut self, watched: &Watched, store: impl Store) {
        let resource = watched.api_resource();
        if watched.needed {
            self.waiting.send_modify(|kinds| {
                kinds.insert(resource.kind.clone());
            });
        }
        let crd = format!("{}.{}", resource.plural, resource.group);
        let watch = KindWatch {
            client: self.client.clone(),
            crd: watched.custom.then_some(crd),
            resource,
            crds: self.crds.clone(),
            selector: watched.objects.label_selector(),
            fields: watched.objects.field_selector(),
            sink: Keeper::of(store),
            metrics: self.metrics.clone(),
            waiting: Arc::clone(&self.waiting),
        };
        self.tasks.spawn(watch.run());
    }
}

struct Facts<F: Fact> {
    cluster: Arc<Cluster>,
    part: Part<F>,
}

impl<F: Fact> Store for Facts<F> {
    type Kept = F;

    fn listed(&self, list: Vec<F>) {
        self.cluster.listed(self.part, list);
    }

    fn updated(&self, fact: F) {
        self.cluster.updated(self.part, fact);
    }

    fn deleted(&self, fact: F) {
        self.cluster.deleted(self.part, &fact);
    }

    fn unavailable(&self, presence: Presence) {
        self.cluster.unavailable(self.part, presence);
    }
}

struct AllWukongs(Arc<Cluster>);

impl Store for AllWukongs {
    type Kept = StoredWukong;

    fn listed(&self, list: Vec<StoredWukong>) {
        self.0.wukongs_listed(list);
    }

    fn updated(&self, wukong: StoredWukong) {
        self.0.wukong_updated(wukong);
    }

    fn deleted(&self, wukong: StoredWukong) {
        self.0.wukong_deleted(&wukong);
    }

    fn unavailable(&self, presence: Presence) {
        // Without the permission to read them, the known Wukongs still exist.
        if presence == Presence::Missing {
            self.0.wukongs_listed(Vec::new());
        }
    }
}
