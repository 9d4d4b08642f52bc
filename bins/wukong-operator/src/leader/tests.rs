//! Tests of the leadership over time, and of the renewals against a simulated API server.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{advance, sleep};

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
async fn a_replica_that_was_frozen_past_its_deadline_does_not_lead() {
    let (announcement, leadership) = Leadership::to_be_elected();
    announce(
        &announcement,
        Term::Until(Instant::now() + Duration::from_secs(4)),
    );
    advance(Duration::from_secs(60)).await;
    assert!(!leadership.holds());
}

const LEASE_SECONDS: u64 = 5;
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// An API server for one Lease, which takes its time for each write. Returns a client, and the number of writes.
fn server(delay: Duration) -> (Client, Arc<AtomicU64>) {
    let writes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&writes);
    let service = tower::service_fn(move |request: Request<Body>| {
        let counted = Arc::clone(&counted);
        async move {
            let query = request.uri().query().unwrap_or_default();
            let body = if query.contains("watch=true") {
                let nothing = stream::pending::<Result<Vec<u8>, Infallible>>();
                axum::body::Body::from_stream(nothing)
            } else if request.method() == Method::GET {
                let list = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList",
                    "metadata": {"resourceVersion": "1"}, "items": []});
                axum::body::Body::from(list.to_string())
            } else {
                sleep(delay).await;
                let version = counted.fetch_add(1, Ordering::Relaxed) + 2;
                let lease = request.into_body().collect_bytes().await.unwrap();
                let mut lease: Value = serde_json::from_slice(&lease).unwrap();
                lease["metadata"]["resourceVersion"] = json!(version.to_string());
                axum::body::Body::from(lease.to_string())
            };
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    (Client::new(service, "system"), writes)
}

/// Runs a candidate for ten minutes. Returns the number of its writes, and whether it kept the leadership once it had it.
async fn lead(delay: Duration) -> (u64, bool) {
    let (client, writes) = server(delay);
    let (announcement, mut leadership) = Leadership::to_be_elected();
    let candidate = Candidate {
        namespace: "system".into(),
        name: "operator".into(),
        identity: "a".into(),
        duration: Duration::from_secs(LEASE_SECONDS),
    };
    let shutdown = CancellationToken::new();
    let election = tokio::spawn(run(client, candidate, announcement, shutdown.clone()));
    leadership.gained().await;
    let lost = timeout(TEN_MINUTES, leadership.lost()).await;
    let renewals = writes.load(Ordering::Relaxed);
    shutdown.cancel();
    election.await.unwrap();
    (renewals, lost.is_err())
}

#[tokio::test(start_paused = true)]
async fn a_leader_renews_three_times_in_the_validity_of_its_lease() {
    let (writes, kept) = lead(Duration::ZERO).await;
    assert!(kept);
    let due = 3 * TEN_MINUTES.as_secs() / LEASE_SECONDS;
    assert!(
        writes.abs_diff(due) <= 2,
        "{writes} writes instead of {due}"
    );
}

/// A renewal may take almost half of the time that the leader has: the next one begins when it ends.
#[tokio::test(start_paused = true)]
async fn a_leader_keeps_its_lease_while_each_renewal_takes_almost_two_seconds() {
    let (writes, kept) = lead(Duration::from_millis(1900)).await;
    assert!(kept);
    let due = TEN_MINUTES.as_millis() / 1900;
    assert!(
        u128::from(writes).abs_diff(due) <= 2,
        "{writes} writes instead of {due}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_stops_when_no_renewal_is_answered_in_its_term() {
    let (_, kept) = lead(Duration::from_millis(3900)).await;
    assert!(!kept, "another replica may lead after five seconds");
}
