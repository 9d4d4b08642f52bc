//! A survey of one Wukong: its objects and their events.

use futures::stream::{self, StreamExt};
use serde_json::Value;
use wukong_api::Wukong;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::bounded;
use wukong_engine::related::{Children, RelatedNames};

use super::source::CHILDREN;
use super::{AT_ONCE, Part, Survey, name, namespace, read};
use crate::cluster::Cluster;

impl Survey {
    /// Reads the cluster, the objects of one Wukong, and what these name.
    ///
    /// # Errors
    /// The API server cannot be reached.
    pub async fn of_wukong(cluster: &Cluster, wukong: &Wukong) -> anyhow::Result<Self> {
        let mut survey = Self::of_cluster(cluster).await?;
        let parts: Vec<anyhow::Result<Part>> = stream::iter(CHILDREN.iter())
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
