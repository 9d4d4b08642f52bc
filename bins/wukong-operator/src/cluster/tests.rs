//! Which Wukongs a change of the cluster queues.

use std::time::Duration;

use futures::FutureExt;
use serde_json::json;
use wukong_engine::facts::{ClaimFact, QuotaFact, StorageClassFact, WukongSnapshotFact};

use super::*;

fn wukong(name: &str) -> StoredWukong {
    StoredWukong::project(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"},
        "spec": {"cpu": 1, "memory": "1Gi"},
    }))
}

fn claim(name: &str, version: &str, phase: &str) -> ClaimFact {
    Fact::project(&json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version},
        "status": {"phase": phase},
    }))
}

/// Takes all queued Wukongs and returns their names.
fn ready(cluster: &Cluster) -> Vec<String> {
    let next = || {
        let key = cluster.queue.next().now_or_never()?;
        cluster.queue.done(&key, None);
        Some(key.name)
    };
    let mut names: Vec<_> = std::iter::from_fn(next).collect();
    names.sort();
    names
}

const CLAIMS: Part<ClaimFact> = Part::of_wukongs(|world| &mut world.claims);
const CLASSES: Part<StorageClassFact> =
    Part::of_wukongs(|world| &mut world.environment.storage_classes);

#[tokio::test]
async fn a_change_queues_only_the_affected_wukongs() {
    let cluster = Cluster::default();
    cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
    assert_eq!(ready(&cluster), ["a", "b"]);
    cluster.listed(CLAIMS, vec![claim("a.root", "1", "Pending")]);
    assert_eq!(ready(&cluster), ["a", "b"], "the kind is now observed");
    cluster.updated(CLAIMS, claim("a.root", "1", "Pending"));
    assert!(ready(&cluster).is_empty());
    cluster.updated(CLAIMS, claim("a.root", "2", "Bound"));
    assert_eq!(ready(&cluster), ["a"]);
    cluster.listed(
        CLAIMS,
        vec![claim("a.root", "2", "Bound"), claim("b.root", "3", "Bound")],
    );
    assert_eq!(
        ready(&cluster),
        ["b"],
        "a new list queues only what changed"
    );
    cluster.deleted(CLAIMS, &claim("b.root", "4", "Bound"));
    assert_eq!(ready(&cluster), ["b"]);
}

#[tokio::test]
async fn an_own_write_queues_other_affected_wukongs_once() {
    let cluster = Cluster::default();
    let copy = StoredWukong::project(json!({
        "metadata": {"name": "copy", "namespace": "shop", "uid": "copy", "resourceVersion": "1"},
        "spec": {"cpu": 1, "memory": "1Gi",
            "disks": [{"name": "root", "size": "1Gi", "source": {"pvc": {"name": "a.root"}}}]},
    }));
    cluster.wukongs_listed(vec![wukong("a"), wukong("b"), copy]);
    cluster.listed(CLAIMS, Vec::new());
    ready(&cluster);
    let (a, claim) = (Key::new("shop", "a"), Kind::PersistentVolumeClaim);
    let answer = json!({"metadata": {"name": "a.root", "namespace": "shop", "uid": "a.root", "resourceVersion": "5"}});
    cluster.written(&a, claim, &answer);
    assert_eq!(ready(&cluster), ["copy"], "it waits for this claim");
    cluster.written(&a, claim, &answer);
    cluster.updated(CLAIMS, Fact::project(&answer));
    assert!(ready(&cluster).is_empty());
    cluster.pruned(&a, claim, "a.root", "a.root");
    assert_eq!(ready(&cluster), ["copy"]);
    cluster.deleted(CLAIMS, &Fact::project(&answer));
    assert!(ready(&cluster).is_empty());
}

#[tokio::test]
async fn a_snapshot_queues_the_wukong_that_it_names_although_there_is_none() {
    let snapshots = Part {
        store: |world| &mut world.wukong_snapshots,
        objects: Objects::All,
        wakes: Wakes::Named,
    };
    let snapshot = |wukong: &str, version: &str| {
        <WukongSnapshotFact as Fact>::project(&json!({
            "metadata": {"name": "before", "namespace": "shop", "uid": "s", "resourceVersion": version},
            "spec": {"wukongName": wukong},
        }))
    };
    let cluster = Cluster::default();
    cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
    ready(&cluster);
    cluster.listed(snapshots, vec![snapshot("gone", "1")]);
    assert_eq!(
        ready(&cluster),
        ["a", "b", "gone"],
        "the kind is now observed"
    );
    cluster.updated(snapshots, snapshot("a", "2"));
    assert_eq!(ready(&cluster), ["a", "gone"]);
    // A new Wukong waits for the snapshot of another one.
    cluster.wukong_updated(StoredWukong::project(json!({
        "metadata": {"name": "new", "namespace": "shop", "uid": "new", "resourceVersion": "1"},
        "spec": {"cpu": 1, "memory": "1Gi", "restoreFromSnapshot": "before", "disks": [{"name": "root", "size": "1Gi"}]},
    })));
    ready(&cluster);
    cluster.updated(snapshots, snapshot("b", "3"));
    assert_eq!(ready(&cluster), ["a", "b", "new"]);
    cluster.reset();
    assert_eq!(ready(&cluster), ["a", "b", "new"]);
}

#[tokio::test]
async fn storage_classes_and_new_or_removed_kinds_queue_every_wukong() {
    let cluster = Cluster::default();
    cluster.wukongs_listed(vec![wukong("a"), wukong("b")]);
    cluster.listed(CLASSES, Vec::new());
    ready(&cluster);
    cluster.updated(
        CLASSES,
        Fact::project(&json!({"metadata": {"name": "fast", "uid": "1"}})),
    );
    assert_eq!(ready(&cluster), ["a", "b"]);
    cluster.unavailable(CLASSES, Presence::Forbidden);
    assert_eq!(ready(&cluster), ["a", "b"]);
    cluster.unavailable(CLASSES, Presence::Forbidden);
    assert!(ready(&cluster).is_empty());
}

fn blocked(name: &str, reason: &str) -> StoredWukong {
    StoredWukong::project(json!({
        "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "1"},
        "spec": {"cpu": 1, "memory": "1Gi"},
        "status": {"phase": "Error", "blocker": {
            "condition": "EnvironmentReady", "reason": reason, "message": "", "since": "2026-01-01T00:00:00Z"}},
    }))
}

fn quota(used: u32) -> QuotaFact {
    Fact::project(&json!({
        "metadata": {"name": "team", "namespace": "shop", "uid": "q", "resourceVersion": used.to_string()},
        "status": {"hard": {"pods": "99"}, "used": {"pods": used.to_string()}},
        "spec": {"hard": {"pods": "99"}},
    }))
}

#[tokio::test(start_paused = true)]
async fn a_quota_queues_those_that_it_blocks_once_in_five_seconds() {
    let quotas = Part {
        store: |world| &mut world.environment.quotas,
        objects: Objects::All,
        wakes: Wakes::BlockedByQuota,
    };
    let cluster = Cluster::default();
    cluster.wukongs_listed(vec![
        wukong("new"),
        blocked("full", "QuotaExceeded"),
        blocked("broken", "ImportFailed"),
    ]);
    cluster.listed(quotas, vec![quota(1)]);
    ready(&cluster);
    let mut woken = Vec::new();
    for used in 2..=51 {
        cluster.updated(quotas, quota(used));
        woken.extend(ready(&cluster));
        tokio::time::advance(Duration::from_millis(200)).await;
    }
    assert_eq!(woken, ["full", "full"], "50 changes in 10 seconds");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ready(&cluster), ["full"], "the last change counts, too");
    cluster.updated(quotas, quota(60));
    assert!(ready(&cluster).is_empty(), "the interval is not over");
}

#[tokio::test]
async fn a_wukong_that_waits_for_an_address_is_queued_when_it_is_released() {
    let fixed = |name: &str, version: &str, made: u8, mac: u8| {
        StoredWukong::project(json!({
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": version,
                         "creationTimestamp": format!("2026-01-01T00:00:0{made}Z")},
            "spec": {"cpu": 1, "memory": "1Gi",
                "networks": [{"name": "lan", "type": "bridge", "macAddress": format!("02:00:00:00:00:0{mac}")}]},
        }))
    };
    let cluster = Cluster::default();
    cluster.wukongs_listed(vec![
        fixed("a", "1", 1, 1),
        fixed("b", "1", 2, 1),
        wukong("c"),
    ]);
    ready(&cluster);
    cluster.wukong_updated(fixed("b", "2", 2, 2));
    assert_eq!(ready(&cluster), ["b"], "the older one is not affected");
    cluster.wukong_updated(fixed("b", "3", 2, 1));
    ready(&cluster);
    cluster.wukong_updated(fixed("a", "4", 1, 3));
    assert_eq!(ready(&cluster), ["a", "b"]);
    cluster.wukong_updated(fixed("a", "5", 1, 1));
    ready(&cluster);
    cluster.wukong_deleted(&fixed("a", "6", 1, 1));
    assert_eq!(ready(&cluster), ["b"]);
    cluster.wukongs_listed(vec![fixed("a", "7", 1, 1), fixed("b", "3", 2, 1)]);
    assert_eq!(ready(&cluster), ["a", "b"]);
    cluster.wukongs_listed(vec![fixed("b", "3", 2, 1)]);
    assert_eq!(ready(&cluster), ["b"]);
}
