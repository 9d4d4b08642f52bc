//! Interface for writes to the cluster.

use async_trait::async_trait;
use serde_json::Value;
use wukong_api::WukongStatus;
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Apply, Call, Expand, Note, Prune};

use crate::write_error::WriteError;

/// Identifies the Wukong for which a write happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Namespace of the Wukong and of its objects. Node networks are cluster-scoped.
    pub namespace: String,
    /// Name of the Wukong and of its VirtualMachine.
    pub name: String,
    /// Uid of the Wukong. It distinguishes Wukongs of the same name.
    pub uid: String,
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

    /// Queries the pods and warning events of a Wukong. Missing permissions are recorded in the result.
    async fn query(&self, subject: &Subject, related: &RelatedNames) -> Children;

    /// Publishes a Kubernetes event.
    async fn publish(&self, subject: &Subject, note: &Note) -> Result<(), WriteError>;
}
