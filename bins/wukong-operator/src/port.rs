//! Interface for writes to the cluster.

use async_trait::async_trait;
use serde_json::Value;
use wukong_api::WukongStatus;
use wukong_engine::facts::{EventFact, PodFact};
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Apply, Call, Event, Expand, Presence, Prune, StatusReport, Store};

use crate::write_error::WriteError;

/// Identifies the Wukong, or the schedule, for which a write happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Namespace of the Wukong and of its objects. Node networks are cluster-scoped.
    pub namespace: String,
    /// Name of the Wukong and of its VirtualMachine.
    pub name: String,
    /// Uid of the Wukong. It distinguishes Wukongs of the same name.
    pub uid: String,
}

/// Query of the pods and warning events of one namespace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Namespace.
    pub namespace: String,
    /// VMs of which the pods are queried, besides the pods of importers.
    pub vms: Vec<String>,
}

/// Result of a query. Missing permissions are recorded in it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Pods of the VMs and of importers.
    pub pods: Result<Vec<FoundPod>, Presence>,
    /// Warning events.
    pub events: Result<Vec<EventFact>, Presence>,
}

/// A pod of a VM or of an importer.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPod {
    /// Name of the VM, by the label of the pod.
    pub vm: Option<String>,
    /// The pod.
    pub fact: PodFact,
}

impl Found {
    /// Returns the pods and events of one Wukong.
    pub fn of(&self, subject: &Subject, related: &RelatedNames) -> Children {
        let mut children = Children::default();
        let ours = |pod: &&FoundPod| match &pod.vm {
            Some(vm) => *vm == subject.name,
            None => related.has(&pod.fact.meta.name, &subject.namespace),
        };
        match &self.pods {
            Ok(pods) => {
                let ours = pods.iter().filter(ours).map(|pod| pod.fact.clone());
                children.pods.replace(ours.collect());
            }
            Err(presence) => drop(children.pods.clear(*presence)),
        }
        match &self.events {
            Ok(events) => {
                let about = |event: &&EventFact| related.has(&event.name, &subject.namespace);
                children.replace_events(events.iter().filter(about).cloned().collect());
            }
            Err(presence) => drop(children.events.clear(*presence)),
        }
        children
    }
}

/// Writes of the operator. Each is a small number of requests with a deadline.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Port: Send + Sync {
    /// Applies an object and returns it as stored; of a Secret, only the metadata.
    async fn apply(&self, subject: &Subject, apply: &Apply) -> Result<Value, WriteError>;

    /// Expands a claim and returns it.
    async fn expand(&self, subject: &Subject, expand: &Expand) -> Result<Value, WriteError>;

    /// Calls a subresource of the VirtualMachine or its instance. Succeeds if the VM already has the requested state.
    async fn call(&self, subject: &Subject, call: Call) -> Result<(), WriteError>;

    /// Deletes a child. Succeeds if it does not exist.
    async fn prune(&self, subject: &Subject, prune: &Prune) -> Result<(), WriteError>;

    /// Replaces the status and returns the Wukong.
    async fn write_status(
        &self,
        subject: &Subject,
        status: &WukongStatus,
    ) -> Result<Value, WriteError>;

    /// Replaces the status of a schedule, or of a snapshot or restore of the subject, and returns the object.
    async fn write_report(
        &self,
        subject: &Subject,
        report: &StatusReport,
    ) -> Result<Value, WriteError>;

    /// Queries pods and warning events of a namespace.
    async fn query(&self, query: &Query) -> Found;

    /// Queries the pods of provisioners that are not CSI drivers, in all namespaces.
    async fn provisioners(&self) -> Store<PodFact>;

    /// Publishes a Kubernetes event.
    async fn publish(&self, subject: &Subject, event: &Event) -> Result<(), WriteError>;
}
