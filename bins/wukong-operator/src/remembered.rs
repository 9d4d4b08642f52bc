//! What is remembered of one Wukong since this replica leads.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wukong_engine::facts::Meta;
use wukong_engine::{Apply, Called, FailureKind, Kind, Memory, Target};

use crate::event::Told;
use crate::refusal::{Cause, Refusal};

/// How often in a row a write may come at the wrong time before the user hears of it: the watches are a moment behind at
/// times, and a server that has just started does not know the roles yet.
const LATE_MAX: u32 = 5;
/// No attempt is put off for longer; a clock that was set back must not put it off either.
const PUT_OFF_MAX: SignedDuration = SignedDuration::from_mins(30);

/// What is remembered of one Wukong.
#[derive(Debug, Default)]
pub struct Remembered {
    /// What decisions depend on.
    pub memory: Memory,
    /// The generation that this is about.
    generation: Option<i64>,
    /// Writes in a row that came too late.
    late: u32,
    /// Status writes in a row that were refused.
    pub status_refused: u32,
    /// Looks in a row that panicked.
    pub panics: u32,
    /// What was told in events.
    pub told: Told,
}

impl Remembered {
    /// Before a decision about a generation.
    pub fn turn_to(&mut self, generation: Option<i64>, now: Timestamp) {
        if self.generation != generation {
            self.generation = generation;
            // What was refused may no longer be asked for, and what still is may be tried at once.
            self.memory.failures.clear();
            self.late = 0;
        }
        for failure in self.memory.failures.values_mut() {
            if failure.retry_at > now + PUT_OFF_MAX {
                failure.retry_at = now;
            }
        }
        let not_later = |at: &mut Timestamp| *at = (*at).min(now);
        self.memory.status_written.iter_mut().for_each(not_later);
        self.memory
            .called
            .iter_mut()
            .for_each(|called| not_later(&mut called.at));
        self.memory
            .applied
            .values_mut()
            .for_each(|applied| not_later(&mut applied.since));
    }

    /// An apply was carried out; `stored` is the object as it is now.
    pub fn applied(&mut self, apply: &Apply, stored: &Value, now: Timestamp) {
        // Of a Secret only the metadata came back.
        let stored = match apply.target.kind {
            Kind::Secret => None,
            _ => Meta::project(stored).owned_hash,
        };
        let stored = stored.unwrap_or_else(|| apply.hash.clone());
        self.memory
            .record_applied(apply.target.clone(), apply.hash.clone(), stored, now);
    }

    /// A subresource was called.
    pub fn called(&mut self, vm: &Target, call: wukong_engine::Call, now: Timestamp) {
        self.memory.called = Some(Called { call, at: now });
        if self.memory.failure(vm, call.as_ref()).is_some() {
            self.memory.record_done(vm);
        }
    }

    /// Everything that was asked for was carried out.
    pub fn well(&mut self) {
        self.late = 0;
    }

    /// An action of this hash was refused. Returns when to look again.
    pub fn refused(
        &mut self,
        target: &Target,
        hash: &str,
        refusal: &Refusal,
        now: Timestamp,
    ) -> Duration {
        // Secrets are not watched: nothing newer will be known of them.
        let late = match refusal.cause {
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
        let kind: FailureKind = refusal.cause.kind();
        let pause = refusal.pause(self.memory.attempts(target) + 1);
        let retry_at = now + SignedDuration::try_from(pause).unwrap_or(PUT_OFF_MAX);
        self.memory.record_failure(
            target.clone(),
            hash.to_owned(),
            kind,
            refusal.message.clone(),
            now,
            retry_at,
        );
        pause
    }
}

#[cfg(test)]
mod tests {
    use wukong_engine::Call;

    use super::*;

    fn target(kind: Kind) -> Target {
        Target {
            kind,
            name: "web".into(),
        }
    }

    fn refusal(cause: Cause) -> Refusal {
        Refusal {
            cause,
            ..Refusal::outage("no")
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_write_that_comes_late_is_the_users_concern_only_when_it_always_does() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        for _ in 0..LATE_MAX {
            let pause = remembered.refused(&vm, "h", &refusal(Cause::Stale), now());
            assert!(pause < Duration::from_secs(1));
            assert!(remembered.memory.failures.is_empty());
        }
        remembered.refused(&vm, "h", &refusal(Cause::Stale), now());
        assert_eq!(remembered.memory.failures[&vm].kind, FailureKind::Stale);
    }

    #[test]
    fn a_server_that_has_just_started_and_knows_no_roles_is_given_time() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        let refusal = refusal(Cause::Unauthorized);
        let pauses = (0..LATE_MAX).map(|_| remembered.refused(&vm, "h", &refusal, now()));
        assert!(pauses.sum::<Duration>() > Duration::from_secs(15));
        assert!(remembered.memory.failures.is_empty());
    }

    #[test]
    fn a_secret_that_is_not_ours_is_told_at_once() {
        let mut remembered = Remembered::default();
        let secret = target(Kind::Secret);
        remembered.refused(&secret, "h", &refusal(Cause::NameTaken), now());
        assert_eq!(
            remembered.memory.failures[&secret].kind,
            FailureKind::NameTaken
        );
    }

    #[test]
    fn pauses_grow_and_end_with_the_next_generation() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        let first = remembered.refused(&vm, "h", &refusal(Cause::Denied), now());
        let second = remembered.refused(&vm, "h", &refusal(Cause::Denied), now());
        assert!(second > first);
        assert_eq!(remembered.memory.failures[&vm].attempts, 2);
        remembered.turn_to(Some(2), now());
        assert!(remembered.memory.failures.is_empty());
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        remembered.refused(&vm, "h", &refusal(Cause::Denied), now());
        remembered.memory.status_written = Some(now());
        let earlier = now() - SignedDuration::from_hours(1);
        remembered.turn_to(None, earlier);
        assert_eq!(remembered.memory.failures[&vm].retry_at, earlier);
        assert_eq!(remembered.memory.status_written, Some(earlier));
    }

    #[test]
    fn a_call_that_went_well_forgets_only_its_own_refusal() {
        let mut remembered = Remembered::default();
        let vm = target(Kind::VirtualMachine);
        remembered.refused(&vm, "body", &refusal(Cause::Denied), now());
        remembered.called(&vm, Call::Start, now());
        assert!(remembered.memory.failure(&vm, "body").is_some());
        remembered.refused(&vm, Call::Start.as_ref(), &refusal(Cause::Denied), now());
        remembered.called(&vm, Call::Start, now());
        assert!(remembered.memory.failures.is_empty());
    }
}
