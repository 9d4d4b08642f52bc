//! The requirements of a VM for its node, and why a node does not meet them.
//!
//! Every node passes the stages in causal order and is stopped by the first that it does not pass.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use wukong_api::spec::{TaintEffect, Toleration, TolerationOperator};
use wukong_api::validated::Nic;
use wukong_api::{Bytes, ValidatedWukong};

use super::Environment;
use crate::facts::{
    KubeVirtFact, MACHINE_TYPE, NodeFact, PodFact, Presence, Store, TaintFact, Text,
};

/// The device of hardware virtualization.
pub(crate) const KVM: &str = "devices.kubevirt.io/kvm";
/// The device that NICs are made of, with and without hardware virtualization.
pub(crate) const TUN: &str = "devices.kubevirt.io/tun";
/// The device that makes NICs fast.
pub(crate) const VHOST_NET: &str = "devices.kubevirt.io/vhost-net";
/// The component that manages a node.
const HANDLER: &str = "virt-handler";
/// Prefix of the devices that virt-handler registers.
const DEVICES: &str = "devices.kubevirt.io/";
/// Set by virt-handler on nodes that can run VMs; part of every VM's node selector.
const SCHEDULABLE: &str = "kubevirt.io/schedulable";
/// Set by virt-handler for each CPU model that the node offers; part of the node selector of a VM that names one.
pub(crate) const CPU_MODEL: &str = "cpu-model.node.kubevirt.io/";
/// Names in place of a CPU model: each node has them.
const OF_HOST: [&str; 2] = ["host-model", "host-passthrough"];
/// How old a heartbeat may be before virt-controller calls the node unresponsive
/// (`pkg/virt-controller/watch/node` of KubeVirt).
const HEARTBEAT_MAX: SignedDuration = SignedDuration::from_mins(5);
/// How many vCPUs share one CPU unless the KubeVirt resource says otherwise.
const CPU_ALLOCATION_RATIO: u64 = 10;

/// The stages that a node has to pass, in causal order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Stage {
    Placement,
    Handler,
    Kvm,
    Tun,
    VhostNet,
    DevicePlugin,
    MachineType,
    CpuModel,
    Memory,
    Cpu,
}

/// The requirements of a VM for its node, and the facts that are not in the node object.
pub(crate) struct Demand<'a> {
    kubevirt: Option<&'a KubeVirtFact>,
    pods: &'a Store<PodFact>,
    machine_types_labelled: bool,
    devices: Vec<&'static str>,
    wukong: Option<&'a ValidatedWukong>,
    now: Timestamp,
}

impl<'a> Demand<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        wukong: Option<&'a ValidatedWukong>,
        now: Timestamp,
    ) -> Self {
        let kubevirt = environment.kubevirt();
        // Older versions of KubeVirt neither set these labels nor require them.
        let labelled = environment.nodes.has(MACHINE_TYPE);
        let recent = kubevirt
            .and_then(KubeVirtFact::minor_version)
            .is_some_and(|version| version >= (1, 9));
        Self {
            kubevirt,
            pods: &environment.kubevirt_pods,
            machine_types_labelled: labelled || recent,
            devices: devices(kubevirt, wukong),
            wukong,
            now,
        }
    }

    /// virt-handler's pod on a node.
    pub(crate) fn handler(&self, node: &str) -> Option<&'a PodFact> {
        self.pods.indexed(&PodFact::on_node(HANDLER, node)).last()
    }

    /// The first stage that the node does not pass.
    pub(crate) fn stopped(&self, node: &NodeFact) -> Option<Stage> {
        let needed = &self.devices;
        let lacks = |device: &str| needed.contains(&device) && !is_offered(node, device);
        let at = |stage: Stage, stops: bool| stops.then_some(stage);
        at(Stage::Placement, self.misplaced(node).is_some())
            .or_else(|| at(Stage::Handler, !self.is_handled(node)))
            .or_else(|| at(Stage::Kvm, lacks(KVM)))
            .or_else(|| at(Stage::Tun, lacks(TUN)))
            .or_else(|| at(Stage::VhostNet, lacks(VHOST_NET)))
            .or_else(|| {
                let idle = |device: &&str| node.allocatable.device(device) == 0;
                at(Stage::DevicePlugin, needed.iter().any(idle))
            })
            .or_else(|| at(Stage::MachineType, self.lacks_machine_type(node).is_some()))
            .or_else(|| at(Stage::CpuModel, self.lacks_cpu_model(node).is_some()))
            .or_else(|| at(Stage::Memory, self.too_little_memory(node).is_some()))
            .or_else(|| at(Stage::Cpu, self.too_few_cpus(node).is_some()))
    }

    pub(crate) fn cause(&self, node: &NodeFact, stage: Stage) -> String {
        let module = |module: &str| format!("kernel module {module} is not loaded");
        let cause = match stage {
            Stage::Placement => self.misplaced(node),
            Stage::Handler => Some(self.handler_trouble(node)),
            Stage::Kvm => Some("no /dev/kvm".to_owned()),
            Stage::Tun => Some(module("tun")),
            Stage::VhostNet => Some(module("vhost_net")),
            Stage::DevicePlugin => {
                let idle: Vec<&str> = self
                    .devices
                    .iter()
                    .copied()
                    .filter(|device| node.allocatable.device(device) == 0)
                    .collect();
                Some(format!("{} cannot be allocated", idle.join(", ")))
            }
            Stage::MachineType => self.lacks_machine_type(node),
            Stage::CpuModel => self.lacks_cpu_model(node),
            Stage::Memory => self.too_little_memory(node),
            Stage::Cpu => self.too_few_cpus(node),
        };
        cause.unwrap_or_default()
    }

    /// Why the scheduler excludes the node, independent of KubeVirt.
    fn misplaced(&self, node: &NodeFact) -> Option<String> {
        if let Some(ready) = node.ready.as_ref().filter(|ready| ready.status != "True") {
            return Some(match ready.message.as_str() {
                "" => "not ready".to_owned(),
                message => format!("not ready: {message}"),
            });
        }
        if node.unschedulable {
            return Some("cordoned".to_owned());
        }
        let placement = self.wukong.map(|wukong| &wukong.placement);
        if let Some(placement) = placement {
            let missing = placement
                .node_selector
                .iter()
                .find(|(key, value)| !node.matches(key, value));
            // Every such node gets the same words, so that a node with another cause stands out.
            if let Some((key, value)) = missing {
                return Some(format!("no label {key}={value}"));
            }
        }
        let named = self.wukong.and_then(|wukong| wukong.machine.architecture);
        let named = named.as_ref().map(AsRef::as_ref);
        let default = || self.kubevirt?.default_architecture.as_deref();
        let architecture = named.or_else(default);
        if let (Some(wanted), Some(has)) = (architecture, node.architecture.as_deref())
            && wanted != has
        {
            return Some(format!("architecture {has}, not {wanted}"));
        }
        let tolerations = placement
            .map(|placement| placement.tolerations.as_slice())
            .unwrap_or_default();
        let taint = node
            .taints
            .iter()
            .find(|taint| repels(taint) && !tolerations.iter().any(|t| tolerates(t, taint)))?;
        let value = match taint.value.as_str() {
            "" => String::new(),
            value => format!("={value}"),
        };
        Some(format!("taint {}{value}:{}", taint.key, taint.effect))
    }

    /// Whether virt-handler manages the node. The label alone is not enough: it stays for minutes after a crash, and it may
    /// be missing because a device is, which is then the cause.
    fn is_handled(&self, node: &NodeFact) -> bool {
        let pod = self.handler(&node.meta.name);
        // virt-handler runs elsewhere, and its labels on this node are old.
        let gone = pod.is_none() && self.pods.has(HANDLER);
        if gone || pod.is_some_and(|pod| pod.failure().is_some()) || self.is_silent(node) {
            return false;
        }
        let labelled = node.labels.get(SCHEDULABLE).map(Text::as_str) == Some("true");
        let at_work = pod.is_some_and(PodFact::is_ready) && node.heartbeat.is_some();
        let offered = self
            .devices
            .iter()
            .filter(|device| is_offered(node, device));
        let partly = (1..self.devices.len()).contains(&offered.count());
        labelled || (at_work && partly)
    }

    fn is_silent(&self, node: &NodeFact) -> bool {
        node.heartbeat
            .is_some_and(|heartbeat| self.now.duration_since(heartbeat) > HEARTBEAT_MAX)
    }

    fn handler_trouble(&self, node: &NodeFact) -> String {
        let pod = self.handler(&node.meta.name);
        let silent = match node.heartbeat {
            Some(heartbeat) if self.is_silent(node) => {
                format!(", without a sign of life since {heartbeat}")
            }
            _ => String::new(),
        };
        match pod.map(|pod| (pod, pod.failure())) {
            Some((_, Some(failure))) => format!("{failure}{silent}"),
            Some((pod, None)) if !pod.is_ready() => format!("virt-handler is starting{silent}"),
            Some(_) => {
                format!("virt-handler runs, but has not declared the node fit for VMs{silent}")
            }
            None if self.pods.presence() == Presence::Served => format!("no virt-handler{silent}"),
            None => format!("not labelled {SCHEDULABLE}=true{silent}"),
        }
    }

    fn lacks_machine_type(&self, node: &NodeFact) -> Option<String> {
        if !self.machine_types_labelled {
            return None;
        }
        let architecture = node.architecture.as_deref().unwrap_or("amd64");
        let configured = self
            .kubevirt
            .and_then(|kubevirt| kubevirt.machine_types.get(architecture));
        let machine = match (configured, architecture) {
            (Some(configured), _) => configured,
            (None, "arm64") => "virt",
            (None, "s390x") => "s390-ccw-virtio",
            (None, _) => "q35",
        };
        let label = format!("{MACHINE_TYPE}{machine}");
        (!node.matches(&label, "true")).then(|| format!("no label {label}=true"))
    }

    /// The CPU model that the VM demands of a node: its own, or that of the KubeVirt resource.
    pub(crate) fn cpu_model(&self) -> Option<&'a str> {
        let own = self
            .wukong
            .and_then(|wukong| wukong.machine.cpu_model.as_deref());
        let default = || self.kubevirt?.cpu_model.as_deref();
        own.or_else(default)
            .filter(|model| !OF_HOST.contains(model))
    }

    fn lacks_cpu_model(&self, node: &NodeFact) -> Option<String> {
        let label = format!("{CPU_MODEL}{}", self.cpu_model()?);
        (!node.matches(&label, "true")).then(|| format!("no label {label}=true"))
    }

    fn too_little_memory(&self, node: &NodeFact) -> Option<String> {
        let needed = launcher_memory(self.wukong?);
        let has = node.allocatable.memory?;
        (has < needed).then(|| format!("{} of memory", has.rounded()))
    }

    fn too_few_cpus(&self, node: &NodeFact) -> Option<String> {
        let needed = self.cpu_request()?;
        let has = node.allocatable.cpu_milli?;
        (has < needed).then(|| format!("{has}m of CPU"))
    }

    /// CPU that virt-launcher's pod requests, in thousandths.
    pub(crate) fn cpu_request(&self) -> Option<u64> {
        let ratio = self
            .kubevirt
            .and_then(|kubevirt| kubevirt.cpu_allocation_ratio)
            .unwrap_or(CPU_ALLOCATION_RATIO);
        let vcpus = u64::from(self.wukong?.cpu);
        vcpus.saturating_mul(1000).checked_div(ratio)
    }
}

/// The CPU models that the nodes offer.
pub(crate) fn cpu_models(environment: &Environment) -> BTreeSet<&str> {
    environment
        .nodes
        .iter()
        .flat_map(|node| node.labels.keys())
        .filter_map(|key| key.strip_prefix(CPU_MODEL))
        .collect()
}

/// The devices that virt-launcher's pod requests (`getRequiredResources` in `pkg/virt-controller/services` of KubeVirt).
/// Every NIC of ours is a virtio one. While it is not known whether KubeVirt emulates, what only hardware
/// virtualization needs is left out.
fn devices(kubevirt: Option<&KubeVirtFact>, wukong: Option<&ValidatedWukong>) -> Vec<&'static str> {
    let nics = wukong.is_none_or(|wukong| wukong.pod_nic.is_some() || !wukong.nics.is_empty());
    let hardware = kubevirt.is_some_and(|kubevirt| !kubevirt.use_emulation);
    [(KVM, hardware), (TUN, nics), (VHOST_NET, nics && hardware)]
        .into_iter()
        .filter_map(|(device, needed)| needed.then_some(device))
        .collect()
}

/// Memory that virt-launcher's pod requests for a VM: the guest's, and KubeVirt's overhead. It fits what KubeVirt 1.9
/// requests (296Mi for 2Gi and 2 vCPUs); `GetMemoryOverhead` there is the sum of a fixed part, of page tables (a 512th),
/// of 8Mi a vCPU, and of 1Gi where a device is passed through.
pub fn launcher_memory(wukong: &ValidatedWukong) -> Bytes {
    const MEBIBYTE: u64 = 1 << 20;
    let Bytes(guest) = wukong.memory;
    let passed_through = |nic: &Nic| nic.kind.is_passed_through();
    let devices = if wukong.nics.iter().any(passed_through) {
        1024 * MEBIBYTE
    } else {
        0
    };
    let overhead = 276 * MEBIBYTE + 8 * MEBIBYTE * u64::from(wukong.cpu) + guest / 512 + devices;
    Bytes(guest.saturating_add(overhead))
}

/// Whether the node has the device, as far as the facts show it. virt-handler registers a plugin for a missing device,
/// too, so the kubelet counts the device in the capacity and gives none out. When the kubelet gives out another device of
/// KubeVirt, the plugins work, and the file of this device is missing. When it gives out none, the plugins may be broken.
fn is_offered(node: &NodeFact, device: &str) -> bool {
    let of_kubevirt = |name: &str| name.starts_with(DEVICES);
    let plugins_work = || {
        let mut devices = node.allocatable.devices.iter();
        devices.any(|(name, count)| of_kubevirt(name) && *count > 0)
    };
    node.allocatable.device(device) > 0 || (node.capacity.device(device) > 0 && !plugins_work())
}

fn repels(taint: &TaintFact) -> bool {
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute")
}

/// As Kubernetes' `ToleratesTaint`: an empty key with `Exists` tolerates everything, an empty effect every effect.
fn tolerates(toleration: &Toleration, taint: &TaintFact) -> bool {
    let effect = match toleration.effect {
        None => true,
        Some(TaintEffect::NoSchedule) => taint.effect == "NoSchedule",
        Some(TaintEffect::PreferNoSchedule) => taint.effect == "PreferNoSchedule",
        Some(TaintEffect::NoExecute) => taint.effect == "NoExecute",
    };
    let key = match toleration.key.as_deref() {
        None | Some("") => toleration.operator == Some(TolerationOperator::Exists),
        Some(key) => key == taint.key,
    };
    let value = match toleration.operator {
        Some(TolerationOperator::Exists) => true,
        Some(TolerationOperator::Equal) | None => {
            toleration.value.as_deref().unwrap_or_default() == taint.value
        }
    };
    effect && key && value
}
