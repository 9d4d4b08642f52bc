//! Causes that the objects of a VM do not show: what the rules find in the cluster, and what its pods and events tell. A
//! verdict that only says that something is under way gets its cause from there.

use wukong_api::{ConditionType, Reason};

use crate::conditions::environment::Life;
use crate::conditions::import;
use crate::environment::rules::RULES;
use crate::environment::{Check, CheckStatus, Platform};
use crate::planning::Planning;
use crate::status;
use crate::verdict::{Status, Verdict};

/// What only the pods and events of a VM's children tell.
const TOLD_BY_CHILDREN: [(ConditionType, Reason); 4] = [
    (ConditionType::EnvironmentReady, Reason::MultusUnhealthy),
    (ConditionType::DependenciesResolved, Reason::SecretNotFound),
    (ConditionType::VolumesBound, Reason::ProvisionerNotReady),
    (ConditionType::Running, Reason::PodNotStarted),
];

/// Names the causes in the verdicts, and returns those that are not named there. `checks` are what the rules find, and
/// `waits` tells whether the verdicts wait for something that should come by itself.
pub(crate) fn name(
    planning: &Planning,
    life: Life,
    checks: &[Check],
    waits: bool,
    verdicts: &mut Vec<Verdict>,
) -> Vec<Check> {
    let mut others = Vec::new();
    if life != Life::Rises {
        return others;
    }
    let failed = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail && !is_past(planning, check));
    for check in failed {
        take_in(verdicts, check.clone(), false, &mut others);
    }
    let environment = &planning.observed.world.environment;
    let children = &planning.observed.memory.looked.children;
    let namespace = &planning.wukong.identity.namespace;
    match children.trouble(namespace, Platform::of(environment)) {
        Some(check) if waits => take_in(verdicts, check, true, &mut others),
        // The operator does not look then, and whoever does gets the same blocker.
        Some(check) => others.push(check),
        None => {}
    }
    remember(planning, waits, verdicts);
    place(verdicts);
    others
}

/// A launcher pod that cannot start has a node: kubelet and volume controllers speak of no others. KubeVirt says so only
/// when the pod runs.
fn place(verdicts: &mut [Verdict]) {
    let is_launcher = |object: &String| object.starts_with("Pod/virt-launcher-");
    let stands_still = verdicts.iter().any(|verdict| {
        verdict.reason == Reason::PodNotStarted && verdict.object.as_ref().is_some_and(is_launcher)
    });
    let unplaced = verdicts
        .iter_mut()
        .find(|verdict| verdict.reason == Reason::Scheduling)
        .filter(|_| stands_still);
    if let Some(unplaced) = unplaced {
        *unplaced = Verdict::ok(
            ConditionType::Scheduled,
            Reason::Scheduled,
            "The VM's pod has a node",
        );
    }
}

/// Whether the check asks if something can be made that is there already, and that it counts itself.
fn is_past(planning: &Planning, check: &Check) -> bool {
    match check.id {
        "storage-quota" => planning.disks.iter().any(|seen| seen.claim.is_some()),
        "pod-quota" | "pod-limit" => planning.instance.is_some(),
        _ => false,
    }
}

fn take_in(verdicts: &mut Vec<Verdict>, check: Check, told: bool, others: &mut Vec<Check>) {
    let Some(verdict) = verdicts
        .iter_mut()
        .find(|verdict| verdict.type_ == check.condition)
    else {
        return insert(verdicts, check.into());
    };
    let waits = match verdict.status {
        Status::Progressing | Status::Unknown => !matches!(
            verdict.reason,
            Reason::Importing | Reason::Resizing | Reason::Stopping
        ),
        // Facts tell that objects are there, not that pods get at them.
        Status::True => match verdict.type_ {
            ConditionType::EnvironmentReady | ConditionType::DependenciesResolved => told,
            // The VM is its claim's first consumer, and nobody serves it.
            _ => check.reason == Reason::ProvisionerNotReady,
        },
        Status::False => told && import::is_untold(verdict),
        Status::Wished => false,
    };
    if waits {
        *verdict = check.into();
    } else if verdict.status != Status::False || verdict.message == check.message {
        // What has happened already cannot be prevented by what a check finds.
    } else if verdict.reason == check.reason {
        verdict.evidence.extend(check.evidence);
        verdict.hint = verdict.hint.take().or(check.hint);
    } else {
        others.push(check);
    }
}

/// Keeps the causal order.
fn insert(verdicts: &mut Vec<Verdict>, verdict: Verdict) {
    let place = verdicts
        .iter()
        .position(|known| known.type_ > verdict.type_)
        .unwrap_or(verdicts.len());
    verdicts.insert(place, verdict);
}

/// A restart forgets what was heard, and does not make it less true: until it is heard again, what was said stays.
fn remember(planning: &Planning, waits: bool, verdicts: &mut Vec<Verdict>) {
    let observed = planning.observed;
    let heard = observed.world.environment.is_heard();
    let looked = !waits || observed.memory.looked.at.is_some();
    if heard && looked {
        return;
    }
    let said = observed.wukong.status.iter();
    for condition in said.flat_map(|status| &status.conditions) {
        let Ok(type_) = condition.type_.parse() else {
            continue;
        };
        let Some(before) = status::said_before(observed.wukong, type_) else {
            continue;
        };
        let of_cluster = matches!(
            type_,
            ConditionType::EnvironmentReady
                | ConditionType::NodeNetworkReady
                | ConditionType::LiveMigratable
        );
        let found = RULES
            .iter()
            .any(|rule| rule.condition == type_ && rule.reason == before.reason);
        let told = TOLD_BY_CHILDREN.contains(&(type_, before.reason));
        let bad = before.status == Status::False;
        let now = verdicts.iter_mut().find(|verdict| verdict.type_ == type_);
        let better = now.as_ref().is_none_or(|now| now.status != Status::False);
        let unknown = now
            .as_ref()
            .is_none_or(|now| now.reason == Reason::NotObserved);
        let unheard = !heard && ((of_cluster && unknown) || (found && bad && better));
        let unlooked = !looked && told && bad && better;
        if !unheard && !unlooked {
            continue;
        }
        match now {
            Some(now) => *now = before,
            None => insert(verdicts, before),
        }
    }
}
