//! Reasons for problems of the running VM and its guest.

use wukong_api::ConditionType::{
    ConfigurationApplied, GuestReady, LiveMigratable, ProvisioningReady, Ready, Running, Scheduled,
};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};
use crate::environment::Platform::{Aks, BareMetal, Eks, Gke, K3s, OpenShift};

pub(super) const INVALID_USER_DATA: ReasonDoc = ReasonDoc {
    reason: Reason::InvalidUserData,
    severity: Error,
    conditions: &[ProvisioningReady],
    meaning: "The Secret of `userDataSecret` has neither the key `userdata` nor the key `networkdata`, so KubeVirt cannot create the cloud-init disk. The operator has no permission to read Secrets; it reports KubeVirt's error. KubeVirt does not report two cases. If `ipConfig` is set, the operator provides the network data, and a guest with a Secret that lacks `userdata` boots without user data. And only cloud-init, inside the guest, checks the content of the user data. KubeVirt's limit of 2048 bytes does not apply: it is for user data inside the VM object. The limit of a Secret is 1 MiB.",
    fix: "Store the user data under the key `userdata`: `kubectl create secret generic NAME --from-file=userdata=FILE`. The VM starts within two minutes, when the node has received the new content. To check cloud-init, run `cloud-init status --long` in the guest.",
    platforms: &[],
};

pub(super) const PLAIN_TEXT_PASSWORD: ReasonDoc = ReasonDoc {
    reason: Reason::PlainTextPassword,
    severity: Warning,
    conditions: &[ProvisioningReady],
    meaning: "The manifest has the password of the login user in plain text.",
    fix: "Use `passwordHash` with the output of `mkpasswd --method=sha-512`, or SSH keys in `sshKeySecret`.",
    platforms: &[],
};

pub(super) const SCHEDULED: ReasonDoc = ReasonDoc {
    reason: Reason::Scheduled,
    severity: Ok,
    conditions: &[Scheduled],
    meaning: "The VM has a node.",
    fix: "",
    platforms: &[],
};

pub(super) const SCHEDULING: ReasonDoc = ReasonDoc {
    reason: Reason::Scheduling,
    severity: Waiting,
    conditions: &[Scheduled],
    meaning: "The VM waits for the scheduler to assign a node.",
    fix: "Wait.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientDevices,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "No node has a free device that the VM requests: a KubeVirt device (kvm, tun, vhost-net), or the device of a NIC.",
    fix: "Check that the nodes offer the device and that other VMs do not use all of them.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_MEMORY: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientMemory,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "No node has enough free memory for the guest and KubeVirt's overhead.",
    fix: "Decrease `spec.memory`, stop other VMs, or add a node.",
    platforms: &[],
};

pub(super) const INSUFFICIENT_CPU: ReasonDoc = ReasonDoc {
    reason: Reason::InsufficientCPU,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "No node has enough free CPU. One vCPU requests 0.1 CPU unless the KubeVirt resource sets another `cpuAllocationRatio`.",
    fix: "Decrease `spec.cpu`, stop other VMs, or add a node.",
    platforms: &[],
};

pub(super) const NODE_SELECTOR_MISMATCH: ReasonDoc = ReasonDoc {
    reason: Reason::NodeSelectorMismatch,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "No node matches the VM's node selector, the anti-affinity or spread of its group, or the node labels that KubeVirt's virt-handler sets.",
    fix: "Correct `spec.highAvailability`, or add a node. If both are right, see `VirtHandlerNotReady`.",
    platforms: &[],
};

pub(super) const UNTOLERATED_TAINT: ReasonDoc = ReasonDoc {
    reason: Reason::UntoleratedTaint,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "The nodes have taints that the VM does not tolerate.",
    fix: "Add a toleration to `spec.highAvailability.tolerations`, or remove the taint.",
    platforms: &[],
};

pub(super) const VOLUME_NODE_AFFINITY: ReasonDoc = ReasonDoc {
    reason: Reason::VolumeNodeAffinity,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "The volume of a disk is on a node or in a zone where the VM cannot be placed.",
    fix: "Free resources on that node or in that zone, or move the disk. StorageClasses with `volumeBindingMode: WaitForFirstConsumer` avoid this.",
    platforms: &[],
};

pub(super) const UNSCHEDULABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Unschedulable,
    severity: Error,
    conditions: &[Scheduled],
    meaning: "The scheduler finds no node, for a cause that no other reason covers.",
    fix: "Fix the cause that the scheduler gives in the message.",
    platforms: &[],
};

pub(super) const POD_NOT_STARTED: ReasonDoc = ReasonDoc {
    reason: Reason::PodNotStarted,
    severity: Error,
    conditions: &[Scheduled, Running],
    meaning: "The VM has a node, but its pod cannot be created or started: a volume cannot be attached or mounted, or the network of the pod cannot be set up.",
    fix: "Fix the error in the message. Kubernetes detaches a volume from a lost node after six minutes, or at once if you add the taint `node.kubernetes.io/out-of-service` to the node.",
    platforms: &[],
};

pub(super) const RUNNING: ReasonDoc = ReasonDoc {
    reason: Reason::Running,
    severity: Ok,
    conditions: &[Running],
    meaning: "The guest runs.",
    fix: "",
    platforms: &[],
};

pub(super) const STARTING: ReasonDoc = ReasonDoc {
    reason: Reason::Starting,
    severity: Waiting,
    conditions: &[Running],
    meaning: "The guest is starting.",
    fix: "Wait.",
    platforms: &[],
};

pub(super) const STOPPING: ReasonDoc = ReasonDoc {
    reason: Reason::Stopping,
    severity: Waiting,
    conditions: &[Running],
    meaning: "The guest is shutting down. `terminationGracePeriodSeconds` limits the time.",
    fix: "Wait.",
    platforms: &[],
};

pub(super) const MIGRATING: ReasonDoc = ReasonDoc {
    reason: Reason::Migrating,
    severity: Ok,
    conditions: &[Running],
    meaning: "The guest runs and is migrating to another node.",
    fix: "",
    platforms: &[],
};

pub(super) const CRASH_LOOP: ReasonDoc = ReasonDoc {
    reason: Reason::CrashLoop,
    severity: Error,
    conditions: &[Running],
    meaning: "The guest failed several times at start. KubeVirt retries with back-off.",
    fix: "Check the log of the virt-launcher pod: `kubectl logs -l vm.kubevirt.io/name=NAME -c compute`.",
    platforms: &[],
};

pub(super) const PAUSED: ReasonDoc = ReasonDoc {
    reason: Reason::Paused,
    severity: Error,
    conditions: &[Running],
    meaning: "The guest's CPUs are stopped. A user paused the VM, or KubeVirt paused it after an I/O error, for example because the storage is full.",
    fix: "If the storage is full, free space. Then run `kubectl wukong unpause NAME`.",
    platforms: &[],
};

pub(super) const HALTED: ReasonDoc = ReasonDoc {
    reason: Reason::Halted,
    severity: Ok,
    conditions: &[Running],
    meaning: "The VM is stopped, as the Wukong specifies.",
    fix: "",
    platforms: &[],
};

pub(super) const STOPPED_ELSEWHERE: ReasonDoc = ReasonDoc {
    reason: Reason::StoppedElsewhere,
    severity: Error,
    conditions: &[Running],
    meaning: "The VM was stopped with another tool, for example virtctl. The operator does not start it again.",
    fix: "Run `kubectl wukong start NAME`.",
    platforms: &[],
};

pub(super) const COMPLETED: ReasonDoc = ReasonDoc {
    reason: Reason::Completed,
    severity: Ok,
    conditions: &[Running],
    meaning: "The guest shut itself down, and its run strategy does not restart it.",
    fix: "",
    platforms: &[],
};

pub(super) const INTERNAL_ERROR: ReasonDoc = ReasonDoc {
    reason: Reason::InternalError,
    severity: Error,
    conditions: &[Running],
    meaning: "KubeVirt cannot start the VM, or the guest failed. The message quotes KubeVirt's error.",
    fix: "Fix the error in the message. If it does not name a cause, check the log of the virt-launcher pod: `kubectl logs -l vm.kubevirt.io/name=NAME -c compute`.",
    platforms: &[],
};

pub(super) const AGENT_CONNECTED: ReasonDoc = ReasonDoc {
    reason: Reason::AgentConnected,
    severity: Ok,
    conditions: &[GuestReady],
    meaning: "The guest agent responds.",
    fix: "",
    platforms: &[],
};

pub(super) const AGENT_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::AgentNotReady,
    severity: Waiting,
    conditions: &[GuestReady],
    meaning: "The guest agent does not respond. The VM is not affected, but the status cannot list the addresses of secondary NICs.",
    fix: "Install and start `qemu-guest-agent` in the guest.",
    platforms: &[],
};

pub(super) const AGENT_VERSION_NOT_SUPPORTED: ReasonDoc = ReasonDoc {
    reason: Reason::AgentVersionNotSupported,
    severity: Error,
    conditions: &[GuestReady],
    meaning: "KubeVirt does not support the version of the guest agent.",
    fix: "Update `qemu-guest-agent` in the guest.",
    platforms: &[],
};

pub(super) const ADDRESS_MISMATCH: ReasonDoc = ReasonDoc {
    reason: Reason::AddressMismatch,
    severity: Error,
    conditions: &[GuestReady],
    meaning: "A NIC of the guest has another address than the manifest. cloud-init configures addresses only at the first boot.",
    fix: "Change the address in the guest, or recreate the boot disk. Recreating the disk deletes its data.",
    platforms: &[],
};

pub(super) const APPLIED: ReasonDoc = ReasonDoc {
    reason: Reason::Applied,
    severity: Ok,
    conditions: &[ConfigurationApplied],
    meaning: "The running VM matches the manifest.",
    fix: "",
    platforms: &[],
};

pub(super) const RESTART_REQUIRED: ReasonDoc = ReasonDoc {
    reason: Reason::RestartRequired,
    severity: Error,
    conditions: &[ConfigurationApplied],
    meaning: "The VM runs with an earlier configuration: a change takes effect at the next restart.",
    fix: "Run `kubectl wukong restart NAME`, or set `restartApproval: Automatic`.",
    platforms: &[],
};

pub(super) const POWER_OFF_REQUIRED: ReasonDoc = ReasonDoc {
    reason: Reason::PowerOffRequired,
    severity: Error,
    conditions: &[ConfigurationApplied],
    meaning: "The manifest increases the size of a disk, and the storage driver expands a volume only while no node uses it. The VM keeps running with the old size.",
    fix: "Run `kubectl wukong stop NAME --wait`. When `status.volumes` shows the new capacity, run `kubectl wukong start NAME`. A restart is not sufficient.",
    platforms: &[],
};

pub(super) const MIGRATION_REQUIRED: ReasonDoc = ReasonDoc {
    reason: Reason::MigrationRequired,
    severity: Waiting,
    conditions: &[ConfigurationApplied],
    meaning: "The manifest adds CPUs, memory or a NIC, or attaches a NIC to another network. KubeVirt brings such a change to a running VM by a live migration. KubeVirt starts one by itself only if `spec.workloadUpdateStrategy.workloadUpdateMethods` of the KubeVirt resource includes `LiveMigrate`, which is not its default. `status.pendingChanges` lists the fields.",
    fix: "Run `virtctl migrate NAME`, or `kubectl wukong restart NAME`. To let KubeVirt migrate VMs by itself: `kubectl patch kubevirt kubevirt -n kubevirt --type merge -p '{\"spec\":{\"workloadUpdateStrategy\":{\"workloadUpdateMethods\":[\"LiveMigrate\"]}}}'`.",
    platforms: &[],
};

pub(super) const SHRINK_REFUSED: ReasonDoc = ReasonDoc {
    reason: Reason::ShrinkRefused,
    severity: Error,
    conditions: &[ConfigurationApplied],
    meaning: "The manifest decreases the size of a disk. A disk cannot shrink. Until the size is corrected, the operator applies no other change of the manifest.",
    fix: "Set the old size again. For a smaller disk, add one with another name and copy the data.",
    platforms: &[],
};

pub(super) const FIRST_BOOT_ONLY: ReasonDoc = ReasonDoc {
    reason: Reason::FirstBootOnly,
    severity: Warning,
    conditions: &[ConfigurationApplied],
    meaning: "The login user, the keys or the addresses in the manifest differ from those of the guest's first boot. cloud-init applies them only at the first boot; a restart does not apply them. `status.pendingChanges` lists the fields.",
    fix: "Make the same change in the guest, or recreate the boot disk, which deletes its data. An address leaves the list when the guest reports it.",
    platforms: &[],
};

pub(super) const MIGRATABLE: ReasonDoc = ReasonDoc {
    reason: Reason::Migratable,
    severity: Ok,
    conditions: &[LiveMigratable],
    meaning: "The VM can migrate to another node while it runs.",
    fix: "",
    platforms: &[],
};

pub(super) const DISKS_NOT_SHARED: ReasonDoc = ReasonDoc {
    reason: Reason::DisksNotShared,
    severity: Error,
    conditions: &[LiveMigratable],
    meaning: "Only one node at a time can use a disk of the VM, so the VM cannot live-migrate. A node drain stops the VM and starts it on another node. With `evictionStrategy: LiveMigrate`, the VM blocks the drain instead.",
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
    severity: Error,
    conditions: &[LiveMigratable],
    meaning: "A NIC uses the bridge binding on the pod network. Its address cannot move to another node.",
    fix: "Use the masquerade binding on the pod network, which Wukongs use.",
    platforms: &[],
};

pub(super) const HOST_DEVICES: ReasonDoc = ReasonDoc {
    reason: Reason::HostDevices,
    severity: Error,
    conditions: &[LiveMigratable],
    meaning: "The guest uses a passed-through device of its node.",
    fix: "Stop the VM before you drain its node.",
    platforms: &[],
};

pub(super) const SINGLE_NODE: ReasonDoc = ReasonDoc {
    reason: Reason::SingleNode,
    severity: Error,
    conditions: &[LiveMigratable],
    meaning: "Only one node can run the VM, so it cannot migrate.",
    fix: "Add a node that can run VMs, or set `evictionStrategy: None` so that the VM does not block node drains.",
    platforms: &[],
};

pub(super) const NOT_MIGRATABLE: ReasonDoc = ReasonDoc {
    reason: Reason::NotMigratable,
    severity: Error,
    conditions: &[LiveMigratable],
    meaning: "KubeVirt reports that the VM cannot migrate, for a cause that no other reason covers. The message quotes KubeVirt.",
    fix: "Fix the cause in the message, or stop the VM before you drain its node.",
    platforms: &[],
};

pub(super) const READY: ReasonDoc = ReasonDoc {
    reason: Reason::Ready,
    severity: Ok,
    conditions: &[Ready],
    meaning: "The VM matches the manifest and runs as specified.",
    fix: "",
    platforms: &[],
};
