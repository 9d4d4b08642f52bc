//! A survey of one Wukong: its objects and their events.

use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::bounded;
use wukong_engine::related::{Children, RelatedNames};

use super::source::CHILDREN;
use super::{Survey, name, read};
use crate::cluster::Cluster;

impl Survey {
    /// Reads the cluster and the objects of one Wukong.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukong(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut survey = Self::of_cluster(cluster).await?;
        for source in CHILDREN.iter() {
            let part = read(cluster, source).await?;
            survey.parts.retain(|known| known.plural != part.plural);
            survey.parts.push(part);
        }
        Ok(survey)
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

fn namespace(object: &Value) -> &str {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
