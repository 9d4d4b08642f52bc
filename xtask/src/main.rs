//! `cargo xtask`: the chores of this repository.

mod cases;
mod ci;
mod command;
mod commits;
mod crds;
mod cycles;
mod dependencies;
#[cfg(test)]
mod deploy;
mod generated;
mod git;
#[cfg(test)]
mod guides;
mod image;
#[cfg(test)]
mod krew;
mod licences;
mod packages;
mod page;
mod reference;
mod sbom;
#[cfg(test)]
mod security;
mod signatures;
mod tools;
mod troubleshooting;
mod typescript;
mod upstream;
mod words;

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
    /// Judge every case of the diagnosis, and print how many are right.
    Cases(cases::Args),
    /// Run every check that has to hold before a change lands.
    Ci(ci::Args),
    /// Find cycles among the top-level modules and among the files of each crate.
    Cycles(cycles::Args),
    /// Write the CRDs (deploy/crds and the chart) and the API reference (docs/api.md) from the types.
    GenCrds(crds::Args),
    /// Write the troubleshooting guide (docs/troubleshooting.md) from the reasons and the rules of the engine.
    GenDocs(troubleshooting::Args),
    /// Make the operator's container image, without a container engine.
    Image(image::Args),
    /// Print the bill of materials (CycloneDX) of a binary.
    Sbom(sbom::Args),
    /// Make the schemas of KubeVirt, CDI, Multus and NMState that the lab installs.
    UpstreamSchemas(upstream::Args),
    /// Find phrases of `xtask/words.txt` in comments, messages, CRD descriptions and documents.
    Words(words::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::Cases(args) => cases::run(&args),
        Chore::Ci(args) => ci::run_all(&args),
        Chore::Cycles(args) => cycles::run(&args),
        Chore::GenCrds(args) => crds::run(&args),
        Chore::GenDocs(args) => troubleshooting::run(&args),
        Chore::Image(args) => image::run(&args),
        Chore::Sbom(args) => sbom::run(&args),
        Chore::UpstreamSchemas(args) => upstream::run(args),
        Chore::Words(args) => words::run(&args),
    }
}
