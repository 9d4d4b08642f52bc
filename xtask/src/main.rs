//! `cargo xtask`: the chores of this repository.

mod upstream;

use clap::{Parser, Subcommand};

/// Chores of this repository: generated files and the checks of CI.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Make the schemas of KubeVirt, CDI, Multus and NMState that the lab installs.
    UpstreamSchemas(upstream::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::UpstreamSchemas(args) => upstream::run(args),
    }
}
