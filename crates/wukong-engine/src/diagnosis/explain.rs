//! Explains conditions: a condition that states what is wrong gets the cause from the checks and the evidence.

use std::collections::BTreeMap;

use wukong_api::{ConditionType, Reason};

use super::cause::Cause;
use super::condition::{Condition, Status, reported_before};
use super::evidence::{Evidence, Role, Source};
use super::life::Life;
use super::rules::RULES;
use super::signature::Place;
use super::{Check, CheckStatus, chain, collect, matching, scheduler, volume_nodes};
use crate::environment::Platform;
use crate::situation::Situation;

/// Names the causes in the conditions, and returns the findings that no condition shows, because another finding has its
/// place. `checks` are the results of the rules, and `waits` says whether the pods and events were queried for this.
pub(crate) fn explain(
    situation: &Situation,
    life: Life,
    checks: &[Check],
    waits: bool,
    conditions: &mut Vec<Condition>,
) -> Vec<Check> {
    let mut others = Vec::new();
    let unsettled = life == Life::Rises || conditions.iter().any(|condition| condition.open);
    if !unsettled {
        return others;
    }
    if life == Life::Rises {
        let failed = checks
            .iter()
            .filter(|check| check.status == CheckStatus::Fail && !is_past(situation, check));
        for check in failed {
            take_in(conditions, check.clone(), &mut others);
        }
    }
    let causes = causes(situation, life, conditions);
    let of_volume = |cause: &Cause| cause.reason == Reason::VolumeNodeAffinity;
    if life == Life::Rises && !causes.iter().any(of_volume) {
        let found = volume_nodes::check(situation);
        if let Some(check) = found {
            take_in(conditions, check, &mut others);
        }
    }
    for cause in causes {
        name(situation, conditions, &cause, &mut others);
    }
    for condition in conditions.iter_mut() {
        recall(situation, condition);
        close(condition);
    }
    remember(situation, waits, conditions);
    place(situation, conditions);
    others.dedup_by(|one, other| one.message == other.message);
    others
}

/// State and cause of the first of these texts, in order of their rank.
pub(crate) fn told(situation: &Situation, state: &str, words: &[Evidence]) -> Option<String> {
    let environment = &situation.observed.world.environment;
    let identity = &situation.wukong.identity;
    let place = Place::of(environment, &identity.namespace, &identity.name);
    let platform = Platform::of(environment);
    let causes = words
        .iter()
        .filter_map(|one| Cause::of(one, &place, platform));
    let first = causes.min_by_key(|cause| cause.rank.clone())?;
    Some(message(state, &first))
}

/// Whether a signature knows the cause of one of these texts.
pub(crate) fn knows(situation: &Situation, words: &[Evidence]) -> bool {
    let environment = &situation.observed.world.environment;
    let identity = &situation.wukong.identity;
    let place = Place::of(environment, &identity.namespace, &identity.name);
    let platform = Platform::of(environment);
    words
        .iter()
        .any(|one| matching::find(one, &place, platform).is_some())
}

/// The causes of the evidence: of each condition the first in order, then those that another object adds.
fn causes(situation: &Situation, life: Life, conditions: &[Condition]) -> Vec<Cause> {
    let environment = &situation.observed.world.environment;
    let identity = &situation.wukong.identity;
    let place = Place::of(environment, &identity.namespace, &identity.name);
    let platform = Platform::of(environment);
    let own = conditions.iter().filter(|condition| condition.open);
    let mut evidence: Vec<Evidence> = own.flat_map(|condition| condition.words.clone()).collect();
    // KubeVirt repeats the scheduler's message about the pod in the instance.
    let placing = |one: &Evidence| one.source == Source::Scheduler && one.role == Role::Guest;
    let repeated = evidence.iter().any(placing);
    evidence.extend(collect::collect(situation).into_iter().filter(|evidence| {
        // Of a running VM, only the disks that are being attached or that grow can fail.
        let grows = evidence.role == Role::Disk && collect::is_of_resize(&evidence.reason);
        (life != Life::Runs || evidence.role == Role::Attachment || grows)
            && !(repeated && placing(evidence))
    }));
    let mut causes: Vec<Cause> = Vec::new();
    for one in &evidence {
        if one.source == Source::Scheduler {
            causes.extend(scheduler::cause(situation, one, &place, platform));
        } else {
            causes.extend(Cause::of(one, &place, platform));
        }
    }
    let rank = |cause: &Cause| (cause.condition, cause.rank.clone());
    causes.sort_by_key(rank);
    // An event that only repeats may be about anything: it counts while nothing else is found.
    if causes.iter().any(|cause| !cause.rank.is_unlisted()) {
        causes.retain(|cause| !cause.rank.is_unlisted());
    }
    let mut named: BTreeMap<ConditionType, Vec<Reason>> = BTreeMap::new();
    causes.retain(|cause| {
        let reasons = named.entry(cause.condition).or_default();
        let first = !reasons.contains(&cause.reason);
        if first {
            reasons.push(cause.reason);
        }
        first
    });
    causes
}

/// Whether the check is about an object that exists already, and that the check itself counts.
fn is_past(situation: &Situation, check: &Check) -> bool {
    match check.id {
        "storage-quota" => situation.disks.iter().any(|seen| seen.claim.is_some()),
        "pod-quota" | "pod-limit" => situation.instance.is_some(),
        _ => false,
    }
}

/// Adds the finding of a rule to the conditions.
fn take_in(conditions: &mut Vec<Condition>, check: Check, others: &mut Vec<Check>) {
    let Some(condition) = conditions
        .iter_mut()
        .find(|condition| condition.type_ == check.condition)
    else {
        return insert(conditions, check.into());
    };
    let waits = match condition.status {
        Status::Progressing | Status::Unknown => !moves(condition.reason),
        // The VM is its claim's first consumer, and no provisioner serves it.
        Status::True => check.reason == Reason::ProvisionerNotReady,
        Status::False | Status::Intended => false,
    };
    if waits {
        *condition = check.into();
    } else if condition.status == Status::Progressing && check.reason == Reason::CDINotAvailable {
        // The importer goes on without CDI's controller, which then does not see its end.
        others.push(check);
    } else if condition.status != Status::False || condition.message == check.message {
        // A check cannot prevent what has already happened.
    } else if condition.reason == check.reason {
        condition.evidence.extend(check.evidence);
        condition.hint = condition.hint.take().or(check.hint);
    } else {
        others.push(check);
    }
}

/// Whether a condition with this reason reports progress that is observed.
fn moves(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Importing | Reason::Resizing | Reason::Stopping
    )
}

/// Whether a cause of this type replaces a condition that is true: facts show that objects exist, not that pods can use
/// them.
fn may_overrule(type_: ConditionType) -> bool {
    matches!(
        type_,
        ConditionType::EnvironmentReady
            | ConditionType::DependenciesResolved
            | ConditionType::VolumesBound
    )
}

/// Names the cause in its condition.
fn name(
    situation: &Situation,
    conditions: &mut Vec<Condition>,
    cause: &Cause,
    others: &mut Vec<Check>,
) {
    let type_ = type_of(conditions, cause);
    let chain = chain::to(situation, &cause.evidence);
    let known = conditions
        .iter_mut()
        .find(|condition| condition.type_ == type_);
    let named = |state: &str| Condition {
        chain: chain.clone(),
        ..Condition::bad(type_, cause.reason, message(state, cause))
            .about(cause.evidence.object.clone())
            .hint(cause.hint.clone())
    };
    let Some(condition) = known else {
        return insert(conditions, named(&cause.state));
    };
    let own = condition.words.contains(&cause.evidence);
    match condition.status {
        Status::False if condition.open && !cause.rank.is_unlisted() => {
            let state = condition.message.clone();
            // The HTTP status already shows that a write is denied or fails.
            let general = cause.rank.is_unknown() || cause.reason == Reason::AdmissionDenied;
            let kept = (own && general).then_some(condition.reason);
            let own_hint = condition
                .hint
                .take()
                .filter(|_| own && cause.rank.is_unknown());
            *condition = named(&state);
            condition.reason = kept.unwrap_or(condition.reason);
            condition.hint = own_hint.or(condition.hint.take());
        }
        Status::Progressing if cause.rank.is_unlisted() && moves(condition.reason) => {}
        // A condition with a hint says more than a consequence of it.
        Status::Progressing if condition.hint.is_some() && cause.rank.is_consequence() => {}
        Status::Progressing | Status::Unknown if condition.open && !is_fluke(cause) => {
            *condition = named(&cause.state);
        }
        Status::True if may_overrule(type_) && !cause.rank.is_unknown() => {
            *condition = named(&cause.state);
        }
        Status::Intended => {}
        _ => {
            let other: Check = named(&cause.state).into();
            if condition.message != other.message && !condition.message.contains(&cause.message) {
                others.push(other);
            }
        }
    }
}

/// The condition that reports a cause. A cause from the message of a program stays with the condition of the stage that
/// the message is about, unless the signature leads to an earlier condition that it may overrule.
fn type_of(conditions: &[Condition], cause: &Cause) -> ConditionType {
    let late = |type_| type_ >= ConditionType::Created;
    let owner = conditions
        .iter()
        .find(|condition| condition.open && condition.words.contains(&cause.evidence));
    match owner {
        // An object that the API server rejects is not created, whatever the reason.
        Some(owner) if cause.evidence.role == Role::Write => owner.type_,
        Some(owner) if late(owner.type_) && !may_overrule(cause.condition) => owner.type_,
        _ => cause.condition,
    }
}

/// Whether the cause is an unknown text of an event without a time: the failure may pass by itself.
fn is_fluke(cause: &Cause) -> bool {
    cause.rank.is_unknown()
        && cause.evidence.source == Source::Event
        && cause.evidence.last.is_none()
}

/// State and cause.
fn message(state: &str, cause: &Cause) -> String {
    match cause.detail {
        "" => format!("{state}: {}", cause.message),
        detail => format!("{state} ({detail}): {}", cause.message),
    }
}

/// Texts come and go while a program retries: until a new text comes, the status keeps the cause that it names.
fn recall(situation: &Situation, condition: &mut Condition) {
    if !condition.open || condition.status != Status::False || !condition.chain.is_empty() {
        return;
    }
    let before = reported_before(situation.observed.wukong, condition.type_);
    let same = before.filter(|before| {
        before.reason == condition.reason
            && !before.chain.is_empty()
            && before.message.starts_with(&condition.message)
    });
    if let Some(same) = same {
        *condition = same;
    }
}

/// Adds the available texts to a condition without a known cause.
fn close(condition: &mut Condition) {
    condition.open = false;
    condition.words.clear();
}

/// Inserts the condition in the causal order.
fn insert(conditions: &mut Vec<Condition>, condition: Condition) {
    let place = conditions
        .iter()
        .position(|known| known.type_ > condition.type_)
        .unwrap_or(conditions.len());
    conditions.insert(place, condition);
}

/// Sets `Scheduled` of a VM with a launcher pod that cannot start. That pod has a node, because kubelet and volume
/// controllers write events only about pods with a node. KubeVirt reports the node only when the pod runs.
fn place(situation: &Situation, conditions: &mut [Condition]) {
    let namespace = &situation.wukong.identity.namespace;
    let children = &situation.observed.memory.queried.children;
    let launcher = children
        .pods
        .in_namespace(namespace)
        .find(|pod| collect::role(&pod.meta.name) == Role::Guest && !pod.meta.deleting);
    let is_launcher = |object: &String| object.starts_with("Pod/virt-launcher-");
    let stands_still = conditions.iter().any(|condition| {
        condition.status == Status::False
            && condition.type_ != ConditionType::Scheduled
            && condition.object.as_ref().is_some_and(is_launcher)
    });
    let node = launcher.and_then(|pod| pod.node.as_deref());
    let Some(unplaced) = conditions
        .iter_mut()
        .find(|condition| condition.reason == Reason::Scheduling)
        .filter(|_| stands_still || node.is_some())
    else {
        return;
    };
    *unplaced = Condition::ok(
        ConditionType::Scheduled,
        Reason::Scheduled,
        format!("The VM's pod is on {}", node.unwrap_or("a node")),
    );
    let running = conditions
        .iter_mut()
        .find(|condition| condition.reason == Reason::Starting);
    if let (Some(running), Some(node), Some(pod)) = (running, node, launcher) {
        let name = &pod.meta.name;
        *running = Condition::progressing(
            ConditionType::Running,
            Reason::Starting,
            format!("The containers of the VM's pod are starting on {node}"),
        )
        .about(format!("Pod/{name}"))
        .hint(format!("if this stays, check virt-handler on {node}: kubectl get pods -A -l kubevirt.io=virt-handler -o wide; kubectl describe pod {name} -n {namespace}"));
    }
}

/// A restart of the operator loses the query results, which are still true: until the next query, the status keeps its
/// cause.
fn remember(situation: &Situation, waits: bool, conditions: &mut Vec<Condition>) {
    let observed = situation.observed;
    let heard = observed.world.environment.is_heard();
    let queried = !waits || observed.memory.queried.at.is_some();
    if heard && queried {
        return;
    }
    let reported = observed.wukong.status.iter();
    for condition in reported.flat_map(|status| &status.conditions) {
        let type_ = condition.type_.parse();
        let Some(type_) = type_.ok().filter(|type_| *type_ != ConditionType::Ready) else {
            continue;
        };
        let Some(before) = reported_before(observed.wukong, type_) else {
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
        let bad = before.status == Status::False;
        let now = conditions
            .iter_mut()
            .find(|condition| condition.type_ == type_);
        let better = now.as_ref().is_none_or(|now| now.status != Status::False);
        let unknown = now
            .as_ref()
            .is_none_or(|now| now.reason == Reason::NotObserved);
        let told = !before.chain.is_empty() || before.reason == Reason::ProvisionerNotReady;
        let unheard = !heard && ((of_cluster && unknown) || (found && bad && better));
        // The same cause, with more details from the pods and events.
        let same = now.as_ref().is_some_and(|now| now.reason == before.reason);
        let unqueried = !queried && told && bad && (better || same);
        if !unheard && !unqueried {
            continue;
        }
        match now {
            Some(now) => *now = before,
            None => insert(conditions, before),
        }
    }
}
