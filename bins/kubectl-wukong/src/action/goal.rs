//! The goal of an action, and the wait for it.

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

/// State to wait for.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// The Wukong is in this phase, and its status is of this generation or a later one.
    Phase {
        phase: Phase,
        generation: Option<i64>,
    },
    /// The guest runs.
    Runs,
    /// The guest runs in another instance than this uid.
    OtherInstance { than: String },
    /// A migration other than the earlier one is complete.
    Migrated {
        from: String,
        earlier: Option<String>,
    },
}

/// Result of the wait, as a sentence.
#[derive(Debug)]
pub enum Reached {
    Yes(String),
    TimedOut(String),
}

impl Goal {
    /// Returns the goal of a power state.
    pub fn phase(state: PowerState, generation: Option<i64>) -> Self {
        let phase = match state {
            PowerState::Running => Phase::Running,
            PowerState::Stopped => Phase::Stopped,
            PowerState::Paused => Phase::Paused,
        };
        Self::Phase { phase, generation }
    }

    /// Returns the goal after a call of KubeVirt, which does not change the generation of the Wukong.
    pub fn after_a_call(self) -> Self {
        match self {
            Self::Phase { phase, .. } => Self::Phase {
                phase,
                generation: None,
            },
            other => other,
        }
    }

    /// Returns whether the Wukong has reached the goal.
    fn in_wukong(&self, wukong: &Wukong) -> bool {
        let Self::Phase { phase, generation } = self else {
            return false;
        };
        let Some(status) = &wukong.status else {
            return false;
        };
        status.phase == Some(*phase) && status.observed_generation >= *generation
    }

    /// Returns whether the instance has reached the goal.
    ///
    /// # Errors
    /// The goal can no longer be reached.
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

/// Waits until the goal is reached, and shows the conditions meanwhile.
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
                return Ok(Reached::TimedOut(format!("timed out after {seconds} s{why}")));
            }
            change = wukongs.try_next() => match change? {
                Some(Some(object)) => {
                    let observed = cluster::decode(&object)?;
                    progress.show(&observed);
                    let reached = goal.in_wukong(&observed);
                    wukong = Some(observed);
                    reached
                }
                Some(None) => bail!("Wukong {name} was deleted"),
                None => bail!("the API server ended the watch"),
            },
            // A goal that the Wukong's status shows needs no second watch and no permissions for it.
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

/// Watches one object; `None` while it does not exist. Ends with an error that a retry cannot fix.
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
