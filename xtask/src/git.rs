//! What git knows of this repository.

use std::process::{Command, Output};

use anyhow::{Context, bail};

use crate::generated;

/// Runs git. Errors if git cannot be run, not if it fails.
pub fn git(arguments: &[&str]) -> anyhow::Result<Output> {
    Command::new("git")
        .args(arguments)
        .current_dir(generated::root())
        .output()
        .context("cannot run git")
}

/// The output of git. Errors if it fails.
pub fn output(arguments: &[&str]) -> anyhow::Result<String> {
    let output = git(arguments)?;
    if !output.status.success() {
        bail!(
            "`git {}` failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).context("git printed no UTF-8")
}

/// Every file of the work tree that git does not ignore, by its path from the root.
pub fn files() -> anyhow::Result<Vec<String>> {
    let list = output(&[
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])?;
    let files = list
        .split('\0')
        .filter(|file| generated::root().join(file).is_file());
    Ok(files.map(str::to_owned).collect())
}
