//! The programs of this source tree that run in a lab.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::manifests::repository;
use super::progress::Progress;

/// The operator.
pub static OPERATOR: Program = Program::new("wukong-operator", "WUKONG_OPERATOR_BIN");
/// The kubectl plugin.
pub static PLUGIN: Program = Program::new("kubectl-wukong", "WUKONG_PLUGIN_BIN");
/// The controller in examples/controller.
pub static EXAMPLE: Program = Program::new("example-controller", "WUKONG_EXAMPLE_BIN");
/// The search of small clusters for histories that break a promise.
pub static MODEL: Program = Program::new("wukong-model", "WUKONG_MODEL_BIN");

/// A program of this source tree, called as its package.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    /// The environment variable that names one that is there already.
    variable: &'static str,
    path: OnceCell<PathBuf>,
    released: OnceCell<PathBuf>,
}

impl Program {
    const fn new(name: &'static str, variable: &'static str) -> Self {
        Self {
            name,
            variable,
            path: OnceCell::const_new(),
            released: OnceCell::const_new(),
        }
    }

    /// The program, built in the profile that the caller was built in, or the one that its variable names. Builds at
    /// most once per process.
    pub async fn built(&self, progress: &Progress) -> Result<&Path> {
        let path = self
            .path
            .get_or_try_init(async || match std::env::var_os(self.variable) {
                Some(path) => Ok(path.into()),
                None => build(self.name, None, progress).await,
            });
        Ok(path.await?)
    }

    /// The same in the profile `release`, in which it is shipped.
    pub async fn released(&self, progress: &Progress) -> Result<&Path> {
        self.in_profile("release", progress).await
    }

    /// The same in a profile, always of the same name for one program.
    pub async fn in_profile(&self, profile: &str, progress: &Progress) -> Result<&Path> {
        let path = self
            .released
            .get_or_try_init(async || match std::env::var_os(self.variable) {
                Some(path) => Ok(path.into()),
                None => build(self.name, Some(profile), progress).await,
            });
        Ok(path.await?)
    }
}

/// Builds a program, in the caller's profile if none is given.
async fn build(name: &str, profile: Option<&str>, progress: &Progress) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut profile_dir = exe.parent().context("a program is in a directory")?;
    if profile_dir.ends_with("deps") {
        profile_dir = profile_dir.parent().context("deps is in a directory")?;
    }
    let target = profile_dir
        .parent()
        .context("a profile's directory is in the target directory")?;
    let dir = match profile {
        Some(profile) => target.join(profile),
        None => profile_dir.to_owned(),
    };
    let profile = match dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let task = progress.task(format!("Building {name}"));
    let mut cargo = Command::new("cargo");
    // Cargo describes the package it runs in the environment. Build scripts that look there (ring's does) would run
    // again for each kind of caller, and everything above them.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        cargo.env_remove(name);
    }
    let mut child = cargo
        .args(["build", "--package", name, "--bin", name])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(repository(""))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("running cargo")?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
    let mut printed = Vec::new();
    while let Some(line) = lines.next_line().await? {
        task.detail(line.trim());
        printed.push(line);
    }
    if !child.wait().await?.success() {
        let last = printed
            .split_off(printed.len().saturating_sub(30))
            .join("\n");
        bail!("{name} does not build:\n{last}");
    }
    task.done(format!("{name} is built"));
    Ok(dir.join(name))
}
