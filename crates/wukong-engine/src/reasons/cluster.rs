//! Reasons for problems of the cluster.

use wukong_api::ConditionType::{
    Created, DependenciesResolved, EnvironmentReady, LiveMigratable, NetworksConfigured,
    NodeNetworkReady, ProvisioningReady, Running, Scheduled, VolumesBound,
};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};

pub(super) const AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Available,
    severity: Ok,
    conditions: &[EnvironmentReady],
    meaning: "The cluster can run this VM.",
    fix: "",
    platforms: &[],
};

pub(super) const KUBEVIRT_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::KubeVirtNotInstalled,
    severity: Error,
    conditions: &[EnvironmentReady, Created],
    meaning: "The cluster has no VirtualMachine kind: KubeVirt, which runs the VMs, is not installed.",
    fix: "Install KubeVirt. The operator then creates the waiting VMs without further action.",
    platforms: &[],
};

pub(super) const KUBEVIRT_NOT_AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::KubeVirtNotAvailable,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "KubeVirt is installed but reports that it is not available. It is being deployed or removed, or one of its components does not run. `kubectl wukong doctor` also names a Deployment without an available pod.",
    fix: "Wait until the deployment of KubeVirt has finished. If it does not finish, check the component that the message names and run `kubectl describe kubevirt -A`.",
    platforms: &[],
};

pub(super) const PLACEMENT_TOO_NARROW: ReasonDoc = ReasonDoc {
    reason: Reason::PlacementTooNarrow,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "No node can take this VM. A node must be ready and not cordoned, the VM must tolerate its taints, and the VM's node selector and architecture must match it. The message lists for each node the condition that excludes it.",
    fix: "Repair or uncordon a node, correct the node selector, or add a toleration.",
    platforms: &[],
};

pub(super) const VIRT_HANDLER_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::VirtHandlerNotReady,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "virt-handler, KubeVirt's agent on each node, is not ready on any node that this VM can be placed on, or has not labelled any of them as schedulable. No VM starts on such a node, and the scheduler reports only that no node matches. The message has the state of the virt-handler container and its last error.",
    fix: "Fix the error that virt-handler reports. Do not set the label `kubevirt.io/schedulable` by hand: virt-handler manages it, and the label alone does not make a node able to run VMs.",
    platforms: &[],
};

pub(super) const NO_VIRTUALIZATION_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::NoVirtualizationDevices,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "No node that this VM can be placed on offers a device that VMs need: `/dev/kvm` for hardware virtualization, `/dev/net/tun` and `/dev/vhost-net` for NICs. With software emulation, VMs need only `/dev/net/tun`.",
    fix: "Make the device that the message names available on the nodes: enable virtualization in the firmware, enable nested virtualization in the hypervisor, or load the kernel module. `kubectl get node NODE -o jsonpath='{.status.allocatable}'` lists the devices that a node offers.",
    platforms: &[],
};

pub(super) const DEVICE_PLUGIN_UNHEALTHY: ReasonDoc = ReasonDoc {
    reason: Reason::DevicePluginUnhealthy,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "The nodes have the devices but do not offer them to pods: virt-handler's device plugin lost its connection to the kubelet, or could not open the device.",
    fix: "Restart virt-handler on the nodes that the message names.",
    platforms: &[],
};

pub(super) const FEATURE_GATE_DISABLED: ReasonDoc = ReasonDoc {
    reason: Reason::FeatureGateDisabled,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "This VM needs a KubeVirt feature that is disabled in the installed version.",
    fix: "Enable the feature gate that the message names, or upgrade KubeVirt.",
    platforms: &[],
};

pub(super) const BINDING_NOT_REGISTERED: ReasonDoc = ReasonDoc {
    reason: Reason::BindingNotRegistered,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "A NIC of type `macvlan` needs the KubeVirt network binding plugin `macvtap`, and the KubeVirt resource does not register it. KubeVirt would accept the VM and then fail to create its pod.",
    fix: "Register the plugin in the KubeVirt resource and install macvtap-cni on the nodes, or use `type: bridge`.",
    platforms: &[],
};

pub(super) const EMULATION_ONLY: ReasonDoc = ReasonDoc {
    reason: Reason::EmulationOnly,
    severity: Warning,
    conditions: &[EnvironmentReady],
    meaning: "KubeVirt is configured to emulate CPUs in software. VMs run, but many times slower than with hardware virtualization.",
    fix: "Use software emulation for trials only. For production, use nodes with hardware virtualization.",
    platforms: &[],
};

pub(super) const CDI_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::CDINotInstalled,
    severity: Error,
    conditions: &[EnvironmentReady, VolumesBound],
    meaning: "A disk needs CDI (the Containerized Data Importer) to fill it, and CDI is not installed.",
    fix: "Install CDI. The operator then creates the disks without further action. Empty disks do not need CDI.",
    platforms: &[],
};

pub(super) const CDI_NOT_AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::CDINotAvailable,
    severity: Error,
    conditions: &[EnvironmentReady, VolumesBound],
    meaning: "CDI is installed but reports that it is not available, or one of its Deployments has no available pod.",
    fix: "Wait until the deployment of CDI has finished. If it does not finish, run `kubectl describe cdi` and check the pods in CDI's namespace.",
    platforms: &[],
};

pub(super) const MULTUS_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::MultusNotInstalled,
    severity: Error,
    conditions: &[EnvironmentReady, NetworksConfigured],
    meaning: "The VM has secondary networks, which Multus attaches, and Multus is not installed. `onMissingMultus` decides whether the VM waits for Multus.",
    fix: "Install Multus, or set `onMissingMultus: PodNetwork` to start the VM without these NICs.",
    platforms: &[],
};

pub(super) const MULTUS_UNHEALTHY: ReasonDoc = ReasonDoc {
    reason: Reason::MultusUnhealthy,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "Multus is installed but does not work: its pods do not run, or it cannot set up the network of a pod.",
    fix: "Check why the Multus pods do not run, and check that the nodes have the CNI plugins that the networks use.",
    platforms: &[],
};

pub(super) const NMSTATE_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::NMStateNotInstalled,
    severity: Error,
    conditions: &[EnvironmentReady],
    meaning: "A network sets `nodeNetwork`, which makes NMState create the bridge on the nodes, and NMState is not installed.",
    fix: "Install kubernetes-nmstate, or create the bridge yourself and remove `nodeNetwork`.",
    platforms: &[],
};

pub(super) const NOT_PERMITTED: ReasonDoc = ReasonDoc {
    reason: Reason::NotPermitted,
    severity: Waiting,
    conditions: &[
        EnvironmentReady,
        DependenciesResolved,
        NodeNetworkReady,
        VolumesBound,
        ProvisioningReady,
        Scheduled,
        LiveMigratable,
    ],
    meaning: "The operator has no permission to read the objects that this check needs. The VM is not affected; only this check is missing.",
    fix: "Apply the read-only ClusterRole for diagnosis (`deploy/rbac/11-diagnosis-role.yaml`), or ignore this condition.",
    platforms: &[],
};

pub(super) const NOT_OBSERVED: ReasonDoc = ReasonDoc {
    reason: Reason::NotObserved,
    severity: Waiting,
    conditions: &[
        EnvironmentReady,
        DependenciesResolved,
        NodeNetworkReady,
        NetworksConfigured,
        VolumesBound,
        ProvisioningReady,
        Created,
        Scheduled,
        Running,
        LiveMigratable,
    ],
    meaning: "Not checked yet. The operator waits for the initial list of the objects, or an earlier condition is not met.",
    fix: "Wait. If this stays for minutes, check the operator's log.",
    platforms: &[],
};
