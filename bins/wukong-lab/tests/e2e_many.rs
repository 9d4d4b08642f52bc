//! Many Wukongs at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use serde_json::{Value, json};
use wukong_lab::operator::USER;
use wukong_lab::wait::eventually;

use support::{Cluster, Space, condition, phase, root, wukong};

const NAMESPACES: usize = 4;
const EACH: usize = 50;
/// The VM, a disk, a network, the Secret.
const CHILDREN: usize = 4;
/// Two cores shared with everything else.
const DEADLINE: Duration = Duration::from_secs(300);

fn runs(wukong: &Value) -> bool {
    phase(wukong) == "Running" && condition(wukong, "Ready").0 == "True"
}

async fn create_all(space: &Space<'_>) {
    let spec = json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]});
    stream::iter(0..EACH)
        .map(|number| wukong(&format!("vm-{number}"), spec.clone()))
        .for_each_concurrent(8, async |object| drop(space.apply(&object).await))
        .await;
}

async fn all_run(space: &Space<'_>) {
    eventually("all run", DEADLINE, async || {
        let all = space.list("Wukong").await;
        let waiting: Vec<_> = all
            .iter()
            .filter(|wukong| !runs(wukong))
            .map(|wukong| {
                (
                    wukong["metadata"]["name"].clone(),
                    wukong["status"]["blocker"].clone(),
                )
            })
            .collect();
        if waiting.is_empty() && all.len() == EACH {
            return Ok(());
        }
        // A list of so many is work for the server, too.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err((waiting.len(), waiting.into_iter().next()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn two_hundred_at_once_all_run_and_cost_what_one_costs() {
    let (cluster, operator) = Cluster::with_operator("many-tests").await;
    let mut spaces = Vec::new();
    for _ in 0..NAMESPACES {
        spaces.push(cluster.space("many").await);
    }
    let start = Instant::now();
    join_all(spaces.iter().map(create_all)).await;
    let created = start.elapsed();
    join_all(spaces.iter().map(all_run)).await;
    println!(
        "{} Wukongs: created after {created:?}, all running after {:?}",
        NAMESPACES * EACH,
        start.elapsed()
    );

    let asked = cluster.lab.audit().all().unwrap().of_user(USER).complete();
    let gets = asked.clone().gets();
    assert!(gets.is_empty(), "{gets}");
    let mut writes = BTreeMap::<(String, String), usize>::new();
    for space in &spaces {
        for request in asked.clone().writes().in_namespace(&space.name).iter() {
            if !request.is_event() {
                let owner = request.name.split('.').next().unwrap();
                let owner = owner.split("-lan-").next().unwrap();
                *writes
                    .entry((space.name.clone(), owner.to_owned()))
                    .or_default() += 1;
            }
        }
    }
    assert_eq!(writes.len(), NAMESPACES * EACH);
    let total: usize = writes.values().sum();
    let most = writes.values().max().unwrap();
    println!(
        "writes: {:.2} each, at most {most}",
        total as f64 / writes.len() as f64
    );
    assert!(total <= writes.len() * (CHILDREN + 3), "{writes:#?}");

    // All of it is still so, and nothing more happens: also for an operator that starts anew.
    operator.stop().await.unwrap();
    let operator = cluster.operator().await;
    eventually("it has looked at all", DEADLINE, async || {
        let metrics = operator.get("/metrics").await.unwrap();
        let done = metrics.contains("wukong_queue_depth 0")
            && metrics.contains(&format!(
                "wukong_wukongs{{phase=\"Running\"}} {}",
                NAMESPACES * EACH
            ));
        if done { Ok(()) } else { Err(metrics) }
    })
    .await
    .unwrap();
    let mark = cluster.lab.audit().mark();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = cluster.asked(mark);
    assert!(asked.is_empty(), "{asked}");
    operator.stop().await.unwrap();
}
