//! `cargo lab down`: ends the cluster of `up`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::state::State;
use crate::cluster::dirs;

/// The operator gets some seconds to let go of its lease.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

pub(super) async fn run() -> Result<ExitCode> {
    let labs = State::of_up()?;
    if labs.is_empty() {
        say!("No lab is up.");
    }
    for lab in labs {
        end(&lab).await?;
        say!("The lab of process {} is gone.", lab.pid);
    }
    Ok(ExitCode::SUCCESS)
}

async fn end(lab: &State) -> Result<()> {
    // The process that holds the lab's lock wrote this, and it still holds it: no other process has the id.
    let pid = Pid::from_raw(lab.pid.try_into()?).context("the lab has a process id")?;
    kill_process(pid, Signal::TERM)?;
    let requested = Instant::now();
    while !dirs::is_dead(&lab.dir) {
        if requested.elapsed() > GRACE {
            kill_process(pid, Signal::KILL)?;
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
