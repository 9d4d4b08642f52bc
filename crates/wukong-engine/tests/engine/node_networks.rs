//! Bridges that are made on nodes.

use serde_json::{Value, json};
use wukong_engine::facts::Fact;
use wukong_engine::{FailureKind, Presence};

use crate::support::cluster::Cluster;
use crate::support::environment;
use crate::support::manifests::making_bridges;

pub const OVER_ETH1: &str = "networks: [{name: lan, type: bridge, nodeNetwork: {uplink: eth1}}]";
const POLICY: &str = "NodeNetworkConfigurationPolicy";

fn managed(fields: &str) -> Cluster {
    let mut cluster = Cluster::new(fields);
    cluster.settings = making_bridges();
    cluster
}

/// A Wukong with a written NNCP that NMState is applying.
pub fn applying() -> Cluster {
    let mut cluster = managed(OVER_ETH1);
    cluster.live();
    cluster
}

fn policies(cluster: &Cluster) -> Vec<Value> {
    cluster.server.list(POLICY)
}

fn the_policy(cluster: &Cluster) -> String {
    let policies = policies(cluster);
    assert_eq!(policies.len(), 1, "{policies:#?}");
    policies[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

/// NMState reports this about an NNCP.
fn nmstate_says(cluster: &mut Cluster, policy: &str, condition: &str) {
    let conditions =
        json!([{"type": condition, "status": "True", "message": "1/2 nodes failed to configure"}]);
    let status = json!({"conditions": conditions});
    cluster
        .server
        .update_status("kubernetes-nmstate", POLICY, policy, status);
}

fn blocker(cluster: &Cluster) -> (String, String) {
    let blocker = cluster.status().blocker.unwrap();
    (blocker.reason, blocker.message)
}

fn condition(cluster: &Cluster) -> Option<(String, String)> {
    let conditions = cluster.status().conditions;
    let found = conditions
        .into_iter()
        .find(|it| it.type_ == "NodeNetworkReady")?;
    Some((found.status, found.reason))
}

fn somebody_s(name: &str, bridge: &str, port: &str) -> Value {
    json!({
        "apiVersion": "nmstate.io/v1", "kind": POLICY, "metadata": {"name": name},
        "spec": {"desiredState": {"interfaces": [
            {"name": bridge, "type": "linux-bridge", "state": "up", "bridge": {"port": [{"name": port}]}},
        ]}},
    })
}

#[test]
fn the_vm_waits_until_the_bridge_is_on_the_nodes() {
    let mut cluster = applying();
    let policy = the_policy(&cluster);
    assert!(cluster.vm().is_null());
    assert_eq!(blocker(&cluster).0, "Applying");
    assert_eq!(
        condition(&cluster),
        Some(("False".into(), "Applying".into()))
    );
    nmstate_says(&mut cluster, &policy, "Available");
    cluster.live();
    assert!(!cluster.vm().is_null());
    assert_eq!(cluster.status().blocker, None);
    assert!(
        cluster
            .status()
            .resources
            .iter()
            .any(|it| it.kind == POLICY)
    );
    cluster.done();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(
        cluster.done(),
        Vec::<String>::new(),
        "a restart writes nothing"
    );
}

#[test]
fn an_operator_that_may_not_touches_no_node() {
    let mut cluster = Cluster::new(OVER_ETH1);
    cluster.live();
    assert_eq!(policies(&cluster), Vec::<Value>::new());
    assert_eq!(
        condition(&cluster),
        Some(("True".into(), "NotManaged".into()))
    );
    assert_eq!(cluster.status().blocker, None);
}

#[test]
fn no_policy_is_written_that_would_cut_a_node_off() {
    let on = |uplink: &str, break_: fn(&mut Value)| {
        let nodes = environment::Cluster::healthy().change("NodeNetworkState", "worker-2", break_);
        let mut cluster = managed(&OVER_ETH1.replace("eth1", uplink)).within(&nodes);
        cluster.live();
        let (reason, message) = blocker(&cluster);
        assert_eq!(reason, "WouldIsolateNode", "{message}");
        assert!(message.contains("worker-2"), "{message}");
        assert_eq!(policies(&cluster), Vec::<Value>::new());
        assert!(cluster.vm().is_null());
        // The addresses were moved away.
        let mut cluster = cluster.within(&environment::Cluster::healthy());
        cluster.live();
        the_policy(&cluster);
    };
    on("eth0", |state| {
        state["status"]["currentState"]["interfaces"] = json!([
            {"name": "eth0", "type": "ethernet", "ipv6": {"address": [{"ip": "fe80::1"}, {"ip": "fd00::5"}]}},
        ]);
    });
    on("eth0", |state| {
        state["status"]["currentState"]["routes"] =
            json!({"running": [{"destination": "::/0", "next-hop-interface": "eth0"}]});
    });
    // The bridge is there already, with the node's address, which the policy would take away.
    on("eth1", |state| {
        state["status"]["currentState"]["interfaces"] = json!([
            {"name": "br-lan", "type": "linux-bridge", "bridge": {"port": [{"name": "eth1"}]},
             "ipv4": {"address": [{"ip": "10.0.0.5"}]}},
        ]);
    });
    // A bond lives on it.
    on("eth2", |state| {
        state["status"]["currentState"]["interfaces"] = json!([
            {"name": "bond0", "type": "bond", "link-aggregation": {"port": ["eth2", "eth3"]},
             "ipv4": {"address": [{"ip": "10.0.0.5"}]}},
        ]);
    });
}

#[test]
fn nodes_that_are_not_selected_are_not_judged() {
    let nodes = environment::Cluster::healthy().change("NodeNetworkState", "worker-2", |state| {
        state["status"]["currentState"]["routes"] =
            json!({"running": [{"destination": "0.0.0.0/0", "next-hop-interface": "eth1"}]});
    });
    let selecting = OVER_ETH1.replace(
        "eth1",
        "eth1, nodeSelector: {kubernetes.io/hostname: worker-1}",
    );
    let mut cluster = managed(&selecting).within(&nodes);
    cluster.live();
    the_policy(&cluster);
}

#[test]
fn what_cannot_be_seen_is_not_risked() {
    for kind in ["NodeNetworkState", "Node"] {
        let blind = environment::Cluster::healthy().presence(kind, Presence::Forbidden);
        let mut cluster = managed(OVER_ETH1).within(&blind);
        cluster.live();
        assert_eq!(policies(&cluster), Vec::<Value>::new(), "{kind}");
        let (reason, message) = blocker(&cluster);
        assert_eq!(reason, "NotPermitted", "{kind}: {message}");
        assert!(message.contains(kind), "{message}");
    }
}

#[test]
fn who_was_first_keeps_the_bridge() {
    for (bridge, port) in [("br-lan", "eth2"), ("br-other", "eth1")] {
        let mut cluster = managed(OVER_ETH1);
        cluster
            .server
            .create("kubectl", somebody_s("theirs", bridge, port));
        cluster.live();
        let (reason, message) = blocker(&cluster);
        assert_eq!(reason, "ApplyConflict", "{message}");
        assert!(message.contains("theirs"), "{message}");
        assert_eq!(policies(&cluster).len(), 1);
        cluster.server.delete(POLICY, "theirs");
        cluster.live();
        the_policy(&cluster);
    }
    // A Wukong that requires the same bridge, or another one, does not conflict.
    for (bridge, port) in [("br-lan", "eth1"), ("br-other", "eth2")] {
        let mut cluster = managed(OVER_ETH1);
        cluster
            .server
            .create("kubectl", somebody_s("theirs", bridge, port));
        cluster.live();
        assert_eq!(policies(&cluster).len(), 2);
    }
}

#[test]
fn a_policy_of_somebody_else_s_under_our_name_is_left_alone() {
    let name = the_policy(&applying());
    let mut cluster = managed(OVER_ETH1);
    let theirs = cluster
        .server
        .create("kubectl", somebody_s(&name, "br-lan", "eth1"));
    cluster.live();
    assert_eq!(blocker(&cluster).0, "NameConflict");
    assert_eq!(policies(&cluster), [theirs]);
}

#[test]
fn a_failure_is_reported_with_its_node_and_heals() {
    let mut cluster = applying();
    let policy = the_policy(&cluster);
    nmstate_says(&mut cluster, &policy, "Degraded");
    let enactment = |status: &str| {
        wukong_engine::facts::EnactmentFact::project(&json!({
            "metadata": {"name": format!("worker-1.{policy}"), "uid": "e", "resourceVersion": status.len().to_string(),
                "labels": {"nmstate.io/policy": policy, "nmstate.io/node": "worker-1"}},
            "status": {"conditions": [{"type": "Failing", "status": status, "message": "no device\neth1"}]},
        }))
    };
    // The bridge is on no node.
    let bare = environment::Cluster::healthy().change("NodeNetworkState", "worker", |state| {
        state["status"]["currentState"]["interfaces"] = json!([]);
    });
    let mut cluster = cluster.within(&bare);
    cluster
        .environment
        .enactments
        .replace(vec![enactment("True")]);
    cluster.live();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "Degraded");
    assert!(message.contains("worker-1: no device eth1"), "{message}");
    assert!(cluster.vm().is_null());
    nmstate_says(&mut cluster, &policy, "Available");
    cluster
        .environment
        .enactments
        .replace(vec![enactment("False")]);
    cluster.live();
    assert_eq!(cluster.status().blocker, None);
    assert!(!cluster.vm().is_null());
}

#[test]
fn a_bridge_that_some_nodes_lack_is_good_enough_for_a_vm_on_the_others() {
    let mut cluster = applying();
    let policy = the_policy(&cluster);
    nmstate_says(&mut cluster, &policy, "Degraded");
    cluster.live();
    assert_eq!(cluster.status().blocker, None);
    assert!(!cluster.vm().is_null());
}

#[test]
fn a_policy_that_somebody_changes_is_repaired_and_stays_when_its_wukong_goes() {
    let mut cluster = applying();
    let policy = the_policy(&cluster);
    nmstate_says(&mut cluster, &policy, "Available");
    cluster.live();
    let before = policies(&cluster)[0]["spec"].clone();
    cluster.server.update("kubectl", POLICY, &policy, |policy| {
        policy["spec"]["desiredState"]["interfaces"][0]["state"] = json!("absent");
    });
    cluster.live();
    assert_eq!(policies(&cluster)[0]["spec"], before);
    cluster.server.delete("Wukong", "web");
    the_policy(&cluster);
}

#[test]
fn a_rejection_is_reported_in_the_words_of_the_server() {
    let mut cluster = managed(OVER_ETH1);
    let name = the_policy(&applying());
    let target = format!("{POLICY}/{name}");
    cluster
        .refusals
        .insert(target, (FailureKind::Denied, "only on weekdays"));
    cluster.live();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "ApplyConflict");
    assert!(message.contains("only on weekdays"), "{message}");
}
