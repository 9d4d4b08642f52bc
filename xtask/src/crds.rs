//! `gen-crds`: the CustomResourceDefinition and its reference documentation, from the types.

use std::path::Path;

use anyhow::Context;
use kube::CustomResourceExt;
use wukong_api::Wukong;

use crate::{generated, reference};

/// Write the CustomResourceDefinition (deploy/crds) and the API reference (docs/api.md) from the types.
#[derive(clap::Args)]
pub struct Args {
    /// Change nothing; fail when a file is out of date.
    #[arg(long)]
    check: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let crd = Wukong::crd();
    let yaml = serde_saphyr::to_string(&crd)
        .context("cannot write the CustomResourceDefinition as YAML")?;
    let header = "# Made by `cargo xtask gen-crds` from crates/wukong-api. Do not edit.\n";
    generated::write(
        Path::new("deploy/crds/wukongs.yaml"),
        &format!("{header}{yaml}"),
        args.check,
    )?;
    generated::write(
        Path::new("docs/api.md"),
        &reference::markdown(&crd),
        args.check,
    )
}
