//! What the operator does to the cluster.

use async_trait::async_trait;
use serde_json::Value;
use wukong_api::WukongStatus;
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Apply, Call, Expand, Note, Prune};

use crate::refusal::Refusal;

/// The Wukong that is worked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Its namespace, where everything happens but what is done to nodes.
    pub namespace: String,
    /// Its name, which its VirtualMachine has too.
    pub name: String,
    /// Its uid: nothing is written to another of the same name.
    pub uid: String,
}

/// What the operator does to the cluster; each is one small number of requests with a deadline.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Port: Send + Sync {
    /// Applies an object and returns it as it is stored then; of a Secret, the metadata only.
    async fn apply(&self, subject: &Subject, apply: &Apply) -> Result<Value, Refusal>;

    /// Grows a claim and returns it.
    async fn expand(&self, subject: &Subject, expand: &Expand) -> Result<Value, Refusal>;

    /// Calls a subresource of the VirtualMachine or its instance. What is so already is a success.
    async fn call(&self, subject: &Subject, call: Call) -> Result<(), Refusal>;

    /// Deletes a child. One that is gone already is a success.
    async fn prune(&self, subject: &Subject, prune: &Prune) -> Result<(), Refusal>;

    /// Replaces the status and returns the Wukong.
    async fn write_status(
        &self,
        subject: &Subject,
        status: &WukongStatus,
    ) -> Result<Value, Refusal>;

    /// Looks at the pods and warnings of a Wukong's related. What may not be seen is noted as such.
    async fn look(&self, subject: &Subject, related: &RelatedNames) -> Children;

    /// Publishes a Kubernetes event.
    async fn publish(&self, subject: &Subject, note: &Note) -> Result<(), Refusal>;
}
