//! `cargo lab demo`.

use std::process::ExitCode;

use anyhow::Result;

use super::cluster;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    cluster: cluster::ClusterArgs,
}

pub(super) async fn run(_args: Args) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
