//! The manifests below `deploy/` are complete, and agree with this version of the operator.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use wukong_api::OperatorSettings;

use crate::generated;

/// Folders of which the kustomization installs every manifest.
const INSTALLED: [&str; 4] = ["crds", "rbac", "policies", "operator"];

fn read(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(generated::root().join("deploy").join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// The operator's container in deploy/operator.
fn container() -> Value {
    let objects = read("operator/10-deployment.yaml");
    let is_deployment = |object: &&Value| object["kind"] == "Deployment";
    let deployment = objects.iter().find(is_deployment).unwrap();
    deployment["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn the_kustomization_has_every_manifest() {
    let mut files = BTreeSet::new();
    for folder in INSTALLED {
        for entry in fs::read_dir(generated::root().join("deploy").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.insert(format!("{folder}/{name}"));
        }
    }
    let kustomization = &read("kustomization.yaml")[0];
    let resources = kustomization["resources"].as_array().unwrap().iter();
    let resources = resources.map(|path| path.as_str().unwrap().to_owned());
    assert_eq!(resources.collect::<BTreeSet<_>>(), files);
}

#[test]
fn the_chart_and_the_deployment_have_the_version_of_the_workspace() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = &read("chart/wukong-operator/Chart.yaml")[0];
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
    assert_eq!(container()["image"], format!("wukong-operator:{version}"));
}

/// Otherwise the operator would validate manifests differently from `kubectl wukong` without flags.
#[test]
fn the_deployment_has_the_default_settings() {
    let container = container();
    let variable = |name: &str| {
        let variables = container["env"].as_array().unwrap();
        let named = |variable: &&Value| variable["name"] == name;
        variables.iter().find(named).unwrap()["value"].clone()
    };
    let settings = OperatorSettings::default();
    assert_eq!(variable("WUKONG_OS_IMAGE_PREFIX"), settings.os_image_prefix);
    assert_eq!(
        variable("WUKONG_DENIED_HOSTS"),
        settings.denied_hosts.join(",")
    );
}
