//! Networks: Multus, bridges, who makes them on the nodes, and addresses.

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::diagnosis::CheckStatus::{Fail, Warn};

use super::{Case, with_bridge};
use crate::cluster::Cluster;

/// A bridge `br-lan` that is to be made over this uplink, on every node.
fn over(uplink: &str) -> Value {
    json!({"networks": [{"name": "lan", "type": "bridge", "nodeNetwork": {"uplink": uplink}}]})
}

/// Another one, on one node only.
fn on_one_node() -> Value {
    let mut spec = over("eth1");
    spec["networks"][0]["name"] = json!("far");
    spec["networks"][0]["nodeNetwork"]["nodeSelector"] =
        json!({"kubernetes.io/hostname": "worker-1"});
    spec
}

/// The networks of a Wukong with a NIC on `br-lan`.
fn on_lan(rest: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge"});
    let rest = rest.as_object().unwrap().clone();
    nic.as_object_mut().unwrap().extend(rest);
    json!([nic])
}

/// A foreign NNCP for the same bridge.
fn somebody_s_policy() -> Value {
    json!({
        "apiVersion": "nmstate.io/v1", "kind": "NodeNetworkConfigurationPolicy",
        "metadata": {"name": "theirs", "uid": "theirs", "resourceVersion": "1", "creationTimestamp": "2026-07-01T00:00:00Z"},
        "spec": {"desiredState": {"interfaces": [
            {"name": "br-lan", "type": "linux-bridge", "state": "up", "bridge": {"port": [{"name": "eth9"}]}},
        ]}},
    })
}

/// The node's own address and its way out are on its first NIC.
fn carries_its_node(state: &mut Value) {
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

/// The NNCP for a spec, as this operator stored it, with this status.
fn stored_policy(spec: Value, status: Value) -> Value {
    let wukong = Cluster::healthy().making_bridges().wukong(spec);
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
        rule: "multus-installed",
        cluster: || Cluster::healthy().presence("NetworkAttachmentDefinition", Presence::Missing),
        spec: || with_bridge("br-lan"),
        status: Warn,
        reason: Reason::MultusNotInstalled,
        words: &["without lan"],
    },
    Case {
        rule: "multus-installed",
        cluster: || Cluster::healthy().presence("NetworkAttachmentDefinition", Presence::Missing),
        spec: || json!({"networks": [{"name": "lan", "type": "bridge", "onMissingMultus": "Block"}]}),
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
        spec: || with_bridge("br-lan"),
        status: Fail,
        reason: Reason::MultusUnhealthy,
        words: &["0 of 3 nodes"],
    },
    Case {
        rule: "multus-healthy",
        cluster: || Cluster::healthy().without("DaemonSet", "kube-multus"),
        spec: || with_bridge("br-lan"),
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
        spec: || over("eth1"),
        status: Fail,
        reason: Reason::NMStateNotInstalled,
        words: &["NMState is not installed", "lan"],
    },
    Case {
        rule: "node-network",
        cluster: Cluster::healthy,
        spec: || over("eth1"),
        status: Warn,
        reason: Reason::NotManaged,
        words: &[
            "nodeNetwork of lan is not applied",
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
        spec: || over("eth1"),
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
        spec: || over("eth0"),
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
        spec: || over("eth1"),
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
        spec: || over("eth1"),
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
        spec: on_one_node,
        status: Warn,
        reason: Reason::BridgeMissingOnNodes,
        words: &["worker-2: no bridge br-far"],
    },
    Case {
        rule: "bridges",
        cluster: Cluster::healthy,
        spec: || with_bridge("br-lam"),
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
        spec: || with_bridge("br-lan"),
        status: Warn,
        reason: Reason::BridgeMissingOnNodes,
        words: &["worker-2: no bridge br-lan"],
    },
    Case {
        rule: "mac-addresses",
        cluster: || Cluster::healthy().with_db(on_lan(json!({"macAddress": "02:00:00:00:00:01"}))),
        spec: || json!({"networks": on_lan(json!({"macAddress": "02-00-00-00-00-01"}))}),
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
        spec: || json!({"networks": on_lan(json!({"ipConfig": {"address": "10.0.0.5/16"}}))}),
        status: Fail,
        reason: Reason::IPConflict,
        words: &["address 10.0.0.5 on bridge br-lan", "Wukong db"],
    },
];
