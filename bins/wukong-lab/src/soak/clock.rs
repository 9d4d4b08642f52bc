//! A wall clock of one process that the lab can set.
//!
//! The clock of the machine is that of every process on it, and a time namespace does not cover it. So a small library
//! stands between the process and the system call that reads the clock. It is built with the C compiler that Rust needs anyway.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

const SOURCE: &str = include_str!("clock.c");

/// A wall clock that can be set. Dropping it removes its files; processes that have it keep it.
pub(super) struct Clock {
    dir: TempDir,
    /// Seconds by which it is ahead of the machine's.
    ahead: File,
}

impl Clock {
    /// Creates a clock that shows the time of the machine.
    ///
    /// # Errors
    /// If there is no C compiler.
    pub(super) fn create() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let source = dir.path().join("clock.c");
        fs::write(&source, SOURCE)?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([dir.path().join("clock.so"), source])
            .output()
            .context("clocks need a C compiler, and there is no cc")?;
        if !built.status.success() {
            bail!("cc failed:\n{}", String::from_utf8_lossy(&built.stderr));
        }
        let ahead = File::create(dir.path().join("ahead"))?;
        let clock = Self { dir, ahead };
        clock.set_ahead(0)?;
        Ok(clock)
    }

    /// Environment of a process that has this clock.
    pub(super) fn env(&self) -> [(&'static str, OsString); 2] {
        let path = |name: &str| self.dir.path().join(name).into_os_string();
        [
            ("LD_PRELOAD", path("clock.so")),
            ("WUKONG_LAB_CLOCK", path("ahead")),
        ]
    }

    /// Sets it ahead of the machine's clock by so many seconds; behind it if they are negative.
    pub(super) fn set_ahead(&self, seconds: i64) -> Result<()> {
        Ok(self.ahead.write_all_at(&seconds.to_ne_bytes(), 0)?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    /// What `date` shows with this clock.
    fn shown(clock: &Clock) -> Timestamp {
        let date = Command::new("date")
            .arg("+%s")
            .envs(clock.env())
            .output()
            .unwrap();
        let seconds = String::from_utf8(date.stdout).unwrap();
        Timestamp::from_second(seconds.trim().parse().unwrap()).unwrap()
    }

    #[test]
    fn only_a_process_with_the_clock_shows_another_time() {
        let clock = Clock::create().unwrap();
        let hour = SignedDuration::from_hours(1);
        for (ahead, from, to) in [(0, -hour / 2, hour / 2), (3600, hour / 2, hour * 2)] {
            clock.set_ahead(ahead).unwrap();
            let now = Timestamp::now();
            let shown = shown(&clock);
            assert!(now + from < shown && shown < now + to, "{shown} at {now}");
        }
        clock.set_ahead(-3600).unwrap();
        assert!(shown(&clock) < Timestamp::now() - hour / 2);
    }
}
