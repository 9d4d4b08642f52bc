//! Placement, restart and power of a VM.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Placement, restart and eviction of a VM.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HighAvailability {
    /// Restart of a guest that stops by itself: `Always` restarts it, `OnFailure` restarts it after a failure, `Never`
    /// leaves it off. `startStrategy.runStrategy` takes precedence. Default `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,

    /// Requires different nodes for the VMs of one `group` in this namespace. A VM without a free node waits. Default
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<bool>,

    /// Prefers to spread the VMs of one `group` in this namespace over zones (`topology.kubernetes.io/zone`). Default
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread: Option<bool>,

    /// Group for `antiAffinity` and `topologySpread`, a label value of at most 63 characters. Default: the label
    /// `app.kubernetes.io/name` of this Wukong, else its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub group: Option<String>,

    /// Labels that the node must have, at most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the VM tolerates, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,

    /// Behaviour at a node drain: `LiveMigrate` migrates and blocks the drain while that is impossible,
    /// `LiveMigrateIfPossible` migrates or shuts down, `None` shuts down, `External` leaves it to another controller.
    /// Default `LiveMigrateIfPossible`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction_strategy: Option<EvictionStrategy>,
}

/// Restart of a guest that stops by itself.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum RestartPolicy {
    /// Restart, whatever the cause.
    #[default]
    Always,
    /// Restart after a failure.
    OnFailure,
    /// Never restart.
    Never,
}

/// Behaviour at a node drain.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum EvictionStrategy {
    /// Migrate; the drain waits while that is impossible.
    LiveMigrate,
    /// Migrate when possible, else shut down.
    #[default]
    LiveMigrateIfPossible,
    /// Shut down.
    None,
    /// Another controller decides.
    External,
}

/// Taint that the VM tolerates, as in a pod.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint. Absent with `operator: Exists`: every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub key: Option<String>,

    /// Comparison: `Equal` compares the value, `Exists` only the key. Default `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,

    /// Value of the taint, for `operator: Equal` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,

    /// Effect of the taint: `NoSchedule`, `PreferNoSchedule` or `NoExecute`. Absent: every effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,

    /// Time in seconds for which a `NoExecute` taint is tolerated. Needs `effect: NoExecute`. Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// Comparison of a toleration.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum TolerationOperator {
    /// The value is equal.
    Equal,
    /// The key exists.
    Exists,
}

/// Effect of a taint.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = super::without_description)]
pub enum TaintEffect {
    /// The scheduler places no new pods.
    NoSchedule,
    /// The scheduler avoids the node.
    PreferNoSchedule,
    /// Kubernetes evicts running pods.
    NoExecute,
}

/// Start of the VM after its creation and after its guest stops.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.runStrategy) && self.runStrategy == 'Always' && has(self.autoStart) && !self.autoStart)")
        .message("runStrategy: Always starts the VM at once, autoStart: false does not: drop one of the two, or use runStrategy: Manual")
)]
pub struct StartStrategy {
    /// Run strategy of KubeVirt: `Always`, `RerunOnFailure`, `Manual`, `Halted` or `Once`. Takes precedence over
    /// `highAvailability.restartPolicy`. Default: derived from `restartPolicy`, or `Halted` with `autoStart: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_strategy: Option<RunStrategy>,

    /// Starts the VM when it is created. `false` excludes `runStrategy: Always`. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_start: Option<bool>,
}

/// Run strategy of KubeVirt.
#[derive(
    JsonSchema,
    Clone,
    Copy,
    Debug,
    Deserialize,
    Eq,
    PartialEq,
    Serialize,
    strum::AsRefStr,
    strum::EnumString,
)]
#[schemars(transform = super::without_description)]
pub enum RunStrategy {
    /// The VM always runs.
    Always,
    /// The VM is restarted after a failure, not after a shutdown from inside.
    RerunOnFailure,
    /// Only users start and stop the VM. With `autoStart`, the operator starts it once, after its creation.
    Manual,
    /// The VM does not run.
    Halted,
    /// The VM runs once and is never restarted.
    Once,
}
