//! `cargo lab bench`: what the operator costs at a given size, against the goals of the project.
//!
//! [`run`] starts a cluster with simulated neighbours that answer at once (`neighbours`), takes the operator through its
//! phases (`phases`), and returns one [`row::Row`] for each figure. Requests are counted in the audit log, memory and CPU
//! time in /proc. Times are ratios to a bare client of the same run (`bare`), because machines differ.

mod bare;
pub(crate) mod costs;
mod fleet;
mod installation;
mod journey;
mod lifecycles;
mod neighbours;
mod phases;
pub mod plots;
mod plugin;
pub mod report;
pub mod row;
pub mod settings;

use anyhow::Result;

use crate::{Lab, Options, Progress};
use phases::Bench;
use report::Run;
use settings::Settings;

/// Measures one size in a cluster of its own.
pub async fn run(settings: &Settings, progress: &Progress) -> Result<Run> {
    let options = Options::new("bench")
        .shim(&settings.shim)
        .progress(progress.clone());
    let lab = Lab::start(options).await?;
    Bench::set_up(lab, settings, progress).await?.run().await
}
