//! Which replica works: the holder of a Lease.
//!
//! A replica watches the Lease, so that it takes over at once when the leader lets go, and renews it with the version
//! that it knows, so that of two who try one wins. Time is measured by each replica's own monotonic clock, from when it
//! saw or sent something: clocks that differ or jump change nothing. A leader that could not renew in time stops before
//! anybody else may start, and every write looks at that deadline first, so one that was frozen writes nothing when it
//! wakes up.

mod election;

use std::time::Duration;

use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use election::{Election, Step};

const WATCH_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
const RELEASE_DEADLINE: Duration = Duration::from_secs(1);

/// Which Lease, and as whom.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are in it.
    pub identity: String,
    /// How long it holds after it was renewed.
    pub duration: Duration,
}

/// Whether this replica leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Term {
    /// It does not.
    Follower,
    /// It does, until then unless the Lease is renewed.
    Until(Instant),
    /// It does, without a Lease.
    Always,
}

impl Term {
    fn holds(self) -> bool {
        match self {
            Self::Follower => false,
            Self::Until(deadline) => Instant::now() < deadline,
            Self::Always => true,
        }
    }
}

/// Tells whether this replica leads.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Term>);

/// Where an election says who leads.
#[derive(Debug)]
pub struct Announcement(watch::Sender<Term>);

impl Leadership {
    /// Of a replica that has to be elected first.
    pub fn to_be_elected() -> (Announcement, Self) {
        let (sender, receiver) = watch::channel(Term::Follower);
        (Announcement(sender), Self(receiver))
    }

    /// Of the only replica.
    pub fn always() -> Self {
        Self(watch::channel(Term::Always).1)
    }

    /// Whether this replica leads now.
    pub fn holds(&self) -> bool {
        self.0.borrow().holds()
    }

    /// Returns once this replica leads.
    pub async fn gained(&mut self) {
        while !self.holds() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns once this replica no longer leads.
    pub async fn lost(&mut self) {
        loop {
            let term = *self.0.borrow_and_update();
            if !term.holds() {
                return;
            }
            let end = async {
                match term {
                    Term::Until(deadline) => sleep_until(deadline).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end => {}
                changed = self.0.changed() => {
                    if changed.is_err() && term != Term::Always {
                        return;
                    }
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }
}

/// Takes part in the election until `shutdown`, then lets go of the Lease at once.
pub async fn run(
    client: Client,
    candidate: Candidate,
    announcement: Announcement,
    shutdown: CancellationToken,
) {
    let leases: Api<Lease> = Api::namespaced(client, &candidate.namespace);
    let only_it = watcher::Config::default().fields(&format!("metadata.name={}", candidate.name));
    let mut events = watcher(leases.clone(), only_it).boxed();
    let mut election = Election::new(candidate);
    let mut failed_watches = 0;
    loop {
        let term = election.deadline().map_or(Term::Follower, Term::Until);
        announce(&announcement, term);
        let step = election.next(Instant::now());
        let until = match step {
            Step::Wait(until) => until,
            Step::Resign => {
                election.step_down();
                continue;
            }
            Step::Write(lease) => {
                write(&leases, &mut election, lease).await;
                continue;
            }
        };
        let wake = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = wake => {}
            event = events.next() => match event {
                Some(Ok(event)) => {
                    failed_watches = 0;
                    observe(&mut election, event);
                }
                Some(Err(error)) => {
                    failed_watches += 1;
                    debug!(%error, "the watch of the Lease failed");
                    let pause = WATCH_BACKOFF.pause(failed_watches);
                    tokio::select! {
                        () = shutdown.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                None => break,
            },
        }
    }
    announce(&announcement, Term::Follower);
    if let Some(lease) = election.release() {
        let name = lease.metadata.name.clone().unwrap_or_default();
        let params = PostParams::default();
        match timeout(RELEASE_DEADLINE, leases.replace(&name, &params, &lease)).await {
            Ok(Ok(_)) => info!("let go of the Lease"),
            Ok(Err(error)) => warn!(%error, "could not let go of the Lease; it runs out by itself"),
            Err(_) => warn!("could not let go of the Lease in time; it runs out by itself"),
        }
    }
}

fn announce(announcement: &Announcement, term: Term) {
    announcement.0.send_if_modified(|known| {
        if *known == term {
            return false;
        }
        let (led, leads) = (*known != Term::Follower, term != Term::Follower);
        if led != leads {
            info!(leader = leads, "leadership changed");
        }
        *known = term;
        true
    });
}

fn observe(election: &mut Election, event: Event<Lease>) {
    let now = Instant::now();
    match event {
        Event::Init => election.listing(),
        Event::InitApply(lease) | Event::Apply(lease) => election.seen(lease, now),
        Event::InitDone => election.listed(now),
        Event::Delete(_) => election.gone(now),
    }
}

async fn write(leases: &Api<Lease>, election: &mut Election, lease: Box<Lease>) {
    let name = lease.metadata.name.clone().unwrap_or_default();
    let params = PostParams::default();
    let sent = Instant::now();
    let answer = async {
        if lease.metadata.resource_version.is_some() {
            leases.replace(&name, &params, &lease).await
        } else {
            leases.create(&params, &lease).await
        }
    };
    let deadline = election.patience();
    match timeout(
        deadline,
        answer.map_err(|error| debug!(%error, "the Lease was not written")),
    )
    .await
    {
        Ok(Ok(lease)) => election.won(lease, sent),
        Ok(Err(())) | Err(_) => election.failed(Instant::now()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_does_not_renew_stops_at_its_deadline() {
        let (announcement, mut leadership) = Leadership::to_be_elected();
        assert!(!leadership.holds());
        let deadline = Instant::now() + Duration::from_secs(4);
        announce(&announcement, Term::Until(deadline));
        leadership.gained().await;
        leadership.lost().await;
        assert!(Instant::now() >= deadline && !leadership.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_renews_goes_on() {
        let (announcement, mut leadership) = Leadership::to_be_elected();
        announce(
            &announcement,
            Term::Until(Instant::now() + Duration::from_secs(4)),
        );
        let lost = tokio::spawn(async move { leadership.lost().await });
        for _ in 0..10 {
            advance(Duration::from_secs(2)).await;
            announce(
                &announcement,
                Term::Until(Instant::now() + Duration::from_secs(4)),
            );
            tokio::task::yield_now().await;
        }
        assert!(!lost.is_finished());
        announce(&announcement, Term::Follower);
        lost.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_frozen_past_its_deadline_knows_at_once() {
        let (announcement, leadership) = Leadership::to_be_elected();
        announce(
            &announcement,
            Term::Until(Instant::now() + Duration::from_secs(4)),
        );
        advance(Duration::from_secs(60)).await;
        assert!(!leadership.holds());
    }
}
