//! The namespace, and the Deployments and webhooks of the control plane.

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus::Fail;

use super::{Case, plain};
use crate::cluster::Cluster;

/// A Deployment that should have two pods, with this number available.
pub fn deployment(namespace: &str, name: &str, available: u64) -> Value {
    json!({
        "kind": "Deployment", "metadata": {"name": name, "namespace": namespace, "uid": name, "generation": 2},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": name}}}},
        "status": {"observedGeneration": 2, "availableReplicas": available, "conditions": [
            {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "no minimum availability"}]},
    })
}

/// A namespace that is being deleted.
pub fn terminating() -> Value {
    json!({
        "kind": "Namespace", "metadata": {"name": "default", "uid": "ns", "deletionTimestamp": "2026-08-01T11:50:00Z"},
        "status": {"conditions": [
            {"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain", "message": "Some resources are remaining: pods. has 1 resource instances"}]},
    })
}

/// With a webhook for VirtualMachines that no pod answers.
pub fn with_dead_webhook(cluster: Cluster) -> Cluster {
    cluster
        .with(json!({
            "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "guard", "uid": "wh"},
            "webhooks": [{
                "name": "vms.guard.example", "failurePolicy": "Fail",
                "clientConfig": {"service": {"namespace": "guard", "name": "guard-api"}},
                "rules": [{"apiGroups": ["kubevirt.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["virtualmachines"]}],
            }],
        }))
        .with(json!({
            "kind": "Service", "metadata": {"name": "guard-api", "namespace": "guard", "uid": "svc"},
            "spec": {"selector": {"app": "guard"}},
        }))
        .with(deployment("guard", "guard", 0))
}

pub const CASES: &[Case] = &[
    Case {
        rule: "namespace",
        cluster: || Cluster::healthy().with(terminating()),
        spec: plain,
        status: Fail,
        reason: Reason::NamespaceTerminating,
        words: &["Namespace default", "pods. has 1 resource instances"],
    },
    Case {
        rule: "kubevirt-available",
        cluster: || Cluster::healthy().with(deployment("kubevirt", "virt-controller", 0)),
        spec: plain,
        status: Fail,
        reason: Reason::KubeVirtNotAvailable,
        words: &[
            "Deployment virt-controller in namespace kubevirt has no available pod, of 2 wanted",
        ],
    },
    Case {
        rule: "cdi-runs",
        cluster: || Cluster::healthy().with(deployment("cdi", "cdi-deployment", 0)),
        spec: plain,
        status: Fail,
        reason: Reason::CDINotAvailable,
        words: &["cdi-deployment", "no minimum availability"],
    },
    Case {
        rule: "webhooks",
        cluster: || with_dead_webhook(Cluster::healthy()),
        spec: plain,
        status: Fail,
        reason: Reason::ApplyFailed,
        words: &["virtualmachines", "vms.guard.example", "guard/guard-api"],
    },
];
