//! State of one Wukong that this replica remembers while it is the leader.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use wukong_engine::facts::Meta;
use wukong_engine::{Apply, Called, FailureKind, Kind, Memory, Target};

use crate::event::RecentEvents;
use crate::write_error::{Cause, WriteError};

/// Number of stale writes in a row before the status reports them. Watches can lag, and an API server that has just
/// started has not loaded the roles yet.
const LATE_MAX: u32 = 5;
/// A retry after a pause that no duration can express.
const PUT_OFF_MAX: SignedDuration = SignedDuration::from_mins(30);
/// Time by which the clock has to be set at once to count. Clocks are also corrected in small steps.
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// Remembered state of one Wukong.
#[derive(Debug, Default)]
pub struct Remembered {
    /// State on which decisions depend.
    pub memory: Memory,
    /// Generation of the Wukong to which the state belongs.
    generation: Option<i64>,
    /// The time of the last decision, by the clock and by one that is never set.
    last: Option<(Timestamp, Instant)>,
    /// Number of stale writes in a row.
    late: u32,
    /// Number of failed status writes in a row.
    pub status_failures: u32,
    /// Number of reconciles in a row that panicked.
    pub panics: u32,
    /// Recently published events.
    pub recent_events: RecentEvents,
}

impl Remembered {
    /// Prepares the state for a decision about a generation.
    pub fn begin(&mut self, generation: Option<i64>, now: Timestamp) {
        if self.generation != generation {
            self.generation = generation;
            // The new spec may not need the failed write; if it does, retry at once.
            self.memory.failures.clear();
            self.late = 0;
        }
        let clock = Instant::now();
        if let Some((before, at)) = self.last.replace((now, clock)) {
            let passed = SignedDuration::try_from(clock - at).unwrap_or_default();
            let set = before.duration_until(now) - passed;
            if set.abs() > STEP {
                self.memory.move_times(set);
            }
        }
    }

    /// Records a successful apply; `stored` is the object in the response.
    pub fn record_applied(&mut self, apply: &Apply, stored: &Value, now: Timestamp) {
        // The response for a Secret contains only the metadata.
        let stored = match apply.target.kind {
            Kind::Secret => None,
            _ => Meta::project(stored).owned_hash,
        };
        let stored = stored.map_or_else(|| apply.hash.clone(), Into::into);
        self.memory
            .record_applied(apply.target.clone(), apply.hash.clone(), stored, now);
    }

    /// Records a subresource call.
    pub fn record_called(&mut self, vm: &Target, call: wukong_engine::Call, now: Timestamp) {
        self.memory.called = Some(Called { call, at: now });
        if self.memory.failure(vm, call.as_ref()).is_some() {
            self.memory.record_done(vm);
        }
    }

    /// Records that all writes succeeded.
    pub fn record_success(&mut self) {
        self.late = 0;
    }

    /// Records a failed write. Returns the pause before the next reconcile.
    pub fn record_failure(
        &mut self,
        target: &Target,
        hash: &str,
        error: &WriteError,
        now: Timestamp,
    ) -> Duration {
        // Secrets are not watched, so there will be no newer facts.
        let late = match error.cause {
            Cause::Stale | Cause::Gone => Some(Cause::Stale),
            Cause::NameTaken if target.kind != Kind::Secret => Some(Cause::Stale),
            Cause::Unauthorized => Some(Cause::Unauthorized),
            _ => None,
        };
        if let Some(late) = late
            && self.late < LATE_MAX
        {
            self.late += 1;
            return late.backoff().pause(self.late);
        }
        let kind: FailureKind = error.cause.kind();
        let pause = error.pause(self.memory.attempts(target) + 1);
        let retry_at = now + SignedDuration::try_from(pause).unwrap_or(PUT_OFF_MAX);
        self.memory.record_failure(
            target.clone(),
            hash.to_owned(),
            kind,
            error.message.clone(),
            now,
            retry_at,
        );
        pause
    }
}

#[cfg(test)]
mod tests {
    use wukong_api::{ConditionType, Reason};
    use wukong_engine::Call;
    use wukong_engine::related::Children;

    use super::*;

    fn target(kind: Kind) -> Target {
        Target {
            kind,
            name: "web".into(),
        }
    }

    fn error(cause: Cause) -> WriteError {
        WriteError {
            cause,
            ..WriteError::outage("no")
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_stale_write_is_reported_only_when_it_repeats() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        for _ in 0..LATE_MAX {
            let pause = remembered.record_failure(&vm, "h", &error(Cause::Stale), now());
            assert!(pause < Duration::from_secs(1));
            assert!(remembered.memory.failures.is_empty());
        }
        remembered.record_failure(&vm, "h", &error(Cause::Stale), now());
        assert_eq!(remembered.memory.failures[&vm].kind, FailureKind::Stale);
    }

    #[test]
    fn a_server_that_has_just_started_gets_time_to_load_roles() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        let error = error(Cause::Unauthorized);
        let pauses = (0..LATE_MAX).map(|_| remembered.record_failure(&vm, "h", &error, now()));
        assert!(pauses.sum::<Duration>() > Duration::from_secs(15));
        assert!(remembered.memory.failures.is_empty());
    }

    #[test]
    fn the_content_of_a_secret_is_unknown_when_a_write_has_no_response() {
        let mut remembered = Remembered::default();
        let secret = target(Kind::Secret);
        let hash = || "before".to_owned();
        let memory = &mut remembered.memory;
        memory.record_applied(secret.clone(), hash(), hash(), now());
        remembered.record_failure(&secret, "after", &error(Cause::Denied), now());
        assert_eq!(remembered.memory.applied[&secret].sent, "before");
        remembered.record_failure(&secret, "after", &error(Cause::Outage), now());
        assert!(!remembered.memory.applied.contains_key(&secret));
    }

    #[test]
    fn a_foreign_secret_is_reported_at_once() {
        let mut remembered = Remembered::default();
        let secret = target(Kind::Secret);
        remembered.record_failure(&secret, "h", &error(Cause::NameTaken), now());
        assert_eq!(
            remembered.memory.failures[&secret].kind,
            FailureKind::NameTaken
        );
    }

    #[test]
    fn pauses_grow_and_end_with_the_next_generation() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        let first = remembered.record_failure(&vm, "h", &error(Cause::Denied), now());
        let second = remembered.record_failure(&vm, "h", &error(Cause::Denied), now());
        assert!(second > first);
        assert_eq!(remembered.memory.failures[&vm].attempts, 2);
        remembered.begin(Some(2), now());
        assert!(remembered.memory.failures.is_empty());
    }

    /// By an hour, and by less than a pause can be.
    #[test]
    fn a_clock_that_was_set_back_delays_nothing() {
        for minutes in [60, 10] {
            let mut remembered = Remembered::default();
            remembered.begin(None, now());
            let vm = target(Kind::VirtualMachine);
            let pause = remembered.record_failure(&vm, "h", &error(Cause::Denied), now());
            remembered.record_called(&target(Kind::Secret), Call::Start, now());
            let waiting = (ConditionType::Running, Reason::Starting);
            let memory = &mut remembered.memory;
            memory.record_applied(target(Kind::Secret), "h".into(), "h".into(), now());
            memory.record_waiting(Some(waiting), now());
            memory.record_queried(Children::default(), now());
            memory.status_written = Some(now());

            let earlier = now() - SignedDuration::from_mins(minutes);
            remembered.begin(None, earlier);
            let memory = &remembered.memory;
            let soon = earlier + SignedDuration::from_secs(1);
            let failure = &memory.failures[&vm];
            assert!(failure.retry_at <= soon + SignedDuration::try_from(pause).unwrap());
            for time in [
                failure.since,
                memory.applied[&target(Kind::Secret)].since,
                memory.called.as_ref().unwrap().at,
                memory.waiting[&waiting],
                memory.queried.at.unwrap(),
                memory.status_written.unwrap(),
            ] {
                assert!(time <= soon, "{time} is after {soon}");
            }
        }
    }

    /// The monotonic clock stands still but for what the test adds, however slow the machine is.
    #[tokio::test(start_paused = true)]
    async fn time_that_passes_and_small_corrections_change_no_time() {
        let mut remembered = Remembered::default();
        remembered.begin(None, now());
        remembered.memory.status_written = Some(now());
        for (passed, milliseconds) in [(0, 0), (0, 500), (60_000, 60_000), (0, 59_500)] {
            tokio::time::advance(Duration::from_millis(passed)).await;
            remembered.begin(None, now() + SignedDuration::from_millis(milliseconds));
        }
        assert_eq!(remembered.memory.status_written, Some(now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_ahead_and_back_leaves_every_wait_as_long_as_it_was() {
        let mut remembered = Remembered::default();
        remembered.begin(None, now());
        remembered.memory.status_written = Some(now());
        let ahead = now() + SignedDuration::from_hours(1);
        remembered.begin(None, ahead);
        assert_eq!(remembered.memory.status_written, Some(ahead));
        remembered.begin(None, now());
        assert_eq!(remembered.memory.status_written, Some(now()));
    }

    #[test]
    fn a_successful_call_clears_only_its_own_failure() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        remembered.record_failure(&vm, "body", &error(Cause::Denied), now());
        remembered.record_called(&vm, Call::Start, now());
        assert!(remembered.memory.failure(&vm, "body").is_some());
        remembered.record_failure(&vm, Call::Start.as_ref(), &error(Cause::Denied), now());
        remembered.record_called(&vm, Call::Start, now());
        assert!(remembered.memory.failures.is_empty());
    }
}
