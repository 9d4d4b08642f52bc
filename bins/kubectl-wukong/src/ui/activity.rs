//! Whether a page is open: the plugin ends some time after the last one was closed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The streams that pages have open, and the time of the last request.
#[derive(Clone)]
pub struct Activity(Arc<Mutex<State>>);

struct State {
    open: usize,
    last: Instant,
}

/// A stream that a page has open.
pub struct Open(Activity);

impl Activity {
    /// Begins with no page and the present time.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            open: 0,
            last: Instant::now(),
        })))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        state.last = Instant::now();
    }

    /// Records a request.
    pub fn touch(&self) {
        self.change(|_| {});
    }

    /// Records a stream, until the result is dropped.
    pub fn open(&self) -> Open {
        self.change(|state| state.open += 1);
        Open(self.clone())
    }

    /// Returns the time until the plugin is idle for `limit`; zero if it is.
    fn left(&self, limit: Duration) -> Duration {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open {
            0 => limit.saturating_sub(state.last.elapsed()),
            _ => limit,
        }
    }

    /// Completes when no page was open and no request came for this time.
    pub async fn idle(&self, limit: Duration) {
        loop {
            match self.left(limit) {
                Duration::ZERO => return,
                left => tokio::time::sleep(left).await,
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|state| state.open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_page_is_not_idle() {
        let activity = Activity::new();
        let open = activity.open();
        assert_eq!(
            activity.left(Duration::from_nanos(1)),
            Duration::from_nanos(1)
        );
        drop(open);
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(activity.left(Duration::from_nanos(1)), Duration::ZERO);
        assert!(activity.left(Duration::from_secs(3600)) > Duration::from_secs(3000));
    }
}
