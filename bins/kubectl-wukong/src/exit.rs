//! Exit codes.

use std::process::ExitCode;

/// Result of a command. An error is [`Exit::Failed`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// The command succeeded.
    Done,
    /// `plan` only: there are changes.
    Changes,
    /// The command failed and has printed why.
    Failed,
    /// The command timed out.
    TimedOut,
}

/// The exit codes as `--help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  success
  1  failed, refused, or wrong usage
  2  plan: there are changes
  3  timed out";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::TimedOut => 3,
        })
    }
}
