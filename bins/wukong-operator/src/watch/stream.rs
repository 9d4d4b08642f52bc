//! How watches are made, and what their errors mean.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher::{Config, Error};

use crate::backoff::Backoff;

/// Pauses of a watch that fails. An outage ends for all watches at once, so none waits long.
pub(super) const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(4));
/// Pauses of a watch that is not allowed: until somebody changes a role.
pub(super) const FORBIDDEN: Backoff =
    Backoff::new(Duration::from_secs(60), Duration::from_secs(60));
/// How long a server has to answer 403 or 404 before it is believed. One that has just started does not know the roles
/// and the definitions yet, and forgetting everything because of that would make every Wukong look broken.
pub(super) const BELIEVED: Duration = Duration::from_secs(15);
/// When a watch ends and is continued: so long a connection that leads nowhere can go unnoticed.
const WATCH_SECONDS: u32 = 120;

/// Objects of a page of a list, which are all in memory at once; from a streaming list they come one by one.
const PAGE: u32 = 100;

/// How a watch is made: by a streaming list where the server has them, of the objects with these labels and fields.
pub(super) fn config(streaming: bool, selector: Option<&str>, fields: Option<&str>) -> Config {
    let mut config = Config::default().timeout(WATCH_SECONDS);
    config.label_selector = selector.map(Into::into);
    config.field_selector = fields.map(Into::into);
    if streaming {
        config.streaming_lists()
    } else {
        config.page_size(PAGE)
    }
}

/// What an error of a watch means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The server does not do streaming lists: the feature gate `WatchList` is off, as it is by default in 1.33.
    NoStreaming,
    /// The kind is not served.
    NotServed,
    /// We may not see the kind.
    Forbidden,
    /// It passes.
    Passing,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        let status: &Status = match error {
            Error::InitialListFailed(kube::Error::Api(status))
            | Error::WatchStartFailed(kube::Error::Api(status))
            | Error::WatchFailed(kube::Error::Api(status))
            | Error::WatchError(status) => status,
            _ => return Self::Passing,
        };
        match status.code {
            422 if status.message.contains("sendInitialEvents") => Self::NoStreaming,
            404 => Self::NotServed,
            403 => Self::Forbidden,
            _ => Self::Passing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_watch_is_told_from_its_code() {
        let trouble = |code, message: &str| {
            let status = Status {
                code,
                ..Status::failure(message, "")
            };
            Trouble::of(&Error::WatchStartFailed(kube::Error::Api(status.boxed())))
        };
        let gate_off = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        assert_eq!(trouble(422, gate_off), Trouble::NoStreaming);
        assert_eq!(trouble(404, ""), Trouble::NotServed);
        assert_eq!(trouble(403, ""), Trouble::Forbidden);
        assert_eq!(trouble(503, ""), Trouble::Passing);
        assert_eq!(Trouble::of(&Error::NoResourceVersion), Trouble::Passing);
    }
}
