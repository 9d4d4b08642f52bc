//! The permissions of the operator, and the rules that restrict it.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use wukong_lab::cluster::operator::USER;

use crate::cluster;
use crate::protection;
use crate::support::{condition, merge, phase, resource, root, wukong};

async fn allowed(
    client: &Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                subresource: Some(subresource.into()).filter(|text: &String| !text.is_empty()),
                namespace: Some(namespace.into()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::<SelfSubjectAccessReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    answer.status.unwrap().allowed
}

#[tokio::test]
async fn what_the_operator_must_not_do_it_cannot() {
    let space = cluster().await.space("rights").await;
    let client = space.lab.operator_client("rights-test").await.unwrap();
    for (verbs, group, resource) in [
        ("get list watch update delete", "", "secrets"),
        (
            "get update delete deletecollection",
            "",
            "persistentvolumeclaims",
        ),
        (
            "get update delete deletecollection",
            "cdi.kubevirt.io",
            "datavolumes",
        ),
        (
            "get update delete deletecollection",
            "kubevirt.io",
            "virtualmachines",
        ),
        (
            "create patch delete",
            "kubevirt.io",
            "virtualmachineinstances",
        ),
        ("create patch update delete", "vm.novasphere.dev", "wukongs"),
        ("create delete get patch update", "", "pods"),
        ("create", "", "pods/exec"),
        ("get list create patch", "", "configmaps"),
        ("create", "", "serviceaccounts/token"),
        ("impersonate", "", "users"),
        (
            "patch update create",
            "rbac.authorization.k8s.io",
            "clusterroles",
        ),
        (
            "patch update",
            "admissionregistration.k8s.io",
            "validatingadmissionpolicies",
        ),
        ("patch update", "", "nodes"),
    ] {
        for verb in verbs.split(' ') {
            assert!(
                !allowed(&client, verb, group, resource, &space.name).await,
                "the operator may {verb} {resource}.{group}"
            );
        }
    }
    // And the review can say yes.
    assert!(
        allowed(
            &client,
            "patch",
            "kubevirt.io",
            "virtualmachines",
            &space.name
        )
        .await
    );
}

/// A foreign object of every kind that the operator may change.
fn theirs() -> [Value; 5] {
    let size = json!({"resources": {"requests": {"storage": "1Gi"}}});
    let domain = json!({"devices": {}, "memory": {"guest": "1Gi"}});
    let object = |version: &str, kind: &str, fields: Value| {
        let mut object =
            json!({"apiVersion": version, "kind": kind, "metadata": {"name": "theirs"}});
        merge(&mut object, fields);
        object
    };
    [
        object("v1", "Secret", json!({"data": {"key": "c2VjcmV0"}})),
        object(
            "v1",
            "PersistentVolumeClaim",
            json!({"spec": {"storageClassName": "", "accessModes": ["ReadWriteOnce"], "resources": size["resources"]}}),
        ),
        object(
            "cdi.kubevirt.io/v1beta1",
            "DataVolume",
            json!({"metadata": {"name": "their-data"}, "spec": {"source": {"blank": {}}, "storage": size}}),
        ),
        object(
            "k8s.cni.cncf.io/v1",
            "NetworkAttachmentDefinition",
            json!({"spec": {"config": "{}"}}),
        ),
        object(
            "kubevirt.io/v1",
            "VirtualMachine",
            json!({"spec": {"runStrategy": "Halted", "template": {"spec": {"domain": domain}}}}),
        ),
    ]
}

#[tokio::test]
async fn the_right_to_patch_ends_at_other_people_s_objects() {
    let space = cluster().await.space("theirs").await;
    let client = space.lab.operator_client("theirs-test").await.unwrap();
    let ours = json!({"labels": {"vm.novasphere.dev/wukong": "web"}});
    let owner = json!({"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "name": "web", "uid": "1", "controller": true});
    // Marked and owned, but not as ours are.
    let mut owners = json!([]);
    for mut object in theirs() {
        object["metadata"]["labels"] = json!({"owner": "theirs"});
        object["metadata"]["ownerReferences"] = owners.clone();
        let stored = space.apply(&object).await;
        owners = json!([{"apiVersion": object["apiVersion"], "kind": object["kind"], "name": stored["metadata"]["name"],
            "uid": stored["metadata"]["uid"], "controller": true}]);
        let (kind, name) = (
            &object["kind"],
            object["metadata"]["name"].as_str().unwrap(),
        );
        let (resource, _) = resource(kind.as_str().unwrap());
        let objects: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), &space.name, &resource);
        assert!(objects.get(name).await.is_err(), "{kind}");
        for change in [
            json!({"annotations": {"seen": "yes"}}),
            // Nor can the operator make a foreign object ours.
            ours.clone(),
            json!({"ownerReferences": [owner]}),
        ] {
            // The answer to a patch is the object: not even a dry run gets one.
            for params in [PatchParams::default(), PatchParams::default().dry_run()] {
                let patch = Patch::Merge(json!({"metadata": change}));
                let refusal = objects.patch(name, &params, &patch).await.unwrap_err();
                assert!(
                    refusal.to_string().contains("only objects that it created"),
                    "{kind} {change}: {refusal}"
                );
            }
        }
        // What may not be deleted at all is refused before.
        let refusal = objects.delete(name, &DeleteParams::default()).await;
        let refusal = refusal.unwrap_err().to_string();
        let expected = match kind.as_str() {
            Some("NetworkAttachmentDefinition") => "only objects that it created",
            _ => "cannot delete",
        };
        assert!(refusal.contains(expected), "{kind}: {refusal}");
    }
    // It is the label that is missing.
    let mut made = theirs()[0].clone();
    merge(&mut made["metadata"], ours);
    space.apply(&made).await;
    let secrets: Api<Secret> = Api::namespaced(client, &space.name);
    let patch = Patch::Merge(json!({"metadata": {"annotations": {"seen": "yes"}}}));
    secrets
        .patch("theirs", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Everything that a Wukong can make the operator do.
#[tokio::test]
async fn what_is_granted_is_what_is_used() {
    let space = cluster().await.space("used").await;
    let spec = json!({
        "cloudInitUser": {"name": "me"},
        "disks": [root()],
        "networks": [{"name": "lan", "type": "bridge"}],
        "startStrategy": {"runStrategy": "Manual"},
        "restartApproval": "Automatic",
    });
    space.apply(&wukong("web", spec)).await;
    space.running("web").await;
    let instance = space.instance("web").await;
    space
        .edit(
            "web",
            json!({"firmware": "UEFI", "networks": [], "cloudInitUser": {"name": "you"},
        "disks": [{"name": "root", "size": "3Gi", "image": root()["image"]}]}),
        )
        .await;
    space
        .until("VirtualMachineInstance", "web", "restarted", |found| {
            (found["status"]["phase"] == "Running" && found["metadata"]["uid"] != instance)
                .then_some(())
        })
        .await;
    // Another user is for a first boot only, and that is over.
    space
        .wukong("web", "grown and restarted", |wukong| {
            phase(wukong) == "Running"
                && condition(wukong, "VolumesBound").1 == "Bound"
                && condition(wukong, "ConfigurationApplied").1 == "FirstBootOnly"
        })
        .await;
    space.edit("web", json!({"powerState": "Paused"})).await;
    space
        .wukong("web", "paused", |wukong| phase(wukong) == "Paused")
        .await;
    space.edit("web", json!({"powerState": "Running"})).await;
    space.running("web").await;

    protection::snapshot(&space, "before").await;
    let disk = json!({"snapshotName": "before", "disks": ["root"]});
    protection::restore(&space, "undo", disk).await;
    protection::schedule(&space).await;

    // The pods and events of a VM that does not start show the cause.
    let waits = json!({"userDataSecret": "missing"});
    space.apply(&wukong("waits", waits)).await;
    space.blocked("waits", "SecretNotFound").await;

    let roles: Api<ClusterRole> = Api::all(space.client.clone());
    let mut granted = BTreeSet::new();
    let mut rules = Vec::new();
    for name in ["wukong-operator", "wukong-operator-diagnosis"] {
        rules.extend(roles.get(name).await.unwrap().rules.unwrap());
    }
    for rule in rules {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                let group = rule.api_groups.as_ref().unwrap()[0].clone();
                assert!(
                    [verb, resource, &group].iter().all(|text| *text != "*"),
                    "{rule:?}"
                );
                granted.insert((group, resource.clone(), verb.clone()));
            }
        }
    }
    // Where CDI is missing, empty disks are claims.
    granted.remove(&(
        String::new(),
        "persistentvolumeclaims".into(),
        "create".into(),
    ));

    let requests = space
        .lab
        .audit()
        .all()
        .unwrap()
        .of_user(USER)
        .filter(|request| {
            // The tests of this file ask with the operator's account, too.
            request.user_agent.starts_with("wukong-operator/")
        });
    let refused: Vec<_> = requests
        .iter()
        .filter(|request| request.code == 403)
        .map(ToString::to_string)
        .collect();
    // A quota's refusal is a 403, too; a test here fills one on purpose.
    let refused: Vec<_> = refused
        .into_iter()
        .filter(|line| !line.contains("/refusals-"))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    let mut used = BTreeSet::new();
    for request in requests.iter().filter(|request| !request.is_lease()) {
        let resource = match request.subresource.as_str() {
            "" => request.resource.clone(),
            subresource => format!("{}/{subresource}", request.resource),
        };
        let mut note =
            |verb: &str| used.insert((request.group.clone(), resource.clone(), verb.to_owned()));
        note(&request.verb);
        // An apply that creates.
        if request.code == 201 {
            note("create");
        }
    }
    let unused: Vec<_> = granted.difference(&used).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:?}");
}
