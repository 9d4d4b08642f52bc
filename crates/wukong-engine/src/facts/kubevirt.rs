//! Facts of the KubeVirt resource.

use std::collections::BTreeMap;

use serde_json::Value;

use super::same_but;
use super::text::Text;
use crate::facts::json::{entries, flag, optional_text, text, texts};
use crate::facts::{ConditionFact, Fact, Meta, conditions};

/// The KubeVirt resource: how KubeVirt is installed and configured. A cluster has one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KubeVirtFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `status.phase`: `Deploying`, `Deployed`, `Deleting`, ...
    pub phase: Text,
    /// Its conditions `Available`, `Progressing`, `Degraded` and `Synchronized`.
    pub conditions: Box<[ConditionFact]>,
    /// Whether guests run without hardware virtualization.
    pub use_emulation: bool,
    /// Feature gates that are on.
    pub feature_gates: Vec<Text>,
    /// Feature gates that are off, since 1.9.
    pub disabled_feature_gates: Vec<Text>,
    /// `LiveUpdate` or `Stage`; absent is `LiveUpdate`.
    pub rollout_strategy: Option<Text>,
    /// Whether it migrates VMs by itself to apply changes (`LiveMigrate` in `workloadUpdateMethods`).
    pub migrates_for_updates: bool,
    /// Names of the network binding plugins that are registered.
    pub network_bindings: Vec<Text>,
    /// Eviction strategy of VMs that name none.
    pub eviction_strategy: Option<Text>,
    /// Version that runs, such as `v1.9.0`.
    pub version: Option<Text>,
    /// Architecture of VMs that name none.
    pub default_architecture: Option<Text>,
    /// CPU model of VMs that name none.
    pub cpu_model: Option<Text>,
    /// Machine type of VMs that name none, by architecture.
    pub machine_types: BTreeMap<Text, Text>,
    /// How many vCPUs share one CPU.
    pub cpu_allocation_ratio: Option<u64>,
}

impl Fact for KubeVirtFact {
    fn project(object: &Value) -> Self {
        let machine_types = entries(object, "/spec/configuration/architectureConfiguration")
            .filter_map(|(architecture, configuration)| {
                Some((
                    architecture.into(),
                    optional_text(configuration, "/machineType")?,
                ))
            });
        let developer = "/spec/configuration/developerConfiguration";
        Self {
            meta: Meta::project(object),
            phase: text(object, "/status/phase"),
            conditions: conditions(
                object,
                &["Available", "Progressing", "Degraded", "Synchronized"],
            ),
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
                .map(|(name, _)| name.into())
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

    /// Whether it plugs disks that a VirtualMachine gets into the running guest. `None`: its version is unknown.
    ///
    /// The gate `DeclarativeHotplugVolumes` exists since 1.6 and is on since 1.9. The older gate `HotplugVolumes` switches that
    /// off (`handleDeclarativeVolumeHotplug` in `pkg/virt-controller/watch/vm`).
    pub fn plugs_disks(&self) -> Option<bool> {
        const GATE: &str = "DeclarativeHotplugVolumes";
        let has = |gates: &[Text], name: &str| gates.iter().any(|gate| gate == name);
        let disabled = has(&self.disabled_feature_gates, GATE);
        if has(&self.feature_gates, "HotplugVolumes") || disabled {
            return Some(false);
        }
        let version = self.minor_version()?;
        Some(version >= (1, 9) || (version >= (1, 6) && has(&self.feature_gates, GATE)))
    }
}
