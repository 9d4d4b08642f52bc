//! KubeVirt: installed, at work, and configured for the spec.

use serde_json::json;
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::diagnosis::CheckStatus::{Fail, Warn};

use super::{Case, plain};
use crate::cluster::Cluster;

pub const CASES: &[Case] = &[
    Case {
        rule: "kubevirt-installed",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .presence("KubeVirt", Presence::Missing)
        },
        spec: plain,
        status: Fail,
        reason: Reason::KubeVirtNotInstalled,
        words: &["KubeVirt is not installed"],
    },
    Case {
        rule: "kubevirt-installed",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .without("KubeVirt", "kubevirt")
        },
        spec: plain,
        status: Fail,
        reason: Reason::KubeVirtNotInstalled,
        words: &["operator is installed", "no KubeVirt resource"],
    },
    Case {
        rule: "kubevirt-available",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .unavailable(
                    "Deploying",
                    "DeploymentInProgress",
                    "Deploying version v1.9.0",
                )
        },
        spec: plain,
        status: Fail,
        reason: Reason::KubeVirtNotAvailable,
        words: &["phase Deploying", "Deploying version v1.9.0"],
    },
    Case {
        rule: "kubevirt-available",
        cluster: || {
            Cluster::healthy()
                .unavailable("Deploying", "DeploymentInProgress", "Deploying")
                .crashing("virt-operator", "tls: bad certificate")
        },
        spec: plain,
        status: Fail,
        reason: Reason::KubeVirtNotAvailable,
        words: &["virt-operator", "tls: bad certificate"],
    },
    Case {
        rule: "feature-gate",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["status"]["observedKubeVirtVersion"] = json!("v1.4.0");
            })
        },
        spec: || json!({"networks": [{"name": "fast", "type": "macvlan"}]}),
        status: Fail,
        reason: Reason::FeatureGateDisabled,
        words: &["NetworkBindingPlugins"],
    },
    Case {
        rule: "network-binding",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["spec"]["configuration"]
                    .as_object_mut()
                    .unwrap()
                    .remove("network");
            })
        },
        spec: || json!({"networks": [{"name": "fast", "type": "macvlan"}]}),
        status: Fail,
        reason: Reason::BindingNotRegistered,
        words: &["macvtap"],
    },
    Case {
        rule: "emulation",
        cluster: || Cluster::healthy().emulating(),
        spec: plain,
        status: Warn,
        reason: Reason::EmulationOnly,
        words: &["in software"],
    },
];
