//! The simulated nodes.

use serde_json::{Value, json};

/// The label and annotation by which virt-handler says that it lives.
pub const HEARTBEAT: &str = "kubevirt.io/heartbeat";

/// A healthy node on which virt-handler runs.
pub fn node(name: &str) -> Value {
    let capacity = json!({
        "cpu": "128", "memory": "1Ti", "pods": "1000", "ephemeral-storage": "1Ti",
        "devices.kubevirt.io/kvm": "1k", "devices.kubevirt.io/tun": "1k", "devices.kubevirt.io/vhost-net": "1k",
    });
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/worker": "",
                "topology.kubernetes.io/region": "plant",
                "topology.kubernetes.io/zone": name,
                "kubevirt.io/schedulable": "true",
                "cpumanager": "false",
                "cpu-model.node.kubevirt.io/Haswell": "true",
                "machine-type.node.kubevirt.io/q35": "true",
                "machine-type.node.kubevirt.io/pc-q35-rhel9.4.0": "true",
                "machine-type.node.kubevirt.io/pc-q35-rhel9.6.0": "true",
            },
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "kubelet is posting ready status (simulated)"}],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": "v1.36.3",
                "kubeProxyVersion": "", "osImage": "simulated", "kernelVersion": "", "containerRuntimeVersion": "",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}
