//! Programs of others that tests judge our manifests with.

use std::path::PathBuf;

use anyhow::Result;

use super::go::{Module, Program, Set};
use super::progress::Progress;

/// A program with a version of its own, built from its sources on first use.
pub struct Tool {
    /// Names a program to use instead.
    variable: &'static str,
    version: &'static str,
    program: Program,
    /// Build tags.
    tags: &'static str,
    /// What cannot be done without it.
    needed_for: &'static str,
}

/// Helm, which tests and people render the chart with.
pub static HELM: Tool = Tool {
    variable: "WUKONG_HELM",
    version: "v4.2.4",
    program: Program {
        name: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        module: &Module {
            name: "helm",
            go_mod: include_str!("../../helm/go.mod"),
            go_sum: include_str!("../../helm/go.sum"),
            tools: include_str!("../../helm/tools.go"),
        },
        about: "about 3 minutes",
    },
    tags: "",
    needed_for: "rendering the chart",
};

/// promtool, Prometheus' own check of rules and queries.
pub static PROMTOOL: Tool = Tool {
    variable: "WUKONG_PROMTOOL",
    version: "v0.313.0",
    program: Program {
        name: "promtool",
        package: "github.com/prometheus/prometheus/cmd/promtool",
        module: &Module {
            name: "promtool",
            go_mod: include_str!("../../promtool/go.mod"),
            go_sum: include_str!("../../promtool/go.sum"),
            tools: include_str!("../../promtool/tools.go"),
        },
        about: "about 4 minutes",
    },
    // Without the clients of every cloud in which Prometheus can find what to scrape.
    tags: "remove_all_sd",
    needed_for: "checking the alerts",
};

/// Cyclonus, which says what traffic NetworkPolicies let through.
pub static CYCLONUS: Tool = Tool {
    variable: "WUKONG_CYCLONUS",
    version: "v0.5.6",
    program: Program {
        name: "cyclonus",
        package: "github.com/mattfenwick/cyclonus/cmd/cyclonus",
        module: &Module {
            name: "cyclonus",
            go_mod: include_str!("../../cyclonus/go.mod"),
            go_sum: include_str!("../../cyclonus/go.sum"),
            tools: include_str!("../../cyclonus/tools.go"),
        },
        about: "about half a minute",
    },
    tags: "",
    needed_for: "judging the NetworkPolicies",
};

impl Tool {
    /// The program that the environment names, or one that is built.
    ///
    /// Errors when there is neither that nor a Go toolchain, or when the build fails.
    pub async fn locate(&self, progress: &Progress) -> Result<PathBuf> {
        if let Some(program) = std::env::var_os(self.variable) {
            return Ok(program.into());
        }
        let name = self.program.name;
        let set = Set {
            name,
            version: self.version,
            programs: std::slice::from_ref(&self.program),
            tags: self.tags,
            variables: "",
            about: &format!("building {name} {} with Go, once.", self.version),
            without_go: &format!(
                "{} needs Go 1.26 or newer, to build {name}, or {} with the path of one",
                self.needed_for, self.variable
            ),
        };
        Ok(set.locate(progress).await?.join(name))
    }
}
