//! The kind of cluster that a node belongs to: the same error has another fix on a laptop than in a cloud.

use std::collections::BTreeMap;

use strum::{Display, EnumIter};

use super::text::Text;

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

/// What tells the platform of a node.
pub(super) struct Signs<'a> {
    pub labels: &'a BTreeMap<Text, Text>,
    pub name: &'a str,
    pub provider_id: &'a str,
    pub os_image: &'a str,
    pub kubelet: &'a str,
}

impl Signs<'_> {
    /// The platform, by labels, the provider's id, the name and the software of the node.
    pub(super) fn platform(&self) -> Platform {
        let label = |key: &str| self.labels.contains_key(key);
        let prefixed = |prefix: &str| self.labels.keys().any(|key| key.starts_with(prefix));
        // Docker Desktop runs its nodes as kind does, under names of its own.
        let desktop = self.name == "docker-desktop"
            || (self.name.starts_with("desktop-") && self.provider_id.starts_with("kind://"))
            || self.os_image.contains("Docker Desktop");
        if desktop {
            Platform::DockerDesktop
        } else if self.provider_id.starts_with("kind://") {
            Platform::Kind
        } else if label("minikube.k8s.io/name") {
            Platform::Minikube
        } else if prefixed("node.openshift.io/") || self.os_image.contains("CoreOS 4") {
            Platform::OpenShift
        } else if label("cloud.google.com/gke-nodepool") || self.kubelet.contains("-gke.") {
            Platform::Gke
        } else if prefixed("eks.amazonaws.com/") || self.kubelet.contains("-eks-") {
            Platform::Eks
        } else if prefixed("kubernetes.azure.com/") {
            Platform::Aks
        } else if self.provider_id.starts_with("k3s://")
            || self.kubelet.contains("+k3s")
            || self.kubelet.contains("+rke2")
        {
            Platform::K3s
        } else {
            Platform::BareMetal
        }
    }
}
