//! `gen-crds`: the CustomResourceDefinitions and their reference documentation, from the types.

use std::path::Path;

use anyhow::Context;
use kube::CustomResourceExt;
use wukong_api::{Wukong, WukongPolicy};

use crate::{generated, reference};

/// Write the CustomResourceDefinitions (deploy/crds) and the API reference (docs/api.md) from the types.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing; fail when a file is out of date.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let crds = [Wukong::crd(), WukongPolicy::crd()];
    for crd in &crds {
        let yaml = serde_saphyr::to_string(crd)
            .context("cannot write the CustomResourceDefinition as YAML")?;
        let header = "# Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit.\n";
        let path = format!("deploy/crds/{}.yaml", crd.spec.names.plural);
        generated::write(Path::new(&path), &format!("{header}{yaml}"), args.check)?;
    }
    generated::write(
        Path::new("docs/api.md"),
        &reference::markdown(&crds),
        args.check,
    )
}
