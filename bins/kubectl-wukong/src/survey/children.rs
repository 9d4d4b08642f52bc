//! A survey of one Wukong: its objects and their events.

use futures::stream::{self, StreamExt};
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::bounded;
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::world::World;

use super::source::{
    DEPLOYMENTS, MUTATING, NAMESPACES, SERVICES, Scope, Source, VALIDATING, VOLUMES, source,
};
use super::{AT_ONCE, Part, Survey, any, name, namespace, read};
use crate::cluster::Cluster;

/// The kinds of the objects that a Wukong has or refers to.
pub static CHILDREN: &[Source] = &[
    source(
        "kubevirt.io",
        "v1",
        "VirtualMachine",
        "virtualmachines",
        Scope::Namespace,
    ),
    source(
        "kubevirt.io",
        "v1",
        "VirtualMachineInstance",
        "virtualmachineinstances",
        Scope::Namespace,
    ),
    source(
        "cdi.kubevirt.io",
        "v1beta1",
        "DataVolume",
        "datavolumes",
        Scope::Namespace,
    ),
    source(
        "cdi.kubevirt.io",
        "v1beta1",
        "DataSource",
        "datasources",
        Scope::Namespace,
    ),
    source(
        "k8s.cni.cncf.io",
        "v1",
        "NetworkAttachmentDefinition",
        "network-attachment-definitions",
        Scope::Namespace,
    ),
    source(
        "snapshot.storage.k8s.io",
        "v1",
        "VolumeSnapshot",
        "volumesnapshots",
        Scope::Namespace,
    ),
    source(
        "",
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        Scope::Namespace,
    ),
    source(
        "kubevirt.io",
        "v1",
        "VirtualMachineInstanceMigration",
        "virtualmachineinstancemigrations",
        Scope::Namespace,
    ),
    source(
        "snapshot.kubevirt.io",
        "v1beta1",
        "VirtualMachineSnapshot",
        "virtualmachinesnapshots",
        Scope::Namespace,
    ),
    source(
        "snapshot.kubevirt.io",
        "v1beta1",
        "VirtualMachineRestore",
        "virtualmachinerestores",
        Scope::Namespace,
    ),
    source("", "v1", "Event", "events", Scope::Namespace),
];

impl Survey {
    /// Reads the cluster, the objects of one Wukong, and what these name.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukong(cluster: &Cluster, wukong: &Wukong) -> anyhow::Result<Self> {
        let mut survey = Self::of_cluster(cluster).await?;
        let parts: Vec<anyhow::Result<Part>> = stream::iter(CHILDREN)
            .map(|source| read(cluster, source))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for part in parts {
            let part = part?;
            survey.parts.retain(|known| known.plural != part.plural);
            survey.parts.push(part);
        }
        survey.read_named(cluster, wukong).await?;
        Ok(survey)
    }

    /// Returns the input of the operator's decision.
    pub fn world(&self) -> World {
        let mut world = World {
            environment: self.environment(),
            ..World::default()
        };
        self.fill(&mut world.virtual_machines, "virtualmachines", any);
        self.fill(&mut world.instances, "virtualmachineinstances", any);
        self.fill(&mut world.data_volumes, "datavolumes", any);
        self.fill(&mut world.claims, "persistentvolumeclaims", any);
        self.fill(&mut world.nads, "network-attachment-definitions", any);
        self.fill(&mut world.snapshots, "volumesnapshots", any);
        self.fill(&mut world.data_sources, "datasources", any);
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
        world
    }

    /// The pods and events of the Wukong's children.
    pub fn children(&self, wukong: &Wukong) -> Children {
        let related = self.related(wukong);
        let mut children = Children::default();
        children
            .pods
            .replace(self.facts("pods", |pod| related.has(name(pod), namespace(pod))));
        children.replace_events(self.facts("events", |event| {
            let object = event
                .pointer("/involvedObject/name")
                .and_then(Value::as_str);
            related.has(object.unwrap_or_default(), namespace(event))
        }));
        self.fill(&mut children.provisioners, "pods", |pod| {
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
            })
            .collect()
    }
}
