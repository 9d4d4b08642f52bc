//! Reasons for missing objects, ends, and states that wait for another program.

use wukong_api::ConditionType::{
    ConfigurationApplied, Created, Deleting, LiveMigratable, Running, VolumesBound,
};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Waiting, Warning};

pub(super) const NODE_LOST: ReasonDoc = ReasonDoc {
    reason: Reason::NodeLost,
    severity: Error,
    conditions: &[Running],
    meaning: "The node of the VM does not answer, is not ready, or was deleted. Kubernetes marks a node after 40 seconds without a sign of its kubelet. KubeVirt keeps the phase `Running` meanwhile, because the guest may still run there.",
    fix: "Repair the node or its kubelet. If the node is off for good, say so, and the VM starts on another node: `kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`. Do not force-delete the pod: two guests on one disk destroy it.",
    platforms: &[],
};

pub(super) const POD_TERMINATING: ReasonDoc = ReasonDoc {
    reason: Reason::PodTerminating,
    severity: Waiting,
    conditions: &[Running],
    meaning: "The virt-launcher pod of the VM is being deleted, by an eviction, by a person or with its node, and the guest ends with it.",
    fix: "KubeVirt starts the VM again by itself when its run strategy is `Always`. If the pod stays in Terminating, check the node that it runs on.",
    platforms: &[],
};

pub(super) const NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::NotReady,
    severity: Waiting,
    conditions: &[Running],
    meaning: "KubeVirt calls the instance running, and its pod is not ready: the guest is starting, its readiness probe fails, or virt-handler cannot reach it.",
    fix: "Wait a moment. If it stays so, read the conditions and events of the instance: `kubectl describe vmi NAME`.",
    platforms: &[],
};

pub(super) const DISK_NOT_ATTACHED: ReasonDoc = ReasonDoc {
    reason: Reason::DiskNotAttached,
    severity: Error,
    conditions: &[VolumesBound],
    meaning: "The VM runs, and a disk that was added to it is not attached. KubeVirt attaches a disk to a running VM through a pod of its own (`hp-volume-…`) on the same node.",
    fix: "Read why that pod does not start: `kubectl describe pod -l kubevirt.io=hotplug-disk`. A restart of the VM attaches the disk without that pod.",
    platforms: &[],
};

pub(super) const MIGRATION_FAILED: ReasonDoc = ReasonDoc {
    reason: Reason::MigrationFailed,
    severity: Warning,
    conditions: &[LiveMigratable],
    meaning: "The last live migration failed. The VM goes on running on its node.",
    fix: "Correct the cause that the message names, then migrate again: `virtctl migrate NAME`.",
    platforms: &[],
};

pub(super) const NAMESPACE_TERMINATING: ReasonDoc = ReasonDoc {
    reason: Reason::NamespaceTerminating,
    severity: Error,
    conditions: &[VolumesBound, Created, Running],
    meaning: "The namespace is being deleted. The API server creates nothing in it.",
    fix: "Create the Wukong in another namespace. If the deletion hangs, `kubectl get namespace NAME -o yaml` names what it waits for.",
    platforms: &[],
};

pub(super) const OPERATOR_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::OperatorNotReady,
    severity: Error,
    conditions: &[Created],
    meaning: "The operator has not processed the Wukong, or its latest change, for more than a minute. Only `kubectl wukong doctor` can tell, because the operator writes no status then.",
    fix: "Check the operator: `kubectl get pods -A -l app.kubernetes.io/name=wukong-operator`, and the log of its pods.",
    platforms: &[],
};

pub(super) const AWAITING_FINALIZER: ReasonDoc = ReasonDoc {
    reason: Reason::AwaitingFinalizer,
    severity: Waiting,
    conditions: &[Deleting],
    meaning: "An object of the Wukong is being deleted, and a finalizer of another program holds it. That program removes its finalizer when it has cleaned up.",
    fix: "Check that the program which owns the finalizer runs. Remove a finalizer by hand only if that program is gone for good.",
    platforms: &[],
};

pub(super) const OPERATION_IN_PROGRESS: ReasonDoc = ReasonDoc {
    reason: Reason::OperationInProgress,
    severity: Warning,
    conditions: &[ConfigurationApplied, Created],
    meaning: "A snapshot or restore of the VM is in progress. KubeVirt rejects changes of power and disks meanwhile, and the operator holds its writes.",
    fix: "No action needed. The operator goes on when the snapshot or restore has ended.",
    platforms: &[],
};
