//! The operator never changes foreign objects that have our names.

use futures::future::join_all;
use serde_json::{Value, json};
use wukong_api::names;

use crate::cluster;
use crate::support::{condition, phase, root, without_bookkeeping, wukong};

/// A foreign object with the name of an object that the Wukong `name` needs.
fn foreign(kind: &str, name: &str) -> Value {
    let (api_version, object) = match kind {
        "VirtualMachine" => (
            "kubevirt.io/v1",
            json!({"metadata": {"name": name}, "spec": {"runStrategy": "Halted", "template": {"spec":
                {"domain": {"devices": {}, "memory": {"guest": "1Gi"}}}}}}),
        ),
        "NetworkAttachmentDefinition" => (
            "k8s.cni.cncf.io/v1",
            json!({"metadata": {"name": names::network_attachment_definition(name, "lan")}, "spec": {"config": "{}"}}),
        ),
        "DataVolume" => (
            "cdi.kubevirt.io/v1beta1",
            json!({"metadata": {"name": names::claim(name, "root")}, "spec": {"source": {"blank": {}},
                "storage": {"resources": {"requests": {"storage": "3Gi"}}}}}),
        ),
        "PersistentVolumeClaim" => (
            "v1",
            // Of no class: no controller ever changes it.
            json!({"metadata": {"name": names::claim(name, "root")}, "spec": {"storageClassName": "",
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}}),
        ),
        "Secret" => (
            "v1",
            json!({"metadata": {"name": names::cloud_init_secret(name)}, "stringData": {"userdata": "theirs"}}),
        ),
        other => panic!("{other}"),
    };
    let mut object = object;
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    object["metadata"]["labels"] = json!({"owner": "theirs"});
    if kind == "Secret" {
        object.as_object_mut().unwrap().remove("stringData");
        object["data"] = json!({"userdata": "dGhlaXJz"});
    }
    object
}

#[tokio::test]
async fn a_foreign_object_is_named_left_alone_and_replaced_when_it_is_gone() {
    let space = &cluster().await.space("conflicts").await;
    let rows = [
        ("vm", "VirtualMachine"),
        ("nad", "NetworkAttachmentDefinition"),
        ("dv", "DataVolume"),
        ("pvc", "PersistentVolumeClaim"),
        ("secret", "Secret"),
    ];
    let checks = rows.map(|(name, kind)| async move {
        let mut object = foreign(kind, name);
        object["metadata"]["namespace"] = json!(space.name);
        let taken = object["metadata"]["name"].as_str().unwrap().to_owned();
        space.apply(&object).await;
        // CDI and KubeVirt complete what they find: their part of it is done.
        let before = space
            .until(kind, &taken, "complete", |object| {
                let status = &object["status"];
                let done = match kind {
                    "VirtualMachine" => status["printableStatus"] == "Stopped",
                    "DataVolume" => status["phase"] == "Succeeded",
                    _ => true,
                };
                (!object.is_null() && done).then(|| object.clone())
            })
            .await;
        space
            .apply(&wukong(
                name,
                json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]}),
            ))
            .await;
        let blocked = space.blocked(name, "NameConflict").await;
        let object_name = format!("{kind}/{taken}");
        assert_eq!(
            blocked["status"]["blocker"]["object"],
            json!(object_name),
            "{blocked}"
        );
        assert_eq!(phase(&blocked), "Error");
        let (status, _, message) = condition(&blocked, "SpecValid");
        assert_eq!(status, "False");
        assert!(message.contains(&object_name), "{message}");
        let after = space.get(kind, &taken).await;
        assert_eq!(
            without_bookkeeping(&after),
            without_bookkeeping(&before),
            "{kind}"
        );
        assert_eq!(
            after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
            "{kind} was written"
        );
        space.delete(kind, &taken).await;
        space.running(name).await;
        let ours = space.get(kind, &taken).await;
        assert_ne!(ours["metadata"]["uid"], before["metadata"]["uid"]);
        assert!(ours["metadata"]["labels"]["owner"].is_null(), "{ours}");
    });
    join_all(checks).await;
}

#[tokio::test]
async fn what_others_add_to_our_secret_stays_when_it_changes() {
    let space = &cluster().await.space("marked").await;
    let ada = json!({"disks": [root()], "cloudInitUser": {"name": "ada"}});
    space.apply(&wukong("web", ada)).await;
    space.running("web").await;
    let name = names::cloud_init_secret("web");
    let before = space.get("Secret", &name).await;
    let vm = space.get("VirtualMachine", "web").await;
    let theirs = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": "web",
        "uid": vm["metadata"]["uid"]});
    let owners = json!([theirs, before["metadata"]["ownerReferences"][0]]);
    let marks = json!({"labels": {"owner": "theirs"}, "annotations": {"owner": "theirs"}, "ownerReferences": owners});
    space
        .merge("Secret", &name, json!({"metadata": marks}))
        .await;

    let changed_to = async |user: &str, before: &Value| {
        space
            .edit("web", json!({"cloudInitUser": {"name": user}}))
            .await;
        let changed = |secret: &Value| {
            (secret["data"]["userdata"] != before["data"]["userdata"]).then(|| secret.clone())
        };
        space.until("Secret", &name, "changed", changed).await
    };
    let bob = changed_to("bob", &before).await;
    let metadata = &bob["metadata"];
    assert_eq!(metadata["labels"]["owner"], "theirs");
    assert_eq!(metadata["annotations"]["owner"], "theirs");
    assert_eq!(metadata["ownerReferences"], owners);

    let bare = json!([{"op": "remove", "path": "/metadata/labels"},
        {"op": "remove", "path": "/metadata/ownerReferences/0"}]);
    space.json_patch("Secret", &name, bare).await;
    let eve = changed_to("eve", &bob).await;
    assert_eq!(
        eve["metadata"]["labels"], before["metadata"]["labels"],
        "ours are made again"
    );
}
