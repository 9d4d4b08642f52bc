//! Reasons for problems of the manifest, its references and its objects.

use wukong_api::ConditionType::{
    ConfigurationApplied, Created, DependenciesResolved, NetworksConfigured, NodeNetworkReady,
    Ready, SpecValid,
};
use wukong_api::{ConditionType, Reason};

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};

pub(super) const VALID: ReasonDoc = ReasonDoc {
    reason: Reason::Valid,
    severity: Ok,
    conditions: &[SpecValid],
    meaning: "The spec is valid.",
    fix: "",
    platforms: &[],
};

pub(super) const INVALID_SPEC: ReasonDoc = ReasonDoc {
    reason: Reason::InvalidSpec,
    severity: Error,
    conditions: &[SpecValid],
    meaning: "The spec is invalid. The message lists every problem with its field path. Until the spec is valid, the operator changes nothing of the VM.",
    fix: "Correct the fields that the message names and apply the manifest again. `kubectl wukong render -f FILE` runs the same validation without a cluster.",
    platforms: &[],
};

pub(super) const UNSUPPORTED_COMBINATION: ReasonDoc = ReasonDoc {
    reason: Reason::UnsupportedCombination,
    severity: Warning,
    conditions: &[SpecValid],
    meaning: "The spec is valid, but a field has no effect in combination with another: `vlanId`, `bridgeName`, `resourceName` or `mtu` with `nadName`; `bridgeName` of a NIC of type `sriov`; `autoStart: false` with a run strategy that starts the VM. The message names each field and the field that takes precedence.",
    fix: "Remove one of the two fields. `kubectl wukong plan -f FILE` shows the same before you apply.",
    platforms: &[],
};

pub(super) const POLICY_VIOLATION: ReasonDoc = ReasonDoc {
    reason: Reason::PolicyViolation,
    severity: Error,
    conditions: &[SpecValid],
    meaning: "The operator's settings deny the host of an image (`--denied-host`). By default they deny link-local addresses, where clouds serve their metadata, and names inside the cluster, such as names without a dot. The setting does not apply to existing disks. `kubectl wukong preflight` also reports this reason for a manifest that a WukongPolicy does not allow; the API server would reject that manifest.",
    fix: "Use an image from another host, or ask the administrator of the operator to allow this host. For a WukongPolicy: change the manifest to what the policy allows, or ask the cluster administrator to change the policy.",
    platforms: &[],
};

pub(super) const CRD_OUTDATED: ReasonDoc = ReasonDoc {
    reason: Reason::CRDOutdated,
    severity: Error,
    conditions: &[SpecValid],
    meaning: "The installed CustomResourceDefinition is from another release than the operator. Either the operator cannot read the stored Wukong: the message names the field, and the VM stays as it is. Or the API server drops fields of the spec and the status that its CRD does not define: the message lists these fields, and everything else works. Without permission to read the CRD, the operator lists only the dropped fields of the status.",
    fix: "Install the CRD of the operator's release (`kubectl apply --server-side -f deploy/crds/`) and apply the manifest again.",
    platforms: &[],
};

pub(super) const IMMUTABLE_FIELD_CHANGED: ReasonDoc = ReasonDoc {
    reason: Reason::ImmutableFieldChanged,
    severity: Error,
    conditions: &[SpecValid, ConfigurationApplied],
    meaning: "The manifest changes a field that cannot change after its object is created, such as the source of a disk. The objects stay as they are.",
    fix: "Restore the old value. To replace a disk, add one with another name and remove the old entry. The claim of the old disk is kept.",
    platforms: &[],
};

pub(super) const NAME_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::NameConflict,
    severity: Error,
    conditions: &[SpecValid, ConfigurationApplied],
    meaning: "An object that does not belong to this Wukong has a name that this Wukong needs. The operator never changes or adopts such an object.",
    fix: "Delete the object that the message names if it is not needed, or give the Wukong another name.",
    platforms: &[],
};

pub(super) const RESOLVED: ReasonDoc = ReasonDoc {
    reason: Reason::Resolved,
    severity: Ok,
    conditions: &[DependenciesResolved],
    meaning: "All referenced objects exist.",
    fix: "",
    platforms: &[],
};

pub(super) const SECRET_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::SecretNotFound,
    severity: Error,
    conditions: &[DependenciesResolved],
    meaning: "A Secret that the manifest references does not exist or lacks a key. The operator has no permission to read Secrets; it reports the events of the VM's pod.",
    fix: "Create the Secret in the namespace of the Wukong. `sshKeySecret` accepts any keys, with SSH public keys as values: `kubectl create secret generic NAME --from-file=key=$HOME/.ssh/id_ed25519.pub`. `userDataSecret` needs the key `userdata`: `kubectl create secret generic NAME --from-file=userdata=FILE`. The VM then starts without further action.",
    platforms: &[],
};

pub(super) const STORAGE_CLASS_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::StorageClassNotFound,
    severity: Error,
    conditions: &[DependenciesResolved],
    meaning: "A disk references a StorageClass that does not exist.",
    fix: "Create the class, or set an existing one: `kubectl get storageclass` lists them. An existing claim keeps its class: to change the class, give the disk another name.",
    platforms: &[],
};

pub(super) const NO_DEFAULT_STORAGE_CLASS: ReasonDoc = ReasonDoc {
    reason: Reason::NoDefaultStorageClass,
    severity: Error,
    conditions: &[DependenciesResolved],
    meaning: "A disk sets no StorageClass, and the cluster has no default class.",
    fix: "Mark a class as default, or set `storageClassName`.",
    platforms: &[],
};

pub(super) const NAD_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::NADNotFound,
    severity: Error,
    conditions: &[DependenciesResolved],
    meaning: "A NetworkAttachmentDefinition (NAD) that the manifest references does not exist in the namespace of the Wukong.",
    fix: "Create the NAD, or remove `nadName`; the operator then creates one.",
    platforms: &[],
};

pub(super) const SOURCE_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::SourceNotFound,
    severity: Error,
    conditions: &[DependenciesResolved],
    meaning: "The PersistentVolumeClaim, VolumeSnapshot or DataSource that a disk is copied from does not exist in the namespace of the Wukong.",
    fix: "Create it. The copy then starts without further action.",
    platforms: &[],
};

pub(super) const CREATED: ReasonDoc = ReasonDoc {
    reason: Reason::Created,
    severity: Ok,
    conditions: &[Created],
    meaning: "The VirtualMachine exists.",
    fix: "",
    platforms: &[],
};

pub(super) const CREATING: ReasonDoc = ReasonDoc {
    reason: Reason::Creating,
    severity: Waiting,
    conditions: &[Created, NetworksConfigured],
    meaning: "The operator is creating the objects of the VM. It creates the VirtualMachine when the claims of its disks exist.",
    fix: "Wait. If this stays, an earlier condition names the missing object.",
    platforms: &[],
};

pub(super) const APPLY_FAILED: ReasonDoc = ReasonDoc {
    reason: Reason::ApplyFailed,
    severity: Waiting,
    conditions: &[Created],
    meaning: "The API server did not accept an object: it was unreachable or overloaded, an admission webhook did not answer, or another client changed the object at the same time.",
    fix: "Wait: the operator retries with back-off. If this stays, check the API server and the webhooks of KubeVirt and CDI.",
    platforms: &[],
};

pub(super) const APPLY_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::ApplyConflict,
    severity: Error,
    conditions: &[NetworksConfigured, NodeNetworkReady],
    meaning: "The API server rejects the NetworkAttachmentDefinition of a NIC or the NodeNetworkConfigurationPolicy (NNCP) of a bridge; the message quotes its error. Or an existing NNCP configures the bridge on the same nodes differently, for example with another uplink; the operator does not change that NNCP.",
    fix: "Fix the error in the message; the operator retries. If two NNCPs conflict, delete one of them.",
    platforms: &[],
};

pub(super) const FIELD_MANAGER_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::FieldManagerConflict,
    severity: Error,
    conditions: &[Created],
    meaning: "Another client repeatedly changes fields that this Wukong manages. The operator restored them several times and now pauses.",
    fix: "Stop the field manager that the message names (another operator, GitOps, a script) from writing the object, or change the Wukong instead.",
    platforms: &[],
};

pub(super) const ADMISSION_DENIED: ReasonDoc = ReasonDoc {
    reason: Reason::AdmissionDenied,
    severity: Error,
    conditions: &[Created],
    meaning: "The API server or an admission webhook rejects an object. The cause can be KubeVirt, CDI, an admission policy or a missing permission of the operator. The message quotes the error.",
    fix: "Fix the error in the message. The operator retries with back-off, and at once when the Wukong changes.",
    platforms: &[],
};

pub(super) const DELETING: ReasonDoc = ReasonDoc {
    reason: Reason::Deleting,
    severity: Waiting,
    conditions: &[ConditionType::Deleting, Ready],
    meaning: "The Wukong is being deleted, with its objects. Retained disks stay.",
    fix: "Wait. If the deletion hangs, check the finalizers of the remaining objects: `kubectl get vm,dv,pvc -l vm.novasphere.dev/wukong=NAME`.",
    platforms: &[],
};

pub(super) const SNAPSHOT_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::SnapshotNotReady,
    severity: Waiting,
    conditions: &[DependenciesResolved],
    meaning: "A disk is restored from a VolumeSnapshot that is not ready to use yet.",
    fix: "Wait until the snapshot is ready. If this stays, run `kubectl describe volumesnapshot NAME`.",
    platforms: &[],
};

pub(super) const WAITING_FOR_VM: ReasonDoc = ReasonDoc {
    reason: Reason::WaitingForVM,
    severity: Waiting,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted, and its VM still exists because the guest is shutting down.",
    fix: "Wait. KubeVirt stops a guest that does not shut down within its grace period. `virtctl stop NAME --force --grace-period=0` stops it at once.",
    platforms: &[],
};

pub(super) const WAITING_FOR_DISK: ReasonDoc = ReasonDoc {
    reason: Reason::WaitingForDisk,
    severity: Waiting,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted, and a disk that is deleted with it still exists.",
    fix: "Wait. If the deletion hangs, check which pod uses the claim: `kubectl describe pvc CLAIM`.",
    platforms: &[],
};

pub(super) const DISKS_RETAINED: ReasonDoc = ReasonDoc {
    reason: Reason::DisksRetained,
    severity: Warning,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted. The disks with `reclaimPolicy: Retain` stay, and a new Wukong of the same name uses them again.",
    fix: "No action needed. To delete the data too, delete the claims that the message names.",
    platforms: &[],
};
