//! Tests of watches against a simulated API server for two kinds.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use futures::{StreamExt, stream};
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::timeout;
use wukong_engine::World;

use super::*;

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const VMS: &str = "/apis/kubevirt.io/v1/virtualmachines";
const VM_CRD: &str = "virtualmachines.kubevirt.io";

/// A simulated API server: collections by path, and their watch events.
struct Server {
    objects: Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
    events: broadcast::Sender<(String, String)>,
    streaming: bool,
    forbidden: Mutex<bool>,
    requests: Mutex<Vec<String>>,
    version: AtomicU64,
}

impl Server {
    fn new(streaming: bool) -> Arc<Self> {
        Arc::new(Self {
            objects: Mutex::new(BTreeMap::from([(CRDS.to_owned(), BTreeMap::new())])),
            events: broadcast::channel(64).0,
            streaming,
            forbidden: Mutex::new(false),
            requests: Mutex::default(),
            version: AtomicU64::new(7),
        })
    }

    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let answer = server.answer(request.uri());
            async move { Ok::<_, Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    fn next_version(&self) -> String {
        self.version.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Returns the number of requests for a kind.
    fn requested(&self, path: &str) -> usize {
        let requests = self.requests.lock();
        requests.iter().filter(|uri| uri.starts_with(path)).count()
    }

    /// Starts to serve a kind.
    fn serve(&self, path: &str) {
        self.objects.lock().entry(path.to_owned()).or_default();
    }

    fn put(&self, path: &str, name: &str) {
        let object = json!({"apiVersion": "v1", "kind": "X",
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": self.next_version()}});
        let mut objects = self.objects.lock();
        let all = objects.entry(path.to_owned()).or_default();
        all.insert(name.to_owned(), object.clone());
        self.send(path, "ADDED", &object);
    }

    fn delete(&self, path: &str, name: &str) {
        let object = self
            .objects
            .lock()
            .get_mut(path)
            .and_then(|all| all.remove(name));
        self.send(path, "DELETED", &object.expect("it is there"));
    }

    fn send(&self, path: &str, event: &str, object: &Value) {
        let line = json!({"type": event, "object": object}).to_string();
        // There may be no watch.
        let _ = self.events.send((path.to_owned(), line));
    }

    fn answer(&self, uri: &http::Uri) -> Response<Body> {
        let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default());
        self.requests.lock().push(uri.to_string());
        let Some(all) = self.objects.lock().get(&path).cloned() else {
            return status(404, "the server could not find the requested resource");
        };
        if path == VMS && *self.forbidden.lock() {
            return status(403, "forbidden");
        }
        let streaming = query.contains("sendInitialEvents=true");
        if streaming && !self.streaming {
            return status(
                422,
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            );
        }
        if !query.contains("watch=true") {
            let items: Vec<_> = all.into_values().collect();
            let list = json!({"apiVersion": "v1", "kind": "XList", "metadata": {"resourceVersion": "7"}, "items": items});
            return Response::new(Body::from(list.to_string()));
        }
        let mut first = Vec::new();
        if streaming {
            let added = |object: Value| json!({"type": "ADDED", "object": object});
            first.extend(all.into_values().map(added));
            first.push(json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "X",
                "metadata": {"resourceVersion": "7", "annotations": {"k8s.io/initial-events-end": "true"}}}}));
        }
        let first = stream::iter(first.into_iter().map(|event| event.to_string()));
        let later = stream::unfold(self.events.subscribe(), move |mut events| {
            let path = path.clone();
            async move {
                loop {
                    let (about, line) = events.recv().await.ok()?;
                    if about == path {
                        return Some((line, events));
                    }
                }
            }
        });
        let lines = first
            .chain(later)
            .map(|line| Ok::<_, Infallible>(line + "\n"));
        Response::new(Body::from_stream(lines))
    }
}

fn status(code: u16, message: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message});
    let mut response = Response::new(Body::from(status.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn row(plural: &str) -> &'static Watched {
    let mut rows = catalogue::all(Reader::Operator).into_iter();
    rows.find(|row| row.plural == plural).unwrap()
}

/// Starts the watches of VirtualMachines and CRDs.
fn watch_vms(server: &Arc<Server>, cluster: &Arc<Cluster>) -> JoinSet<()> {
    let client = server.client();
    let (crds, watch_crds) = crds::watch(client.clone());
    let metrics = Metrics::default();
    let mut start = Start {
        client: &client,
        cluster,
        metrics: &metrics,
        crds,
        waiting: Arc::new(watch::channel(BTreeSet::new()).0),
        tasks: JoinSet::new(),
        manage_node_networks: false,
    };
    start.tasks.spawn(watch_crds);
    start.kind(row("virtualmachines"), |world| &mut world.virtual_machines);
    start.tasks
}

async fn until(cluster: &Cluster, what: &str, holds: impl Fn(&World) -> bool) {
    let wait = async {
        while !holds(&cluster.world()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        timeout(Duration::from_secs(300), wait).await.is_ok(),
        "never: {what}"
    );
}

fn is(presence: Presence) -> impl Fn(&World) -> bool {
    move |world| world.virtual_machines.presence() == presence
}

#[tokio::test(start_paused = true)]
async fn a_kind_may_be_absent_appear_and_disappear() {
    let (server, cluster) = (Server::new(true), Arc::new(Cluster::default()));
    let _watches = watch_vms(&server, &cluster);
    until(&cluster, "missing at the start", is(Presence::Missing)).await;

    server.put(CRDS, VM_CRD);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        is(Presence::Missing)(&cluster.world()),
        "it is defined, but not served yet"
    );
    server.put(VMS, "web");
    until(&cluster, "served", |world| {
        world.virtual_machines.len() == 1
    })
    .await;
    server.put(VMS, "db");
    until(&cluster, "watched", |world| {
        world.virtual_machines.len() == 2
    })
    .await;
    server.delete(VMS, "web");
    until(&cluster, "gone", |world| world.virtual_machines.len() == 1).await;

    server.delete(CRDS, VM_CRD);
    until(&cluster, "missing again", is(Presence::Missing)).await;
    assert!(cluster.world().virtual_machines.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_missing_kind_causes_no_requests() {
    let (server, cluster) = (Server::new(true), Arc::new(Cluster::default()));
    // The CRD exists, but not with our version.
    server.put(CRDS, VM_CRD);
    let _watches = watch_vms(&server, &cluster);
    until(&cluster, "missing", is(Presence::Missing)).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    let before = server.requested(VMS);
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(server.requested(VMS), before);

    server.serve(VMS);
    server.put(CRDS, VM_CRD);
    until(
        &cluster,
        "served after its definition changed",
        is(Presence::Served),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_streaming_lists_is_listed() {
    let (server, cluster) = (Server::new(false), Arc::new(Cluster::default()));
    server.put(CRDS, VM_CRD);
    server.put(VMS, "web");
    let _watches = watch_vms(&server, &cluster);
    until(&cluster, "listed", |world| {
        world.virtual_machines.len() == 1
    })
    .await;
    // A real watch starts at the version of its list. This simulation sends only later events.
    let watched = |uri: &String| {
        uri.starts_with(VMS) && uri.contains("watch=true") && !uri.contains("sendInitialEvents")
    };
    while !server.requests.lock().iter().any(watched) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.put(VMS, "db");
    until(&cluster, "watched", |world| {
        world.virtual_machines.len() == 2
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_not_loaded_its_roles_changes_nothing() {
    let (server, cluster) = (Server::new(true), Arc::new(Cluster::default()));
    server.put(CRDS, VM_CRD);
    server.put(VMS, "web");
    let _watches = watch_vms(&server, &cluster);
    until(&cluster, "served", is(Presence::Served)).await;
    *server.forbidden.lock() = true;
    let requested = server.requested(VMS);
    // The watch ends at some time and is restarted.
    while server.requested(VMS) < requested + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cluster.world().virtual_machines.len(), 1);
    *server.forbidden.lock() = false;
    server.put(VMS, "db");
    tokio::time::sleep(Duration::from_secs(30)).await;
    server.put(VMS, "db");
    until(&cluster, "watched again", |world| {
        world.virtual_machines.len() == 2
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_kind_is_watched_when_permission_is_granted() {
    let (server, cluster) = (Server::new(true), Arc::new(Cluster::default()));
    server.put(CRDS, VM_CRD);
    server.put(VMS, "web");
    *server.forbidden.lock() = true;
    let _watches = watch_vms(&server, &cluster);
    until(&cluster, "forbidden", is(Presence::Forbidden)).await;
    *server.forbidden.lock() = false;
    until(&cluster, "served", is(Presence::Served)).await;
}
