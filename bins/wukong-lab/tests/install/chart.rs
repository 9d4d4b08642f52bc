//! The chart and the kustomization install the same, and each value does what it says.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wukong_lab::cluster::manifests::repository;
use wukong_lab::cluster::operator::NAMESPACE;

use crate::rendered::{Objects, by_helm, by_kustomize, chart, helm_text, only, run_helm};

const KEEP: &str = "helm.sh/resource-policy";

fn without_helms_bookkeeping(mut objects: Objects) -> Objects {
    let mut kinds = 0;
    for ((kind, _), object) in &mut objects {
        if kind != "CustomResourceDefinition" {
            continue;
        }
        kinds += 1;
        let metadata = object["metadata"].as_object_mut().unwrap();
        let mut annotations = metadata.remove("annotations").unwrap();
        let kept = annotations.as_object_mut().unwrap().remove(KEEP);
        assert_eq!(
            kept,
            Some(json!("keep")),
            "removing the chart would remove every VM"
        );
        if annotations != json!({}) {
            metadata.insert("annotations".into(), annotations);
        }
    }
    assert_eq!(kinds, 5);
    objects
}

fn assert_same(left: &Objects, right: &Objects) {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (key, object) in left {
        assert_eq!(*object, right[key], "{key:?}");
    }
}

#[tokio::test]
async fn helm_and_kustomize_install_the_same() {
    let helm = by_helm(&["namespace.create=true"]).await;
    let kustomize = by_kustomize(&repository("deploy")).await;
    assert_same(&without_helms_bookkeeping(helm), &kustomize);
}

/// The way from `from` to `to`, for kustomize takes no absolute one.
fn relative(from: &Path, to: &Path) -> String {
    let up = "../".repeat(from.canonicalize().unwrap().components().count() - 1);
    let to = to.canonicalize().unwrap();
    format!("{up}{}", to.strip_prefix("/").unwrap().display())
}

#[tokio::test]
async fn what_is_optional_is_a_value_here_and_a_component_there() {
    let overlay = tempfile::tempdir().unwrap();
    let path = |path| relative(overlay.path(), &repository(path));
    let components = ["deploy/monitoring", "deploy/node-networks", "deploy/lists"].map(path);
    let text = json!({"resources": [path("deploy")], "components": components}).to_string();
    fs::write(overlay.path().join("kustomization.yaml"), text).unwrap();
    let helm = by_helm(&[
        "namespace.create=true",
        "prometheusRule.enabled=true",
        "serviceMonitor.enabled=true",
        "nodeNetworks.enabled=true",
        "lists.enabled=true",
    ])
    .await;
    only(&helm, "PrometheusRule");
    only(&helm, "ServiceMonitor");
    for name in ["wukong-operator-node-networks", "wukong-operator-lists"] {
        assert!(helm.contains_key(&("ClusterRole".to_owned(), name.to_owned())));
    }
    assert_same(
        &without_helms_bookkeeping(helm),
        &by_kustomize(overlay.path()).await,
    );
}

/// Kubernetes 1.33 does not stream lists: the chart has to work there without a setting.
#[tokio::test]
async fn on_kubernetes_1_33_the_operator_may_list() {
    let chart = chart();
    for (version, lists) in [
        ("v1.33.9", true),
        ("v1.34.0", false),
        ("v1.36.3+k3s1", false),
    ] {
        let args = [
            "template",
            "a-release",
            chart.to_str().unwrap(),
            "--kube-version",
            version,
        ];
        let output = run_helm(&args).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{version}");
        assert_eq!(
            text.contains("name: wukong-operator-lists"),
            lists,
            "{version}"
        );
    }
}

#[tokio::test]
async fn helm_finds_no_fault_with_the_chart() {
    let chart = chart();
    let output = run_helm(&["lint", "--strict", chart.to_str().unwrap()]).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}");
}

#[tokio::test]
async fn a_release_elsewhere_speaks_of_its_own_namespace_only() {
    let everything = [
        "namespace.create=true",
        "serviceMonitor.enabled=true",
        "prometheusRule.enabled=true",
    ];
    let text = helm_text("elsewhere", &everything).await.unwrap();
    let lines = text.lines().filter(|line| line.contains(NAMESPACE));
    assert_eq!(lines.collect::<Vec<_>>(), Vec::<&str>::new());
    // The policies are about the account that the operator has there.
    assert!(text.contains("'system:serviceaccount:elsewhere:wukong-operator'"));
}

/// Every value, by its path, with its schema.
fn values() -> Vec<(String, Value)> {
    let text = fs::read_to_string(chart().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut values = Vec::new();
    for (name, schema) in schema["properties"].as_object().unwrap() {
        match schema["properties"].as_object() {
            _ if name == "global" => {}
            Some(group) => values.extend(
                group
                    .iter()
                    .map(|(field, schema)| (format!("{name}.{field}"), schema.clone())),
            ),
            None => values.push((name.clone(), schema.clone())),
        }
    }
    values
}

/// A value that the schema allows and that is not the one given.
fn another(value: &Value, schema: &Value) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().find(|other| *other != value).unwrap().clone();
    }
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(_) if schema["pattern"].is_string() => {
            json!(format!("sha256:{}", "0".repeat(64)))
        }
        Value::String(text) => json!(format!("{text}x")),
        Value::Array(items) if schema["items"]["enum"].is_array() => {
            json!([another(&items[0], &schema["items"])])
        }
        Value::Array(_) => json!([{"name": "other"}]),
        Value::Object(_) => json!({"other": "value"}),
        Value::Null => panic!("no value is null"),
    }
}

#[tokio::test]
async fn every_value_changes_what_is_installed() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let defaults: Value = serde_saphyr::from_str(&text).unwrap();
    let values = values();
    assert!(values.len() > 20);
    for (path, schema) in values {
        let value = defaults
            .pointer(&format!("/{}", path.replace('.', "/")))
            .unwrap();
        let set = format!("{path}={}", another(value, &schema));
        // What belongs to something that is switched off shows once it is on.
        let on = match path.as_str() {
            "serviceMonitor.endpoints" => "serviceMonitor.enabled=true",
            _ => "namespace.create=false",
        };
        let before = helm_text(NAMESPACE, &[on]).await.unwrap();
        let after = helm_text(NAMESPACE, &[on, &set]).await.unwrap();
        assert_ne!(before, after, "{set}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_with_the_name_of_the_value() {
    for (set, named) in [
        ("replicas=-1", "replicas"),
        (r#"replicas="two""#, "replicas"),
        ("replica=3", "replica"),
        ("settings.loglevel=\"debug\"", "loglevel"),
        ("settings.logFormat=\"xml\"", "logFormat"),
        ("settings.leaseSeconds=1", "leaseSeconds"),
        ("image.digest=\"latest\"", "digest"),
        ("networkPolicy.egress={}", "egress"),
    ] {
        let refusal = helm_text(NAMESPACE, &[set]).await.unwrap_err();
        assert!(refusal.contains(named), "{set}: {refusal}");
    }
}

#[tokio::test]
async fn a_digest_goes_before_the_tag() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let set = [
        "image.repository=\"registry.example/wukong\"".to_owned(),
        format!("image.digest=\"{digest}\""),
        "image.tag=\"v9\"".to_owned(),
    ];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    for (set, image) in [
        (&set[..], format!("registry.example/wukong@{digest}")),
        (&set[2..], "wukong-operator:v9".to_owned()),
        (
            &[],
            format!("wukong-operator:{}", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        let objects = by_helm(set).await;
        let deployment = only(&objects, "Deployment");
        assert_eq!(
            deployment["spec"]["template"]["spec"]["containers"][0]["image"],
            image
        );
    }
}
