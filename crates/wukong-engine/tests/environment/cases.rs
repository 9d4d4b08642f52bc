//! A cluster for each rule that breaks it, and what is to be said about it.

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::environment::CheckStatus;
use wukong_engine::environment::CheckStatus::{Fail, Warn};

use crate::cluster::Cluster;

/// A cluster that breaks a rule, and what is to be said about it.
pub struct Case {
    pub rule: &'static str,
    pub cluster: fn() -> Cluster,
    pub wish: fn() -> Value,
    pub status: CheckStatus,
    pub reason: Reason,
    pub words: &'static [&'static str],
}

fn plain() -> Value {
    json!({})
}

pub fn with_bridge(name: &str) -> Value {
    json!({"networks": [{"name": "lan", "type": "bridge", "bridgeName": name}]})
}

/// The networks of a Wukong with a NIC on `br-lan`.
fn on_lan(rest: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge"});
    let rest = rest.as_object().unwrap().clone();
    nic.as_object_mut().unwrap().extend(rest);
    json!([nic])
}

fn on_local_path() -> Value {
    json!({"disks": [{"name": "root", "size": "20Gi", "storageClassName": "local-path"}]})
}

/// A bridge `br-lan` that is to be made over this uplink, on every node.
pub fn over(uplink: &str) -> Value {
    json!({"networks": [{"name": "lan", "type": "bridge", "nodeNetwork": {"uplink": uplink}}]})
}

/// Another one, on one node only.
fn on_one_node() -> Value {
    let mut wish = over("eth1");
    wish["networks"][0]["name"] = json!("far");
    wish["networks"][0]["nodeNetwork"]["nodeSelector"] =
        json!({"kubernetes.io/hostname": "worker-1"});
    wish
}

/// A policy of somebody else's for the same bridge.
pub fn somebody_s_policy() -> Value {
    json!({
        "apiVersion": "nmstate.io/v1", "kind": "NodeNetworkConfigurationPolicy",
        "metadata": {"name": "theirs", "uid": "theirs", "resourceVersion": "1", "creationTimestamp": "2026-07-01T00:00:00Z"},
        "spec": {"desiredState": {"interfaces": [
            {"name": "br-lan", "type": "linux-bridge", "state": "up", "bridge": {"port": [{"name": "eth9"}]}},
        ]}},
    })
}

/// The node's own address and its way out are on its first NIC.
pub fn carries_its_node(state: &mut Value) {
    state["status"]["currentState"]["interfaces"][0] = json!({
        "name": "eth0", "type": "ethernet", "state": "up",
        "ipv4": {"enabled": true, "address": [{"ip": "10.0.0.5", "prefix-length": 24}]},
        "ipv6": {"enabled": true, "address": [{"ip": "fe80::5", "prefix-length": 64}]},
    });
    state["status"]["currentState"]["routes"] = json!({"running": [
        {"destination": "0.0.0.0/0", "next-hop-interface": "eth0", "next-hop-address": "10.0.0.1"},
        {"destination": "10.0.0.0/24", "next-hop-interface": "eth0"},
    ]});
}

/// The policy for a wish, as this operator stored it, with this status.
pub fn stored_policy(wish: Value, status: Value) -> Value {
    let wukong = Cluster::healthy().making_bridges().wukong(wish);
    let policies = wukong_network::node_policies(&wukong);
    let mut policy = serde_json::to_value(&policies[0]).unwrap();
    policy["metadata"]["uid"] = json!("policy");
    policy["metadata"]["generation"] = json!(1);
    policy["metadata"]["resourceVersion"] = json!("1");
    policy["metadata"]["managedFields"] = json!([{
        "manager": "wukong-operator", "operation": "Apply",
        "fieldsV1": {"f:metadata": {"f:labels": {}}, "f:spec": {}},
    }]);
    policy["status"] = status;
    policy
}

/// A cluster in which NMState failed on these nodes, and made the bridge on the others.
fn failing_on(nodes: &[&str]) -> Cluster {
    let degraded = json!({"conditions": [
        {"type": "Degraded", "status": "True", "reason": "FailedToConfigure", "message": "1/3 nodes failed to configure"},
    ]});
    let policy = stored_policy(over("eth1"), degraded);
    let name = policy["metadata"]["name"].clone();
    let enactment = |node: &&str| {
        json!({
            "apiVersion": "nmstate.io/v1beta1", "kind": "NodeNetworkConfigurationEnactment",
            "metadata": {"name": format!("{node}.{}", name.as_str().unwrap()), "uid": node, "resourceVersion": "1",
                "labels": {"nmstate.io/policy": name, "nmstate.io/node": node}},
            "status": {"policyGeneration": 1, "conditions": [
                {"type": "Failing", "status": "True", "reason": "FailedToConfigure", "message": "no such device eth1"},
            ]},
        })
    };
    let cluster = Cluster::healthy().making_bridges().with(policy.clone());
    nodes.iter().map(enactment).fold(cluster, Cluster::with)
}

pub const CASES: &[Case] = &[
    Case {
        rule: "kubevirt-installed",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .presence("KubeVirt", Presence::Missing)
        },
        wish: plain,
        status: Fail,
        reason: Reason::KubeVirtNotInstalled,
        words: &["KubeVirt is not installed"],
    },
    Case {
        rule: "kubevirt-installed",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .without("KubeVirt", "kubevirt")
        },
        wish: plain,
        status: Fail,
        reason: Reason::KubeVirtNotInstalled,
        words: &["operator is installed", "no KubeVirt resource"],
    },
    Case {
        rule: "kubevirt-available",
        cluster: || {
            Cluster::healthy()
                .presence("VirtualMachine", Presence::Missing)
                .unavailable(
                    "Deploying",
                    "DeploymentInProgress",
                    "Deploying version v1.9.0",
                )
        },
        wish: plain,
        status: Fail,
        reason: Reason::KubeVirtNotAvailable,
        words: &["phase Deploying", "Deploying version v1.9.0"],
    },
    Case {
        rule: "kubevirt-available",
        cluster: || {
            Cluster::healthy()
                .unavailable("Deploying", "DeploymentInProgress", "Deploying")
                .crashing("virt-operator", "tls: bad certificate")
        },
        wish: plain,
        status: Fail,
        reason: Reason::KubeVirtNotAvailable,
        words: &["virt-operator", "tls: bad certificate"],
    },
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
        wish: plain,
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
        wish: || json!({"highAvailability": {"nodeSelector": {"disk": "nvme"}}}),
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
        wish: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["architecture amd64, not arm64"],
    },
    Case {
        rule: "placement",
        cluster: || Cluster::healthy().without("Node", ""),
        wish: plain,
        status: Fail,
        reason: Reason::PlacementTooNarrow,
        words: &["no nodes"],
    },
    Case {
        rule: "virt-handler",
        cluster: || Cluster::healthy().crashing_handler("panic: failed to open /dev/kvm"),
        wish: plain,
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
        wish: plain,
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
        wish: plain,
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
        wish: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["without a sign of life since 2026-08-01T09:00:00Z"],
    },
    Case {
        rule: "kvm-device",
        cluster: || Cluster::healthy().device("kvm", Some("0"), Some("0")),
        wish: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["/dev/kvm", "emulation is off", "worker-1, worker-2"],
    },
    Case {
        rule: "kvm-device",
        cluster: || Cluster::healthy().device("kvm", None, None),
        wish: plain,
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
        wish: plain,
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
        wish: plain,
        status: Fail,
        reason: Reason::NoVirtualizationDevices,
        words: &["vhost_net is not loaded on worker-1, worker-2"],
    },
    Case {
        rule: "device-plugin",
        cluster: || Cluster::healthy().device("kvm", Some("1k"), Some("0")),
        wish: plain,
        status: Fail,
        reason: Reason::DevicePluginUnhealthy,
        words: &["devices.kubevirt.io/kvm is there, but not allocatable"],
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
        wish: plain,
        status: Fail,
        reason: Reason::VirtHandlerNotReady,
        words: &["machine-type.node.kubevirt.io/q35=true"],
    },
    Case {
        rule: "feature-gate",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["status"]["observedKubeVirtVersion"] = json!("v1.4.0");
            })
        },
        wish: || json!({"networks": [{"name": "fast", "type": "macvlan"}]}),
        status: Fail,
        reason: Reason::FeatureGateDisabled,
        words: &["NetworkBindingPlugins"],
    },
    Case {
        rule: "network-binding",
        cluster: || {
            Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
                kubevirt["spec"]["configuration"]
                    .as_object_mut()
                    .unwrap()
                    .remove("network");
            })
        },
        wish: || json!({"networks": [{"name": "fast", "type": "macvlan"}]}),
        status: Fail,
        reason: Reason::BindingNotRegistered,
        words: &["macvtap"],
    },
    Case {
        rule: "cdi-installed",
        cluster: || Cluster::healthy().presence("DataVolume", Presence::Missing),
        wish: plain,
        status: Fail,
        reason: Reason::CDINotInstalled,
        words: &["disks root"],
    },
    Case {
        rule: "cdi-available",
        cluster: || {
            Cluster::healthy().change("CDI", "cdi", |cdi| {
                cdi["status"] = json!({"phase": "Deploying", "conditions": [
                    {"type": "Available", "status": "False", "reason": "DeployStarted", "message": "Started Deployment"}]});
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::CDINotAvailable,
        words: &["Deploying", "Started Deployment"],
    },
    Case {
        rule: "multus-installed",
        cluster: || Cluster::healthy().presence("NetworkAttachmentDefinition", Presence::Missing),
        wish: || with_bridge("br-lan"),
        status: Warn,
        reason: Reason::MultusNotInstalled,
        words: &["without lan"],
    },
    Case {
        rule: "multus-installed",
        cluster: || Cluster::healthy().presence("NetworkAttachmentDefinition", Presence::Missing),
        wish: || json!({"networks": [{"name": "lan", "type": "bridge", "onMissingMultus": "Block"}]}),
        status: Fail,
        reason: Reason::MultusNotInstalled,
        words: &["must not start without its networks lan"],
    },
    Case {
        rule: "multus-healthy",
        cluster: || {
            Cluster::healthy().change("DaemonSet", "kube-multus", |set| {
                set["status"]["numberReady"] = json!(0);
            })
        },
        wish: || with_bridge("br-lan"),
        status: Fail,
        reason: Reason::MultusUnhealthy,
        words: &["0 of 3 nodes"],
    },
    Case {
        rule: "multus-healthy",
        cluster: || Cluster::healthy().without("DaemonSet", "kube-multus"),
        wish: || with_bridge("br-lan"),
        status: Fail,
        reason: Reason::MultusUnhealthy,
        words: &["no Multus DaemonSet"],
    },
    Case {
        rule: "nmstate-installed",
        cluster: || {
            Cluster::healthy()
                .making_bridges()
                .presence("NodeNetworkState", Presence::Missing)
        },
        wish: || over("eth1"),
        status: Fail,
        reason: Reason::NMStateNotInstalled,
        words: &["NMState is not installed", "lan"],
    },
    Case {
        rule: "emulation",
        cluster: || Cluster::healthy().emulating(),
        wish: plain,
        status: Warn,
        reason: Reason::EmulationOnly,
        words: &["in software"],
    },
    Case {
        rule: "default-class",
        cluster: || {
            Cluster::healthy().change("StorageClass", "ceph-block", |class| {
                class["metadata"]["annotations"] = json!({});
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::NoDefaultStorageClass,
        words: &["disks root name none"],
    },
    Case {
        rule: "storage-class",
        cluster: Cluster::healthy,
        wish: || json!({"disks": [{"name": "root", "size": "20Gi", "storageClassName": "fast"}]}),
        status: Fail,
        reason: Reason::StorageClassNotFound,
        words: &["no StorageClass fast", "ceph-block, local-path"],
    },
    Case {
        rule: "node-network",
        cluster: Cluster::healthy,
        wish: || over("eth1"),
        status: Warn,
        reason: Reason::NotManaged,
        words: &[
            "nodeNetwork of lan is not carried out",
            "--manage-node-networks",
        ],
    },
    Case {
        rule: "node-policy",
        cluster: || {
            Cluster::healthy()
                .making_bridges()
                .with(somebody_s_policy())
        },
        wish: || over("eth1"),
        status: Fail,
        reason: Reason::ApplyConflict,
        words: &[
            "br-lan over eth1",
            "NodeNetworkConfigurationPolicy theirs was there first",
            "br-lan over eth9",
        ],
    },
    Case {
        rule: "node-isolation",
        cluster: || {
            Cluster::healthy().making_bridges().change(
                "NodeNetworkState",
                "worker-2",
                carries_its_node,
            )
        },
        wish: || over("eth0"),
        status: Fail,
        reason: Reason::WouldIsolateNode,
        words: &[
            "br-lan over eth0",
            "worker-2: eth0 carries 10.0.0.5, the default route",
        ],
    },
    Case {
        rule: "node-enactment",
        cluster: || {
            failing_on(&["worker-1", "worker-2"]).change("NodeNetworkState", "worker", |state| {
                state["status"]["currentState"]["interfaces"] = json!([]);
            })
        },
        wish: || over("eth1"),
        status: Fail,
        reason: Reason::Degraded,
        words: &[
            "br-lan over eth1",
            "worker-1, worker-2: no such device eth1",
        ],
    },
    Case {
        rule: "node-enactment",
        cluster: || failing_on(&["worker-1"]),
        wish: || over("eth1"),
        status: Warn,
        reason: Reason::Degraded,
        words: &["worker-1: no such device eth1"],
    },
    Case {
        rule: "bridges",
        cluster: || {
            let available = json!({"conditions": [{"type": "Available", "status": "True"}]});
            Cluster::healthy()
                .making_bridges()
                .with(stored_policy(on_one_node(), available))
        },
        wish: on_one_node,
        status: Warn,
        reason: Reason::BridgeMissingOnNodes,
        words: &["worker-2: no bridge br-far"],
    },
    Case {
        rule: "bridges",
        cluster: Cluster::healthy,
        wish: || with_bridge("br-lam"),
        status: Fail,
        reason: Reason::BridgeMissingOnNodes,
        words: &["network lan", "worker-1, worker-2: no bridge br-lam"],
    },
    Case {
        rule: "bridges",
        cluster: || {
            Cluster::healthy().change("NodeNetworkState", "worker-2", |state| {
                state["status"]["currentState"]["interfaces"] = json!([]);
            })
        },
        wish: || with_bridge("br-lan"),
        status: Warn,
        reason: Reason::BridgeMissingOnNodes,
        words: &["worker-2: no bridge br-lan"],
    },
    Case {
        rule: "mac-addresses",
        cluster: || Cluster::healthy().with_db(on_lan(json!({"macAddress": "02:00:00:00:00:01"}))),
        wish: || json!({"networks": on_lan(json!({"macAddress": "02-00-00-00-00-01"}))}),
        status: Fail,
        reason: Reason::MACConflict,
        words: &[
            "network lan",
            "MAC 02:00:00:00:00:01 on bridge br-lan",
            "Wukong db",
        ],
    },
    Case {
        rule: "static-addresses",
        cluster: || {
            Cluster::healthy().with_db(on_lan(json!({"ipConfig": {"address": "10.0.0.5/24"}})))
        },
        wish: || json!({"networks": on_lan(json!({"ipConfig": {"address": "10.0.0.5/16"}}))}),
        status: Fail,
        reason: Reason::IPConflict,
        words: &["address 10.0.0.5 on bridge br-lan", "Wukong db"],
    },
    Case {
        rule: "provisioner",
        cluster: || {
            Cluster::healthy()
                .without("CSIDriver", "rook")
                .without("CSINode", "worker")
        },
        wish: plain,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["ceph-block", "rook-ceph.rbd.csi.ceph.com is not installed"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().without("CSINode", "worker"),
        wish: plain,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["registered on no node"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().without("Pod", "local-path"),
        wish: on_local_path,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["rancher.io/local-path has no pod"],
    },
    Case {
        rule: "provisioner",
        cluster: || Cluster::healthy().crashing("local-path", "forbidden: configmaps"),
        wish: on_local_path,
        status: Fail,
        reason: Reason::ProvisionerNotReady,
        words: &["forbidden: configmaps"],
    },
    Case {
        rule: "storage-profile",
        cluster: || {
            Cluster::healthy().change("StorageProfile", "ceph-block", |profile| {
                profile["status"]["claimPropertySets"] = json!([]);
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::StorageProfileIncomplete,
        words: &["disk root", "ceph-block"],
    },
    Case {
        rule: "storage-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["status"]["used"]["requests.storage"] = json!("490Gi");
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["20Gi of requests.storage", "team", "leaves 10Gi"],
    },
    Case {
        rule: "storage-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["status"]["used"]["requests.storage"] = json!("470Gi");
            })
        },
        wish: plain,
        status: Warn,
        reason: Reason::QuotaExceeded,
        words: &["While they are filled", "40Gi", "leaves 30Gi"],
    },
    Case {
        rule: "password",
        cluster: Cluster::healthy,
        wish: || json!({"cloudInitUser": {"name": "ada", "password": "hunter2"}}),
        status: Warn,
        reason: Reason::PlainTextPassword,
        words: &["ada"],
    },
    Case {
        // 2Gi and 2 vCPUs take 2344Mi (2048 + 296), as KubeVirt 1.9 requests it.
        rule: "pod-quota",
        cluster: || {
            Cluster::healthy().change("ResourceQuota", "team", |quota| {
                quota["spec"]["hard"]["requests.memory"] = json!("10831Mi");
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["2344Mi of requests.memory", "leaves 2343Mi"],
    },
    Case {
        rule: "pod-limit",
        cluster: || {
            Cluster::healthy().change("LimitRange", "bounds", |range| {
                range["spec"]["limits"][0]["max"]["memory"] = json!("2Gi");
            })
        },
        wish: plain,
        status: Fail,
        reason: Reason::QuotaExceeded,
        words: &["2344Mi", "LimitRange bounds", "allows 2Gi"],
    },
    Case {
        rule: "node-memory",
        cluster: Cluster::healthy,
        wish: || json!({"memory": "40Gi"}),
        status: Fail,
        reason: Reason::InsufficientMemory,
        words: &["worker-1, worker-2"],
    },
    Case {
        rule: "node-cpu",
        cluster: Cluster::healthy,
        wish: || json!({"cpu": 80}),
        status: Fail,
        reason: Reason::InsufficientCPU,
        words: &["requests 8000m", "7800m of CPU"],
    },
    Case {
        rule: "nic-resource",
        cluster: Cluster::healthy,
        wish: || json!({"networks": [{"name": "fast", "type": "sriov", "resourceName": "intel.com/nics"}]}),
        status: Fail,
        reason: Reason::InsufficientDevices,
        words: &["network fast", "intel.com/nics"],
    },
    Case {
        rule: "shared-disks",
        cluster: Cluster::healthy,
        wish: on_local_path,
        status: Warn,
        reason: Reason::DisksNotShared,
        words: &["disk root", "ReadWriteOnce"],
    },
    Case {
        rule: "second-node",
        cluster: || Cluster::healthy().without("Node", "worker-2"),
        wish: plain,
        status: Warn,
        reason: Reason::SingleNode,
        words: &["worker-1"],
    },
];
