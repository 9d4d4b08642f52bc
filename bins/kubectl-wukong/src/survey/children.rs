//! A survey of one Wukong: its objects, and their pods and events.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};
use serde_json::Value;
use wukong_api::{Wukong, names};
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::{OperationFact, Presence, VirtualMachineInstanceFact, bounded};
use wukong_engine::related::{Children, RelatedNames};
use wukong_protection::snapshot::volume_snapshot;

use super::Survey;
use super::about::{any, identity, is_about, is_of, is_restored, name, namespace};
use super::read::{AT_ONCE, Part, Wanted, by_name, read};
use super::scope::{
    CLAIMS, DATA_SOURCES, DATA_VOLUMES, EVENTS, INSTANCES, MACHINES, MIGRATIONS, NADS, PODS,
    RESTORES, SNAPSHOTS, VOLUME_SNAPSHOTS, WUKONG_RESTORES, WUKONG_SNAPSHOTS,
};
use crate::cluster::Cluster;
use crate::items::Selection;

/// Namespaces and names of objects, by plural of their kind.
type Names = BTreeMap<&'static str, BTreeSet<(String, String)>>;

/// Of the other Wukongs with the same address, the VMs of at most this many are read. The rules look at as many.
const RIVALS_MAX: usize = 16;

impl Survey {
    /// Reads the cluster, the objects of one Wukong, and what these name. The number of requests depends on the Wukong, and not
    /// on how many others there are.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukong(cluster: &Cluster, wukong: &Wukong) -> anyhow::Result<Self> {
        let mut survey = Self::of_cluster(cluster, &[wukong]).await?;
        survey.read_children(cluster, wukong).await?;
        let related = survey.related(wukong);
        let (pods, events) = futures::join!(
            survey.pods(cluster, wukong, &related),
            events(cluster, &related)
        );
        for pods in pods? {
            survey.add(pods);
        }
        survey.put(events?);
        survey.read_subjects(cluster).await?;
        survey.read_named(cluster, wukong).await?;
        Ok(survey)
    }

    /// Reads by name the objects that the Wukong has or refers to, and the operations on its VM.
    async fn read_children(&mut self, cluster: &Cluster, wukong: &Wukong) -> anyhow::Result<()> {
        let mut wanted = names(wukong);
        let vms = wanted.entry(MACHINES).or_default();
        vms.extend(self.rivals_here(wukong).take(RIVALS_MAX));
        self.read_names(cluster, wanted).await?;

        let here = |labels: Option<String>| {
            vec![Wanted::List(Selection {
                namespace: Some(cluster.namespace.clone()),
                labels,
                ..Selection::default()
            })]
        };
        // KubeVirt sets the label when a migration is created.
        let (_, name) = identity(wukong);
        let migrations = here(Some(format!("kubevirt.io/vmi-name={name}")));
        let about = |pointer: &'static str| move |object: &Value| is_about(wukong, object, pointer);
        let of_snapshot = |pointer: &'static str| {
            move |object: &Value| is_about(wukong, object, pointer) || is_restored(wukong, object)
        };
        let (migrations, snapshots, restores, ours, our_restores) = futures::join!(
            read(cluster, MIGRATIONS, migrations, any),
            read(
                cluster,
                SNAPSHOTS,
                here(None),
                of_snapshot("/spec/source/name")
            ),
            read(cluster, RESTORES, here(None), about("/spec/target/name")),
            read(
                cluster,
                WUKONG_SNAPSHOTS,
                here(None),
                of_snapshot("/spec/wukongName")
            ),
            read(
                cluster,
                WUKONG_RESTORES,
                here(None),
                about("/spec/wukongName")
            ),
        );
        for part in [migrations?, snapshots?, restores?, ours?, our_restores?] {
            self.put(part);
        }
        self.read_names(cluster, self.restored(wukong)).await
    }

    /// Returns the names of the VolumeSnapshots that the disks are copies of.
    fn restored(&self, wukong: &Wukong) -> Names {
        let mut names = Names::new();
        let snapshots = self.facts::<OperationFact>(SNAPSHOTS, |it| is_restored(wukong, it));
        for snapshot in snapshots {
            let disks = wukong.spec.disks.iter();
            let volumes = disks.map(|disk| volume_snapshot(&snapshot.meta.uid, &disk.name));
            let here = identity(wukong).0;
            names
                .entry(VOLUME_SNAPSHOTS)
                .or_default()
                .extend(volumes.map(|name| (here.to_owned(), name)));
        }
        names
    }

    /// Reads objects by name. Of a kind that does not exist, none is requested.
    async fn read_names(&mut self, cluster: &Cluster, wanted: Names) -> anyhow::Result<()> {
        let served = wanted
            .into_iter()
            .filter(|(plural, _)| self.presence(plural) != Presence::Missing);
        // In a vector, they are futures that another thread may continue.
        let reads: Vec<_> = served
            .map(|(plural, names)| {
                let one = |(namespace, name)| Wanted::One(Some(namespace), name);
                read(cluster, plural, names.into_iter().map(one).collect(), any)
            })
            .collect();
        let parts: Vec<anyhow::Result<Part>> =
            stream::iter(reads).buffered(AT_ONCE).collect().await;
        for part in parts {
            let part = part?;
            match self.presence(part.plural) {
                Presence::Served if part.presence == Presence::Served => self.add(part),
                _ => self.put(part),
            }
        }
        Ok(())
    }

    /// Reads the claims and DataVolumes that warning events are about, such as those that CDI makes for ours.
    async fn read_subjects(&mut self, cluster: &Cluster) -> anyhow::Result<()> {
        let mut wanted = Names::new();
        for event in self.objects(EVENTS) {
            let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
            let plural = match text("/involvedObject/kind") {
                Some("PersistentVolumeClaim") => CLAIMS,
                Some("DataVolume") => DATA_VOLUMES,
                _ => continue,
            };
            let object = text("/involvedObject/name").unwrap_or_default();
            let key = (namespace(event).to_owned(), object.to_owned());
            wanted.entry(plural).or_default().insert(key);
        }
        for (plural, names) in &mut wanted {
            for known in self.objects(plural) {
                names.remove(&(namespace(known).to_owned(), name(known).to_owned()));
            }
        }
        wanted.retain(|_, names| !names.is_empty());
        self.read_names(cluster, wanted).await
    }

    /// Reads the pods of the Wukong: of its VM by label, importers by a part of their names, and those that attach disks.
    async fn pods(
        &self,
        cluster: &Cluster,
        wukong: &Wukong,
        related: &RelatedNames,
    ) -> anyhow::Result<[Part; 2]> {
        let (here, name) = identity(wukong);
        let labelled = |labels: String| Selection {
            namespace: Some(here.to_owned()),
            labels: Some(labels),
            ..Selection::default()
        };
        let instances = self.facts::<VirtualMachineInstanceFact>(INSTANCES, any);
        let attachments = instances.iter().flat_map(|instance| &instance.plugged);
        let attachments =
            attachments.filter(|volume| !volume.is_attached() && !volume.pod.is_empty());
        let mut of_vm: Vec<Wanted> = attachments
            .map(|volume| Wanted::One(Some(here.to_owned()), volume.pod.to_string()))
            .collect();
        of_vm.push(Wanted::List(labelled(format!(
            "vm.kubevirt.io/name={name}"
        ))));
        let ours = |pod: &Value| related.has(super::name(pod), here);
        let importers = labelled("cdi.kubevirt.io".to_owned());
        let (of_vm, importers) = futures::join!(
            read(cluster, PODS, of_vm, ours),
            by_name(cluster, PODS, &importers, |pod| related
                .has(&pod.name, here)),
        );
        Ok([of_vm?, importers?])
    }

    /// The pods and events of the Wukong's children.
    pub fn children(&self, wukong: &Wukong) -> Children {
        let related = self.related(wukong);
        let mut children = Children::default();
        children
            .pods
            .replace(self.facts(PODS, |pod| related.has(name(pod), namespace(pod))));
        children.replace_events(self.facts(EVENTS, |event| is_of(event, &related)));
        self.fill(&mut children.provisioners, PODS, |pod| {
            is_provisioner(name(pod))
        });
        children
    }

    /// Returns the names of the objects that belong to the Wukong.
    pub fn related(&self, wukong: &Wukong) -> RelatedNames {
        RelatedNames::of(wukong, &self.world())
    }

    /// Returns the warning events about its objects, newest last, one line each.
    pub fn warnings(&self, wukong: &Wukong) -> Vec<String> {
        let children = self.children(wukong);
        let namespace = wukong.metadata.namespace.as_deref().unwrap_or_default();
        let mut warnings: Vec<_> = children
            .events
            .in_namespace(namespace)
            .filter(|event| event.warning && event.kind != "Wukong")
            .collect();
        warnings.sort_by_key(|event| event.last);
        warnings
            .into_iter()
            .map(|event| {
                bounded(&format!(
                    "{}/{}: {}: {}",
                    event.kind, event.name, event.reason, event.message
                ))
                .into()
            })
            .collect()
    }
}

/// Reads the warning events about the Wukong's objects. Many of these are pods and claims of which only a part of the name is
/// known, and some are gone. One list for all of them also costs the API server less than one for each name: it has no index of
/// events, and reads all of the namespace each time.
async fn events(cluster: &Cluster, related: &RelatedNames) -> anyhow::Result<Part> {
    let warnings = Selection {
        namespace: Some(cluster.namespace.clone()),
        fields: Some("type=Warning".into()),
        paged: true,
        ..Selection::default()
    };
    let about = |event: &Value| is_of(event, related);
    read(cluster, EVENTS, vec![Wanted::List(warnings)], about).await
}

/// Returns the names of the objects that a Wukong has or refers to.
fn names(wukong: &Wukong) -> Names {
    let (namespace, name) = identity(wukong);
    let mut names = Names::new();
    let mut want = |plural, namespace: &str, name: String| {
        let of_kind = names.entry(plural).or_default();
        of_kind.insert((namespace.to_owned(), name));
    };
    want(MACHINES, namespace, name.to_owned());
    want(INSTANCES, namespace, name.to_owned());
    for disk in &wukong.spec.disks {
        let claim = names::claim(name, &disk.name);
        want(DATA_VOLUMES, namespace, claim.clone());
        want(CLAIMS, namespace, claim);
        if let Some(claim) = &disk.claim {
            want(CLAIMS, namespace, claim.clone());
        }
        let Some(source) = &disk.source else { continue };
        if let Some(claim) = &source.pvc {
            want(CLAIMS, namespace, claim.name.clone());
        }
        if let Some(snapshot) = &source.snapshot {
            want(VOLUME_SNAPSHOTS, namespace, snapshot.name.clone());
        }
        if let Some(source) = &source.data_source {
            let theirs = source.namespace.as_deref().unwrap_or(namespace);
            want(DATA_SOURCES, theirs, source.name.clone());
        }
    }
    for claim in generations(wukong) {
        want(DATA_VOLUMES, namespace, claim.clone());
        want(CLAIMS, namespace, claim);
    }
    for network in &wukong.spec.networks {
        let made = names::network_attachment_definition(name, &network.name);
        want(NADS, namespace, made);
        if let Some(nad) = &network.nad_name {
            want(NADS, namespace, nad.clone());
        }
    }
    names
}

/// Returns the names of the claims of all generations of the disks, as the status of the Wukong shows them.
pub(super) fn generations(wukong: &Wukong) -> impl Iterator<Item = String> {
    let status = wukong.status.iter();
    status
        .flat_map(|status| &status.volumes)
        .flat_map(|volume| {
            let others = volume.other_generations.iter();
            let used = volume
                .pvc_name
                .iter()
                .filter(|_| volume.generation.is_some());
            used.chain(others.map(|other| &other.pvc_name)).cloned()
        })
}
