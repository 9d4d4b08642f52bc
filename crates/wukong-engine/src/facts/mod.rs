//! Facts: the few fields of what we watch that decisions need.
//!
//! Each fact is projected from an object as JSON. So an object may have fields that we cannot parse, and a few hundred
//! bytes stay in memory instead of the object.

mod cdi;
mod condition;
mod control_plane;
mod crd;
mod event;
mod generation;
pub(crate) mod json;
mod kubevirt;
mod limits;
mod machine;
mod multus;
mod namespace;
mod network;
mod node;
mod operation;
mod platform;
mod pod;
mod protection;
mod schedule;
mod selector;
mod storage;
mod store;
mod text;
mod virtual_machine;
mod volume;
pub(crate) mod words;

pub use cdi::{CdiFact, ClaimPropertySet, CsiNodeFact, StorageProfileFact};
pub use condition::{ConditionFact, bounded};
pub(crate) use condition::{conditions, find_condition, is_true};
pub use control_plane::{
    DeploymentFact, ServiceFact, WRITTEN, WebhookConfigurationFact, WebhookFact, concerns_vms,
};
pub use crd::{CRD, CrdFact};
pub use event::EventFact;
pub use generation::GenerationFact;
pub use kubevirt::KubeVirtFact;
pub use limits::{LimitFact, LimitRangeFact, QuotaFact, Share};
pub use machine::MachineFact;
pub use multus::DaemonSetFact;
pub use namespace::NamespaceFact;
pub use network::{BridgeFact, EnactmentFact, NodeNetworkFact, NodePolicyFact};
pub(crate) use node::{HOST_NAME, MACHINE_TYPE};
pub use node::{NodeFact, Resources, TaintFact};
pub use operation::{MigrationFact, OperationFact};
pub use platform::Platform;
pub use pod::{ContainerFact, PodFact, Terminated};
pub use protection::{WukongRestoreFact, WukongSnapshotFact};
pub(crate) use protection::{schedule_key, wukong_key};
pub use schedule::WukongSnapshotScheduleFact;
pub(crate) use selector::all_hold;
pub use selector::{Requirement, Requirements};
pub use storage::{ClaimFact, DataVolumeFact, SnapshotFact, StorageClassFact};
pub use store::{Presence, Seen, Store};
pub use text::Text;
pub use virtual_machine::{
    InterfaceFact, PluggedVolume, VirtualMachineFact, VirtualMachineInstanceFact,
};
pub use volume::{NodeTerm, VolumeFact};

use jiff::Timestamp;
use serde_json::Value;
use wukong_api::{FIELD_MANAGER, labels};

use crate::managed_fields;
use json::{list, printable, text, texts, time};

/// Identity and owner of an object.
///
/// Two are equal if no decision distinguishes them: the resource version and the name of another manager change with writes
/// that no decision depends on.
#[derive(Clone, Debug, Default, Eq)]
pub struct Meta {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Text,
    /// Name.
    pub name: Text,
    /// Uid.
    pub uid: Text,
    /// Version of the object.
    pub resource_version: Text,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Whether its deletion was requested.
    pub deleting: bool,
    /// Finalizers that its deletion waits for; empty while it is not being deleted.
    pub finalizers: Box<[Text]>,
    /// Its controller.
    pub controller: Option<Controller>,
    /// Name of the Wukong that our labels say it belongs to.
    pub wukong: Option<Text>,
    /// Hash over the fields that we own, as stored; `None` when we never applied it.
    pub owned_hash: Option<Text>,
    /// The manager, other than us, that wrote last.
    pub other_manager: Option<Text>,
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            namespace,
            name,
            uid,
            resource_version: _,
            created,
            deleting,
            finalizers,
            controller,
            wukong,
            owned_hash,
            other_manager: _,
        } = self;
        *namespace == other.namespace
            && *name == other.name
            && *uid == other.uid
            && *created == other.created
            && *deleting == other.deleting
            && *finalizers == other.finalizers
            && *controller == other.controller
            && *wukong == other.wukong
            && *owned_hash == other.owned_hash
    }
}

/// The controller of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Controller {
    /// Its kind.
    pub kind: Text,
    /// Its name.
    pub name: Text,
    /// Its uid.
    pub uid: Text,
}

/// An object of which only the existence matters: a NetworkAttachmentDefinition, a DataSource.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObjectFact {
    /// Identity and owner.
    pub meta: Meta,
}

/// A fact that is projected from an object of one kind.
pub trait Fact: Clone + PartialEq + Send + Sync + 'static {
    /// Keeps the fields of `object` that decisions need. Never fails, whatever the form of the object.
    fn project(object: &Value) -> Self;
    /// Returns the identity and the owner of the object.
    fn meta(&self) -> &Meta;
    /// What the store can find the fact by, besides its name.
    fn index_keys(&self) -> Vec<Text> {
        Vec::new()
    }
    /// Whether `other`, the same object at another time, is equal in every field that a decision depends on.
    fn says_the_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl Fact for ObjectFact {
    fn project(object: &Value) -> Self {
        Self {
            meta: Meta::project(object),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The uid of its controller.
    fn index_keys(&self) -> Vec<Text> {
        let controller = self.meta.controller.iter();
        controller
            .map(|controller| controller.uid.clone())
            .collect()
    }
}

impl Meta {
    /// Projects the metadata of an object.
    pub fn project(object: &Value) -> Self {
        let controller = list(object, "/metadata/ownerReferences")
            .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
        let others = list(object, "/metadata/managedFields").filter(|entry| {
            entry.get("subresource").is_none() && text(entry, "/manager") != FIELD_MANAGER
        });
        let labels = object.pointer("/metadata/labels");
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        Self {
            namespace: text(object, "/metadata/namespace"),
            name: text(object, "/metadata/name"),
            uid: text(object, "/metadata/uid"),
            resource_version: text(object, "/metadata/resourceVersion"),
            created: time(object, "/metadata/creationTimestamp"),
            deleting,
            finalizers: match deleting {
                true => texts(object, "/metadata/finalizers").into(),
                false => Box::default(),
            },
            controller: controller.map(|owner| Controller {
                kind: text(owner, "/kind"),
                name: text(owner, "/name"),
                uid: text(owner, "/uid"),
            }),
            wukong: labels
                .and_then(|labels| labels.get(labels::WUKONG))
                .and_then(Value::as_str)
                .map(Into::into),
            owned_hash: managed_fields::owned_by(object, FIELD_MANAGER)
                .map(|fields| managed_fields::hash(&fields).into()),
            other_manager: others
                .max_by_key(|entry| text(entry, "/time"))
                .map(|entry| text(entry, "/manager")),
        }
    }

    /// Whether the Wukong with this uid controls it.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller
            .as_ref()
            .is_some_and(|controller| controller.uid == uid)
    }
}

/// The text at a pointer, which may be empty: the storage class `""` is not none.
fn optional_text(object: &Value, pointer: &str) -> Option<Text> {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(printable)
}

/// Whether two facts are equal after `align` has copied the fields that no decision depends on.
fn same_but<F: Fact>(one: &F, other: &F, align: impl FnOnce(&mut F)) -> bool {
    let mut one = one.clone();
    align(&mut one);
    one == *other
}
