//! The real API server accepts the installed objects, and holds the operator's pod to the restricted level.

use std::fs;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use wukong_lab::cluster::manifests;
use wukong_lab::cluster::operator::NAMESPACE;
use wukong_lab::cluster::wait::eventually;

use crate::cluster;
use crate::rendered::{by_helm, helm_text, objects, only};
use crate::support::{DEADLINE, merge};

#[tokio::test]
async fn the_api_server_takes_every_object_strictly() {
    let client = cluster().await.lab.client().await.unwrap();
    let text = helm_text(NAMESPACE, &["namespace.create=true"])
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rendered.yaml");
    fs::write(&file, &text).unwrap();
    // `default` would be seen: the namespace of everything is written in it.
    let applied = manifests::apply(&client, &file, "default").await.unwrap();
    assert_eq!(applied.len(), objects(&text).len());
    assert!(
        applied
            .iter()
            .filter_map(|object| object.metadata.namespace.as_deref())
            .all(|namespace| namespace == NAMESPACE)
    );
}

/// The pod that the Deployment makes.
async fn operators_pod() -> Value {
    let objects = by_helm(&[]).await;
    let template = &only(&objects, "Deployment")["spec"]["template"];
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}});
    merge(&mut pod["metadata"], template["metadata"].clone());
    pod["spec"] = template["spec"].clone();
    // Its class is installed with it, and this test must not depend on another that does.
    pod["spec"]["priorityClassName"] = json!("system-cluster-critical");
    pod
}

async fn try_pod(client: &Client, pod: Value) -> kube::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    pods.create(&params, &serde_json::from_value(pod).unwrap())
        .await
}

#[tokio::test]
async fn pod_security_restricted_admits_the_operator_as_it_is_and_nothing_weaker() {
    let client = cluster().await.lab.client().await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = namespaces
        .get(NAMESPACE)
        .await
        .unwrap()
        .metadata
        .labels
        .unwrap();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");

    let pod = operators_pod().await;
    try_pod(&client, pod.clone()).await.unwrap();
    let container =
        |security: Value| json!({"spec": {"containers": [{"securityContext": security}]}});
    for weaker in [
        json!({"spec": {"securityContext": {"runAsNonRoot": null}}}),
        json!({"spec": {"securityContext": {"runAsUser": 0}}}),
        json!({"spec": {"securityContext": {"seccompProfile": null}}}),
        json!({"spec": {"hostNetwork": true}}),
        container(json!({"allowPrivilegeEscalation": true})),
        container(json!({"capabilities": null})),
    ] {
        let mut pod = pod.clone();
        match weaker["spec"]["containers"][0].clone() {
            Value::Null => merge(&mut pod, weaker.clone()),
            change => merge(&mut pod["spec"]["containers"][0], change),
        }
        let refusal = try_pod(&client, pod).await.unwrap_err().to_string();
        assert!(refusal.contains("PodSecurity"), "{weaker}: {refusal}");
    }
    // Not asked for by the level, and kept all the same.
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"],
        true
    );
}

async fn may(client: &Client, user: &str, verb: &str, resource: &str, namespace: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.into()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some("vm.novasphere.dev".into()),
                resource: Some(resource.into()),
                subresource: Some(subresource.into()),
                namespace: Some(namespace.into()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn people_with_the_cluster_s_view_edit_and_admin_roles_have_wukongs_in_them() {
    let space = cluster().await.space("people").await;
    let bindings: Api<RoleBinding> = Api::namespaced(space.client.clone(), &space.name);
    for role in ["view", "edit", "admin"] {
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
        });
        let binding = serde_json::from_value(binding).unwrap();
        bindings
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }
    // A controller adds our rules to the cluster's roles.
    eventually("the roles are aggregated", DEADLINE, async || {
        match may(
            &space.client,
            "admin",
            "deletecollection",
            "wukongs",
            &space.name,
        )
        .await
        {
            true => Ok(()),
            false => Err("not yet"),
        }
    })
    .await
    .unwrap();
    let everybody = ["view", "edit", "admin"];
    for (verbs, resource, allowed) in [
        ("get list watch", "wukongs", &everybody[..]),
        ("create update patch delete", "wukongs", &everybody[1..]),
        ("deletecollection", "wukongs", &everybody[2..]),
        ("get list watch", "wukongsnapshots", &everybody[..]),
        (
            "create update patch delete",
            "wukongsnapshots",
            &everybody[1..],
        ),
        ("get list watch", "wukongsnapshotschedules", &everybody[..]),
        (
            "create update patch delete",
            "wukongsnapshotschedules",
            &everybody[1..],
        ),
        ("update patch", "wukongsnapshotschedules/status", &[]),
        ("get list watch", "wukongrestores", &everybody[..]),
        (
            "create update patch delete",
            "wukongrestores",
            &everybody[1..],
        ),
        ("update patch", "wukongrestores/status", &[]),
        // Only the operator writes the status of a Wukong.
        ("update patch", "wukongs/status", &[]),
    ] {
        for verb in verbs.split(' ') {
            for user in everybody {
                assert_eq!(
                    may(&space.client, user, verb, resource, &space.name).await,
                    allowed.contains(&user),
                    "{user} {verb} {resource}"
                );
            }
        }
    }
    // Policies are of the cluster: read by who may view all of it, written by none of these.
    let name = format!("views-everything-{}", space.name);
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    });
    Api::<ClusterRoleBinding>::all(space.client.clone())
        .create(
            &PostParams::default(),
            &serde_json::from_value(binding).unwrap(),
        )
        .await
        .unwrap();
    eventually("the binding is known", DEADLINE, async || {
        match may(&space.client, &name, "list", "wukongpolicies", "").await {
            true => Ok(()),
            false => Err("not yet"),
        }
    })
    .await
    .unwrap();
    for user in ["view", "edit", "admin", &name] {
        for verb in ["create", "update", "patch", "delete", "deletecollection"] {
            for namespace in ["", &space.name] {
                assert!(
                    !may(&space.client, user, verb, "wukongpolicies", namespace).await,
                    "{user} {verb}"
                );
            }
        }
    }
}
