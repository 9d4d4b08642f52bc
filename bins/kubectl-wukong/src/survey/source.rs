//! The kinds that a survey reads: those of the catalogue, and others that only a diagnosis needs.

use std::sync::LazyLock;

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;
use wukong_engine::Kind;
use wukong_engine::catalogue::{self, Objects, Wakes, Watched};

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

/// The kinds that the rules read. Pods are those of KubeVirt and of provisioners, selected by label and name.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rows = catalogue::all().into_iter();
    rows.filter_map(|row| Some(Source::of(row, scope(row)?)))
        .collect()
});

/// The kinds of the objects that a Wukong has or refers to.
pub static CHILDREN: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let rows = catalogue::all().into_iter().filter(|row| is_of_child(row));
    rows.map(|row| Source::of(row, Scope::Namespace))
        .chain(READ_ON_DEMAND)
        .collect()
});

/// Kinds of a Wukong's objects that the operator does not watch.
const READ_ON_DEMAND: [Source; 4] = [
    source(
        "kubevirt.io",
        "v1",
        "VirtualMachineInstanceMigration",
        "virtualmachineinstancemigrations",
        Scope::Namespace,
    ),
    source(
        "snapshot.kubevirt.io",
        "v1beta1",
        "VirtualMachineSnapshot",
        "virtualmachinesnapshots",
        Scope::Namespace,
    ),
    source(
        "snapshot.kubevirt.io",
        "v1beta1",
        "VirtualMachineRestore",
        "virtualmachinerestores",
        Scope::Namespace,
    ),
    source("", "v1", "Event", "events", Scope::Namespace),
];

const fn source(
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

/// Returns the objects of a kind that the rules read; `None` if they read none and need not know whether the kind exists.
fn scope(row: &Watched) -> Option<Scope> {
    if is_of_child(row) {
        let made = row.custom && Kind::ALL.iter().any(|kind| kind.as_ref() == row.kind);
        return made.then_some(Scope::Kind);
    }
    Some(match (row.objects, row.wakes) {
        _ if row.kind == catalogue::WUKONG.kind => Scope::EverywhereElseNamespace,
        (Objects::Named(name), _) => Scope::One(name),
        (_, Wakes::BlockedInNamespace) => Scope::Namespace,
        _ => Scope::Everywhere,
    })
}

/// Whether a Wukong has or refers to objects of the kind.
fn is_of_child(row: &Watched) -> bool {
    row.namespaced && row.wakes == Wakes::Affected && row.kind != catalogue::WUKONG.kind
}

impl Source {
    fn of(watched: &Watched, scope: Scope) -> Self {
        Self {
            group: watched.group,
            version: watched.version,
            kind: watched.kind,
            plural: watched.plural,
            scope,
        }
    }

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
