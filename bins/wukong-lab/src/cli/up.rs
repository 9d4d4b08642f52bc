//! `cargo lab up`: a cluster that stays.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::cluster::{self, Cluster};
use super::interrupt::interrupted;
use super::state::{State, UP};
use crate::Progress;
use crate::cluster::binaries::Binaries;
use crate::cluster::dirs;
use crate::cluster::manifests::repository;

const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Stay in the foreground until Ctrl-C.
    #[arg(long)]
    foreground: bool,
    #[command(flatten)]
    cluster: cluster::ClusterArgs,
    /// How `up` starts itself in the background.
    #[arg(long, hide = true)]
    detached: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    if let [running, ..] = State::of_up()?.as_slice() {
        say!("The lab is up already.\n{}", describe(running));
        return Ok(ExitCode::SUCCESS);
    }
    if args.foreground {
        stay(&args).await
    } else {
        detach(&args).await
    }
}

async fn stay(args: &Args) -> Result<ExitCode> {
    if args.detached {
        // The terminal that started it may go.
        rustix::process::setsid()?;
    }
    let progress = Progress::stderr();
    let cluster = tokio::select! {
        cluster = Cluster::start(UP, &args.cluster, &progress) => cluster?,
        outcome = interrupted() => return outcome.map(|()| ExitCode::FAILURE),
    };
    let state = State::of(UP, &cluster.lab);
    state.write()?;
    say!("The lab is up until Ctrl-C.\n{}", describe(&state));
    cluster.stay().await?;
    Ok(ExitCode::SUCCESS)
}

async fn detach(args: &Args) -> Result<ExitCode> {
    let progress = Progress::stderr();
    // What takes minutes is done here, where it can be seen.
    let (binaries, operator) = tokio::join!(
        Binaries::locate(&progress),
        cluster::operator_binary(&args.cluster, &progress)
    );
    binaries?;
    let operator = operator?;
    let log = dirs::root()?.join("up.log");
    let boot = cluster::boot_images(&args.cluster, &progress)
        .await
        .is_some();
    let mut child = spawn(args, operator, boot, &log)?;
    let task = progress.task("Starting the lab");
    loop {
        if let [state, ..] = State::of_up()?.as_slice() {
            task.done("the lab is up");
            say!("{}", describe(state));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the lab ended ({status}):\n{}", fs::read_to_string(&log)?);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn spawn(args: &Args, operator: Option<&Path>, boot: bool, log: &Path) -> Result<Child> {
    let output = File::create(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "up",
        "--foreground",
        "--detached",
        "--pace",
        &args.cluster.pace.to_string(),
    ]);
    for project in &args.cluster.without {
        let name = project
            .to_possible_value()
            .map(|value| value.get_name().to_owned());
        command.arg("--without").args(name);
    }
    if args.cluster.no_simulator {
        command.arg("--no-simulator");
    }
    if boot {
        command.arg("--boot");
    }
    match operator {
        Some(operator) => command.env("WUKONG_OPERATOR_BIN", operator),
        None => command.arg("--no-operator"),
    };
    let errors = output.try_clone()?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()?)
}

fn describe(state: &State) -> String {
    let kubeconfig = state.kubeconfig.display();
    let kubectl = state.kubectl.display();
    let example = repository("deploy/examples/minimal.yaml");
    let example = example.display();
    format!(
        "{}\nTry:\n  export KUBECONFIG={kubeconfig}\n  alias kubectl={kubectl}\n  \
         kubectl apply -f {example}\n  kubectl get wukong --watch\n  \
         cargo install --path bins/kubectl-wukong   # then: kubectl wukong status minimal\n\n\
         `cargo lab down` ends it.",
        state.hints()
    )
}
