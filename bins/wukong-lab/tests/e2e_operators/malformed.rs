//! One stored object that cannot be read does not harm the others.

use serde_json::{Value, json};
use wukong_lab::cluster::wait::eventually;

use crate::support::{DEADLINE, Space, condition, phase, wukong};
use crate::turn;

const DEFINITION: &str = "wukongs.vm.novasphere.dev";
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Replaces the schema of `spec`; returns the one before.
async fn with_schema(space: &Space<'_>, schema: Value) -> Value {
    let definition = space.get("CustomResourceDefinition", DEFINITION).await;
    let before = definition.pointer(SPEC).unwrap().clone();
    let patch = json!([{"op": "replace", "path": SPEC, "value": schema}]);
    space
        .json_patch("CustomResourceDefinition", DEFINITION, patch)
        .await;
    before
}

#[tokio::test]
async fn a_malformed_object_is_named_and_harms_nobody() {
    let cluster = turn().await;
    let space = cluster.space("malformed").await;
    // As an older or newer version of the definition may have let in.
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let strict = with_schema(&space, open).await;
    let mut malformed = wukong("malformed", json!({}));
    malformed["spec"] = json!({"cpu": "two", "memory": ["1Gi"]});
    // So malformed that the API server's own rules stumble over it, and it takes not even a status.
    let mut hopeless = wukong("hopeless", json!({}));
    hopeless["spec"] = json!({"cpu": 1, "memory": "1Gi", "disks": "none"});
    for object in [&malformed, &hopeless] {
        eventually("it is stored", DEADLINE, async || {
            space.try_apply(object).await.map(drop)
        })
        .await
        .unwrap();
    }
    with_schema(&space, strict).await;
    let probe = wukong("probe", json!({"cpu": "two"}));
    eventually("the schema is strict again", DEADLINE, async || match space
        .try_dry_run(&probe)
        .await
    {
        Err(kube::Error::Api(status)) if status.message.contains("cpu") => Ok(()),
        other => Err(other),
    })
    .await
    .unwrap();

    let operator = cluster.operator().await;
    space.apply(&wukong("before", json!({}))).await;
    space.running("before").await;
    let blocked = space
        .until("Wukong", "malformed", "called so", |wukong| {
            (condition(wukong, "SpecValid").0 == "False").then(|| wukong.clone())
        })
        .await;
    assert_eq!(phase(&blocked), "Error");
    assert_eq!(condition(&blocked, "SpecValid").1, "CRDOutdated");
    let message = condition(&blocked, "SpecValid").2;
    assert!(
        message.contains("cpu") || message.contains("two"),
        "{message}"
    );
    assert!(space.get("VirtualMachine", "malformed").await.is_null());
    eventually("an event names the hopeless one", DEADLINE, async || {
        let events = space.list("Event").await;
        let about = |event: &&Value| {
            event["regarding"]["name"] == "hopeless" && event["reason"] == "CRDOutdated"
        };
        events
            .iter()
            .find(about)
            .map(drop)
            .ok_or_else(|| events.clone())
    })
    .await
    .unwrap();

    // The others live on: made, changed, deleted.
    space.edit("before", json!({"powerState": "Stopped"})).await;
    space
        .wukong("before", "stopped", |wukong| phase(wukong) == "Stopped")
        .await;
    space.apply(&wukong("after", json!({}))).await;
    space.running("after").await;
    space.delete("Wukong", "before").await;
    space.gone("VirtualMachine", "before").await;

    // Made right, they are like the others.
    for name in ["malformed", "hopeless"] {
        let spec =
            json!([{"op": "replace", "path": "/spec", "value": {"cpu": 1, "memory": "1Gi"}}]);
        space.json_patch("Wukong", name, spec).await;
        space.running(name).await;
    }
    operator.stop().await.unwrap();
}
