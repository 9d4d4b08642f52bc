//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::action::{self, ActionArgs, DesiredPower};
use crate::cluster::{ClusterArgs, with_cluster};
use crate::exit::{self, Exit};
use crate::protection::{clone, restore, snapshot};
use crate::{
    bundle, complete, console, doctor, explain_reason, expose, ip, list, output, plan,
    port_forward, preflight, render, ssh, status, ui, vnc,
};

/// Plan, run and diagnose the virtual machines of Wukong manifests.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-wukong",
    bin_name = "kubectl wukong",
    version,
    after_help = exit::HELP,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Status(status::Args),
    Ip(ip::Args),
    Console(console::Args),
    Ssh(ssh::Args),
    PortForward(port_forward::Args),
    Vnc(vnc::Args),
    Expose(expose::Args),
    /// Start a VM: set powerState: Running in its Wukong
    Start(ActionArgs),
    /// Shut down a VM: set powerState: Stopped in its Wukong
    Stop(ActionArgs),
    /// Pause the CPUs of a VM: set powerState: Paused in its Wukong
    Pause(ActionArgs),
    /// Resume a paused VM: set powerState: Running in its Wukong
    Unpause(ActionArgs),
    /// Restart a VM, for example to apply a pending change
    Restart(ActionArgs),
    /// Live-migrate a running VM to another node
    Migrate(ActionArgs),
    Snapshot(snapshot::Args),
    Restore(restore::Args),
    Clone(clone::Args),
    Render(render::Args),
    Plan(plan::Args),
    Doctor(doctor::Args),
    Bundle(bundle::Args),
    ExplainReason(explain_reason::Args),
    Preflight(preflight::Args),
    Ui(ui::Args),
    /// Print a completion script for a shell
    #[command(after_help = "\
Example:
  source <(kubectl wukong completion bash)

The script completes kubectl-wukong. kubectl wukong is completed by kubectl, which runs kubectl_complete-wukong.")]
    Completion {
        /// Shell that runs the script
        shell: Shell,
    },
    /// Print completions of a command line for kubectl_complete-wukong
    #[command(name = "__complete", hide = true)]
    Complete {
        /// Words after `kubectl wukong`, the last one being incomplete
        #[arg(last = true)]
        words: Vec<OsString>,
    },
}

impl Command {
    fn run(self, cluster: &ClusterArgs) -> anyhow::Result<Exit> {
        let set = |args, power| with_cluster(action::set(args, cluster, power));
        match &self {
            Self::Render(args) => render::run(args, cluster),
            Self::Plan(args) => with_cluster(plan::run(args, cluster)),
            Self::Preflight(args) => with_cluster(preflight::run(args, cluster)),
            Self::Ui(args) => with_cluster(ui::run(args, cluster)),
            Self::Doctor(args) => with_cluster(doctor::run(args, cluster)),
            Self::Bundle(args) => with_cluster(bundle::run(args, cluster)),
            Self::ExplainReason(args) => explain_reason::run(args),
            Self::Start(args) => set(args, DesiredPower::Start),
            Self::Stop(args) => set(args, DesiredPower::Stop),
            Self::Pause(args) => set(args, DesiredPower::Pause),
            Self::Unpause(args) => set(args, DesiredPower::Unpause),
            Self::Restart(args) => with_cluster(action::restart(args, cluster)),
            Self::Migrate(args) => with_cluster(action::migrate(args, cluster)),
            Self::Snapshot(args) => with_cluster(snapshot::run(args, cluster)),
            Self::Clone(args) => with_cluster(clone::run(args, cluster)),
            Self::Restore(args) => with_cluster(restore::run(args, cluster)),
            Self::List(args) => with_cluster(list::run(args, cluster)),
            Self::Status(args) => with_cluster(status::run(args, cluster)),
            Self::Ip(args) => with_cluster(ip::run(args, cluster)),
            Self::Console(args) => with_cluster(console::run(args, cluster)),
            Self::Ssh(args) => with_cluster(ssh::run(args, cluster)),
            Self::PortForward(args) => with_cluster(port_forward::run(args, cluster)),
            Self::Vnc(args) => with_cluster(vnc::run(args, cluster)),
            Self::Expose(args) => with_cluster(expose::run(args, cluster)),
            Self::Completion { shell } => completion(*shell),
            Self::Complete { words } => complete::run(Cli::command(), words),
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A message that cannot be printed cannot be reported either.
            let _ = error.print();
            // Clap's own exit code for a usage error is the one that `plan` uses for changes.
            return if error.use_stderr() {
                Exit::Failed
            } else {
                Exit::Done
            }
            .into();
        }
    };
    cli.command.run(&cli.cluster).unwrap_or_else(fail).into()
}

fn parse() -> Result<Cli, clap::Error> {
    let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let mut command = Cli::command().term_width(help_width(columns));
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Returns the columns to wrap help at; 0 leaves it to the terminal. `COLUMNS` is not used: some shells export it as 0.
fn help_width(columns: Option<usize>) -> usize {
    match columns {
        Some(0) | None => 100,
        Some(1..40) => 0,
        Some(columns) => columns.min(100),
    }
}

fn fail(error: anyhow::Error) -> Exit {
    let _ = writeln!(anstream::stderr(), "error: {error:#}");
    Exit::Failed
}

fn completion(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kubectl-wukong", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_argument_has_help() {
        let command = Cli::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
            for arg in sub.get_arguments() {
                assert!(
                    arg.get_help().is_some(),
                    "{} {} has no help",
                    sub.get_name(),
                    arg.get_id()
                );
            }
        }
    }

    #[test]
    fn the_guide_describes_every_command_and_its_options() {
        let guide = include_str!("../../../docs/kubectl-wukong.md");
        let headings: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches(['#', ' ']))
            .collect();
        let command = Cli::command();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let name = sub.get_name();
            assert!(headings.contains(&name), "{name} has no section");
            for option in sub.get_arguments().filter_map(clap::Arg::get_long) {
                let described = guide.contains(&format!("--{option}")) || option == "output";
                assert!(described, "{name}: --{option} is missing");
            }
        }
    }
}
