//! Provisioners that are no CSI drivers.

/// Provisioners that are no CSI drivers, with the names that their pods begin with.
pub(crate) const IN_CLUSTER_PROVISIONERS: [(&str, &str); 4] = [
    ("rancher.io/local-path", "local-path-provisioner"),
    ("k8s.io/minikube-hostpath", "storage-provisioner"),
    ("docker.io/hostpath", "storage-provisioner"),
    ("microk8s.io/hostpath", "hostpath-provisioner"),
];

/// Whether a provisioner is no CSI driver, but a pod that is known.
pub fn is_in_cluster(provisioner: &str) -> bool {
    IN_CLUSTER_PROVISIONERS
        .iter()
        .any(|(known, _)| *known == provisioner)
}
