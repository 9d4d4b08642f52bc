//! `/healthz`, `/readyz` and `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
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

use crate::cluster::Cluster;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::watch::Waiting;

/// No look at a Wukong takes that long: it makes a bounded number of requests, each with a deadline.
const STUCK: Duration = Duration::from_secs(600);
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is told about this process.
#[derive(Clone, Debug)]
pub struct Health {
    /// What is known and waits to be looked at.
    pub cluster: Arc<Cluster>,
    /// Kinds of which nothing is known yet.
    pub waiting: Waiting,
    /// Whether this replica leads.
    pub leadership: Leadership,
    /// What was counted.
    pub metrics: Metrics,
}

/// Serves until it is dropped. Returns once the address is bound.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(address: SocketAddr, health: Health) -> Result<impl Future<Output = ()>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--health-address {address}"))?;
    info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let server = axum::serve(listener, router(health));
    Ok(async move {
        // It ends only with the process.
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
    let longest = health.cluster.queue.longest_run();
    if longest < STUCK {
        (StatusCode::OK, "ok\n".into())
    } else {
        let seconds = longest.as_secs();
        let text = format!("a worker is stuck for {seconds} s\n");
        (StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    let kinds = health.waiting.kinds();
    if kinds.is_empty() {
        (StatusCode::OK, "ok\n".into())
    } else {
        let text = format!("nothing is known yet of {}\n", kinds.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text)
    }
}

async fn metrics(State(health): State<Health>) -> impl IntoResponse {
    let mut phases: BTreeMap<String, usize> = BTreeMap::new();
    for entry in health.cluster.wukongs().iter() {
        let phase = entry.wukong.status().and_then(|status| status.phase);
        let phase = phase.map_or_else(|| "Unknown".to_owned(), |phase| phase.to_string());
        *phases.entry(phase).or_default() += 1;
    }
    let depth = health.cluster.queue.depth();
    let text = health
        .metrics
        .render(health.leadership.holds(), depth, phases);
    ([(CONTENT_TYPE, OPEN_METRICS)], text)
}
