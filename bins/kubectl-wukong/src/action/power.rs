//! `start`, `stop`, `pause`, `unpause`: the power state in the spec of the Wukong, which the operator enforces.

use anyhow::Context;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::core::ApiResource;
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use wukong_api::spec::PowerState;
use wukong_api::{ValidatedWukong, Wukong, labels};
use wukong_vm::virtual_machine::VirtualMachine;

use super::{ActionArgs, Goal};
use crate::cluster::{self, Cluster, ClusterArgs};
use crate::exit::Exit;
use crate::kubevirt;
use crate::output;
use crate::subresource::{self, On, Outcome};

/// Field manager of this plugin.
pub const FIELD_MANAGER: &str = "kubectl-wukong";

/// The parameters of a creation.
pub fn creation() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    }
}

/// The power action of the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DesiredPower {
    Start,
    Stop,
    Pause,
    Unpause,
}

impl DesiredPower {
    fn state(self) -> PowerState {
        match self {
            Self::Start | Self::Unpause => PowerState::Running,
            Self::Stop => PowerState::Stopped,
            Self::Pause => PowerState::Paused,
        }
    }

    fn call(self) -> (On, &'static str) {
        match self {
            Self::Start => (On::Machine, "start"),
            Self::Stop => (On::Machine, "stop"),
            Self::Pause => (On::Instance, "pause"),
            Self::Unpause => (On::Instance, "unpause"),
        }
    }

    fn requested(self) -> &'static str {
        match self {
            Self::Start => "start requested",
            Self::Stop => "stop requested",
            Self::Pause => "pause requested",
            Self::Unpause => "unpause requested",
        }
    }
}

/// A power state that was requested.
pub struct Requested {
    goal: Goal,
    /// What its user has to know.
    pub notes: Vec<String>,
}

/// Sets the power state in the Wukong, and waits for it with `--wait`.
pub async fn set(
    args: &ActionArgs,
    cluster: &ClusterArgs,
    power: DesiredPower,
) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let Some(requested) = request(&cluster, &args.name, power).await? else {
        output::print(&format!("{}: is not paused\n", args.name))?;
        return Ok(Exit::Done);
    };
    for note in &requested.notes {
        output::note(&format!("note: {note}"));
    }
    args.finish(&cluster, requested.goal, power.requested())
        .await
}

/// Sets the power state in the Wukong; `None` if a VM that is not paused is to be resumed.
///
/// The operator enforces a power state once. Then other tools may start and stop the VM. If the operator has enforced
/// this power state before, KubeVirt is called as well.
pub async fn request(
    cluster: &Cluster,
    name: &str,
    power: DesiredPower,
) -> anyhow::Result<Option<Requested>> {
    let wukong = cluster.wukong(name).await?;
    if power == DesiredPower::Unpause && !is_paused(&wukong) {
        let paused = kubevirt::instance(cluster, name)
            .await?
            .is_some_and(|instance| instance.paused);
        if !paused {
            return Ok(None);
        }
    }
    let enforced = enforced_power(cluster, name).await?;
    let patched = patch(cluster, name, power.state()).await?;
    let mut notes = Vec::new();
    if wukong.spec.power_state != Some(power.state()) {
        for manager in power_managers(&wukong).filter(|manager| *manager != FIELD_MANAGER) {
            notes.push(format!(
                "{manager} manages spec.powerState of {name}: its next apply conflicts or restores its own value; \
                 change the manifest as well"
            ));
        }
    }
    let mut goal = Goal::phase(power.state(), patched.meta().generation);
    if was_enforced(&patched, enforced.as_deref()) {
        let (on, call) = power.call();
        // A conflict means that the VM is in this state already.
        if let Outcome::Accepted = subresource::call(cluster, on, name, call).await? {
            goal = goal.after_a_call();
        }
    }
    Ok(Some(Requested { goal, notes }))
}

fn is_paused(wukong: &Wukong) -> bool {
    wukong.spec.power_state == Some(PowerState::Paused)
}

/// Returns the managers of `spec.powerState`.
pub fn power_managers(wukong: &Wukong) -> impl Iterator<Item = &str> {
    let managed = |fields: &FieldsV1| fields.0.pointer("/f:spec/f:powerState").is_some();
    wukong
        .managed_fields()
        .iter()
        .filter(move |entry| entry.fields_v1.as_ref().is_some_and(managed))
        .filter_map(|entry| entry.manager.as_deref())
}

/// Returns whether the operator has enforced the power state of `wukong`, according to the annotation of the VM.
fn was_enforced(wukong: &Wukong, enforced: Option<&str>) -> bool {
    let (Ok(validated), Some(enforced)) = (ValidatedWukong::try_from(wukong), enforced) else {
        return false;
    };
    match is_paused(wukong) {
        true => enforced.ends_with("/Paused"),
        false => enforced == wukong_engine::DesiredPower::of(&validated).first_annotation(),
    }
}

async fn patch(cluster: &Cluster, name: &str, state: PowerState) -> anyhow::Result<Wukong> {
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    let body = Patch::Merge(json!({"spec": {"powerState": state}}));
    let stored = cluster.wukongs(false).patch(name, &params, &body).await;
    cluster::decode(&stored.map_err(cluster::readable)?)
}

/// Reads the power state that the operator enforced last from the VirtualMachine; `None` if there is none or it may not be
/// read.
async fn enforced_power(cluster: &Cluster, name: &str) -> anyhow::Result<Option<String>> {
    let resource = ApiResource::erase::<VirtualMachine>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    match api.get_opt(name).await {
        Ok(vm) => Ok(vm.and_then(|vm| vm.metadata.annotations?.remove(labels::POWER_WISH))),
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(None),
        Err(error) => Err(error).context("cannot read the VirtualMachine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_of_the_power_state() {
        let wukong: Wukong = serde_saphyr::from_str(
            "{apiVersion: vm.novasphere.dev/v1alpha1, kind: Wukong, spec: {cpu: 1, memory: 1Gi}, metadata: {name: web, managedFields: [\
             {manager: argocd-controller, operation: Apply, fieldsV1: {'f:spec': {'f:cpu': {}, 'f:powerState': {}}}}, \
             {manager: kubectl-edit, operation: Update, fieldsV1: {'f:spec': {'f:memory': {}}}}, \
             {manager: kubectl-wukong, operation: Update, fieldsV1: {'f:spec': {'f:powerState': {}}}}]}}",
        )
        .unwrap();
        let managers: Vec<&str> = power_managers(&wukong).collect();
        assert_eq!(managers, ["argocd-controller", "kubectl-wukong"]);
    }
}
