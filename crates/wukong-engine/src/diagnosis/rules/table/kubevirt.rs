//! Rules about KubeVirt itself.

use wukong_api::ConditionType::EnvironmentReady;
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, kubevirt};
use crate::environment::Platform::{Minikube, OpenShift};

pub(super) const KUBEVIRT_INSTALLED: Rule = Rule {
    id: "kubevirt-installed",
    condition: EnvironmentReady,
    reason: Reason::KubeVirtNotInstalled,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "KubeVirt is installed",
    hint: "install KubeVirt: apply kubevirt-operator.yaml and kubevirt-cr.yaml of a release (https://kubevirt.io/user-guide/cluster_admin/installation/)",
    platforms: &[
        (
            Minikube,
            "minikube addons enable kubevirt; or apply kubevirt-operator.yaml and kubevirt-cr.yaml of a KubeVirt release",
        ),
        (
            OpenShift,
            "install the operator OpenShift Virtualization from OperatorHub, and create its HyperConverged resource",
        ),
    ],
    judge: kubevirt::installed,
};

pub(super) const KUBEVIRT_AVAILABLE: Rule = Rule {
    id: "kubevirt-available",
    condition: EnvironmentReady,
    reason: Reason::KubeVirtNotAvailable,
    severity: Severity::Fail,
    after: &["kubevirt-installed"],
    of_manifest: false,
    holds: "KubeVirt is available",
    hint: "if KubeVirt is being deployed, wait; otherwise check its pods and conditions: kubectl describe kubevirt {kubevirt}",
    platforms: &[],
    judge: kubevirt::available,
};

pub(super) const FEATURE_GATE: Rule = Rule {
    id: "feature-gate",
    condition: EnvironmentReady,
    reason: Reason::FeatureGateDisabled,
    severity: Severity::Fail,
    after: &["kubevirt-available"],
    of_manifest: false,
    holds: "The feature gates that the VM needs are on",
    hint: "add the gate to spec.configuration.developerConfiguration.featureGates: kubectl edit kubevirt {kubevirt}",
    platforms: &[],
    judge: kubevirt::feature_gate,
};

pub(super) const NETWORK_BINDING: Rule = Rule {
    id: "network-binding",
    condition: EnvironmentReady,
    reason: Reason::BindingNotRegistered,
    severity: Severity::Fail,
    after: &["kubevirt-available"],
    of_manifest: false,
    holds: "The network bindings that the VM needs are registered",
    hint: "register it: kubectl patch kubevirt {kubevirt} --type merge -p '{\"spec\":{\"configuration\":{\"network\":{\"binding\":{\"macvtap\":{\"domainAttachmentType\":\"tap\"}}}}}}'; or use type: bridge",
    platforms: &[],
    judge: kubevirt::binding,
};

pub(super) const EMULATION: Rule = Rule {
    id: "emulation",
    condition: EnvironmentReady,
    reason: Reason::EmulationOnly,
    severity: Severity::Warn,
    after: &["kubevirt-installed"],
    of_manifest: false,
    holds: "Guests run on hardware virtualization",
    hint: "use emulation for trials only; for production, use nodes with hardware virtualization and unset useEmulation: kubectl edit kubevirt {kubevirt}",
    platforms: &[],
    judge: kubevirt::emulation,
};
