//! promtool, Prometheus' own check of rules and queries.

use std::path::PathBuf;

use anyhow::Result;

use crate::go::{Module, Program, Set};
use crate::progress::Progress;

const PROMETHEUS: &str = "v0.313.0";

static MODULE: Module = Module {
    name: "promtool",
    go_mod: include_str!("../promtool/go.mod"),
    go_sum: include_str!("../promtool/go.sum"),
    tools: include_str!("../promtool/tools.go"),
};

/// The program that `WUKONG_PROMTOOL` names, or one built from its sources on first use.
///
/// Errors when there is neither that nor a Go toolchain, or when the build fails.
pub async fn locate(progress: &Progress) -> Result<PathBuf> {
    if let Some(promtool) = std::env::var_os("WUKONG_PROMTOOL") {
        return Ok(promtool.into());
    }
    let set = Set {
        name: "promtool",
        version: PROMETHEUS,
        programs: &[Program {
            name: "promtool",
            package: "github.com/prometheus/prometheus/cmd/promtool",
            module: &MODULE,
            about: "about 4 minutes",
        }],
        // Without the clients of every cloud in which Prometheus can find what to scrape.
        tags: "remove_all_sd",
        variables: "",
        about: &format!("building promtool {PROMETHEUS} with Go, once."),
        without_go: "checking the alerts needs Go 1.26 or newer, to build promtool, or WUKONG_PROMTOOL with the path of a promtool",
    };
    Ok(set.locate(progress).await?.join("promtool"))
}
