//! A namespace in which one test plays.

use std::time::Duration;

use futures::StreamExt;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams,
    PropagationPolicy,
};
use kube::core::params::ValidationDirective;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use wukong_lab::Lab;
use wukong_lab::cluster::audit::{Mark, Requests};

use super::cluster::{Cluster, operator_log, operators, shown};
use super::read::{condition, is_settled, phase};
use super::{DEADLINE, SCENARIO};

/// A namespace in which one test plays.
#[derive(Clone)]
pub struct Space<'a> {
    pub cluster: &'a Cluster,
    pub lab: &'a Lab,
    pub client: Client,
    pub name: String,
    /// How long anything may take here.
    pub patience: Duration,
    mark: Mark,
}

impl<'a> Space<'a> {
    pub async fn existing(cluster: &'a Cluster, name: &str) -> Self {
        let lab = &cluster.lab;
        Self {
            cluster,
            lab,
            client: lab.client().await.unwrap(),
            name: name.to_owned(),
            patience: DEADLINE,
            mark: lab.audit().mark(),
        }
    }

    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (resource, namespaced) = resource(kind);
        if namespaced {
            Api::namespaced_with(self.client.clone(), &self.name, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    /// Applies an object strictly, as a user would.
    pub async fn apply(&self, object: &Value) -> Value {
        self.try_apply(object).await.unwrap()
    }

    pub async fn try_apply(&self, object: &Value) -> kube::Result<Value> {
        self.try_apply_with(object, PatchParams::apply("a-user").force())
            .await
    }

    /// Asks whether an object would be accepted.
    pub async fn try_dry_run(&self, object: &Value) -> kube::Result<Value> {
        let params = PatchParams::apply("a-user").force().dry_run();
        self.try_apply_with(object, params).await
    }

    async fn try_apply_with(&self, object: &Value, params: PatchParams) -> kube::Result<Value> {
        let params = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..params
        };
        let name = object["metadata"]["name"].as_str().unwrap();
        let api = self.api(object["kind"].as_str().unwrap());
        let stored = api.patch(name, &params, &Patch::Apply(object)).await?;
        Ok(json_of(stored))
    }

    /// Merges `patch` into an object, as `kubectl edit` does.
    pub async fn merge(&self, kind: &str, name: &str, patch: Value) -> Value {
        let params = PatchParams {
            field_manager: Some("a-user-edits".into()),
            ..PatchParams::default()
        };
        let stored = self
            .api(kind)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
        json_of(stored)
    }

    /// The same for the status, as the controller that reports it would.
    pub async fn merge_status(&self, kind: &str, name: &str, patch: Value) {
        let (patch, params) = (Patch::Merge(patch), PatchParams::default());
        self.api(kind)
            .patch_status(name, &params, &patch)
            .await
            .unwrap();
    }

    pub async fn json_patch(&self, kind: &str, name: &str, patch: Value) -> Value {
        let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
        let stored = self
            .api(kind)
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        json_of(stored)
    }

    /// Edits the spec of a Wukong.
    pub async fn edit(&self, name: &str, spec: Value) -> Value {
        self.merge("Wukong", name, json!({"spec": spec})).await
    }

    /// Gives a Wukong another scenario; `None` heals.
    pub async fn scenario(&self, name: &str, scenario: Option<&str>) {
        let patch = json!({"metadata": {"annotations": {SCENARIO: scenario}}});
        self.merge("Wukong", name, patch).await;
    }

    /// The object; `Null` when there is none.
    pub async fn get(&self, kind: &str, name: &str) -> Value {
        let found = self.api(kind).get_opt(name).await.unwrap();
        found.map_or(Value::Null, json_of)
    }

    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let list = self.api(kind).list(&Default::default()).await.unwrap();
        list.items.into_iter().map(json_of).collect()
    }

    pub async fn names(&self, kind: &str) -> Vec<String> {
        let list = self.api(kind).list(&Default::default()).await.unwrap();
        list.items.iter().map(ResourceExt::name_any).collect()
    }

    /// Asks for deletion.
    pub async fn delete(&self, kind: &str, name: &str) {
        self.delete_with(kind, name, PropagationPolicy::Background)
            .await;
    }

    pub async fn delete_with(&self, kind: &str, name: &str, policy: PropagationPolicy) {
        let params = DeleteParams {
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        self.api(kind).delete(name, &params).await.unwrap();
    }

    /// Waits until the object is gone.
    pub async fn gone(&self, kind: &str, name: &str) {
        self.until(kind, name, "gone", |object| object.is_null().then_some(()))
            .await;
    }

    /// Watches an object until `look` finds what it checks for; `look` gets `Null` while there is no such object. Panics
    /// with the last state and the operator's log if that takes too long.
    pub async fn until<T>(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        mut observe: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut events = watcher::watcher(self.api(kind), config).boxed();
        let (mut seen, mut listed) = (Value::Null, Value::Null);
        let mut trouble = String::new();
        let found = async {
            loop {
                match events.next().await.unwrap() {
                    Ok(Event::Init) => {
                        listed = Value::Null;
                        continue;
                    }
                    Ok(Event::InitApply(object)) => {
                        listed = json_of(object);
                        continue;
                    }
                    Ok(Event::InitDone) => seen = listed.take(),
                    Ok(Event::Apply(object)) => seen = json_of(object),
                    Ok(Event::Delete(_)) => seen = Value::Null,
                    Err(error) => {
                        trouble = format!("{error}\n");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                }
                if let Some(found) = observe(&seen) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(self.patience, found).await;
        match found {
            Ok(found) => found,
            Err(_) => panic!(
                "not within {:?}: {kind} {}/{name} is {what}; last seen:\n{}\n{trouble}\n{}",
                self.patience,
                self.name,
                shown(&seen),
                operator_log(self.lab, &self.name),
            ),
        }
    }

    /// Waits until the status of a Wukong is about its present spec and `look` accepts it; returns the Wukong.
    pub async fn wukong(
        &self,
        name: &str,
        what: &str,
        mut observe: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.until("Wukong", name, what, |wukong| {
            (is_settled(wukong) && observe(wukong)).then(|| wukong.clone())
        })
        .await
    }

    /// Waits until a Wukong runs and is ready.
    pub async fn running(&self, name: &str) -> Value {
        self.wukong(name, "running and ready", |wukong| {
            phase(wukong) == "Running" && condition(wukong, "Ready").0 == "True"
        })
        .await
    }

    /// Waits until a Wukong runs in another instance than `before`, and its status shows it: a status
    /// that is merely ready may still be about the old instance.
    pub async fn running_again(&self, name: &str, before: &Value) {
        let anew = async {
            loop {
                let wukong = self.running(name).await;
                let started = &wukong["status"]["startedWith"]["instance"];
                if started != before && *started == self.instance(name).await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let found = tokio::time::timeout(self.patience, anew).await;
        found.unwrap_or_else(|_| panic!("{}/{name} does not run again", self.name));
    }

    /// The uid of the instance that runs now.
    pub async fn instance(&self, name: &str) -> Value {
        self.get("VirtualMachineInstance", name).await["metadata"]["uid"].clone()
    }

    /// Waits until a Wukong reports a blocker.
    pub async fn blocked(&self, name: &str, reason: &str) -> Value {
        self.wukong(name, &format!("blocked by {reason}"), |wukong| {
            super::blocker(wukong) == reason
        })
        .await
    }

    /// The operator's requests in this namespace, without watches and events.
    pub fn asked(&self) -> Requests {
        self.requested_since(self.mark)
    }

    pub fn requested_since(&self, mark: Mark) -> Requests {
        let all = self.lab.audit().since(mark).unwrap();
        operators(all).in_namespace(&self.name)
    }

    pub fn mark(&self) -> Mark {
        self.lab.audit().mark()
    }
}

fn json_of(object: DynamicObject) -> Value {
    serde_json::to_value(object).unwrap()
}

/// A kind, and whether it is namespaced.
pub fn resource(kind: &str) -> (ApiResource, bool) {
    let (group, version, plural, namespaced) = match kind {
        "Wukong" => ("vm.novasphere.dev", "v1alpha1", "wukongs", true),
        "WukongSnapshot" => ("vm.novasphere.dev", "v1alpha1", "wukongsnapshots", true),
        "WukongSnapshotSchedule" => (
            "vm.novasphere.dev",
            "v1alpha1",
            "wukongsnapshotschedules",
            true,
        ),
        "WukongRestore" => ("vm.novasphere.dev", "v1alpha1", "wukongrestores", true),
        "VirtualMachineSnapshot" => (
            "snapshot.kubevirt.io",
            "v1beta1",
            "virtualmachinesnapshots",
            true,
        ),
        "WukongPolicy" => ("vm.novasphere.dev", "v1alpha1", "wukongpolicies", false),
        "VirtualMachine" => ("kubevirt.io", "v1", "virtualmachines", true),
        "VirtualMachineInstance" => ("kubevirt.io", "v1", "virtualmachineinstances", true),
        "KubeVirt" => ("kubevirt.io", "v1", "kubevirts", true),
        "CDI" => ("cdi.kubevirt.io", "v1beta1", "cdis", false),
        "DaemonSet" => ("apps", "v1", "daemonsets", true),
        "Deployment" => ("apps", "v1", "deployments", true),
        "Node" => ("", "v1", "nodes", false),
        "Namespace" => ("", "v1", "namespaces", false),
        "DataVolume" => ("cdi.kubevirt.io", "v1beta1", "datavolumes", true),
        "NetworkAttachmentDefinition" => (
            "k8s.cni.cncf.io",
            "v1",
            "network-attachment-definitions",
            true,
        ),
        "PersistentVolumeClaim" => ("", "v1", "persistentvolumeclaims", true),
        "Secret" => ("", "v1", "secrets", true),
        "NodeNetworkConfigurationPolicy" => (
            "nmstate.io",
            "v1",
            "nodenetworkconfigurationpolicies",
            false,
        ),
        "NodeNetworkState" => ("nmstate.io", "v1beta1", "nodenetworkstates", false),
        "Pod" => ("", "v1", "pods", true),
        "Service" => ("", "v1", "services", true),
        "ResourceQuota" => ("", "v1", "resourcequotas", true),
        "Event" => ("events.k8s.io", "v1", "events", true),
        "Lease" => ("coordination.k8s.io", "v1", "leases", true),
        "StorageClass" => ("storage.k8s.io", "v1", "storageclasses", false),
        "CustomResourceDefinition" => (
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            false,
        ),
        "ValidatingAdmissionPolicy" => (
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicies",
            false,
        ),
        "ValidatingAdmissionPolicyBinding" => (
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicybindings",
            false,
        ),
        other => panic!("no kind {other} is known here"),
    };
    let kind = GroupVersionKind::gvk(group, version, kind);
    (ApiResource::from_gvk_with_plural(&kind, plural), namespaced)
}
