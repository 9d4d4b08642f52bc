//! Tests of the order of writes, of failed writes and of the status.

use std::sync::atomic::{AtomicU64, Ordering};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tower_test::mock;
use wukong_api::WukongStatus;
use wukong_engine::facts::Fact;
use wukong_engine::managed_fields::of_body;
use wukong_engine::{Expect, Kind};

use super::*;
use crate::applier::Applier;
use crate::cluster::Part;
use crate::leader::Leadership;
use crate::metrics::Now;
use crate::port::MockPort;
use crate::projection::Project;
use crate::stored_wukong::StoredWukong;

/// Calls of the port, in order.
type Log = Arc<Mutex<Vec<String>>>;

fn version() -> String {
    static VERSION: AtomicU64 = AtomicU64::new(100);
    VERSION.fetch_add(1, Ordering::Relaxed).to_string()
}

/// A body as the API server stores and returns it.
fn stored(body: &Value) -> Value {
    fn fields(value: &Value) -> Value {
        let members = value.as_object().into_iter().flatten();
        let named = members.map(|(name, value)| (format!("f:{name}"), fields(value)));
        Value::Object(named.collect::<Map<_, _>>())
    }
    let mut object = body.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    let name = metadata["name"].as_str().unwrap().to_owned();
    metadata.insert("namespace".into(), json!("shop"));
    metadata.insert("uid".into(), json!(format!("uid-of-{name}")));
    metadata.insert("resourceVersion".into(), json!(version()));
    let ours = json!([{"manager": "wukong-operator", "operation": "Apply", "fieldsV1": fields(&of_body(body))}]);
    metadata.insert("managedFields".into(), ours);
    object
}

fn wukong() -> Value {
    json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": "web", "namespace": "shop", "uid": "w1", "resourceVersion": "1", "generation": 1},
        "spec": {"cpu": 2, "memory": "2Gi", "osImage": "ubuntu:24.04",
                 "cloudInitUser": {"name": "ada"},
                 "networks": [{"name": "lan", "type": "bridge"}],
                 "disks": [{"name": "root", "size": "10Gi", "storageClassName": "fast"}]},
    })
}

/// A cluster with all components installed and only this Wukong.
fn cluster(wukong: Value) -> Arc<Cluster> {
    fn empty<F: Fact>(cluster: &Cluster, part: Part<F>) {
        cluster.listed(part, Vec::new());
    }
    let cluster = Arc::new(Cluster::default());
    empty(
        &cluster,
        Part::of_wukongs(|world| &mut world.virtual_machines),
    );
    empty(&cluster, Part::of_wukongs(|world| &mut world.instances));
    empty(&cluster, Part::of_wukongs(|world| &mut world.data_volumes));
    empty(&cluster, Part::of_wukongs(|world| &mut world.claims));
    empty(&cluster, Part::of_wukongs(|world| &mut world.nads));
    empty(&cluster, Part::of_wukongs(|world| &mut world.snapshots));
    empty(&cluster, Part::of_wukongs(|world| &mut world.data_sources));
    let class = json!({"metadata": {"name": "fast", "uid": "s"}, "provisioner": "x", "allowVolumeExpansion": true});
    cluster.listed(
        Part::of_wukongs(|world| &mut world.environment.storage_classes),
        vec![Fact::project(&class)],
    );
    cluster.wukongs_listed(vec![StoredWukong::project(wukong)]);
    cluster
}

fn claim_appears(cluster: &Cluster) {
    let claim = json!({"metadata": {"name": "web.root", "namespace": "shop", "uid": "c1", "resourceVersion": version(),
        "labels": {"vm.novasphere.dev/wukong": "web"},
        "ownerReferences": [{"kind": "DataVolume", "name": "web.root", "uid": "uid-of-web.root", "controller": true}]}});
    cluster.updated(
        Part::of_wukongs(|world| &mut world.claims),
        Fact::project(&claim),
    );
}

/// A port on which every call succeeds, except those for which `reject` returns a cause.
fn port(
    log: &Log,
    reject: impl Fn(&str) -> Option<Cause> + Send + Sync + Clone + 'static,
) -> MockPort {
    let mut port = MockPort::new();
    let answer_to = {
        let log = Arc::clone(log);
        move |what: String| {
            log.lock().push(what.clone());
            reject(&what).map_or(Ok(()), |cause| {
                Err(WriteError {
                    cause,
                    ..WriteError::outage("the server last no")
                })
            })
        }
    };
    let of_apply = answer_to.clone();
    port.expect_apply().returning(move |_, apply| {
        of_apply(format!("apply {}", apply.target.kind)).map(|()| stored(&apply.body))
    });
    let of_status = answer_to.clone();
    port.expect_write_status().returning(move |_, status| {
        of_status(format!("status {}", reason(status))).map(|()| {
            let mut answer = wukong();
            answer["metadata"]["resourceVersion"] = json!(version());
            answer["status"] = serde_json::to_value(status).unwrap();
            answer
        })
    });
    port.expect_publish()
        .returning(move |_, note| answer_to(format!("event {}", note.reason)));
    port
}

fn reason(status: &WukongStatus) -> String {
    status
        .blocker
        .as_ref()
        .map_or("none".into(), |blocker| blocker.reason.clone())
}

fn reconciler(cluster: &Arc<Cluster>, port: MockPort) -> Reconciler {
    through(cluster, Arc::new(port), Metrics::default())
}

/// A reconciler of which the events are published in the background.
fn through(cluster: &Arc<Cluster>, port: Arc<dyn Port>, metrics: Metrics) -> Reconciler {
    let (publisher, publish) = Publisher::new(Arc::clone(&port), metrics.clone());
    tokio::spawn(publish);
    Reconciler::new(
        Arc::clone(cluster),
        port,
        publisher,
        OperatorSettings::default(),
        metrics,
    )
}

/// Lets the background publish all events that wait.
async fn events_published() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn key() -> Key {
    Key::new("shop", "web")
}

/// Takes the calls since the last call of this function, without events.
fn writes(log: &Log) -> Vec<String> {
    let mut all = std::mem::take(&mut *log.lock());
    all.retain(|what| !what.starts_with("event"));
    all
}

#[tokio::test]
async fn the_vm_follows_the_objects_that_it_needs() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reconciler = reconciler(&cluster, port(&log, |_| None));

    reconciler.reconcile(&key()).await;
    let mut first = writes(&log);
    assert!(
        first.pop().unwrap().starts_with("status"),
        "the status comes last"
    );
    first.sort();
    assert_eq!(
        first,
        [
            "apply DataVolume",
            "apply NetworkAttachmentDefinition",
            "apply Secret"
        ],
        "the VM waits for its claim"
    );

    claim_appears(&cluster);
    reconciler.reconcile(&key()).await;
    assert_eq!(
        writes(&log).first().map(String::as_str),
        Some("apply VirtualMachine")
    );

    let skipped = "wukong_applies_skipped_total";
    let before = counted(&reconciler.metrics, skipped);
    reconciler.reconcile(&key()).await;
    assert!(writes(&log).iter().all(|what| what.starts_with("status")));
    let objects = [
        "Secret",
        "NetworkAttachmentDefinition",
        "DataVolume",
        "VirtualMachine",
    ];
    let now = counted(&reconciler.metrics, skipped);
    assert_eq!(now - before, objects.len(), "each is as planned");
}

/// The value of a metric without labels.
fn counted(metrics: &Metrics, name: &str) -> usize {
    let text = metrics.render(Now::default());
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn the_vm_is_not_created_when_an_object_that_it_needs_was_rejected() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    claim_appears(&cluster);
    let reject = |what: &str| (what == "apply Secret").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, reject));
    let pause = reconciler.reconcile(&key()).await;
    let all = writes(&log);
    assert!(!all.contains(&"apply VirtualMachine".to_owned()), "{all:?}");
    assert!(
        all.contains(&"apply NetworkAttachmentDefinition".to_owned()),
        "what is not affected goes on: {all:?}"
    );
    assert!(pause.is_some(), "it is retried");
}

#[tokio::test]
async fn a_rejected_write_is_reported_and_not_retried_at_once() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reject = |what: &str| what.starts_with("apply").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, reject));
    reconciler.reconcile(&key()).await;
    let all = writes(&log);
    let last = all.last().unwrap();
    assert!(
        last.starts_with("status") && last != "status none",
        "{all:?}"
    );
    for kind in ["Secret", "DataVolume", "NetworkAttachmentDefinition"] {
        let what = format!("apply {kind}");
        assert_eq!(
            all.iter().filter(|done| **done == what).count(),
            1,
            "{all:?}"
        );
    }
    let pause = reconciler.reconcile(&key()).await;
    assert!(
        writes(&log).is_empty(),
        "nothing changed and no retry is due"
    );
    assert!(pause.unwrap() > Duration::from_secs(1));
}

#[tokio::test]
async fn a_new_generation_is_retried_at_once() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reject = |what: &str| (what == "apply DataVolume").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, reject));
    reconciler.reconcile(&key()).await;
    writes(&log);
    let mut edited = wukong();
    edited["metadata"]["generation"] = json!(2);
    edited["metadata"]["resourceVersion"] = json!(version());
    cluster.wukong_updated(StoredWukong::project(edited));
    reconciler.reconcile(&key()).await;
    assert!(writes(&log).contains(&"apply DataVolume".to_owned()));
}

#[tokio::test]
async fn a_stale_write_is_retried_soon_without_a_status() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reject = |what: &str| (what == "apply DataVolume").then_some(Cause::Stale);
    let reconciler = reconciler(&cluster, port(&log, reject));
    let pause = reconciler.reconcile(&key()).await.unwrap();
    assert!(pause < Duration::from_secs(1));
    let all = writes(&log);
    assert!(
        !all.iter().any(|what| what.starts_with("status")),
        "{all:?}"
    );
}

#[tokio::test]
async fn events_follow_the_status_and_are_not_repeated() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reconciler = reconciler(&cluster, port(&log, |_| None));
    reconciler.reconcile(&key()).await;
    claim_appears(&cluster);
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    events_published().await;
    let log = log.lock();
    let first_event = log
        .iter()
        .position(|what| what.starts_with("event"))
        .expect("an event is published");
    assert!(
        log[..first_event]
            .iter()
            .any(|what| what.starts_with("status"))
    );
    let events = log.iter().filter(|what| what.starts_with("event")).count();
    assert!(events <= 3, "{log:?}");
}

#[tokio::test]
async fn a_failed_status_write_is_retried_without_events() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reject = |what: &str| what.starts_with("status").then_some(Cause::Outage);
    let reconciler = reconciler(&cluster, port(&log, reject));
    let first = reconciler.reconcile(&key()).await.unwrap();
    assert!(first <= Duration::from_secs(4));
    events_published().await;
    assert!(!log.lock().iter().any(|what| what.starts_with("event")));
    reconciler.reconcile(&key()).await;
    assert_eq!(
        writes(&log)
            .iter()
            .filter(|what| what.starts_with("status"))
            .count(),
        2
    );
}

#[tokio::test]
async fn an_unreadable_wukong_gets_one_status_and_no_other_write() {
    let mut broken = wukong();
    broken["spec"]["cpu"] = json!("many");
    let (log, cluster) = (Log::default(), cluster(broken.clone()));
    let mut port = MockPort::new();
    port.expect_apply().never();
    let of_status = Arc::clone(&log);
    port.expect_write_status().returning(move |_, status| {
        of_status.lock().push(format!("status {}", reason(status)));
        let mut answer = broken.clone();
        answer["metadata"]["resourceVersion"] = json!(version());
        answer["status"] = serde_json::to_value(status).unwrap();
        Ok(answer)
    });
    let of_event = Arc::clone(&log);
    port.expect_publish().returning(move |_, event| {
        of_event.lock().push(format!("event {}", event.reason));
        Ok(())
    });
    let reconciler = reconciler(&cluster, port);
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    events_published().await;
    assert_eq!(*log.lock(), ["status CRDOutdated", "event CRDOutdated"]);
}

#[tokio::test]
async fn a_wukong_whose_status_is_rejected_gets_one_event() {
    let mut broken = wukong();
    broken["spec"]["disks"] = json!("none");
    let (log, cluster) = (Log::default(), cluster(broken));
    let reject = |what: &str| what.starts_with("status").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, reject));
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    events_published().await;
    let log = log.lock();
    let events: Vec<_> = log
        .iter()
        .filter(|what| what.starts_with("event"))
        .collect();
    assert_eq!(events, ["event CRDOutdated"]);
}

#[tokio::test]
async fn an_apply_of_a_drifted_child_expects_its_uid() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let expects: Arc<Mutex<Vec<Expect>>> = Arc::default();
    let mut port = MockPort::new();
    let seen = Arc::clone(&expects);
    port.expect_apply().returning(move |_, apply| {
        if apply.target.kind == Kind::NetworkAttachmentDefinition {
            seen.lock().push(apply.expect.clone());
        }
        Ok(stored(&apply.body))
    });
    port.expect_write_status().returning(|_, _| Ok(wukong()));
    port.expect_publish().returning(|_, _| Ok(()));
    let reconciler = reconciler(&cluster, port);
    reconciler.reconcile(&key()).await;

    let definition = cluster
        .world()
        .nads
        .in_namespace("shop")
        .next()
        .unwrap()
        .meta
        .clone();
    let drifted = json!({"metadata": {"name": definition.name, "namespace": "shop", "uid": definition.uid,
        "resourceVersion": version(),
        "ownerReferences": [{"kind": "Wukong", "name": "web", "uid": "w1", "controller": true}],
        "managedFields": [{"manager": "wukong-operator", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]},
        "spec": {"config": "{}"}});
    cluster.updated(
        Part::of_wukongs(|world| &mut world.nads),
        Fact::project(&drifted),
    );
    reconciler.reconcile(&key()).await;
    let expects = expects.lock();
    assert_eq!(expects.first(), Some(&Expect::Absent));
    assert!(
        matches!(expects.get(1), Some(Expect::Present { uid, .. }) if *uid == definition.uid),
        "{expects:?}"
    );
    drop(log);
}

#[tokio::test]
async fn independent_writes_continue_after_a_rejection() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reject =
        |what: &str| (what == "apply NetworkAttachmentDefinition").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, |_| None));
    reconciler.reconcile(&key()).await;
    claim_appears(&cluster);
    reconciler.reconcile(&key()).await;
    writes(&log);

    // The VM has its network already: only the edit of the network is rejected.
    let mut edited = wukong();
    edited["metadata"]["generation"] = json!(2);
    edited["metadata"]["resourceVersion"] = json!(version());
    edited["spec"]["cpu"] = json!(4);
    edited["spec"]["networks"][0]["vlanId"] = json!(7);
    cluster.wukong_updated(StoredWukong::project(edited));
    let port = Arc::new(port(&log, reject));
    let reconciler = through(&cluster, port, Metrics::default());
    let pause = reconciler.reconcile(&key()).await;
    let all = writes(&log);
    assert_eq!(
        all[..2],
        ["apply NetworkAttachmentDefinition", "apply VirtualMachine"],
        "{all:?}"
    );
    assert!(pause.is_some(), "the rejected write is retried");
}

#[tokio::test]
async fn a_reconcile_that_panics_is_counted_and_retried_with_back_off() {
    let cluster = cluster(wukong());
    let (log, metrics) = (Log::default(), Metrics::default());
    let mut broken = MockPort::new();
    broken.expect_apply().returning(|_, _| panic!("a bug"));
    let with = |port| through(&cluster, Arc::new(port), metrics.clone());
    let reconciler = with(broken);
    let first = reconciler.reconcile(&key()).await.unwrap();
    let second = reconciler.reconcile(&key()).await.unwrap();
    assert!(first <= Duration::from_secs(1) && second > first);
    let text = metrics.render(Now::default());
    let line = "wukong_reconciles_total{outcome=\"panicked\"} 2";
    assert!(text.contains(line), "{text}");

    with(port(&log, |_| None)).reconcile(&key()).await;
    assert!(
        writes(&log).contains(&"apply Secret".to_owned()),
        "no lock is held"
    );
    assert_eq!(cluster.wukong(&key()).unwrap().remembered.lock().panics, 0);
}

/// The API server holds its response to the first status until the VirtualMachine is applied.
#[tokio::test(start_paused = true)]
async fn a_claim_that_appears_while_the_status_is_written_lets_the_vm_follow_at_once() {
    let cluster = cluster(wukong());
    let (service, mut server) = mock::pair::<Request<Body>, Response<Body>>();
    let applier = Applier::new(
        Client::new(service, "default"),
        4,
        Leadership::always(),
        "me".into(),
        Metrics::default(),
    );
    let reconciler = through(&cluster, Arc::new(applier), Metrics::default());
    cluster.queue.add(key());
    assert_eq!(cluster.queue.next().await, key());
    let serve = async {
        let mut held = None;
        loop {
            let (request, respond) = server.next_request().await.unwrap();
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let path = head.uri.path();
            if path.ends_with("/wukongs/web/status") {
                held = Some((respond, body[1]["value"].clone()));
                claim_appears(&cluster);
                continue;
            }
            let applied = Body::from(stored(&body).to_string().into_bytes());
            respond.send_response(Response::new(applied));
            if path.contains("/virtualmachines/") {
                break;
            }
        }
        let (respond, status) = held.expect("the VM is applied while the status is written");
        let mut answer = wukong();
        answer["metadata"]["resourceVersion"] = json!(version());
        answer["status"] = status;
        respond.send_response(Response::new(Body::from(answer.to_string().into_bytes())));
    };
    let deadline = Duration::from_secs(5);
    let key = key();
    let both = async { tokio::join!(reconciler.reconcile(&key), serve) };
    let (pause, ()) = tokio::time::timeout(deadline, both).await.unwrap();
    cluster.queue.done(&key, pause);
    assert_eq!(
        cluster.queue.next().now_or_never(),
        Some(key),
        "the status of the VM follows"
    );
}

#[tokio::test]
async fn what_was_reported_of_a_deleted_snapshot_is_forgotten() {
    let snapshots = Part::of_wukongs(|world| &mut world.wukong_snapshots);
    let snapshot = json!({
        "metadata": {"name": "before", "namespace": "shop", "uid": "s1", "resourceVersion": version()},
        "spec": {"wukongName": "gone"},
    });
    let cluster = cluster(wukong());
    cluster.updated(snapshots, Fact::project(&snapshot));
    let mut port = MockPort::new();
    port.expect_write_report()
        .times(1)
        .returning(move |_, report| {
            let mut answer = snapshot.clone();
            answer["metadata"]["resourceVersion"] = json!(version());
            answer["status"] = report.status.clone();
            Ok(answer)
        });
    let reconciler = reconciler(&cluster, port);
    let key = Key::new("shop", "gone");
    reconciler.reconcile(&key).await;
    assert!(reconciler.orphans.lock().contains_key(&key));
    cluster.listed(snapshots, Vec::new());
    reconciler.reconcile(&key).await;
    assert!(reconciler.orphans.lock().is_empty());
}
