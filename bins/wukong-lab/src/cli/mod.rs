//! `cargo lab`: the command.

/// Prints a line. The reader may have closed the pipe, as in `cargo lab status | head`: that is no error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

mod bench;
mod cluster;
mod demo;
mod down;
mod faults;
mod interrupt;
mod model;
mod soak;
mod state;
mod status;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::cluster::supervise;
use crate::sim;

/// A throwaway Kubernetes cluster on this machine, to see the Wukong operator work and to develop it.
///
/// etcd, kube-apiserver and kube-controller-manager are real and run as plain processes: no container engine, no root.
/// They are built with Go on first use, which takes up to ten minutes, once. What cannot run here (KubeVirt, CDI, Multus,
/// nodes) is simulated: it answers as the real ones do. With --boot, each VM becomes a real guest in QEMU.
#[derive(Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", max_term_width = 120)]
#[command(
    after_help = "Start here:\n  cargo lab demo      one manifest becomes a running VM, and everything is gone afterwards\n  cargo lab up        a cluster that stays until `cargo lab down`"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take one manifest to a running VM and show how it gets there.
    Demo(demo::Args),
    /// Start a cluster in the background and print its kubeconfig.
    Up(up::Args),
    /// Measure what the operator costs, against the goals of the project.
    Bench(bench::Args),
    /// Search all orders of events in small clusters for one that breaks a promise.
    Model(model::Args),
    /// Inject faults at every request of the operator, and check that nothing remains of them.
    Faults(faults::Args),
    /// Change and disturb a cluster for a while, and check that all Wukongs recover and the operator does not grow.
    Soak(soak::Args),
    /// End the cluster that `up` started.
    Down,
    /// List the clusters of this machine.
    Status,
    /// Run one command and end it when standard input ends.
    #[command(hide = true)]
    Supervise(supervise::Args),
    /// Play KubeVirt, CDI and the nodes in a cluster.
    #[command(hide = true)]
    Simulate(sim::Options),
}

/// Runs the command that the arguments of this process name.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Supervise(args) => supervise::run(args),
        command => run(command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Up(args) => up::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Model(args) => model::run(args).await,
        Command::Faults(args) => faults::run(args).await,
        Command::Soak(args) => soak::run(args).await,
        Command::Down => down::run().await,
        Command::Status => status::run(),
        Command::Supervise(args) => supervise::run(args),
        Command::Simulate(options) => {
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .init();
            sim::run(options).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
