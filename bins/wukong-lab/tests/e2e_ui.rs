//! `kubectl wukong ui` in a real browser, against a cluster: the steps of a user are in bins/kubectl-wukong/ui/tests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use support::plugin::{command, run};
use support::{Cluster, Space, failing, root, wukong};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use wukong_lab::cluster::manifests::repository;

/// Text that a browser must not take for a part of the page.
const HOSTILE: &str = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>";

#[tokio::test]
async fn a_user_creates_repairs_changes_and_deletes_a_vm_in_a_browser() {
    let Some(browser) = browser() else {
        assert!(std::env::var_os("CI").is_none(), "no chromium or no node");
        eprintln!("skipped: needs chromium and node");
        return;
    };
    let page = repository("bins/kubectl-wukong/ui");
    if !page.join("node_modules").exists() {
        let installed = Command::new("npm").arg("ci").current_dir(&page).status();
        assert!(installed.await.unwrap().success(), "npm ci failed");
    }
    let (cluster, operator) = Cluster::with_operator("ui-tests").await;
    let space = cluster.space("ui").await;
    hostile_event(&space).await;
    let elsewhere = cluster.space("bundle").await;
    elsewhere
        .apply(&failing(
            wukong("db", json!({"disks": [root()]})),
            "import-dns",
        ))
        .await;
    elsewhere.blocked("db", "ImportFailed").await;
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("db.tar.gz");
    let archive = archive.to_str().unwrap();
    let (code, _, err) = run(&elsewhere, &["bundle", "db", "-o", archive]).await;
    assert_eq!(code, 0, "{err}");

    let (_user, url) = serve(command(&space, &["ui", "--no-open"]).await).await;
    let (_viewer, bundle) =
        serve(command(&space, &["ui", "--no-open", "--from", archive]).await).await;
    let mut reader = command(&space, &["ui", "--no-open"]).await;
    reader.env("KUBECONFIG", reader_kubeconfig(&space, dir.path()).await);
    let (_reader, reader) = serve(reader).await;
    let told = Command::new("node")
        .arg("tests/story.mjs")
        .current_dir(&page)
        .env("CHROMIUM", browser)
        .env("NAMESPACE", &space.name)
        .env("WUKONG_UI", url)
        .env("WUKONG_UI_BUNDLE", bundle)
        .env("WUKONG_UI_READER", reader)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        told.status.success(),
        "{}\n{}",
        text(&told.stdout),
        text(&told.stderr)
    );
    println!("{}", text(&told.stdout));
    operator.process().check().unwrap();
}

/// Returns the browser, if this machine has one and Node.
fn browser() -> Option<PathBuf> {
    let in_path = |name: &str| {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths)
            .map(|folder| folder.join(name))
            .find(|program| Path::exists(program))
    };
    in_path("node")?;
    in_path("chromium").or_else(|| in_path("google-chrome"))
}

/// Starts a plugin and returns the URL of its page.
async fn serve(mut command: Command) -> (Child, String) {
    let mut plugin = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(plugin.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    (plugin, url)
}

/// Writes the kubeconfig of a user who may only read Wukongs.
async fn reader_kubeconfig(space: &Space<'_>, dir: &Path) -> PathBuf {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": space.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "wukong-view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}],
    });
    let bindings = kube::Api::<k8s_openapi::api::rbac::v1::RoleBinding>::namespaced(
        space.client.clone(),
        &space.name,
    );
    let binding = serde_json::from_value(binding).unwrap();
    let params = kube::api::PostParams::default();
    bindings.create(&params, &binding).await.unwrap();
    let admin = std::fs::read_to_string(space.lab.kubeconfig()).unwrap();
    let mut config: Value = serde_saphyr::from_str(&admin).unwrap();
    for user in config["users"].as_array_mut().unwrap() {
        user["user"]["as"] = json!("reader");
    }
    let path = dir.join("reader.kubeconfig");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

/// Creates an event about the VM of the story.
async fn hostile_event(space: &Space<'_>) {
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "web.hostile", "namespace": space.name},
        "involvedObject": {"kind": "Wukong", "namespace": space.name, "name": "web"},
        "type": "Warning", "reason": "Hostile", "message": HOSTILE,
    });
    let events = kube::Api::<k8s_openapi::api::core::v1::Event>::namespaced(
        space.client.clone(),
        &space.name,
    );
    let event = serde_json::from_value(event).unwrap();
    events
        .create(&kube::api::PostParams::default(), &event)
        .await
        .unwrap();
}
