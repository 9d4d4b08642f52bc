//! Disks.

use wukong_api::ConditionType::{Created, Scheduled, VolumesBound};
use wukong_api::Reason;

use super::ReasonDoc;
use super::Tone::{Fine, Waits, Worth, Wrong};
use crate::environment::Platform::{Aks, DockerDesktop, Eks, Gke, K3s, Kind, Minikube};

pub(super) const BOUND: ReasonDoc = ReasonDoc {
    reason: Reason::Bound,
    tone: Fine,
    conditions: &[VolumesBound],
    meaning: "Every disk has its volume and its content.",
    fix: "",
    platforms: &[],
};

pub(super) const PENDING: ReasonDoc = ReasonDoc {
    reason: Reason::Pending,
    tone: Waits,
    conditions: &[VolumesBound],
    meaning: "A disk is being made, and CDI or the driver of its StorageClass has not begun, or a claim has no volume yet.",
    fix: "Nothing, unless it stays so: then see the events of the claim, and the StorageClass' driver.",
    platforms: &[],
};

pub(super) const IMPORTING: ReasonDoc = ReasonDoc {
    reason: Reason::Importing,
    tone: Waits,
    conditions: &[VolumesBound],
    meaning: "A disk is being filled. The message has the progress.",
    fix: "Nothing.",
    platforms: &[],
};

pub(super) const IMPORT_FAILED: ReasonDoc = ReasonDoc {
    reason: Reason::ImportFailed,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "The importer cannot fill a disk and is started again and again. The message names the cause: DNS, Network, TLS, Auth, NotFound, Space, Format or Checksum, and has the importer's words.",
    fix: "**DNS**: see that the host is spelled right and that pods resolve it. **Network**: see that pods of the namespace reach the host (NetworkPolicy, firewall; a proxy goes into `spec.config.importProxy` of the CDI resource). **TLS**: name the authority's certificates in `certConfigMap`; a registry without TLS goes into `spec.config.insecureRegistries` of the CDI resource. **Auth**: name a Secret in `secretRef`. **NotFound**: correct the path or tag. **Space**: raise the size of the disk. **Format**: give a raw or qcow2 image, or a container disk with the image under `/disk`. **Checksum**: correct the checksum, or the file.",
    platforms: &[
        (
            DockerDesktop,
            "an address of the host is host.docker.internal in pods, not localhost",
        ),
        (
            Kind,
            "an address of the host is that of the network kind (docker network inspect kind), not localhost; a local registry has to be connected to that network",
        ),
        (
            Minikube,
            "an address of the host is host.minikube.internal in pods, not localhost",
        ),
        (
            Gke,
            "nodes without external addresses need Cloud NAT to reach images on the internet",
        ),
        (
            Eks,
            "nodes in private subnets need a NAT gateway to reach images on the internet",
        ),
        (
            Aks,
            "with outbound type userDefinedRouting, the firewall has to let the image's host through",
        ),
    ],
};

pub(super) const IMAGE_PULL_FAILED: ReasonDoc = ReasonDoc {
    reason: Reason::ImagePullFailed,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "The node cannot pull a container image: of the importer, or the one that the VM boots from.",
    fix: "See that the image is spelled right, that its registry is reachable from the nodes, and that it does not limit pulls.",
    platforms: &[
        (
            Kind,
            "load an image of the host with kind load docker-image IMAGE",
        ),
        (
            Minikube,
            "load an image of the host with minikube image load IMAGE",
        ),
        (
            K3s,
            "mirrors and credentials go into /etc/rancher/k3s/registries.yaml",
        ),
    ],
};

pub(super) const PROVISIONER_NOT_READY: ReasonDoc = ReasonDoc {
    reason: Reason::ProvisionerNotReady,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "The driver behind a StorageClass is not installed, does not run, or cannot make the volume. Claims of this class stay Pending.",
    fix: "Install or repair the driver. `kubectl describe pvc CLAIM` shows what it says.",
    platforms: &[],
};

pub(super) const STORAGE_PROFILE_INCOMPLETE: ReasonDoc = ReasonDoc {
    reason: Reason::StorageProfileIncomplete,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "CDI does not know which access modes the driver of a StorageClass supports, so it cannot make a claim for a disk that names none.",
    fix: "Give the disk `accessModes`, or complete the StorageProfile of the class.",
    platforms: &[],
};

pub(super) const QUOTA_EXCEEDED: ReasonDoc = ReasonDoc {
    reason: Reason::QuotaExceeded,
    tone: Wrong,
    conditions: &[VolumesBound, Scheduled, Created],
    meaning: "A quota or LimitRange of the namespace leaves no room. KubeVirt needs some 300Mi more than the guest's memory; an import on a CSI class needs the storage twice while it runs; file systems need 6 % more.",
    fix: "Raise the quota, free some of it, or make the VM smaller. CDI and KubeVirt try again within minutes.",
    platforms: &[],
};

pub(super) const CLAIM_LOST: ReasonDoc = ReasonDoc {
    reason: Reason::ClaimLost,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "The PersistentVolume behind a claim is gone.",
    fix: "Bring the PersistentVolume back. Without it the data are lost: delete the claim and its DataVolume to have the disk made anew.",
    platforms: &[],
};

pub(super) const RESIZING: ReasonDoc = ReasonDoc {
    reason: Reason::Resizing,
    tone: Waits,
    conditions: &[VolumesBound],
    meaning: "A disk grows.",
    fix: "Nothing. Some drivers finish only when the VM is started again.",
    platforms: &[],
};

pub(super) const RESIZE_REFUSED: ReasonDoc = ReasonDoc {
    reason: Reason::ResizeRefused,
    tone: Wrong,
    conditions: &[VolumesBound],
    meaning: "A disk cannot grow: its StorageClass does not allow it (`allowVolumeExpansion`), or the driver refuses.",
    fix: "Use a StorageClass that can expand volumes, or write the old size again. Where the driver can and only the class forbids, set `allowVolumeExpansion: true` on the class.",
    platforms: &[
        (DockerDesktop, "the built-in class cannot expand volumes"),
        (Kind, "the built-in class cannot expand volumes"),
        (
            K3s,
            "the built-in class local-path cannot expand volumes; Longhorn can",
        ),
        (
            Minikube,
            "the built-in class cannot expand volumes; minikube addons enable csi-hostpath-driver brings one that can",
        ),
    ],
};

pub(super) const WAITING_FOR_FIRST_CONSUMER: ReasonDoc = ReasonDoc {
    reason: Reason::WaitingForFirstConsumer,
    tone: Worth,
    conditions: &[VolumesBound],
    meaning: "The StorageClass binds the claim only when the VM starts, so that the volume is near it. That is no fault: starting the VM binds it.",
    fix: "Start the VM. For a VM that stays off, annotate its DataVolume with `cdi.kubevirt.io/storage.bind.immediate.requested: \"true\"`.",
    platforms: &[],
};
