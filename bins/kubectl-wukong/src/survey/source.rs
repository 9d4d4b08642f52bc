//! The kinds that the rules read.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use wukong_engine::facts::CRD;

/// A kind, and which of its objects matter.
#[derive(Debug)]
pub struct Source {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub scope: Scope,
}

/// Which objects of a kind are read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// Those of the whole cluster.
    Everywhere,
    /// Those of the whole cluster; where these may not be read, those of one namespace.
    EverywhereElseNamespace,
    /// Those of one namespace.
    Namespace,
    /// The one of this name.
    One(&'static str),
    /// None: it only matters whether there is such a kind.
    Kind,
    /// Those that other objects name.
    Named,
}

pub const fn source(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    scope: Scope,
) -> Source {
    Source {
        group,
        version,
        kind,
        plural,
        scope,
    }
}

/// Plural of the definitions of kinds.
pub const CUSTOM_RESOURCES: &str = "customresourcedefinitions";
/// Plurals of the kinds that create bridges on nodes.
pub const POLICIES: &str = "nodenetworkconfigurationpolicies";
pub const ENACTMENTS: &str = "nodenetworkconfigurationenactments";

/// Plurals of the kinds of which only the objects are read that other objects name.
pub const NAMESPACES: &str = "namespaces";
pub const VOLUMES: &str = "persistentvolumes";
pub const VALIDATING: &str = "validatingwebhookconfigurations";
pub const MUTATING: &str = "mutatingwebhookconfigurations";
pub const SERVICES: &str = "services";
pub const DEPLOYMENTS: &str = "deployments";

pub static NAMESPACE: Source = source("", "v1", "Namespace", NAMESPACES, Scope::Named);
pub static VOLUME: Source = source("", "v1", "PersistentVolume", VOLUMES, Scope::Named);
pub static SERVICE: Source = source("", "v1", "Service", SERVICES, Scope::Named);
pub static DEPLOYMENT: Source = source("apps", "v1", "Deployment", DEPLOYMENTS, Scope::Named);
pub static VALIDATING_WEBHOOK: Source = source(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    VALIDATING,
    Scope::Everywhere,
);
pub static MUTATING_WEBHOOK: Source = source(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    MUTATING,
    Scope::Everywhere,
);

/// These kinds.
pub static NAMED: &[&Source] = &[
    &NAMESPACE,
    &VOLUME,
    &SERVICE,
    &DEPLOYMENT,
    &VALIDATING_WEBHOOK,
    &MUTATING_WEBHOOK,
];

/// Every kind. Pods are those of KubeVirt and of provisioners, selected by label and name.
pub static SOURCES: &[Source] = &[
    source(
        "kubevirt.io",
        "v1",
        "KubeVirt",
        "kubevirts",
        Scope::Everywhere,
    ),
    source(
        "kubevirt.io",
        "v1",
        "VirtualMachine",
        "virtualmachines",
        Scope::Kind,
    ),
    source(
        "cdi.kubevirt.io",
        "v1beta1",
        "DataVolume",
        "datavolumes",
        Scope::Kind,
    ),
    source(
        "cdi.kubevirt.io",
        "v1beta1",
        "CDI",
        "cdis",
        Scope::Everywhere,
    ),
    source(
        "cdi.kubevirt.io",
        "v1beta1",
        "StorageProfile",
        "storageprofiles",
        Scope::Everywhere,
    ),
    source(
        "k8s.cni.cncf.io",
        "v1",
        "NetworkAttachmentDefinition",
        "network-attachment-definitions",
        Scope::Kind,
    ),
    source(
        "nmstate.io",
        "v1beta1",
        "NodeNetworkState",
        "nodenetworkstates",
        Scope::Everywhere,
    ),
    source(
        "nmstate.io",
        "v1",
        "NodeNetworkConfigurationPolicy",
        POLICIES,
        Scope::Everywhere,
    ),
    source(
        "nmstate.io",
        "v1beta1",
        "NodeNetworkConfigurationEnactment",
        ENACTMENTS,
        Scope::Everywhere,
    ),
    source(
        "storage.k8s.io",
        "v1",
        "StorageClass",
        "storageclasses",
        Scope::Everywhere,
    ),
    source(
        "storage.k8s.io",
        "v1",
        "CSIDriver",
        "csidrivers",
        Scope::Everywhere,
    ),
    source(
        "storage.k8s.io",
        "v1",
        "CSINode",
        "csinodes",
        Scope::Everywhere,
    ),
    source("apps", "v1", "DaemonSet", "daemonsets", Scope::Everywhere),
    source("", "v1", "Node", "nodes", Scope::Everywhere),
    source("", "v1", "Pod", "pods", Scope::Everywhere),
    source(
        "",
        "v1",
        "ResourceQuota",
        "resourcequotas",
        Scope::Namespace,
    ),
    source("", "v1", "LimitRange", "limitranges", Scope::Namespace),
    source(
        wukong_api::GROUP,
        "v1alpha1",
        "Wukong",
        "wukongs",
        Scope::EverywhereElseNamespace,
    ),
    source(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        CUSTOM_RESOURCES,
        Scope::One(CRD),
    ),
];

impl Source {
    pub fn api_resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Whether an object is of this kind, whatever the version.
    pub fn is_kind_of(&self, object: &Value) -> bool {
        object.get("kind").is_some_and(|kind| kind == self.kind) && self.is_group_of(object)
    }

    /// Whether an object is of the group of this kind.
    pub fn is_group_of(&self, object: &Value) -> bool {
        let version = object
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default();
        version.rsplit_once('/').map_or("", |(group, _)| group) == self.group
    }
}
