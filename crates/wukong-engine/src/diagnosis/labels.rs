//! Labels that the pod of a VM requires of its node, and that no node has.

use crate::environment::demand::{CPU_MODEL, cpu_models};
use crate::facts::words::listed;
use crate::facts::{NodeFact, PodFact};
use crate::situation::Situation;

/// First words of label keys, the requirement that KubeVirt writes them for, and what provides them.
const REQUIRED: [(&str, &str, &str); 12] = [
    (
        "cpu-feature.node.kubevirt.io/",
        "CPU feature",
        "choose a CPU model without these features (spec.configuration.cpuModel of the KubeVirt resource, obsoleteCPUModels and minCPUModel included), or add nodes with such a CPU",
    ),
    (
        "host-model-required-features.node.kubevirt.io/",
        "CPU feature of the host model",
        "start the VM again, so that it takes the CPU of its new node, or set a named CPU model: spec.configuration.cpuModel of the KubeVirt resource",
    ),
    (
        "host-model-cpu.node.kubevirt.io/",
        "host CPU",
        "start the VM again, so that it takes the CPU of its new node, or set a named CPU model: spec.configuration.cpuModel of the KubeVirt resource",
    ),
    (
        "cpu-vendor.node.kubevirt.io/",
        "CPU vendor",
        "add a node with a CPU of this vendor, or choose a CPU model of another vendor",
    ),
    (
        "cpu-timer.node.kubevirt.io/",
        "TSC frequency",
        "start the VM again, so that it takes the TSC frequency of its new node; nodes that share VMs with an invariant TSC need TSC scaling",
    ),
    (
        "hyperv.node.kubevirt.io/",
        "Hyper-V enlightenment",
        "drop the Hyper-V feature of the VM that the nodes do not have, or add nodes that have it",
    ),
    (
        "machine-type.node.kubevirt.io/",
        "machine type",
        "choose a machine type that QEMU on the nodes has: spec.configuration.architectureConfiguration of the KubeVirt resource",
    ),
    (
        "kubevirt.io/cpumanager",
        "CPU manager",
        "give the kubelet of a node cpuManagerPolicy: static and switch the feature gate CPUManager of KubeVirt on; KubeVirt then labels the node",
    ),
    (
        "kubevirt.io/realtime",
        "real-time kernel",
        "set kernel.sched_rt_runtime_us=-1 on a node with a real-time kernel; KubeVirt then labels it",
    ),
    (
        "kubevirt.io/sev",
        "AMD SEV",
        "switch SEV on in the firmware and kernel of a node, and the feature gate WorkloadEncryptionSEV of KubeVirt",
    ),
    (
        "kubevirt.io/tdx",
        "Intel TDX",
        "switch TDX on in the firmware and kernel of a node, and the feature gate WorkloadEncryptionTDX of KubeVirt",
    ),
    (
        "kubernetes.io/arch",
        "architecture",
        "add a node of this architecture, or correct the architecture of the VM",
    ),
];

/// The labels that keep the launcher pod off, and the hint. `excluded` is the number of nodes that the scheduler excludes
/// for labels; 0: all.
pub(super) fn missing(situation: &Situation, excluded: u32) -> Option<(String, String)> {
    let environment = &situation.observed.world.environment;
    let children = &situation.observed.memory.queried.children;
    let namespace = &situation.wukong.identity.namespace;
    let mut pods = children.pods.in_namespace(namespace);
    let launcher = pods.find(|pod| pod.meta.name.starts_with("virt-launcher-"))?;
    let on_no_node = |key: &str, value: &str| {
        !environment
            .nodes
            .iter()
            .any(|node| node.matches(key, value))
    };
    let mut required = launcher.node_selector.iter();
    if let Some((key, value)) = required.find(|(key, value)| on_no_node(key, value)) {
        return Some(absent(situation, key, value));
    }
    combination(situation, launcher, excluded)
}

/// Message and hint about a label that no node has.
fn absent(situation: &Situation, key: &str, value: &str) -> (String, String) {
    let environment = &situation.observed.world.environment;
    let (name, kubevirt) = environment.kubevirt_name();
    let edit = format!("kubectl edit kubevirt {name} -n {kubevirt}");
    let message = format!("no node has the label {key}={value}");
    if let Some(model) = key.strip_prefix(CPU_MODEL) {
        let models = cpu_models(environment);
        let offered = match models.is_empty() {
            true => String::new(),
            false => format!(" ({})", listed(models.into_iter())),
        };
        return (
            format!("no node offers the CPU model {model} (label {key})"),
            format!(
                "set spec.configuration.cpuModel of the KubeVirt resource to a CPU model that the nodes offer{offered}: {edit}"
            ),
        );
    }
    if situation.wukong.placement.node_selector.contains_key(key) {
        return (
            message,
            format!(
                "correct spec.highAvailability.nodeSelector, or label a node: kubectl label node NODE {key}={value}"
            ),
        );
    }
    if let Some((_, what, hint)) = REQUIRED.iter().find(|(start, _, _)| key.starts_with(start)) {
        return (format!("{message} ({what})"), (*hint).to_owned());
    }
    let hint = if key.contains("kubevirt.io") {
        format!(
            "KubeVirt asks for this label and its node labeller writes it: check virt-handler on the nodes (kubectl get pods -n {kubevirt} -l kubevirt.io=virt-handler -o wide) and the configuration of KubeVirt ({edit})"
        )
    } else {
        format!(
            "a default of the cluster adds this label to pods: check the namespace's annotation scheduler.alpha.kubernetes.io/node-selector and mutating webhooks, or label a node: kubectl label node NODE {key}={value}"
        )
    };
    (message, hint)
}

/// Message and hint if each label is on some node, and no node has all of them.
fn combination(situation: &Situation, pod: &PodFact, excluded: u32) -> Option<(String, String)> {
    let environment = &situation.observed.world.environment;
    let any = environment.nodes.iter().next()?;
    let (known, unknown): (Vec<_>, Vec<_>) = pod
        .node_selector
        .iter()
        .partition(|(key, _)| any.keeps_label(key));
    let fits = |node: &NodeFact| known.iter().all(|(key, value)| node.matches(key, value));
    let others = environment.nodes.iter().filter(|node| !fits(node)).count();
    if others == environment.nodes.iter().count() {
        let pairs: Vec<String> = known
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        return Some((
            format!(
                "no node has all labels that the pod asks for: {}",
                listed(pairs.iter().map(String::as_str))
            ),
            "compare the labels of the nodes: kubectl get nodes --show-labels; then remove one of these requirements, or label a node".to_owned(),
        ));
    }
    // Facts of nodes do not keep these labels, which are many. Only they can exclude a node that has the others.
    let more = excluded == 0 || usize::try_from(excluded).is_ok_and(|count| count > others);
    if !more {
        return None;
    }
    let (start, what, hint) = REQUIRED
        .iter()
        .find(|(start, _, _)| unknown.iter().any(|(key, _)| key.starts_with(start)))?;
    let names = unknown
        .iter()
        .filter_map(|(key, _)| key.strip_prefix(start));
    Some((
        format!("no node has each required {what}: {}", listed(names)),
        format!("{hint}; kubectl get nodes -o yaml shows the labels {start}… of each node"),
    ))
}
