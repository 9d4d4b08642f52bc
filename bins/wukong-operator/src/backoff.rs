//! Growing pauses between attempts.

use std::time::Duration;

/// A pause that doubles with each attempt up to a limit, with jitter so that many do not come back at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
}

impl Backoff {
    /// From `first` to `limit`.
    pub const fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit }
    }

    /// The pause after `attempts` failures in a row, counted from 1: three to four quarters of the full one.
    pub fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.limit);
        full.mul_f64(1.0 - fastrand::f64() / 4.0)
    }

    /// The longest pause.
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
    fn those_who_fail_together_do_not_come_back_together() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let pauses: std::collections::HashSet<_> = (0..100).map(|_| backoff.pause(3)).collect();
        assert!(pauses.len() > 50);
    }
}
