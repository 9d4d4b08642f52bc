//! State machine of the election, without I/O: decides the next step from observations and requests.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use super::candidate::Candidate;

/// Random delay, so that replicas do not all write a free Lease at once.
const SPREAD: Duration = Duration::from_millis(100);

/// Next step.
#[derive(Debug)]
pub(super) enum Step {
    /// Wait until this time or the next event.
    Wait(Option<Instant>),
    /// Stop working: the Lease could not be renewed in time.
    Resign,
    /// Create the Lease if it has no version, otherwise replace that version.
    Write(Box<Lease>),
}

/// The state of the election as one replica sees it.
#[derive(Debug)]
pub(super) struct Election {
    me: Candidate,
    /// Last observed or written Lease.
    lease: Option<Lease>,
    /// Time of the last observed change.
    changed: Instant,
    /// Whether the Lease or its absence was observed.
    synced: bool,
    /// Whether the current list contains the Lease.
    listed: bool,
    /// Start of the request that made us the leader or renewed the Lease.
    renewed: Option<Instant>,
    /// Earliest time of the next write.
    not_before: Instant,
}

impl Election {
    pub(super) fn new(me: Candidate) -> Self {
        let now = Instant::now();
        Self {
            me,
            lease: None,
            changed: now,
            synced: false,
            listed: false,
            renewed: None,
            not_before: now,
        }
    }

    /// Returns the end of our leadership: before the Lease expires for any other replica.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.renewed.map(|sent| sent + self.term())
    }

    /// Returns the time limit of a write that begins now: the end of our leadership, or of the one that the write would begin.
    /// A slow API server costs the leadership only if it does not respond by then.
    pub(super) fn write_until(&self, now: Instant) -> Instant {
        self.deadline().unwrap_or(now + self.term())
    }

    /// Time after the start of a renewal in which we lead.
    fn term(&self) -> Duration {
        self.me.duration * 4 / 5
    }

    pub(super) fn next(&self, now: Instant) -> Step {
        if !self.synced {
            return Step::Wait(None);
        }
        let due = match (self.renewed, self.deadline()) {
            (Some(_), Some(deadline)) if now >= deadline => return Step::Resign,
            (Some(sent), Some(deadline)) => {
                let due = sent + self.me.duration / 3;
                due.max(self.not_before).min(deadline)
            }
            _ => self.free_at().max(self.not_before),
        };
        if now < due {
            Step::Wait(Some(due))
        } else {
            Step::Write(Box::new(self.claim()))
        }
    }

    /// Returns the time at which we may acquire the Lease.
    fn free_at(&self) -> Instant {
        let spec = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let holder = spec
            .and_then(|spec| spec.holder_identity.as_deref())
            .unwrap_or_default();
        if holder.is_empty() || holder == self.me.identity {
            return self.changed;
        }
        let seconds = spec
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok());
        self.changed + seconds.map_or(self.me.duration, Duration::from_secs)
    }

    /// Returns the Lease with us as its holder.
    fn claim(&self) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let mut lease = self.lease.clone().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.me.name.clone()),
                namespace: Some(self.me.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        });
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.me.identity) {
            spec.acquire_time.clone_from(&now);
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
        }
        spec.holder_identity = Some(self.me.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.me.duration.as_secs()).ok();
        spec.renew_time = now;
        lease
    }

    /// Returns the Lease without a holder, if we hold it.
    pub(super) fn release(self) -> Option<Lease> {
        self.renewed?;
        let mut lease = self.lease?;
        let spec = lease.spec.get_or_insert_default();
        *spec = LeaseSpec {
            lease_transitions: spec.lease_transitions,
            renew_time: Some(MicroTime(Timestamp::now())),
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            ..LeaseSpec::default()
        };
        Some(lease)
    }

    /// Records that our write succeeded.
    pub(super) fn won(&mut self, lease: Lease, sent: Instant) {
        self.renewed = Some(sent);
        self.changed = sent;
        self.lease = Some(lease);
    }

    /// Records that our write failed or has an unknown result.
    pub(super) fn failed(&mut self, now: Instant) {
        self.not_before = now + self.me.duration / 20 + SPREAD.mul_f64(fastrand::f64());
    }

    pub(super) fn step_down(&mut self) {
        self.renewed = None;
    }

    pub(super) fn listing(&mut self) {
        self.listed = false;
    }

    pub(super) fn seen(&mut self, lease: Lease, now: Instant) {
        self.listed = true;
        if version(&lease) <= self.lease.as_ref().map_or(0, version) {
            return;
        }
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        if holder != Some(&self.me.identity) {
            self.renewed = None;
        }
        if holder.unwrap_or_default().is_empty() {
            self.not_before = now + SPREAD.mul_f64(fastrand::f64());
        }
        self.lease = Some(lease);
        self.changed = now;
        self.synced = true;
    }

    pub(super) fn listed(&mut self, now: Instant) {
        if !self.listed {
            self.gone(now);
        }
        self.synced = true;
    }

    /// Records that the Lease was deleted: every replica may create it.
    pub(super) fn gone(&mut self, now: Instant) {
        self.renewed = None;
        self.lease = None;
        self.changed = now;
        self.not_before = now + SPREAD.mul_f64(fastrand::f64());
    }
}

/// Resource versions are comparable as numbers (KEP-5504).
fn version(lease: &Lease) -> u64 {
    lease
        .metadata
        .resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn election(identity: &str) -> Election {
        Election::new(Candidate {
            namespace: "system".into(),
            name: "operator".into(),
            identity: identity.into(),
            duration: 5 * SECOND,
        })
    }

    fn lease(holder: &str, version: u64) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some("operator".into()),
                resource_version: Some(version.to_string()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: Some(5),
                ..LeaseSpec::default()
            }),
        }
    }

    fn written(step: Step) -> Lease {
        match step {
            Step::Write(lease) => *lease,
            other => panic!("{other:?} instead of a write"),
        }
    }

    fn stored(mut lease: Lease, version: u64) -> Lease {
        lease.metadata.resource_version = Some(version.to_string());
        lease
    }

    fn waits_until(step: Step) -> Instant {
        match step {
            Step::Wait(Some(until)) => until,
            other => panic!("{other:?} instead of waiting"),
        }
    }

    /// An election that the own replica has won: it is the leader since `now`.
    fn leader(now: Instant) -> Election {
        let mut election = election("a");
        election.listed(now);
        let claim = written(election.next(now + SPREAD));
        assert_eq!(
            claim.metadata.resource_version, None,
            "it creates the Lease"
        );
        election.won(stored(claim, 10), now);
        election
    }

    #[test]
    fn nothing_is_written_before_the_lease_is_observed() {
        let now = Instant::now();
        assert!(matches!(
            election("a").next(now + 100 * SECOND),
            Step::Wait(None)
        ));
    }

    #[test]
    fn a_leader_renews_in_time_with_the_version_it_knows() {
        let now = Instant::now();
        let election = leader(now);
        let due = waits_until(election.next(now + SPREAD));
        assert!(due < election.deadline().unwrap() && due > now + SECOND);
        let renewal = written(election.next(due));
        assert_eq!(renewal.metadata.resource_version.as_deref(), Some("10"));
        assert_eq!(
            renewal.spec.unwrap().lease_transitions,
            Some(1),
            "renewing is no transition"
        );
    }

    #[test]
    fn a_leader_that_cannot_renew_steps_down_before_another_takes_over() {
        let now = Instant::now();
        let mut leader = leader(now);
        let mut follower = election("b");
        follower.seen(lease("a", 10), now);
        let deadline = leader.deadline().unwrap();
        leader.failed(now + 2 * SECOND);
        assert!(matches!(leader.next(deadline), Step::Resign));
        assert!(waits_until(follower.next(deadline)) > deadline);
    }

    #[test]
    fn a_follower_takes_over_when_nothing_changed_for_the_duration() {
        let now = Instant::now();
        let mut follower = election("b");
        follower.seen(lease("a", 10), now);
        follower.seen(lease("a", 11), now + 3 * SECOND);
        let until = waits_until(follower.next(now + 6 * SECOND));
        assert_eq!(until, now + 8 * SECOND, "counted from the last renewal");
        let claim = written(follower.next(until));
        assert_eq!(claim.metadata.resource_version.as_deref(), Some("11"));
        let spec = claim.spec.unwrap();
        assert_eq!(
            (spec.holder_identity.as_deref(), spec.lease_transitions),
            (Some("b"), Some(1))
        );
    }

    #[test]
    fn a_follower_takes_over_at_once_when_the_leader_releases_the_lease() {
        let now = Instant::now();
        let released = leader(now).release().unwrap();
        let mut follower = election("b");
        follower.seen(lease("a", 10), now);
        follower.seen(stored(released, 11), now + SECOND);
        assert!(matches!(
            follower.next(now + SECOND + SPREAD),
            Step::Write(_)
        ));
    }

    #[test]
    fn a_leader_that_observes_another_holder_stops() {
        let now = Instant::now();
        let mut leader = leader(now);
        leader.seen(lease("a", 10), now);
        assert!(
            leader.deadline().is_some(),
            "the watch returns its own write"
        );
        leader.seen(lease("b", 11), now);
        assert_eq!(leader.deadline(), None);
        assert!(
            leader.release().is_none(),
            "and leaves the other's Lease alone"
        );
    }

    #[test]
    fn an_old_version_does_not_extend_the_lease() {
        let now = Instant::now();
        let mut follower = election("b");
        follower.seen(lease("a", 10), now);
        follower.seen(lease("a", 9), now + 4 * SECOND);
        assert!(matches!(follower.next(now + 5 * SECOND), Step::Write(_)));
    }

    #[test]
    fn a_deleted_lease_is_created_again() {
        let now = Instant::now();
        let mut leader = leader(now);
        leader.gone(now);
        assert_eq!(
            leader.deadline(),
            None,
            "it does not lead until it has created the Lease"
        );
        assert_eq!(
            written(leader.next(now + SPREAD)).metadata.resource_version,
            None
        );
    }
}
