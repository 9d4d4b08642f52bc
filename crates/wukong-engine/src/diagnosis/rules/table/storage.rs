//! Rules about CDI, StorageClasses and the drivers behind them.

use wukong_api::ConditionType::{
    DependenciesResolved, EnvironmentReady, LiveMigratable, VolumesBound,
};
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, storage};
use crate::environment::Platform::{Aks, DockerDesktop, Eks, Gke, K3s, Kind, Minikube};

pub(super) const CDI_INSTALLED: Rule = Rule {
    id: "cdi-installed",
    condition: EnvironmentReady,
    reason: Reason::CDINotInstalled,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "CDI is installed",
    hint: "install CDI (Containerized Data Importer): apply cdi-operator.yaml and cdi-cr.yaml of a release; the operator then creates the disks",
    platforms: &[],
    judge: storage::cdi_installed,
};

pub(super) const CDI_AVAILABLE: Rule = Rule {
    id: "cdi-available",
    condition: EnvironmentReady,
    reason: Reason::CDINotAvailable,
    severity: Severity::Fail,
    after: &["cdi-installed"],
    of_manifest: false,
    holds: "CDI is available",
    hint: "if CDI is being deployed, wait; otherwise check its pods and conditions: kubectl describe cdi",
    platforms: &[],
    judge: storage::cdi_available,
};

pub(super) const DEFAULT_CLASS: Rule = Rule {
    id: "default-class",
    condition: DependenciesResolved,
    reason: Reason::NoDefaultStorageClass,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
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
};

pub(super) const STORAGE_CLASS: Rule = Rule {
    id: "storage-class",
    condition: DependenciesResolved,
    reason: Reason::StorageClassNotFound,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "The StorageClasses exist",
    hint: "create the class, or set an existing one",
    platforms: &[],
    judge: storage::class_exists,
};

pub(super) const PROVISIONER: Rule = Rule {
    id: "provisioner",
    condition: VolumesBound,
    reason: Reason::ProvisionerNotReady,
    severity: Severity::Fail,
    after: &["default-class", "storage-class"],
    of_manifest: false,
    holds: "The StorageClasses have working drivers",
    hint: "install or repair the driver; its pods usually run in kube-system or in a namespace of its own",
    platforms: &[
        (
            K3s,
            "check the pod: kubectl -n kube-system get pods -l app=local-path-provisioner; k3s installs it unless started with --disable=local-storage",
        ),
        (
            Kind,
            "check the pods: kubectl -n local-path-storage get pods",
        ),
        (Minikube, "minikube addons enable storage-provisioner"),
        (
            DockerDesktop,
            "check the pod: kubectl -n kube-system get pod storage-provisioner; resetting the cluster in Docker Desktop's settings restores it",
        ),
        (
            Gke,
            "enable the feature GcePersistentDiskCsiDriver of the cluster",
        ),
        (
            Eks,
            "install the add-on aws-ebs-csi-driver, with an IAM role that may create volumes",
        ),
        (
            Aks,
            "enable the disk driver: az aks update --enable-disk-driver",
        ),
    ],
    judge: storage::provisioner,
};

pub(super) const STORAGE_PROFILE: Rule = Rule {
    id: "storage-profile",
    condition: VolumesBound,
    reason: Reason::StorageProfileIncomplete,
    severity: Severity::Fail,
    after: &["cdi-installed", "default-class", "storage-class"],
    of_manifest: false,
    holds: "CDI knows the access modes of the StorageClasses",
    hint: "give the disks accessModes; or complete the profile: kubectl patch storageprofile NAME --type merge -p '{\"spec\":{\"claimPropertySets\":[{\"accessModes\":[\"ReadWriteOnce\"],\"volumeMode\":\"Filesystem\"}]}}'",
    platforms: &[],
    judge: storage::profile,
};

pub(super) const SHARED_DISKS: Rule = Rule {
    id: "shared-disks",
    condition: LiveMigratable,
    reason: Reason::DisksNotShared,
    severity: Severity::Warn,
    after: &["default-class", "storage-class"],
    of_manifest: false,
    holds: "The disks can be used by two nodes at once",
    hint: "use a StorageClass with ReadWriteMany, or evictionStrategy: None if a node drain may restart the VM",
    platforms: &[],
    judge: storage::shared_disks,
};
