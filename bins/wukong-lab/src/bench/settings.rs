//! What to measure.

use std::path::PathBuf;
use std::time::Duration;

use super::report::Size;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    pub size: Size,
    /// The `wukong-lab` binary.
    pub shim: PathBuf,
    pub operator: PathBuf,
    /// `None`: the plugin is not measured.
    pub plugin: Option<PathBuf>,
    /// How long a settled cluster is observed.
    pub steady: Duration,
    /// Only count requests: no bare client, no latencies, no take-over.
    pub counts_only: bool,
}
