//! Several operators, of which one works.

use std::time::{Duration, Instant};

use serde_json::json;
use wukong_lab::cluster::wait::eventually;
use wukong_lab::{Operator, OperatorOptions};

use crate::support::{Cluster, DEADLINE, Space, wukong};
use crate::turn;

async fn replica(cluster: &Cluster, identity: &str) -> Operator {
    let options = OperatorOptions::default().arg("--identity").arg(identity);
    let operator = cluster.operator_with(options).await;
    operator.ready().await.unwrap();
    operator
}

async fn holder(cluster: &Cluster) -> String {
    let system = Space::existing(cluster, wukong_lab::cluster::operator::NAMESPACE).await;
    let lease = system.get("Lease", "wukong-operator").await;
    lease["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Waits until a replica leads; how long that took.
async fn leads(cluster: &Cluster, operator: &Operator, identity: &str) -> Duration {
    let start = Instant::now();
    eventually(&format!("{identity} leads"), DEADLINE, async || {
        let leader = operator
            .get("/metrics")
            .await
            .unwrap()
            .contains("wukong_leader 1");
        let holder = holder(cluster).await;
        if leader && holder == identity {
            Ok(())
        } else {
            Err(holder)
        }
    })
    .await
    .unwrap();
    start.elapsed()
}

/// Writes that were answered.
async fn writes(operator: &Operator) -> f64 {
    let metrics = operator.get("/metrics").await.unwrap();
    metrics
        .lines()
        .filter(|line| line.starts_with("wukong_api_requests_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn vm_runs(space: &Space<'_>, name: &str) {
    space.apply(&wukong(name, json!({}))).await;
    space.running(name).await;
}

#[tokio::test]
async fn one_works_and_the_next_takes_over() {
    let cluster = turn().await;
    let space = cluster.space("leaders").await;
    let first = replica(&cluster, "first").await;
    leads(&cluster, &first, "first").await;
    let second = replica(&cluster, "second").await;
    vm_runs(&space, "one").await;
    assert!(writes(&first).await > 0.0);
    assert_eq!(writes(&second).await, 0.0);

    // SIGTERM: it lets go.
    let stopped = Instant::now();
    let status = first.stop().await.unwrap();
    assert!(status.success(), "{status}");
    leads(&cluster, &second, "second").await;
    println!("taken over {:?} after SIGTERM", stopped.elapsed());
    assert!(
        stopped.elapsed() < Duration::from_secs(4),
        "the lease did not have to run out"
    );
    vm_runs(&space, "two").await;

    // SIGKILL: its lease runs out.
    let third = replica(&cluster, "third").await;
    assert_eq!(writes(&third).await, 0.0);
    second.kill().await.unwrap();
    let took = leads(&cluster, &third, "third").await;
    println!("taken over {took:?} after SIGKILL");
    vm_runs(&space, "three").await;
    third.stop().await.unwrap();
}

#[tokio::test]
async fn a_leader_that_was_frozen_writes_nothing_when_it_wakes_up() {
    let cluster = turn().await;
    let space = cluster.space("frozen").await;
    let sleeper = replica(&cluster, "sleeper").await;
    leads(&cluster, &sleeper, "sleeper").await;
    vm_runs(&space, "one").await;
    let other = replica(&cluster, "other").await;
    sleeper.process().freeze();
    leads(&cluster, &other, "other").await;
    // Before the others notice that it sleeps, much happens.
    vm_runs(&space, "two").await;
    space.edit("one", json!({"cpu": 2})).await;
    space.running("one").await;
    let mark = space.mark();
    sleeper.process().thaw();
    eventually(
        "the sleeper knows that it leads no more",
        DEADLINE,
        async || {
            let metrics = sleeper.get("/metrics").await.unwrap();
            if metrics.contains("wukong_leader 0") {
                Ok(())
            } else {
                Err(metrics)
            }
        },
    )
    .await
    .unwrap();
    let before = writes(&sleeper).await;
    vm_runs(&space, "three").await;
    assert_eq!(writes(&sleeper).await, before);
    let all = space.requested_since(mark).writes();
    let conflicts = all.clone().filter(|request| request.code >= 400);
    assert!(conflicts.is_empty(), "{conflicts}");
    assert_eq!(holder(&cluster).await, "other");
    other.stop().await.unwrap();
    // It is still able to lead.
    leads(&cluster, &sleeper, "sleeper").await;
    vm_runs(&space, "four").await;
    sleeper.stop().await.unwrap();
}
