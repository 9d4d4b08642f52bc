//! What the manifest says and names, and how it is written.

use wukong_api::ConditionType::{
    ConfigurationApplied, Created, DependenciesResolved, NetworksConfigured, NodeNetworkReady,
    Ready, SpecValid,
};
use wukong_api::{ConditionType, Reason};

use super::ReasonDoc;
use super::Tone::{Fine, Waits, Worth, Wrong};

pub(super) const VALID: ReasonDoc = ReasonDoc {
    reason: Reason::Valid,
    tone: Fine,
    conditions: &[SpecValid],
    meaning: "The manifest can be carried out.",
    fix: "",
    platforms: &[],
};

pub(super) const INVALID_SPEC: ReasonDoc = ReasonDoc {
    reason: Reason::InvalidSpec,
    tone: Wrong,
    conditions: &[SpecValid],
    meaning: "Something in the manifest cannot be carried out. The message lists every problem at once, each with the path of its field. Nothing of the VM is changed meanwhile.",
    fix: "Correct the fields that the message names and apply the manifest again. `kubectl wukong render -f FILE` tells the same without a cluster.",
    platforms: &[],
};

pub(super) const UNSUPPORTED_COMBINATION: ReasonDoc = ReasonDoc {
    reason: Reason::UnsupportedCombination,
    tone: Worth,
    conditions: &[SpecValid],
    meaning: "The manifest is carried out, but a field of it has no effect beside another: `vlanId`, `bridgeName`, `resourceName` or `mtu` beside `nadName`, `bridgeName` of a NIC of type `sriov`, `autoStart: false` beside a run strategy that starts the VM. The message names each field and what decides instead.",
    fix: "Take the field out; or take out what decides instead. `kubectl wukong plan -f FILE` says the same before.",
    platforms: &[],
};

pub(super) const POLICY_VIOLATION: ReasonDoc = ReasonDoc {
    reason: Reason::PolicyViolation,
    tone: Wrong,
    conditions: &[SpecValid],
    meaning: "The manifest would be valid, but the operator's settings deny the host of an image (`--denied-host`): by default link-local addresses, where clouds keep their metadata, and names inside the cluster, such as those without a dot. Disks that exist already are not held to it. `kubectl wukong preflight` also says so of a manifest that a WukongPolicy does not allow, which the API server would refuse.",
    fix: "Take the image from another host, or have whoever runs the operator allow this one. For a WukongPolicy: ask for what it allows, or have whoever administers the cluster change it.",
    platforms: &[],
};

pub(super) const CRD_OUTDATED: ReasonDoc = ReasonDoc {
    reason: Reason::CRDOutdated,
    tone: Wrong,
    conditions: &[SpecValid],
    meaning: "The installed CustomResourceDefinition is of another release than the operator. Either the stored Wukong cannot be read: the message names the field, and the VM is left as it is. Or the API server drops fields of manifests, before the operator sees them, and of the status: the message names those that the definition lacks, and everything else works. Where the operator cannot see the definition, only what was dropped of a status is named.",
    fix: "Install the CustomResourceDefinition of the operator's release (`kubectl apply --server-side -f deploy/crds/`), and apply the manifest again.",
    platforms: &[],
};

pub(super) const IMMUTABLE_FIELD_CHANGED: ReasonDoc = ReasonDoc {
    reason: Reason::ImmutableFieldChanged,
    tone: Wrong,
    conditions: &[SpecValid, ConfigurationApplied],
    meaning: "A field was changed that cannot change once its object exists, such as the source or the size of a disk downwards. The objects stay as they were.",
    fix: "Write the old value again. To replace a disk, add one under another name and remove the old entry: its claim is kept.",
    platforms: &[],
};

pub(super) const NAME_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::NameConflict,
    tone: Wrong,
    conditions: &[SpecValid, ConfigurationApplied],
    meaning: "An object of somebody else has a name that this Wukong needs. It is never changed or taken over.",
    fix: "Rename or delete the object that the message names, when it is not needed, or give the Wukong another name.",
    platforms: &[],
};

pub(super) const RESOLVED: ReasonDoc = ReasonDoc {
    reason: Reason::Resolved,
    tone: Fine,
    conditions: &[DependenciesResolved],
    meaning: "Everything that the manifest names exists.",
    fix: "",
    platforms: &[],
};

pub(super) const SECRET_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::SecretNotFound,
    tone: Wrong,
    conditions: &[DependenciesResolved],
    meaning: "A Secret that the manifest names does not exist, or lacks a key. The operator may not read Secrets: it knows from the events of the VM's pod.",
    fix: "Make the Secret in the namespace of the Wukong. `sshKeySecret` takes any keys with public keys as values: `kubectl create secret generic NAME --from-file=key=$HOME/.ssh/id_ed25519.pub`; `userDataSecret` needs the key `userdata`: `--from-file=userdata=FILE`. The VM then starts by itself.",
    platforms: &[],
};

pub(super) const STORAGE_CLASS_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::StorageClassNotFound,
    tone: Wrong,
    conditions: &[DependenciesResolved],
    meaning: "A disk names a StorageClass that does not exist.",
    fix: "Make the class, or name one that exists: `kubectl get storageclass`. A disk that has a claim already keeps its class, so give it another name to change that.",
    platforms: &[],
};

pub(super) const NO_DEFAULT_STORAGE_CLASS: ReasonDoc = ReasonDoc {
    reason: Reason::NoDefaultStorageClass,
    tone: Wrong,
    conditions: &[DependenciesResolved],
    meaning: "A disk names no StorageClass, and no class of the cluster is the default.",
    fix: "Mark a class as default, or write `storageClassName`.",
    platforms: &[],
};

pub(super) const NAD_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::NADNotFound,
    tone: Wrong,
    conditions: &[DependenciesResolved],
    meaning: "A NetworkAttachmentDefinition that the manifest names does not exist in the namespace of the Wukong.",
    fix: "Make it, or drop `nadName` to have one made.",
    platforms: &[],
};

pub(super) const SOURCE_NOT_FOUND: ReasonDoc = ReasonDoc {
    reason: Reason::SourceNotFound,
    tone: Wrong,
    conditions: &[DependenciesResolved],
    meaning: "The claim, VolumeSnapshot or DataSource that a disk is to be copied from does not exist in the namespace of the Wukong.",
    fix: "Make it. The copy starts by itself then.",
    platforms: &[],
};

pub(super) const CREATED: ReasonDoc = ReasonDoc {
    reason: Reason::Created,
    tone: Fine,
    conditions: &[Created],
    meaning: "The VirtualMachine exists.",
    fix: "",
    platforms: &[],
};

pub(super) const CREATING: ReasonDoc = ReasonDoc {
    reason: Reason::Creating,
    tone: Waits,
    conditions: &[Created, NetworksConfigured],
    meaning: "Objects of the VM are being written, or wait for others: the VirtualMachine is made when its claims exist.",
    fix: "Nothing, unless it stays so: then an earlier condition tells what is missing.",
    platforms: &[],
};

pub(super) const APPLY_FAILED: ReasonDoc = ReasonDoc {
    reason: Reason::ApplyFailed,
    tone: Waits,
    conditions: &[Created],
    meaning: "The API server did not take an object for the moment: it was unreachable, overloaded, or somebody changed the object at the same time.",
    fix: "Nothing: the operator tries again, less and less often. When it stays so, look at the API server and at the webhooks of KubeVirt and CDI.",
    platforms: &[],
};

pub(super) const APPLY_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::ApplyConflict,
    tone: Wrong,
    conditions: &[NetworksConfigured, NodeNetworkReady],
    meaning: "The NetworkAttachmentDefinition of a NIC, or the NodeNetworkConfigurationPolicy of a bridge, cannot be written: the message has the API server's words. Or a policy that was there first makes the bridge on the same nodes in another way, over another NIC for instance: it stays as it is.",
    fix: "See what the message says; the operator tries again. Of two policies, one has to go.",
    platforms: &[],
};

pub(super) const FIELD_MANAGER_CONFLICT: ReasonDoc = ReasonDoc {
    reason: Reason::FieldManagerConflict,
    tone: Wrong,
    conditions: &[Created],
    meaning: "Somebody keeps changing fields that this Wukong decides. The operator changed them back several times and now pauses.",
    fix: "Keep the manager that the message names (another operator, GitOps, a script) from writing the object, or change the Wukong instead.",
    platforms: &[],
};

pub(super) const ADMISSION_DENIED: ReasonDoc = ReasonDoc {
    reason: Reason::AdmissionDenied,
    tone: Wrong,
    conditions: &[Created],
    meaning: "The API server or a webhook refuses an object: KubeVirt, CDI, a policy, or missing rights of the operator. The message has its words.",
    fix: "Do what the message says. The operator tries again now and then, and at once when the Wukong changes.",
    platforms: &[],
};

pub(super) const DELETING: ReasonDoc = ReasonDoc {
    reason: Reason::Deleting,
    tone: Waits,
    conditions: &[ConditionType::Deleting, Ready],
    meaning: "The Wukong is being deleted. Its objects follow; retained disks stay.",
    fix: "Nothing. When it hangs, look for finalizers on the objects that are left: `kubectl get vm,dv,pvc -l vm.novasphere.dev/wukong=NAME`.",
    platforms: &[],
};

pub(super) const SNAPSHOT_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::SnapshotNotReady,
    tone: Waits,
    conditions: &[DependenciesResolved],
    meaning: "A disk is to be made from a VolumeSnapshot that is not ready to use yet.",
    fix: "Wait while the snapshot is being taken. When it stays so: `kubectl describe volumesnapshot NAME`.",
    platforms: &[],
};

pub(super) const WAITING_FOR_VM: ReasonDoc = ReasonDoc {
    reason: Reason::WaitingForVM,
    tone: Waits,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted, and its VM is still there: the guest shuts down first.",
    fix: "Nothing. A guest that does not shut down is ended after its grace period; `virtctl stop NAME --force --grace-period=0` does not wait.",
    platforms: &[],
};

pub(super) const WAITING_FOR_DISK: ReasonDoc = ReasonDoc {
    reason: Reason::WaitingForDisk,
    tone: Waits,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted, and a disk that goes with it is still there.",
    fix: "Nothing. When it hangs, see which pod still uses the claim: `kubectl describe pvc CLAIM`.",
    platforms: &[],
};

pub(super) const DISKS_RETAINED: ReasonDoc = ReasonDoc {
    reason: Reason::DisksRetained,
    tone: Worth,
    conditions: &[ConditionType::Deleting],
    meaning: "The Wukong is being deleted, and disks stay, as `reclaimPolicy: Retain` asks. A Wukong of the same name takes them up again.",
    fix: "Nothing; or delete the claims, and their data, that the message names.",
    platforms: &[],
};
