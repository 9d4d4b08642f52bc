//! Tests of the alerts and the dashboard: their queries use only metrics that the operator has. The lab's tests check
//! them with promtool.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wukong_operator::metrics::Metrics;

use queries::Query;

fn repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap()
}

fn alerts() -> Vec<Value> {
    let rule: Value =
        serde_saphyr::from_str(&repository("deploy/monitoring/prometheus-rule.yaml")).unwrap();
    let groups = rule["spec"]["groups"].as_array().unwrap();
    let alerts = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap().clone());
    alerts.collect()
}

/// Returns every query with its source.
fn queries() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let alerts = alerts();
    let mut queries: Vec<_> = alerts
        .iter()
        .map(|alert| (text(&alert["alert"]), text(&alert["expr"])))
        .collect();
    let dashboard: Value =
        serde_json::from_str(&repository("deploy/monitoring/dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    queries
}

#[test]
fn queries_use_existing_metrics_and_labels() {
    let metrics = Metrics::default();
    let mut known: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for metric in metrics.described() {
        let labels: BTreeSet<&str> = metric.labels.iter().copied().collect();
        if metric.kind == "histogram" {
            let with_bound = labels.iter().copied().chain(["le"]).collect();
            known.insert(format!("{}_bucket", metric.name), with_bound);
            for part in ["sum", "count"] {
                known.insert(format!("{}_{part}", metric.name), labels.clone());
            }
        } else {
            known.insert(metric.name.clone(), labels);
        }
    }
    for (source, text) in queries() {
        let query = Query::read(&text);
        assert!(!query.metrics.is_empty(), "{source} has no metric: {text}");
        let mut all: BTreeSet<&str> = BTreeSet::new();
        for (metric, matched) in &query.metrics {
            let labels = known.get(*metric);
            let labels = labels.unwrap_or_else(|| panic!("{source}: there is no {metric}"));
            for label in matched {
                assert!(
                    labels.contains(label),
                    "{source}: {metric} has no label {label}"
                );
            }
            all.extend(labels);
        }
        for label in &query.grouped {
            assert!(all.contains(label), "{source}: no label {label} in {text}");
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let text = repository("deploy/monitoring/dashboard.json");
    for metric in Metrics::default().described() {
        assert!(text.contains(&metric.name), "{}", metric.name);
    }
}

#[test]
fn every_alert_has_a_severity_and_a_runbook_section() {
    let guide = repository("docs/troubleshooting.md");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let anchor = name.to_lowercase();
        let runbook = format!("docs/troubleshooting.md#{anchor}");
        assert_eq!(alert["annotations"]["runbook"], json!(runbook));
        assert!(guide.contains(&format!("\n### {name}\n")), "{name}");
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&severity),
            "{name}"
        );
    }
}
