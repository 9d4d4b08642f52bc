//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::action::{self, ActionArgs, DesiredPower};
use crate::exit::{self, Exit};
use crate::{
    bundle, console, doctor, explain_reason, ip, list, output, plan, port_forward, preflight,
    render, ssh, status,
};

/// Virtual machines from Wukong manifests: see what a manifest becomes, before and after it is applied.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-wukong",
    bin_name = "kubectl wukong",
    version,
    after_help = exit::HELP,
    disable_help_subcommand = true
)]
struct Cli {
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
    /// Start a VM: write powerState: Running into its Wukong
    Start(ActionArgs),
    /// Shut a VM down: write powerState: Stopped into its Wukong
    Stop(ActionArgs),
    /// Stop the CPUs of a VM: write powerState: Paused into its Wukong
    Pause(ActionArgs),
    /// Let a paused VM go on: write powerState: Running into its Wukong
    Unpause(ActionArgs),
    /// Restart a VM, for instance for a change that needs it
    Restart(ActionArgs),
    /// Move a running VM to another node
    Migrate(ActionArgs),
    Render(render::Args),
    Plan(plan::Args),
    Doctor(doctor::Args),
    Bundle(bundle::Args),
    ExplainReason(explain_reason::Args),
    Preflight(preflight::Args),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(kubectl wukong completion bash)")]
    Completion {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Render(args) => render::run(&args),
            Self::Plan(args) => with_cluster(plan::run(&args)),
            Self::Preflight(args) => with_cluster(preflight::run(&args)),
            Self::Doctor(args) => with_cluster(doctor::run(&args)),
            Self::Bundle(args) => with_cluster(bundle::run(&args)),
            Self::ExplainReason(args) => explain_reason::run(&args),
            Self::Start(args) => with_cluster(action::set(&args, DesiredPower::Start)),
            Self::Stop(args) => with_cluster(action::set(&args, DesiredPower::Stop)),
            Self::Pause(args) => with_cluster(action::set(&args, DesiredPower::Pause)),
            Self::Unpause(args) => with_cluster(action::set(&args, DesiredPower::Unpause)),
            Self::Restart(args) => with_cluster(action::restart(&args)),
            Self::Migrate(args) => with_cluster(action::migrate(&args)),
            Self::List(args) => with_cluster(list::run(&args)),
            Self::Status(args) => with_cluster(status::run(&args)),
            Self::Ip(args) => with_cluster(ip::run(&args)),
            Self::Console(args) => with_cluster(console::run(&args)),
            Self::Ssh(args) => with_cluster(ssh::run(&args)),
            Self::PortForward(args) => with_cluster(port_forward::run(&args)),
            Self::Completion { shell } => completion(shell),
        }
    }
}

/// Runs a command that speaks to a cluster.
fn with_cluster(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to be done about an error that cannot be shown.
            let _ = error.print();
            // Clap's own code for a wrong call is the one with which `plan` says that there are changes.
            return if error.use_stderr() {
                Exit::Failed
            } else {
                Exit::Done
            }
            .into();
        }
    };
    cli.command.run().unwrap_or_else(fail).into()
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
    fn the_command_line_is_consistent_and_every_argument_is_explained() {
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
    fn the_guide_tells_of_every_command_and_its_options() {
        let guide = include_str!("../../../docs/kubectl-wukong.md");
        let headings: Vec<&str> = guide
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches(['#', ' ']))
            .collect();
        for sub in Cli::command().get_subcommands() {
            let name = sub.get_name();
            assert!(headings.contains(&name), "{name} has no section");
            for option in sub.get_arguments().filter_map(clap::Arg::get_long) {
                let told = guide.contains(&format!("--{option}")) || option == "output";
                assert!(told, "{name}: --{option} is not told of");
            }
        }
    }
}
