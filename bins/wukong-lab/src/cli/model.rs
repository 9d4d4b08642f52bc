//! `cargo lab model`: the search of small clusters, in the profile that is made for it.

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::Progress;
use crate::cluster::programs;

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Args {
    /// The arguments of the search; `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let program = programs::MODEL
        .in_profile("model", &Progress::stderr())
        .await?;
    let status = Command::new(program)
        .args(args.arguments)
        .status()
        .await
        .context("running the model")?;
    Ok(match status.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
