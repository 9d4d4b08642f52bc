//! The simulated nodes: kubelet, virt-handler, storage drivers and NMState on each of them.
//!
//! Every node that a user creates gets them, with the faults that its scenario names.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::component::KUBEVIRT_NAMESPACE;
use super::component::{Component, Health};
use super::{nmstate, storage};
use crate::change::{Change, Conditions, Manager, Moment, Step};
use crate::field::{Field, put};
use crate::kind::{Kind, Ref};
use crate::scenario::Scenario;
use crate::world::World;

/// The annotation by which virt-handler says that it lives.
const HEARTBEAT: &str = "kubevirt.io/heartbeat";
const SCHEDULABLE: &str = "kubevirt.io/schedulable";
/// virt-handler's own interval.
const INTERVAL: SignedDuration = SignedDuration::from_secs(60);
/// The age of a sign of life that virt-controller finds too old.
const SILENT: SignedDuration = SignedDuration::from_mins(5);
const DEVICES: [&str; 3] = ["kvm", "tun", "vhost-net"];
const PRESSURES: [(&str, &str, &str); 3] = [
    (
        "MemoryPressure",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    (
        "DiskPressure",
        "KubeletHasNoDiskPressure",
        "kubelet has no disk pressure",
    ),
    (
        "PIDPressure",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ),
];
const CRASH: &str = "Failed to create an inotify watcher: too many open files";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// The fault of a node.
struct Faults(Scenario);

impl Faults {
    fn of(world: &World, node: &Field<'_>) -> Self {
        Self(Scenario::of(world, node))
    }

    fn lost(&self) -> bool {
        self.0.has("node-lost")
    }

    /// virt-handler's last message when it crashes, if it does.
    fn crash(&self) -> Option<String> {
        let words = self.0.value("handler-crash")?;
        Some(if words.is_empty() { CRASH } else { words }.to_owned())
    }

    /// Whether virt-handler no longer manages the node.
    fn silent(&self) -> bool {
        self.lost() || self.crash().is_some()
    }

    fn without_handler(&self) -> bool {
        self.0.has("no-virt-handler")
    }

    /// Whether the kubelet gives the device out: its file is there, and a device plugin of virt-handler serves it.
    fn offers(&self, device: &str) -> bool {
        let plugin = self.0.value("device-plugin");
        let broken = plugin.is_some_and(|named| named.is_empty() || named == device);
        let served = !self.without_handler() && self.crash().is_none();
        served && !broken && !self.0.has(&format!("no-{device}"))
    }
}

/// Whether the node does not answer.
pub fn is_lost(world: &World, name: &str) -> bool {
    let node = world.get(Kind::Node, "", name);
    node.is_some_and(|node| Faults::of(world, &node).lost())
}

/// Whether the CNI plugins of this node work for secondary networks.
pub fn has_multus(world: &World, name: &str) -> bool {
    let node = world.get(Kind::Node, "", name);
    node.is_none_or(|node| !Scenario::of(world, &node).has("multus-broken"))
}

/// Whether the virt-handlers run that are to run.
pub fn are_handled(world: &World) -> bool {
    world.list(Kind::Node, "").all(|node| {
        let faults = Faults::of(world, &node);
        let pod = world.get(
            Kind::Pod,
            KUBEVIRT_NAMESPACE,
            &handler(node.child("metadata").name()).pod(),
        );
        let ready = pod.is_some_and(|pod| super::component::is_ready(&pod));
        ready || faults.silent() || faults.without_handler()
    })
}

fn handler(node: &str) -> Component<'_> {
    Component {
        namespace: KUBEVIRT_NAMESPACE,
        name: "virt-handler",
        image: "quay.io/kubevirt/virt-handler:v1.9.0",
        labels: json!({"kubevirt.io": "virt-handler"}),
        node,
    }
}

/// A healthy node, as it is made.
pub fn node(name: &str, now: &str) -> Value {
    let bare = json!({"metadata": {"name": name}});
    let (bare, faults) = (Field::new("", &bare), Faults(Scenario::default()));
    let (labels, annotations) = metadata(&bare, &faults, now);
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "status": status(&bare, &faults, now),
    })
}

/// The next step of a node and of what runs on it.
pub fn next(world: &World, name: &str, moment: &Moment) -> Step {
    let Some(node) = world.get(Kind::Node, "", name) else {
        return forsake(world, name);
    };
    let faults = Faults::of(world, &node);
    let mut changes = Vec::new();
    let (labels, annotations) = metadata(&node, &faults, &moment.now);
    let mut patch = json!({});
    for (part, wanted) in [("labels", labels), ("annotations", annotations)] {
        if is_news(&node.child("metadata").child(part), &wanted) {
            put(&mut patch, ["metadata", part], wanted);
        }
    }
    if let Some(taints) = taints(&node, &faults) {
        put(&mut patch, ["spec", "taints"], taints);
    }
    if patch != json!({}) {
        changes.push(Change::merge(
            Manager::VirtHandler,
            Kind::Node,
            &node,
            patch,
        ));
    }
    let status = status(&node, &faults, &moment.now);
    changes.extend(Change::status(Manager::Kubelet, Kind::Node, &node, &status));
    changes.extend(drivers(world, &node));
    changes.extend(nmstate::on_node(world, &node, &faults.0, moment));
    changes.extend(handler_pod(world, name, &faults, moment));
    Step::of(changes)
}

/// The objects that are deleted with a node.
fn forsake(world: &World, name: &str) -> Step {
    let at_home = [
        (Kind::Pod, KUBEVIRT_NAMESPACE, handler(name).pod()),
        (Kind::CsiNode, "", name.to_owned()),
        (Kind::NodeNetwork, "", name.to_owned()),
    ];
    let gone = at_home.into_iter().filter_map(|(kind, namespace, name)| {
        let object = world.get(kind, namespace, &name)?;
        Some(Change::delete(kind, &object))
    });
    Step::of(gone.chain(nmstate::forsake(world, name)))
}

/// Labels of kubelet and virt-handler, and virt-handler's sign of life; `null` for what is to go.
fn metadata(node: &Field<'_>, faults: &Faults, now: &str) -> (Value, Value) {
    let name = node.child("metadata").name();
    let mut labels = json!({
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node-role.kubernetes.io/worker": "",
        "topology.kubernetes.io/region": "simulator",
        "topology.kubernetes.io/zone": name,
    });
    // What virt-handler wrote outlives it, until virt-controller finds its sign of life too old.
    let last = node.at("metadata.annotations").child(HEARTBEAT).text();
    let heartbeat = heartbeat(last, faults, now);
    let schedulable = (age(&heartbeat, now) <= SILENT).to_string();
    for (label, value) in [
        (SCHEDULABLE, schedulable.as_str()),
        ("cpumanager", "false"),
        ("cpu-model.node.kubevirt.io/Haswell", "true"),
        ("machine-type.node.kubevirt.io/q35", "true"),
        ("machine-type.node.kubevirt.io/pc-q35-rhel9.4.0", "true"),
        ("machine-type.node.kubevirt.io/pc-q35-rhel9.6.0", "true"),
    ] {
        put(&mut labels, [label], json!(value));
    }
    (labels, json!({HEARTBEAT: heartbeat}))
}

fn heartbeat(last: &str, faults: &Faults, now: &str) -> String {
    let fresh = age(last, now) < INTERVAL;
    let silent = faults.silent() || faults.without_handler();
    if (fresh || silent) && !last.is_empty() {
        last.to_owned()
    } else {
        now.to_owned()
    }
}

/// How long ago a time was; for ever when it is none.
fn age(time: &str, now: &str) -> SignedDuration {
    match (time.parse::<Timestamp>(), now.parse::<Timestamp>()) {
        (Ok(time), Ok(now)) => now.duration_since(time),
        _ => SignedDuration::MAX,
    }
}

/// Whether a merge patch of labels or annotations changes anything.
fn is_news(known: &Field<'_>, patch: &Value) -> bool {
    Field::new("", patch)
        .entries()
        .any(|(key, value)| known.child(key).value() != value)
}

/// The taints, if those about the node's state are outdated.
fn taints(node: &Field<'_>, faults: &Faults) -> Option<Value> {
    let taints = node.at("spec.taints");
    let of_state =
        |taint: &Field<'_>| [NOT_READY, UNREACHABLE].contains(&taint.child("key").text());
    let reported = taints.items().any(|taint| of_state(&taint));
    if reported == faults.lost() {
        return None;
    }
    let mut list: Vec<Value> = taints
        .items()
        .filter(|taint| !of_state(taint))
        .map(|taint| taint.value().clone())
        .collect();
    if faults.lost() {
        let effects = ["NoSchedule", "NoExecute"];
        list.extend(effects.map(|effect| json!({"key": UNREACHABLE, "effect": effect})));
    }
    Some(Value::Array(list))
}

fn status(node: &Field<'_>, faults: &Faults, now: &str) -> Value {
    let known = node.child("status");
    let mut status = match known.value() {
        Value::Null => json!({}),
        known => known.clone(),
    };
    for list in ["capacity", "allocatable"] {
        for (resource, amount) in [
            ("cpu", "128"),
            ("memory", "1Ti"),
            ("pods", "1000"),
            ("ephemeral-storage", "1Ti"),
        ] {
            if !known.child(list).child(resource).is_set() {
                put(&mut status, [list, resource], json!(amount));
            }
        }
        for device in DEVICES {
            let resource = format!("devices.kubevirt.io/{device}");
            let offered = list == "capacity" || faults.offers(device);
            put(
                &mut status,
                [list, &resource],
                json!(if offered { "1k" } else { "0" }),
            );
        }
    }
    let mut conditions = Conditions::of(&known);
    let (ready, reason, message) = if faults.lost() {
        (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
    } else {
        ("True", "KubeletReady", "kubelet is posting ready status")
    };
    conditions.set("Ready", ready, reason, message, now);
    for (kind, healthy, words) in PRESSURES {
        if faults.lost() {
            conditions.set(kind, "Unknown", reason, message, now);
        } else {
            conditions.set(kind, "False", healthy, words, now);
        }
    }
    put(&mut status, ["conditions"], conditions.into_value());
    if known.at("nodeInfo.kubeletVersion").text().is_empty() {
        put(
            &mut status,
            ["nodeInfo"],
            json!({
                "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.36.3",
                "kubeProxyVersion": "", "osImage": "simulated", "kernelVersion": "", "containerRuntimeVersion": "",
                "machineID": "", "systemUUID": "", "bootID": "",
            }),
        );
    }
    status
}

/// The storage drivers that are registered on the node.
fn drivers(world: &World, node: &Field<'_>) -> Option<Change> {
    let name = node.child("metadata").name();
    let running = storage::drivers(world);
    let drivers: Vec<Value> = running
        .iter()
        .map(|driver| json!({"name": driver, "nodeID": name, "topologyKeys": null}))
        .collect();
    let Some(known) = world.get(Kind::CsiNode, "", name) else {
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.at("metadata.uid").value()});
        let object = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
            "metadata": {"name": name, "ownerReferences": [owner]}, "spec": {"drivers": drivers}});
        return Some(Change::Create {
            by: Manager::Kubelet,
            at: Ref::new(Kind::CsiNode, "", name),
            object,
        });
    };
    let registered: BTreeSet<String> = known
        .at("spec.drivers")
        .items()
        .map(|driver| driver.name().to_owned())
        .collect();
    (registered != running).then(|| {
        let patch = json!({"spec": {"drivers": drivers}});
        Change::merge(Manager::Kubelet, Kind::CsiNode, &known, patch)
    })
}

/// virt-handler's pod.
fn handler_pod(world: &World, name: &str, faults: &Faults, moment: &Moment) -> Option<Change> {
    let handler = handler(name);
    world.refs(Kind::KubeVirt).next()?;
    if faults.without_handler() {
        let pod = world.get(Kind::Pod, KUBEVIRT_NAMESPACE, &handler.pod())?;
        return Some(Change::delete(Kind::Pod, &pod));
    }
    let health = match faults.crash() {
        _ if faults.lost() => Health::Silent,
        Some(words) => Health::Crashes(words),
        None => Health::Runs,
    };
    handler.next(world, &health, moment)
}
