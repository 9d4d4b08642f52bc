//! The VM as it runs.

use wukong_api::ConditionType::{
    ConfigurationApplied, GuestReady, LiveMigratable, ProvisioningReady, Ready, Running, Scheduled,
};
use wukong_api::Reason;

use super::ReasonDoc;
use super::Tone::{Fine, Waits, Worth, Wrong};
use crate::environment::Platform::{Aks, BareMetal, Eks, Gke, K3s, OpenShift};

pub(super) const INVALID_USER_DATA: ReasonDoc = ReasonDoc {
    reason: Reason::InvalidUserData,
    tone: Wrong,
    conditions: &[ProvisioningReady],
    meaning: "The Secret that `userDataSecret` names has neither the key `userdata` nor `networkdata`, so KubeVirt cannot make the disk that cloud-init reads. The operator may not read Secrets: it knows from what KubeVirt says about the VM. Two things KubeVirt does not say. With `ipConfig` the network data comes from the operator, and a guest whose Secret has no `userdata` boots without any. And what is in the user data only cloud-init looks at, inside of the guest. Its size is never a matter: KubeVirt's limit of 2048 bytes is for user data inside of the VM, and the API server takes no Secret of more than 1 MiB.",
    fix: "Put the user data under the key `userdata`: `kubectl create secret generic NAME --from-file=userdata=FILE`. The VM starts by itself within a minute or two, when the node has got the new content. What cloud-init made of it: `cloud-init status --long` in the guest.",
    platforms: &[],
};

pub(super) const PLAIN_TEXT_PASSWORD: ReasonDoc = ReasonDoc {
    reason: Reason::PlainTextPassword,
    tone: Worth,
    conditions: &[ProvisioningReady],
    meaning: "The password of the login user is in the manifest in plain text.",
    fix: "Use `passwordHash`, as `mkpasswd --method=sha-512` prints it, or keys in `sshKeySecret`.",
    platforms: &[],
};

pub(super) const SCHEDULED: ReasonDoc = ReasonDoc {
    reason: Reason::Scheduled,
    tone: Fine,
    conditions: &[Scheduled],
    meaning: "The VM has a node.",
    fix: "",
    platforms: &[],
};

pub(super) const SCHEDULING: ReasonDoc = ReasonDoc {
    reason: Reason::Scheduling,
    tone: Waits,
    conditions: &[Scheduled],
    meaning: "The VM waits for its node.",
    fix: "Nothing, unless it stays so.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientDevices,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "No node has a device left that the VM asks for: of KubeVirt (kvm, tun, vhost-net), or one that a NIC names.",
    fix: "See that the nodes offer the device and that other VMs do not hold all of them.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_MEMORY: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientMemory,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "No node has memory enough for the guest and KubeVirt's overhead.",
    fix: "Lower `spec.memory`, stop other VMs, or add a node.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_CPU: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientCPU,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "No node has CPU enough. A vCPU requests a tenth of a CPU unless the KubeVirt resource says otherwise (`cpuAllocationRatio`).",
    fix: "Lower `spec.cpu`, stop other VMs, or add a node.",
    platforms: &[],
};

pub(super) const NODE_SELECTOR_MISMATCH: ReasonDoc = ReasonDoc {
    reason: Reason::NodeSelectorMismatch,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "No node matches what is asked for: the VM's node selector, its group's anti-affinity or spread, or KubeVirt's own labels, which virt-handler sets.",
    fix: "Correct `spec.highAvailability`, or add a node. When the labels are right, see `VirtHandlerNotReady`.",
    platforms: &[],
};

pub(super) const UNTOLERATED_TAINT: ReasonDoc = ReasonDoc {
    reason: Reason::UntoleratedTaint,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "The nodes have taints that the VM does not tolerate.",
    fix: "Add a toleration to `spec.highAvailability.tolerations`, or remove the taint.",
    platforms: &[],
};

pub(super) const VOLUME_NODE_AFFINITY: ReasonDoc = ReasonDoc {
    reason: Reason::VolumeNodeAffinity,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "A disk lies on a node, or in a zone, that the VM cannot be placed on.",
    fix: "Make room there, or move the disk. Classes with `volumeBindingMode: WaitForFirstConsumer` avoid this.",
    platforms: &[],
};

pub(super) const UNSCHEDULABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Unschedulable,
    tone: Wrong,
    conditions: &[Scheduled],
    meaning: "The scheduler finds no node, for another reason than those above.",
    fix: "See the scheduler's words in the message.",
    platforms: &[],
};

pub(super) const POD_NOT_STARTED: ReasonDoc = ReasonDoc {
    reason: Reason::PodNotStarted,
    tone: Wrong,
    conditions: &[Scheduled, Running],
    meaning: "The VM has a node, but its pod cannot be made or started: a volume cannot be attached or mounted, or the pod's network cannot be set up.",
    fix: "See the message. A volume that is still attached to a lost node is given free after six minutes, or at once when the node is taken out of service.",
    platforms: &[],
};

pub(super) const RUNNING: ReasonDoc = ReasonDoc {
    reason: Reason::Running,
    tone: Fine,
    conditions: &[Running],
    meaning: "The guest runs.",
    fix: "",
    platforms: &[],
};

pub(super) const STARTING: ReasonDoc = ReasonDoc {
    reason: Reason::Starting,
    tone: Waits,
    conditions: &[Running],
    meaning: "The guest is about to start.",
    fix: "Nothing, unless it stays so.",
    platforms: &[],
};

pub(super) const STOPPING: ReasonDoc = ReasonDoc {
    reason: Reason::Stopping,
    tone: Waits,
    conditions: &[Running],
    meaning: "The guest is shutting down. It has `terminationGracePeriodSeconds` for that.",
    fix: "Nothing.",
    platforms: &[],
};

pub(super) const MIGRATING: ReasonDoc = ReasonDoc {
    reason: Reason::Migrating,
    tone: Fine,
    conditions: &[Running],
    meaning: "The guest runs, and moves to another node.",
    fix: "",
    platforms: &[],
};

pub(super) const CRASH_LOOP: ReasonDoc = ReasonDoc {
    reason: Reason::CrashLoop,
    tone: Wrong,
    conditions: &[Running],
    meaning: "The guest failed several times before it ran. KubeVirt waits longer each time.",
    fix: "See the log of the virt-launcher pod: `kubectl logs -l vm.kubevirt.io/name=NAME -c compute`.",
    platforms: &[],
};

pub(super) const PAUSED: ReasonDoc = ReasonDoc {
    reason: Reason::Paused,
    tone: Wrong,
    conditions: &[Running],
    meaning: "The guest's CPUs are stopped: by somebody, or by KubeVirt after an I/O error, such as a full disk on the storage.",
    fix: "`kubectl wukong unpause NAME`, after the storage has room again.",
    platforms: &[],
};

pub(super) const HALTED: ReasonDoc = ReasonDoc {
    reason: Reason::Halted,
    tone: Fine,
    conditions: &[Running],
    meaning: "The VM is stopped, as asked.",
    fix: "",
    platforms: &[],
};

pub(super) const STOPPED_ELSEWHERE: ReasonDoc = ReasonDoc {
    reason: Reason::StoppedElsewhere,
    tone: Wrong,
    conditions: &[Running],
    meaning: "Somebody stopped the VM, for instance with virtctl. The operator leaves it so.",
    fix: "`kubectl wukong start NAME`.",
    platforms: &[],
};

pub(super) const COMPLETED: ReasonDoc = ReasonDoc {
    reason: Reason::Completed,
    tone: Fine,
    conditions: &[Running],
    meaning: "The guest shut itself down, and its run strategy leaves it so.",
    fix: "",
    platforms: &[],
};

pub(super) const INTERNAL_ERROR: ReasonDoc = ReasonDoc {
    reason: Reason::InternalError,
    tone: Wrong,
    conditions: &[Running],
    meaning: "KubeVirt cannot start the VM, or the guest failed. The message has KubeVirt's words.",
    fix: "See what the message says.",
    platforms: &[],
};

pub(super) const AGENT_CONNECTED: ReasonDoc = ReasonDoc {
    reason: Reason::AgentConnected,
    tone: Fine,
    conditions: &[GuestReady],
    meaning: "The guest agent answers.",
    fix: "",
    platforms: &[],
};

pub(super) const AGENT_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::AgentNotReady,
    tone: Waits,
    conditions: &[GuestReady],
    meaning: "The guest agent does not answer. The VM runs all the same, but addresses of secondary NICs are unknown.",
    fix: "Install and start `qemu-guest-agent` in the guest.",
    platforms: &[],
};

pub(super) const AGENT_VERSION_NOT_SUPPORTED: ReasonDoc = ReasonDoc {
    reason: Reason::AgentVersionNotSupported,
    tone: Wrong,
    conditions: &[GuestReady],
    meaning: "The guest agent is too old for KubeVirt.",
    fix: "Update `qemu-guest-agent` in the guest.",
    platforms: &[],
};

pub(super) const ADDRESS_MISMATCH: ReasonDoc = ReasonDoc {
    reason: Reason::AddressMismatch,
    tone: Wrong,
    conditions: &[GuestReady],
    meaning: "A NIC of the guest has another address than the manifest says. cloud-init configures addresses on first boot only.",
    fix: "Change the address in the guest, or make the boot disk anew.",
    platforms: &[],
};

pub(super) const APPLIED: ReasonDoc = ReasonDoc {
    reason: Reason::Applied,
    tone: Fine,
    conditions: &[ConfigurationApplied],
    meaning: "The running VM is what the manifest says.",
    fix: "",
    platforms: &[],
};

pub(super) const RESTART_REQUIRED: ReasonDoc = ReasonDoc {
    reason: Reason::RestartRequired,
    tone: Wrong,
    conditions: &[ConfigurationApplied],
    meaning: "The VM runs with an earlier configuration: a change needs a restart.",
    fix: "`kubectl wukong restart NAME`, or `restartApproval: Automatic`.",
    platforms: &[],
};

pub(super) const POWER_OFF_REQUIRED: ReasonDoc = ReasonDoc {
    reason: Reason::PowerOffRequired,
    tone: Wrong,
    conditions: &[ConfigurationApplied],
    meaning: "A disk was asked to grow, and its storage driver grows a volume only while no node uses it. The VM runs on with the old size.",
    fix: "`kubectl wukong stop NAME --wait`; when `status.volumes` shows the new capacity, `kubectl wukong start NAME`. A restart is too short.",
    platforms: &[],
};

pub(super) const SHRINK_REFUSED: ReasonDoc = ReasonDoc {
    reason: Reason::ShrinkRefused,
    tone: Wrong,
    conditions: &[ConfigurationApplied],
    meaning: "A disk is asked to have less than it has. A disk cannot shrink, and nothing else of the manifest is carried out while it asks for that.",
    fix: "Write the old size again. For a smaller disk, add one under another name and copy the data.",
    platforms: &[],
};

pub(super) const FIRST_BOOT_ONLY: ReasonDoc = ReasonDoc {
    reason: Reason::FirstBootOnly,
    tone: Worth,
    conditions: &[ConfigurationApplied],
    meaning: "The login, the keys or the addresses in the manifest differ from those that the guest was told on its first boot. Cloud-init heeds them then, and never again: not after a restart either. `status.pendingChanges` lists the fields.",
    fix: "Change it in the guest, too; or make the boot disk anew, without its data. Addresses that the guest reports as asked for are no longer listed.",
    platforms: &[],
};

pub(super) const MIGRATABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Migratable,
    tone: Fine,
    conditions: &[LiveMigratable],
    meaning: "The VM can move to another node while it runs.",
    fix: "",
    platforms: &[],
};

pub(super) const DISKS_NOT_SHARED: ReasonDoc = ReasonDoc {
    reason: Reason::DisksNotShared,
    tone: Wrong,
    conditions: &[LiveMigratable],
    meaning: "A disk can be used by one node at a time, so the VM cannot move while it runs. When its node is drained it is stopped and started elsewhere, or, with `evictionStrategy: LiveMigrate`, holds the drain up.",
    fix: "Use a StorageClass with the access mode ReadWriteMany.",
    platforms: &[
        (
            K3s,
            "Longhorn offers ReadWriteMany in block mode with migratable: \"true\"",
        ),
        (Gke, "the Filestore CSI driver offers ReadWriteMany"),
        (Eks, "the EFS CSI driver offers ReadWriteMany"),
        (Aks, "the class azurefile-csi-premium offers ReadWriteMany"),
        (
            OpenShift,
            "the class ocs-storagecluster-ceph-rbd-virtualization of OpenShift Data Foundation offers ReadWriteMany in block mode",
        ),
        (BareMetal, "Rook Ceph offers ReadWriteMany in block mode"),
    ],
};

pub(super) const POD_NETWORK_BRIDGE: ReasonDoc = ReasonDoc {
    reason: Reason::PodNetworkBridge,
    tone: Wrong,
    conditions: &[LiveMigratable],
    meaning: "A NIC is on the pod network by a bridge: the address would have to move to another node.",
    fix: "Use masquerade on the pod network, as Wukongs do.",
    platforms: &[],
};

pub(super) const HOST_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::HostDevices,
    tone: Wrong,
    conditions: &[LiveMigratable],
    meaning: "A device of the host is passed through to the guest.",
    fix: "Stop the VM before its node is drained.",
    platforms: &[],
};

pub(super) const SINGLE_NODE: ReasonDoc = ReasonDoc {
    reason: Reason::SingleNode,
    tone: Wrong,
    conditions: &[LiveMigratable],
    meaning: "Only one node can run the VM, so there is none to move to.",
    fix: "Add a node that can run VMs; or use `evictionStrategy: None`, so that drains do not wait.",
    platforms: &[],
};

pub(super) const NOT_MIGRATABLE: ReasonDoc = ReasonDoc {
    reason: Reason::NotMigratable,
    tone: Wrong,
    conditions: &[LiveMigratable],
    meaning: "KubeVirt says that the VM cannot move, for another reason than those above. The message has its words.",
    fix: "See what the message says.",
    platforms: &[],
};

pub(super) const READY: ReasonDoc = ReasonDoc {
    reason: Reason::Ready,
    tone: Fine,
    conditions: &[Ready],
    meaning: "The VM runs as asked.",
    fix: "",
    platforms: &[],
};
