//! An operator that ends in the middle leaves nothing that the next cannot go on with.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wukong_lab::OperatorOptions;
use wukong_lab::cluster::wait::eventually;

use crate::support::{DEADLINE, Space, condition, failing, phase, root, wukong};
use crate::turn;

const KINDS: [&str; 5] = [
    "VirtualMachine",
    "DataVolume",
    "PersistentVolumeClaim",
    "NetworkAttachmentDefinition",
    "Secret",
];

fn web() -> Value {
    wukong(
        "web",
        json!({
            "networks": [{"name": "lan", "type": "bridge"}],
            "disks": [root(), {"name": "data", "size": "1Gi"}],
        }),
    )
}

/// What was made, by kind and name, with its uid.
async fn made(space: &Space<'_>) -> BTreeMap<String, Value> {
    let mut made = BTreeMap::new();
    for kind in KINDS {
        for object in space.list(kind).await {
            let metadata = &object["metadata"];
            let name = metadata["name"].as_str().unwrap();
            // CDI's own, for the time of an import.
            if !name.starts_with("prime-") {
                made.insert(format!("{kind}/{name}"), metadata["uid"].clone());
            }
        }
    }
    made
}

/// A short lease: a killed leader is followed soon.
fn hasty() -> OperatorOptions {
    OperatorOptions::default().arg("--lease-seconds=3")
}

#[tokio::test]
async fn killed_after_any_write_it_is_followed_to_the_same_objects() {
    let cluster = turn().await;
    let mut operator = cluster.operator_with(hasty()).await;
    operator.ready().await.unwrap();
    let golden = cluster.space("golden").await;
    golden.apply(&web()).await;
    golden.running("web").await;
    let expected: Vec<String> = made(&golden).await.into_keys().collect();

    for writes in 1..=6 {
        let space = cluster.space("killed").await;
        space.apply(&web()).await;
        eventually("it has begun to write", DEADLINE, async || {
            let seen = space.asked().writes();
            if seen.len() >= writes {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await
        .unwrap();
        operator.kill().await.unwrap();
        let before = made(&space).await;
        operator = cluster.operator_with(hasty()).await;
        space.running("web").await;
        let after = made(&space).await;
        assert_eq!(
            after.keys().cloned().collect::<Vec<_>>(),
            expected,
            "after {writes} writes"
        );
        for (object, uid) in before {
            assert_eq!(
                after[&object], uid,
                "{object} was made twice, after {writes} writes"
            );
        }
    }
    operator.stop().await.unwrap();
}

#[tokio::test]
async fn what_happens_while_no_operator_runs_is_made_up_for() {
    let cluster = turn().await;
    let operator = cluster.operator().await;
    let space = cluster.space("restarted").await;
    // In the middle of an import.
    space.apply(&failing(web(), "slow-import=1000")).await;
    space
        .wukong("web", "importing", |wukong| {
            condition(wukong, "VolumesBound").1 == "Importing"
        })
        .await;
    space.apply(&wukong("doomed", json!({}))).await;
    space.running("doomed").await;
    space.apply(&wukong("edited", json!({}))).await;
    space.running("edited").await;
    space.apply(&wukong("drifting", json!({}))).await;
    space.running("drifting").await;
    operator.stop().await.unwrap();

    let before = made(&space).await;
    space.scenario("web", None).await;
    space.delete("Wukong", "doomed").await;
    space.gone("VirtualMachine", "doomed").await;
    space.edit("edited", json!({"powerState": "Stopped"})).await;
    let sockets = json!({"spec": {"template": {"spec": {"domain": {"cpu": {"sockets": 3}}}}}});
    space.merge("VirtualMachine", "drifting", sockets).await;
    space.apply(&wukong("new", json!({}))).await;

    let operator = cluster.operator().await;
    space.running("web").await;
    space
        .wukong("edited", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    space.running("new").await;
    space
        .until("VirtualMachine", "drifting", "repaired", |vm| {
            let sockets = vm.pointer("/spec/template/spec/domain/cpu/sockets");
            (sockets == Some(&json!(1))).then_some(())
        })
        .await;
    let after = made(&space).await;
    for (object, uid) in before {
        if !object.contains("doomed") {
            assert_eq!(after.get(&object), Some(&uid), "{object}");
        }
    }
    assert!(
        !after.keys().any(|object| object.contains("doomed")),
        "{after:?}"
    );
    operator.stop().await.unwrap();
}
