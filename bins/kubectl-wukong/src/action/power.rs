//! Power: a wish in the Wukong, which the operator carries out.

use anyhow::Context;
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::ApiResource;
use kube::{Api, Resource};
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

/// The manager of the fields that this plugin writes.
pub const FIELD_MANAGER: &str = "kubectl-wukong";

/// What the user wants of the power.
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

    fn asked(self) -> &'static str {
        match self {
            Self::Start => "start asked for",
            Self::Stop => "stop asked for",
            Self::Pause => "pause asked for",
            Self::Unpause => "unpause asked for",
        }
    }
}

/// Writes the wish into the Wukong.
///
/// The operator carries out a wish once, and then leaves the VM to whoever starts and stops it elsewhere. So when this
/// very wish was carried out before, KubeVirt is called instead.
pub async fn set(
    args: &ActionArgs,
    cluster: &ClusterArgs,
    wish: DesiredPower,
) -> anyhow::Result<Exit> {
    let cluster = cluster.connect().await?;
    let wukong = cluster.wukong(&args.name).await?;
    if wish == DesiredPower::Unpause && !is_paused(&wukong) {
        let paused = kubevirt::instance(&cluster, &args.name)
            .await?
            .is_some_and(|instance| instance.paused);
        if !paused {
            output::print(&format!("{}: is not paused\n", args.name))?;
            return Ok(Exit::Done);
        }
    }
    let asserted = asserted_wish(&cluster, &args.name).await?;
    let patched = patch(&cluster, &args.name, wish.state()).await?;
    let mut goal = Goal::phase(wish.state(), patched.meta().generation);
    if was_carried_out(&patched, asserted.as_deref()) {
        let (on, call) = wish.call();
        // A conflict says that the VM is so already.
        if let Outcome::Accepted = subresource::call(&cluster, on, &args.name, call).await? {
            goal = goal.after_a_call();
        }
    }
    args.finish(&cluster, goal, wish.asked()).await
}

fn is_paused(wukong: &Wukong) -> bool {
    wukong.spec.power_state == Some(PowerState::Paused)
}

/// Whether the operator has nothing to do for the wish of `wukong`, because it is noted on the VM as carried out.
fn was_carried_out(wukong: &Wukong, asserted: Option<&str>) -> bool {
    let (Ok(validated), Some(asserted)) = (ValidatedWukong::try_from(wukong), asserted) else {
        return false;
    };
    match is_paused(wukong) {
        true => asserted.ends_with("/Paused"),
        false => asserted == wukong_engine::DesiredPower::of(&validated).first_annotation(),
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

/// The wish that is noted on the VirtualMachine; `None` without one, or when we may not look.
async fn asserted_wish(cluster: &Cluster, name: &str) -> anyhow::Result<Option<String>> {
    let resource = ApiResource::erase::<VirtualMachine>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource);
    match api.get_opt(name).await {
        Ok(vm) => Ok(vm.and_then(|vm| vm.metadata.annotations?.remove(labels::POWER_WISH))),
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(None),
        Err(error) => Err(error).context("cannot look at the VirtualMachine"),
    }
}
