//! The objects of all runs, as one watch of each kind shows them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::resource::{self, Kind};

/// Name of an object of a namespace: kind and name.
pub(super) type Key = (Kind, String);

/// The objects of one namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Space {
    pub objects: BTreeMap<Key, Arc<Value>>,
    /// Uids of all objects that ever had a name.
    pub uids: BTreeMap<Key, BTreeSet<String>>,
}

/// The objects of all namespaces.
#[derive(Clone)]
pub(super) struct Observed {
    spaces: Arc<Mutex<HashMap<String, Space>>>,
    changed: watch::Receiver<()>,
    _watches: Arc<JoinSet<()>>,
}

impl Observed {
    /// Watches all kinds.
    pub(super) fn start(client: &Client) -> Self {
        let spaces = Arc::new(Mutex::new(HashMap::new()));
        let (sender, changed) = watch::channel(());
        let mut watches = JoinSet::new();
        for kind in Kind::ALL {
            let follow = follow(client.clone(), kind, Arc::clone(&spaces), sender.clone());
            watches.spawn(follow);
        }
        Self {
            spaces,
            changed,
            _watches: Arc::new(watches),
        }
    }

    /// The objects of a namespace now.
    pub(super) fn space(&self, namespace: &str) -> Space {
        lock(&self.spaces)
            .get(namespace)
            .cloned()
            .unwrap_or_default()
    }

    /// An object now.
    pub(super) fn get(&self, namespace: &str, key: &Key) -> Option<Arc<Value>> {
        lock(&self.spaces).get(namespace)?.objects.get(key).cloned()
    }

    /// Forgets a namespace.
    pub(super) fn forget(&self, namespace: &str) {
        lock(&self.spaces).remove(namespace);
    }

    /// Returns what `observe` finds as soon as it finds something.
    pub(super) async fn until<T>(&self, mut observe: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        loop {
            changed.borrow_and_update();
            if let Some(found) = observe(self) {
                return found;
            }
            // The watches, which hold the senders, end with this.
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

type Spaces = Arc<Mutex<HashMap<String, Space>>>;

fn lock(spaces: &Mutex<HashMap<String, Space>>) -> MutexGuard<'_, HashMap<String, Space>> {
    spaces.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(client: Client, kind: Kind, spaces: Spaces, changed: watch::Sender<()>) {
    let api: Api<DynamicObject> = Api::all_with(client, &resource::api_resource(kind));
    let mut events = watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) => keep(&spaces, kind, object),
            Ok(Event::Delete(object)) => drop_object(&spaces, kind, &object),
            Ok(Event::Init | Event::InitDone) | Err(_) => {}
        }
        changed.send_replace(());
    }
}

fn keep(spaces: &Spaces, kind: Kind, mut object: DynamicObject) {
    object.metadata.managed_fields = None;
    let metadata = &object.metadata;
    let key = (kind, metadata.name.clone().unwrap_or_default());
    let uid = metadata.uid.clone().unwrap_or_default();
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let Ok(value) = serde_json::to_value(object) else {
        return;
    };
    let mut spaces = lock(spaces);
    let space = spaces.entry(namespace).or_default();
    space.uids.entry(key.clone()).or_default().insert(uid);
    space.objects.insert(key, Arc::new(value));
}

fn drop_object(spaces: &Spaces, kind: Kind, object: &DynamicObject) {
    let key = (kind, object.metadata.name.clone().unwrap_or_default());
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(space) = lock(spaces).get_mut(namespace) {
        space.objects.remove(&key);
    }
}
