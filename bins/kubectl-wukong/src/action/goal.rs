//! What is waited for, and how it is told that it is there.

use std::time::{Duration, Instant};

use anyhow::bail;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use wukong_api::Wukong;
use wukong_api::spec::PowerState;
use wukong_api::status::Phase;

use super::progress::Progress;
use crate::cluster::{self, Cluster};
use crate::kubevirt::{self, Instance};
use crate::{live, text};

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// The Wukong is in this phase, and its status speaks of this generation or a later one.
    Phase {
        phase: Phase,
        generation: Option<i64>,
    },
    /// The guest runs.
    Runs,
    /// The guest runs, and is not the one of this uid.
    OtherInstance { than: String },
    /// A migration other than the earlier one is over.
    Migrated {
        from: String,
        earlier: Option<String>,
    },
}

/// How the waiting ended, as a sentence.
#[derive(Debug)]
pub enum Reached {
    Yes(String),
    NotInTime(String),
}

impl Goal {
    /// The phase in which a wish is carried out.
    pub fn phase(state: PowerState, generation: Option<i64>) -> Self {
        let phase = match state {
            PowerState::Running => Phase::Running,
            PowerState::Stopped => Phase::Stopped,
            PowerState::Paused => Phase::Paused,
        };
        Self::Phase { phase, generation }
    }

    /// The same for a VM that was called instead of its Wukong changed: the status speaks of this generation already.
    pub fn after_a_call(self) -> Self {
        match self {
            Self::Phase { phase, .. } => Self::Phase {
                phase,
                generation: None,
            },
            other => other,
        }
    }

    /// Whether the Wukong shows that it is reached.
    fn in_wukong(&self, wukong: &Wukong) -> bool {
        let Self::Phase { phase, generation } = self else {
            return false;
        };
        let Some(status) = &wukong.status else {
            return false;
        };
        status.phase == Some(*phase) && status.observed_generation >= *generation
    }

    /// Whether the running guest shows that it is reached.
    ///
    /// # Errors
    /// It cannot be reached any more.
    fn in_instance(&self, instance: &Instance) -> anyhow::Result<bool> {
        match self {
            Self::Phase { .. } => Ok(false),
            Self::Runs => Ok(instance.phase == "Running"),
            Self::OtherInstance { than } => {
                Ok(instance.uid != *than && instance.phase == "Running")
            }
            Self::Migrated { earlier, .. } => match &instance.migration {
                Some(migration) if earlier.as_ref() != Some(&migration.uid) => {
                    if migration.failed {
                        bail!("the migration failed; the guest stays on its node");
                    }
                    Ok(migration.completed)
                }
                _ => Ok(false),
            },
        }
    }

    fn sentence(&self, wukong: Option<&Wukong>, instance: Option<&Instance>) -> String {
        let status = wukong.and_then(|wukong| wukong.status.as_ref());
        let node = instance
            .and_then(|instance| instance.node.clone())
            .or_else(|| status.and_then(|status| status.node_name.clone()));
        let on = node.map(|node| format!(" on {node}")).unwrap_or_default();
        match self {
            Self::Phase {
                phase: Phase::Stopped,
                ..
            } => "is stopped".into(),
            Self::Phase {
                phase: Phase::Paused,
                ..
            } => "is paused".into(),
            Self::Phase { .. } => {
                let networks = status
                    .map(|status| status.networks.as_slice())
                    .unwrap_or_default();
                let ip = networks.iter().find_map(|nic| nic.ip_address.as_deref());
                let at = ip
                    .map(|ip| format!(", at {}", text::plain(ip)))
                    .unwrap_or_default();
                format!("runs{on}{at}")
            }
            Self::Runs => format!("runs{on}"),
            Self::OtherInstance { .. } => format!("runs again{on}"),
            Self::Migrated { from, .. } => {
                format!("moved from {from}{}", on.replacen(" on ", " to ", 1))
            }
        }
    }
}

/// Waits until the goal is reached, and shows how the conditions move.
pub async fn reach(
    cluster: &Cluster,
    name: &str,
    goal: Goal,
    timeout: Duration,
) -> anyhow::Result<Reached> {
    let begin = Instant::now();
    let mut progress = Progress::new(name);
    let mut wukongs = changes(cluster.wukongs(false), name);
    let mut instances = changes(kubevirt::instances(cluster), name);
    let (mut wukong, mut instance): (Option<Wukong>, Option<Instance>) = (None, None);
    let deadline = tokio::time::sleep(timeout);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        let reached = tokio::select! {
            () = &mut deadline => {
                progress.end();
                let seconds = timeout.as_secs();
                let why = progress.blocker().map(|why| format!(": {why}")).unwrap_or_default();
                return Ok(Reached::NotInTime(format!("not there after {seconds} s{why}")));
            }
            change = wukongs.try_next() => match change? {
                Some(Some(object)) => {
                    let seen = cluster::decode(&object)?;
                    progress.show(&seen);
                    let reached = goal.in_wukong(&seen);
                    wukong = Some(seen);
                    reached
                }
                Some(None) => bail!("Wukong {name} was deleted meanwhile"),
                None => bail!("the API server ended the watch"),
            },
            // Only what happens outside the Wukong's own status needs the second watch, and its rights.
            change = instances.try_next(), if !matches!(goal, Goal::Phase { .. }) => match change? {
                Some(object) => {
                    instance = object.as_ref().map(Instance::of);
                    instance.as_ref().map_or(Ok(false), |instance| goal.in_instance(instance))?
                }
                None => bail!("the API server ended the watch"),
            },
        };
        if reached {
            progress.end();
            let sentence = goal.sentence(wukong.as_ref(), instance.as_ref());
            return Ok(Reached::Yes(format!(
                "{sentence} ({} s)",
                begin.elapsed().as_secs()
            )));
        }
    }
}

/// One object as it changes; `None` while it does not exist. Ends with errors that do not mend themselves.
fn changes(
    api: Api<DynamicObject>,
    name: &str,
) -> BoxStream<'static, anyhow::Result<Option<DynamicObject>>> {
    watch_object(api, name)
        .default_backoff()
        .filter_map(|change| async {
            match change {
                Ok(object) => Some(Ok(object)),
                Err(error) => live::lasting(error).err().map(Err),
            }
        })
        .boxed()
}
