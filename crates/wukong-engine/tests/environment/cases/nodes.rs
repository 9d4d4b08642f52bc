//! Nodes: which may take the VM, and what they offer.

use serde_json::json;
use wukong_api::Reason;
use wukong_engine::diagnosis::CheckStatus::{Fail, Warn};

use super::{Case, plain};
use crate::cluster::Cluster;

pub const CASES: &[Case] = &[
    Case {
        rule: "placement",
        cluster: || {
            Cluster::healthy()
                .change("Node", "worker-1", |node| {
                    node["spec"]["unschedulable"] = json!(true);
                })
                .change("Node", "worker-2", |node| {
                    node["status"]["conditions"][1] = json!({"type": "Ready", "status": "Unknown",
                    "message": "Kubelet stopped posting node status."});
                })
        },
        spec: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &[
            "worker-1: cordoned",
            "worker-2: not ready: Kubelet stopped posting",
            "cp-1: taint node-role.kubernetes.io/control-plane:NoSchedule",
        ],
    },
    Case {
        rule: "placement",
        cluster: Cluster::healthy,
        spec: || json!({"highAvailability": {"nodeSelector": {"disk": "nvme"}}}),
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["cp-1, worker-1, worker-2: no label disk=nvme"],
    },
    Case {
        rule: "placement",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["status"]["defaultArchitecture"] = json!("arm64");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["architecture amd64, not arm64"],
    },
    Case {
        rule: "placement",
        cluster: || Cluster::healthy().without("Node", ""),
        spec: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["no nodes"],
    },
    Case {
        rule: "virt-handler",
        cluster: || Cluster::healthy().crashing_handler("panic: failed to open /dev/kvm"),
        spec: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &[
            "worker-1, worker-2",
            "CrashLoopBackOff",
            "panic: failed to open /dev/kvm",
            "since 2026-08-01T11:46:00Z",
        ],
    },
    Case {
        // The label outlives a crash by minutes.
        rule: "virt-handler",
        cluster: || Cluster::healthy().crashing("virt-handler", "too many open files"),
        spec: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["too many open files"],
    },
    Case {
        rule: "virt-handler",
        cluster: || {
            Cluster::healthy()
                .without("Pod", "virt-handler")
                .change("Node", "worker", |node| {
                    node["metadata"]["labels"]
                        .as_object_mut()
                        .unwrap()
                        .remove("kubevirt.io/schedulable");
                })
        },
        spec: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["worker-1, worker-2: no virt-handler"],
    },
    Case {
        rule: "virt-handler",
        cluster: || {
            Cluster::healthy().change("Node", "worker", |node| {
                node["metadata"]["annotations"]["kubevirt.io/heartbeat"] =
                    json!("2026-08-01T09:00:00Z");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["without a sign of life since 2026-08-01T09:00:00Z"],
    },
    Case {
        rule: "kvm-device",
        cluster: || Cluster::healthy().device("kvm", Some("0"), Some("0")),
        spec: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["/dev/kvm", "emulation is off", "worker-1, worker-2"],
    },
    Case {
        rule: "kvm-device",
        cluster: || Cluster::healthy().device("kvm", None, None),
        spec: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["/dev/kvm", "worker-1, worker-2"],
    },
    Case {
        rule: "tun-device",
        cluster: || {
            Cluster::healthy()
                .device("tun", None, None)
                .device("kvm", None, None)
                .emulating()
        },
        spec: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &[
            "/dev/net/tun",
            "software emulation needs as well",
            "tun is not loaded on worker-1, worker-2",
        ],
    },
    Case {
        rule: "vhost-net-device",
        cluster: || Cluster::healthy().device("vhost-net", Some("0"), Some("0")),
        spec: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["vhost_net is not loaded on worker-1, worker-2"],
    },
    Case {
        rule: "device-plugin",
        // The kubelet gives out none: the files may be missing, or the plugins may not work.
        cluster: || {
            ["kvm", "tun", "vhost-net"]
                .into_iter()
                .fold(Cluster::healthy(), |cluster, device| {
                    cluster.device(device, Some("1k"), Some("0"))
                })
        },
        spec: plain,
        status: Fail,
        reason: Reason::DevicePluginUnhealthy,
        words: &["devices.kubevirt.io/kvm", "cannot be allocated"],
    },
    Case {
        // A missing file, as a real node shows it: the kubelet counts the device, and gives none out.
        rule: "kvm-device",
        cluster: || Cluster::healthy().device("kvm", Some("1k"), Some("0")),
        spec: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["/dev/kvm"],
    },
    Case {
        rule: "machine-type",
        cluster: || {
            Cluster::healthy().change("Node", "worker", |node| {
                node["metadata"]["labels"]
                    .as_object_mut()
                    .unwrap()
                    .remove("machine-type.node.kubevirt.io/q35");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["machine-type.node.kubevirt.io/q35=true"],
    },
    Case {
        rule: "cpu-model",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["spec"]["configuration"]["cpuModel"] = json!("Cascadelake-Server");
            })
        },
        spec: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["cpu-model.node.kubevirt.io/Cascadelake-Server=true"],
    },
    Case {
        rule: "cpu-model",
        cluster: Cluster::healthy,
        spec: || json!({"cpuModel": "EPYC-Milan"}),
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["offers the CPU model EPYC-Milan"],
    },
    Case {
        rule: "node-memory",
        cluster: Cluster::healthy,
        spec: || json!({"memory": "40Gi"}),
        status: Fail,
        reason: Reason::InsufficientMemory,
        words: &["worker-1, worker-2"],
    },
    Case {
        rule: "node-cpu",
        cluster: Cluster::healthy,
        spec: || json!({"cpu": 80}),
        status: Fail,
        reason: Reason::InsufficientCPU,
        words: &["requests 8000m", "7800m of CPU"],
    },
    Case {
        rule: "nic-resource",
        cluster: Cluster::healthy,
        spec: || json!({"networks": [{"name": "fast", "type": "sriov", "resourceName": "intel.com/nics"}]}),
        status: Fail,
        reason: Reason::InsufficientDevices,
        words: &["network fast", "intel.com/nics"],
    },
    Case {
        rule: "second-node",
        cluster: || Cluster::healthy().without("Node", "worker-2"),
        spec: plain,
        status: Warn,
        reason: Reason::SingleNode,
        words: &["worker-1"],
    },
];
