//! Reasons for missing objects, ends, and states that wait for another program.

use wukong_api::ConditionType::{
    ConfigurationApplied, Created, Deleting, EnvironmentReady, LiveMigratable, Running,
    SnapshotTaken, SourceResolved, VolumesBound,
};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Waiting, Warning};

pub(super) const DOCS: &[ReasonDoc] = &[
    ReasonDoc {
        reason: Reason::NodeLost,
        severity: Error,
        conditions: &[Running],
        meaning: "The node of the VM does not answer, is not ready, or was deleted. Kubernetes marks a node as not ready after 40 seconds without a heartbeat of its kubelet. Until then, KubeVirt shows the phase `Running`, because the guest may still run there.",
        fix: "Repair the node or its kubelet. If the node is off for good, mark it, and the VM starts on another node: `kubectl taint node NODE node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`. Do not force-delete the pod: two guests on one disk destroy it.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::PodTerminating,
        severity: Waiting,
        conditions: &[Running],
        meaning: "The virt-launcher pod of the VM is being deleted, and the guest stops with it. Causes: an eviction, a user, or the deletion of its node.",
        fix: "If the run strategy is `Always`, KubeVirt starts the VM again. Otherwise, start it. If the pod stays in Terminating, check the node that it runs on.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::NotReady,
        severity: Waiting,
        conditions: &[Running],
        meaning: "KubeVirt reports that the instance runs, but its pod is not ready: the guest is starting, its readiness probe fails, or virt-handler cannot reach it.",
        fix: "Wait a moment. If this stays, read the conditions and events of the instance: `kubectl describe vmi NAME`.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::DiskNotAttached,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "The VM runs, but a disk that was added to it is not attached. KubeVirt attaches a disk to a running VM through a separate pod (`hp-volume-…`) on the same node.",
        fix: "Check why that pod does not start: `kubectl describe pod -l kubevirt.io=hotplug-disk`. A restart of the VM attaches the disk without that pod.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::MigrationFailed,
        severity: Warning,
        conditions: &[LiveMigratable],
        meaning: "The last live migration failed. The VM keeps running on its node.",
        fix: "Correct the cause that the message names, then migrate again: `kubectl wukong migrate NAME`.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::NamespaceTerminating,
        severity: Error,
        conditions: &[EnvironmentReady, VolumesBound, Created, Running],
        meaning: "The namespace is being deleted. The API server creates nothing in it. `kubectl wukong doctor` quotes what remains in the namespace.",
        fix: "Create the Wukong in another namespace. If the deletion hangs, `kubectl get namespace NAME -o yaml` names what it waits for.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::OperatorNotReady,
        severity: Error,
        conditions: &[Created],
        meaning: "The operator has not processed the Wukong, or its latest change, for more than a minute. Only `kubectl wukong doctor` reports this reason, because the operator does not write the status.",
        fix: "Check the operator: `kubectl get pods -A -l app.kubernetes.io/name=wukong-operator`, and the log of its pods.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::AwaitingFinalizer,
        severity: Waiting,
        conditions: &[Deleting],
        meaning: "An object of the Wukong is being deleted, but a finalizer of another program delays the deletion. That program removes its finalizer when it has cleaned up.",
        fix: "Check that the program which owns the finalizer runs. Remove a finalizer by hand only if that program is gone for good.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::OperationInProgress,
        severity: Warning,
        conditions: &[Running, ConfigurationApplied, Created, SourceResolved],
        meaning: "A snapshot or restore of the VM is in progress. Until it ends, KubeVirt rejects changes of power and disks, and the operator does not change the VM. As the reason of `Running`: a WukongRestore with `stop: true` keeps the VM off until its disks have changed.",
        fix: "No action needed. The operator continues when the snapshot or restore has ended.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::OperationFailed,
        severity: Warning,
        conditions: &[ConfigurationApplied, SnapshotTaken, SourceResolved],
        meaning: "The latest VirtualMachineSnapshot or VirtualMachineRestore of the VM failed or makes no progress. The message quotes KubeVirt. Of a Wukong, only `kubectl wukong doctor` reports it. A WukongSnapshot has this reason if KubeVirt gave up on it, and a WukongRestore if its snapshot failed.",
        fix: "Fix the error in the message. Delete the failed object, and create it again.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::MigrationPending,
        severity: Waiting,
        conditions: &[LiveMigratable],
        meaning: "A live migration of the VM cannot start, because no node can run its target pod or a quota does not allow it. The VM keeps running on its node. Only `kubectl wukong doctor` reports it, because the operator does not watch migrations.",
        fix: "Free resources on another node, or increase the quota. To cancel the migration, delete its VirtualMachineInstanceMigration.",
        platforms: &[],
    },
];
