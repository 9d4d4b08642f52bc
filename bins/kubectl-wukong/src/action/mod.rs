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
pub use power::{DesiredPower, FIELD_MANAGER, set};

/// Which VM, and whether to wait for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0  done; without --wait: asked for
  1  failed or refused
  3  --timeout is over: the VM may still get there")]
pub struct ActionArgs {
    /// Name of the Wukong
    name: String,

    /// Wait until the VM is there, and show how it gets there
    #[arg(short, long)]
    wait: bool,

    /// How long to wait, such as 90s or 10m
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "wait")]
    timeout: SignedDuration,
}

impl ActionArgs {
    /// Waits for the goal when asked to, and ends with a sentence either way.
    async fn finish(&self, cluster: &Cluster, goal: Goal, asked: &str) -> anyhow::Result<Exit> {
        if !self.wait {
            output::print(&format!("{}: {asked}\n", self.name))?;
            return Ok(Exit::Done);
        }
        let timeout = Duration::try_from(self.timeout).unwrap_or_default();
        match reach(cluster, &self.name, goal, timeout).await? {
            Reached::Yes(sentence) => {
                output::print(&format!("{}: {sentence}\n", self.name))?;
                Ok(Exit::Done)
            }
            Reached::NotInTime(sentence) => {
                output::note(&format!("{}: {sentence}", self.name));
                Ok(Exit::NotInTime)
            }
        }
    }
}
