//! Which kinds the cluster has, told by a watch of its CustomResourceDefinitions (their metadata only).

use std::collections::HashMap;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::stream::{BELIEVED, FORBIDDEN, RETRY, Trouble, config};

type Crd = PartialObjectMeta<CustomResourceDefinition>;

/// What is known of one definition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Definition {
    /// Nothing yet.
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists, in this version.
    Present(String),
    /// We may not see definitions.
    Hidden,
}

/// What is known of all definitions.
#[derive(Clone, Debug)]
pub(super) struct Definitions(watch::Receiver<Known>);

#[derive(Debug)]
enum Known {
    Unknown,
    Hidden,
    /// Version by name.
    Listed(HashMap<String, String>),
}

impl Definitions {
    /// What is known of a definition.
    pub(super) fn get(&self, name: &str) -> Definition {
        match &*self.0.borrow() {
            Known::Unknown => Definition::Unknown,
            Known::Hidden => Definition::Hidden,
            Known::Listed(versions) => versions.get(name).map_or(Definition::Absent, |version| {
                Definition::Present(version.clone())
            }),
        }
    }

    /// Returns once something else than `known` is known of a definition.
    pub(super) async fn changed(&mut self, name: &str, known: &Definition) {
        while self.get(name) == *known {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Watches all definitions. The future never ends.
pub(super) fn watch(client: Client) -> (Definitions, impl Future<Output = ()>) {
    let (sender, receiver) = watch::channel(Known::Unknown);
    (Definitions(receiver), run(client, sender))
}

async fn run(client: Client, known: watch::Sender<Known>) {
    let api: Api<Crd> = Api::all(client);
    let mut streaming = true;
    loop {
        let mut events = watcher(api.clone(), config(streaming, None, None)).boxed();
        let mut list = HashMap::new();
        let mut attempts = 0;
        let mut failing_since = None;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    attempts += 1;
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    match Trouble::of(&error) {
                        Trouble::NoStreaming => {
                            streaming = false;
                            break;
                        }
                        Trouble::Forbidden if since.elapsed() >= BELIEVED => {
                            warn!(
                                "not allowed to watch CustomResourceDefinitions: each kind is tried instead"
                            );
                            known.send_replace(Known::Hidden);
                            sleep(FORBIDDEN.pause(attempts)).await;
                            break;
                        }
                        _ => {
                            debug!(%error, "the watch of CustomResourceDefinitions failed");
                            sleep(RETRY.pause(attempts)).await;
                            continue;
                        }
                    }
                }
            };
            attempts = 0;
            failing_since = None;
            match event {
                Event::Init => list.clear(),
                Event::InitApply(crd) => note(&mut list, &crd),
                Event::InitDone => {
                    known.send_replace(Known::Listed(std::mem::take(&mut list)));
                }
                Event::Apply(crd) => known.send_modify(|known| {
                    if let Known::Listed(versions) = known {
                        note(versions, &crd);
                    }
                }),
                Event::Delete(crd) => known.send_modify(|known| {
                    if let Known::Listed(versions) = known {
                        versions.remove(&crd.name_any());
                    }
                }),
            }
        }
    }
}

/// A definition that is being deleted takes no new objects, and those that there are go with it.
fn note(versions: &mut HashMap<String, String>, crd: &Crd) {
    if crd.metadata.deletion_timestamp.is_some() {
        versions.remove(&crd.name_any());
    } else {
        versions.insert(crd.name_any(), crd.resource_version().unwrap_or_default());
    }
}
