//! The page of `kubectl wukong ui`: whether the committed bundle is what its sources give.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;

use crate::command::run_in;
use crate::generated;

const PAGE: &str = "bins/kubectl-wukong/ui";

/// Builds the page and compares it with the committed bundle. Without Node, this is only possible where CI is not set.
pub fn check() -> anyhow::Result<()> {
    let page = generated::root().join(PAGE);
    if !has_node() {
        ensure!(
            std::env::var_os("CI").is_none(),
            "node is missing: the page cannot be built"
        );
        println!("skipped: without node, the page cannot be built");
        return Ok(());
    }
    if !is_installed(&page) {
        run_in(
            &page,
            Command::new("npm").args(["ci", "--no-audit", "--no-fund"]),
        )?;
    }
    run_in(
        &page,
        Command::new("npm").args(["run", "--silent", "check"]),
    )?;
    run_in(&page, Command::new("node").args(["build.mjs", "--check"]))?;
    println!("{PAGE}/dist is what its sources give");
    Ok(())
}

fn has_node() -> bool {
    let mut node = Command::new("node");
    let node = node
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    node.status().is_ok_and(|status| status.success())
}

/// Returns whether the packages are those of the lock file: npm keeps a copy of it beside them.
fn is_installed(page: &Path) -> bool {
    let modified = |path: &str| fs::metadata(page.join(path)).and_then(|file| file.modified());
    match (
        modified("node_modules/.package-lock.json"),
        modified("package-lock.json"),
    ) {
        (Ok(installed), Ok(wanted)) => installed >= wanted,
        _ => false,
    }
}
