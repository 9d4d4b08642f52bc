//! `cargo lab bench`: the costs of the operator, against the goals of the project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::interrupt::interrupted;
use crate::Progress;
use crate::bench::report::{Report, Size};
use crate::bench::settings::Settings;
use crate::bench::{self, plots};
use crate::cluster::programs;

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Wukongs to create; several numbers measure a cluster for each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000")]
    wukongs: Vec<usize>,
    /// Nodes of the cluster.
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Claims, and as many pods, that belong to others.
    #[arg(long, value_name = "N", default_value_t = 0)]
    foreign: usize,
    /// Seconds for which a settled cluster is observed.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    steady: u64,
    /// Only count requests: no times.
    #[arg(long)]
    counts: bool,
    /// Write the figures into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Compare with the figures in this file, of an earlier run.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write plots of cost over size into this directory, as SVG.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    tokio::select! {
        outcome = measure(&args) => outcome.map(|()| ExitCode::SUCCESS),
        outcome = interrupted() => outcome.map(|()| ExitCode::FAILURE),
    }
}

async fn measure(args: &Args) -> Result<()> {
    let progress = Progress::stderr();
    let baseline = args.baseline.as_deref().map(Report::read).transpose()?;
    let operator = programs::OPERATOR.released(&progress).await?;
    let plugin = programs::PLUGIN.released(&progress).await?;
    let mut report = Report::default();
    for wukongs in &args.wukongs {
        let size = Size {
            wukongs: *wukongs,
            nodes: args.nodes.max(1),
            foreign: args.foreign,
        };
        let run = bench::run(&settings(args, size, operator, plugin)?, &progress).await?;
        let before = baseline.as_ref().and_then(|baseline| baseline.of(size));
        say!("\n{}\n\n{}", run.table(before), run.summary());
        report.runs.push(run);
        // A later size may fail.
        if let Some(file) = &args.output {
            report.write(file)?;
        }
    }
    if let Some(dir) = &args.plots {
        for file in plots::write(&report, dir)? {
            say!("{}", file.display());
        }
    }
    Ok(())
}

fn settings(args: &Args, size: Size, operator: &Path, plugin: &Path) -> Result<Settings> {
    Ok(Settings {
        size,
        shim: std::env::current_exe()?,
        operator: operator.to_owned(),
        plugin: (!args.counts).then(|| plugin.to_owned()),
        steady: Duration::from_secs(args.steady),
        counts_only: args.counts,
    })
}
