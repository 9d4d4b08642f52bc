//! Kinds of clusters, recognized by their nodes.

use serde_json::{Value, json};
use wukong_engine::environment::Platform;
use wukong_engine::facts::{Fact, NodeFact};

use crate::cluster::Cluster;

fn nodes() -> Vec<(Platform, Value)> {
    let node = |name: &str,
                labels: Value,
                provider: &str,
                kubelet: &str,
                image: &str,
                kernel: &str| {
        json!({
            "metadata": {"name": name, "labels": labels}, "spec": {"providerID": provider},
            "status": {"nodeInfo": {"kubeletVersion": kubelet, "osImage": image, "kernelVersion": kernel}},
        })
    };
    vec![
        (
            Platform::DockerDesktop,
            node(
                "docker-desktop",
                json!({}),
                "",
                "v1.34.1",
                "Docker Desktop",
                "6.10.14-linuxkit",
            ),
        ),
        (
            Platform::DockerDesktop,
            node(
                "desktop-control-plane",
                json!({}),
                "kind://docker/desktop/desktop-control-plane",
                "v1.34.1",
                "Debian GNU/Linux 12 (bookworm)",
                "6.10.14-linuxkit",
            ),
        ),
        (
            Platform::Kind,
            node(
                "kind-worker",
                json!({}),
                "kind://docker/kind/kind-worker",
                "v1.35.0",
                "Debian GNU/Linux 12 (bookworm)",
                "6.8.0-71-generic",
            ),
        ),
        (
            Platform::K3s,
            node(
                "pi",
                json!({"node.kubernetes.io/instance-type": "k3s"}),
                "k3s://pi",
                "v1.34.1+k3s1",
                "Debian GNU/Linux 13 (trixie)",
                "6.12.34",
            ),
        ),
        (
            Platform::K3s,
            node(
                "rke",
                json!({}),
                "rke2://rke",
                "v1.34.1+rke2r1",
                "SLE Micro 6.1",
                "6.4.0",
            ),
        ),
        (
            Platform::Minikube,
            node(
                "minikube",
                json!({"minikube.k8s.io/name": "minikube"}),
                "",
                "v1.34.0",
                "Buildroot 2025.2",
                "6.6.95",
            ),
        ),
        (
            Platform::Gke,
            node(
                "gke-a-pool-1",
                json!({"cloud.google.com/gke-nodepool": "pool"}),
                "gce://p/z/gke-a-pool-1",
                "v1.34.1-gke.1829001",
                "Container-Optimized OS from Google",
                "6.12.46+",
            ),
        ),
        (
            Platform::Eks,
            node(
                "ip-10-0-1-7.ec2.internal",
                json!({"eks.amazonaws.com/nodegroup": "ng"}),
                "aws:///us-east-1a/i-0",
                "v1.34.1-eks-113cf36",
                "Amazon Linux 2023",
                "6.12.53",
            ),
        ),
        (
            Platform::Aks,
            node(
                "aks-np-1-vmss000000",
                json!({"kubernetes.azure.com/cluster": "c"}),
                "azure:///subscriptions/x",
                "v1.34.1",
                "Ubuntu 24.04.3 LTS",
                "6.8.0-azure",
            ),
        ),
        (
            Platform::OpenShift,
            node(
                "worker-0",
                json!({"node.openshift.io/os_id": "rhel"}),
                "",
                "v1.34.1",
                "Red Hat Enterprise Linux CoreOS 9.6",
                "5.14.0",
            ),
        ),
        (
            Platform::BareMetal,
            node(
                "rack-7",
                json!({}),
                "",
                "v1.36.3",
                "Ubuntu 24.04.3 LTS",
                "6.8.0-71-generic",
            ),
        ),
    ]
}

#[test]
fn a_node_tells_its_platform() {
    for (platform, node) in nodes() {
        assert_eq!(NodeFact::project(&node).platform(), platform, "{node}");
    }
}

#[test]
fn every_platform_gets_its_own_way_to_virtualization() {
    let mut hints = Vec::new();
    for (platform, like) in nodes() {
        let cluster = Cluster::healthy()
            .device("kvm", None, None)
            .change("Node", "", |node| {
                for (key, value) in like["metadata"]["labels"].as_object().unwrap() {
                    node["metadata"]["labels"][key] = value.clone();
                }
                node["spec"]["providerID"] = like["spec"]["providerID"].clone();
                for key in ["kubeletVersion", "osImage"] {
                    node["status"]["nodeInfo"][key] = like["status"]["nodeInfo"][key].clone();
                }
            });
        // The names of the nodes stay. Docker Desktop is recognized only by the name, so it is left out.
        if Platform::of(&cluster.environment()) != Some(platform) {
            continue;
        }
        let hint = cluster.check("kvm-device", None).hint.unwrap();
        if !hints.contains(&(platform, hint.clone())) {
            hints.push((platform, hint));
        }
    }
    assert_eq!(hints.len(), 9, "{hints:#?}");
    let mut texts: Vec<&String> = hints.iter().map(|(_, hint)| hint).collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 9, "{hints:#?}");
}
