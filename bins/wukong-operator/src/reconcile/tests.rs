//! The order in which a decision is carried out, and what is said whatever happens.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use wukong_api::WukongStatus;
use wukong_engine::facts::Fact;
use wukong_engine::managed_fields::of_body;
use wukong_engine::{Expect, Kind};

use super::*;
use crate::cluster::Part;
use crate::metrics::Now;
use crate::port::MockPort;
use crate::projection::{Project, StoredWukong};

/// What was asked of the port, in order.
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

/// A cluster with everything installed and nothing in it but this Wukong.
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
    cluster.seen(
        Part::of_wukongs(|world| &mut world.claims),
        Fact::project(&claim),
    );
}

/// A port that carries everything out, but what `refuse` says.
fn port(
    log: &Log,
    refuse: impl Fn(&str) -> Option<Cause> + Send + Sync + Clone + 'static,
) -> MockPort {
    let mut port = MockPort::new();
    let verdict = {
        let log = Arc::clone(log);
        move |what: String| {
            log.lock().push(what.clone());
            refuse(&what).map_or(Ok(()), |cause| {
                Err(Refusal {
                    cause,
                    ..Refusal::outage("the server said no")
                })
            })
        }
    };
    let of_apply = verdict.clone();
    port.expect_apply().returning(move |_, apply| {
        of_apply(format!("apply {}", apply.target.kind)).map(|()| stored(&apply.body))
    });
    let of_status = verdict.clone();
    port.expect_write_status().returning(move |_, status| {
        of_status(format!("status {}", reason(status))).map(|()| {
            let mut answer = wukong();
            answer["metadata"]["resourceVersion"] = json!(version());
            answer["status"] = serde_json::to_value(status).unwrap();
            answer
        })
    });
    port.expect_publish()
        .returning(move |_, note| verdict(format!("event {}", note.reason)));
    port
}

fn reason(status: &WukongStatus) -> String {
    status
        .blocker
        .as_ref()
        .map_or("none".into(), |blocker| blocker.reason.clone())
}

fn reconciler(cluster: &Arc<Cluster>, port: MockPort) -> Reconciler {
    let port = Arc::new(port);
    Reconciler::new(
        Arc::clone(cluster),
        port,
        OperatorSettings::default(),
        Metrics::default(),
    )
}

fn key() -> Key {
    Key::new("shop", "web")
}

/// What happened since the last look into the log, events apart.
fn happened(log: &Log) -> Vec<String> {
    let mut all = std::mem::take(&mut *log.lock());
    all.retain(|what| !what.starts_with("event"));
    all
}

#[tokio::test]
async fn first_what_the_vm_needs_then_the_vm_then_nothing_more() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reconciler = reconciler(&cluster, port(&log, |_| None));

    reconciler.reconcile(&key()).await;
    let mut first = happened(&log);
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
        happened(&log).first().map(String::as_str),
        Some("apply VirtualMachine")
    );

    let skipped = "wukong_applies_skipped_total";
    let before = counted(&reconciler.metrics, skipped);
    reconciler.reconcile(&key()).await;
    assert!(happened(&log).iter().all(|what| what.starts_with("status")));
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
async fn the_vm_is_not_made_when_something_that_it_needs_was_refused() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    claim_appears(&cluster);
    let refuse = |what: &str| (what == "apply Secret").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    let pause = reconciler.reconcile(&key()).await;
    let all = happened(&log);
    assert!(!all.contains(&"apply VirtualMachine".to_owned()), "{all:?}");
    assert!(
        all.contains(&"apply NetworkAttachmentDefinition".to_owned()),
        "what is not concerned goes on: {all:?}"
    );
    assert!(pause.is_some(), "it is tried again");
}

#[tokio::test]
async fn what_was_refused_is_said_and_not_tried_again_at_once() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let refuse = |what: &str| what.starts_with("apply").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    reconciler.reconcile(&key()).await;
    let all = happened(&log);
    let said = all.last().unwrap();
    assert!(
        said.starts_with("status") && said != "status none",
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
        happened(&log).is_empty(),
        "nothing changed and nothing is due"
    );
    assert!(pause.unwrap() > Duration::from_secs(1));
}

#[tokio::test]
async fn a_new_generation_is_tried_at_once() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let refuse = |what: &str| (what == "apply DataVolume").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    reconciler.reconcile(&key()).await;
    happened(&log);
    let mut edited = wukong();
    edited["metadata"]["generation"] = json!(2);
    edited["metadata"]["resourceVersion"] = json!(version());
    cluster.wukong_seen(StoredWukong::project(edited));
    reconciler.reconcile(&key()).await;
    assert!(happened(&log).contains(&"apply DataVolume".to_owned()));
}

#[tokio::test]
async fn a_write_that_came_too_late_is_tried_again_soon_before_anything_is_said() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let refuse = |what: &str| (what == "apply DataVolume").then_some(Cause::Stale);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    let pause = reconciler.reconcile(&key()).await.unwrap();
    assert!(pause < Duration::from_secs(1));
    let all = happened(&log);
    assert!(
        !all.iter().any(|what| what.starts_with("status")),
        "{all:?}"
    );
}

#[tokio::test]
async fn events_are_told_with_the_status_and_once() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let reconciler = reconciler(&cluster, port(&log, |_| None));
    reconciler.reconcile(&key()).await;
    claim_appears(&cluster);
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    let log = log.lock();
    let first_event = log
        .iter()
        .position(|what| what.starts_with("event"))
        .expect("something is told");
    assert!(
        log[..first_event]
            .iter()
            .any(|what| what.starts_with("status"))
    );
    let events = log.iter().filter(|what| what.starts_with("event")).count();
    assert!(events <= 3, "{log:?}");
}

#[tokio::test]
async fn a_status_that_was_refused_is_tried_again_and_nothing_is_told_before() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let refuse = |what: &str| what.starts_with("status").then_some(Cause::Outage);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    let first = reconciler.reconcile(&key()).await.unwrap();
    assert!(first <= Duration::from_secs(4));
    assert!(!log.lock().iter().any(|what| what.starts_with("event")));
    reconciler.reconcile(&key()).await;
    assert_eq!(
        happened(&log)
            .iter()
            .filter(|what| what.starts_with("status"))
            .count(),
        2
    );
}

#[tokio::test]
async fn one_that_cannot_be_read_gets_a_status_once_and_nothing_else() {
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
    port.expect_publish().times(1).returning(|_, _| Ok(()));
    let reconciler = reconciler(&cluster, port);
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    assert_eq!(happened(&log), ["status CRDOutdated"]);
}

#[tokio::test]
async fn what_the_server_takes_no_status_of_is_told_by_one_event() {
    let mut broken = wukong();
    broken["spec"]["disks"] = json!("none");
    let (log, cluster) = (Log::default(), cluster(broken));
    let refuse = |what: &str| what.starts_with("status").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, refuse));
    for _ in 0..3 {
        reconciler.reconcile(&key()).await;
    }
    let log = log.lock();
    let told: Vec<_> = log
        .iter()
        .filter(|what| what.starts_with("event"))
        .collect();
    assert_eq!(told, ["event CRDOutdated"]);
}

#[tokio::test]
async fn a_drifted_child_is_applied_to_that_very_object() {
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
    cluster.seen(
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
async fn what_does_not_depend_on_a_refusal_goes_on_in_the_same_look() {
    let (log, cluster) = (Log::default(), cluster(wukong()));
    let refuse =
        |what: &str| (what == "apply NetworkAttachmentDefinition").then_some(Cause::Denied);
    let reconciler = reconciler(&cluster, port(&log, |_| None));
    reconciler.reconcile(&key()).await;
    claim_appears(&cluster);
    reconciler.reconcile(&key()).await;
    happened(&log);

    // The VM has its network already: only an edit of the network is refused.
    let mut edited = wukong();
    edited["metadata"]["generation"] = json!(2);
    edited["metadata"]["resourceVersion"] = json!(version());
    edited["spec"]["cpu"] = json!(4);
    edited["spec"]["networks"][0]["vlanId"] = json!(7);
    cluster.wukong_seen(StoredWukong::project(edited));
    let reconciler = Reconciler::new(
        Arc::clone(&cluster),
        Arc::new(port(&log, refuse)),
        OperatorSettings::default(),
        Metrics::default(),
    );
    let pause = reconciler.reconcile(&key()).await;
    let all = happened(&log);
    assert_eq!(
        all[..2],
        ["apply NetworkAttachmentDefinition", "apply VirtualMachine"],
        "{all:?}"
    );
    assert!(pause.is_some(), "what was refused is tried again");
}

#[tokio::test]
async fn a_look_that_panics_is_counted_and_comes_again_later_and_later() {
    let cluster = cluster(wukong());
    let (log, metrics) = (Log::default(), Metrics::default());
    let mut broken = MockPort::new();
    broken.expect_apply().returning(|_, _| panic!("a bug"));
    let with = |port| {
        Reconciler::new(
            Arc::clone(&cluster),
            Arc::new(port),
            OperatorSettings::default(),
            metrics.clone(),
        )
    };
    let reconciler = with(broken);
    let first = reconciler.reconcile(&key()).await.unwrap();
    let second = reconciler.reconcile(&key()).await.unwrap();
    assert!(first <= Duration::from_secs(1) && second > first);
    let text = metrics.render(Now::default());
    let line = "wukong_reconciles_total{outcome=\"panicked\"} 2";
    assert!(text.contains(line), "{text}");

    with(port(&log, |_| None)).reconcile(&key()).await;
    assert!(
        happened(&log).contains(&"apply Secret".to_owned()),
        "no lock is held"
    );
    assert_eq!(cluster.wukong(&key()).unwrap().remembered.lock().panics, 0);
}
