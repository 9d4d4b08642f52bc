//! Networks that keep a VM from running.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{cluster, heal, node, on_node};
use crate::support::wukong;
use crate::verdict::blocker;

fn nic(rest: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    crate::support::merge(&mut nic, rest);
    json!({"networks": [nic]})
}

#[tokio::test]
async fn a_node_whose_network_is_broken_is_named() {
    let space = &cluster().await.space("networks").await;
    let rows = [
        (
            "multus-broken",
            "EnvironmentReady",
            "MultusUnhealthy",
            "multus",
        ),
        (
            "no-bridge=br-lan",
            "NodeNetworkReady",
            "BridgeMissingOnNodes",
            "no bridge br-lan",
        ),
    ];
    join_all(rows.map(|(scenario, condition, reason, part)| async move {
        let name = scenario.replace('=', "-");
        node(space, &name, scenario).await;
        space.apply(&on_node(&name, &name, nic(json!({})))).await;
        blocker(condition, reason, "*", part)
            .is_named(space, &name)
            .await;
        heal(space, "Node", &name).await;
        space.running(&name).await;
    }))
    .await;
}

#[tokio::test]
async fn a_definition_that_somebody_else_has_to_make_is_named() {
    let space = &cluster().await.space("definitions").await;
    let theirs = nic(json!({"nadName": "theirs", "bridgeName": null}));
    space.apply(&wukong("web", theirs)).await;
    let missing = "there is no NetworkAttachmentDefinition theirs";
    let object = "NetworkAttachmentDefinition/theirs";
    blocker("DependenciesResolved", "NADNotFound", object, missing)
        .is_named(space, "web")
        .await;
}
