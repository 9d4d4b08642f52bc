//! All guests and imports: brings them to what the cluster's objects ask for.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::copy::{self, Copy};
use super::guest::{self, DesiredState, Orders, Power, ended};
use super::import::{self, Source};
use super::machine::{Disk, Machine};
use super::nic::Network;
use super::switch::Segments;
use super::{Settings, disks, plug, server};
use wukong_sim::field::Field;
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::reality::{Guest, Import, Seen};
use wukong_sim::world::World;

/// All guests and imports of a lab.
pub struct Machines {
    settings: Settings,
    /// Where the lab's own images are served.
    port: u16,
    tell: mpsc::UnboundedSender<Seen>,
    guests: HashMap<Ref, Known>,
    imports: HashMap<Ref, Download>,
    /// The VolumeSnapshots that have been begun, by their uids.
    copies: HashSet<String>,
    segments: Segments,
}

/// The guest of an instance. Dropping it ends the guest.
struct Known {
    uid: String,
    machine: Machine,
    desired: watch::Sender<DesiredState>,
    copies: mpsc::UnboundedSender<Vec<Copy>>,
}

/// An import, and the claim that it is for.
struct Download {
    uid: String,
    restarts: i64,
    task: AbortHandle,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Machines {
    /// Starts with none of them. What is seen comes out of the channel.
    pub async fn start(settings: Settings) -> Result<(Self, mpsc::UnboundedReceiver<Seen>)> {
        std::fs::create_dir_all(&settings.dir)?;
        let port = server::start(settings.images.clone()).await?;
        let (tell, seen) = mpsc::unbounded_channel();
        let machines = Self {
            settings,
            port,
            tell,
            guests: HashMap::new(),
            imports: HashMap::new(),
            copies: HashSet::new(),
            segments: Segments::default(),
        };
        Ok((machines, seen))
    }

    /// The instance of this name may have changed.
    pub fn observe_instance(&mut self, world: &World, namespace: &str, name: &str) {
        let at = Ref::new(Kind::Vmi, namespace, name);
        let vmi = world.get(Kind::Vmi, namespace, name);
        let uid = vmi.as_ref().map_or("", |vmi| vmi.at("metadata.uid").text());
        if self.guests.get(&at).is_some_and(|known| known.uid != uid) {
            self.guests.remove(&at);
        }
        let Some(vmi) = vmi else { return };
        if let Some(known) = self.guests.get(&at) {
            let desired = desired(world, &vmi, &known.machine, &known.desired.borrow().plugged);
            known.desired.send_if_modified(|old| {
                let changed = *old != desired;
                *old = desired;
                changed
            });
            return;
        }
        match vmi.at("status.phase").text() {
            "Scheduled" if !is_deleting(&vmi) => {
                if let Err(error) = self.boot(world, &vmi, at.clone()) {
                    self.tell_end(at, uid, "Failed", &format!("{error:#}"));
                }
            }
            // Its process went with an earlier simulator.
            "Running" if world.guest(&vmi).is_none() => {
                self.tell_end(at, uid, "Failed", "Crashed");
            }
            _ => {}
        }
    }

    fn tell_end(&self, vmi: Ref, uid: &str, phase: &'static str, reason: &str) {
        let guest = Guest {
            state: ended(phase, reason),
            agent: None,
        };
        let uid = uid.to_owned();
        // The simulator listens as long as it lives.
        let _ = self.tell.send(Seen::Guest { vmi, uid, guest });
    }

    fn boot(&mut self, world: &World, vmi: &Field<'_>, at: Ref) -> Result<()> {
        let machine = Machine::of(world, vmi)?;
        let segments = machine
            .nics
            .iter()
            .map(|nic| match &nic.network {
                Network::Pod => Ok(None),
                Network::Segment(name) => self.segments.socket(&self.settings.dir, name).map(Some),
            })
            .collect::<Result<Vec<_>>>()?;
        let (copies, to_copy) = mpsc::unbounded_channel();
        let (sender, receiver) = watch::channel(desired(world, vmi, &machine, &[]));
        let uid = machine.uid.clone();
        let known = Known {
            uid: uid.clone(),
            machine: machine.clone(),
            desired: sender,
            copies,
        };
        let (tell, settings, vmi) = (self.tell.clone(), self.settings.clone(), at.clone());
        let orders = Orders {
            desired: receiver,
            copies: to_copy,
            copied: self.tell.clone(),
        };
        tokio::spawn(async move {
            let tell = |guest| {
                let (vmi, uid) = (vmi.clone(), uid.clone());
                let _ = tell.send(Seen::Guest { vmi, uid, guest });
            };
            guest::run(machine, &settings, segments, orders, tell).await;
        });
        self.guests.insert(at, known);
        Ok(())
    }

    /// The DataVolume and the claim of this name may have changed.
    pub fn observe_disk(&mut self, world: &World, namespace: &str, name: &str) {
        let at = Ref::new(Kind::Claim, namespace, name);
        let claim = world.get(Kind::Claim, namespace, name);
        let uid = claim
            .as_ref()
            .map_or("", |claim| claim.at("metadata.uid").text());
        if self.imports.get(&at).is_some_and(|known| known.uid != uid) {
            self.imports.remove(&at);
        }
        let Some(dv) = world
            .get(Kind::DataVolume, namespace, name)
            .filter(|_| !uid.is_empty())
        else {
            return;
        };
        let restarts = dv.at("status.restartCount").integer();
        let begun = self
            .imports
            .get(&at)
            .is_some_and(|known| known.restarts == restarts);
        let moves = ["ImportInProgress", "CloneInProgress"];
        if moves.contains(&dv.at("status.phase").text()) && !begun {
            self.import(Source::of(world, &dv), at, uid, restarts);
        }
    }

    /// The VirtualMachineSnapshot of this name may have changed: copies the disks of its VolumeSnapshots, all of a guest that
    /// runs at one point in time.
    pub fn observe_snapshot(&mut self, world: &World, namespace: &str, name: &str) {
        let begun: Vec<Copy> = copy::wanted(world, namespace, name)
            .into_iter()
            .filter(|copy| self.copies.insert(copy.uid.clone()))
            .collect();
        if begun.is_empty() {
            return;
        }
        let runs = |(_, known): &(&Ref, &Known)| {
            let has = |copy: &Copy| known.machine.node_of(&copy.claim).is_some();
            !known.copies.is_closed() && begun.iter().any(has)
        };
        let begun = match self.guests.iter().find(runs) {
            Some((_, known)) => match known.copies.send(begun) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
            None => begun,
        };
        let (dir, tell) = (self.settings.dir.clone(), self.tell.clone());
        tokio::spawn(async move {
            for copy in begun {
                let from = disks::image(&dir, &copy.claim);
                let to = disks::image(&dir, &copy.uid);
                let copied = disks::copy(&from, copy.bytes, &to).await;
                let _ = tell.send(copy.ended(copied));
            }
        });
    }

    fn import(&mut self, source: Source, at: Ref, uid: &str, restarts: i64) {
        let image = disks::image(&self.settings.dir, uid);
        let (port, tell, dir) = (self.port, self.tell.clone(), self.settings.dir.clone());
        let (claim, claim_uid) = (at.clone(), uid.to_owned());
        let task = tokio::spawn(async move {
            let tell = |import| {
                let (claim, uid) = (claim.clone(), claim_uid.clone());
                let _ = tell.send(Seen::Import { claim, uid, import });
            };
            tell(Import::Running(0.0));
            let copied = match source {
                Source::Blank => Ok(()),
                Source::Other(words) => Err(anyhow!(words)),
                Source::Http(url) => import::download(&url, port, &image, tell).await,
                Source::Image(origin, bytes) => {
                    disks::copy(&disks::image(&dir, &origin), bytes, &image).await
                }
            };
            tell(match copied {
                Ok(()) => Import::Done,
                Err(error) => Import::Failed(format!("{error:#}")),
            });
        });
        let download = Download {
            uid: uid.to_owned(),
            restarts,
            task: task.abort_handle(),
        };
        self.imports.insert(at, download);
    }
}

fn is_deleting(object: &Field<'_>) -> bool {
    object.at("metadata.deletionTimestamp").is_set()
}

/// `plugged`: the disks that are plugged in already.
fn desired(world: &World, vmi: &Field<'_>, machine: &Machine, plugged: &[Disk]) -> DesiredState {
    let paused = vmi.at("status.conditions").items().any(|condition| {
        condition.child("type").text() == "Paused" && condition.child("status").text() == "True"
    });
    let grace = vmi.at("spec.terminationGracePeriodSeconds").integer();
    let power = if is_deleting(vmi) {
        Power::ShutDown(Duration::from_secs(grace.try_into().unwrap_or_default()))
    } else if paused || (machine.paused && vmi.at("status.phase").text() == "Scheduled") {
        Power::Pause
    } else {
        Power::Run
    };
    let now = Machine::of(world, vmi).unwrap_or_else(|_| machine.clone());
    DesiredState {
        power,
        sizes: now.sizes(),
        plugged: plug::wanted(vmi, &now, plugged),
    }
}
