//! One request and its response: with a deadline, a bounded number at once, and only while this replica is the leader.
//!
//! There are no automatic retries: the next decision uses newer facts. Bodies contain user data and are never logged.

use std::time::{Duration, Instant};

use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, StatusCode};
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::write_error::WriteError;

/// Time limit of a request from its start to the last byte of the response, and of the wait before it.
pub const DEADLINE: Duration = Duration::from_secs(10);

pub(super) const JSON: &str = "application/json";

/// A request.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// Operation, for metrics.
    pub verb: &'static str,
    /// Kind of the object, for metrics.
    pub kind: &'a str,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub content_type: &'static str,
    pub accept: &'static str,
    /// Body; null for none.
    pub body: &'a Value,
}

/// A response.
pub(super) struct Answer {
    pub code: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Returns the object of a successful response (null if there is none).
    pub(super) fn success(self) -> Result<Value, WriteError> {
        if self.code.is_success() {
            // Some responses are empty, and those of subresources are not JSON.
            return Ok(serde_json::from_slice(&self.body).unwrap_or_default());
        }
        // Not every error is a Status: the response to an unknown path is plain text.
        let status: Status = serde_json::from_slice(&self.body).unwrap_or_default();
        let retry_after = self
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        Err(WriteError::from_answer(self.code, &status, retry_after))
    }

    /// Returns the body as text.
    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// Sends requests.
pub(super) struct Http {
    client: Client,
    in_flight: Semaphore,
    leadership: Leadership,
    metrics: Metrics,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(
        client: Client,
        max_in_flight: u16,
        leadership: Leadership,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            in_flight: Semaphore::new(max_in_flight.into()),
            leadership,
            metrics,
        }
    }

    /// Rejects further requests. Those that are under way continue.
    pub(super) fn close(&self) {
        self.in_flight.close();
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    /// If there is no response in time, if the wait for a free slot was too long, if this replica is not the leader, or after
    /// [`close`](Self::close).
    pub(super) async fn exchange(&self, exchange: Exchange<'_>) -> Result<Answer, WriteError> {
        let request = Request::builder()
            .method(&exchange.method)
            .uri(&exchange.path)
            .header(CONTENT_TYPE, exchange.content_type)
            .header(ACCEPT, exchange.accept)
            .body(Body::from(match exchange.body {
                Value::Null => Vec::new(),
                body => serde_json::to_vec(body).unwrap_or_default(),
            }))
            .map_err(|error| WriteError::outage(error.to_string()))?;
        // The wait for a free slot has the same limit as the request.
        let _permit = match timeout(DEADLINE, self.in_flight.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_closed)) => return Err(WriteError::outage("the operator is stopping")),
            Err(_) => {
                return Err(WriteError::outage(format!(
                    "no free request slot within {} s: the API server responds too slowly",
                    DEADLINE.as_secs()
                )));
            }
        };
        if !self.leadership.holds() {
            return Err(WriteError::outage("this replica is not the leader"));
        }
        let started = Instant::now();
        let answer = match timeout(DEADLINE, self.send(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(WriteError::outage(format!(
                "no response from the API server within {} s",
                DEADLINE.as_secs()
            ))),
        };
        let took = started.elapsed();
        let outcome = answer
            .as_ref()
            .map_or("none", |answer| outcome(answer.code));
        self.metrics
            .requested(exchange.verb, exchange.kind, outcome, took);
        debug!(
            verb = exchange.verb,
            path = exchange.path,
            outcome,
            ?took,
            "request"
        );
        answer
    }

    async fn send(&self, request: Request<Body>) -> Result<Answer, WriteError> {
        let unreachable = |error: kube::Error| {
            WriteError::outage(format!("cannot reach the API server: {error}"))
        };
        let response = self.client.send(request).await.map_err(unreachable)?;
        let (head, body) = response.into_parts();
        let body = body.collect_bytes().await.map_err(unreachable)?.to_vec();
        Ok(Answer {
            code: head.status,
            headers: head.headers,
            body,
        })
    }
}

fn outcome(code: StatusCode) -> &'static str {
    match code.as_u16() {
        200..300 => "ok",
        409 => "conflict",
        429 => "throttled",
        400..500 => "rejected",
        _ => "failed",
    }
}
