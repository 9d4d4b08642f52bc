//! Rules about quotas and limits of a namespace.

use wukong_api::ConditionType::{Scheduled, VolumesBound};
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, limits};

pub(super) const STORAGE_QUOTA: Rule = Rule {
    id: "storage-quota",
    condition: VolumesBound,
    reason: Reason::QuotaExceeded,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "The quota leaves room for the disks",
    hint: "raise the quota of the namespace, free some of it, or make the disks smaller",
    platforms: &[],
    judge: limits::storage_quota,
};

pub(super) const POD_QUOTA: Rule = Rule {
    id: "pod-quota",
    condition: Scheduled,
    reason: Reason::QuotaExceeded,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "The quota leaves room for the VM",
    hint: "raise the quota of the namespace, free some of it, or lower spec.memory or spec.cpu",
    platforms: &[],
    judge: limits::pod_quota,
};

pub(super) const POD_LIMIT: Rule = Rule {
    id: "pod-limit",
    condition: Scheduled,
    reason: Reason::QuotaExceeded,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "The LimitRange allows the VM",
    hint: "raise the maximum of the LimitRange, or lower spec.memory",
    platforms: &[],
    judge: limits::pod_limit,
};
