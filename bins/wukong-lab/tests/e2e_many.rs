//! Many Wukongs at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;
use serde_json::{Value, json};
use wukong_lab::cluster::operator::USER;
use wukong_lab::cluster::wait::eventually;

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
        tokio::time::sleep(Duration::from_secs(2)).await;
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
    let took = start.elapsed();
    println!("created after {created:?}, all running after {took:?}");

    let asked = cluster.lab.audit().all().unwrap().of_user(USER).complete();
    let gets = asked.clone().gets();
    assert!(gets.is_empty(), "{gets}");
    let mut applies = BTreeMap::<(String, String), usize>::new();
    for space in &spaces {
        for request in asked.clone().writes().in_namespace(&space.name).iter() {
            if !request.is_event() && request.subresource != "status" {
                let key = (
                    request.resource.clone(),
                    format!("{}/{}", space.name, request.name),
                );
                *applies.entry(key).or_default() += 1;
            }
        }
    }
    let wukongs = NAMESPACES * EACH;
    assert_eq!(applies.len(), wukongs * CHILDREN);
    applies.retain(|_, times| *times > 1);
    assert!(applies.is_empty(), "written more than once: {applies:#?}");
    // When it begins, in the middle, and when it runs; and progress every five seconds, if it takes longer.
    let statuses = asked
        .filter(|request| request.subresource == "status")
        .len();
    let each = statuses as f64 / wukongs as f64;
    println!("{each:.2} status writes each");
    assert!(
        each <= 3.0 + took.as_secs_f64() / 5.0,
        "{each:.2} in {took:?}"
    );

    // The agents of the last guests may just have answered, which the status reports within five seconds.
    let audit = cluster.lab.audit();
    let writes = |request: &wukong_lab::cluster::audit::Request| {
        request.user == USER && request.is_write() && !request.is_lease()
    };
    audit
        .wait_quiet(audit.mark(), Duration::from_secs(6), DEADLINE, writes)
        .await
        .unwrap();

    // The state stays, and nothing more happens: also after a restart of the operator.
    operator.stop().await.unwrap();
    let operator = cluster.operator().await;
    eventually("it has reconciled all", DEADLINE, async || {
        let metrics = operator.get("/metrics").await.unwrap();
        let done = metrics.contains("wukong_queue_depth 0")
            && metrics.contains(&format!(
                "wukong_vms{{phase=\"Running\"}} {}",
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
