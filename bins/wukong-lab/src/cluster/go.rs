//! Programs that are built with Go on first use and kept in the user's cache.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::progress::{Progress, Task};

/// Prefix of the directories in which a build works.
const WORK: &str = ".build-";

/// A Go module with a program to build, embedded so that the lab works in any directory.
pub(crate) struct Module {
    pub name: &'static str,
    pub go_mod: &'static str,
    pub go_sum: &'static str,
    pub tools: &'static str,
}

pub(crate) struct Program {
    pub name: &'static str,
    pub package: &'static str,
    pub module: &'static Module,
    /// The usual duration of a build, measured on two cores with cold caches.
    pub about: &'static str,
}

/// Programs that are built together.
pub(crate) struct Set<'a> {
    /// Directory in the cache.
    pub name: &'a str,
    /// Directory in that; another version is built again.
    pub version: &'a str,
    pub programs: &'a [Program],
    /// Build tags.
    pub tags: &'a str,
    /// Linker flags, beyond those that make a program small.
    pub variables: &'a str,
    /// The message while they are built.
    pub about: &'a str,
    /// The message if they cannot be built because Go is missing.
    pub without_go: &'a str,
}

/// `$WUKONG_LAB_CACHE`, `$XDG_CACHE_HOME/wukong-lab`, or `~/.cache/wukong-lab`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("WUKONG_LAB_CACHE") {
        return Ok(dir.into());
    }
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(dir) => dir.into(),
        None => std::env::home_dir()
            .context("no home directory: set WUKONG_LAB_CACHE")?
            .join(".cache"),
    };
    Ok(base.join("wukong-lab"))
}

impl Set<'_> {
    /// Returns the directory with the programs. Builds them if this machine has none yet.
    ///
    /// Errors when there is no Go toolchain, or when a build fails.
    pub async fn locate(&self, progress: &Progress) -> Result<PathBuf> {
        let cache = cache_dir()?.join(self.name);
        let built = cache.join(self.version);
        if !built.exists() {
            self.build(&cache, &built, progress).await?;
        }
        Ok(built)
    }

    /// Builds all programs into `built`, once per machine: a second caller waits for the first.
    async fn build(&self, cache: &Path, built: &Path, progress: &Progress) -> Result<()> {
        fs::create_dir_all(cache)?;
        let _lock = lock(&cache.join("lock"), progress).await?;
        if built.exists() {
            return Ok(());
        }
        if !has_go().await {
            bail!("{}", self.without_go);
        }
        remove_abandoned(cache)?;
        progress.say(format!("First use on this machine: {}", self.about));
        let work = tempfile::Builder::new().prefix(WORK).tempdir_in(cache)?;
        let bin = work.path().join("bin");
        for (step, program) in (1..).zip(self.programs) {
            let sources = work.path().join(program.module.name);
            write_module(program.module, &sources)?;
            let label = format!("[{step} of {}] {}", self.programs.len(), program.name);
            let task = progress.task(format!("{label} ({})", program.about));
            self.build_program(program, &sources, &bin, &task).await?;
            task.done(label);
        }
        fs::rename(&bin, built)
            .with_context(|| format!("moving the programs to {}", built.display()))
    }

    async fn build_program(
        &self,
        program: &Program,
        sources: &Path,
        bin: &Path,
        task: &Task,
    ) -> Result<()> {
        let mut packages = 0;
        run(
            go(sources).args(["list", "-tags", self.tags, "-deps", program.package]),
            |line, from_stdout| {
                if from_stdout {
                    packages += 1;
                } else {
                    task.detail(line);
                }
            },
        )
        .await?;
        task.of(packages);
        let mut build = go(sources);
        build
            .args(["build", "-v", "-trimpath", "-buildvcs=false"])
            .args(["-tags", self.tags, "-ldflags"])
            .arg(format!("-s -w {}", self.variables))
            .arg("-o")
            .arg(bin.join(program.name))
            .arg(program.package);
        // With -v, the compiler names each package that the build cache did not have.
        run(&mut build, |_, _| task.advance()).await
    }
}

/// Removes the files of a build that was killed. No other process builds while this one holds the lock.
fn remove_abandoned(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

pub(crate) async fn lock(path: &Path, progress: &Progress) -> Result<File> {
    let file = File::create(path)?;
    let mut waiting = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                waiting
                    .get_or_insert_with(|| progress.task("Waiting for another lab"))
                    .detail("it is building the same");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(TryLockError::Error(error)) => return Err(error).context("locking the cache"),
        }
    }
}

async fn has_go() -> bool {
    let go = Command::new("go")
        .arg("version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    go.is_ok_and(|status| status.success())
}

fn write_module(module: &Module, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("go.mod"), module.go_mod)?;
    fs::write(dir.join("go.sum"), module.go_sum)?;
    fs::write(dir.join("tools.go"), module.tools)?;
    Ok(())
}

fn go(sources: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(sources)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .kill_on_drop(true);
    go
}

/// Runs a command and returns its lines. If it fails, the error has the end of its standard error.
pub(crate) async fn run(command: &mut Command, mut on_line: impl FnMut(&str, bool)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    let mut err = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
    let mut printed = Vec::new();
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        tokio::select! {
            line = out.next_line(), if out_open => match line? {
                Some(line) => on_line(&line, true),
                None => out_open = false,
            },
            line = err.next_line(), if err_open => match line? {
                Some(line) => {
                    on_line(&line, false);
                    printed.push(line);
                }
                None => err_open = false,
            },
        }
    }
    if child.wait().await?.success() {
        return Ok(());
    }
    let last = printed
        .split_off(printed.len().saturating_sub(15))
        .join("\n");
    bail!("`{:?}` failed:\n{last}", command.as_std())
}
