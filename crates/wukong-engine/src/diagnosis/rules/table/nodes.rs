//! Rules about nodes: their devices, and their room.

use wukong_api::ConditionType::{EnvironmentReady, LiveMigratable, Scheduled};
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, nodes};
use crate::environment::Platform::{
    Aks, BareMetal, DockerDesktop, Eks, Gke, K3s, Kind, Minikube, OpenShift,
};

/// The command that switches software emulation on.
macro_rules! emulate {
    () => {
        "kubectl patch kubevirt {kubevirt} --type merge -p '{\"spec\":{\"configuration\":{\"developerConfiguration\":{\"useEmulation\":true}}}}'"
    };
}

pub(super) const PLACEMENT: Rule = Rule {
    id: "placement",
    condition: EnvironmentReady,
    reason: Reason::PlacementTooNarrow,
    severity: Severity::Fail,
    after: &["kubevirt-installed"],
    of_manifest: false,
    holds: "There are nodes that VMs may be placed on",
    hint: "uncordon or repair a node, correct spec.highAvailability.nodeSelector, or add a toleration to spec.highAvailability.tolerations",
    platforms: &[(
        Kind,
        "with a control plane only, add a worker to the kind configuration, or remove the taint: kubectl taint nodes --all node-role.kubernetes.io/control-plane-",
    )],
    judge: nodes::placement,
};

pub(super) const VIRT_HANDLER: Rule = Rule {
    id: "virt-handler",
    condition: EnvironmentReady,
    reason: Reason::VirtHandlerNotReady,
    severity: Severity::Fail,
    after: &["kubevirt-available", "placement"],
    of_manifest: false,
    holds: "virt-handler runs on nodes that VMs may be placed on",
    hint: "check the log of virt-handler: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous; do not set the label kubevirt.io/schedulable by hand: virt-handler sets it when it runs",
    platforms: &[
        (
            DockerDesktop,
            "give Docker Desktop's virtual machine more memory, and check the log of virt-handler: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous; without nested virtualization, also set useEmulation in the KubeVirt resource",
        ),
        (
            Kind,
            "raise fs.inotify.max_user_watches (524288) and fs.inotify.max_user_instances (512) on the host, and check the log of virt-handler: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous",
        ),
    ],
    judge: nodes::virt_handler,
};

pub(super) const KVM_DEVICE: Rule = Rule {
    id: "kvm-device",
    condition: EnvironmentReady,
    reason: Reason::NoVirtualizationDevices,
    severity: Severity::Fail,
    after: &["virt-handler"],
    of_manifest: false,
    holds: "There is hardware virtualization",
    hint: concat!(
        "enable virtualization in the firmware of the nodes, or nested virtualization in their hypervisor; or let KubeVirt emulate, which is slow: ",
        emulate!()
    ),
    platforms: &[
        (
            DockerDesktop,
            concat!(
                "Docker Desktop usually has no nested virtualization (on Windows: nestedVirtualization=true in .wslconfig): let KubeVirt emulate: ",
                emulate!()
            ),
        ),
        (
            Kind,
            concat!(
                "the nodes share the host's kernel: load kvm_intel or kvm_amd on the host, so that /dev/kvm exists, and restart virt-handler; or let KubeVirt emulate: ",
                emulate!()
            ),
        ),
        (
            K3s,
            "enable VT-x or AMD-V in the firmware, or nested virtualization in the hypervisor below, and load kvm_intel or kvm_amd (egrep -c 'vmx|svm' /proc/cpuinfo must print more than 0)",
        ),
        (
            Minikube,
            "enable nested virtualization on the host (modprobe kvm_intel nested=1, or kvm_amd), and create the cluster again with minikube start --driver=kvm2",
        ),
        (
            Gke,
            "create a node pool with --enable-nested-virtualization and a machine type that supports it, such as n2-standard-8, and place the VM there",
        ),
        (
            Eks,
            "create a node group of bare-metal instances, such as c5.metal, or of C8i, M8i or R8i with nested virtualization enabled in the launch template; other instances cannot run VMs with KVM",
        ),
        (
            Aks,
            "create a node pool of a VM size with nested virtualization, such as Standard_D8s_v5",
        ),
        (
            OpenShift,
            "use bare-metal workers, or enable nested virtualization in the hypervisor below the workers",
        ),
        (
            BareMetal,
            concat!(
                "enable VT-x or AMD-V in the firmware and load kvm_intel or kvm_amd; nodes that are virtual machines need nested virtualization of their hypervisor; or let KubeVirt emulate: ",
                emulate!()
            ),
        ),
    ],
    judge: nodes::kvm,
};

pub(super) const TUN_DEVICE: Rule = Rule {
    id: "tun-device",
    condition: EnvironmentReady,
    reason: Reason::NoVirtualizationDevices,
    severity: Severity::Fail,
    after: &["kvm-device"],
    of_manifest: false,
    holds: "There is a tun device for NICs",
    hint: "on the nodes, run modprobe tun; to load it at each boot, write tun into a file in /etc/modules-load.d",
    platforms: &[
        (
            DockerDesktop,
            "restart Docker Desktop; its kernel has tun: if the device is still missing, update Docker Desktop",
        ),
        (Kind, "on the host of the kind nodes: modprobe tun"),
        (
            Minikube,
            "minikube ssh -- sudo modprobe tun; if the module does not exist, create the cluster again with another driver, such as kvm2",
        ),
        (
            Gke,
            "use a node pool with the image type UBUNTU_CONTAINERD, and load tun with a privileged DaemonSet",
        ),
        (
            Eks,
            "load tun in the user data of the node group: modprobe tun",
        ),
        (Aks, "load tun with a privileged DaemonSet: modprobe tun"),
        (
            OpenShift,
            "load tun with a MachineConfig that writes /etc/modules-load.d/tun.conf",
        ),
    ],
    judge: nodes::tun,
};

pub(super) const VHOST_NET_DEVICE: Rule = Rule {
    id: "vhost-net-device",
    condition: EnvironmentReady,
    reason: Reason::NoVirtualizationDevices,
    severity: Severity::Fail,
    after: &["tun-device"],
    of_manifest: false,
    holds: "There is a vhost-net device for NICs",
    hint: "on the nodes, run modprobe vhost_net; to load it at each boot, write vhost_net into a file in /etc/modules-load.d",
    platforms: &[
        (Kind, "on the host of the kind nodes: modprobe vhost_net"),
        (Minikube, "minikube ssh -- sudo modprobe vhost_net"),
        (
            Gke,
            "use a node pool with the image type UBUNTU_CONTAINERD, and load vhost_net with a privileged DaemonSet",
        ),
        (
            Eks,
            "load vhost_net in the user data of the node group: modprobe vhost_net",
        ),
        (
            Aks,
            "load vhost_net with a privileged DaemonSet: modprobe vhost_net",
        ),
        (
            OpenShift,
            "load vhost_net with a MachineConfig that writes /etc/modules-load.d/vhost_net.conf",
        ),
    ],
    judge: nodes::vhost_net,
};

pub(super) const DEVICE_PLUGIN: Rule = Rule {
    id: "device-plugin",
    condition: EnvironmentReady,
    reason: Reason::DevicePluginUnhealthy,
    severity: Severity::Fail,
    after: &["vhost-net-device"],
    of_manifest: false,
    holds: "The devices are allocatable",
    hint: "check the files on the nodes: ls -l /dev/kvm /dev/net/tun /dev/vhost-net; load missing modules (modprobe kvm_intel or kvm_amd, tun, vhost_net) or set useEmulation in the KubeVirt resource; if the files exist, restart virt-handler there, so that it registers the devices again: kubectl delete pod -n {namespace} -l kubevirt.io=virt-handler --field-selector spec.nodeName=NODE",
    platforms: &[],
    judge: nodes::device_plugin,
};

pub(super) const MACHINE_TYPE: Rule = Rule {
    id: "machine-type",
    condition: EnvironmentReady,
    reason: Reason::VirtHandlerNotReady,
    severity: Severity::Fail,
    after: &["device-plugin"],
    of_manifest: false,
    holds: "The nodes have the machine type",
    hint: "restart virt-handler on these nodes: its node labeller sets the labels of the machine types; if the label is still missing, correct machineType in spec.configuration.architectureConfiguration: kubectl edit kubevirt {kubevirt}",
    platforms: &[],
    judge: nodes::machine_type,
};

pub(super) const CPU_MODEL: Rule = Rule {
    id: "cpu-model",
    condition: EnvironmentReady,
    reason: Reason::PlacementTooNarrow,
    severity: Severity::Fail,
    after: &["machine-type"],
    of_manifest: false,
    holds: "The nodes offer the CPU model",
    hint: "choose a CPU model that the nodes offer: spec.cpuModel of the Wukong, or spec.configuration.cpuModel of the KubeVirt resource: kubectl edit kubevirt {kubevirt}",
    platforms: &[],
    judge: nodes::cpu_model,
};

pub(super) const NODE_MEMORY: Rule = Rule {
    id: "node-memory",
    condition: Scheduled,
    reason: Reason::InsufficientMemory,
    severity: Severity::Fail,
    after: &["cpu-model"],
    of_manifest: false,
    holds: "A node is big enough",
    hint: "lower spec.memory, or add a bigger node",
    platforms: &[
        (
            Minikube,
            "lower spec.memory, or create the cluster again with more: minikube start --memory=16g",
        ),
        (
            DockerDesktop,
            "lower spec.memory, or give Docker Desktop more memory in its settings",
        ),
    ],
    judge: nodes::memory,
};

pub(super) const NODE_CPU: Rule = Rule {
    id: "node-cpu",
    condition: Scheduled,
    reason: Reason::InsufficientCPU,
    severity: Severity::Fail,
    after: &["node-memory"],
    of_manifest: false,
    holds: "A node has CPUs enough",
    hint: "lower spec.cpu, or add a bigger node",
    platforms: &[],
    judge: nodes::cpu,
};

pub(super) const NIC_RESOURCE: Rule = Rule {
    id: "nic-resource",
    condition: Scheduled,
    reason: Reason::InsufficientDevices,
    severity: Severity::Fail,
    after: &["placement"],
    of_manifest: false,
    holds: "The nodes offer the devices that NICs name",
    hint: "install the device plugin (for SR-IOV also network-resources-injector), or correct resourceName",
    platforms: &[],
    judge: nodes::nic_resource,
};

pub(super) const SECOND_NODE: Rule = Rule {
    id: "second-node",
    condition: LiveMigratable,
    reason: Reason::SingleNode,
    severity: Severity::Warn,
    after: &["cpu-model"],
    of_manifest: false,
    holds: "There is another node to move to",
    hint: "add a node that can run VMs, or use evictionStrategy: None",
    platforms: &[],
    judge: nodes::single_node,
};
