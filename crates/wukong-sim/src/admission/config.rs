//! The part of the installation on which the rules depend.

/// The part of the installation on which the rules depend.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// `vmRolloutStrategy: LiveUpdate`, the default; `Stage` otherwise.
    pub live_update: bool,
    /// Feature gates that are on.
    pub gates: Vec<String>,
}

impl Default for ClusterConfig {
    /// KubeVirt 1.9 as released: Beta feature gates on, Alpha ones off.
    fn default() -> Self {
        Self {
            live_update: true,
            gates: [
                "DecentralizedLiveMigration",
                "DeclarativeHotplugVolumes",
                "PanicDevices",
                "PasstBinding",
                "VideoConfig",
            ]
            .map(str::to_owned)
            .to_vec(),
        }
    }
}

impl ClusterConfig {
    pub(super) fn has(&self, gate: &str) -> bool {
        self.gates.iter().any(|on| on == gate)
    }
}
