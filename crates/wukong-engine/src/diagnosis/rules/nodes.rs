//! Rules about the nodes. The rule of a stage does not hold if nodes reach the stage and no node passes it.

use super::{Finding, RuleInput, a_vm, gap, grouped, lines};
use crate::environment::demand::{KVM, Stage, TUN, VHOST_NET, cpu_models, launcher_memory};
use crate::facts::Presence;
use crate::facts::words::listed;

/// Reports a stage that stops nodes. `message` gets these nodes with their causes.
fn stage(
    input: &RuleInput,
    stage: Stage,
    message: impl Fn(&[(&str, String)]) -> String,
) -> Finding {
    if let Some(gap) = gap(input.environment.nodes.presence(), "Node") {
        return gap;
    }
    let nodes = &input.nodes;
    if nodes.any_passes(stage) {
        let others = input.thorough.then(|| lines(&nodes.causes_at(stage)));
        return Finding::Holds(others.unwrap_or_default());
    }
    let causes = nodes.causes_at(stage);
    let subject = match causes.as_slice() {
        [(node, _)] => Some(format!("Node/{node}")),
        _ => None,
    };
    let finding = Finding::found(message(&causes)).evidence(lines(&nodes.causes_until(stage)));
    match subject {
        Some(subject) => finding.about(subject),
        None => finding,
    }
}

fn names(causes: &[(&str, String)]) -> String {
    listed(causes.iter().map(|(node, _)| *node))
}

pub(super) fn placement(input: &RuleInput) -> Finding {
    stage(input, Stage::Placement, |causes| {
        if input.nodes.is_empty() {
            return "The cluster has no nodes".to_owned();
        }
        format!(
            "No node is left for {} after readiness, taints, labels and architecture: {}",
            a_vm(input),
            grouped(causes)
        )
    })
    .with(|found| found.hint = condition_of_nodes(input))
}

/// The hint for nodes that are excluded by their own state, not by a rule that a user set.
fn condition_of_nodes(input: &RuleInput) -> Option<String> {
    const PRESSURES: [(&str, &str); 3] = [
        ("disk-pressure", "free disk space on"),
        ("memory-pressure", "free memory on"),
        ("pid-pressure", "end processes on"),
    ];
    const DOWN: [&str; 5] = [
        "not ready",
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/network-unavailable",
        "node.cloudprovider.kubernetes.io/",
    ];
    let causes = input.nodes.causes_at(Stage::Placement);
    let with = |words: &[&str]| -> Vec<&str> {
        let has = |cause: &str| words.iter().any(|word| cause.contains(word));
        let nodes = causes.iter().filter(|(_, cause)| has(cause));
        nodes.map(|(node, _)| *node).collect()
    };
    let pressed = PRESSURES.iter().find_map(|(word, what)| {
        let nodes = with(&[word]);
        (!nodes.is_empty()).then(|| {
            format!(
                "{what} {}; the kubelet then removes the taint",
                listed(nodes.iter().copied())
            )
        })
    });
    let down = || {
        let nodes = with(&DOWN);
        let first = *nodes.first()?;
        Some(format!(
            "repair {}: the kubelet does not answer or does not call the node ready: kubectl describe node {first}",
            listed(nodes.iter().copied())
        ))
    };
    let cordoned = || {
        let nodes = with(&["cordoned"]);
        let first = *nodes.first()?;
        Some(format!(
            "kubectl uncordon {first}, when its maintenance is over"
        ))
    };
    pressed.or_else(down).or_else(cordoned)
}

pub(super) fn virt_handler(input: &RuleInput) -> Finding {
    let finding = stage(input, Stage::Handler, |causes| {
        format!(
            "virt-handler does not run on any node that {} may be placed on; {}",
            a_vm(input),
            grouped(causes)
        )
    });
    // Values that change all the time belong in the evidence, not in the sentence.
    finding.with(|found| {
        for node in input.nodes.reaching(Stage::Handler) {
            let name = &node.meta.name;
            if let Some(pod) = input.nodes.demand().handler(name) {
                found.evidence.push(format!(
                    "Pod/{} on {name}: restarted {} times",
                    pod.meta.name,
                    pod.restarts()
                ));
            }
            if let Some(heartbeat) = node.heartbeat {
                let age = input.now.duration_since(heartbeat).as_mins();
                found
                    .evidence
                    .push(format!("Node/{name}: last heartbeat {age} minutes ago"));
            }
        }
        found.evidence.truncate(2 * super::EVIDENCE_MAX);
    })
}

/// Checks that KubeVirt uses hardware virtualization; otherwise returns the finding to report instead.
fn hardware(input: &RuleInput, device: &str) -> Result<(), Finding> {
    let environment = input.environment;
    match environment.kubevirt() {
        Some(kubevirt) if kubevirt.use_emulation => Err(Finding::Irrelevant),
        Some(_) => Ok(()),
        // Without the KubeVirt resource, an existing device is good news all the same.
        None if input.nodes.offers(device) => Err(Finding::holds()),
        None => Err(gap(environment.kubevirts.presence(), "KubeVirt")
            .unwrap_or(Finding::NotObserved("KubeVirt"))),
    }
}

pub(super) fn kvm(input: &RuleInput) -> Finding {
    if let Err(instead) = hardware(input, KVM) {
        return instead;
    }
    stage(input, Stage::Kvm, |causes| {
        format!(
            "No node that {} may be placed on has hardware virtualization (/dev/kvm), and KubeVirt's software emulation is off: {}",
            a_vm(input),
            names(causes)
        )
    })
}

pub(super) fn tun(input: &RuleInput) -> Finding {
    let without_nics = input
        .wukong
        .is_some_and(|wukong| wukong.pod_nic.is_none() && wukong.nics.is_empty());
    if without_nics {
        return Finding::Irrelevant;
    }
    let emulated = input
        .environment
        .kubevirt()
        .is_some_and(|kubevirt| kubevirt.use_emulation);
    let even = if emulated {
        ", which software emulation needs as well"
    } else {
        ""
    };
    stage(input, Stage::Tun, |causes| {
        format!(
            "No node that {} may be placed on has the device /dev/net/tun{even}: the kernel module tun is not loaded on {}",
            a_vm(input),
            names(causes)
        )
    })
    .about_device(TUN)
}

pub(super) fn vhost_net(input: &RuleInput) -> Finding {
    if let Err(instead) = hardware(input, VHOST_NET) {
        return instead;
    }
    stage(input, Stage::VhostNet, |causes| {
        format!(
            "No node that {} may be placed on has the device /dev/vhost-net: the kernel module vhost_net is not loaded on {}",
            a_vm(input),
            names(causes)
        )
    })
    .about_device(VHOST_NET)
}

impl Finding {
    /// Makes the VirtualMachineInstance the subject of the finding, before and after the attempt of the scheduler.
    fn about_instance(self, input: &RuleInput) -> Self {
        let name = input.wukong.map(|wukong| &wukong.identity.name);
        match name {
            Some(name) => self.about(format!("VirtualMachineInstance/{name}")),
            None => self,
        }
    }

    /// Adds the resource under which the device is advertised.
    fn about_device(self, device: &str) -> Self {
        self.with(|found| {
            found
                .evidence
                .push(format!("virt-handler advertises it as {device}"));
        })
    }
}

pub(super) fn device_plugin(input: &RuleInput) -> Finding {
    stage(input, Stage::DevicePlugin, |causes| {
        format!(
            "The kubelet gives out no device of KubeVirt, because the device files are missing or because the device plugins of virt-handler do not work: {}",
            grouped(causes)
        )
    })
}

pub(super) fn machine_type(input: &RuleInput) -> Finding {
    stage(input, Stage::MachineType, |causes| {
        format!(
            "virt-handler has not labelled any node with the machine type that {} needs; {}",
            a_vm(input),
            grouped(causes)
        )
    })
}

pub(super) fn cpu_model(input: &RuleInput) -> Finding {
    let Some(model) = input.nodes.demand().cpu_model() else {
        return Finding::Irrelevant;
    };
    stage(input, Stage::CpuModel, |causes| {
        format!(
            "No node that {} may be placed on offers the CPU model {model}: {}",
            a_vm(input),
            grouped(causes)
        )
    })
    .with(|found| found.hint = offered_models(input))
}

/// What to do, with the CPU models that the nodes offer.
fn offered_models(input: &RuleInput) -> Option<String> {
    let offered = cpu_models(input.environment);
    let field = match input
        .wukong
        .and_then(|wukong| wukong.machine.cpu_model.as_ref())
    {
        Some(_) => "spec.cpuModel".to_owned(),
        None => {
            let (name, namespace) = input.environment.kubevirt_name();
            format!(
                "spec.configuration.cpuModel of the KubeVirt resource (kubectl edit kubevirt {name} -n {namespace})"
            )
        }
    };
    (!offered.is_empty()).then(|| {
        let models = listed(offered.iter().copied());
        format!("set {field} to a CPU model that the nodes offer: {models}")
    })
}

pub(super) fn memory(input: &RuleInput) -> Finding {
    let Some(wukong) = input.wukong else {
        return Finding::Irrelevant;
    };
    stage(input, Stage::Memory, |causes| {
        format!(
            "No node is big enough for the VM, which takes {} with KubeVirt's overhead; {}",
            launcher_memory(wukong),
            grouped(causes)
        )
    })
    .about_instance(input)
}

pub(super) fn cpu(input: &RuleInput) -> Finding {
    let Some(request) = input.nodes.demand().cpu_request() else {
        return Finding::Irrelevant;
    };
    stage(input, Stage::Cpu, |causes| {
        format!(
            "No node has CPUs enough for the VM, which requests {request}m; {}",
            grouped(causes)
        )
    })
    .about_instance(input)
}

/// Checks the devices that NICs request by name.
pub(super) fn nic_resource(input: &RuleInput) -> Finding {
    let Some(wukong) = input.wukong else {
        return Finding::Irrelevant;
    };
    let requested = wukong.nics.iter().filter_map(|nic| {
        let passed_through = nic.kind.is_passed_through();
        Some((nic, nic.resource.as_deref().filter(|_| passed_through)?))
    });
    let requested: Vec<_> = requested.collect();
    if requested.is_empty() {
        return Finding::Irrelevant;
    }
    if input.environment.nodes.presence() != Presence::Served {
        return gap(input.environment.nodes.presence(), "Node")
            .unwrap_or(Finding::NotObserved("Node"));
    }
    let missing = requested
        .iter()
        .find(|(_, resource)| !input.nodes.offers(resource));
    match missing {
        Some((nic, resource)) => Finding::found(format!(
            "network {}: no node that the VM may be placed on offers {resource}",
            nic.name
        ))
        .about_instance(input),
        None => Finding::holds(),
    }
}

/// Checks whether there is a second node to migrate to.
pub(super) fn single_node(input: &RuleInput) -> Finding {
    if !super::manifest::wants_migration(input) {
        return Finding::Irrelevant;
    }
    if let Some(gap) = gap(input.environment.nodes.presence(), "Node") {
        return gap;
    }
    let able: Vec<&str> = input
        .nodes
        .reaching(Stage::Memory)
        .take(2)
        .map(|node| node.meta.name.as_str())
        .collect();
    match able.as_slice() {
        [only] => Finding::found(format!(
            "{} can only run on node {only}, so it cannot move away when that is drained",
            if input.wukong.is_some() {
                "This VM"
            } else {
                "A VM"
            }
        ))
        .about(format!("Node/{only}")),
        _ => Finding::holds(),
    }
}
