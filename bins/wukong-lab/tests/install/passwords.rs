//! A password in plain text is warned about by the API server, and refused where an administrator says so.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use wukong_lab::wait::eventually;

use crate::cluster;
use crate::support::{DEADLINE, Space, wukong};

const POLICY: &str = "wukong-plain-text-passwords";

/// `kubectl create --dry-run=server`, as people meet the policy.
fn create(space: &Space<'_>, object: &Value) -> Output {
    let mut kubectl = Command::new(space.lab.kubectl())
        .arg("--kubeconfig")
        .arg(space.lab.kubeconfig())
        .args(["--namespace", &space.name])
        .args(["create", "--dry-run=server", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = kubectl.stdin.take().unwrap();
    stdin.write_all(object.to_string().as_bytes()).unwrap();
    drop(stdin);
    kubectl.wait_with_output().unwrap()
}

#[tokio::test]
async fn a_password_in_plain_text_is_warned_about_and_can_be_refused() {
    let space = cluster().await.space("passwords").await;
    let plain = wukong(
        "plain",
        json!({"cloudInitUser": {"name": "me", "password": "canary"}}),
    );
    let output = create(&space, &plain);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Warning:") && said.contains("passwordHash"),
        "{said}"
    );
    assert!(!said.contains("canary"), "{said}");

    let hashed = wukong(
        "hashed",
        json!({"cloudInitUser": {"name": "me", "passwordHash": "$6$salt$hash"}}),
    );
    let output = create(&space, &hashed);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    // As the chart's value would, for this namespace only: others test here, too.
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "refused-here"},
        "spec": {
            "policyName": POLICY, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.name}}},
        },
    });
    let params = PatchParams::apply("install-tests");
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(space.client.clone());
    bindings
        .patch("refused-here", &params, &Patch::Apply(&binding))
        .await
        .unwrap();
    // The API server learns of a binding a moment later.
    eventually("the password is refused", DEADLINE, async || {
        let output = create(&space, &plain);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match !output.status.success() && said.contains("passwordHash") {
            true => Ok(()),
            false => Err(said),
        }
    })
    .await
    .unwrap();
}
