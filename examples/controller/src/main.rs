//! A controller of its own, on `wukong-storage` and `wukong-vm` alone: VMs on the pod network, with their disks.
//!
//! It applies what the planners say, at every event: what is so already the API server does not store again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wukong_api::{ValidatedWukong, Wukong, labels};
use wukong_storage::{Context, Planned};
use wukong_vm::Inputs;
use wukong_vm::virtual_machine::VirtualMachine;

/// The guest's NICs, each by DHCP.
const NETWORK: &str = "version: 2\nethernets: {all: {match: {name: 'e*'}, dhcp4: true}}\n";

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the spec is not valid: {0}")]
    Invalid(#[from] wukong_api::InvalidWukong),
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let client = Client::try_default().await?;
    let everything = watcher::Config::default().streaming_lists(); // no right to list is needed
    let ours = everything.clone().labels(labels::WUKONG);
    Controller::new(Api::<Wukong>::all(client.clone()), everything)
        .owns(Api::<VirtualMachine>::all(client.clone()), ours)
        .run(reconcile, retry, Arc::new(client))
        .for_each(async |done| match done {
            Ok((wukong, _)) => println!("as planned: {wukong}"),
            Err(controller::Error::ObjectNotFound(wukong)) => println!("gone: {wukong}"),
            Err(error) => eprintln!("not as planned: {error}"),
        })
        .await;
    Ok(())
}

async fn reconcile(wukong: Arc<Wukong>, client: Arc<Client>) -> Result<Action, Error> {
    // What is collected with it must not be made again.
    if wukong.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    // The only place that can fail for what the user wrote: every problem at once.
    let wukong = ValidatedWukong::try_from(&*wukong)?;
    // What exists belongs here: CDI refuses every change of a DataVolume, growth included.
    let context = Context {
        cdi: true,
        existing: &BTreeMap::new(),
    };
    for disk in wukong_storage::plan(&wukong, &context) {
        match disk.planned {
            Planned::DataVolume(volume) => apply(&client, &volume).await?,
            Planned::Claim(claim) => apply(&client, &claim).await?,
            Planned::Adopted => {}
        }
    }
    if let Some(secret) = wukong_vm::cloud_init_secret(&wukong, NETWORK) {
        apply(&client, &secret).await?;
    }
    // With CDI, each volume names the DataVolume of its disk.
    let inputs = Inputs {
        nics: &[],
        leaving: &[],
        volumes: &BTreeMap::new(),
        hot_plugged: &BTreeSet::new(),
        run_strategy: wukong.desired_run_strategy(),
        power_wish: "",
        cloud_init_hash: "",
        restores: "",
    };
    apply(&client, &wukong_vm::virtual_machine(&wukong, &inputs)).await?;
    Ok(Action::await_change())
}

async fn apply<K>(client: &Client, object: &K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let params = PatchParams::apply("example-controller").force();
    api.patch(&object.name_any(), &params, &Patch::Apply(object))
        .await?;
    Ok(())
}

fn retry(_: Arc<Wukong>, _: &Error, _: Arc<Client>) -> Action {
    Action::requeue(Duration::from_secs(30))
}
