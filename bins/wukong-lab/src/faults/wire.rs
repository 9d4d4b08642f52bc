//! The wire between one operator and the API server: a layer of its client that names and counts every request, and injects
//! faults.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use http::header::RETRY_AFTER;
use http::{Request, Response};
use kube::Client;
use kube::client::DynBody;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;
use tower::{BoxError, Layer, Service};

use super::fault::{At, Fault, Kind};
use super::stale;
use super::target::{self, Target};
use crate::value::at;

/// How late the events of watches are.
const LATE: Duration = Duration::from_secs(2);
/// How long a new process has only old lists.
const STALE: Duration = Duration::from_secs(2);

/// Writes of a Lease that count as requests of a run.
const RENEWALS: u32 = 3;
const MULTUS: &str = "network-attachment-definitions.k8s.cni.cncf.io";

type Answer = Result<Response<Body>, BoxError>;

/// The wire of one operator. It outlives the processes of the operator.
#[derive(Clone)]
pub(super) struct Wire(Arc<Shared>);

struct Shared {
    namespace: String,
    /// Sends requests of the wire itself.
    plain: Client,
    state: Mutex<State>,
    crash: Notify,
    /// Whether the operator does not see the CRD of Multus.
    multus_hidden: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    seen: HashMap<String, u32>,
    trace: Vec<At>,
    planned: Vec<Fault>,
    injected: Vec<Fault>,
    /// Whether the process has crashed and no other runs yet.
    dead: bool,
    last_request: Option<Instant>,
    late_until: Option<Instant>,
    /// Version of the lists that a new process gets, and until when.
    stale: Option<(String, Instant)>,
    /// The CRD of Multus, as a watch showed it last.
    multus: Option<Value>,
}

/// What happens to a request.
enum Fate {
    Forwarded,
    Never,
    Faulty(Kind),
}

impl Wire {
    /// A wire of an operator that works in one namespace, with these faults.
    pub(super) fn new(namespace: &str, plain: Client, planned: Vec<Fault>) -> Self {
        let state = State {
            planned,
            ..State::default()
        };
        Self(Arc::new(Shared {
            namespace: namespace.to_owned(),
            plain,
            state: Mutex::new(state),
            crash: Notify::new(),
            multus_hidden: watch::Sender::new(false),
        }))
    }

    /// Returns when the process has to crash.
    pub(super) async fn crashed(&self) {
        self.0.crash.notified().await;
    }

    /// A new process begins.
    pub(super) fn revive(&self) {
        self.state().dead = false;
    }

    /// Hides the CRD of Multus from the operator, or shows it again.
    pub(super) fn hide_multus(&self, hidden: bool) {
        self.0.multus_hidden.send_replace(hidden);
    }

    /// The faults that were injected.
    pub(super) fn injected(&self) -> Vec<Fault> {
        self.state().injected.clone()
    }

    /// All requests in their order.
    pub(super) fn trace(&self) -> Vec<At> {
        self.state().trace.clone()
    }

    /// Time since the last request that was not the start of a watch.
    pub(super) fn idle(&self) -> Duration {
        let last = self.state().last_request;
        last.map_or(Duration::MAX, |last| last.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and decides what happens to it.
    fn admit(&self, target: &Target) -> Fate {
        let mut state = self.state();
        if state.dead {
            return Fate::Never;
        }
        let object = target.object.replace(&self.0.namespace, "NAMESPACE");
        let request = format!("{} {object}", target.verb);
        let number = state.seen.entry(request.clone()).or_default();
        *number += 1;
        let at = At {
            request,
            number: *number,
        };
        let lease = target.object.starts_with("leases");
        if target.verb != "watch" && !lease {
            state.last_request = Some(Instant::now());
        }
        // A Lease is renewed for as long as a run takes.
        if !lease || at.number <= RENEWALS {
            state.trace.push(at.clone());
        }
        let Some(place) = state.planned.iter().position(|fault| fault.at == at) else {
            return Fate::Forwarded;
        };
        let fault = state.planned.remove(place);
        let kind = fault.kind;
        state.injected.push(fault);
        if kind == Kind::Lag {
            state.late_until = Some(Instant::now() + LATE);
        }
        Fate::Faulty(kind)
    }

    fn crash(&self) {
        let mut state = self.state();
        state.dead = true;
        drop(state);
        self.0.crash.notify_one();
    }

    /// The version of the lists that a watch has to begin with, if it begins with a list and that has to be old.
    fn stale(
        &self,
        target: &Target,
        request: &Request<kube::client::Body>,
    ) -> Option<(String, Instant)> {
        let begins = request
            .uri()
            .query()
            .unwrap_or_default()
            .contains("sendInitialEvents=true");
        if target.verb != "watch" || !target.of_namespace || !begins {
            return None;
        }
        let stale = self.state().stale.clone();
        stale.filter(|(_, until)| *until > Instant::now())
    }

    /// Delays what watches receive while they are late.
    fn delayed(&self, body: Body) -> Body {
        let wire = self.clone();
        let chunks = body.into_data_stream().then(move |chunk| {
            let until = wire.state().late_until;
            async move {
                if let Some(until) = until {
                    sleep_until(until).await;
                }
                chunk
            }
        });
        Body::from_stream(chunks)
    }

    /// Leaves the CRD of Multus out of a watch of CRDs while it is hidden.
    fn without_hidden(&self, body: Body) -> Body {
        let bytes = body.into_data_stream().map_err(io::Error::other);
        let lines = FramedRead::new(StreamReader::new(bytes), LinesCodec::new());
        let start = (self.clone(), lines, self.0.multus_hidden.subscribe());
        let events = stream::unfold(start, |(wire, mut lines, mut hidden)| async move {
            loop {
                let line = tokio::select! {
                    line = lines.next() => match line? {
                        Ok(line) => wire.shown(line, *hidden.borrow_and_update()),
                        Err(error) => Some(Err(io::Error::other(error))),
                    },
                    Ok(()) = hidden.changed() => wire.switched(*hidden.borrow_and_update()),
                };
                if let Some(line) = line {
                    return Some((line, (wire, lines, hidden)));
                }
            }
        });
        Body::from_stream(events)
    }

    /// An event of a watch of CRDs, unless it is about a hidden one.
    fn shown(&self, line: String, hidden: bool) -> Option<io::Result<String>> {
        let mut event: Value = serde_json::from_str(&line).unwrap_or_default();
        if at(&event, "/object/metadata/name") == MULTUS {
            self.state().multus = event.get_mut("object").map(Value::take);
            if hidden {
                return None;
            }
        }
        Some(Ok(line + "\n"))
    }

    /// The event that a watch of CRDs gets when the CRD of Multus is hidden or shown.
    fn switched(&self, hidden: bool) -> Option<io::Result<String>> {
        let object = self.state().multus.clone()?;
        let type_ = if hidden { "DELETED" } else { "ADDED" };
        let event = json!({"type": type_, "object": object});
        Some(Ok(format!("{event}\n")))
    }

    async fn faulty(
        self,
        kind: Kind,
        target: Target,
        forwarded: BoxFuture<'static, Answer>,
    ) -> Answer {
        match kind {
            Kind::CrashBefore => {
                self.crash();
                never().await
            }
            Kind::CrashAfter => {
                executed(forwarded).await?;
                self.crash();
                never().await
            }
            Kind::CrashStale => {
                let version = stale::version(&self.0.plain, &self.0.namespace).await?;
                executed(forwarded).await?;
                self.state().stale = Some((version, Instant::now() + STALE));
                self.crash();
                never().await
            }
            Kind::Lost => {
                executed(forwarded).await?;
                Err(broken().into())
            }
            Kind::Reset if target.verb == "watch" => {
                let (head, body) = forwarded.await?.into_parts();
                let first = body.into_data_stream().take(1).map_err(BoxError::from);
                let end = stream::once(async { Err(BoxError::from(broken())) });
                Ok(Response::from_parts(
                    head,
                    Body::from_stream(first.chain(end)),
                ))
            }
            Kind::Reset => {
                let (head, body) = executed(forwarded).await?.into_parts();
                let body = to_bytes(body, usize::MAX).await?;
                let half = body.slice(..body.len() / 2);
                let chunks = stream::iter([Ok(half), Err(broken())]);
                Ok(Response::from_parts(head, Body::from_stream(chunks)))
            }
            Kind::Conflict => failure(
                StatusCode::CONFLICT,
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            Kind::Throttled => {
                let mut answer = failure(
                    StatusCode::TOO_MANY_REQUESTS,
                    "TooManyRequests",
                    "too many requests, please try again later",
                )?;
                answer
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
                Ok(answer)
            }
            Kind::Internal => failure(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "Internal error occurred: etcdserver: leader changed",
            ),
            Kind::Unavailable => failure(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            ),
            Kind::GatewayTimeout => failure(
                StatusCode::GATEWAY_TIMEOUT,
                "Timeout",
                "request did not complete within the allotted timeout",
            ),
            Kind::Expired => failure(StatusCode::GONE, "Expired", "too old resource version"),
            Kind::Hang => never().await,
            Kind::Lag => forwarded.await,
        }
    }
}

/// Awaits the whole response, so that the API server has executed the request.
async fn executed(forwarded: BoxFuture<'static, Answer>) -> Answer {
    let (head, body) = forwarded.await?.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(Response::from_parts(head, Body::from(body)))
}

async fn never() -> Answer {
    std::future::pending().await
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionReset,
        "connection reset (injected)",
    )
}

/// A response with a `Status`, as the API server sends it.
fn failure(code: StatusCode, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let answer = Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Body::from(status.to_string()))?;
    Ok(answer)
}

impl<S> Layer<S> for Wire {
    type Service = Wired<S>;

    fn layer(&self, inner: S) -> Wired<S> {
        Wired {
            wire: self.clone(),
            inner,
        }
    }
}

/// A client's service behind a [`Wire`].
pub(super) struct Wired<S> {
    wire: Wire,
    inner: S,
}

impl<S> Service<Request<kube::client::Body>> for Wired<S>
where
    S: Service<Request<kube::client::Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<kube::client::Body>) -> Self::Future {
        let target = target::target(request.method(), request.uri());
        let namespace = &self.wire.0.namespace;
        if let Some(uri) = target::restricted(request.uri(), namespace) {
            *request.uri_mut() = uri;
        }
        let Some(target) = target else {
            let forwarded = self.inner.call(request);
            return async { Ok(forwarded.await?.map(Body::new)) }.boxed();
        };
        let fate = self.wire.admit(&target);
        let wire = self.wire.clone();
        let forwarded = match wire.stale(&target, &request) {
            Some((version, until)) => {
                let (plain, uri) = (wire.0.plain.clone(), request.uri().clone());
                async move { Ok(stale::watch(plain, &uri, &version, until).await?) }.boxed()
            }
            None => {
                let forwarded = self.inner.call(request);
                async { Ok(forwarded.await?.map(Body::new)) }.boxed()
            }
        };
        let watches = target.verb == "watch";
        let crds = watches && target.object == "customresourcedefinitions";
        async move {
            let answer = match fate {
                Fate::Forwarded => forwarded.await,
                Fate::Never => never().await,
                Fate::Faulty(kind) => wire.clone().faulty(kind, target, forwarded).await,
            };
            let answer = match crds {
                true => answer?.map(|body| wire.without_hidden(body)),
                false => answer?,
            };
            Ok(match watches {
                true => answer.map(|body| wire.delayed(body)),
                false => answer,
            })
        }
        .boxed()
    }
}
