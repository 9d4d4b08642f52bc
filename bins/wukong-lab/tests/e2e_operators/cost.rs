//! The requests of the operator to the API server, counted in its audit log.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use wukong_lab::cluster::audit::Request;
use wukong_lab::cluster::operator::USER;

use crate::support::{Cluster, DEADLINE, Space, condition, failing, phase, root, wukong};
use crate::turn;

/// Long compared with every delay of the operator and the simulator.
const QUIET: Duration = Duration::from_secs(10);
/// Longer than every delay of a status or an event. A VM that waits is queried after ten seconds, and ten seconds later if its
/// namespace was queried just before; the status then has what the query found.
const SETTLES: Duration = Duration::from_secs(25);

/// Lists of one query: pods of VMs, importers, and warning events.
const QUERY: usize = 3;

/// One network, one imported disk, one blank disk and a user. The tests share a cluster, so each has an address of its own.
fn complete(name: &str, address: &str) -> Value {
    wukong(
        name,
        json!({
            "cloudInitUser": {"name": "me"},
            "networks": [{"name": "lan", "type": "bridge", "ipConfig": {"address": address}}],
            "disks": [root(), {"name": "data", "size": "1Gi"}],
        }),
    )
}
/// The VM, two disks, the network, the Secret.
const CHILDREN: usize = 5;

/// Anything but what keeps a lease and a watch alive.
fn counts(request: &Request) -> bool {
    request.user == USER && request.complete && !request.is_lease() && !request.is_watch()
}

#[tokio::test]
async fn a_vm_costs_its_children_and_three_writes() {
    let cluster = turn().await;
    let operator = cluster.operator().await;
    let space = cluster.space("cost").await;
    let mark = space.mark();
    space.apply(&complete("web", "10.0.0.2/24")).await;
    space.running("web").await;
    let running = Timestamp::now();
    // The audit log may not have the last requests yet.
    let in_space = |request: &Request| counts(request) && request.namespace == space.name;
    let audit = space.lab.audit();
    let asked = audit
        .wait_quiet(mark, Duration::from_secs(1), DEADLINE, in_space)
        .await
        .unwrap()
        .filter(|request| request.received <= running);
    let events = asked.clone().filter(Request::is_event);
    let writes = asked.clone().writes().filter(|request| !request.is_event());
    println!("{} writes, {} events", writes.len(), events.len());
    assert!(writes.len() > CHILDREN + 1, "{writes}");
    assert!(writes.len() <= CHILDREN + 3, "{writes}");
    assert!(events.len() <= 3, "{events}");
    let others = asked.filter(|request| !request.is_write());
    assert!(others.is_empty(), "{others}");
    operator.stop().await.unwrap();
}

/// Wukongs in every state in which a Wukong can stay.
async fn all_kinds(cluster: &Cluster) -> Space<'_> {
    let space = cluster.space("settled").await;
    let theirs =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "taken.cloud-init"}});
    space.apply(&theirs).await;
    space.apply(&complete("running", "10.0.0.3/24")).await;
    space
        .apply(&wukong(
            "halted",
            json!({"disks": [root()], "powerState": "Stopped"}),
        ))
        .await;
    space
        .apply(&wukong("paused", json!({"powerState": "Paused"})))
        .await;
    space
        .apply(&wukong(
            "manual",
            json!({"startStrategy": {"runStrategy": "Manual"}}),
        ))
        .await;
    space
        .apply(&wukong("invalid", json!({"memory": "4"})))
        .await;
    space.apply(&wukong("taken", json!({}))).await;
    space
        .apply(&failing(wukong("nowhere", json!({})), "unschedulable=kvm"))
        .await;
    space
        .apply(&failing(wukong("silent", json!({})), "agent-never"))
        .await;
    space
        .apply(&failing(
            wukong("pull", json!({"disks": [root()]})),
            "image-pull",
        ))
        .await;
    for (name, expected) in [
        ("running", "Running"),
        ("halted", "Stopped"),
        ("paused", "Paused"),
        ("manual", "Running"),
        ("silent", "Running"),
    ] {
        space
            .wukong(name, expected, |wukong| {
                phase(wukong) == expected && condition(wukong, "Ready").0 == "True"
            })
            .await;
    }
    space.blocked("invalid", "InvalidSpec").await;
    space.blocked("taken", "NameConflict").await;
    space.blocked("nowhere", "InsufficientDevices").await;
    space.blocked("pull", "ImagePullFailed").await;
    space
        .wukong("running", "answered by its guest", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    space
}

#[tokio::test]
async fn a_settled_cluster_costs_nothing_and_a_restart_writes_nothing() {
    let cluster = turn().await;
    let operator = cluster.operator().await;
    let space = all_kinds(&cluster).await;
    // The operator retries some writes, such as one with a taken name, and queries the pods and events of VMs that wait, both
    // with increasing pauses: not counted here.
    let queries = |request: &Request| counts(request) && request.verb == "list";
    let settled = |request: &Request| {
        counts(request) && !queries(request) && !request.name.starts_with("taken")
    };
    let audit = space.lab.audit();
    audit
        .wait_quiet(space.mark(), SETTLES, DEADLINE, settled)
        .await
        .unwrap();
    let mark = space.mark();
    tokio::time::sleep(QUIET).await;
    let asked = audit.since(mark).unwrap().filter(settled);
    assert!(asked.is_empty(), "{asked}");
    let asked = audit.since(mark).unwrap().filter(queries);
    assert!(
        asked.len() <= 2 * QUERY,
        "one query in ten seconds: {asked}"
    );

    let before = snapshot(&space).await;
    operator.stop().await.unwrap();
    let mark = space.mark();
    let operator = cluster.operator().await;
    // It has reconciled every Wukong when its metrics count the last of them.
    let metrics =
        wukong_lab::cluster::wait::eventually("it has reconciled all", DEADLINE, async || {
            let metrics = operator.get("/metrics").await.unwrap();
            let reconciles: f64 = metrics
                .lines()
                .filter_map(|line| line.strip_prefix("wukong_reconciles_total{"))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum();
            if reconciles >= 9.0 && metrics.contains("wukong_queue_depth 0") {
                Ok(metrics)
            } else {
                Err(metrics)
            }
        })
        .await
        .unwrap();
    audit
        .wait_quiet(mark, Duration::from_secs(2), DEADLINE, settled)
        .await
        .unwrap();
    let asked = audit.since(mark).unwrap().filter(settled);
    assert!(
        asked.clone().writes().is_empty(),
        "{}\n{metrics}",
        asked.writes()
    );
    assert!(asked.clone().gets().is_empty(), "{}", asked.gets());
    assert_eq!(snapshot(&space).await, before);
    operator.stop().await.unwrap();
}

/// The versions of everything in the namespace.
async fn snapshot(space: &Space<'_>) -> Vec<String> {
    let mut versions = Vec::new();
    for kind in [
        "Wukong",
        "VirtualMachine",
        "DataVolume",
        "NetworkAttachmentDefinition",
        "Secret",
    ] {
        for object in space.list(kind).await {
            let metadata = &object["metadata"];
            versions.push(format!(
                "{kind} {} {}",
                metadata["name"], metadata["resourceVersion"]
            ));
        }
    }
    versions
}
