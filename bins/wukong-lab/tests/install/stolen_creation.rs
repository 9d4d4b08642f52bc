//! What a thief of the operator's token cannot make of the kinds that the operator makes.

use http::Method;
use serde_json::{Value, json};

use crate::cluster;
use crate::stolen_token::{ask, thief};
use crate::support::merge;

/// Kubernetes fills a Secret of that type with the token of the account that it names, and the answer to a patch of an
/// object that is ours shows all of it.
#[tokio::test]
async fn a_stolen_token_makes_no_secret_that_becomes_another_token() {
    let space = cluster().await.space("minted").await;
    let client = thief(&space).await;
    let secret = |kind: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {
                "name": "loot",
                "labels": {"vm.novasphere.dev/wukong": "web"},
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
            "data": {"token-id": "YWJjZGVm", "token-secret": "MDEyMzQ1Njc4OWFiY2RlZg=="},
        })
    };
    let path = format!("/api/v1/namespaces/{}/secrets?dryRun=All", space.name);
    for kind in [
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "anything",
    ] {
        let (code, words) = ask(&client, &Method::POST, &path, &secret(kind)).await;
        assert_eq!(code, 422, "{kind}: {words}");
        assert!(words.contains("only Opaque Secrets"), "{kind}: {words}");
    }
    let (code, words) = ask(&client, &Method::POST, &path, &secret("Opaque")).await;
    assert_eq!(code, 200, "{words}");
}

fn machine(spec: Value, annotations: Value) -> Value {
    let mut instance =
        json!({"domain": {"devices": {}, "memory": {"guest": "64Mi"}}, "volumes": []});
    merge(&mut instance, spec);
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": "loot", "labels": {"vm.novasphere.dev/wukong": "web"}},
        "spec": {"runStrategy": "Halted", "template": {"metadata": {"annotations": annotations}, "spec": instance}},
    })
}

/// What a machine could be given to reach its node or other people's Secrets, and the words that refuse it.
fn dangerous() -> Vec<(Value, Value, &'static str)> {
    let volume = |content: Value| {
        let mut volume = json!({"name": "loot"});
        merge(&mut volume, content);
        json!({"volumes": [volume]})
    };
    vec![
        (
            volume(json!({"secret": {"secretName": "theirs"}})),
            json!({}),
            "may use only claims",
        ),
        (
            volume(json!({"serviceAccount": {"serviceAccountName": "default"}})),
            json!({}),
            "may use only claims",
        ),
        (
            volume(json!({"configMap": {"name": "theirs"}})),
            json!({}),
            "may use only claims",
        ),
        (
            volume(json!({"hostDisk": {"path": "/etc", "type": "DiskOrCreate"}})),
            json!({}),
            "may use only claims",
        ),
        (
            json!({"domain": {"devices": {"hostDevices": [{"name": "x", "deviceName": "vendor.com/device"}]}}}),
            json!({}),
            "may not use host devices",
        ),
        (
            json!({"domain": {"devices": {"gpus": [{"name": "x", "deviceName": "vendor.com/gpu"}]}}}),
            json!({}),
            "may not use host devices",
        ),
        (
            json!({}),
            json!({"hooks.kubevirt.io/hookSidecars": "[]"}),
            "may not use hook sidecars",
        ),
    ]
}

#[tokio::test]
async fn a_stolen_token_makes_no_machine_that_reaches_its_node_or_other_people_s_secrets() {
    let space = cluster().await.space("machines").await;
    let client = thief(&space).await;
    let machines = format!(
        "/apis/kubevirt.io/v1/namespaces/{}/virtualmachines",
        space.name
    );
    let harmless = machine(json!({}), json!({}));
    let (code, words) = ask(&client, &Method::POST, &machines, &harmless).await;
    assert_eq!(code, 200, "{words}");
    let of_instances = dangerous().into_iter();
    let mut refused: Vec<_> = of_instances
        .map(|(spec, annotations, refusal)| (machine(spec, annotations), refusal))
        .collect();
    // Either can bring host devices with it.
    for kind in ["instancetype", "preference"] {
        let mut vm = harmless.clone();
        vm["spec"][kind] = json!({"name": "with-a-gpu"});
        refused.push((vm, "may not use instance types"));
    }
    for (vm, refusal) in refused {
        for (method, path) in [
            (Method::POST, format!("{machines}?dryRun=All")),
            (Method::PATCH, format!("{machines}/loot?dryRun=All")),
        ] {
            let (code, words) = ask(&client, &method, &path, &vm).await;
            assert_eq!(code, 422, "{method} {vm}: {words}");
            assert!(words.contains(refusal), "{method} {vm}: {words}");
        }
    }
    // A foreign object stays, and the operator goes on with its own work.
    let (spec, annotations, _) = dangerous().swap_remove(0);
    let theirs = machine(spec, annotations);
    space
        .merge(
            "VirtualMachine",
            "loot",
            json!({"spec": {"template": theirs["spec"]["template"]}}),
        )
        .await;
    let patch = json!({"spec": {"template": {"spec": {"domain": {"memory": {"guest": "128Mi"}}}}}});
    let (code, words) = ask(&client, &Method::PATCH, &format!("{machines}/loot"), &patch).await;
    assert_eq!(code, 200, "{words}");
}
