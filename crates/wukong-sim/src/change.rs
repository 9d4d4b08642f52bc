//! The writes of a simulated controller, and helpers to find the smallest change.

use serde_json::{Map, Value, json};

use super::field::{Field, put, text};
use super::kind::{Kind, Ref};

/// The writer. The names are those of the real writers in managed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// CDI's controllers.
    CdiController,
    /// CDI's operator.
    CdiOperator,
    /// The controllers of Kubernetes itself.
    KubeControllers,
    /// The external provisioner of a CSI driver.
    CsiProvisioner,
    /// The external resizer of a CSI driver.
    CsiResizer,
    /// The external snapshotter of a CSI driver.
    CsiSnapshotter,
    /// The kubelet of a node.
    Kubelet,
    /// Multus, which the container runtime asks for networks.
    Multus,
    /// NMState's handler.
    NmState,
    /// The scheduler.
    Scheduler,
    /// virt-controller.
    VirtController,
    /// virt-handler.
    VirtHandler,
    /// virt-operator.
    VirtOperator,
}

impl Manager {
    /// The name in managed fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::CdiController => "cdi-controller",
            Self::CdiOperator => "cdi-operator",
            Self::KubeControllers => "kube-controller-manager",
            Self::CsiProvisioner => "csi-provisioner",
            Self::CsiResizer => "csi-resizer",
            Self::CsiSnapshotter => "csi-snapshotter",
            Self::Kubelet => "kubelet",
            Self::Multus => "multus",
            Self::NmState => "kubernetes-nmstate",
            Self::Scheduler => "kube-scheduler",
            Self::VirtController => "virt-controller",
            Self::VirtHandler => "virt-handler",
            Self::VirtOperator => "virt-operator",
        }
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Creates an object.
    Create {
        /// The field manager.
        by: Manager,
        /// The object to be.
        at: Ref,
        /// The object.
        object: Value,
    },
    /// A JSON merge patch of the object, or of its status. With the version that it was decided on, the API server rejects
    /// it if another writer was quicker.
    Merge {
        /// The field manager.
        by: Manager,
        /// The object.
        at: Ref,
        /// The resource version that the change was decided on.
        version: Option<String>,
        /// Whether the patch is for the status subresource.
        status: bool,
        /// The merge patch.
        patch: Value,
    },
    /// Deletes an object.
    Delete {
        /// The object.
        at: Ref,
    },
    /// Asks that a pod be deleted; it goes when the kubelet of its node agrees.
    Terminate {
        /// The pod.
        at: Ref,
    },
    /// Assigns a pod to a node.
    Bind {
        /// The pod.
        at: Ref,
        /// The name of the node.
        node: String,
    },
    /// A Kubernetes event, written once per object and text.
    Event {
        /// The component that writes it.
        by: Manager,
        /// The object that it is about.
        about: Ref,
        /// Whether its type is `Warning`.
        warning: bool,
        /// Its reason.
        reason: &'static str,
        /// Its message.
        message: String,
    },
}

impl Change {
    /// The kind of the object that is written; none for events.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Create { at, .. }
            | Self::Merge { at, .. }
            | Self::Delete { at }
            | Self::Terminate { at }
            | Self::Bind { at, .. } => Some(at.kind),
            Self::Event { .. } => None,
        }
    }

    pub(crate) fn delete(kind: Kind, object: &Field<'_>) -> Self {
        Self::Delete {
            at: at(kind, object),
        }
    }

    pub(crate) fn warning(
        by: Manager,
        kind: Kind,
        object: &Field<'_>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::Event {
            by,
            about: at(kind, object),
            warning: true,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn merge(by: Manager, kind: Kind, object: &Field<'_>, patch: Value) -> Self {
        Self::Merge {
            by,
            at: at(kind, object),
            version: version(object),
            status: false,
            patch,
        }
    }

    /// The change of status from what `object` has to `desired`, if they differ.
    pub(crate) fn status(
        by: Manager,
        kind: Kind,
        object: &Field<'_>,
        desired: &Value,
    ) -> Option<Self> {
        let empty = json!({});
        let current = object.child("status");
        let current = if current.is_set() {
            current.value()
        } else {
            &empty
        };
        let patch = difference(current, desired)?;
        Some(Self::Merge {
            by,
            at: at(kind, object),
            version: version(object),
            status: kind.has_status_subresource(),
            patch: json!({"status": patch}),
        })
    }
}

fn version(object: &Field<'_>) -> Option<String> {
    let version = object.at("metadata.resourceVersion").text();
    (!version.is_empty()).then(|| version.to_owned())
}

pub(crate) fn at(kind: Kind, object: &Field<'_>) -> Ref {
    let metadata = object.child("metadata");
    Ref::new(kind, metadata.child("namespace").text(), metadata.name())
}

/// The JSON merge patch that leads from one object to the other; `None` when they are equal.
pub fn difference(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return Some(to.clone());
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        let change = match from.get(key) {
            Some(old) => difference(old, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    Some(Value::Object(patch))
}

/// Applies a JSON merge patch (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(map) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The next writes of a controller, and the time of its next step.
#[derive(Debug, Default)]
pub struct Step {
    /// The writes, in their order.
    pub changes: Vec<Change>,
    /// Decide again after this many paces, even if no object changes.
    pub again: Option<u32>,
}

impl Step {
    /// No step until an object changes.
    pub(crate) fn quiet() -> Self {
        Self::default()
    }

    /// No step now; decide again after some paces.
    pub(crate) fn wait(paces: u32) -> Self {
        Self {
            changes: Vec::new(),
            again: Some(paces),
        }
    }

    pub(crate) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        Self {
            changes: changes.into_iter().collect(),
            again: None,
        }
    }

    pub(crate) fn or_wait(mut self, paces: u32) -> Self {
        self.again = Some(paces);
        self
    }
}

/// The moment in which a step is decided.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// RFC 3339, for conditions.
    pub now: String,
    /// Paces since the last write for this object.
    pub waited: u32,
    /// The API server's rejection of the last write for this object.
    pub refusal: Option<Refusal>,
}

/// A rejection of a write by the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of the object that was refused.
    pub kind: Kind,
    /// The API server's message.
    pub message: String,
}

/// A list of conditions under construction: those that stay the same keep their times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions(Vec<Value>);

impl Conditions {
    pub fn of(status: &Field<'_>) -> Self {
        Self(
            status
                .child("conditions")
                .items()
                .map(|item| item.value().clone())
                .collect(),
        )
    }

    pub fn get(&self, kind: &str) -> Option<Field<'_>> {
        self.0
            .iter()
            .map(|item| Field::new("", item))
            .find(|item| item.child("type").text() == kind)
    }

    pub fn status(&self, kind: &str) -> &str {
        self.get(kind)
            .map_or("", |condition| condition.child("status").text())
    }

    pub fn reason(&self, kind: &str) -> &str {
        self.get(kind)
            .map_or("", |condition| condition.child("reason").text())
    }

    pub fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str, now: &str) {
        let old = self.0.iter().position(|item| text(item, "type") == kind);
        let is_same = |item: &Value| {
            [("status", status), ("reason", reason), ("message", message)]
                .iter()
                .all(|(key, value)| text(item, key) == *value)
        };
        if old.and_then(|index| self.0.get(index)).is_some_and(is_same) {
            return;
        }
        let mut new = json!({"type": kind, "status": status});
        for (key, value) in [("reason", reason), ("message", message)] {
            if !value.is_empty() {
                put(&mut new, [key], json!(value));
            }
        }
        let previous = old
            .and_then(|index| self.0.get(index))
            .map(|item| Field::new("", item));
        let since = previous
            .filter(|old| old.child("status").text() == status)
            .map_or(now, |old| old.child("lastTransitionTime").text());
        put(&mut new, ["lastTransitionTime"], json!(since));
        match old.and_then(|index| self.0.get_mut(index)) {
            Some(place) => *place = new,
            None => self.0.push(new),
        }
    }

    pub fn remove(&mut self, kind: &str) {
        self.0.retain(|item| text(item, "type") != kind);
    }

    pub fn into_value(self) -> Value {
        Value::Array(self.0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Value> {
        self.0.iter()
    }

    /// Takes a condition of another object over, as it is.
    pub fn take_over(&mut self, condition: &Value) {
        let kind = condition.get("type");
        match self.0.iter_mut().find(|item| item.get("type") == kind) {
            Some(place) => place.clone_from(condition),
            None => self.0.push(condition.clone()),
        }
    }
}

/// A number between 0 and `below`, always the same for the same text.
pub(crate) fn pick(text: &str, below: u32) -> u32 {
    // FNV-1a: stable across versions of the standard library.
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.checked_rem(below).unwrap_or_default()
}
