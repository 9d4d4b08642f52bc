//! A password in plain text is warned about by the API server, and refused where a WukongPolicy says so.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::cluster;
use crate::policy::Bounded;
use crate::support::{Space, wukong};

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
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("Warning:") && printed.contains("passwordHash"),
        "{printed}"
    );
    assert!(!printed.contains("canary"), "{printed}");

    let hashed = wukong(
        "hashed",
        json!({"cloudInitUser": {"name": "me", "passwordHash": "$6$salt$hash"}}),
    );
    let output = create(&space, &hashed);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");

    let refused = Bounded::with(space, json!({"plainTextPasswords": "Deny"})).await;
    let output = create(&refused.space, &plain);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{printed}");
    assert!(printed.contains("passwordHash"), "{printed}");
    assert!(!printed.contains("canary"), "{printed}");
    assert!(create(&refused.space, &hashed).status.success());
}
