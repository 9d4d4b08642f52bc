//! The table of rules, in causal order: of two that do not hold, the first is the cause.

use wukong_api::ConditionType::{
    DependenciesResolved, EnvironmentReady, LiveMigratable, NodeNetworkReady, ProvisioningReady,
    Scheduled, VolumesBound,
};
use wukong_api::Reason;

use super::{Rule, Severity, kubevirt, limits, network, nodes, storage, wish};
use crate::environment::Platform::{
    Aks, BareMetal, DockerDesktop, Eks, Gke, K3s, Kind, Minikube, OpenShift,
};

/// What a Multus that does not work on k3s needs most often.
pub(in crate::environment) const MULTUS_ON_K3S: &str = "Multus needs the paths of k3s: /var/lib/rancher/k3s/agent/etc/cni/net.d for configuration and kubeconfig, /var/lib/rancher/k3s/data/cni for plugins; correct the hostPath volumes of its daemonset";

/// The command that switches software emulation on.
macro_rules! emulate {
    () => {
        "kubectl patch kubevirt {kubevirt} --type merge -p '{\"spec\":{\"configuration\":{\"developerConfiguration\":{\"useEmulation\":true}}}}'"
    };
}

/// Every rule.
pub static RULES: &[Rule] = &[
    Rule {
        id: "kubevirt-installed",
        condition: EnvironmentReady,
        reason: Reason::KubeVirtNotInstalled,
        severity: Severity::Fail,
        after: &[],
        holds: "KubeVirt is installed",
        hint: "install KubeVirt: apply kubevirt-operator.yaml and kubevirt-cr.yaml of a release (https://kubevirt.io/user-guide/cluster_admin/installation/)",
        platforms: &[
            (
                Minikube,
                "minikube addons enable kubevirt; or apply kubevirt-operator.yaml and kubevirt-cr.yaml of a KubeVirt release",
            ),
            (
                OpenShift,
                "install the operator OpenShift Virtualization from OperatorHub, and create its HyperConverged resource",
            ),
        ],
        judge: kubevirt::installed,
    },
    Rule {
        id: "kubevirt-available",
        condition: EnvironmentReady,
        reason: Reason::KubeVirtNotAvailable,
        severity: Severity::Fail,
        after: &["kubevirt-installed"],
        holds: "KubeVirt is available",
        hint: "while KubeVirt is being deployed, wait; otherwise see its pods and conditions: kubectl describe kubevirt {kubevirt}",
        platforms: &[],
        judge: kubevirt::available,
    },
    Rule {
        id: "placement",
        condition: EnvironmentReady,
        reason: Reason::PlacementTooNarrow,
        severity: Severity::Fail,
        after: &["kubevirt-installed"],
        holds: "There are nodes that VMs may be placed on",
        hint: "uncordon or repair a node, correct spec.highAvailability.nodeSelector, or add a toleration to spec.highAvailability.tolerations",
        platforms: &[(
            Kind,
            "with a control plane only, add a worker to the kind configuration, or remove the taint: kubectl taint nodes --all node-role.kubernetes.io/control-plane-",
        )],
        judge: nodes::placement,
    },
    Rule {
        id: "virt-handler",
        condition: EnvironmentReady,
        reason: Reason::VirtHandlerNotReady,
        severity: Severity::Fail,
        after: &["kubevirt-available", "placement"],
        holds: "virt-handler runs on nodes that VMs may be placed on",
        hint: "see what virt-handler says: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous; the label kubevirt.io/schedulable comes by itself once it runs, so do not set it by hand",
        platforms: &[
            (
                DockerDesktop,
                "give Docker Desktop's virtual machine more memory, and see what virt-handler says: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous; without nested virtualization also switch useEmulation on in the KubeVirt resource",
            ),
            (
                Kind,
                "raise fs.inotify.max_user_watches (524288) and fs.inotify.max_user_instances (512) on the host, and see what virt-handler says: kubectl logs -n {namespace} -l kubevirt.io=virt-handler --all-containers --previous",
            ),
        ],
        judge: nodes::virt_handler,
    },
    Rule {
        id: "kvm-device",
        condition: EnvironmentReady,
        reason: Reason::NoVirtualizationDevices,
        severity: Severity::Fail,
        after: &["virt-handler"],
        holds: "There is hardware virtualization",
        hint: concat!(
            "switch on virtualization in the firmware, or nested virtualization in the hypervisor, of the nodes; or let KubeVirt emulate, slowly: ",
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
                    "the nodes share the host's kernel: load kvm_intel or kvm_amd on the host, so that /dev/kvm is there, and restart virt-handler; or let KubeVirt emulate: ",
                    emulate!()
                ),
            ),
            (
                K3s,
                "switch on VT-x or AMD-V in the firmware, or nested virtualization in the hypervisor below, and load kvm_intel or kvm_amd (egrep -c 'vmx|svm' /proc/cpuinfo must not say 0)",
            ),
            (
                Minikube,
                "switch on nested virtualization on the host (modprobe kvm_intel nested=1, or kvm_amd), and make the cluster anew with minikube start --driver=kvm2",
            ),
            (
                Gke,
                "make a node pool with --enable-nested-virtualization and a machine type that supports it, such as n2-standard-8, and place the VM there",
            ),
            (
                Eks,
                "make a node group of bare-metal instances, such as c5.metal: most others have no nested virtualization",
            ),
            (
                Aks,
                "make a node pool of a VM size with nested virtualization, such as Standard_D8s_v5",
            ),
            (
                OpenShift,
                "use bare-metal workers, or switch on nested virtualization in the hypervisor below the workers",
            ),
            (
                BareMetal,
                concat!(
                    "switch on VT-x or AMD-V in the firmware and load kvm_intel or kvm_amd; nodes that are virtual machines need nested virtualization of their hypervisor; or let KubeVirt emulate: ",
                    emulate!()
                ),
            ),
        ],
        judge: nodes::kvm,
    },
    Rule {
        id: "tun-device",
        condition: EnvironmentReady,
        reason: Reason::NoVirtualizationDevices,
        severity: Severity::Fail,
        after: &["kvm-device"],
        holds: "There is a tun device for NICs",
        hint: "on the nodes: modprobe tun, and a file in /etc/modules-load.d that names tun to keep it so",
        platforms: &[
            (
                DockerDesktop,
                "restart Docker Desktop; its kernel has tun, so when the device stays away, update Docker Desktop",
            ),
            (Kind, "on the host of the kind nodes: modprobe tun"),
            (
                Minikube,
                "minikube ssh -- sudo modprobe tun; when the module is unknown, make the cluster anew with another driver, such as kvm2",
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
    },
    Rule {
        id: "vhost-net-device",
        condition: EnvironmentReady,
        reason: Reason::NoVirtualizationDevices,
        severity: Severity::Fail,
        after: &["tun-device"],
        holds: "There is a vhost-net device for NICs",
        hint: "on the nodes: modprobe vhost_net, and a file in /etc/modules-load.d that names vhost_net to keep it so",
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
    },
    Rule {
        id: "device-plugin",
        condition: EnvironmentReady,
        reason: Reason::DevicePluginUnhealthy,
        severity: Severity::Fail,
        after: &["vhost-net-device"],
        holds: "The devices are allocatable",
        hint: "restart virt-handler on these nodes: delete its pod in namespace {namespace}, and it registers the devices with the kubelet anew; when they stay away, see that the files are on the node: ls -l /dev/kvm /dev/net/tun /dev/vhost-net",
        platforms: &[],
        judge: nodes::device_plugin,
    },
    Rule {
        id: "machine-type",
        condition: EnvironmentReady,
        reason: Reason::VirtHandlerNotReady,
        severity: Severity::Fail,
        after: &["device-plugin"],
        holds: "The nodes have the machine type",
        hint: "restart virt-handler on these nodes: its node labeller tells the machine types; when the label stays away, correct machineType in spec.configuration.architectureConfiguration: kubectl edit kubevirt {kubevirt}",
        platforms: &[],
        judge: nodes::machine_type,
    },
    Rule {
        id: "feature-gate",
        condition: EnvironmentReady,
        reason: Reason::FeatureGateDisabled,
        severity: Severity::Fail,
        after: &["kubevirt-available"],
        holds: "The feature gates that the VM needs are on",
        hint: "add the gate to spec.configuration.developerConfiguration.featureGates: kubectl edit kubevirt {kubevirt}",
        platforms: &[],
        judge: kubevirt::feature_gate,
    },
    Rule {
        id: "network-binding",
        condition: EnvironmentReady,
        reason: Reason::BindingNotRegistered,
        severity: Severity::Fail,
        after: &["kubevirt-available"],
        holds: "The network bindings that the VM needs are registered",
        hint: "register it: kubectl patch kubevirt {kubevirt} --type merge -p '{\"spec\":{\"configuration\":{\"network\":{\"binding\":{\"macvtap\":{\"domainAttachmentType\":\"tap\"}}}}}}'; or use type: bridge",
        platforms: &[],
        judge: kubevirt::binding,
    },
    Rule {
        id: "cdi-installed",
        condition: EnvironmentReady,
        reason: Reason::CDINotInstalled,
        severity: Severity::Fail,
        after: &[],
        holds: "CDI is installed",
        hint: "install CDI (Containerized Data Importer): apply cdi-operator.yaml and cdi-cr.yaml of a release; the disks are then made by themselves",
        platforms: &[],
        judge: storage::cdi_installed,
    },
    Rule {
        id: "cdi-available",
        condition: EnvironmentReady,
        reason: Reason::CDINotAvailable,
        severity: Severity::Fail,
        after: &["cdi-installed"],
        holds: "CDI is available",
        hint: "while CDI is being deployed, wait; otherwise see its pods and conditions: kubectl describe cdi",
        platforms: &[],
        judge: storage::cdi_available,
    },
    Rule {
        id: "multus-installed",
        condition: EnvironmentReady,
        reason: Reason::MultusNotInstalled,
        severity: Severity::Fail,
        after: &[],
        holds: "Multus is installed",
        hint: "install Multus (the thick plugin of a release); NICs that were left out are planned when it is there",
        platforms: &[
            (
                K3s,
                "install Multus with the paths of k3s (chart rke2-multus with config.cni_conf: confDir /var/lib/rancher/k3s/agent/etc/cni/net.d, binDir /var/lib/rancher/k3s/data/cni, kubeconfig in confDir/multus.d): with the usual paths no pod starts any more",
            ),
            (
                OpenShift,
                "Multus is part of OpenShift: see kubectl get network.operator cluster",
            ),
        ],
        judge: network::multus_installed,
    },
    Rule {
        id: "multus-healthy",
        condition: EnvironmentReady,
        reason: Reason::MultusUnhealthy,
        severity: Severity::Fail,
        after: &["multus-installed"],
        holds: "Multus runs",
        hint: "see why its pods do not run: kubectl describe daemonset and kubectl logs of Multus; it often needs more memory than its manifest allows",
        platforms: &[(K3s, MULTUS_ON_K3S)],
        judge: network::multus_healthy,
    },
    Rule {
        id: "nmstate-installed",
        condition: EnvironmentReady,
        reason: Reason::NMStateNotInstalled,
        severity: Severity::Fail,
        after: &[],
        holds: "NMState is installed",
        hint: "install kubernetes-nmstate (operator and NMState resource); or make the bridge yourself and drop nodeNetwork",
        platforms: &[
            (
                OpenShift,
                "install the operator Kubernetes NMState from OperatorHub, and create its NMState resource",
            ),
            (
                DockerDesktop,
                "NMState needs NetworkManager on the nodes, which Docker Desktop has not: drop nodeNetwork",
            ),
            (
                Kind,
                "NMState needs NetworkManager on the nodes, which kind nodes have not: drop nodeNetwork",
            ),
            (
                Gke,
                "NMState needs NetworkManager on the nodes, which GKE's images have not: drop nodeNetwork",
            ),
        ],
        judge: network::nmstate_installed,
    },
    Rule {
        id: "emulation",
        condition: EnvironmentReady,
        reason: Reason::EmulationOnly,
        severity: Severity::Warn,
        after: &["kubevirt-installed"],
        holds: "Guests run on hardware virtualization",
        hint: "good for trying things out; for real work use nodes with hardware virtualization, and switch useEmulation off: kubectl edit kubevirt {kubevirt}",
        platforms: &[],
        judge: kubevirt::emulation,
    },
    Rule {
        id: "default-class",
        condition: DependenciesResolved,
        reason: Reason::NoDefaultStorageClass,
        severity: Severity::Fail,
        after: &[],
        holds: "There is a default StorageClass",
        hint: "mark a class as default (annotation storageclass.kubernetes.io/is-default-class: \"true\"), or give the disks a storageClassName",
        platforms: &[
            (
                Minikube,
                "minikube addons enable default-storageclass storage-provisioner",
            ),
            (
                Eks,
                "install the add-on aws-ebs-csi-driver, and mark a class as default (annotation storageclass.kubernetes.io/is-default-class: \"true\")",
            ),
        ],
        judge: storage::default_class,
    },
    Rule {
        id: "storage-class",
        condition: DependenciesResolved,
        reason: Reason::StorageClassNotFound,
        severity: Severity::Fail,
        after: &[],
        holds: "The StorageClasses exist",
        hint: "make the class, or name one that exists",
        platforms: &[],
        judge: storage::class_exists,
    },
    Rule {
        id: "bridges",
        condition: NodeNetworkReady,
        reason: Reason::BridgeMissingOnNodes,
        severity: Severity::Fail,
        after: &["placement"],
        holds: "The bridges are on the nodes",
        hint: "make the bridge on these nodes with the right uplink; or let NMState make it: nodeNetwork: {uplink: ...}; or keep the VM away from them with spec.highAvailability.nodeSelector",
        platforms: &[],
        judge: network::bridges,
    },
    Rule {
        id: "provisioner",
        condition: VolumesBound,
        reason: Reason::ProvisionerNotReady,
        severity: Severity::Fail,
        after: &["default-class", "storage-class"],
        holds: "The StorageClasses have working drivers",
        hint: "install or repair the driver; its pods usually run in kube-system or in a namespace of its own",
        platforms: &[
            (
                K3s,
                "see kubectl -n kube-system get pods -l app=local-path-provisioner; k3s installs it unless started with --disable=local-storage",
            ),
            (Kind, "see kubectl -n local-path-storage get pods"),
            (Minikube, "minikube addons enable storage-provisioner"),
            (
                DockerDesktop,
                "see kubectl -n kube-system get pod storage-provisioner; resetting the cluster in Docker Desktop's settings brings it back",
            ),
            (
                Gke,
                "enable the feature GcePersistentDiskCsiDriver of the cluster",
            ),
            (
                Eks,
                "install the add-on aws-ebs-csi-driver, with an IAM role that may make volumes",
            ),
            (
                Aks,
                "enable the disk driver: az aks update --enable-disk-driver",
            ),
        ],
        judge: storage::provisioner,
    },
    Rule {
        id: "storage-profile",
        condition: VolumesBound,
        reason: Reason::StorageProfileIncomplete,
        severity: Severity::Fail,
        after: &["cdi-installed", "default-class", "storage-class"],
        holds: "CDI knows the access modes of the StorageClasses",
        hint: "give the disks accessModes; or complete the profile: kubectl patch storageprofile NAME --type merge -p '{\"spec\":{\"claimPropertySets\":[{\"accessModes\":[\"ReadWriteOnce\"],\"volumeMode\":\"Filesystem\"}]}}'",
        platforms: &[],
        judge: storage::profile,
    },
    Rule {
        id: "storage-quota",
        condition: VolumesBound,
        reason: Reason::QuotaExceeded,
        severity: Severity::Fail,
        after: &[],
        holds: "The quota leaves room for the disks",
        hint: "raise the quota of the namespace, free some of it, or make the disks smaller",
        platforms: &[],
        judge: limits::storage_quota,
    },
    Rule {
        id: "password",
        condition: ProvisioningReady,
        reason: Reason::PlainTextPassword,
        severity: Severity::Warn,
        after: &[],
        holds: "The password is not in plain text",
        hint: "use passwordHash (mkpasswd --method=sha-512), or sshKeySecret without a password",
        platforms: &[],
        judge: wish::plain_text_password,
    },
    Rule {
        id: "pod-quota",
        condition: Scheduled,
        reason: Reason::QuotaExceeded,
        severity: Severity::Fail,
        after: &[],
        holds: "The quota leaves room for the VM",
        hint: "raise the quota of the namespace, free some of it, or lower spec.memory or spec.cpu",
        platforms: &[],
        judge: limits::pod_quota,
    },
    Rule {
        id: "pod-limit",
        condition: Scheduled,
        reason: Reason::QuotaExceeded,
        severity: Severity::Fail,
        after: &[],
        holds: "The LimitRange allows the VM",
        hint: "raise the maximum of the LimitRange, or lower spec.memory",
        platforms: &[],
        judge: limits::pod_limit,
    },
    Rule {
        id: "node-memory",
        condition: Scheduled,
        reason: Reason::InsufficientMemory,
        severity: Severity::Fail,
        after: &["machine-type"],
        holds: "A node is big enough",
        hint: "lower spec.memory, or add a bigger node",
        platforms: &[
            (
                Minikube,
                "lower spec.memory, or make the cluster anew with more: minikube start --memory=16g",
            ),
            (
                DockerDesktop,
                "lower spec.memory, or give Docker Desktop more memory in its settings",
            ),
        ],
        judge: nodes::memory,
    },
    Rule {
        id: "node-cpu",
        condition: Scheduled,
        reason: Reason::InsufficientCPU,
        severity: Severity::Fail,
        after: &["node-memory"],
        holds: "A node has CPUs enough",
        hint: "lower spec.cpu, or add a bigger node",
        platforms: &[],
        judge: nodes::cpu,
    },
    Rule {
        id: "nic-resource",
        condition: Scheduled,
        reason: Reason::InsufficientDevices,
        severity: Severity::Fail,
        after: &["placement"],
        holds: "The nodes offer the devices that NICs name",
        hint: "install the device plugin (for SR-IOV also network-resources-injector), or correct resourceName",
        platforms: &[],
        judge: nodes::nic_resource,
    },
    Rule {
        id: "shared-disks",
        condition: LiveMigratable,
        reason: Reason::DisksNotShared,
        severity: Severity::Warn,
        after: &["default-class", "storage-class"],
        holds: "The disks can be used by two nodes at once",
        hint: "use a StorageClass with ReadWriteMany, or evictionStrategy: None when a restart on a drained node is fine",
        platforms: &[],
        judge: storage::shared_disks,
    },
    Rule {
        id: "second-node",
        condition: LiveMigratable,
        reason: Reason::SingleNode,
        severity: Severity::Warn,
        after: &["machine-type"],
        holds: "There is another node to move to",
        hint: "add a node that can run VMs, or use evictionStrategy: None",
        platforms: &[],
        judge: nodes::single_node,
    },
];
