//! `cargo lab status`: which clusters live on this machine.

use std::process::ExitCode;

use anyhow::Result;
use jiff::{SpanRound, Timestamp, Unit};

use super::state::State;

pub(super) fn run() -> Result<ExitCode> {
    let labs = State::living()?;
    if labs.is_empty() {
        say!("No lab is up. `cargo lab up` starts one, `cargo lab demo` shows what it can do.");
    }
    for lab in labs {
        let age = (Timestamp::now() - lab.started).round(
            SpanRound::new()
                .largest(Unit::Day)
                .smallest(Unit::Second)
                .days_are_24_hours(),
        )?;
        say!(
            "{} (process {}, {age:#} old)\n{}",
            lab.name,
            lab.pid,
            lab.hints()
        );
    }
    Ok(ExitCode::SUCCESS)
}
