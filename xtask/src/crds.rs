//! `gen-crds`: the CRDs, their copies in the Helm chart, their reference documentation, and their types in TypeScript, from
//! the types.

use std::path::Path;

use anyhow::Context;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use wukong_api::{Wukong, WukongPolicy, WukongRestore, WukongSnapshot, WukongSnapshotSchedule};

use crate::{generated, reference, typescript};

/// Write the CRDs (deploy/crds and the chart) and the API reference (docs/api.md) from the types.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing; fail if a file is out of date.
    #[arg(long)]
    check: bool,
}

const HEADER: &str = "# Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit.\n";
/// The types of the page of `kubectl wukong ui`.
const PAGE: &str = "bins/kubectl-wukong/ui/src/api.ts";
const CHART: &str = "deploy/chart/wukong-operator/templates/crds";

pub fn run(args: &Args) -> anyhow::Result<()> {
    let crds = [
        Wukong::crd(),
        WukongSnapshot::crd(),
        WukongSnapshotSchedule::crd(),
        WukongRestore::crd(),
        WukongPolicy::crd(),
    ];
    for crd in &crds {
        let name = &crd.spec.names.plural;
        let manifest = format!("{HEADER}{}", yaml(crd)?);
        let path = format!("deploy/crds/{name}.yaml");
        generated::write(Path::new(&path), &manifest, args.check)?;
        let path = format!("{CHART}/{name}.yaml");
        generated::write(Path::new(&path), &template(crd)?, args.check)?;
    }
    let types = typescript::interfaces(&Wukong::crd());
    generated::write(Path::new(PAGE), &types, args.check)?;
    generated::write(
        Path::new("docs/api.md"),
        &reference::markdown(&crds),
        args.check,
    )
}

fn yaml(crd: &CustomResourceDefinition) -> anyhow::Result<String> {
    serde_saphyr::to_string(crd).context("cannot write the CRD as YAML")
}

/// The template of a CRD in the chart. `helm uninstall` keeps the CRD: without it every Wukong, and with it every VM,
/// would be deleted.
fn template(crd: &CustomResourceDefinition) -> anyhow::Result<String> {
    let mut crd = crd.clone();
    let annotations = crd.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    // Braces of the CRD itself are no template expressions.
    let yaml = yaml(&crd)?.replace("{{", "{{ \"{{\" }}");
    Ok(format!(
        "{HEADER}{{{{- if .Values.crds.install }}}}\n{yaml}{{{{- end }}}}\n"
    ))
}
