//! Networks that keep a VM from running.

use serde_json::{Value, json};

use super::cluster;
use crate::support::wukong;
use crate::verdict::blocker;

fn nic(rest: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    crate::support::merge(&mut nic, rest);
    json!({"networks": [nic]})
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
