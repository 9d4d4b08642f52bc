//! Causes that the objects of a VM do not show: what the rules find in the cluster, and what its pods and events tell. A
//! condition that only says that something is under way gets its cause from there.

use wukong_api::{ConditionType, Reason};

use crate::condition::{Condition, Status};
use crate::conditions::environment::Life;
use crate::conditions::import;
use crate::environment::rules::RULES;
use crate::environment::{Check, CheckStatus, Platform};
use crate::situation::Situation;
use crate::status;

/// What only the pods and events of a VM's children tell.
const TOLD_BY_CHILDREN: [(ConditionType, Reason); 4] = [
    (ConditionType::EnvironmentReady, Reason::MultusUnhealthy),
    (ConditionType::DependenciesResolved, Reason::SecretNotFound),
    (ConditionType::VolumesBound, Reason::ProvisionerNotReady),
    (ConditionType::Running, Reason::PodNotStarted),
];

/// Names the causes in the conditions, and returns those that are not named there. `checks` are what the rules find, and
/// `waits` tells whether the conditions wait for something that should come by itself.
pub(crate) fn name(
    situation: &Situation,
    life: Life,
    checks: &[Check],
    waits: bool,
    conditions: &mut Vec<Condition>,
) -> Vec<Check> {
    let mut others = Vec::new();
    if life != Life::Rises {
        return others;
    }
    let failed = checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail && !is_past(situation, check));
    for check in failed {
        take_in(conditions, check.clone(), false, &mut others);
    }
    let environment = &situation.observed.world.environment;
    let children = &situation.observed.memory.queried.children;
    let namespace = &situation.wukong.identity.namespace;
    match children.trouble(namespace, Platform::of(environment)) {
        Some(check) if waits => take_in(conditions, check, true, &mut others),
        // The operator does not look then, and whoever does gets the same blocker.
        Some(check) => others.push(check),
        None => {}
    }
    remember(situation, waits, conditions);
    place(conditions);
    others
}

/// A launcher pod that cannot start has a node: kubelet and volume controllers speak of no others. KubeVirt says so only
/// when the pod runs.
fn place(conditions: &mut [Condition]) {
    let is_launcher = |object: &String| object.starts_with("Pod/virt-launcher-");
    let stands_still = conditions.iter().any(|condition| {
        condition.reason == Reason::PodNotStarted
            && condition.object.as_ref().is_some_and(is_launcher)
    });
    let unplaced = conditions
        .iter_mut()
        .find(|condition| condition.reason == Reason::Scheduling)
        .filter(|_| stands_still);
    if let Some(unplaced) = unplaced {
        *unplaced = Condition::ok(
            ConditionType::Scheduled,
            Reason::Scheduled,
            "The VM's pod has a node",
        );
    }
}

/// Whether the check asks if something can be made that is there already, and that it counts itself.
fn is_past(situation: &Situation, check: &Check) -> bool {
    match check.id {
        "storage-quota" => situation.disks.iter().any(|seen| seen.claim.is_some()),
        "pod-quota" | "pod-limit" => situation.instance.is_some(),
        _ => false,
    }
}

fn take_in(conditions: &mut Vec<Condition>, check: Check, told: bool, others: &mut Vec<Check>) {
    let Some(condition) = conditions
        .iter_mut()
        .find(|condition| condition.type_ == check.condition)
    else {
        return insert(conditions, check.into());
    };
    let waits = match condition.status {
        Status::Progressing | Status::Unknown => !matches!(
            condition.reason,
            Reason::Importing | Reason::Resizing | Reason::Stopping
        ),
        // Facts tell that objects are there, not that pods get at them.
        Status::True => match condition.type_ {
            ConditionType::EnvironmentReady | ConditionType::DependenciesResolved => told,
            // The VM is its claim's first consumer, and nobody serves it.
            _ => check.reason == Reason::ProvisionerNotReady,
        },
        Status::False => told && import::is_untold(condition),
        Status::Intended => false,
    };
    if waits {
        *condition = check.into();
    } else if condition.status != Status::False || condition.message == check.message {
        // What has happened already cannot be prevented by what a check finds.
    } else if condition.reason == check.reason {
        condition.evidence.extend(check.evidence);
        condition.hint = condition.hint.take().or(check.hint);
    } else {
        others.push(check);
    }
}

/// Keeps the causal order.
fn insert(conditions: &mut Vec<Condition>, condition: Condition) {
    let place = conditions
        .iter()
        .position(|known| known.type_ > condition.type_)
        .unwrap_or(conditions.len());
    conditions.insert(place, condition);
}

/// A restart forgets what was heard, and does not make it less true: until it is heard again, what was said stays.
fn remember(situation: &Situation, waits: bool, conditions: &mut Vec<Condition>) {
    let observed = situation.observed;
    let heard = observed.world.environment.is_heard();
    let looked = !waits || observed.memory.queried.at.is_some();
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
        let now = conditions
            .iter_mut()
            .find(|condition| condition.type_ == type_);
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
            None => insert(conditions, before),
        }
    }
}
