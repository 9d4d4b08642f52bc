//! Facts of pods: KubeVirt's own, provisioners', and, while a VM waits for something, those of its children.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::text::Text;
use super::words::last_words;
use crate::facts::json::{flag, list, number, optional_text, text, text_map, time};
use crate::facts::{ConditionFact, Fact, Meta, bounded, conditions};

/// Labels that name the component of a pod, the most specific first.
const COMPONENT_LABELS: [&str; 5] = [
    "/metadata/labels/kubevirt.io",
    "/metadata/labels/cdi.kubevirt.io",
    "/metadata/labels/app",
    "/metadata/labels/app.kubernetes.io~1name",
    "/metadata/labels/k8s-app",
];
/// Most containers that are kept of one pod.
const CONTAINERS_MAX: usize = 16;

/// A pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PodFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Its component, by its labels: `virt-handler`, `importer`, ...
    pub component: Text,
    /// Uid of the migration that it is the target of.
    pub migration: Option<Text>,
    /// Node that it is on.
    pub node: Option<Text>,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<Text, Text>,
    /// `status.phase`.
    pub phase: Text,
    /// `status.reason`, such as `Evicted`.
    pub reason: Text,
    /// `status.message`.
    pub message: Text,
    /// Conditions `Ready` and `PodScheduled`.
    pub conditions: Box<[ConditionFact]>,
    /// Its containers, those for initialization first.
    pub containers: Vec<ContainerFact>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContainerFact {
    /// Its name.
    pub name: Text,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was restarted.
    pub restarts: u64,
    /// Why it waits, such as `CrashLoopBackOff`; `None` when it does not.
    pub waiting: Option<Text>,
    /// The message about its waiting.
    pub waiting_message: Text,
    /// How it ended last.
    pub terminated: Option<Terminated>,
    /// Since when it runs.
    pub running_since: Option<Timestamp>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terminated {
    /// Reason, such as `Error` or `OOMKilled`.
    pub reason: Text,
    /// Its exit code.
    pub exit_code: i64,
    /// Its last words.
    pub message: Text,
    /// When it ended.
    pub at: Option<Timestamp>,
}

impl Fact for PodFact {
    fn project(object: &Value) -> Self {
        let component = COMPONENT_LABELS
            .iter()
            .find_map(|label| optional_text(object, label));
        let containers = list(object, "/status/initContainerStatuses")
            .chain(list(object, "/status/containerStatuses"));
        Self {
            meta: Meta::project(object),
            component: component.unwrap_or_default(),
            migration: optional_text(object, "/metadata/labels/kubevirt.io~1migrationJobUID"),
            node: optional_text(object, "/spec/nodeName"),
            node_selector: text_map(object, "/spec/nodeSelector"),
            phase: text(object, "/status/phase"),
            reason: text(object, "/status/reason"),
            message: bounded(&text(object, "/status/message")),
            conditions: conditions(object, &["Ready", "PodScheduled"]),
            containers: containers.take(CONTAINERS_MAX).map(container).collect(),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its component, and its component on its node.
    fn index_keys(&self) -> Vec<Text> {
        let node = self.node.as_deref().unwrap_or_default();
        if node.is_empty() || self.component.is_empty() {
            return Vec::new();
        }
        vec![self.component.clone(), Self::on_node(&self.component, node)]
    }

    /// A container that restarts again and again has the same failure each time.
    fn says_the_same(&self, other: &Self) -> bool {
        let says = |pod: &Self| {
            (
                pod.component.clone(),
                pod.node.clone(),
                pod.is_ready(),
                pod.failure(),
            )
        };
        says(self) == says(other)
    }
}

/// The text at a pointer as it is, with its line breaks.
fn raw<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn container(status: &Value) -> ContainerFact {
    let ended = ["/state/terminated", "/lastState/terminated"]
        .iter()
        .find_map(|pointer| status.pointer(pointer));
    ContainerFact {
        name: text(status, "/name"),
        ready: flag(status, "/ready"),
        restarts: number(status, "/restartCount"),
        waiting: optional_text(status, "/state/waiting/reason"),
        waiting_message: bounded(&text(status, "/state/waiting/message")),
        terminated: ended.map(|ended| Terminated {
            reason: text(ended, "/reason"),
            exit_code: ended
                .get("exitCode")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            message: bounded(last_words(raw(ended, "/message"))),
            at: time(ended, "/finishedAt"),
        }),
        running_since: time(status, "/state/running/startedAt"),
    }
}

impl PodFact {
    /// Index key of the pods of a component on a node.
    pub(crate) fn on_node(component: &str, node: &str) -> Text {
        format!("{component}@{node}").into()
    }

    /// Whether its containers are ready.
    pub fn is_ready(&self) -> bool {
        crate::facts::is_true(&self.conditions, "Ready")
    }

    /// How often its containers were restarted.
    pub fn restarts(&self) -> u64 {
        self.containers
            .iter()
            .map(|container| container.restarts)
            .fold(0, u64::saturating_add)
    }

    /// Its failure, in words; `None` while it runs or starts.
    pub fn failure(&self) -> Option<Text> {
        if self.is_ready() {
            return None;
        }
        let scheduled = crate::facts::find_condition(&self.conditions, "PodScheduled");
        self.containers
            .iter()
            .find_map(ContainerFact::failure)
            .or_else(|| {
                let scheduled = scheduled.filter(|scheduled| {
                    scheduled.status == "False" && !scheduled.message.is_empty()
                });
                scheduled.map(|scheduled| format!("it has no node: {}", scheduled.message).into())
            })
            .or_else(|| (self.phase == "Failed").then(|| "it failed".into()))
    }
}

impl ContainerFact {
    /// Its failure; a container that is being created has none. The words stay the same while the container restarts again
    /// and again: they are part of a status, which must not change with every attempt.
    fn failure(&self) -> Option<Text> {
        let name = &self.name;
        let ended = self
            .terminated
            .as_ref()
            .filter(|ended| ended.exit_code != 0 || ended.reason == "OOMKilled");
        let colon = |words: &str| match words {
            "" => Text::new(),
            words => format!(": {words}").into(),
        };
        match (self.waiting.as_deref(), ended) {
            (Some("ErrImagePull" | "ImagePullBackOff"), _) => Some(
                format!(
                    "container {name} cannot pull its image{}",
                    colon(&self.waiting_message)
                )
                .into(),
            ),
            (waiting, Some(ended)) if !self.ready => {
                let state = if self.restarts > 0 || waiting == Some("CrashLoopBackOff") {
                    "is in CrashLoopBackOff, it ends with"
                } else {
                    "ended with"
                };
                Some(
                    format!(
                        "container {name} {state} {} (exit code {}){}",
                        ended.reason,
                        ended.exit_code,
                        colon(&ended.message)
                    )
                    .into(),
                )
            }
            (Some("ContainerCreating" | "PodInitializing") | None, _) => None,
            (Some(reason), _) => Some(
                format!(
                    "container {name} is in {reason}{}",
                    colon(&self.waiting_message)
                )
                .into(),
            ),
        }
    }
}
