//! Watch of one kind while the API server serves it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::core::ApiResource;
use kube::runtime::watcher::{Error, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};
use wukong_engine::Presence;

use super::crds::{CrdState, CrdStates};
use super::stream::{CONFIRMED_AFTER, FORBIDDEN, Failure, RETRY, config};
use crate::metrics::Metrics;
use crate::projection::WatchedObject;

/// Time in which a kind that has a CRD but is not served is retried: the API server needs time to establish the CRD.
const ESTABLISHING: Duration = Duration::from_secs(60);

/// Receiver of the events of a watch.
pub(super) trait Sink: Send {
    /// Receives an event.
    fn take(&mut self, event: Event<Value>);
    /// Records that the kind is not served or not readable.
    fn unavailable(&mut self, presence: Presence);
}

/// Watch of one kind.
pub(super) struct KindWatch {
    pub client: Client,
    pub resource: ApiResource,
    /// Name of the CRD of a custom kind; `None` for built-in kinds.
    pub crd: Option<String>,
    pub crds: CrdStates,
    /// Label selector; `None` for all objects.
    pub selector: Option<String>,
    /// Field selector; `None` for all objects.
    pub fields: Option<String>,
    pub sink: Box<dyn Sink>,
    pub metrics: Metrics,
    /// Kinds without an initial list yet.
    pub waiting: Arc<watch::Sender<BTreeSet<String>>>,
}

impl KindWatch {
    /// Runs the watch. Never returns.
    pub(super) async fn run(mut self) {
        let Some(name) = self.crd.clone() else {
            return self.follow().await;
        };
        let mut crds = self.crds.clone();
        loop {
            let known = crds.get(&name);
            match known {
                CrdState::Present(_) | CrdState::Hidden => {
                    let mut crds = crds.clone();
                    let absent = async {
                        loop {
                            match crds.get(&name) {
                                CrdState::Absent => return,
                                known => crds.changed(&name, &known).await,
                            }
                        }
                    };
                    tokio::select! {
                        () = self.follow() => {}
                        () = absent => info!(kind = self.resource.kind, "the CRD of this kind was removed"),
                    }
                    continue;
                }
                CrdState::Absent => self.unavailable(Presence::Missing),
                CrdState::Unknown => {}
            }
            crds.changed(&name, &known).await;
        }
    }

    /// Watches the kind. Never returns.
    async fn follow(&mut self) {
        let api: Api<WatchedObject> = Api::all_with(self.client.clone(), &self.resource);
        let mut streaming = true;
        let mut failing: Option<Failing> = None;
        loop {
            let mut events = watcher(
                api.clone(),
                config(streaming, self.selector.as_deref(), self.fields.as_deref()),
            )
            .boxed();
            while let Some(event) = events.next().await {
                let error = match event {
                    Ok(event) => {
                        failing = None;
                        self.take(event);
                        continue;
                    }
                    Err(error) => error,
                };
                let failure = Failure::of(&error);
                if failure == Failure::NoStreaming {
                    streaming = false;
                    break;
                }
                let known = self.known();
                let failing = failing.get_or_insert_with(|| Failing::now(known));
                failing.attempts += 1;
                self.report(&error, failing.attempts);
                match failure {
                    Failure::NotServed if failing.lasts() => {
                        self.unavailable(Presence::Missing);
                        self.wait_to_retry(failing).await;
                        break;
                    }
                    Failure::Forbidden if failing.lasts() => {
                        let needed = match streaming {
                            true => "watch",
                            false => "list, which this API server requires (deploy/lists)",
                        };
                        warn!(
                            kind = self.resource.kind,
                            "not permitted to {needed} this kind: features that need it are disabled"
                        );
                        self.unavailable(Presence::Forbidden);
                        sleep(FORBIDDEN.pause(failing.attempts)).await;
                        break;
                    }
                    _ => sleep(RETRY.pause(failing.attempts)).await,
                }
            }
        }
    }

    fn take(&mut self, event: Event<WatchedObject>) {
        let event = match event {
            Event::Init => Event::Init,
            Event::InitApply(watched) => Event::InitApply(watched.object),
            Event::InitDone => Event::InitDone,
            Event::Apply(watched) => Event::Apply(watched.object),
            Event::Delete(watched) => Event::Delete(watched.object),
        };
        let listed = matches!(event, Event::InitDone);
        if !matches!(event, Event::Init | Event::InitDone) {
            self.metrics.watched(&self.resource.kind);
        }
        self.sink.take(event);
        if listed {
            self.mark_listed();
        }
    }

    fn unavailable(&mut self, presence: Presence) {
        self.sink.unavailable(presence);
        self.mark_listed();
    }

    fn mark_listed(&self) {
        self.waiting
            .send_if_modified(|kinds| kinds.remove(&self.resource.kind));
    }

    fn report(&self, error: &Error, attempts: u32) {
        let kind = &self.resource.kind;
        self.metrics.watch_failed(kind);
        if attempts == 1 && Failure::of(error) == Failure::Transient {
            warn!(kind, %error, "watch failed, retrying");
        } else {
            debug!(kind, %error, "watch failed");
        }
    }

    fn known(&self) -> CrdState {
        match &self.crd {
            Some(name) => self.crds.get(name),
            None => CrdState::Hidden,
        }
    }

    /// Waits before the next attempt for a kind that is not served: briefly while its CRD is new, otherwise until the CRD
    /// changes. So the operator sends no requests while nothing changes.
    async fn wait_to_retry(&mut self, failing: &mut Failing) {
        let soon = async {
            if failing.crd == CrdState::Hidden {
                sleep(FORBIDDEN.pause(failing.attempts)).await;
            } else if failing.since.elapsed() < ESTABLISHING {
                sleep(RETRY.pause(failing.attempts)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let changed = async {
            match &self.crd {
                Some(name) => self.crds.changed(name, &failing.crd).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = soon => {}
            () = changed => *failing = Failing::now(self.known()),
        }
    }
}

/// Repeated failures of a watch.
struct Failing {
    since: Instant,
    attempts: u32,
    /// State of the CRD at the first failure.
    crd: CrdState,
}

impl Failing {
    fn now(crd: CrdState) -> Self {
        Self {
            since: Instant::now(),
            attempts: 0,
            crd,
        }
    }

    fn lasts(&self) -> bool {
        self.since.elapsed() >= CONFIRMED_AFTER
    }
}
