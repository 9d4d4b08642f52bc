//! On what the first write of each child rests: an apply that expects nothing creates or fails. (docs/adr/0001)

use futures::future::join;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster;
use crate::support::Space;

async fn apply_expecting_nothing(
    space: &Space<'_>,
    kind: &str,
    object: &Value,
) -> kube::Result<()> {
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = json!("1");
    let params = PatchParams::apply("wukong-operator").force();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    space
        .api(kind)
        .patch(&name, &params, &Patch::Apply(object))
        .await
        .map(drop)
}

fn refused(answer: kube::Result<()>) -> bool {
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 409)
}

/// One of a kind that is built in and one of a custom one, with and without admission webhooks.
fn objects() -> [(&'static str, Value); 5] {
    let small = json!({"resources": {"requests": {"storage": "1Gi"}}});
    [
        (
            "Secret",
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}),
        ),
        (
            "PersistentVolumeClaim",
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": {
                "storageClassName": "", "accessModes": ["ReadWriteOnce"], "resources": small["resources"]}}),
        ),
        (
            "NetworkAttachmentDefinition",
            json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "x"},
                "spec": {"config": "{}"}}),
        ),
        (
            "DataVolume",
            json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {"name": "y"}, "spec": {
                "source": {"blank": {}}, "storage": small}}),
        ),
        (
            "VirtualMachine",
            json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "x"}, "spec": {
                "runStrategy": "Halted", "template": {"spec": {"domain": {"devices": {}, "memory": {"guest": "1Gi"}}}}}}),
        ),
    ]
}

#[tokio::test]
async fn an_apply_that_expects_nothing_creates_or_is_refused() {
    let space = cluster().await.space("create-only").await;
    for (kind, object) in objects() {
        apply_expecting_nothing(&space, kind, &object)
            .await
            .unwrap();
        let name = object["metadata"]["name"].as_str().unwrap();
        let stored = space.get(kind, name).await;
        assert!(stored["metadata"]["uid"].is_string(), "{kind}");
        assert!(
            refused(apply_expecting_nothing(&space, kind, &object).await),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn of_two_that_expect_nothing_one_creates() {
    let space = cluster().await.space("create-race").await;
    for (kind, object) in objects() {
        for round in 0..10 {
            let mut object = object.clone();
            object["metadata"]["name"] = json!(format!("{}-{round}", kind.to_lowercase()));
            let one = apply_expecting_nothing(&space, kind, &object);
            let other = apply_expecting_nothing(&space, kind, &object);
            let (one, other) = join(one, other).await;
            assert_eq!(
                one.is_ok() as u8 + other.is_ok() as u8,
                1,
                "{kind}: {one:?} {other:?}"
            );
            assert!(refused(if one.is_ok() { other } else { one }), "{kind}");
        }
    }
}
