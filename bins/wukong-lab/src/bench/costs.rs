//! Memory and CPU time of a process, from /proc.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

const KIB: u64 = 1024;
/// How often the memory of a short process is read.
const SAMPLE: Duration = Duration::from_millis(3);

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub resident: u64,
    /// The most so far.
    pub peak: u64,
}

impl Memory {
    /// Of a running process.
    pub fn of(pid: u32) -> Result<Self> {
        let now = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = kib(&now, "Rss:").context("smaps_rollup has Rss")?;
        let peak = kib(&status, "VmHWM:").context("status has VmHWM")?;
        // The kernel counts the peak for each CPU and adds it up late: it can lag by some pages.
        let peak = peak.max(resident);
        Ok(Self { resident, peak })
    }
}

/// The number behind `key` in a file of lines such as `Rss:   12 kB`, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(number * KIB)
}

/// The CPU time that a process has used so far, in user and kernel mode.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).context("stat has utime and stime")?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs(ticks) / u32::try_from(per_second)?)
}

fn ticks(stat: &str) -> Option<u64> {
    // The name of the program, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Counts the instructions that a process executes in user mode, where `perf` and the machine can do so.
pub struct Instructions(Option<Child>);

impl Instructions {
    pub fn of(pid: u32) -> Self {
        let perf = Command::new("perf")
            .args([
                "stat",
                "-x,",
                "-e",
                "instructions:u",
                "-p",
                &pid.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        Self(perf.ok())
    }

    /// The number since the start; `None` if it is not available.
    pub async fn count(self) -> Option<f64> {
        let perf = self.0?;
        let pid = Pid::from_raw(i32::try_from(perf.id()?).ok()?)?;
        kill_process(pid, Signal::INT).ok()?;
        let output = perf.wait_with_output().await.ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines()
            .find_map(|line| line.split(',').next()?.parse().ok())
    }
}

/// What one run of a command cost.
#[derive(Debug)]
pub struct Run {
    pub took: Duration,
    /// Peak of its resident memory in bytes, as far as it lived long enough to be seen.
    pub peak: u64,
}

/// Runs a command to its end. `codes` are the exit codes of a run that worked.
pub async fn run(command: &mut Command, codes: &[i32]) -> Result<Run> {
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().context("a new process has an id")?;
    let mut peak = 0;
    let mut samples = tokio::time::interval(SAMPLE);
    let mut ended = std::pin::pin!(child.wait_with_output());
    let output = loop {
        tokio::select! {
            output = &mut ended => break output?,
            _ = samples.tick() => {
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                peak = kib(&status, "VmHWM:").unwrap_or_default().max(peak);
            }
        }
    };
    let took = start.elapsed();
    let code = output.status.code();
    if !code.is_some_and(|code| codes.contains(&code)) {
        bail!(
            "{:?} ended with {}:\n{}",
            command.as_std(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(Run { took, peak })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_cpu_time() {
        let pid = std::process::id();
        let memory = Memory::of(pid).unwrap();
        assert!(
            memory.resident > KIB * KIB && memory.peak >= memory.resident,
            "{memory:?}"
        );
        cpu_time(pid).unwrap();
    }

    #[test]
    fn the_name_of_a_program_does_not_shift_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1";
        assert_eq!(ticks(stat), Some(300));
    }

    #[tokio::test]
    async fn a_command_is_measured_and_its_exit_code_is_checked() {
        let mut sleep = Command::new("sleep");
        let run = run(sleep.arg("0.1"), &[0]).await.unwrap();
        assert!(
            run.took >= Duration::from_millis(100) && run.peak > 0,
            "{run:?}"
        );
        assert!(super::run(&mut Command::new("false"), &[0]).await.is_err());
    }
}
