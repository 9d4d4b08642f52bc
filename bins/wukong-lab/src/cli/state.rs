//! What a running lab tells about itself, in a file of its directory.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Lab;
use crate::cluster::dirs;

const FILE: &str = "state.json";
/// The name of the lab that `up` starts.
pub(super) const UP: &str = "up";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub name: String,
    pub pid: u32,
    pub started: Timestamp,
    pub dir: PathBuf,
    pub kubeconfig: PathBuf,
    pub operator_kubeconfig: PathBuf,
    pub kubectl: PathBuf,
}

impl State {
    /// Of a lab of this process.
    pub(super) fn of(name: &str, lab: &Lab) -> Self {
        Self {
            name: name.to_owned(),
            pid: std::process::id(),
            started: Timestamp::now(),
            dir: lab.dir().to_owned(),
            kubeconfig: lab.kubeconfig().to_owned(),
            operator_kubeconfig: lab.operator_kubeconfig().to_owned(),
            kubectl: lab.kubectl().to_owned(),
        }
    }

    pub(super) fn write(&self) -> Result<()> {
        let new = self.dir.join("state.json.new");
        fs::write(&new, serde_json::to_string_pretty(self)?)?;
        // Readers see all of it or nothing.
        Ok(fs::rename(new, self.dir.join(FILE))?)
    }

    /// Of all labs that live and are ready.
    pub(super) fn living() -> Result<Vec<Self>> {
        Ok(dirs::living()?
            .iter()
            .filter_map(|dir| Self::read(dir))
            .collect())
    }

    /// Of what `up` started: one lab, or two when two were started at once.
    pub(super) fn of_up() -> Result<Vec<Self>> {
        Ok(Self::living()?
            .into_iter()
            .filter(|state| state.name == UP)
            .collect())
    }

    fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(FILE)).ok()?).ok()
    }

    /// How to look around.
    pub(super) fn hints(&self) -> String {
        let line = |name: &str, path: &Path| format!("  {name:<20}{}\n", path.display());
        [
            line("kubeconfig", &self.kubeconfig),
            line("kubectl", &self.kubectl),
            line("operator kubeconfig", &self.operator_kubeconfig),
            line("logs", &self.dir.join("logs")),
        ]
        .concat()
    }
}
