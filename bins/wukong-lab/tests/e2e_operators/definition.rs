//! A CustomResourceDefinition of an older release.

use serde_json::{Value, json};

use crate::support::{Space, condition, plugin, wukong};
use crate::turn;

const CRD: &str = "wukongs.vm.novasphere.dev";
const MTU: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/networks/items/properties/mtu";

async fn patch(space: &Space<'_>, patch: Value) {
    space
        .json_patch("CustomResourceDefinition", CRD, json!([patch]))
        .await;
}

#[tokio::test]
async fn what_an_older_definition_drops_is_named_until_it_is_replaced() {
    let cluster = turn().await;
    let space = cluster.space("outdated").await;
    let operator = cluster.operator().await;
    space.apply(&wukong("vm", json!({}))).await;
    space.running("vm").await;
    let definition = space.get("CustomResourceDefinition", CRD).await;

    patch(&space, json!({"op": "remove", "path": MTU})).await;
    let dropped = "the API server drops spec.networks[].mtu";
    space
        .wukong("vm", "reports the dropped field", |wukong| {
            let (_, reason, message) = condition(wukong, "SpecValid");
            reason == "CRDOutdated" && message.contains(dropped)
        })
        .await;
    let (_, out, err) = plugin::run(&space, &["preflight"]).await;
    assert!(out.contains(dropped), "{out}{err}");

    let value = definition.pointer(MTU).unwrap();
    patch(&space, json!({"op": "add", "path": MTU, "value": value})).await;
    space
        .wukong("vm", "reports no dropped field", |wukong| {
            condition(wukong, "SpecValid").1 == "Valid"
        })
        .await;
    operator.stop().await.unwrap();
}
