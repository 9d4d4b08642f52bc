//! The parts that `demo` and `up` both start.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::interrupt::interrupted;
use crate::cluster::operator::{Operator, OperatorOptions};
use crate::cluster::process::Process;
use crate::cluster::programs;
use crate::sim::process::{BootImages, SimulatorOptions};
use crate::{Lab, Options, Progress, Upstream};

const CHECK_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, clap::Args)]
pub(super) struct ClusterArgs {
    /// Leave out the kinds of these projects, as in a cluster that lacks them.
    #[arg(long, value_name = "PROJECT", value_delimiter = ',')]
    pub without: Vec<Upstream>,
    /// Start no operator: run your own with the operator's kubeconfig.
    #[arg(long)]
    pub no_operator: bool,
    /// Start no simulator: nothing plays KubeVirt, CDI and the nodes.
    #[arg(long)]
    pub no_simulator: bool,
    /// Milliseconds that one simulated step takes: 1000 to watch at leisure.
    #[arg(long, value_name = "MS", default_value_t = 60)]
    pub pace: u64,
    /// Boot real guests with QEMU instead of simulating them. Without the packages for that, they are simulated.
    #[arg(long)]
    pub boot: bool,
}

/// A lab with its processes. Dropping it ends all of them.
pub(super) struct Cluster {
    pub operator: Option<Operator>,
    simulator: Option<Process>,
    /// The boot images, if guests are real.
    pub images: Option<BootImages>,
    pub lab: Lab,
}

impl Cluster {
    pub(super) async fn start(name: &str, args: &ClusterArgs, progress: &Progress) -> Result<Self> {
        let images = boot_images(args, progress).await;
        let (binary, lab) = tokio::join!(
            operator_binary(args, progress),
            lab_with_simulator(name, args, images.clone(), progress)
        );
        let (binary, (lab, simulator)) = (binary?, lab?);
        let operator = match binary {
            Some(binary) => Some(
                lab.start_operator(OperatorOptions::default().binary(binary))
                    .await?,
            ),
            None => None,
        };
        Ok(Self {
            operator,
            simulator,
            images,
            lab,
        })
    }

    /// Returns when the user or a signal ends this process; errors when a process of the cluster ends before.
    pub(super) async fn stay(&self) -> Result<()> {
        loop {
            tokio::select! {
                outcome = interrupted() => return outcome,
                () = tokio::time::sleep(CHECK_AFTER) => self.check()?,
            }
        }
    }

    /// An error that names the first process that is gone.
    pub(super) fn check(&self) -> Result<()> {
        self.lab.check()?;
        self.operator
            .as_ref()
            .map_or(Ok(()), |operator| operator.process().check())?;
        self.simulator.as_ref().map_or(Ok(()), Process::check)
    }
}

pub(super) async fn operator_binary(
    args: &ClusterArgs,
    progress: &Progress,
) -> Result<Option<&'static Path>> {
    if args.no_operator {
        Ok(None)
    } else {
        programs::OPERATOR.built(progress).await.map(Some)
    }
}

/// Returns the boot images for `--boot`. If they cannot be provided, reports it: the guests are simulated then.
pub(super) async fn boot_images(args: &ClusterArgs, progress: &Progress) -> Option<BootImages> {
    if !args.boot || args.no_simulator {
        return None;
    }
    match BootImages::provide(progress).await {
        Ok(images) => Some(images),
        Err(error) => {
            progress.say(format!("Guests are simulated: {error:#}"));
            None
        }
    }
}

async fn lab_with_simulator(
    name: &str,
    args: &ClusterArgs,
    images: Option<BootImages>,
    progress: &Progress,
) -> Result<(Lab, Option<Process>)> {
    let options = Options::new(name).progress(progress.clone());
    let options = args
        .without
        .iter()
        .fold(options, |options, project| options.without(*project));
    let lab = Lab::start(options).await?;
    if args.no_simulator {
        return Ok((lab, None));
    }
    let task = progress.task("Starting the simulator");
    let options = SimulatorOptions::default()
        .arg("--pace")
        .arg(args.pace.to_string());
    let options = match images {
        Some(images) => options.boot(images),
        None => options,
    };
    let simulator = lab.start_simulator(options)?;
    tokio::select! {
        ready = lab.simulator_ready() => ready?,
        gone = ended(&simulator) => return Err(gone),
    }
    task.done("the simulator plays KubeVirt, CDI and the nodes");
    Ok((lab, Some(simulator)))
}

/// Completes with an error when the process ends.
async fn ended(process: &Process) -> anyhow::Error {
    loop {
        if let Err(gone) = process.check() {
            return gone;
        }
        tokio::time::sleep(CHECK_AFTER).await;
    }
}
