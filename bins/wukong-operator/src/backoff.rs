//! Back-off between attempts.

use std::time::Duration;

/// A pause that doubles with each attempt up to a limit, with jitter so that attempts spread out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
}

impl Backoff {
    /// Creates a back-off from `first` to `limit`.
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit }
    }

    /// Returns the pause after `attempts` failures in a row, counted from 1: 75 to 100 % of the full pause.
    pub fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.limit);
        full.mul_f64(1.0 - fastrand::f64() / 4.0)
    }

    /// Returns the longest pause.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_are_never_longer() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for (attempts, full) in [(1, 100), (2, 200), (5, 1600), (6, 2000), (4_000_000, 2000)] {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let pause = backoff.pause(attempts);
                assert!(
                    pause <= full && pause >= full * 3 / 4,
                    "{pause:?} for {full:?}"
                );
            }
        }
    }

    #[test]
    fn simultaneous_failures_are_retried_at_different_times() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let pauses: std::collections::HashSet<_> = (0..100).map(|_| backoff.pause(3)).collect();
        assert!(pauses.len() > 50);
    }
}
