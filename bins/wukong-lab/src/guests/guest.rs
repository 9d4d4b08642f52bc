//! One guest: from its disks to the end of its process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::agent::Agent;
use super::copy::{Copies, Copy};
use super::machine::{Content, Disk, Firmware, Machine, PLUG};
use super::plug::Plugs;
use super::qemu::{self, Places};
use super::qmp::{Event, Qmp};
use super::{Settings, disks, handle, tools};
use crate::cluster::control_plane::free_ports;
use crate::cluster::process::{Process, Spawn};
use wukong_sim::reality::{Guest, Report, Seen, State};

/// How often the lab queries the guest agent.
const ASK_AGENT: Duration = Duration::from_secs(5);
/// How long QEMU may take from its start until it can be controlled.
const START: Duration = Duration::from_secs(60);

/// The state that a guest shall have. When the sender is dropped, the guest is killed.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredState {
    pub power: Power,
    /// The bytes of each disk with a claim, by its node in QEMU.
    pub sizes: BTreeMap<String, i64>,
    /// The disks that are plugged in while it runs.
    pub plugged: Vec<Disk>,
}

/// What a guest shall do, and where to tell of the copies of its disks.
pub struct Orders {
    pub desired: watch::Receiver<DesiredState>,
    pub copies: mpsc::UnboundedReceiver<Vec<Copy>>,
    pub copied: mpsc::UnboundedSender<Seen>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Run,
    Pause,
    /// By ACPI, and by force after this time.
    ShutDown(Duration),
}

/// Runs the machine until its end, and reports its observed state.
pub async fn run(
    machine: Machine,
    settings: &Settings,
    segments: Vec<Option<PathBuf>>,
    orders: Orders,
    tell: impl Fn(Guest),
) {
    let about = format!("{}/{}", machine.namespace, machine.name);
    tell(Guest {
        state: State::Starting,
        agent: None,
    });
    let state = match live(&machine, settings, segments, orders, &tell).await {
        Ok(state) => state,
        Err(error) => {
            tracing::error!(guest = about, "{error:#}");
            ended("Failed", &format!("{error:#}"))
        }
    };
    tell(Guest { state, agent: None });
}

pub fn ended(phase: &'static str, reason: &str) -> State {
    State::Ended {
        phase,
        reason: reason.to_owned(),
    }
}

async fn live(
    machine: &Machine,
    settings: &Settings,
    segments: Vec<Option<PathBuf>>,
    orders: Orders,
    tell: &impl Fn(Guest),
) -> Result<State> {
    let dir = handle::dir_of(&settings.dir, &machine.uid);
    let places = prepare(machine, settings, &dir, segments).await?;
    let log = dir.join("qemu.log");
    let process = Process::start(Spawn {
        name: format!("the guest {}/{}", machine.namespace, machine.name),
        shim: settings.shim.clone(),
        log: log.clone(),
        // A clean end is requested from the guest, not from QEMU.
        grace: Duration::ZERO,
        program: tools::QEMU.into(),
        args: qemu::arguments(machine, settings.accel, &places)
            .into_iter()
            .map(Into::into)
            .collect(),
        env: Vec::new(),
    })?;
    handle::announce(&dir, machine, &places, process.pid())?;
    let qmp = tokio::time::timeout(START, connect(&process, &places.qmp))
        .await
        .context("QEMU does not open its control socket")??;
    let mut session = Session {
        qmp,
        orders,
        machine,
        dir: &settings.dir,
        copies: Copies::default(),
        agent_socket: places.agent,
        guest: Guest {
            state: State::Running,
            agent: None,
        },
        sizes: machine.sizes(),
        plugs: Plugs::new(settings.dir.clone()),
        power: if machine.paused {
            Power::Pause
        } else {
            Power::Run
        },
        deadline: None,
    };
    let end = session.follow(tell).await;
    session.copies.give_up(&session.orders.copied);
    process.kill().await?;
    Ok(end)
}

/// Disks, seed, firmware variables and sockets.
async fn prepare(
    machine: &Machine,
    settings: &Settings,
    dir: &Path,
    segments: Vec<Option<PathBuf>>,
) -> Result<Places> {
    std::fs::create_dir_all(dir)?;
    let mut images = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        images.push(match &disk.content {
            Content::Claim { uid, bytes } => {
                let image = disks::image(&settings.dir, uid);
                disks::provide(&image, *bytes).await?;
                (image, "qcow2")
            }
            Content::Empty { bytes } => {
                let image = dir.join(format!("empty{index}.qcow2"));
                disks::provide(&image, *bytes).await?;
                (image, "qcow2")
            }
            Content::Seed => (dir.join("seed.iso"), "raw"),
        });
    }
    if let Some(seed) = &machine.seed {
        seed.write(&dir.join("seed"), &dir.join("seed.iso")).await?;
    }
    let firmware = match machine.firmware {
        Firmware::Bios => None,
        Firmware::Efi { secure } => {
            let (code, variables) = tools::firmware(secure);
            let own = dir.join("variables.fd");
            std::fs::copy(&variables, &own)
                .with_context(|| format!("copying {}", variables.display()))?;
            Some((code, own))
        }
    };
    let [ssh] = free_ports()?;
    Ok(Places {
        qmp: dir.join("qmp.sock"),
        agent: dir.join("agent.sock"),
        console: dir.join("console.log"),
        terminal: dir.join("console.sock"),
        firmware,
        disks: images,
        segments,
        ssh,
    })
}

async fn connect(process: &Process, socket: &Path) -> Result<Qmp> {
    let gone = async {
        while process.exited().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        qmp = Qmp::connect(socket) => qmp,
        () = gone => bail!("QEMU does not start: {}", process.last_words()),
    }
}

/// A running QEMU.
struct Session<'a> {
    qmp: Qmp,
    orders: Orders,
    machine: &'a Machine,
    dir: &'a Path,
    copies: Copies,
    agent_socket: PathBuf,
    guest: Guest,
    sizes: BTreeMap<String, i64>,
    plugs: Plugs,
    power: Power,
    /// When to kill a guest that has to shut down.
    deadline: Option<Instant>,
}

impl Session<'_> {
    /// Returns how the guest ended.
    async fn follow(&mut self, tell: &impl Fn(Guest)) -> State {
        // If QEMU reported no reason, it was killed or crashed.
        let mut end = ended("Failed", "Crashed");
        let mut connected = false;
        let mut questions: JoinSet<Result<Report>> = JoinSet::new();
        let mut ask = tokio::time::interval(ASK_AGENT);
        ask.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tell(self.guest.clone());
        if self.obey().await.is_err() {
            return end;
        }
        loop {
            let overdue = async {
                match self.deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.qmp.event() => {
                    let Some(event) = event else { return end };
                    if let Some(state) = how_it_ends(&event) {
                        end = state;
                    }
                    if self.plugs.observe(&mut self.qmp, &event).await.is_err() {
                        return end;
                    }
                    if let Some(copied) = self.copies.observe(&event) {
                        // The simulator listens as long as it lives.
                        let _ = self.orders.copied.send(copied);
                    }
                    if let Some(open) = agent_channel(&event) {
                        connected = open;
                        questions.abort_all();
                        self.guest.agent = open.then(Report::default);
                        tell(self.guest.clone());
                        ask.reset_immediately();
                    }
                }
                changed = self.orders.desired.changed() => {
                    if changed.is_err() || self.obey().await.is_err() {
                        return end;
                    }
                }
                Some(wanted) = self.orders.copies.recv() => {
                    let agent = connected.then_some(self.agent_socket.as_path());
                    let (machine, qmp) = (self.machine, &mut self.qmp);
                    if self.copies.begin(qmp, self.dir, (machine, agent), wanted).await.is_err() {
                        return end;
                    }
                }
                _ = ask.tick(), if connected && questions.is_empty() && self.power == Power::Run => {
                    let socket = self.agent_socket.clone();
                    questions.spawn(async move { Agent::connect(&socket).await?.report().await });
                }
                Some(answer) = questions.join_next(), if !questions.is_empty() => {
                    if let (true, Ok(Ok(report))) = (connected, answer)
                        && self.guest.agent.as_ref() != Some(&report)
                    {
                        self.guest.agent = Some(report);
                        tell(self.guest.clone());
                    }
                }
                () = overdue => {
                    self.deadline = None;
                    if self.qmp.send("quit", json!({})).await.is_err() {
                        return end;
                    }
                }
            }
        }
    }

    /// Applies what has changed in the desired state.
    async fn obey(&mut self) -> Result<()> {
        let desired = self.orders.desired.borrow_and_update().clone();
        if desired.power != self.power {
            let was = std::mem::replace(&mut self.power, desired.power);
            match desired.power {
                Power::Run => self.qmp.send("cont", json!({})).await?,
                Power::Pause => self.qmp.send("stop", json!({})).await?,
                Power::ShutDown(grace) => {
                    if !matches!(was, Power::ShutDown(_)) {
                        self.qmp.send("system_powerdown", json!({})).await?;
                    }
                    self.deadline = Some(Instant::now() + grace);
                }
            }
        }
        self.plugs.apply(&mut self.qmp, &desired.plugged).await?;
        let exists = |node: &str| !node.starts_with(PLUG) || self.plugs.has(node);
        let sizes = desired.sizes.into_iter();
        for (node, bytes) in sizes.filter(|(node, _)| exists(node)) {
            let size = self.sizes.entry(node.clone()).or_insert(bytes);
            if *size < bytes {
                *size = bytes;
                let arguments = json!({"node-name": node, "size": bytes});
                self.qmp.send("block_resize", arguments).await?;
            }
        }
        Ok(())
    }
}

/// The reason of the end that QEMU reports, as KubeVirt sees it: a destroyed domain counts as shut down.
fn how_it_ends(event: &Event) -> Option<State> {
    if event.name != "SHUTDOWN" {
        return None;
    }
    let reason = event.data.get("reason").and_then(Value::as_str);
    Some(match reason {
        Some("guest-panic" | "host-error" | "host-signal") => ended("Failed", "Crashed"),
        _ => ended("Succeeded", ""),
    })
}

/// Whether the guest agent has just come or gone.
fn agent_channel(event: &Event) -> Option<bool> {
    let ours = event.name == "VSERPORT_CHANGE"
        && event.data.get("id").and_then(Value::as_str) == Some("agent");
    ours.then(|| event.data.get("open").and_then(Value::as_bool))
        .flatten()
}
