//! What Helm and kustomize make of `deploy/`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use wukong_lab::cluster::manifests::repository;
use wukong_lab::cluster::operator::NAMESPACE;
use wukong_lab::cluster::tools::HELM;
use wukong_lab::{Binaries, Progress};

/// Objects by kind and name.
pub type Objects = BTreeMap<(String, String), Value>;

pub fn chart() -> std::path::PathBuf {
    repository("deploy/chart/wukong-operator")
}

/// Runs helm.
pub async fn run_helm(args: &[&str]) -> Output {
    let helm = HELM.locate(&Progress::stderr()).await.unwrap();
    Command::new(helm).args(args).output().unwrap()
}

/// `helm template` in a namespace, as text.
pub async fn helm_text(namespace: &str, set: &[&str]) -> Result<String, String> {
    let chart = chart();
    let mut args = vec!["template", "a-release", chart.to_str().unwrap()];
    args.extend(["--namespace", namespace]);
    args.extend(set.iter().flat_map(|set| ["--set-json", set]));
    let output = run_helm(&args).await;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What the chart installs where the manifests do, with values of which each is `path=JSON`.
pub async fn by_helm(set: &[&str]) -> Objects {
    objects(&helm_text(NAMESPACE, set).await.unwrap())
}

/// `kubectl kustomize` of a directory.
pub async fn by_kustomize(dir: &Path) -> Objects {
    let programs = Binaries::locate(&Progress::stderr()).await.unwrap();
    let output = Command::new(programs.kubectl)
        .arg("kustomize")
        .arg(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    objects(&String::from_utf8(output.stdout).unwrap())
}

/// The objects in a text; one that is there twice is a mistake.
pub fn objects(text: &str) -> Objects {
    let mut objects = Objects::new();
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    for mut object in all.into_iter().filter(|object| !object.is_null()) {
        canonicalize(&mut object);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        assert!(
            objects.insert(key.clone(), object).is_none(),
            "{key:?} is there twice"
        );
    }
    objects
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a Objects, kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|((of, _), _)| of == kind);
    let (_, object) = found.next().unwrap();
    assert!(found.next().is_none(), "more than one {kind}");
    object
}

/// kustomize writes 1.0 as 1, and puts the variables first that a component sets.
fn canonicalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0) {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(canonicalize),
        Value::Object(fields) => {
            if let Some(Value::Array(variables)) = fields.get_mut("env") {
                variables.sort_by_key(|variable| variable["name"].to_string());
            }
            fields.values_mut().for_each(canonicalize);
        }
        _ => {}
    }
}
