//! Rules about secondary networks: Multus, NMState, bridges and addresses.

use wukong_api::ConditionType::{EnvironmentReady, NetworksConfigured, NodeNetworkReady};
use wukong_api::Reason;

use crate::diagnosis::rules::{Rule, Severity, network};
use crate::environment::Platform::{DockerDesktop, Gke, K3s, Kind, OpenShift};

/// What a Multus that does not work on k3s needs most often.
pub(super) const MULTUS_ON_K3S: &str = "Multus needs the paths of k3s: /var/lib/rancher/k3s/agent/etc/cni/net.d for configuration and kubeconfig, /var/lib/rancher/k3s/data/cni for plugins; correct the hostPath volumes of its daemonset";

pub(super) const MULTUS_INSTALLED: Rule = Rule {
    id: "multus-installed",
    condition: EnvironmentReady,
    reason: Reason::MultusNotInstalled,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "Multus is installed",
    hint: "install Multus (the thick plugin of a release); the operator then adds the missing NICs",
    platforms: &[
        (
            K3s,
            "install Multus with the paths of k3s (chart rke2-multus with config.cni_conf: confDir /var/lib/rancher/k3s/agent/etc/cni/net.d, binDir /var/lib/rancher/k3s/data/cni, kubeconfig in confDir/multus.d): with the usual paths, no new pod starts",
        ),
        (
            OpenShift,
            "Multus is part of OpenShift: check kubectl get network.operator cluster",
        ),
    ],
    judge: network::multus_installed,
};

pub(super) const MULTUS_HEALTHY: Rule = Rule {
    id: "multus-healthy",
    condition: EnvironmentReady,
    reason: Reason::MultusUnhealthy,
    severity: Severity::Fail,
    after: &["multus-installed"],
    of_manifest: false,
    holds: "Multus runs",
    hint: "check why the Multus pods do not run, with kubectl describe daemonset and kubectl logs; Multus often needs more memory than its manifest allows",
    platforms: &[(K3s, MULTUS_ON_K3S)],
    judge: network::multus_healthy,
};

pub(super) const NMSTATE_INSTALLED: Rule = Rule {
    id: "nmstate-installed",
    condition: EnvironmentReady,
    reason: Reason::NMStateNotInstalled,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "NMState is installed",
    hint: "install kubernetes-nmstate (operator and NMState resource); or create the bridge yourself and remove nodeNetwork",
    platforms: &[
        (
            OpenShift,
            "install the operator Kubernetes NMState from OperatorHub, and create its NMState resource",
        ),
        (
            DockerDesktop,
            "NMState needs NetworkManager on the nodes, which Docker Desktop does not have: remove nodeNetwork",
        ),
        (
            Kind,
            "NMState needs NetworkManager on the nodes, which kind nodes do not have: remove nodeNetwork",
        ),
        (
            Gke,
            "NMState needs NetworkManager on the nodes, which GKE's images do not have: remove nodeNetwork",
        ),
    ],
    judge: network::nmstate_installed,
};

pub(super) const NODE_POLICY: Rule = Rule {
    id: "node-policy",
    condition: NodeNetworkReady,
    reason: Reason::ApplyConflict,
    severity: Severity::Fail,
    after: &["nmstate-installed"],
    of_manifest: false,
    holds: "No other policy configures these bridges differently",
    hint: "set the same bridge settings as that NNCP, or another bridgeName; if the NNCP is no longer needed, delete it, which changes nothing on the nodes: kubectl delete nncp NAME",
    platforms: &[],
    judge: network::one_policy,
};

pub(super) const NODE_ISOLATION: Rule = Rule {
    id: "node-isolation",
    condition: NodeNetworkReady,
    reason: Reason::WouldIsolateNode,
    severity: Severity::Fail,
    after: &["nmstate-installed"],
    of_manifest: false,
    holds: "No node loses its own address to a bridge",
    hint: "set an uplink that has no address or route of the node, or exclude these nodes with nodeNetwork.nodeSelector; or create the bridge yourself, move the addresses to it, and remove nodeNetwork",
    platforms: &[],
    judge: network::isolation,
};

pub(super) const NODE_ENACTMENT: Rule = Rule {
    id: "node-enactment",
    condition: NodeNetworkReady,
    reason: Reason::Degraded,
    severity: Severity::Fail,
    after: &["nmstate-installed"],
    of_manifest: false,
    holds: "NMState has failed on no node",
    hint: "check NMState's error: kubectl get nnce; NMState has restored the node's network, and retries when the NNCP or the node changes",
    platforms: &[],
    judge: network::degraded,
};

pub(super) const BRIDGES: Rule = Rule {
    id: "bridges",
    condition: NodeNetworkReady,
    reason: Reason::BridgeMissingOnNodes,
    severity: Severity::Fail,
    after: &["placement"],
    of_manifest: false,
    holds: "The bridges are on the nodes",
    hint: "create the bridge on these nodes with the right uplink; or let NMState create it: nodeNetwork: {uplink: ...}; or exclude these nodes with spec.highAvailability.nodeSelector",
    platforms: &[],
    judge: network::bridges,
};

pub(super) const NODE_NETWORK: Rule = Rule {
    id: "node-network",
    condition: NodeNetworkReady,
    reason: Reason::NotManaged,
    severity: Severity::Warn,
    after: &[],
    of_manifest: true,
    holds: "The operator makes the bridges of nodeNetwork",
    hint: "start the operator with --manage-node-networks (docs/install.md); or create the bridge with its uplink on the nodes yourself, for example with an NNCP",
    platforms: &[],
    judge: network::not_managed,
};

pub(super) const MAC_ADDRESSES: Rule = Rule {
    id: "mac-addresses",
    condition: NetworksConfigured,
    reason: Reason::MACConflict,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "No other Wukong has these MACs on these networks",
    hint: "set another macAddress in one of them, or remove the field: derived MACs are unique",
    platforms: &[],
    judge: network::macs,
};

pub(super) const STATIC_ADDRESSES: Rule = Rule {
    id: "static-addresses",
    condition: NetworksConfigured,
    reason: Reason::IPConflict,
    severity: Severity::Fail,
    after: &[],
    of_manifest: false,
    holds: "No other Wukong has these addresses on these networks",
    hint: "set another address in ipConfig of one of them",
    platforms: &[],
    judge: network::static_addresses,
};
