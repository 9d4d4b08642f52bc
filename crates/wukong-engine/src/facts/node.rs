//! Facts of nodes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use wukong_api::Bytes;

use super::platform::{Platform, Signs};
use super::same_but;
use super::text::Text;
use crate::facts::json::{entries, flag, list, milli, optional_text, text, text_map, time, whole};
use crate::facts::{ConditionFact, Fact, Meta, conditions};

/// Prefixes of labels that are left out: KubeVirt's node labeller and node-feature-discovery write hundreds of them on
/// every node, and nothing here reads them.
const LEFT_OUT: [&str; 6] = [
    "cpu-feature.node.kubevirt.io/",
    "cpu-model-migration.node.kubevirt.io/",
    "cpu-timer.node.kubevirt.io/",
    "feature.node.kubernetes.io/",
    "host-model-required-features.node.kubevirt.io/",
    "hyperv.node.kubevirt.io/",
];
/// Most resources that are kept of one node.
const RESOURCES_MAX: usize = 64;

/// Set by virt-handler for each machine type that the node can emulate; part of every VM's node selector. Also the index key of
/// the nodes that have any.
pub(crate) const MACHINE_TYPE: &str = "machine-type.node.kubevirt.io/";
/// The label that node selectors name a single node by.
pub(crate) const HOST_NAME: &str = "kubernetes.io/hostname";

/// A node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Its labels, without those that [`NodeFact::matches`] cannot check.
    pub labels: BTreeMap<Text, Text>,
    /// Its taints.
    pub taints: Vec<TaintFact>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Condition `Ready`.
    pub ready: Option<ConditionFact>,
    /// The resources for pods.
    pub allocatable: Resources,
    /// The resources of the node.
    pub capacity: Resources,
    /// When virt-handler gave a sign of life last.
    pub heartbeat: Option<Timestamp>,
    /// Architecture such as `amd64`.
    pub architecture: Option<Text>,
    /// `spec.providerID`.
    pub provider_id: Text,
    /// Name of the operating system.
    pub os_image: Text,
    /// Version of the kernel.
    pub kernel: Text,
    /// Version of the kubelet.
    pub kubelet: Text,
}

/// A taint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TaintFact {
    /// Its key.
    pub key: Text,
    /// Its value; empty without one.
    pub value: Text,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: Text,
}

/// Resources of a node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Resources {
    /// CPU in thousandths.
    pub cpu_milli: Option<u64>,
    /// Memory.
    pub memory: Option<Bytes>,
    /// Pieces of every device, by resource name: `devices.kubevirt.io/kvm` and the like.
    pub devices: BTreeMap<Text, u64>,
}

impl Resources {
    fn project(object: &Value, pointer: &str) -> Self {
        let devices = entries(object, pointer)
            .filter(|(name, _)| name.contains('/'))
            .filter_map(|(name, value)| Some((name.into(), whole(value)?)));
        let get = |name: &str| object.pointer(pointer).and_then(|all| all.get(name));
        Self {
            cpu_milli: get("cpu").and_then(milli),
            memory: get("memory").and_then(whole).map(Bytes),
            devices: devices.take(RESOURCES_MAX).collect(),
        }
    }

    /// Pieces of a device; a resource that is not named counts as 0.
    pub fn device(&self, name: &str) -> u64 {
        self.devices.get(name).copied().unwrap_or_default()
    }
}

impl Fact for NodeFact {
    fn project(object: &Value) -> Self {
        let taint = |taint: &Value| TaintFact {
            key: text(taint, "/key"),
            value: text(taint, "/value"),
            effect: text(taint, "/effect"),
        };
        let mut labels = text_map(object, "/metadata/labels");
        labels.retain(|key, _| !is_left_out(key));
        Self {
            meta: Meta::project(object),
            taints: list(object, "/spec/taints").map(taint).collect(),
            unschedulable: flag(object, "/spec/unschedulable"),
            ready: conditions(object, &["Ready"]).into_iter().next(),
            allocatable: Resources::project(object, "/status/allocatable"),
            capacity: Resources::project(object, "/status/capacity"),
            heartbeat: time(object, "/metadata/annotations/kubevirt.io~1heartbeat"),
            architecture: labels
                .get("kubernetes.io/arch")
                .cloned()
                .or_else(|| optional_text(object, "/status/nodeInfo/architecture")),
            provider_id: text(object, "/spec/providerID"),
            os_image: text(object, "/status/nodeInfo/osImage"),
            kernel: text(object, "/status/nodeInfo/kernelVersion"),
            kubelet: text(object, "/status/nodeInfo/kubeletVersion"),
            labels,
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Its platform, its host name, and whether virt-handler labels it with machine types.
    fn index_keys(&self) -> Vec<Text> {
        let host = self.labels.get(HOST_NAME);
        let typed = self.labels.keys().any(|key| key.starts_with(MACHINE_TYPE));
        [self.platform().to_string().into()]
            .into_iter()
            .chain(host.map(|host| Self::on_host(host)))
            .chain(typed.then(|| MACHINE_TYPE.into()))
            .collect()
    }

    /// Signs of life come every few seconds. If they stop, the label `kubevirt.io/schedulable` shows it.
    fn says_the_same(&self, other: &Self) -> bool {
        self.heartbeat.is_some() == other.heartbeat.is_some()
            && same_but(self, other, |fact| {
                fact.meta = other.meta.clone();
                fact.heartbeat = other.heartbeat;
            })
    }
}

impl NodeFact {
    /// The platform that the node belongs to.
    pub fn platform(&self) -> Platform {
        let signs = Signs {
            labels: &self.labels,
            name: &self.meta.name,
            provider_id: &self.provider_id,
            os_image: &self.os_image,
            kubelet: &self.kubelet,
        };
        signs.platform()
    }

    /// Index key of the nodes with this host name.
    pub(crate) fn on_host(host: &str) -> Text {
        format!("{HOST_NAME}={host}").into()
    }

    /// Whether the node has this label with this value. Labels that are left out count as present: an unknown label is never
    /// the cause.
    pub fn matches(&self, key: &str, value: &str) -> bool {
        is_left_out(key) || self.labels.get(key).is_some_and(|known| known == value)
    }

    /// Whether labels with this key are kept.
    pub(crate) fn keeps_label(&self, key: &str) -> bool {
        !is_left_out(key)
    }
}

fn is_left_out(key: &str) -> bool {
    LEFT_OUT.iter().any(|prefix| key.starts_with(prefix))
}
