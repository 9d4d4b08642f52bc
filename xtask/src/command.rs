//! Running programs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::generated;

/// Runs cargo.
pub fn cargo(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::new("cargo").args(arguments))
}

/// Runs a program in the root of the repository. Errors with its command line when it fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    run_in(&generated::root(), command)
}

/// The same in another directory.
pub fn run_in(directory: &Path, command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    // `cargo run` describes the package of xtask in variables. Dependencies that read them would be built once more.
    let of_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_package(name)) {
        command.env_remove(name);
    }
    let status = command
        .current_dir(directory)
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}
