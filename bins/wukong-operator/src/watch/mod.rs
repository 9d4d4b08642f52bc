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
        };
        start.tasks.spawn(watch_crds);
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
}

/// A watched kind.
struct Watched {
    resource: ApiResource,
    /// Whether the kind has a CRD.
    custom: bool,
    /// Label selector; `None` for all objects.
    selector: Option<&'static str>,
    /// Field selector; `None` for all objects.
    fields: Option<String>,
    /// Whether the first decision waits for the initial list.
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
    /// Watches Wukongs and the kinds that they own or reference.
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

    /// Watches the cluster itself. Without the role for diagnosis, these facts are missing and everything else works.
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

    /// Watches node networks.
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
        let crd = format!("{}.{}", resource.plural, resource.group);
        let watch = KindWatch {
            client: self.client.clone(),
            crd: watched.custom.then_some(crd),
            resource,
            crds: self.crds.clone(),
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
