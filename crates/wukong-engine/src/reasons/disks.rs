//! Reasons for problems of disks.

use wukong_api::ConditionType::{Created, DisksPrepared, Scheduled, SnapshotReady, VolumesBound};
use wukong_api::Reason;

use super::doc::ReasonDoc;
use super::doc::Severity::{Error, Ok, Waiting, Warning};
use crate::environment::Platform::{Aks, DockerDesktop, Eks, Gke, K3s, Kind, Minikube};

pub(super) const DOCS: &[ReasonDoc] = &[
    ReasonDoc {
        reason: Reason::Bound,
        severity: Ok,
        conditions: &[VolumesBound, DisksPrepared, SnapshotReady],
        meaning: "Every disk has its volume and its content.",
        fix: "",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::Pending,
        severity: Waiting,
        conditions: &[VolumesBound],
        meaning: "A disk is being created. CDI or the driver of the StorageClass has not started, or a PersistentVolumeClaim has no volume yet.",
        fix: "Wait. If this stays, check the events of the PersistentVolumeClaim and the driver of its StorageClass.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::Importing,
        severity: Waiting,
        conditions: &[VolumesBound, DisksPrepared],
        meaning: "CDI is importing or copying data into a disk. The message has the progress.",
        fix: "Wait.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::ImportFailed,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "The importer cannot fill a disk, and CDI restarts it repeatedly. The message names the cause (DNS, Network, TLS, Auth, NotFound, Space, Format or Checksum) and quotes the importer's error.",
        fix: "**DNS**: check the spelling of the host and that pods can resolve it. **Network**: check that pods in this namespace can reach the host (NetworkPolicy, firewall); set a proxy in `spec.config.importProxy` of the CDI resource. **TLS**: set `certConfigMap` to a ConfigMap with the certificates of the authority; add a registry without TLS to `spec.config.insecureRegistries` of the CDI resource. **Auth**: set `secretRef` to a Secret with the credentials. **NotFound**: correct the path or tag. **Space**: increase the size of the disk. **Format**: use a raw or qcow2 image, or a container disk with the image under `/disk`. **Checksum**: correct the checksum or replace the file.",
        platforms: &[
            (
                DockerDesktop,
                "pods reach the host as host.docker.internal, not as localhost",
            ),
            (
                Kind,
                "pods reach the host at the gateway address of the Docker network kind (docker network inspect kind), not as localhost; connect a local registry to that network",
            ),
            (
                Minikube,
                "pods reach the host as host.minikube.internal, not as localhost",
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
                "with the outbound type userDefinedRouting, allow the host of the image in the firewall",
            ),
        ],
    },
    ReasonDoc {
        reason: Reason::ImagePullFailed,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "A node cannot pull a container image: the image of the importer, or the container disk that the VM boots from.",
        fix: "Check the spelling of the image, check that the nodes can reach the registry, and check the pull limits of the registry.",
        platforms: &[
            (Kind, "load a local image with kind load docker-image IMAGE"),
            (
                Minikube,
                "load a local image with minikube image load IMAGE",
            ),
            (
                K3s,
                "configure mirrors and credentials in /etc/rancher/k3s/registries.yaml",
            ),
        ],
    },
    ReasonDoc {
        reason: Reason::ProvisionerNotReady,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "The driver of a StorageClass is not installed, does not run, or cannot create the volume. Claims of this class stay Pending.",
        fix: "Install or repair the driver. `kubectl describe pvc CLAIM` shows the driver's error.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::StorageProfileIncomplete,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "CDI does not know which access modes the driver of a StorageClass supports. It cannot create a claim for a disk that sets no access mode.",
        fix: "Set `accessModes` of the disk, or complete the StorageProfile of the class.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::QuotaExceeded,
        severity: Error,
        conditions: &[VolumesBound, Scheduled, Created],
        meaning: "A ResourceQuota or LimitRange of the namespace rejects an object of the VM. Plan for overhead: KubeVirt needs about 300Mi more than the memory of the guest, an import on a CSI class needs twice the storage while it runs, and file systems need 6 % more.",
        fix: "Increase the quota, release some of it, or make the VM smaller. CDI and KubeVirt retry within minutes.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::ClaimLost,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "The PersistentVolume of a claim no longer exists, or it failed.",
        fix: "Restore the PersistentVolume. If that is impossible, the data is lost: delete the claim and its DataVolume, and the operator creates the disk again.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::Resizing,
        severity: Waiting,
        conditions: &[VolumesBound],
        meaning: "A disk is being expanded.",
        fix: "Wait. Some drivers finish only at the next start of the VM.",
        platforms: &[],
    },
    ReasonDoc {
        reason: Reason::ResizeRefused,
        severity: Error,
        conditions: &[VolumesBound],
        meaning: "A disk cannot be expanded: its StorageClass does not allow it (`allowVolumeExpansion`), or the driver rejects it.",
        fix: "Use a StorageClass that can expand volumes, or set the old size again. If the driver supports expansion and only the class forbids it, set `allowVolumeExpansion: true` on the class.",
        platforms: &[
            (DockerDesktop, "the built-in class cannot expand volumes"),
            (Kind, "the built-in class cannot expand volumes"),
            (
                K3s,
                "the built-in class local-path cannot expand volumes; Longhorn can",
            ),
            (
                Minikube,
                "the built-in class cannot expand volumes; minikube addons enable csi-hostpath-driver installs a class that can",
            ),
        ],
    },
    ReasonDoc {
        reason: Reason::WaitingForFirstConsumer,
        severity: Warning,
        conditions: &[VolumesBound],
        meaning: "The StorageClass binds the claim when the VM starts, so that the volume is near its node. This is not an error.",
        fix: "Start the VM. For a VM that stays off, annotate its DataVolume with `cdi.kubevirt.io/storage.bind.immediate.requested: \"true\"`.",
        platforms: &[],
    },
];
