//! Tests of the writes for a schedule, and of what queues it.

use serde_json::{Value, json};
use wukong_engine::facts::Fact;

use super::*;
use crate::cluster::Part;
use crate::port::MockPort;
use crate::projection::Project;
use crate::stored_wukong::StoredWukong;

/// A schedule of the first minute of each year, so that its newest slot passed before the test.
fn schedule(more: Value) -> Value {
    let mut schedule = json!({
        "metadata": {"name": "yearly", "namespace": "shop", "uid": "y1", "resourceVersion": "5", "generation": 1,
            "creationTimestamp": "2020-02-02T00:00:00Z"},
        "spec": {"wukongName": "web", "schedule": "0 0 1 1 *", "retain": 1},
    });
    for (field, value) in more.as_object().unwrap() {
        schedule["spec"][field] = value.clone();
    }
    schedule
}

fn wukong(name: &str, labels: Value) -> StoredWukong {
    StoredWukong::project(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1", "labels": labels,
            "creationTimestamp": "2020-01-01T00:00:00Z"},
        "spec": {"cpu": 1, "memory": "1Gi"},
    }))
}

fn cluster(schedule: &Value, snapshots: &[Value]) -> Arc<Cluster> {
    let cluster = Arc::new(Cluster::default());
    let snapshots = snapshots.iter().map(Fact::project).collect();
    cluster.listed(
        Part::of_wukongs(|world| &mut world.wukong_snapshots),
        snapshots,
    );
    cluster.listed(
        Part::of_wukongs(|world| &mut world.wukong_restores),
        Vec::new(),
    );
    cluster.listed(
        Part::of_wukongs(|world| &mut world.snapshot_schedules),
        vec![Fact::project(schedule)],
    );
    cluster.wukongs_listed(vec![wukong("web", json!({}))]);
    cluster
}

fn snapshot(year: i16) -> Value {
    json!({
        "metadata": {"name": format!("yearly-{year}01010000"), "namespace": "shop", "uid": format!("u{year}"),
            "resourceVersion": "3",
            "labels": {"vm.novasphere.dev/schedule": "yearly", "vm.novasphere.dev/schedule-uid": "y1"}},
        "spec": {"wukongName": "web"}, "status": {"phase": "Succeeded", "readyToUse": true},
    })
}

/// A port that answers as an API server does, and logs each write. `reject`: the cause for which it rejects all.
fn port(stored: &Value, log: &Arc<Mutex<Vec<String>>>, reject: Option<Cause>) -> MockPort {
    let error = move || WriteError {
        cause: reject.unwrap_or(Cause::Denied),
        ..WriteError::outage("no")
    };
    let mut port = MockPort::new();
    let (seen, schedule) = (Arc::clone(log), stored.clone());
    port.expect_apply().returning(move |_, apply| {
        seen.lock().push(format!("create {}", apply.target));
        let mut stored = apply.body.clone();
        stored["metadata"]["uid"] = json!("new");
        stored["metadata"]["resourceVersion"] = json!("9");
        reject.map_or(Ok(stored), |_| Err(error()))
    });
    let seen = Arc::clone(log);
    port.expect_prune().returning(move |_, prune| {
        let Prune { target, uid, .. } = prune;
        seen.lock().push(format!("delete {target} {uid}"));
        reject.map_or(Ok(()), |_| Err(error()))
    });
    let seen = Arc::clone(log);
    port.expect_write_report().returning(move |_, report| {
        seen.lock().push(format!("status {}", report.name));
        let mut stored = schedule.clone();
        stored["status"] = report.status.clone();
        stored["metadata"]["resourceVersion"] = json!("10");
        Ok(stored)
    });
    port
}

fn reconciler(
    schedule: &Value,
    snapshots: &[Value],
    reject: Option<Cause>,
) -> (Schedules, Arc<Cluster>, Arc<Mutex<Vec<String>>>) {
    let log = Arc::default();
    let port = port(schedule, &log, reject);
    let cluster = cluster(schedule, snapshots);
    let metrics = Metrics::default();
    let schedules = Schedules::new(Arc::clone(&cluster), Arc::new(port), metrics);
    (schedules, cluster, log)
}

fn key() -> Key {
    Key::new("shop", "yearly")
}

#[tokio::test]
async fn a_slot_is_written_once_and_then_nothing_is_sent() {
    let schedule = schedule(json!({}));
    let (schedules, cluster, log) = reconciler(&schedule, &[], None);
    let pause = schedules.reconcile(&key()).await;
    assert_eq!(pause, Some(CLOCK), "a clock that is set has to be noticed");
    let year = Timestamp::now().strftime("%Y").to_string();
    let create = format!("create WukongSnapshot/yearly-{year}01010000");
    assert_eq!(*log.lock(), [create.as_str(), "status yearly"]);
    assert_eq!(cluster.queue.depth(), 1, "the snapshot queues its Wukong");
    log.lock().clear();
    schedules.reconcile(&key()).await;
    assert_eq!(*log.lock(), [""; 0]);

    // The operator restarts, and another one of the same name is not mixed up with it.
    *schedules.remembered.lock() = HashMap::new();
    schedules.reconcile(&key()).await;
    assert_eq!(*log.lock(), [""; 0]);
}

#[tokio::test]
async fn old_snapshots_are_deleted_under_their_uid() {
    let schedule = schedule(json!({}));
    let year: i16 = Timestamp::now().strftime("%Y").to_string().parse().unwrap();
    let snapshots = [snapshot(year), snapshot(year - 1), snapshot(year - 2)];
    let (schedules, cluster, log) = reconciler(&schedule, &snapshots, None);
    schedules.reconcile(&key()).await;
    let delete = |year: i16| format!("delete WukongSnapshot/yearly-{year}01010000 u{year}");
    assert_eq!(
        *log.lock(),
        [delete(year - 2), delete(year - 1), "status yearly".into()]
    );
    assert_eq!(cluster.world().wukong_snapshots.len(), 1);
}

#[tokio::test]
async fn a_rejection_is_in_the_status_and_waits() {
    let schedule = schedule(json!({}));
    let (schedules, cluster, log) = reconciler(&schedule, &[], Some(Cause::Denied));
    let pause = schedules.reconcile(&key()).await.unwrap();
    assert!(
        pause > Duration::from_secs(1) && pause <= CLOCK,
        "{pause:?}"
    );
    assert_eq!(log.lock().len(), 2, "{log:?}");
    let status = cluster.schedule(&key()).unwrap().status;
    assert_eq!(status.blocker.unwrap().reason, "ApplyFailed");

    let schedule = self::schedule(json!({"retain": 2}));
    let (schedules, _, log) = reconciler(&schedule, &[], Some(Cause::Outage));
    let pause = schedules.reconcile(&key()).await.unwrap();
    assert!(pause < Duration::from_secs(1), "an outage has short pauses");
    assert_eq!(log.lock().len(), 1, "{log:?}");
}

#[tokio::test]
async fn a_schedule_is_queued_by_its_snapshots_and_its_vms_only() {
    let schedule =
        schedule(json!({"wukongName": null, "selector": {"matchLabels": {"tier": "db"}}}));
    let cluster = cluster(&schedule, &[]);
    let queued = || {
        let depth = cluster.schedules.depth();
        cluster.schedules.clear();
        depth
    };
    queued();
    let snapshots = Part::of(&wukong_engine::catalogue::WUKONG, |world| {
        &mut world.wukong_snapshots
    });
    for (name, expected) in [("yearly-202601010000-web", 1), ("before-upgrade", 0)] {
        let object = json!({"metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "4"},
            "spec": {"wukongName": "web"}});
        cluster.reported(
            &Key::new("shop", "web"),
            wukong_engine::Reported::WukongSnapshot,
            &object,
        );
        assert_eq!(queued(), expected, "{name}");
        cluster.deleted(snapshots, &Fact::project(&object));
        queued();
    }
    let mut version = 1;
    let mut change = |labels: Value| {
        version += 1;
        let mut wukong = wukong("web", labels);
        wukong.version = version;
        cluster.wukong_updated(wukong);
    };
    change(json!({"tier": "web"}));
    assert_eq!(queued(), 0);
    change(json!({"tier": "db"}));
    assert_eq!(queued(), 1);
    let selected = cluster.vms_of(&cluster.schedule(&key()).unwrap());
    assert_eq!(selected.unwrap().len(), 1);
    change(json!({"tier": "web"}));
    assert_eq!(queued(), 1, "it loses a VM");
}
