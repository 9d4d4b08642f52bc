//! Operator settings that validation depends on.

/// Operator settings that validation depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorSettings {
    /// Put before a short image name such as `ubuntu:24.04`.
    pub os_image_prefix: String,
    /// Hosts that no image may come from: names (with their subdomains), networks in CIDR notation, and
    /// [`SINGLE_LABEL`] for all names without a dot.
    pub denied_hosts: Vec<String>,
    /// Whether the operator creates bridges on nodes for Wukongs with `nodeNetwork`.
    pub manage_node_networks: bool,
}

/// Stands for every host name without a dot among the denied hosts. Such a name is a Service of the importer's namespace.
/// (`localhost` is none: container runtimes know a registry by that name.)
pub const SINGLE_LABEL: &str = "single-label";

impl Default for OperatorSettings {
    /// Touches no node. Denies the link-local range, where clouds keep their metadata service, and names inside the cluster. Private
    /// ranges are allowed: people serve images from their LAN.
    fn default() -> Self {
        Self {
            os_image_prefix: "docker://quay.io/containerdisks/".into(),
            denied_hosts: [
                "169.254.0.0/16",
                "fe80::/10",
                "metadata.google.internal",
                "kubernetes.default",
                "svc",
                "cluster.local",
            ]
            .map(Into::into)
            .into(),
            manage_node_networks: false,
        }
    }
}
