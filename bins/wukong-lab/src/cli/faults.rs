//! `cargo lab faults`: faults at every request of the operator.

use std::num::NonZero;
use std::process::ExitCode;

use anyhow::Result;

use super::interrupt::interrupted;
use crate::Progress;
use crate::faults::fault::Fault;
use crate::faults::{Choice, Plan, campaign};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Try each kind of fault at each request, instead of one kind at each.
    #[arg(long, conflicts_with_all = ["pairs", "faults"])]
    all: bool,
    /// Try so many pairs of faults in each scenario.
    #[arg(long, value_name = "N", conflicts_with = "faults")]
    pairs: Option<usize>,
    /// Try only this fault, as a report prints it; several are tried together.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// Only these scenarios.
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Only at requests that contain this text, such as `put virtualmachines`.
    #[arg(long, value_name = "TEXT", conflicts_with = "faults")]
    at: Option<String>,
    /// Seed of what is chosen at random.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Runs at once. By default six for each processor.
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Show the logs of the operators.
    #[arg(long)]
    logs: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    tokio::select! {
        outcome = inject(args) => outcome,
        outcome = interrupted() => outcome.map(|()| ExitCode::FAILURE),
    }
}

/// Runs that mostly wait keep a processor busy.
fn jobs() -> usize {
    6 * std::thread::available_parallelism().map_or(1, NonZero::get)
}

async fn inject(args: Args) -> Result<ExitCode> {
    if args.logs {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .init();
    }
    let choice = match (args.faults.is_empty(), args.pairs) {
        (false, _) => Choice::Only(args.faults),
        (true, Some(pairs)) => Choice::Pairs(pairs),
        (true, None) if args.all => Choice::All,
        (true, None) => Choice::Part,
    };
    let plan = Plan {
        scenarios: args.scenarios,
        choice,
        at: args.at,
        seed: args.seed,
        jobs: args.jobs.unwrap_or_else(jobs).max(1),
        shim: None,
    };
    let report = campaign(&plan, &Progress::stderr()).await?;
    say!("{report}");
    Ok(match report.passed() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
