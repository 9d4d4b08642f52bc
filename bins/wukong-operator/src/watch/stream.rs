//! Configuration of watches and classification of their errors.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher::{Config, Error};

use crate::backoff::Backoff;

/// Back-off of a failed watch. It is short, because after an outage all watches can continue.
pub(super) const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(4));
/// Pause of a watch without permission, until an administrator changes a role.
pub(super) const FORBIDDEN: Backoff =
    Backoff::new(Duration::from_secs(60), Duration::from_secs(60));
/// Time for which the API server has to respond with 403 or 404 before it counts. An API server that has just started has
/// not loaded roles and CRDs yet. Discarding the facts then would make every Wukong appear broken.
pub(super) const CONFIRMED_AFTER: Duration = Duration::from_secs(15);
/// Time after which a watch ends and resumes. It limits how long a dead connection stays unnoticed.
const WATCH_SECONDS: u32 = 120;

/// Objects per page of a list, all of which are in memory at once. A streaming list returns them one by one.
const PAGE: u32 = 100;

/// Returns the configuration of a watch: with a streaming list if the server supports it, for objects with these labels
/// and fields.
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

/// Cause of a failed watch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The server does not support streaming lists: the feature gate `WatchList` is off, as it is by default in 1.33.
    NoStreaming,
    /// The kind is not served.
    NotServed,
    /// The operator has no permission to read the kind.
    Forbidden,
    /// A transient error.
    Transient,
}

impl Failure {
    pub(super) fn of(error: &Error) -> Self {
        let status: &Status = match error {
            Error::InitialListFailed(kube::Error::Api(status))
            | Error::WatchStartFailed(kube::Error::Api(status))
            | Error::WatchFailed(kube::Error::Api(status))
            | Error::WatchError(status) => status,
            _ => return Self::Transient,
        };
        match status.code {
            422 if status.message.contains("sendInitialEvents") => Self::NoStreaming,
            404 => Self::NotServed,
            403 => Self::Forbidden,
            _ => Self::Transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_watch_is_classified_by_its_code() {
        let failure = |code, message: &str| {
            let status = Status {
                code,
                ..Status::failure(message, "")
            };
            Failure::of(&Error::WatchStartFailed(kube::Error::Api(status.boxed())))
        };
        let gate_off = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
        assert_eq!(failure(422, gate_off), Failure::NoStreaming);
        assert_eq!(failure(404, ""), Failure::NotServed);
        assert_eq!(failure(403, ""), Failure::Forbidden);
        assert_eq!(failure(503, ""), Failure::Transient);
        assert_eq!(Failure::of(&Error::NoResourceVersion), Failure::Transient);
    }
}
