//! The kind of cluster: the same error has another fix on a laptop than in a cloud.

use strum::{Display, EnumIter};

use super::Environment;
use crate::facts::NodeFact;

/// A kind of cluster.
#[derive(Clone, Copy, Debug, Display, EnumIter, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Platform {
    /// Docker Desktop on macOS or Windows.
    #[strum(to_string = "Docker Desktop")]
    DockerDesktop,
    /// Kubernetes in containers.
    #[strum(to_string = "kind")]
    Kind,
    /// k3s, k3d and RKE2.
    #[strum(to_string = "k3s")]
    K3s,
    /// Minikube.
    #[strum(to_string = "Minikube")]
    Minikube,
    /// Google Kubernetes Engine.
    #[strum(to_string = "GKE")]
    Gke,
    /// Amazon Elastic Kubernetes Service.
    #[strum(to_string = "EKS")]
    Eks,
    /// Azure Kubernetes Service.
    #[strum(to_string = "AKS")]
    Aks,
    /// OpenShift and OKD.
    #[strum(to_string = "OpenShift")]
    OpenShift,
    /// Own machines, and every unrecognized platform.
    #[strum(to_string = "bare metal")]
    BareMetal,
}

impl Platform {
    /// The kind of the cluster; `None` while no node is known.
    pub fn of(environment: &Environment) -> Option<Self> {
        environment
            .nodes
            .in_namespace("")
            .map(Self::of_node)
            .max_by_key(|platform| *platform != Self::BareMetal)
    }

    /// The platform of a node, by its labels, its provider's id, its name and its software.
    pub fn of_node(node: &NodeFact) -> Self {
        let label = |key: &str| node.labels.contains_key(key);
        let prefixed = |prefix: &str| node.labels.keys().any(|key| key.starts_with(prefix));
        let name = node.meta.name.as_str();
        // Docker Desktop runs its nodes as kind does, under names of its own.
        let desktop = name == "docker-desktop"
            || (name.starts_with("desktop-") && node.provider_id.starts_with("kind://"))
            || node.os_image.contains("Docker Desktop");
        if desktop {
            Self::DockerDesktop
        } else if node.provider_id.starts_with("kind://") {
            Self::Kind
        } else if label("minikube.k8s.io/name") {
            Self::Minikube
        } else if prefixed("node.openshift.io/") || node.os_image.contains("CoreOS 4") {
            Self::OpenShift
        } else if label("cloud.google.com/gke-nodepool") || node.kubelet.contains("-gke.") {
            Self::Gke
        } else if prefixed("eks.amazonaws.com/") || node.kubelet.contains("-eks-") {
            Self::Eks
        } else if prefixed("kubernetes.azure.com/") {
            Self::Aks
        } else if node.provider_id.starts_with("k3s://")
            || node.kubelet.contains("+k3s")
            || node.kubelet.contains("+rke2")
        {
            Self::K3s
        } else {
            Self::BareMetal
        }
    }
}
