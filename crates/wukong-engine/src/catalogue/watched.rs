//! A row of the catalogue: a kind, which of its objects matter, and to whom.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

use crate::facts::Meta;

/// A kind that the plugin reads, and that the operator watches if it has a role for it.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// `kind` of the objects.
    pub kind: &'static str,
    /// Name of the kind in paths and roles.
    pub plural: &'static str,
    /// Whether the objects are in namespaces.
    pub namespaced: bool,
    /// Whether a CustomResourceDefinition defines the kind, so that it can be absent.
    pub custom: bool,
    /// The objects that are kept.
    pub objects: Objects,
    /// The Wukongs that a change of an object affects.
    pub wakes: Wakes,
    /// The role that lets the operator watch the kind; `None` for a kind that only the plugin reads.
    pub role: Option<Role>,
    /// Whether the first decision waits for the initial list.
    pub needed: bool,
}

/// Who reads the kinds of the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reader {
    /// The operator watches the kinds for which it has a role.
    Operator,
    /// The plugin reads every kind, once for each command.
    Plugin,
}

/// The objects of a kind that are kept.
#[derive(Clone, Copy, Debug)]
pub enum Objects {
    /// All of them.
    All,
    /// Those with one of these values of a label.
    Labelled(&'static str, &'static [&'static str]),
    /// The one of this name.
    Named(&'static str),
    /// Those with such names. The API server cannot select them.
    WithName(fn(&str) -> bool),
}

/// The Wukongs to reconcile when an object changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wakes {
    /// Those that own or reference the object; all if it has no namespace.
    Affected,
    /// All blocked Wukongs, at most once in some seconds.
    Blocked,
    /// The Wukongs of the object's namespace that a quota or limit blocks, at most once in some seconds.
    BlockedByQuota,
    /// Those with `nodeNetwork`, in all namespaces.
    NodeNetworks,
    /// The one that the object names, which may not exist.
    Named,
    /// None: the object is a schedule, which is reconciled itself.
    Itself,
}

/// A role of the operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The role that the operator cannot work without.
    Core,
    /// The optional role for diagnosis.
    Diagnosis,
    /// The optional role to create bridges on nodes.
    NodeNetworks,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Core, Self::Diagnosis, Self::NodeNetworks];

    /// Path of its manifest in `deploy`.
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Core => "rbac/10-cluster-role.yaml",
            Self::Diagnosis => "rbac/11-diagnosis-role.yaml",
            Self::NodeNetworks => "node-networks/cluster-role.yaml",
        }
    }
}

impl Objects {
    /// Label selector of a request; `None` for all objects.
    pub fn label_selector(&self) -> Option<String> {
        match self {
            Self::Labelled(label, values) => Some(format!("{label} in ({})", values.join(","))),
            Self::All | Self::Named(_) | Self::WithName(_) => None,
        }
    }

    /// Field selector of a request; `None` for all objects.
    pub fn field_selector(&self) -> Option<String> {
        match self {
            Self::Named(name) => Some(format!("metadata.name={name}")),
            Self::All | Self::Labelled(..) | Self::WithName(_) => None,
        }
    }

    /// Whether an object is kept that a request with the selectors returned.
    pub fn keeps(&self, meta: &Meta) -> bool {
        match self {
            Self::WithName(matches) => matches(&meta.name),
            Self::All | Self::Labelled(..) | Self::Named(_) => true,
        }
    }

    /// Whether an object is kept that a request without selectors returned.
    pub fn has(&self, object: &Value) -> bool {
        let metadata = |field: &str| object.get("metadata")?.get(field);
        let name = || metadata("name").and_then(Value::as_str).unwrap_or_default();
        match self {
            Self::All => true,
            Self::Labelled(label, values) => metadata("labels")
                .and_then(|labels| labels.get(label)?.as_str())
                .is_some_and(|value| values.contains(&value)),
            Self::Named(wanted) => name() == *wanted,
            Self::WithName(matches) => matches(name()),
        }
    }
}

impl Watched {
    pub(super) const fn custom(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
            namespaced: true,
            custom: true,
            objects: Objects::All,
            wakes: Wakes::Affected,
            role: Some(Role::Core),
            needed: true,
        }
    }

    pub(super) const fn built_in(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            custom: false,
            ..Self::custom(group, version, kind, plural)
        }
    }

    pub(super) const fn cluster_scoped(self) -> Self {
        Self {
            namespaced: false,
            ..self
        }
    }

    pub(super) const fn only(self, objects: Objects) -> Self {
        Self { objects, ..self }
    }

    pub(super) const fn wakes(self, wakes: Wakes) -> Self {
        Self { wakes, ..self }
    }

    /// A kind without which everything but its diagnosis works.
    pub(super) const fn diagnosis(self, wakes: Wakes) -> Self {
        Self {
            wakes,
            role: Some(Role::Diagnosis),
            needed: false,
            ..self
        }
    }

    /// A kind that only bridges on nodes need.
    pub(super) const fn node_networks(self) -> Self {
        Self {
            wakes: Wakes::NodeNetworks,
            role: Some(Role::NodeNetworks),
            ..self
        }
    }

    /// A kind that the operator does not watch.
    pub(super) const fn plugin_only(self) -> Self {
        Self {
            role: None,
            needed: false,
            ..self
        }
    }

    /// Whether this reader reads the kind.
    pub fn is_read_by(&self, reader: Reader) -> bool {
        reader == Reader::Plugin || self.role.is_some()
    }

    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Group, version, kind and plural.
    pub fn api_resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }
}
