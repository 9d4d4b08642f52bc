//! Shares the queries of pods and events among the Wukongs of a namespace that wait.
//!
//! Each namespace is queried at most once in ten seconds, whatever the number of Wukongs that wait there. A Wukong gets a
//! result that is not older than the time at which its query was due: otherwise it waits for the next one.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use wukong_engine::Store;
use wukong_engine::facts::PodFact;
use wukong_engine::related::{Children, RelatedNames};

use crate::port::{Found, Port, Query, Subject};

/// Shortest time between the starts of two queries of one namespace.
const INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of concurrent queries.
const AT_ONCE: usize = 2;
/// Pause of a Wukong while its namespace is queried, or others are.
const BUSY: Duration = Duration::from_secs(1);

/// The queries of all namespaces.
pub struct Queries {
    port: Arc<dyn Port>,
    namespaces: parking_lot::Mutex<HashMap<String, Arc<Mutex<Namespace>>>>,
    /// The pods of provisioners in all namespaces.
    provisioners: Mutex<Option<(Instant, Store<PodFact>)>>,
    running: Semaphore,
}

#[derive(Default)]
struct Namespace {
    last: Option<Queried>,
    /// VMs that wait for the next query.
    next: BTreeSet<String>,
}

/// Result of a query.
struct Queried {
    at: Instant,
    /// VMs of which the pods were queried.
    vms: BTreeSet<String>,
    found: Found,
}

/// The Wukong that a query is for.
pub struct Asked<'a> {
    /// The Wukong.
    pub subject: &'a Subject,
    /// Its related objects.
    pub related: &'a RelatedNames,
    /// Whether its VM exists, and so may have pods.
    pub has_vm: bool,
    /// When its query was due.
    pub due: Instant,
}

impl Queries {
    /// Creates queries through `port`.
    pub fn new(port: Arc<dyn Port>) -> Self {
        Self {
            port,
            namespaces: parking_lot::Mutex::default(),
            provisioners: Mutex::default(),
            running: Semaphore::new(AT_ONCE),
        }
    }

    /// Returns the pods and events of a Wukong, and when they were queried.
    ///
    /// # Errors
    /// If it has to wait for another query, returns the pause before the next attempt.
    pub async fn children(&self, asked: &Asked<'_>) -> Result<(Children, Instant), Duration> {
        let namespace = self.namespace(&asked.subject.namespace);
        let mut namespace = namespace.try_lock().map_err(|_| BUSY)?;
        if let Some(last) = &namespace.last
            && !last.serves(asked)
            && last.at.elapsed() < INTERVAL
        {
            let pause = INTERVAL.saturating_sub(last.at.elapsed());
            if asked.has_vm {
                namespace.next.insert(asked.subject.name.clone());
            }
            return Err(pause);
        }
        let provisioners = match asked.related.waits_for_provisioner() {
            true => self.provisioners().await?,
            false => Store::default(),
        };
        if !namespace
            .last
            .as_ref()
            .is_some_and(|last| last.serves(asked))
        {
            let _permit = self.running.try_acquire().map_err(|_| BUSY)?;
            let own = asked.has_vm.then(|| asked.subject.name.clone());
            let vms: BTreeSet<String> = std::mem::take(&mut namespace.next)
                .into_iter()
                .chain(own)
                .collect();
            let query = Query {
                namespace: asked.subject.namespace.clone(),
                vms: vms.iter().cloned().collect(),
            };
            let at = Instant::now();
            let found = self.port.query(&query).await;
            namespace.last = Some(Queried { at, vms, found });
        }
        let last = namespace.last.as_ref().ok_or(BUSY)?;
        let children = Children {
            provisioners,
            ..last.found.of(asked.subject, asked.related)
        };
        Ok((children, last.at))
    }

    /// Returns the state of a namespace, and discards the results that no Wukong needs any more.
    fn namespace(&self, name: &str) -> Arc<Mutex<Namespace>> {
        let mut namespaces = self.namespaces.lock();
        namespaces.retain(|_, namespace| match namespace.try_lock() {
            Ok(namespace) => {
                let last = namespace.last.as_ref();
                last.is_some_and(|last| last.at.elapsed() < 2 * INTERVAL)
            }
            Err(_) => true,
        });
        Arc::clone(namespaces.entry(name.to_owned()).or_default())
    }

    /// Returns the pods of provisioners. These change rarely, so a result serves for a whole interval.
    async fn provisioners(&self) -> Result<Store<PodFact>, Duration> {
        let mut known = self.provisioners.try_lock().map_err(|_| BUSY)?;
        if let Some((at, pods)) = &*known
            && at.elapsed() < INTERVAL
        {
            return Ok(pods.clone());
        }
        let at = Instant::now();
        let pods = self.port.provisioners().await;
        *known = Some((at, pods.clone()));
        Ok(pods)
    }
}

impl Queried {
    /// Whether the result has the pods of this Wukong, and none of it is too old.
    fn serves(&self, asked: &Asked) -> bool {
        self.at >= asked.due && (!asked.has_vm || self.vms.contains(&asked.subject.name))
    }
}
