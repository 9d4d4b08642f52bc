//! How the process ends.

use std::process::ExitCode;

/// How a command ended. An error that it returns instead is [`Exit::Failed`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// Done.
    Done,
    /// `plan` only: there are changes.
    Changes,
    /// Not done; what is wrong was said.
    Failed,
    /// What was waited for did not come in time.
    NotInTime,
}

/// What `--help` says about it.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  failed, refused, or called in a wrong way
  2  plan: there are changes
  3  what was waited for did not come in time";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::NotInTime => 3,
        })
    }
}
