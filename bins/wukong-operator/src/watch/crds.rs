//! Watch of the CustomResourceDefinitions (metadata only), which shows the kinds that the cluster serves.

use std::collections::HashMap;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::stream::{CONFIRMED_AFTER, FORBIDDEN, Failure, RETRY, config};

type Crd = PartialObjectMeta<CustomResourceDefinition>;

/// State of one CRD.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum CrdState {
    /// Not observed yet.
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists, with this resource version.
    Present(String),
    /// The operator has no permission to read CRDs.
    Hidden,
}

/// States of all CRDs.
#[derive(Clone, Debug)]
pub(super) struct CrdStates(watch::Receiver<Known>);

#[derive(Debug)]
enum Known {
    Unknown,
    Hidden,
    /// Resource version by name.
    Listed(HashMap<String, String>),
}

impl CrdStates {
    /// Returns the state of a CRD.
    pub(super) fn get(&self, name: &str) -> CrdState {
        match &*self.0.borrow() {
            Known::Unknown => CrdState::Unknown,
            Known::Hidden => CrdState::Hidden,
            Known::Listed(versions) => versions.get(name).map_or(CrdState::Absent, |version| {
                CrdState::Present(version.clone())
            }),
        }
    }

    /// Returns once the state of a CRD differs from `known`.
    pub(super) async fn changed(&mut self, name: &str, known: &CrdState) {
        while self.get(name) == *known {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Watches all CRDs. The future never completes.
pub(super) fn watch(client: Client) -> (CrdStates, impl Future<Output = ()>) {
    let (sender, receiver) = watch::channel(Known::Unknown);
    (CrdStates(receiver), run(client, sender))
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
                    match Failure::of(&error) {
                        Failure::NoStreaming => {
                            streaming = false;
                            break;
                        }
                        Failure::Forbidden if since.elapsed() >= CONFIRMED_AFTER => {
                            warn!(
                                "not permitted to watch CustomResourceDefinitions: trying each kind instead"
                            );
                            known.send_replace(Known::Hidden);
                            sleep(FORBIDDEN.pause(attempts)).await;
                            break;
                        }
                        _ => {
                            debug!(%error, "watch of CustomResourceDefinitions failed");
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

/// Records a CRD. One that is being deleted counts as absent: it accepts no objects and deletes the existing ones.
fn note(versions: &mut HashMap<String, String>, crd: &Crd) {
    if crd.metadata.deletion_timestamp.is_some() {
        versions.remove(&crd.name_any());
    } else {
        versions.insert(crd.name_any(), crd.resource_version().unwrap_or_default());
    }
}
