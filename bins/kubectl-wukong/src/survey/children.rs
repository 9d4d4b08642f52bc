//! A survey of one Wukong: its objects, and what happened to them.

use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::events::Children;
use wukong_engine::facts::bounded;
use wukong_engine::world::World;

use super::source::{Scope, Source, source};
use super::{Survey, any, name, read};
use crate::cluster::Cluster;

/// The kinds of which a Wukong has objects, or names them.
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
    source("", "v1", "Event", "events", Scope::Namespace),
];

impl Survey {
    /// Looks at the cluster and at everything of one Wukong.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukong(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut survey = Self::of_cluster(cluster).await?;
        for source in CHILDREN {
            let part = read(cluster, source).await?;
            survey.parts.retain(|known| known.plural != part.plural);
            survey.parts.push(part);
        }
        Ok(survey)
    }

    /// What the operator decides about.
    pub fn world(&self) -> World {
        let mut world = World {
            environment: self.environment(),
            ..World::default()
        };
        self.fill(&mut world.virtual_machines, "virtualmachines", any);
        self.fill(&mut world.instances, "virtualmachineinstances", any);
        self.fill(&mut world.data_volumes, "datavolumes", any);
        self.fill(&mut world.claims, "persistentvolumeclaims", any);
        self.fill(
            &mut world.definitions,
            "network-attachment-definitions",
            any,
        );
        self.fill(&mut world.snapshots, "volumesnapshots", any);
        self.fill(&mut world.data_sources, "datasources", any);
        world
    }

    /// The pods and events of the Wukong's children.
    pub fn children(&self, wukong: &Wukong) -> Children {
        let mut children = Children::default();
        children
            .pods
            .replace(self.facts("pods", |pod| is_of(name(pod), namespace(pod), wukong)));
        children.hear(self.facts("events", |event| {
            let object = event
                .pointer("/involvedObject/name")
                .and_then(Value::as_str);
            is_of(object.unwrap_or_default(), namespace(event), wukong)
        }));
        children
    }

    /// The warnings among the events about its objects, the newest last, a line each.
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

fn namespace(object: &Value) -> &str {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether an object of this name is the Wukong, one of its children, or a pod that works for one. All our names begin
/// with the Wukong's; KubeVirt's and CDI's pods put something before.
pub fn is_of(object: &str, namespace: &str, wukong: &Wukong) -> bool {
    let wukong_name = wukong.metadata.name.as_deref().unwrap_or_default();
    if Some(namespace) != wukong.metadata.namespace.as_deref() {
        return false;
    }
    let rest = [
        "virt-launcher-",
        "hp-volume-",
        "importer-prime-",
        "importer-",
        "cdi-upload-",
        "",
    ]
    .iter()
    .find_map(|prefix| object.strip_prefix(prefix))
    .unwrap_or(object);
    let Some(rest) = rest.strip_prefix(wukong_name) else {
        return false;
    };
    let claim = |rest: &str| {
        let disks = wukong.spec.disks.iter();
        disks.map(|disk| disk.name.as_str()).any(|disk| {
            rest == disk
                || rest
                    .strip_prefix(disk)
                    .is_some_and(|rest| rest.starts_with('-'))
        })
    };
    match rest.strip_prefix('.') {
        Some(rest) => claim(rest),
        // `virt-launcher-web-x7k2p`, and not one of a Wukong `web-2`: KubeVirt's suffix has five letters.
        None => {
            rest.is_empty()
                || rest
                    .strip_prefix('-')
                    .is_some_and(|suffix| suffix.len() == 5 && !suffix.contains('-'))
        }
    }
}

#[cfg(test)]
mod tests {
    use wukong_api::WukongSpec;

    use super::*;

    #[test]
    fn what_belongs_to_a_wukong_is_told_by_its_name() {
        let spec: WukongSpec = serde_json::from_value(serde_json::json!({
            "cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}],
        }))
        .unwrap();
        let mut web = Wukong::new("web", spec);
        web.metadata.namespace = Some("shop".into());
        for ours in [
            "web",
            "web.root",
            "virt-launcher-web-x7k2p",
            "importer-web.root",
            "importer-web.root-scratch",
        ] {
            assert!(is_of(ours, "shop", &web), "{ours}");
        }
        for other in [
            "web-2",
            "web2",
            "virt-launcher-web-2-x7k2p",
            "web.other",
            "importer-web-2.root",
            "db",
        ] {
            assert!(!is_of(other, "shop", &web), "{other}");
        }
        assert!(!is_of("web", "elsewhere", &web));
    }
}
