//! Facts of the KubeVirt resource.

use std::collections::BTreeMap;

use serde_json::Value;

use super::same_but;
use crate::facts::json::{entries, flag, optional_text, text, texts};
use crate::facts::{ConditionFact, Fact, Meta, conditions};

/// The KubeVirt resource: how KubeVirt is installed and configured. A cluster has one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KubeVirtFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.phase`: `Deploying`, `Deployed`, `Deleting`, ...
    pub phase: String,
    /// Its conditions `Available`, `Progressing` and `Degraded`.
    pub conditions: Vec<ConditionFact>,
    /// Whether guests run without hardware virtualization.
    pub use_emulation: bool,
    /// Feature gates that are on.
    pub feature_gates: Vec<String>,
    /// Feature gates that are off, since 1.9.
    pub disabled_feature_gates: Vec<String>,
    /// `LiveUpdate` or `Stage`; absent is `LiveUpdate`.
    pub rollout_strategy: Option<String>,
    /// Whether it migrates VMs by itself to apply changes (`LiveMigrate` in `workloadUpdateMethods`).
    pub migrates_for_updates: bool,
    /// Names of the network binding plugins that are registered.
    pub network_bindings: Vec<String>,
    /// Eviction strategy of VMs that name none.
    pub eviction_strategy: Option<String>,
    /// Version that runs, such as `v1.9.0`.
    pub version: Option<String>,
    /// Architecture of VMs that name none.
    pub default_architecture: Option<String>,
    /// CPU model of VMs that name none.
    pub cpu_model: Option<String>,
    /// Machine type of VMs that name none, by architecture.
    pub machine_types: BTreeMap<String, String>,
    /// How many vCPUs share one CPU.
    pub cpu_allocation_ratio: Option<u64>,
}

impl Fact for KubeVirtFact {
    fn project(object: &Value) -> Self {
        let machine_types = entries(object, "/spec/configuration/architectureConfiguration")
            .filter_map(|(architecture, configuration)| {
                Some((
                    architecture.clone(),
                    optional_text(configuration, "/machineType")?,
                ))
            });
        let developer = "/spec/configuration/developerConfiguration";
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            conditions: conditions(object, &["Available", "Progressing", "Degraded"]),
            use_emulation: flag(object, &format!("{developer}/useEmulation")),
            feature_gates: texts(object, &format!("{developer}/featureGates")),
            disabled_feature_gates: texts(object, &format!("{developer}/disabledFeatureGates")),
            rollout_strategy: optional_text(object, "/spec/configuration/vmRolloutStrategy"),
            migrates_for_updates: texts(
                object,
                "/spec/workloadUpdateStrategy/workloadUpdateMethods",
            )
            .iter()
            .any(|method| method == "LiveMigrate"),
            network_bindings: entries(object, "/spec/configuration/network/binding")
                .map(|(name, _)| name.clone())
                .collect(),
            eviction_strategy: optional_text(object, "/spec/configuration/evictionStrategy"),
            version: optional_text(object, "/status/observedKubeVirtVersion"),
            default_architecture: optional_text(object, "/status/defaultArchitecture"),
            cpu_model: optional_text(object, "/spec/configuration/cpuModel"),
            machine_types: machine_types.collect(),
            cpu_allocation_ratio: object
                .pointer(&format!("{developer}/cpuAllocationRatio"))
                .and_then(Value::as_u64),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn says_the_same(&self, other: &Self) -> bool {
        same_but(self, other, |fact| fact.meta = other.meta.clone())
    }
}

impl KubeVirtFact {
    /// Major and minor version, if the version has the usual form.
    pub fn minor_version(&self) -> Option<(u32, u32)> {
        let mut numbers = self
            .version
            .as_deref()?
            .trim_start_matches('v')
            .split(['.', '-']);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}
