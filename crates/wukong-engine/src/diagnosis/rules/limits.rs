//! Rules about quotas and limits of the namespace.

use wukong_api::Bytes;
use wukong_api::validated::Source;

use super::{Finding, RuleInput, gap};
use crate::environment::demand::launcher_memory;
use crate::facts::QuotaFact;

/// The first quota that leaves less than `needed` of one of these resources: its name, the resource, what is left.
fn short<'a>(
    quotas: impl Iterator<Item = &'a QuotaFact>,
    needs: &[(&'static str, u64)],
) -> Option<(&'a QuotaFact, &'static str, u64, u64)> {
    // A quota with scopes counts only some of the pods, and ours may not be among them.
    quotas.filter(|quota| !quota.scoped).find_map(|quota| {
        needs.iter().find_map(|(resource, needed)| {
            let left = quota.shares.get(*resource)?.left();
            (left < *needed).then_some((quota, *resource, left, *needed))
        })
    })
}

fn amount(resource: &str, amount: u64) -> String {
    if resource.ends_with("cpu") {
        format!("{amount}m")
    } else if resource.ends_with("memory") || resource.ends_with("storage") {
        Bytes(amount).rounded().to_string()
    } else {
        amount.to_string()
    }
}

fn exceeded(input: &RuleInput, what: &str, needs: &[(&'static str, u64)]) -> Option<Finding> {
    let namespace = &input.wukong?.identity.namespace;
    let quotas = input.environment.quotas.in_namespace(namespace);
    let (quota, resource, left, needed) = short(quotas, needs)?;
    let name = &quota.meta.name;
    let message = format!(
        "{what} {} of {resource}, and quota {name} of namespace {namespace} leaves {}",
        amount(resource, needed),
        amount(resource, left)
    );
    let share = quota.shares.get(resource).copied().unwrap_or_default();
    let evidence = format!(
        "ResourceQuota/{name}: {resource} {} of {} used",
        amount(resource, share.used),
        amount(resource, share.hard)
    );
    Some(
        Finding::found(message)
            .about(format!("ResourceQuota/{name}"))
            .evidence(vec![evidence]),
    )
}

pub(super) fn pod_quota(input: &RuleInput) -> Finding {
    let Some(wukong) = input.wukong else {
        return Finding::Irrelevant;
    };
    if let Some(gap) = gap(input.environment.quotas.presence(), "ResourceQuota") {
        return gap;
    }
    let Bytes(memory) = launcher_memory(wukong);
    let cpu = input.nodes.demand().cpu_request().unwrap_or_default();
    let needs = [
        ("requests.memory", memory),
        ("memory", memory),
        ("limits.memory", memory),
        ("requests.cpu", cpu),
        ("cpu", cpu),
        ("pods", 1),
    ];
    exceeded(input, "With KubeVirt's overhead the VM's pod takes", &needs)
        .unwrap_or_else(Finding::holds)
}

pub(super) fn pod_limit(input: &RuleInput) -> Finding {
    let Some(wukong) = input.wukong else {
        return Finding::Irrelevant;
    };
    let ranges = &input.environment.limit_ranges;
    if let Some(gap) = gap(ranges.presence(), "LimitRange") {
        return gap;
    }
    let namespace = &wukong.identity.namespace;
    let needed = launcher_memory(wukong);
    let narrow = ranges.in_namespace(namespace).find_map(|range| {
        let limits = range
            .limits
            .iter()
            .filter(|limit| matches!(limit.type_.as_str(), "Container" | "Pod"));
        let most = limits.filter_map(|limit| limit.memory).min()?;
        (most < needed).then_some((range, most))
    });
    match narrow {
        Some((range, most)) => Finding::found(format!(
            "With KubeVirt's overhead the VM's pod takes {} of memory, and LimitRange {} of namespace {namespace} allows {most}",
            amount("memory", needed.0),
            range.meta.name
        ))
        .about(format!("LimitRange/{}", range.meta.name)),
        None => Finding::holds(),
    }
}

pub(super) fn storage_quota(input: &RuleInput) -> Finding {
    let Some(wukong) = input.wukong.filter(|wukong| !wukong.disks.is_empty()) else {
        return Finding::Irrelevant;
    };
    if let Some(gap) = gap(input.environment.quotas.presence(), "ResourceQuota") {
        return gap;
    }
    let size = |filter: fn(&Source) -> bool| {
        let sizes = wukong
            .disks
            .iter()
            .filter(|disk| filter(&disk.source))
            .map(|disk| disk.size.0);
        sizes.fold(0, u64::saturating_add)
    };
    let all = size(|_| true);
    let claims = wukong.disks.len() as u64;
    let needs = [
        ("requests.storage", all),
        ("persistentvolumeclaims", claims),
    ];
    if let Some(finding) = exceeded(input, "The disks take", &needs) {
        return finding;
    }
    // CDI fills a second claim and hands its volume over, where the class has a CSI driver.
    let twice = all.saturating_add(size(|source| *source != Source::Blank));
    exceeded(
        input,
        "While they are filled on a CSI class, the disks take",
        &[("requests.storage", twice)],
    )
    .map_or_else(Finding::holds, |finding| finding.mild(true))
}
