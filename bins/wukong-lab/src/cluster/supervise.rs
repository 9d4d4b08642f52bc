//! The shim that a lab puts between itself and each of its processes: `wukong-lab supervise`.
//!
//! It starts one command and ends it when its own standard input ends, which happens however the lab goes away, also by
//! SIGKILL. Meanwhile, lines on standard input are its orders: stop, kill, freeze or thaw the command.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::process::{Child, Command};

pub(crate) const STOP: &str = "stop";
pub(crate) const KILL: &str = "kill";
pub(crate) const FREEZE: &str = "freeze";
pub(crate) const THAW: &str = "thaw";

/// The command, and how to run it.
#[derive(clap::Args)]
pub struct Args {
    /// File to which the command's output is appended.
    #[arg(long)]
    log: PathBuf,
    /// Seconds between SIGTERM and SIGKILL; 0 kills at once.
    #[arg(long, default_value_t = 5)]
    grace: u64,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the command to its end and returns its exit code (128 + signal when a signal ended it).
pub fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(supervise(args));
    // Reading standard input occupies a thread that nothing can interrupt.
    runtime.shutdown_background();
    let status = status?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

async fn supervise(args: Args) -> Result<ExitStatus> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&args.log)?;
    let (program, arguments) = args
        .command
        .split_first()
        .context("a command is required")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own, so that what it starts in turn can be ended with it.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(id.try_into().ok()?))
        .context("the command has a process id")?;
    println!("{}", pid.as_raw_nonzero());
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let status = follow(
        &mut child,
        pid,
        &mut orders,
        Duration::from_secs(args.grace),
    )
    .await;
    let _ = kill_process_group(pid, Signal::KILL);
    status
}

async fn follow(
    child: &mut Child,
    pid: Pid,
    orders: &mut Lines<BufReader<Stdin>>,
    grace: Duration,
) -> Result<ExitStatus> {
    loop {
        let order = tokio::select! {
            status = child.wait() => return Ok(status?),
            order = orders.next_line() => order?,
        };
        match order.as_deref() {
            Some(FREEZE) => kill_process(pid, Signal::STOP)?,
            Some(THAW) => kill_process(pid, Signal::CONT)?,
            Some(KILL) => child.start_kill()?,
            Some(STOP) | None => return end(child, pid, grace).await,
            Some(_) => {}
        }
    }
}

async fn end(child: &mut Child, pid: Pid, grace: Duration) -> Result<ExitStatus> {
    if !grace.is_zero() {
        kill_process(pid, Signal::TERM)?;
        if let Ok(status) = tokio::time::timeout(grace, child.wait()).await {
            return Ok(status?);
        }
    }
    child.start_kill()?;
    Ok(child.wait().await?)
}
