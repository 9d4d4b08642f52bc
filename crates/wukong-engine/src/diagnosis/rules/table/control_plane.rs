//! Rules about the namespace, and about the Deployments and webhooks of the control plane.

use wukong_api::ConditionType::{Created, EnvironmentReady, VolumesBound};
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, control_plane};

pub(super) const NAMESPACE: Rule = Rule {
    id: "namespace",
    condition: EnvironmentReady,
    reason: Reason::NamespaceTerminating,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "The namespace is not being deleted",
    hint: "create the Wukong in another namespace; kubectl get namespace NAME -o yaml lists what the deletion waits for",
    platforms: &[],
    judge: control_plane::namespace,
};

pub(super) const CDI_RUNS: Rule = Rule {
    id: "cdi-runs",
    condition: VolumesBound,
    reason: Reason::CDINotAvailable,
    severity: Severity::Fail,
    after: &["cdi-installed", "cdi-available"],
    of_manifest: false,
    holds: "The Deployments of CDI have pods",
    hint: "check CDI: kubectl get pods -A -l cdi.kubevirt.io",
    platforms: &[],
    judge: control_plane::cdi_runs,
};

pub(super) const WEBHOOKS: Rule = Rule {
    id: "webhooks",
    condition: Created,
    reason: Reason::ApplyFailed,
    severity: Severity::Fail,
    after: &["kubevirt-available", "cdi-runs"],
    of_manifest: false,
    holds: "The admission webhooks for the objects of VMs have pods",
    hint: "check the pods of the webhook's Service",
    platforms: &[],
    judge: control_plane::webhooks,
};
