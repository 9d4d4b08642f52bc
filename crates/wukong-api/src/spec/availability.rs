//! Placement, restart and power.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Placement and restart.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HighAvailability {
    /// What happens when the guest stops by itself: `Always` restarts it, `OnFailure` restarts it after a failure,
    /// `Never` leaves it. `startStrategy.runStrategy` wins over it. Default `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,

    /// Keeps the VMs of one `group` on different nodes. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<bool>,

    /// Spreads the VMs of one `group` over zones. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology_spread: Option<bool>,

    /// Name of the group that `antiAffinity` and `topologySpread` speak of. Default: the label
    /// `app.kubernetes.io/name` of this Wukong, else its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub group: Option<String>,

    /// Node labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub node_selector: BTreeMap<String, String>,

    /// Node taints that this VM tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,

    /// What happens when the node is drained. Default `LiveMigrateIfPossible`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction_strategy: Option<EvictionStrategy>,
}

/// What happens when the guest stops by itself.
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

/// What happens when the node is drained.
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

/// A taint that the VM tolerates, as in a pod.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Taint key; absent with operator `Exists`: every taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub key: Option<String>,

    /// `Equal` (default) or `Exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,

    /// Taint value, with operator `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,

    /// Taint effect; absent: every effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,

    /// Seconds that a `NoExecute` taint is tolerated; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
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
    /// New pods stay away.
    NoSchedule,
    /// New pods stay away if they can.
    PreferNoSchedule,
    /// Running pods leave.
    NoExecute,
}

/// What happens to the VM when it is created, and when its guest stops.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.runStrategy) && self.runStrategy == 'Always' && has(self.autoStart) && !self.autoStart)")
        .message("runStrategy: Always starts the VM at once, autoStart: false does not: drop one of the two, or use runStrategy: Manual")
)]
pub struct StartStrategy {
    /// KubeVirt's run strategy. Wins over `highAvailability.restartPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_strategy: Option<RunStrategy>,

    /// Starts the VM when it is created. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_start: Option<bool>,
}

/// KubeVirt's run strategy.
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
    /// The VM is started and stopped by hand only; with `autoStart` it is started once, when it is first created.
    Manual,
    /// The VM does not run.
    Halted,
    /// The VM runs once and is never restarted.
    Once,
}
