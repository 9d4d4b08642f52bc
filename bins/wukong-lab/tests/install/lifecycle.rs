//! What Helm does with a release, from its first day to its last, to VMs that run.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wukong_lab::cluster::operator::NAMESPACE;

use crate::rendered::{chart, run_helm};
use crate::support::{Cluster, Space, condition, root, wukong};

const CRD: &str = "wukongs.vm.novasphere.dev";

/// Runs helm about the one release of this cluster.
async fn helm(cluster: &Cluster, args: &[&str]) {
    let kubeconfig = cluster.lab.kubeconfig().to_str().unwrap();
    let all = [
        args,
        &["--namespace", NAMESPACE, "--kubeconfig", kubeconfig],
    ]
    .concat();
    let output = run_helm(&all).await;
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "helm {}: {printed}",
        args.join(" ")
    );
}

/// The chart as an earlier release would have it. There is none yet: only its version differs.
fn earlier_chart(dir: &Path) {
    for entry in walk(&chart()) {
        let to = dir.join(entry.strip_prefix(chart()).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&entry, to).unwrap();
    }
    let file = dir.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let earlier = text.replace(env!("CARGO_PKG_VERSION"), "0.0.9");
    assert_ne!(text, earlier);
    fs::write(file, earlier).unwrap();
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let paths = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Everything of a VM but what the API server counts.
async fn machine(space: &Space<'_>) -> Value {
    let vm = space.get("VirtualMachine", "web").await;
    let wukong = space.get("Wukong", "web").await;
    json!({
        "vm": [vm["metadata"]["uid"], vm["metadata"]["generation"], vm["spec"]],
        "wukong": [wukong["metadata"]["uid"], wukong["spec"], wukong["status"]],
        "disks": space.names("DataVolume").await,
    })
}

#[tokio::test]
async fn a_release_comes_is_upgraded_goes_and_comes_again_and_no_machine_notices() {
    let cluster = Cluster::start("install-lifecycle", &[]).await;
    let earlier = tempfile::tempdir().unwrap();
    earlier_chart(earlier.path());
    let earlier = earlier.path().to_str().unwrap();
    let chart = chart();
    let chart = chart.to_str().unwrap();

    // The lab has applied the manifests with kubectl's means: the release takes them over.
    let install = [
        "install",
        "wukong-operator",
        earlier,
        "--set-json",
        "replicas=3",
    ];
    helm(
        &cluster,
        &[&install[..], &["--take-ownership", "--force-conflicts"]].concat(),
    )
    .await;
    let operator = cluster.operator().await;
    let space = cluster.space("lifecycle").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space
        .wukong("web", "ready, its agent included", |wukong| {
            condition(wukong, "GuestReady").0 == "True"
        })
        .await;
    let before = machine(&space).await;

    let upgrade = [
        "upgrade",
        "wukong-operator",
        chart,
        "--reset-then-reuse-values",
    ];
    helm(&cluster, &upgrade).await;
    let upgraded = deployment(&cluster).await;
    assert_eq!(upgraded["spec"]["replicas"], 3, "the values are kept");
    let image = &upgraded["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(
        *image,
        format!("wukong-operator:{}", env!("CARGO_PKG_VERSION"))
    );
    operator.stop().await.unwrap();
    let operator = cluster.operator().await;
    space.running("web").await;
    assert_eq!(machine(&space).await, before);

    operator.stop().await.unwrap();
    helm(&cluster, &["uninstall", "wukong-operator", "--wait"]).await;
    assert_eq!(deployment(&cluster).await, Value::Null);
    assert_ne!(
        space.get("CustomResourceDefinition", CRD).await,
        Value::Null
    );
    assert_eq!(machine(&space).await, before);

    helm(&cluster, &["install", "wukong-operator", chart]).await;
    assert_ne!(deployment(&cluster).await, Value::Null);
    assert_eq!(machine(&space).await, before);
}

async fn deployment(cluster: &Cluster) -> Value {
    let system = Space::existing(cluster, NAMESPACE).await;
    system.get("Deployment", "wukong-operator").await
}
