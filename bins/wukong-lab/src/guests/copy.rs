//! Copies of disks at one point in time, for VolumeSnapshots.

use std::path::Path;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::agent::Agent;
use super::disks;
use super::machine::Machine;
use super::qmp::{Event, Qmp};
use wukong_sim::cdi;
use wukong_sim::field::Field;
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::reality::{self, Seen};
use wukong_sim::world::World;

/// A copy of a disk.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The VirtualMachineSnapshot.
    at: Ref,
    /// Uid of the VolumeSnapshot, which names the image.
    pub uid: String,
    /// Uid of the claim.
    pub claim: String,
    /// The bytes that a guest may use of it.
    pub bytes: i64,
}

impl Copy {
    /// The name of its job: QEMU wants a letter first.
    fn job(&self) -> String {
        format!("copy-{}", self.uid)
    }

    /// Tells how it ended.
    pub fn ended(self, result: Result<()>) -> Seen {
        Seen::Copy {
            snapshot: self.at,
            uid: self.uid,
            copy: match result {
                Ok(()) => reality::Copy::Done,
                Err(error) => reality::Copy::Failed(format!("{error:#}")),
            },
        }
    }
}

/// The copies that a VirtualMachineSnapshot needs, as far as its VolumeSnapshots exist.
pub fn wanted(world: &World, namespace: &str, name: &str) -> Vec<Copy> {
    let snapshot = world.get(Kind::VmSnapshot, namespace, name);
    let uid = snapshot
        .as_ref()
        .map_or("", |it| it.at("metadata.uid").text());
    let of_snapshot = |taken: &Field<'_>| {
        let mut owners = taken.at("metadata.ownerReferences").items();
        owners.any(|owner| owner.child("uid").text() == uid)
    };
    let copy = |taken: Field<'_>| {
        let claim = taken.at("spec.source.persistentVolumeClaimName").text();
        let claim = world.get(Kind::Claim, namespace, claim)?;
        Some(Copy {
            at: Ref::new(Kind::VmSnapshot, namespace, name),
            uid: taken.at("metadata.uid").text().to_owned(),
            claim: claim.at("metadata.uid").text().to_owned(),
            bytes: cdi::usable(&claim),
        })
    };
    world
        .refs(Kind::VolumeSnapshot)
        .filter(|at| at.namespace == namespace)
        .filter_map(|at| world.get(at.kind, &at.namespace, &at.name))
        .filter(of_snapshot)
        .filter_map(copy)
        .collect()
}

async fn freeze(socket: &Path) -> Result<Agent> {
    let mut agent = Agent::connect(socket).await?;
    agent.call("guest-fsfreeze-freeze", json!({})).await?;
    Ok(agent)
}

/// The copies of a running guest that have not ended.
#[derive(Default)]
pub struct Copies(Vec<Copy>);

impl Copies {
    /// Begins all of them at one point in time. With an agent, the file systems of the guest are frozen meanwhile.
    pub async fn begin(
        &mut self,
        qmp: &mut Qmp,
        dir: &Path,
        (machine, agent): (&Machine, Option<&Path>),
        copies: Vec<Copy>,
    ) -> Result<()> {
        let frozen = match agent {
            Some(socket) => freeze(socket)
                .await
                .inspect_err(|error| tracing::warn!("the guest is not frozen: {error:#}"))
                .ok(),
            None => None,
        };
        let action = |copy: &Copy| {
            let data = json!({
                "job-id": copy.job(), "device": machine.node_of(&copy.claim)?, "sync": "full", "format": "qcow2",
                "target": disks::image(dir, &copy.uid),
            });
            Some(json!({"type": "drive-backup", "data": data}))
        };
        let actions: Vec<Value> = copies.iter().filter_map(action).collect();
        qmp.send("transaction", json!({"actions": actions})).await?;
        self.0.extend(copies);
        // QEMU reads the command before the guest can answer.
        if let Some(mut agent) = frozen
            && let Err(error) = agent.call("guest-fsfreeze-thaw", json!({})).await
        {
            tracing::warn!("the guest stays frozen: {error:#}");
        }
        Ok(())
    }

    /// The guest is gone.
    pub fn give_up(&mut self, tell: &mpsc::UnboundedSender<Seen>) {
        for copy in self.0.drain(..) {
            // The simulator listens as long as it lives.
            let _ = tell.send(copy.ended(Err(anyhow!("the guest has ended"))));
        }
    }

    /// The copy that has ended with this event, and how.
    pub fn observe(&mut self, event: &Event) -> Option<Seen> {
        let ends = matches!(
            event.name.as_str(),
            "BLOCK_JOB_COMPLETED" | "BLOCK_JOB_CANCELLED"
        );
        let job = event.data.get("device").and_then(Value::as_str);
        let job = job.filter(|_| ends)?;
        let position = self.0.iter().position(|copy| copy.job() == job)?;
        let error = event.data.get("error").and_then(Value::as_str);
        let result = match error {
            Some(error) => Err(anyhow!(error.to_owned())),
            None => Ok(()),
        };
        Some(self.0.swap_remove(position).ended(result))
    }
}
