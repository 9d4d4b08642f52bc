//! The alerts and the queries of the dashboard, checked by Prometheus' own tool. What they ask for is held against the
//! operator's metrics in its own tests.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wukong_lab::Progress;
use wukong_lab::cluster::manifests::repository;
use wukong_lab::cluster::tools::PROMTOOL;

/// The rules as a file of Prometheus has them.
fn rules() -> Value {
    let text = fs::read_to_string(repository("deploy/monitoring/prometheus-rule.yaml")).unwrap();
    let rule: Value = serde_saphyr::from_str(&text).unwrap();
    rule["spec"].clone()
}

fn alerts() -> Vec<Value> {
    let rules = rules();
    let groups = rules["groups"].as_array().unwrap();
    let alerts = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone());
    alerts.collect()
}

/// The queries of the dashboard, with a duration in place of Grafana's variable.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(repository("deploy/monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let query = |target: &Value| target["expr"].as_str().unwrap().to_owned();
    targets
        .map(|target| query(target).replace("$__rate_interval", "5m"))
        .collect()
}

async fn promtool(dir: &Path, args: &[&str]) {
    let promtool = PROMTOOL.locate(&Progress::stderr()).await.unwrap();
    let output = Command::new(promtool)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&printed)
    );
}

#[tokio::test]
async fn prometheus_accepts_the_rules_and_every_query_of_the_dashboard() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules.yaml"), rules().to_string()).unwrap();
    let records: Vec<Value> = dashboard()
        .iter()
        .enumerate()
        .map(|(number, query)| json!({"record": format!("panel:{number}"), "expr": query}))
        .collect();
    let panels = json!({"groups": [{"name": "dashboard", "rules": records}]});
    fs::write(dir.path().join("dashboard.yaml"), panels.to_string()).unwrap();
    let check = ["check", "rules", "--lint=all", "--lint-fatal"];
    promtool(
        dir.path(),
        &[&check[..], &["rules.yaml", "dashboard.yaml"]].concat(),
    )
    .await;
}

#[tokio::test]
async fn alerts_come_when_they_should_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut rules = rules();
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            rule["annotations"] = json!({"summary": rule["annotations"]["summary"]});
        }
    }
    fs::write(dir.path().join("rules.yaml"), rules.to_string()).unwrap();
    let tests = include_str!("alerts.yaml");
    fs::write(dir.path().join("alerts.yaml"), tests).unwrap();
    promtool(dir.path(), &["test", "rules", "alerts.yaml"]).await;
    // Each is seen to come.
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let comes = format!("alertname: {name}\n        exp_alerts:");
        assert!(tests.contains(&comes), "{name} never comes in alerts.yaml");
    }
}
