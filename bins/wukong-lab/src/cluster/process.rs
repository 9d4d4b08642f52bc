//! A process of a lab, behind the shim that ends it with the lab.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::supervise::{FREEZE, KILL, STOP, THAW};

/// How often the lab checks a process that should end.
const POLL: Duration = Duration::from_millis(20);

/// The program to start, with its options.
#[derive(Debug, Clone)]
pub struct Spawn {
    /// Its name in messages.
    pub name: String,
    /// The `wukong-lab` binary.
    pub shim: PathBuf,
    /// The file for its output.
    pub log: PathBuf,
    /// Between SIGTERM and SIGKILL; zero kills at once.
    pub grace: Duration,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, on top of the lab's.
    pub env: Vec<(String, OsString)>,
}

/// A running process. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    shim: Mutex<Child>,
}

impl Process {
    /// Starts it. Errors when the program cannot be executed.
    pub fn start(spawn: Spawn) -> Result<Self> {
        let Spawn {
            name,
            shim,
            log,
            grace,
            program,
            args,
            env,
        } = spawn;
        let mut child = Command::new(&shim)
            .args([
                "supervise",
                "--grace",
                &grace.as_secs().to_string(),
                "--log",
            ])
            .arg(&log)
            .arg("--")
            .arg(&program)
            .args(args)
            .envs(env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in the lab's terminal is the lab's business.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", shim.display()))?;
        let mut first = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut first)?;
        }
        let Ok(pid) = first.trim().parse() else {
            let output = child.wait_with_output()?;
            bail!(
                "{name} did not start: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        };
        Ok(Self {
            name,
            pid,
            log,
            shim: Mutex::new(child),
        })
    }

    /// The process id of the program itself.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file that has its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did. A signal shows as code 128 + signal.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.shim().try_wait().ok().flatten()
    }

    /// An error that shows the end of the log when the process is no longer running.
    pub fn check(&self) -> Result<()> {
        match self.exited() {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended ({status}); its last words:\n{}",
                self.name,
                self.last_words()
            ),
        }
    }

    /// SIGTERM, then SIGKILL when the grace is over. Returns once it is gone.
    pub async fn stop(&self) -> Result<ExitStatus> {
        self.order(STOP);
        self.gone().await
    }

    /// SIGKILL. Returns once it is gone.
    pub async fn kill(&self) -> Result<ExitStatus> {
        self.order(KILL);
        self.gone().await
    }

    /// SIGSTOP: it exists and does nothing.
    pub fn freeze(&self) {
        self.order(FREEZE);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.order(THAW);
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    async fn gone(&self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.shim().try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn order(&self, order: &str) {
        if let Some(stdin) = &mut self.shim().stdin {
            // A shim that is gone needs no orders.
            let _ = writeln!(stdin, "{order}");
        }
    }

    fn shim(&self) -> MutexGuard<'_, Child> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut shim = self.shim();
        drop(shim.stdin.take());
        let _ = shim.wait();
    }
}
