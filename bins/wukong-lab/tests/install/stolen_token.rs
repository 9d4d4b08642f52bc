//! What a thief of the operator's token can do.

use std::collections::BTreeSet;

use http::{Method, Request};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use wukong_lab::cluster::operator::NAMESPACE;

use crate::cluster;
use crate::support::Space;

/// What the API server answers: the code, and the words of a refusal.
pub async fn ask(client: &Client, method: &Method, path: &str, body: &Value) -> (u16, String) {
    let content = match *method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        serde_json::to_vec(body).unwrap()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content)
        .body(bytes)
        .unwrap();
    match client.request_text(request).await {
        Ok(text) => (200, text),
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

pub async fn thief(space: &Space<'_>) -> Client {
    space.lab.operator_client("thief").await.unwrap()
}

/// `{ns}` is a namespace with a Secret, a pod's account and a claim called `theirs`.
const FORBIDDEN: &[(&str, &str)] = &[
    // Secrets, in every way to read or remove one.
    ("GET", "/api/v1/secrets"),
    ("GET", "/api/v1/secrets?watch=true"),
    ("GET", "/api/v1/namespaces/kube-system/secrets"),
    ("GET", "/api/v1/namespaces/{ns}/secrets/theirs"),
    ("PUT", "/api/v1/namespaces/{ns}/secrets/theirs"),
    ("DELETE", "/api/v1/namespaces/{ns}/secrets/theirs"),
    ("DELETE", "/api/v1/namespaces/{ns}/secrets"),
    ("GET", "/api/v1/namespaces/kube-system/configmaps"),
    // Whatever runs a program of the thief's, or talks to one that runs.
    ("POST", "/api/v1/namespaces/{ns}/pods"),
    ("GET", "/api/v1/namespaces/{ns}/pods/theirs"),
    ("GET", "/api/v1/namespaces/{ns}/pods/theirs/log"),
    (
        "POST",
        "/api/v1/namespaces/{ns}/pods/theirs/exec?command=id",
    ),
    ("POST", "/api/v1/namespaces/{ns}/pods/theirs/portforward"),
    ("POST", "/api/v1/namespaces/{ns}/replicationcontrollers"),
    ("POST", "/apis/apps/v1/namespaces/{ns}/deployments"),
    (
        "PATCH",
        "/apis/apps/v1/namespaces/wukong-system/deployments/wukong-operator",
    ),
    ("POST", "/apis/apps/v1/namespaces/{ns}/daemonsets"),
    ("POST", "/apis/batch/v1/namespaces/{ns}/jobs"),
    ("POST", "/apis/batch/v1/namespaces/{ns}/cronjobs"),
    // Other identities.
    (
        "POST",
        "/api/v1/namespaces/{ns}/serviceaccounts/default/token",
    ),
    (
        "POST",
        "/api/v1/namespaces/wukong-system/serviceaccounts/wukong-operator/token",
    ),
    (
        "POST",
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    ),
    ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    // Rights.
    ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    (
        "PATCH",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/wukong-operator",
    ),
    (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    ),
    (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
    ),
    (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings",
    ),
    // What bounds the operator.
    (
        "DELETE",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/wukong-operator-writes-its-own",
    ),
    (
        "PATCH",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/wukong-operator-creates-as-planned",
    ),
    (
        "POST",
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    ),
    (
        "PATCH",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/wukongs.vm.novasphere.dev",
    ),
    (
        "DELETE",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/wukongs.vm.novasphere.dev",
    ),
    (
        "DELETE",
        "/apis/networking.k8s.io/v1/namespaces/wukong-system/networkpolicies/wukong-operator",
    ),
    // Nodes, namespaces, volumes and the network of the cluster.
    ("PATCH", "/api/v1/nodes/node-1"),
    ("GET", "/api/v1/nodes/node-1/proxy/pods"),
    ("POST", "/api/v1/namespaces"),
    ("PATCH", "/api/v1/namespaces/{ns}"),
    ("DELETE", "/api/v1/namespaces/{ns}"),
    ("PATCH", "/api/v1/persistentvolumes/theirs"),
    ("POST", "/api/v1/persistentvolumes"),
    ("PATCH", "/apis/storage.k8s.io/v1/storageclasses/any"),
    ("PATCH", "/api/v1/namespaces/{ns}/services/theirs"),
    ("POST", "/api/v1/namespaces/{ns}/services"),
    (
        "POST",
        "/apis/nmstate.io/v1/nodenetworkconfigurationpolicies",
    ),
    (
        "PATCH",
        "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt",
    ),
    // Data.
    (
        "DELETE",
        "/api/v1/namespaces/{ns}/persistentvolumeclaims/theirs",
    ),
    ("DELETE", "/api/v1/namespaces/{ns}/persistentvolumeclaims"),
    (
        "DELETE",
        "/apis/cdi.kubevirt.io/v1beta1/namespaces/{ns}/datavolumes/theirs",
    ),
    (
        "DELETE",
        "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachines/theirs",
    ),
    // Specs of people, and the insides of their machines.
    (
        "POST",
        "/apis/vm.novasphere.dev/v1alpha1/namespaces/{ns}/wukongs",
    ),
    (
        "PATCH",
        "/apis/vm.novasphere.dev/v1alpha1/namespaces/{ns}/wukongs/theirs",
    ),
    (
        "DELETE",
        "/apis/vm.novasphere.dev/v1alpha1/namespaces/{ns}/wukongs/theirs",
    ),
    (
        "POST",
        "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances",
    ),
    (
        "PATCH",
        "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances/theirs",
    ),
    (
        "GET",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances/theirs/console",
    ),
    (
        "GET",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances/theirs/vnc",
    ),
    (
        "GET",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachineinstances/theirs/portforward/22",
    ),
    (
        "PUT",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachines/theirs/stop",
    ),
    (
        "PUT",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachines/theirs/addvolume",
    ),
    (
        "PUT",
        "/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachines/theirs/memorydump",
    ),
    // Another component's lease.
    (
        "PUT",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager",
    ),
    (
        "POST",
        "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases",
    ),
    (
        "PUT",
        "/apis/coordination.k8s.io/v1/namespaces/wukong-system/leases/another",
    ),
    // The API server's own insides.
    ("GET", "/metrics"),
    ("GET", "/logs/"),
    ("GET", "/debug/pprof/heap"),
    ("GET", "/configz"),
];

#[tokio::test]
async fn a_stolen_token_opens_nothing_that_the_operator_does_not_do() {
    let space = cluster().await.space("robbed").await;
    let theirs = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs"}, "data": {"key": "c2VjcmV0"}});
    space.apply(&theirs).await;
    let client = thief(&space).await;
    let mut opened = Vec::new();
    for (method, path) in FORBIDDEN {
        let method: Method = method.parse().unwrap();
        let path = path.replace("{ns}", &space.name);
        let body = match method {
            Method::GET | Method::DELETE => Value::Null,
            _ => json!({}),
        };
        let (code, words) = ask(&client, &method, &path, &body).await;
        if code != 403 {
            opened.push(format!("{method} {path}: {code} {words}"));
        }
    }
    assert!(opened.is_empty(), "{}", opened.join("\n"));
    // The token is good: what the operator does is allowed.
    for path in [
        "/apis/vm.novasphere.dev/v1alpha1/wukongs?watch=true&timeoutSeconds=1",
        "/apis/kubevirt.io/v1/virtualmachines?watch=true&timeoutSeconds=1",
    ] {
        let (code, words) = ask(&client, &Method::GET, path, &Value::Null).await;
        assert_eq!(code, 200, "{path}: {words}");
    }
}

#[tokio::test]
async fn a_stolen_token_becomes_nobody_else() {
    let space = cluster().await.space("impersonated").await;
    let client = thief(&space).await;
    for (header, who) in [
        ("impersonate-user", "system:admin"),
        (
            "impersonate-user",
            "system:serviceaccount:kube-system:default",
        ),
        ("impersonate-group", "system:masters"),
    ] {
        let request = Request::get("/api/v1/namespaces").header(header, who);
        // A group alone is malformed: it needs a user.
        let request = match header {
            "impersonate-group" => request.header("impersonate-user", "wukong-operator"),
            _ => request,
        };
        let answer = client.request_text(request.body(Vec::new()).unwrap()).await;
        match answer.unwrap_err() {
            kube::Error::Api(status) => {
                assert_eq!(status.code, 403, "{header}: {}", status.message)
            }
            other => panic!("{other}"),
        }
    }
}

/// Group, resource, verb, and the only names that it is about.
type Rights = BTreeSet<(String, String, String, Vec<String>)>;

fn add(rights: &mut Rights, rule: PolicyRule) {
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for verb in &rule.verbs {
                let names = rule.resource_names.clone().unwrap_or_default();
                rights.insert((group.clone(), resource.clone(), verb.clone(), names));
            }
        }
    }
}

/// Whatever else a cluster binds to the account or to all accounts, the operator's install adds just its roles.
#[tokio::test]
async fn the_account_has_the_shipped_rights_and_no_others() {
    let space = cluster().await.space("rules").await;
    let reviews: Api<SelfSubjectRulesReview> = Api::all(thief(&space).await);
    let mut shipped = Rights::new();
    let roles: Api<ClusterRole> = Api::all(space.client.clone());
    for name in ["wukong-operator", "wukong-operator-diagnosis"] {
        let rules = roles.get(name).await.unwrap().rules;
        rules
            .into_iter()
            .flatten()
            .for_each(|rule| add(&mut shipped, rule));
    }
    for namespace in [space.name.as_str(), NAMESPACE] {
        if namespace == NAMESPACE {
            let roles: Api<Role> = Api::namespaced(space.client.clone(), NAMESPACE);
            let rules = roles.get("wukong-operator-lease").await.unwrap().rules;
            rules
                .into_iter()
                .flatten()
                .for_each(|rule| add(&mut shipped, rule));
        }
        let review = SelfSubjectRulesReview {
            spec: SelfSubjectRulesReviewSpec {
                namespace: Some(namespace.to_owned()),
            },
            ..SelfSubjectRulesReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &review).await;
        let mut granted = Rights::new();
        for rule in answer.unwrap().status.unwrap().resource_rules {
            let rule = PolicyRule {
                api_groups: rule.api_groups,
                non_resource_urls: None,
                resource_names: rule.resource_names,
                resources: rule.resources,
                verbs: rule.verbs,
            };
            add(&mut granted, rule);
        }
        // What every account may: ask what it may.
        granted.retain(|(_, resource, ..)| !resource.starts_with("selfsubject"));
        assert_eq!(granted, shipped, "in {namespace}");
    }
}
