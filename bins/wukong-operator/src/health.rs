//! `/healthz`, `/readyz` and `/metrics`.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tracing::info;
use wukong_api::Reason;
use wukong_engine::facts::WukongSnapshotScheduleFact;

use crate::cluster::Cluster;
use crate::leader::Leadership;
use crate::metrics::{Metrics, Now, UNKNOWN};
use crate::watch::Waiting;

/// Longer than any reconcile: it makes a bounded number of requests, each with a deadline.
const STUCK: Duration = Duration::from_secs(600);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// State that the HTTP endpoints report.
#[derive(Clone, Debug)]
pub struct Health {
    /// Cache and queue.
    pub cluster: Arc<Cluster>,
    /// Kinds without an initial list yet.
    pub waiting: Waiting,
    /// Whether this replica is the leader.
    pub leadership: Leadership,
    /// Metrics.
    pub metrics: Metrics,
}

/// Serves until it is dropped. Returns once the address is bound.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: SocketAddr, health: Health) -> Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--health-address {address}"))?;
    info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let server = axum::serve(listener, router(health));
    Ok(async move {
        // The server stops only with the process.
        let _ = server.await;
    })
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn healthz(State(health): State<Health>) -> (StatusCode, String) {
    let cluster = &health.cluster;
    let longest = cluster.queue.longest_run();
    let longest = longest.max(cluster.schedules.longest_run());
    if longest < STUCK {
        (StatusCode::OK, "ok\n".into())
    } else {
        let seconds = longest.as_secs();
        let text = format!("a worker has been stuck for {seconds} s\n");
        (StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let kinds = health.waiting.kinds();
    if kinds.is_empty() {
        (StatusCode::OK, "ok\n".into())
    } else {
        let text = format!("waiting for the initial list of {}\n", kinds.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let text = health
        .metrics
        .render(now(&health.cluster, health.leadership.holds()));
    ([(CONTENT_TYPE, OPEN_METRICS)], text)
}

fn now(cluster: &Cluster, leads: bool) -> Now {
    let queue = &cluster.queue;
    let mut now = Now {
        leads,
        // On a standby replica, no Wukong waits.
        queue_depth: if leads { queue.depth() } else { 0 },
        queue_age: if leads {
            queue.longest_wait()
        } else {
            Duration::ZERO
        },
        ..Now::default()
    };
    for entry in cluster.wukongs().iter() {
        let phase = entry
            .wukong
            .phase
            .map_or(UNKNOWN.to_owned(), |phase| phase.to_string());
        *now.phases.entry(phase).or_default() += 1;
        if let Some(blocker) = &entry.wukong.blocker {
            // Unknown reasons share one series, so that a forged status cannot create many.
            let reason = Reason::from_str(blocker).ok();
            *now.blocked.entry(reason).or_default() += 1;
        }
    }
    for schedule in cluster.world().snapshot_schedules.iter() {
        *now.schedules.entry(state(schedule)).or_default() += 1;
    }
    now
}

/// The state of a schedule, and its reason.
fn state(schedule: &WukongSnapshotScheduleFact) -> (&'static str, Option<Reason>) {
    let suspended = schedule.spec.as_ref().and_then(|spec| spec.suspend);
    match &schedule.status.blocker {
        Some(blocker) => ("failing", Reason::from_str(&blocker.reason).ok()),
        None if suspended == Some(true) => ("suspended", Some(Reason::ScheduleSuspended)),
        None => ("active", Some(Reason::ScheduleActive)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde_json::json;

    use super::*;
    use crate::projection::Project;
    use crate::stored_wukong::StoredWukong;

    fn cluster() -> Cluster {
        let cluster = Cluster::default();
        for (name, status) in [
            ("new", json!({})),
            ("web", json!({"phase": "Running"})),
            (
                "db",
                json!({"phase": "Error", "blocker": blocker("ImportFailed")}),
            ),
            (
                "shop",
                json!({"phase": "Error", "blocker": blocker("ImportFailed")}),
            ),
            (
                "forged",
                json!({"phase": "Error", "blocker": blocker("db-7f9c4d")}),
            ),
        ] {
            cluster.wukong_updated(StoredWukong::project(json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
                "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"},
                "spec": {"cpu": 1, "memory": "1Gi"}, "status": status,
            })));
        }
        cluster
    }

    fn blocker(reason: &str) -> serde_json::Value {
        json!({"condition": "VolumesBound", "reason": reason, "message": "", "since": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn wukongs_are_counted_by_phase_and_by_known_reasons() {
        let now = now(&cluster(), true);
        let phases = [("Error", 3), ("Running", 1), (UNKNOWN, 1)];
        let phases = phases.map(|(phase, count)| (phase.to_owned(), count));
        assert_eq!(now.phases, BTreeMap::from(phases));
        let blocked = [(Some(Reason::ImportFailed), 2), (None, 1)];
        assert_eq!(now.blocked, HashMap::from(blocked));
        assert_eq!(now.queue_depth, 5);
    }

    #[test]
    fn a_standby_replica_reports_an_empty_queue() {
        let now = now(&cluster(), false);
        assert_eq!((now.queue_depth, now.leads), (0, false));
    }
}
