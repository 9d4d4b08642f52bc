//! The operator runs as the Deployment starts it.

use serde_json::{Value, json};
use wukong_lab::OperatorOptions;
use wukong_lab::cluster::manifests;
use wukong_lab::cluster::operator::NAMESPACE;

use crate::cluster;
use crate::rendered::{by_helm, helm_text, only};
use crate::support::{root, wukong};

/// The container's environment, with what its pod would fill in.
fn environment(container: &Value) -> Vec<(String, String)> {
    let variables = container["env"].as_array().unwrap();
    let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.namespace") => NAMESPACE.to_owned(),
        Some(other) => panic!("{other} is not known here"),
        None => variable["value"].as_str().unwrap().to_owned(),
    };
    variables
        .iter()
        .map(|variable| {
            (
                variable["name"].as_str().unwrap().to_owned(),
                value(variable),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_wukong_runs_under_what_the_chart_installs() {
    let space = cluster().await.space("installed").await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rendered.yaml");
    std::fs::write(&file, helm_text(NAMESPACE, &[]).await.unwrap()).unwrap();
    manifests::apply(&space.client, &file, NAMESPACE)
        .await
        .unwrap();

    let objects = by_helm(&["serviceMonitor.enabled=true"]).await;
    let container = &only(&objects, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], Value::Null);
    let mut options = OperatorOptions::default();
    for argument in container["args"].as_array().into_iter().flatten() {
        options = options.arg(argument.as_str().unwrap());
    }
    let mut port = None;
    for (name, value) in environment(container) {
        // The lab finds a free one.
        if name == "WUKONG_HEALTH_ADDRESS" {
            port = value.rsplit(':').next().map(str::to_owned);
        } else {
            options = options.env(name, value);
        }
    }
    assert_eq!(
        port,
        Some(container["ports"][0]["containerPort"].to_string())
    );
    let operator = space.cluster.operator_with(options).await;
    operator.ready().await.unwrap();

    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;

    let monitor = &only(&objects, "ServiceMonitor")["spec"]["endpoints"][0]["path"];
    for path in [
        &container["livenessProbe"]["httpGet"]["path"],
        &container["readinessProbe"]["httpGet"]["path"],
        monitor,
    ] {
        operator.get(path.as_str().unwrap()).await.unwrap();
    }
    for line in operator.logs().lines() {
        let _: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
}
