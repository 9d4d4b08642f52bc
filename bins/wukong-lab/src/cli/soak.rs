//! `cargo lab soak`: many rounds of changes and disturbances.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::interrupt::interrupted;
use crate::Progress;
use crate::soak::{Extent, Settings, soak};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Begin no round after so many minutes.
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    minutes: u64,
    /// Run one short round with each disturbance instead.
    #[arg(long, conflicts_with = "minutes")]
    once: bool,
    /// Wukongs at the beginning.
    #[arg(long, value_name = "N", default_value_t = 24)]
    wukongs: usize,
    /// Seed of the changes and of the order of the disturbances.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Write a plot of the rounds into this directory, as SVG.
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    tokio::select! {
        outcome = measure(args) => outcome.map(|()| ExitCode::SUCCESS),
        outcome = interrupted() => outcome.map(|()| ExitCode::FAILURE),
    }
}

async fn measure(args: Args) -> Result<()> {
    let settings = Settings {
        extent: match args.once {
            true => Extent::OneOfEach,
            false => Extent::For(Duration::from_secs(60 * args.minutes)),
        },
        wukongs: args.wukongs,
        seed: args.seed,
        shim: std::env::current_exe()?,
    };
    let report = soak(&settings, &Progress::stderr()).await?;
    say!("{report}");
    if let Some(dir) = &args.plot {
        say!("{}", report.plot(dir)?.display());
    }
    Ok(())
}
