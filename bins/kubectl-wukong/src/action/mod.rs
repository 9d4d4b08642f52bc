//! `start`, `stop`, `pause`, `unpause`, `restart`, `migrate`.

mod goal;
mod move_now;
mod power;
mod progress;

use std::time::Duration;

use jiff::SignedDuration;

use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::output;

pub use goal::{Goal, Reached, reach};
pub use move_now::{migrate, restart};
pub use power::{DesiredPower, FIELD_MANAGER, creation, power_managers, request, set};

/// Arguments of an action on a VM.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  done; without --wait: requested
  1  failed or refused
  3  timed out: the operator continues")]
pub struct ActionArgs {
    /// Name of the Wukong
    name: String,

    /// Wait until the action is complete, and show the progress
    #[arg(short, long)]
    wait: bool,

    /// Maximum time to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "wait")]
    timeout: SignedDuration,
}

impl ActionArgs {
    /// Waits for the goal with `--wait`, and prints the result.
    async fn finish(&self, cluster: &Cluster, goal: Goal, requested: &str) -> anyhow::Result<Exit> {
        if !self.wait {
            output::print(&format!("{}: {requested}\n", self.name))?;
            return Ok(Exit::Done);
        }
        let timeout = Duration::try_from(self.timeout).unwrap_or_default();
        match reach(cluster, &self.name, goal, timeout).await? {
            Reached::Yes(sentence) => {
                output::print(&format!("{}: {sentence}\n", self.name))?;
                Ok(Exit::Done)
            }
            Reached::TimedOut(sentence) => {
                output::note(&format!("{}: {sentence}", self.name));
                Ok(Exit::TimedOut)
            }
        }
    }
}
