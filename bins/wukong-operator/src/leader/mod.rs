//! Leader election by a Lease.
//!
//! Each replica watches the Lease, so that it takes over at once when the leader releases it. It writes the Lease with the
//! resource version that it knows, so that only one of two candidates wins. Each replica measures time with its own
//! monotonic clock from the moment of an observation or a request, so clock skew has no effect. A leader that cannot renew
//! in time stops before another replica may start; until then, it waits for the response to its renewal. Every write checks this deadline first, so a replica that was frozen
//! writes nothing when it resumes.

mod candidate;
mod election;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::{StreamExt, TryFutureExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
pub use candidate::Candidate;
use election::{Election, Step};

const WATCH_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
const RELEASE_DEADLINE: Duration = Duration::from_secs(1);

/// Leadership of this replica.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Term {
    /// Not the leader.
    Follower,
    /// The leader until this time, unless the Lease is renewed.
    Until(Instant),
    /// The leader, without a Lease.
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

/// Reports whether this replica is the leader.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Term>);

/// Sender of the result of an election.
#[derive(Debug)]
pub struct Announcement(watch::Sender<Term>);

impl Leadership {
    /// Leadership of a replica that has to be elected first.
    pub fn to_be_elected() -> (Announcement, Self) {
        let (sender, receiver) = watch::channel(Term::Follower);
        (Announcement(sender), Self(receiver))
    }

    /// Leadership without an election.
    pub fn always() -> Self {
        Self(watch::channel(Term::Always).1)
    }

    /// Returns whether this replica is the leader now.
    pub fn holds(&self) -> bool {
        self.0.borrow().holds()
    }

    /// Returns once this replica is the leader.
    pub async fn gained(&mut self) {
        while !self.holds() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns once this replica is no longer the leader.
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

/// Takes part in the election until `shutdown`, then releases the Lease at once.
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
            // A slow API server: the next renewal is due as soon as the last one has ended.
            Step::Write(_) if shutdown.is_cancelled() => break,
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
                    debug!(%error, "watch of the Lease failed");
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
            Ok(Ok(_)) => info!("released the Lease"),
            Ok(Err(error)) => warn!(%error, "could not release the Lease; it expires"),
            Err(_) => warn!("could not release the Lease in time; it expires"),
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
    match timeout_at(
        election.write_until(sent),
        answer.map_err(|error| debug!(%error, "Lease not written")),
    )
    .await
    {
        Ok(Ok(lease)) => election.won(lease, sent),
        Ok(Err(())) | Err(_) => election.failed(Instant::now()),
    }
}
