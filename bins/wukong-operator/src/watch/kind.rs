//! The watch of one kind, as long as the API server serves it.

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

use super::crds::{Definition, Definitions};
use super::stream::{BELIEVED, FORBIDDEN, RETRY, Trouble, config};
use crate::metrics::Metrics;
use crate::projection::WatchedObject;

/// How long a kind is tried that has a definition but is not served: until the API server has taken the definition in.
const ESTABLISHING: Duration = Duration::from_secs(60);

/// Where the objects of a watch go.
pub(super) trait Sink: Send {
    /// Takes what a watch tells.
    fn take(&mut self, event: Event<Value>);
    /// There are no objects to see.
    fn unseen(&mut self, presence: Presence);
}

/// The watch of one kind.
pub(super) struct KindWatch {
    pub client: Client,
    pub resource: ApiResource,
    /// The definition of a custom kind; the others are always there.
    pub definition: Option<String>,
    pub definitions: Definitions,
    /// Labels of the objects that matter; `None`: all do.
    pub selector: Option<&'static str>,
    /// Fields of the objects that matter; `None`: all do.
    pub fields: Option<String>,
    pub sink: Box<dyn Sink>,
    pub metrics: Metrics,
    /// Kinds of which nothing is known yet.
    pub waiting: Arc<watch::Sender<BTreeSet<String>>>,
}

impl KindWatch {
    /// Never ends.
    pub(super) async fn run(mut self) {
        let Some(name) = self.definition.clone() else {
            return self.follow().await;
        };
        let mut definitions = self.definitions.clone();
        loop {
            let known = definitions.get(&name);
            match known {
                Definition::Present(_) | Definition::Hidden => {
                    let mut definitions = definitions.clone();
                    let absent = async {
                        loop {
                            match definitions.get(&name) {
                                Definition::Absent => return,
                                known => definitions.changed(&name, &known).await,
                            }
                        }
                    };
                    tokio::select! {
                        () = self.follow() => {}
                        () = absent => info!(kind = self.resource.kind, "the kind was removed"),
                    }
                    continue;
                }
                Definition::Absent => self.unseen(Presence::Missing),
                Definition::Unknown => {}
            }
            definitions.changed(&name, &known).await;
        }
    }

    /// Watches the kind; never ends.
    async fn follow(&mut self) {
        let api: Api<WatchedObject> = Api::all_with(self.client.clone(), &self.resource);
        let mut streaming = true;
        let mut failing: Option<Failing> = None;
        loop {
            let mut events = watcher(
                api.clone(),
                config(streaming, self.selector, self.fields.as_deref()),
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
                let trouble = Trouble::of(&error);
                if trouble == Trouble::NoStreaming {
                    streaming = false;
                    break;
                }
                let known = self.known();
                let failing = failing.get_or_insert_with(|| Failing::now(known));
                failing.attempts += 1;
                self.report(&error, failing.attempts);
                match trouble {
                    Trouble::NotServed if failing.lasts() => {
                        self.unseen(Presence::Missing);
                        self.worth_a_try(failing).await;
                        break;
                    }
                    Trouble::Forbidden if failing.lasts() => {
                        let needed = match streaming {
                            true => "watch",
                            false => "list, as this API server asks for (deploy/lists)",
                        };
                        warn!(
                            kind = self.resource.kind,
                            "not allowed to {needed}: what depends on it is not done"
                        );
                        self.unseen(Presence::Forbidden);
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
            self.told();
        }
    }

    fn unseen(&mut self, presence: Presence) {
        self.sink.unseen(presence);
        self.told();
    }

    fn told(&self) {
        self.waiting
            .send_if_modified(|kinds| kinds.remove(&self.resource.kind));
    }

    fn report(&self, error: &Error, attempts: u32) {
        let kind = &self.resource.kind;
        self.metrics.watch_failed(kind);
        if attempts == 1 && Trouble::of(error) == Trouble::Passing {
            warn!(kind, %error, "a watch failed; it is tried again");
        } else {
            debug!(kind, %error, "a watch failed");
        }
    }

    fn known(&self) -> Definition {
        match &self.definition {
            Some(name) => self.definitions.get(name),
            None => Definition::Hidden,
        }
    }

    /// Waits until a kind that is not served is worth another try: soon while its definition is new, else when the
    /// definition changes. So nothing is asked while nothing happens.
    async fn worth_a_try(&mut self, failing: &mut Failing) {
        let soon = async {
            if failing.definition == Definition::Hidden {
                sleep(FORBIDDEN.pause(failing.attempts)).await;
            } else if failing.since.elapsed() < ESTABLISHING {
                sleep(RETRY.pause(failing.attempts)).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        let changed = async {
            match &self.definition {
                Some(name) => self.definitions.changed(name, &failing.definition).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = soon => {}
            () = changed => *failing = Failing::now(self.known()),
        }
    }
}

/// A watch that fails time after time.
struct Failing {
    since: Instant,
    attempts: u32,
    /// What was known of the kind's definition then.
    definition: Definition,
}

impl Failing {
    fn now(definition: Definition) -> Self {
        Self {
            since: Instant::now(),
            attempts: 0,
            definition,
        }
    }

    fn lasts(&self) -> bool {
        self.since.elapsed() >= BELIEVED
    }
}
