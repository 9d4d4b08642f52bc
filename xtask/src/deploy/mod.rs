//! `gen-deploy`: the kustomization and the Helm chart, from the manifests below `deploy/`.
//!
//! The manifests are written by hand, and are what kustomize installs. The chart is made of the same manifests: `values`
//! says which of their fields a value of the chart sets, and a value's default is what the manifest says there.

mod chart;
mod manifests;
mod notes;
mod values;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::generated;
use manifests::Manifest;

/// Write the kustomization (deploy/kustomization.yaml) and the Helm chart (deploy/chart) from the manifests in deploy.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing; fail when a file is out of date.
    #[arg(long)]
    check: bool,
}

/// What everybody installs, in the order of installation.
const BASE: [&str; 4] = ["crds", "rbac", "policies", "operator"];
/// What a value of the chart, or a component of kustomize, adds.
const OPTIONAL: [&str; 5] = [
    "lists/cluster-role.yaml",
    "monitoring/prometheus-rule.yaml",
    "monitoring/service-monitor.yaml",
    "node-networks/cluster-role.yaml",
    "node-networks/operator-makes-bridges.yaml",
];
const CHART: &str = "deploy/chart/wukong-operator";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let deploy = generated::root().join("deploy");
    let base = manifests::read_folders(&deploy, &BASE)?;
    generated::write(
        Path::new("deploy/kustomization.yaml"),
        &kustomization(&base),
        args.check,
    )?;
    let mut all = base;
    for path in OPTIONAL {
        all.push(manifests::read(&deploy, path)?);
    }
    let mut made = BTreeSet::new();
    for (path, content) in chart::compose(&all)? {
        let path = Path::new(CHART).join(path);
        generated::write(&path, &content, args.check)?;
        made.insert(path);
    }
    remove_others(&made, args.check)
}

fn kustomization(base: &[Manifest]) -> String {
    let mut text = String::from(
        "# Made by `cargo xtask gen-deploy` from the manifests beside it. Do not edit.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n",
    );
    for manifest in base {
        let _ = writeln!(text, "  - {}", manifest.path);
    }
    text
}

/// Removes what an earlier run has left in the chart, or, with `check`, fails when there is any.
fn remove_others(made: &BTreeSet<PathBuf>, check: bool) -> anyhow::Result<()> {
    let mut folders = vec![PathBuf::from(CHART)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(generated::root().join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if !made.contains(&path) {
                if check {
                    bail!(
                        "{} belongs to no manifest: run `cargo xtask gen-deploy`",
                        path.display()
                    );
                }
                fs::remove_file(entry.path())
                    .with_context(|| format!("cannot remove {}", path.display()))?;
                println!("{} removed", path.display());
            }
        }
    }
    Ok(())
}
