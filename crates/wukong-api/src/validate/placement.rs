//! Placement and run strategy.

use std::collections::BTreeMap;

use super::problem::Problems;
use super::text;
use crate::spec::{
    RestartPolicy, RunStrategy, TaintEffect, Toleration, TolerationOperator, WukongSpec,
};
use crate::validated::Placement;

const TOLERATIONS_MAX: usize = 32;
const NODE_SELECTOR_MAX: usize = 32;

pub(super) fn check(spec: &WukongSpec, problems: &mut Problems) -> Placement {
    let requested = spec.high_availability.clone().unwrap_or_default();
    labels(
        "spec.highAvailability.nodeSelector",
        &requested.node_selector,
        problems,
    );
    let path = "spec.highAvailability.tolerations";
    if requested.tolerations.len() > TOLERATIONS_MAX {
        problems.add(
            path,
            format!(
                "has {} entries; at most {TOLERATIONS_MAX} are allowed",
                requested.tolerations.len()
            ),
        );
    } else {
        for (index, toleration) in requested.tolerations.iter().enumerate() {
            check_toleration(&format!("{path}[{index}]"), toleration, problems);
        }
    }
    Placement {
        anti_affinity: requested.anti_affinity.unwrap_or(false),
        topology_spread: requested.topology_spread.unwrap_or(false),
        node_selector: requested.node_selector,
        tolerations: requested.tolerations,
        eviction_strategy: requested.eviction_strategy.unwrap_or_default(),
    }
}

/// Checks keys and values of a node selector.
pub(super) fn labels(path: &str, labels: &BTreeMap<String, String>, problems: &mut Problems) {
    if labels.len() > NODE_SELECTOR_MAX {
        problems.add(
            path,
            format!(
                "has {} entries; at most {NODE_SELECTOR_MAX} are allowed",
                labels.len()
            ),
        );
        return;
    }
    for (key, value) in labels {
        if problems.check(path, text::label_key(key)).is_some() {
            problems.check(&format!("{path}[{key}]"), text::label_value(value));
        }
    }
}

/// KubeVirt does not check tolerations, and the pod then never starts: the rules are those of the pod
/// (`ValidateTolerations` of Kubernetes).
fn check_toleration(path: &str, toleration: &Toleration, problems: &mut Problems) {
    let exists = toleration.operator == Some(TolerationOperator::Exists);
    match &toleration.key {
        Some(key) if !key.is_empty() => {
            problems.check(&format!("{path}.key"), text::label_key(key));
        }
        _ if !exists => problems.add(
            format!("{path}.operator"),
            "a toleration without a key needs operator: Exists",
        ),
        _ => {}
    }
    if let Some(value) = &toleration.value {
        if exists && !value.is_empty() {
            problems.add(
                format!("{path}.value"),
                "operator: Exists compares no value: drop it, or use operator: Equal",
            );
        }
        problems.check(&format!("{path}.value"), text::label_value(value));
    }
    if toleration.toleration_seconds.is_some() && toleration.effect != Some(TaintEffect::NoExecute)
    {
        problems.add(
            format!("{path}.tolerationSeconds"),
            "applies only to effect: NoExecute: add that effect, or remove tolerationSeconds",
        );
    }
}

/// The run strategy after all defaults, and whether a `Manual` VM is started when it is first created.
pub(super) fn run_strategy(spec: &WukongSpec, problems: &mut Problems) -> (RunStrategy, bool) {
    let requested = spec.start_strategy.clone().unwrap_or_default();
    let auto_start = requested.auto_start.unwrap_or(true);
    if requested.run_strategy == Some(RunStrategy::Always) && !auto_start {
        problems.add(
            "spec.startStrategy",
            "runStrategy: Always starts the VM at once, autoStart: false does not: drop one of the two, or use runStrategy: Manual",
        );
    }
    let strategy = requested.run_strategy.unwrap_or_else(|| {
        let policy = spec
            .high_availability
            .as_ref()
            .and_then(|ha| ha.restart_policy)
            .unwrap_or_default();
        match policy {
            _ if !auto_start => RunStrategy::Halted,
            RestartPolicy::Always => RunStrategy::Always,
            RestartPolicy::OnFailure => RunStrategy::RerunOnFailure,
            RestartPolicy::Never => RunStrategy::Once,
        }
    });
    (strategy, auto_start)
}
