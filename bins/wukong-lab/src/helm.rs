//! Helm, which tests and people render the chart with.

use std::path::PathBuf;

use anyhow::Result;

use crate::go::{Module, Program, Set};
use crate::progress::Progress;

const HELM: &str = "v4.2.4";

static MODULE: Module = Module {
    name: "helm",
    go_mod: include_str!("../helm/go.mod"),
    go_sum: include_str!("../helm/go.sum"),
    tools: include_str!("../helm/tools.go"),
};

/// The program that `WUKONG_HELM` names, or one built from its sources on first use.
///
/// Errors when there is neither that nor a Go toolchain, or when the build fails.
pub async fn locate(progress: &Progress) -> Result<PathBuf> {
    if let Some(helm) = std::env::var_os("WUKONG_HELM") {
        return Ok(helm.into());
    }
    let set = Set {
        name: "helm",
        version: HELM,
        programs: &[Program {
            name: "helm",
            package: "helm.sh/helm/v4/cmd/helm",
            module: &MODULE,
            about: "about 3 minutes",
        }],
        tags: "",
        variables: "",
        about: &format!("building Helm {HELM} with Go, once."),
        without_go: "rendering the chart needs Go 1.26 or newer, to build Helm, or WUKONG_HELM with the path of a helm",
    };
    Ok(set.locate(progress).await?.join("helm"))
}
