//! Rules about who may depend on whom (docs/architecture.md).

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::command::cargo;
use crate::generated;

/// The libraries, and the libraries of ours that each may depend on.
pub const LIBRARIES: [(&str, &[&str]); 7] = [
    ("wukong-api", &[]),
    ("wukong-network", &["wukong-api"]),
    ("wukong-storage", &["wukong-api"]),
    ("wukong-vm", &["wukong-api"]),
    ("wukong-protection", &["wukong-api"]),
    (
        "wukong-engine",
        &[
            "wukong-api",
            "wukong-network",
            "wukong-storage",
            "wukong-vm",
            "wukong-protection",
        ],
    ),
    ("wukong-sim", &[]),
];

/// What a pure library must not reach, by normal dependencies.
const IMPURE: [&str; 5] = ["tokio", "hyper", "rand", "getrandom", "kube-client"];

/// Checks every rule.
pub fn check() -> anyhow::Result<()> {
    layers()?;
    for (library, _) in LIBRARIES {
        pure(library)?;
        // Feature unification hides missing features: each library has to build alone, too.
        cargo(&["check", "--quiet", "--locked", "-p", library])?;
    }
    println!(
        "{} libraries: layered, pure, no Kubernetes version chosen, each builds alone",
        LIBRARIES.len()
    );
    Ok(())
}

/// What cargo knows of the packages of the workspace.
pub fn metadata() -> anyhow::Result<Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(generated::root())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")
}

/// A package of the workspace.
pub fn package<'a>(metadata: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    packages
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(Value::as_str) == Some(name))
        .with_context(|| format!("there is no crate {name}"))
}

/// An integration test of the workspace: the name of its target, and its package.
pub struct IntegrationTest {
    pub package: String,
    pub name: String,
}

/// Every integration test of the workspace.
pub fn integration_tests() -> anyhow::Result<Vec<IntegrationTest>> {
    #[derive(serde::Deserialize)]
    struct Workspace {
        packages: Vec<Package>,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
        targets: Vec<Target>,
    }
    #[derive(serde::Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    let workspace: Workspace = serde_json::from_value(metadata()?)?;
    let of_package = |package: Package| {
        let tests = package
            .targets
            .into_iter()
            .filter(|target| target.kind == ["test"]);
        tests.map(move |target| IntegrationTest {
            package: package.name.clone(),
            name: target.name,
        })
    };
    Ok(workspace
        .packages
        .into_iter()
        .flat_map(of_package)
        .collect())
}

fn layers() -> anyhow::Result<()> {
    let metadata = metadata()?;
    for (library, allowed) in LIBRARIES {
        let package = package(&metadata, library)?;
        for dependency in package
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = dependency
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if dependency.get("kind").is_some_and(|kind| !kind.is_null()) {
                continue;
            }
            if name.starts_with("wukong-") && !allowed.contains(&name) {
                bail!("{library} must not depend on {name}");
            }
            let features = dependency
                .get("features")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            if name == "k8s-openapi"
                && features
                    .filter_map(Value::as_str)
                    .any(|feature| feature.starts_with("v1_") || feature == "latest")
            {
                bail!(
                    "{library} must not choose a Kubernetes version: the program that uses it does"
                );
            }
        }
    }
    Ok(())
}

fn pure(library: &str) -> anyhow::Result<()> {
    for impure in IMPURE {
        let status = Command::new("cargo")
            .args([
                "tree", "--quiet", "--locked", "-p", library, "-e", "normal", "-i", impure,
            ])
            .current_dir(generated::root())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run cargo tree")?;
        if status.success() {
            bail!(
                "{library} reaches {impure}: see `cargo tree -p {library} -e normal -i {impure}`"
            );
        }
    }
    Ok(())
}
