//! KubeVirt and CDI of a measured cluster: they follow every DataVolume and VirtualMachine at once and write only what the
//! operator sees.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams, Request};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wukong_sim::field::Field;
use wukong_sim::kind::Kind;

use super::journey::{Journey, Recorder, Write};
use crate::sim::execute::api_resource;

/// The user agent of these writes in the audit log.
pub const AGENT: &str = "wukong-bench-neighbours";
/// Objects that are followed at the same time.
const CONCURRENCY: usize = 48;
const RETRY: Duration = Duration::from_millis(500);
const ATTEMPTS: usize = 20;
/// How often each node gives a sign of life, as virt-handler does.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// The part of an address by which the audit log shows the writes of virt-handler: its first for a VM says that it runs.
pub const RUNNING: &str = "fieldManager=virt-handler";
/// Namespaces that are followed start with this.
pub const NAMESPACES: &str = "bench-";

/// The running neighbours. Dropping them ends them.
pub struct Neighbours {
    tasks: Mutex<JoinSet<Result<()>>>,
    state: Arc<State>,
}

struct State {
    client: Client,
    nodes: Vec<String>,
    journeys: Mutex<Vec<Journey>>,
    /// VirtualMachines that run.
    running: AtomicUsize,
    /// Milliseconds between two stages of an object.
    pause: AtomicU64,
}

impl Neighbours {
    /// Follows everything in namespaces with the right name, on these nodes.
    pub fn start(client: Client, nodes: Vec<String>) -> Self {
        let state = Arc::new(State {
            client,
            nodes,
            journeys: Mutex::default(),
            running: AtomicUsize::new(0),
            pause: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(Arc::clone(&state)));
        tasks.spawn(beat(Arc::clone(&state)));
        Self {
            tasks: Mutex::new(tasks),
            state,
        }
    }

    /// The number of VMs that run.
    pub fn running(&self) -> usize {
        self.state.running.load(Ordering::Relaxed)
    }

    /// Lets time pass between two stages of a disk or a VM. Without a pause, all of them fall into one of the windows in
    /// which the operator limits the reconciles of a Wukong.
    pub fn pause(&self, pause: Duration) {
        let milliseconds = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.state.pause.store(milliseconds, Ordering::Relaxed);
    }

    /// Errors when they stopped.
    pub fn check(&self) -> Result<()> {
        let ended = self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_join_next();
        match ended {
            Some(ended) => ended?.context("the simulated neighbours ended"),
            None => Ok(()),
        }
    }
}

async fn follow(state: Arc<State>) -> Result<()> {
    let watch = |kind| {
        let api: Api<DynamicObject> = Api::all_with(state.client.clone(), &api_resource(kind));
        watcher::watcher(api, watcher::Config::default()).map(move |event| (kind, event))
    };
    let mut events = stream::select(watch(Kind::DataVolume).boxed(), watch(Kind::Vm).boxed());
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut seen = HashSet::new();
    let mut recorder = Recorder::new(Timestamp::now());
    let mut journeys = JoinSet::new();
    loop {
        let (kind, event) = tokio::select! {
            event = events.next() => event.context("a watch ended")?,
            Some(ended) = journeys.join_next() => {
                ended??;
                continue;
            }
        };
        let object = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => object,
            Ok(_) => continue,
            Err(error) => {
                tracing::debug!(?kind, %error, "watching");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let followed = object
            .namespace()
            .is_some_and(|name| name.starts_with(NAMESPACES));
        if !followed || !seen.insert(object.uid().unwrap_or_default()) {
            continue;
        }
        let object = serde_json::to_value(object)?;
        let stages = match state.repeated(&object) {
            Some(stages) => stages,
            None => {
                state.add_references(&mut recorder, &object).await?;
                let journey = recorder.record(&object)?;
                state.known().push(journey);
                state
                    .repeated(&object)
                    .context("a journey repeats its own recording")?
            }
        };
        let (state, permits) = (Arc::clone(&state), Arc::clone(&permits));
        journeys.spawn(async move {
            let _permit = permits.acquire_owned().await?;
            for (number, stage) in stages.iter().enumerate() {
                if number > 0 {
                    let pause = state.pause.load(Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                for write in stage {
                    state.write(write).await?;
                }
            }
            if kind == Kind::Vm {
                state.running.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
}

/// The signs of life of virt-handler on each node, spread over time.
async fn beat(state: Arc<State>) -> Result<()> {
    let count = u32::try_from(state.nodes.len().max(1))?;
    let nodes: Api<DynamicObject> = Api::all_with(state.client.clone(), &api_resource(Kind::Node));
    let mut ticks = tokio::time::interval(HEARTBEAT / count);
    for name in state.nodes.iter().cycle() {
        ticks.tick().await;
        let patch = json!({"metadata": {"annotations": {"kubevirt.io/heartbeat": now()}}});
        let sent = nodes
            .patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        if let Err(error) = sent {
            tracing::debug!(name, %error, "a heartbeat was lost");
        }
    }
    Ok(())
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    fn known(&self) -> std::sync::MutexGuard<'_, Vec<Journey>> {
        self.journeys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeated(&self, object: &Value) -> Option<Vec<Vec<Write>>> {
        let uid = Field::new("", object).at("metadata.uid").text();
        let number = uid.bytes().map(usize::from).sum::<usize>();
        let node = number
            .checked_rem(self.nodes.len())
            .and_then(|number| self.nodes.get(number))?;
        self.known()
            .iter()
            .find_map(|journey| journey.repeat(object, node, &now()))
    }

    /// Gives the recorder the objects to which this one refers.
    async fn add_references(&self, recorder: &mut Recorder, object: &Value) -> Result<()> {
        let field = Field::new("", object);
        let namespace = field.at("metadata.namespace").text();
        let space =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        // Objects that are already there stay.
        let _ = recorder.add(space);
        for kind in [Kind::Nad, Kind::Secret] {
            let api: Api<DynamicObject> =
                Api::namespaced_with(self.client.clone(), namespace, &api_resource(kind));
            for name in referred(&field, kind) {
                let found = api
                    .get(&name)
                    .await
                    .with_context(|| format!("{kind:?} {name}"))?;
                let _ = recorder.add(serde_json::to_value(found)?);
            }
        }
        Ok(())
    }

    async fn write(&self, write: &Write) -> Result<()> {
        let mut attempt = 1;
        loop {
            let request = request(write)?;
            match self.client.request_text(request).await {
                Ok(_) => return Ok(()),
                // An object that is gone, or that an earlier attempt made.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
                Err(error) if attempt == ATTEMPTS => {
                    return Err(error).with_context(|| format!("writing {write:?}"));
                }
                Err(error) => tracing::debug!(%error, "writing"),
            }
            attempt += 1;
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn request(write: &Write) -> Result<http::Request<Vec<u8>>> {
    let (Write::Create { at, .. } | Write::Merge { at, .. }) = write;
    let resource = api_resource(at.kind);
    let namespace = at.kind.is_namespaced().then_some(at.namespace.as_str());
    let requests = Request::new(DynamicObject::url_path(&resource, namespace));
    let request = match write {
        Write::Create { object, .. } => {
            requests.create(&PostParams::default(), serde_json::to_vec(object)?)?
        }
        Write::Merge { status, patch, .. } => {
            let runs = Field::new("", patch).at("status.phase").text() == "Running";
            let manager = if runs {
                "virt-handler"
            } else {
                "virt-controller"
            };
            let params = PatchParams {
                field_manager: Some(manager.to_owned()),
                ..PatchParams::default()
            };
            let patch = Patch::Merge(patch);
            if *status {
                requests.patch_subresource("status", &at.name, &params, &patch)?
            } else {
                requests.patch(&at.name, &params, &patch)?
            }
        }
    };
    Ok(request)
}

/// The names of the NADs or Secrets that a VirtualMachine uses.
fn referred(vm: &Field<'_>, kind: Kind) -> Vec<String> {
    let spec = vm.at("spec.template.spec");
    let names: Vec<&str> = match kind {
        Kind::Nad => {
            let networks = spec.child("networks").items();
            networks
                .map(|network| network.at("multus.networkName").text())
                .collect()
        }
        _ => {
            let volumes = spec.child("volumes").items();
            volumes
                .flat_map(|volume| {
                    ["cloudInitNoCloud", "cloudInitConfigDrive"].map(|source| {
                        let source = volume.child(source);
                        [source.at("secretRef"), source.at("networkDataSecretRef")]
                            .map(|secret| secret.child("name").text())
                    })
                })
                .flatten()
                .collect()
        }
    };
    let names = names.into_iter().filter(|name| !name.is_empty());
    // `namespace/name`, where the namespace may be missing.
    let mut names: Vec<String> = names
        .map(|name| name.rsplit('/').next().unwrap_or(name).to_owned())
        .collect();
    names.dedup();
    names
}
