//! The user of a scenario: creates, edits and deletes objects in the namespace of a run, and waits for what comes of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::observed::Observed;
use super::resource::{self, Kind};
use super::wire::Wire;
use crate::value::at;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

const POLL: Duration = Duration::from_millis(200);

/// Label of the nodes of [`User::node`].
pub(super) const RACK: &str = "example.com/rack";

/// The user of one run.
#[derive(Clone)]
pub(super) struct User {
    /// What the operator sees of the cluster.
    pub wire: Wire,
    pub client: Client,
    pub namespace: String,
    pub observed: Observed,
}

impl User {
    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let resource = resource::api_resource(kind);
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// Applies an object.
    pub(super) async fn apply(&self, object: &Value) -> Result<()> {
        let kind = at(object, "/kind").as_str().and_then(Kind::of);
        let kind = kind.context("a scenario applies kinds that runs compare")?;
        let name = at(object, "/metadata/name").as_str().unwrap_or_default();
        let params = PatchParams::apply("a-user").force();
        self.api(kind)
            .patch(name, &params, &Patch::Apply(object))
            .await?;
        Ok(())
    }

    /// Merges a patch into an object.
    pub(super) async fn merge(&self, kind: Kind, name: &str, patch: Value) -> Result<()> {
        let params = PatchParams {
            field_manager: Some("a-user-edits".into()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        self.api(kind).patch(name, &params, &patch).await?;
        Ok(())
    }

    /// Edits the spec of a Wukong.
    pub(super) async fn edit(&self, name: &str, spec: Value) -> Result<()> {
        self.merge(Kind::Wukong, name, json!({"spec": spec})).await
    }

    /// Deletes an object.
    pub(super) async fn delete(&self, kind: Kind, name: &str) -> Result<()> {
        let params = DeleteParams::background();
        self.api(kind).delete(name, &params).await?;
        Ok(())
    }

    /// Waits until `observe` accepts the object; `Null` stands for no object. `what` completes "not in time: OBJECT is".
    pub(super) async fn until(
        &self,
        kind: Kind,
        name: &str,
        what: &str,
        observe: impl Fn(&Value) -> bool,
    ) -> Result<Arc<Value>> {
        let key = (kind, name.to_owned());
        let get = |observed: &Observed| observed.get(&self.namespace, &key).unwrap_or_default();
        let found = self.observed.until(|observed| {
            let object = get(observed);
            observe(&object).then_some(object)
        });
        match timeout(PATIENCE, found).await {
            Ok(found) => Ok(found),
            Err(_) => bail!(
                "not within {} s: {}/{name} is {what}; it is now:\n{}",
                PATIENCE.as_secs(),
                kind.name(),
                shown(&get(&self.observed))
            ),
        }
    }

    /// Waits until the status of a Wukong describes its present spec and `observe` accepts it.
    pub(super) async fn wukong(
        &self,
        name: &str,
        what: &str,
        observe: impl Fn(&Value) -> bool,
    ) -> Result<Arc<Value>> {
        self.until(Kind::Wukong, name, what, |wukong| {
            let generation = at(wukong, "/metadata/generation");
            generation.is_number()
                && generation == at(wukong, "/status/observedGeneration")
                && observe(wukong)
        })
        .await
    }

    /// Waits until a Wukong runs, is ready, and has nothing pending.
    pub(super) async fn running(&self, name: &str) -> Result<Arc<Value>> {
        self.wukong(name, "running and ready", is_running).await
    }

    /// Number of objects that had the name and kind of this one, one after the other.
    pub(super) fn incarnations_of(&self, object: &Value) -> usize {
        let kind = at(object, "/kind").as_str().and_then(Kind::of);
        let name = at(object, "/metadata/name").as_str().unwrap_or_default();
        let key = kind.map(|kind| (kind, name.to_owned()));
        let space = self.observed.space(&self.namespace);
        key.and_then(|key| space.uids.get(&key).map(BTreeSet::len))
            .unwrap_or_default()
    }

    /// Whether the instance with this uid is the one that exists.
    pub(super) fn is_current_instance(&self, name: &str, uid: Option<&str>) -> bool {
        let key = (Kind::VirtualMachineInstance, name.to_owned());
        let instance = self.observed.get(&self.namespace, &key);
        instance.is_some_and(|instance| at(&instance, "/metadata/uid").as_str() == uid)
    }

    /// Adds a node of this run only, and returns its name.
    pub(super) async fn node(&self) -> Result<String> {
        let name = format!("node-{}", self.namespace);
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {RACK: name}},
        });
        let params = PatchParams::apply("a-user").force();
        nodes.patch(&name, &params, &Patch::Apply(node)).await?;
        let ready = async {
            loop {
                let node = nodes.get(&name).await;
                if node.is_ok_and(|node| is_ready(&node)) {
                    return;
                }
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, ready)
            .await
            .context("the node is not ready")?;
        Ok(name)
    }

    /// Waits until an object is gone.
    pub(super) async fn gone(&self, kind: Kind, name: &str) -> Result<()> {
        self.until(kind, name, "gone", Value::is_null).await?;
        Ok(())
    }
}

/// Whether the simulator runs a node.
fn is_ready(node: &Node) -> bool {
    let status = node.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let reported = conditions.into_iter().flatten().any(|condition| {
        let reason = condition.reason.as_deref().unwrap_or_default();
        condition.type_ == "Ready" && !reason.is_empty()
    });
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
    let mut taints = taints.into_iter().flatten();
    reported && !taints.any(|taint| taint.key == "node.kubernetes.io/not-ready")
}

/// Whether a Wukong runs, is ready, its guest agent responds, and it has nothing pending. On a slow machine, the agent responds
/// long after the guest has started.
pub(super) fn is_running(wukong: &Value) -> bool {
    let pending = at(wukong, "/status/pendingChanges").as_array();
    at(wukong, "/status/phase") == "Running"
        && condition(wukong, "Ready") == "True"
        && condition(wukong, "GuestReady") == "True"
        && pending.is_none_or(Vec::is_empty)
}

/// Status of a condition; empty if there is none.
pub(super) fn condition<'a>(wukong: &'a Value, type_: &str) -> &'a str {
    let conditions = at(wukong, "/status/conditions").as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|condition| at(condition, "/type") == type_);
    found
        .and_then(|condition| at(condition, "/status").as_str())
        .unwrap_or_default()
}

/// An object for a message.
pub(super) fn shown(object: &Value) -> String {
    serde_json::to_string_pretty(object).unwrap_or_default()
}
