//! The plant as a process of a lab.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, Spawn};

/// How to run the plant.
#[derive(Debug, Clone, Default)]
pub struct PlantOptions {
    args: Vec<OsString>,
}

impl PlantOptions {
    /// One more argument of `wukong-lab plant`.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }
}

pub(crate) fn start(
    options: PlantOptions,
    shim: &Path,
    log: PathBuf,
    kubeconfig: &Path,
) -> Result<Process> {
    let mut args: Vec<OsString> = vec!["plant".into(), "--kubeconfig".into(), kubeconfig.into()];
    args.extend(options.args);
    Process::start(Spawn {
        name: "the plant".to_owned(),
        shim: shim.to_owned(),
        log,
        grace: Duration::from_secs(5),
        program: shim.to_owned(),
        args,
        env: Vec::new(),
    })
}
