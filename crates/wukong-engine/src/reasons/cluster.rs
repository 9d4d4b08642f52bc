//! What the cluster has to bring along.

use wukong_api::ConditionType::{
    Created, DependenciesResolved, EnvironmentReady, LiveMigratable, NetworksConfigured,
    NodeNetworkReady, ProvisioningReady, Running, Scheduled, VolumesBound,
};
use wukong_api::Reason;

use super::ReasonDoc;
use super::Tone::{Fine, Waits, Worth, Wrong};

pub(super) const AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Available,
    tone: Fine,
    conditions: &[EnvironmentReady],
    meaning: "The cluster can run this VM.",
    fix: "",
    platforms: &[],
};

pub(super) const KUBEVIRT_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::KubeVirtNotInstalled,
    tone: Wrong,
    conditions: &[EnvironmentReady, Created],
    meaning: "The cluster has no kind VirtualMachine: KubeVirt, which runs the VMs, is not installed.",
    fix: "Install KubeVirt. VMs that wait for it are then made by themselves.",
    platforms: &[],
};

pub(super) const KUBEVIRT_NOT_AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::KubeVirtNotAvailable,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "KubeVirt is installed, but says that it is not available: it is being deployed or removed, or one of its components does not run.",
    fix: "Wait while it is being deployed. Otherwise look at the component that the message names, and at `kubectl describe kubevirt -A`.",
    platforms: &[],
};

pub(super) const PLACEMENT_TOO_NARROW: ReasonDoc = ReasonDoc {
    reason: Reason::PlacementTooNarrow,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "No node is left after readiness, cordons, taints, the VM's node selector and its architecture. The message tells for each node what leaves it out.",
    fix: "Repair or uncordon a node, correct the selector, or add a toleration.",
    platforms: &[],
};

pub(super) const VIRT_HANDLER_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::VirtHandlerNotReady,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "virt-handler, KubeVirt's agent on each node, does not run on any node that the VM may be placed on, or has not declared one fit. Without it no VM starts; the scheduler then only says that no node matches. The message has the state of its container and its last words.",
    fix: "Mend what virt-handler complains about. The label `kubevirt.io/schedulable` is its doing: setting it by hand places VMs on nodes that cannot run them.",
    platforms: &[],
};

pub(super) const NO_VIRTUALIZATION_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::NoVirtualizationDevices,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "No node that the VM may be placed on offers a device that VMs need: `/dev/kvm` for hardware virtualization, `/dev/net/tun` and `/dev/vhost-net` for NICs. With software emulation `/dev/kvm` and `/dev/vhost-net` are not needed, but `/dev/net/tun` is.",
    fix: "Give the nodes the device that the message names: virtualization in the firmware or nested virtualization in the hypervisor, or a kernel module. `kubectl get node NODE -o jsonpath='{.status.allocatable}'` shows what is there.",
    platforms: &[],
};

pub(super) const DEVICE_PLUGIN_UNHEALTHY: ReasonDoc = ReasonDoc {
    reason: Reason::DevicePluginUnhealthy,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "The nodes have the devices, but do not give them out: virt-handler's device plugin lost its connection to the kubelet, or the device could not be opened.",
    fix: "Restart virt-handler on the nodes that the message names.",
    platforms: &[],
};

pub(super) const FEATURE_GATE_DISABLED: ReasonDoc = ReasonDoc {
    reason: Reason::FeatureGateDisabled,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "The VM needs a feature of KubeVirt that is switched off in this version.",
    fix: "Switch the feature gate on that the message names, or upgrade KubeVirt.",
    platforms: &[],
};

pub(super) const BINDING_NOT_REGISTERED: ReasonDoc = ReasonDoc {
    reason: Reason::BindingNotRegistered,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "A NIC of type `macvlan` needs KubeVirt's network binding plugin `macvtap`, which the KubeVirt resource does not register. KubeVirt would accept the VM and then fail to make its pod.",
    fix: "Register the plugin, and install macvtap-cni on the nodes; or use `type: bridge`.",
    platforms: &[],
};

pub(super) const EMULATION_ONLY: ReasonDoc = ReasonDoc {
    reason: Reason::EmulationOnly,
    tone: Worth,
    conditions: &[EnvironmentReady],
    meaning: "KubeVirt is set to emulate processors in software. VMs run, many times slower than with hardware virtualization.",
    fix: "Fine for trying things out. For real work use nodes with hardware virtualization.",
    platforms: &[],
};

pub(super) const CDI_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::CDINotInstalled,
    tone: Wrong,
    conditions: &[EnvironmentReady, VolumesBound],
    meaning: "A disk is to be filled by CDI, the Containerized Data Importer, which is not installed.",
    fix: "Install CDI. The disks are then made by themselves. Empty disks do without it.",
    platforms: &[],
};

pub(super) const CDI_NOT_AVAILABLE: ReasonDoc = ReasonDoc {
    reason: Reason::CDINotAvailable,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "CDI is installed, but says that it is not available.",
    fix: "Wait while it is being deployed. Otherwise look at `kubectl describe cdi` and at the pods in its namespace.",
    platforms: &[],
};

pub(super) const MULTUS_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::MultusNotInstalled,
    tone: Wrong,
    conditions: &[EnvironmentReady, NetworksConfigured],
    meaning: "The VM has secondary networks, which Multus attaches, and Multus is not installed. Whether the VM waits is decided by `onMissingMultus`.",
    fix: "Install Multus; or set `onMissingMultus: PodNetwork` to start without these NICs.",
    platforms: &[],
};

pub(super) const MULTUS_UNHEALTHY: ReasonDoc = ReasonDoc {
    reason: Reason::MultusUnhealthy,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "Multus is installed, and does not work: its pods do not run, or it cannot set up the network of a pod.",
    fix: "See why its pods do not run, and that the CNI plugins that the networks name are on the nodes.",
    platforms: &[],
};

pub(super) const NMSTATE_NOT_INSTALLED: ReasonDoc = ReasonDoc {
    reason: Reason::NMStateNotInstalled,
    tone: Wrong,
    conditions: &[EnvironmentReady],
    meaning: "A network asks for its bridge to be made on the nodes (`nodeNetwork`), which NMState does, and NMState is not installed.",
    fix: "Install kubernetes-nmstate; or make the bridge yourself and drop `nodeNetwork`.",
    platforms: &[],
};

pub(super) const NOT_PERMITTED: ReasonDoc = ReasonDoc {
    reason: Reason::NotPermitted,
    tone: Waits,
    conditions: &[
        EnvironmentReady,
        DependenciesResolved,
        NodeNetworkReady,
        VolumesBound,
        ProvisioningReady,
        Scheduled,
        LiveMigratable,
    ],
    meaning: "The operator may not read what it would have to look at. It works all the same; only this diagnosis is missing.",
    fix: "Apply the read-only ClusterRole for diagnosis, or go on without.",
    platforms: &[],
};

pub(super) const NOT_OBSERVED: ReasonDoc = ReasonDoc {
    reason: Reason::NotObserved,
    tone: Waits,
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
    meaning: "Not judged: the operator has not heard of the objects yet, or something that comes first has to be mended.",
    fix: "Nothing, unless it stays so for minutes: then see the operator's log.",
    platforms: &[],
};
