//! Watches: one for each kind, in all replicas, so that a new leader knows everything.
//!
//! An object is reduced to its facts while it is read, and forgotten. Kinds may be absent, appear and disappear while
//! we run: their CustomResourceDefinitions tell.

mod crds;
mod keeper;
mod kind;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{LimitRange, Node, PersistentVolumeClaim, Pod, ResourceQuota};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, StorageClass};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::ApiResource;
use kube::{Client, Resource};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wukong_api::Wukong;
use wukong_engine::environment::{KUBEVIRT_PODS, is_multus};
use wukong_engine::facts::CRD;
use wukong_engine::facts::Fact;
use wukong_engine::{Kind, Presence};

use crate::cluster::{Cluster, Part};
use crate::metrics::Metrics;
use crate::projection::StoredWukong;
use crds::Definitions;
use keeper::{Keeper, Store};
use kind::KindWatch;

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
    /// Starts them all; those of bridges on nodes only where such are made.
    pub fn start(
        client: &Client,
        cluster: &Arc<Cluster>,
        metrics: &Metrics,
        manage_node_networks: bool,
    ) -> Self {
        let (definitions, watch_definitions) = crds::watch(client.clone());
        let (sender, receiver) = watch::channel(BTreeSet::new());
        let mut start = Start {
            client,
            cluster,
            metrics,
            definitions,
            waiting: Arc::new(sender),
            tasks: JoinSet::new(),
        };
        start.tasks.spawn(watch_definitions);
        start.wukongs();
        start.environment();
        if manage_node_networks {
            start.bridges();
        }
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

struct Start<'a> {
    client: &'a Client,
    cluster: &'a Arc<Cluster>,
    metrics: &'a Metrics,
    definitions: Definitions,
    waiting: Arc<watch::Sender<BTreeSet<String>>>,
    tasks: JoinSet<()>,
}

/// What is watched.
struct Watched {
    resource: ApiResource,
    /// Whether a definition tells that there is such a kind.
    custom: bool,
    /// Labels of the objects that matter; `None`: all do.
    selector: Option<&'static str>,
    /// Fields of the objects that matter; `None`: all do.
    fields: Option<String>,
    /// Whether decisions wait until it is known.
    needed: bool,
}

fn custom(group: &str, version: &str, kind: &str, plural: &str) -> Watched {
    of_custom(ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    })
}

fn of_custom(resource: ApiResource) -> Watched {
    Watched {
        resource,
        custom: true,
        selector: None,
        fields: None,
        needed: true,
    }
}

fn built_in<K: Resource<DynamicType = ()>>() -> Watched {
    Watched {
        custom: false,
        ..of_custom(ApiResource::erase::<K>(&()))
    }
}

impl Start<'_> {
    /// Wukongs, what they are made of, and what they may name.
    fn wukongs(&mut self) {
        let all = AllWukongs(Arc::clone(self.cluster));
        self.spawn(of_custom(ApiResource::erase::<Wukong>(&())), all);
        self.facts(
            of_custom(Kind::VirtualMachine.api_resource()),
            Part::of_wukongs(|world| &mut world.virtual_machines),
        );
        self.facts(
            custom(
                "kubevirt.io",
                "v1",
                "VirtualMachineInstance",
                "virtualmachineinstances",
            ),
            Part::of_wukongs(|world| &mut world.instances),
        );
        self.facts(
            of_custom(Kind::DataVolume.api_resource()),
            Part::of_wukongs(|world| &mut world.data_volumes),
        );
        self.facts(
            of_custom(Kind::NetworkAttachmentDefinition.api_resource()),
            Part::of_wukongs(|world| &mut world.nads),
        );
        self.facts(
            custom(
                "snapshot.storage.k8s.io",
                "v1",
                "VolumeSnapshot",
                "volumesnapshots",
            ),
            Part::of_wukongs(|world| &mut world.snapshots),
        );
        self.facts(
            custom("cdi.kubevirt.io", "v1beta1", "DataSource", "datasources"),
            Part::of_wukongs(|world| &mut world.data_sources),
        );
        self.facts(
            built_in::<PersistentVolumeClaim>(),
            Part::of_wukongs(|world| &mut world.claims),
        );
        self.facts(
            built_in::<StorageClass>(),
            Part::of_wukongs(|world| &mut world.environment.storage_classes),
        );
        let own_crd = Watched {
            fields: Some(format!("metadata.name={CRD}")),
            ..built_in::<CustomResourceDefinition>()
        };
        self.diagnosis(
            own_crd,
            Part::of_wukongs(|world| &mut world.environment.own_crds),
        );
    }

    /// The cluster itself. Without the role for it, nothing is known of it, and everything else works.
    fn environment(&mut self) {
        self.diagnosis(
            custom("kubevirt.io", "v1", "KubeVirt", "kubevirts"),
            Part::of_cluster(|world| &mut world.environment.kubevirts),
        );
        let pods = Watched {
            selector: Some(KUBEVIRT_PODS),
            ..built_in::<Pod>()
        };
        self.diagnosis(
            pods,
            Part::of_cluster(|world| &mut world.environment.kubevirt_pods),
        );
        self.diagnosis(
            built_in::<Node>(),
            Part::of_cluster(|world| &mut world.environment.nodes),
        );
        self.diagnosis(
            custom("cdi.kubevirt.io", "v1beta1", "CDI", "cdis"),
            Part::of_cluster(|world| &mut world.environment.cdis),
        );
        self.diagnosis(
            custom(
                "cdi.kubevirt.io",
                "v1beta1",
                "StorageProfile",
                "storageprofiles",
            ),
            Part::of_cluster(|world| &mut world.environment.storage_profiles),
        );
        self.diagnosis(
            built_in::<CSIDriver>(),
            Part::of_cluster(|world| &mut world.environment.csi_drivers),
        );
        self.diagnosis(
            built_in::<CSINode>(),
            Part::of_cluster(|world| &mut world.environment.csi_nodes),
        );
        self.diagnosis(
            built_in::<DaemonSet>(),
            Part::of_cluster(|world| &mut world.environment.multus)
                .only(|daemon_set| is_multus(&daemon_set.meta.name)),
        );
        self.diagnosis(
            custom(
                "nmstate.io",
                "v1beta1",
                "NodeNetworkState",
                "nodenetworkstates",
            ),
            Part::of_cluster(|world| &mut world.environment.node_networks),
        );
        self.diagnosis(
            built_in::<ResourceQuota>(),
            Part::of_namespace(|world| &mut world.environment.quotas),
        );
        self.diagnosis(
            built_in::<LimitRange>(),
            Part::of_namespace(|world| &mut world.environment.limit_ranges),
        );
    }

    /// Bridges on nodes.
    fn bridges(&mut self) {
        self.facts(
            of_custom(Kind::NodeNetworkConfigurationPolicy.api_resource()),
            Part::of_bridges(|world| &mut world.environment.node_policies),
        );
        self.facts(
            custom(
                "nmstate.io",
                "v1beta1",
                "NodeNetworkConfigurationEnactment",
                "nodenetworkconfigurationenactments",
            ),
            Part::of_bridges(|world| &mut world.environment.enactments),
        );
    }

    fn diagnosis<F: Fact>(&mut self, watched: Watched, part: Part<F>) {
        let watched = Watched {
            needed: false,
            ..watched
        };
        self.facts(watched, part);
    }

    fn facts<F: Fact>(&mut self, watched: Watched, part: Part<F>) {
        let cluster = Arc::clone(self.cluster);
        self.spawn(watched, Facts { cluster, part });
    }

    fn spawn(&mut self, watched: Watched, store: impl Store) {
        let resource = watched.resource;
        if watched.needed {
            self.waiting.send_modify(|kinds| {
                kinds.insert(resource.kind.clone());
            });
        }
        let definition = format!("{}.{}", resource.plural, resource.group);
        let watch = KindWatch {
            client: self.client.clone(),
            definition: watched.custom.then_some(definition),
            resource,
            definitions: self.definitions.clone(),
            selector: watched.selector,
            fields: watched.fields,
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

    fn seen(&self, fact: F) {
        self.cluster.seen(self.part, fact);
    }

    fn gone(&self, fact: F) {
        self.cluster.gone(self.part, &fact);
    }

    fn unseen(&self, presence: Presence) {
        self.cluster.unseen(self.part, presence);
    }
}

struct AllWukongs(Arc<Cluster>);

impl Store for AllWukongs {
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
