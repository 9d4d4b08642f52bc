//! Edits by others: the operator reverts those of our fields and keeps the rest.

use serde_json::{Value, json};
use wukong_api::names;

use crate::cluster;
use crate::support::{Space, condition, phase, root, wukong};

const VM: &str = "VirtualMachine";
const NAD: &str = "NetworkAttachmentDefinition";
const SOCKETS: &str = "/spec/template/spec/domain/cpu/sockets";

fn spec() -> Value {
    json!({"disks": [root()], "networks": [{"name": "lan", "type": "bridge"}]})
}

/// Waits until a place of an object is as it was.
async fn returns(space: &Space<'_>, kind: &str, name: &str, pointer: &str, was: &Value) {
    space
        .until(kind, name, &format!("with {pointer} = {was}"), |object| {
            (object.pointer(pointer) == Some(was)).then_some(())
        })
        .await;
}

#[tokio::test]
async fn fields_that_are_ours_return_and_others_stay() {
    let space = cluster().await.space("drift").await;
    space.apply(&wukong("web", spec())).await;
    space.running("web").await;
    let definition = names::network_attachment_definition("web", "lan");
    let before = space.get(NAD, &definition).await;
    let config = before["spec"]["config"].clone();

    let theirs =
        json!({"metadata": {"labels": {"team": "blue"}, "annotations": {"note": "by hand"}}});
    space.merge(VM, "web", theirs.clone()).await;
    space.merge(NAD, &definition, theirs.clone()).await;
    // Changed.
    space
        .merge(
            VM,
            "web",
            json!({"spec": {"template": {"spec": {"domain": {"cpu": {"sockets": 4}}}}}}),
        )
        .await;
    returns(&space, VM, "web", SOCKETS, &json!(1)).await;
    space
        .merge(NAD, &definition, json!({"spec": {"config": "{}"}}))
        .await;
    returns(&space, NAD, &definition, "/spec/config", &config).await;
    // Removed.
    let label = json!({"metadata": {"labels": {"vm.novasphere.dev/wukong": null}}});
    space.merge(VM, "web", label).await;
    returns(
        &space,
        VM,
        "web",
        "/metadata/labels/vm.novasphere.dev~1wukong",
        &json!("web"),
    )
    .await;
    // Deleted.
    space.delete(NAD, &definition).await;
    space
        .until(NAD, &definition, "made again", |object| {
            let uid = &object["metadata"]["uid"];
            (uid.is_string() && *uid != before["metadata"]["uid"]).then_some(())
        })
        .await;

    let vm = space.get(VM, "web").await;
    assert_eq!(vm["metadata"]["labels"]["team"], "blue");
    assert_eq!(vm["metadata"]["annotations"]["note"], "by hand");
    space.running("web").await;
}

#[tokio::test]
async fn a_vm_that_somebody_deletes_is_made_again() {
    let space = cluster().await.space("deleted-vm").await;
    space.apply(&wukong("web", spec())).await;
    space.running("web").await;
    let first = space.get(VM, "web").await["metadata"]["uid"].clone();
    let claim = space.get("PersistentVolumeClaim", "web.root").await["metadata"]["uid"].clone();
    space.delete(VM, "web").await;
    space
        .until(VM, "web", "another one", |vm| {
            let uid = &vm["metadata"]["uid"];
            (uid.is_string() && *uid != first).then_some(())
        })
        .await;
    space.running("web").await;
    let kept = space.get("PersistentVolumeClaim", "web.root").await["metadata"]["uid"].clone();
    assert_eq!(kept, claim);
}

#[tokio::test]
async fn a_manager_that_keeps_changing_a_field_back_is_named_and_not_fought_for_ever() {
    let space = cluster().await.space("fight").await;
    space.apply(&wukong("web", spec())).await;
    space.running("web").await;
    let mark = space.mark();
    let edit = json!({"spec": {"template": {"spec": {"domain": {"cpu": {"sockets": 4}}}}}});
    let blocked = loop {
        space.merge(VM, "web", edit.clone()).await;
        // Either the operator repairs it, or it reports that it no longer does.
        let repaired = async {
            returns(&space, VM, "web", SOCKETS, &json!(1)).await;
            None
        };
        let gave_up = async { Some(space.blocked("web", "FieldManagerConflict").await) };
        let outcome = tokio::select! {
            repaired = repaired => repaired,
            blocked = gave_up => blocked,
        };
        if let Some(blocked) = outcome {
            break blocked;
        }
    };
    let (_, _, message) = condition(&blocked, "Created");
    assert!(message.contains("a-user-edits"), "{message}");
    assert_eq!(blocked["status"]["blocker"]["object"], "VirtualMachine/web");
    // The VM runs all the same.
    assert_eq!(phase(&blocked), "Running");
    let repairs = space
        .requested_since(mark)
        .filter(|request| request.resource == "virtualmachines" && request.code == 200);
    assert!(repairs.len() <= 4, "{repairs}");
}
