//! Bridges that NMState makes on nodes for Wukongs, without cutting a node off.
//!
//! Each test has nodes and bridges of its own.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use wukong_lab::Operator;
use wukong_lab::cluster::wait::eventually;

use super::{RACK, break_, heal, node, on_node};
use crate::support::plugin::{doctor, run};
use crate::support::{Cluster, DEADLINE, Space, condition, phase};
use crate::verdict::blocker;

const POLICY: &str = "NodeNetworkConfigurationPolicy";
const READY: &str = "NodeNetworkReady";

/// The cluster of an operator that makes bridges on nodes.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<(Cluster, Operator)> = OnceCell::const_new();
    let make = async || {
        let cluster = Cluster::start("bridge-tests", &[]).await;
        let operator = cluster.bridge_maker().await;
        (cluster, operator)
    };
    let (cluster, operator) = CLUSTER.get_or_init(make).await;
    operator.process().check().unwrap();
    cluster
}

/// A VM on this node, with a NIC on a bridge that is to be made there.
fn on_bridge(name: &str, node: &str, bridge: &str, uplink: &str) -> Value {
    let nodes = json!({"uplink": uplink, "nodeSelector": {RACK: node}});
    let nic = json!({"name": "lan", "type": "bridge", "bridgeName": bridge, "nodeNetwork": nodes});
    on_node(name, node, json!({"networks": [nic]}))
}

/// The policies that make a bridge.
async fn policies(space: &Space<'_>, bridge: &str) -> Vec<Value> {
    let mut policies = space.list(POLICY).await;
    policies.retain(|policy| policy["spec"]["desiredState"]["interfaces"][0]["name"] == bridge);
    policies
}

/// The port of a bridge, as NMState sees it on a node.
fn port<'a>(state: &'a Value, bridge: &str) -> Option<&'a str> {
    let interfaces = state["status"]["currentState"]["interfaces"].as_array()?;
    let bridge = interfaces.iter().find(|it| it["name"] == bridge)?;
    bridge["bridge"]["port"][0]["name"].as_str()
}

#[tokio::test]
async fn an_operator_without_the_flag_changes_no_node() {
    let space = super::cluster().await.space("unmanaged").await;
    let asking = on_bridge("web", "none", "br-unmanaged", "eth1");
    let mut web = crate::support::wukong("web", json!({}));
    web["spec"]["networks"] = asking["spec"]["networks"].clone();
    space.apply(&web).await;
    let web = space
        .wukong("web", "running", |wukong| phase(wukong) == "Running")
        .await;
    let (status, reason, message) = condition(&web, READY);
    assert_eq!((status, reason), ("True", "NotManaged"), "{message}");
    assert!(message.contains("--manage-node-networks"), "{message}");
    assert!(policies(&space, "br-unmanaged").await.is_empty());
    let report = doctor(&space, &["web"]).await;
    assert!(report["blocker"].is_null(), "{report:#}");
}

#[tokio::test]
async fn a_vm_waits_for_its_bridge_and_gets_it() {
    let space = &cluster().await.space("bridge").await;
    node(space, "slow", "nmstate-hangs").await;
    space
        .apply(&on_bridge("web", "slow", "br-slow", "eth1"))
        .await;
    blocker(READY, "Applying", "*", "NMState makes br-slow over eth1")
        .is_named(space, "web")
        .await;
    assert!(space.get("VirtualMachine", "web").await.is_null());
    heal(space, "Node", "slow").await;
    let web = space.running("web").await;
    let state = space
        .until("NodeNetworkState", "slow", "with the bridge", |state| {
            port(state, "br-slow").map(str::to_owned)
        })
        .await;
    assert_eq!(state, "eth1");
    let [policy] = &policies(space, "br-slow").await[..] else {
        panic!("one policy")
    };
    assert!(policy["metadata"]["ownerReferences"].is_null());
    let name = &policy["metadata"]["name"];
    let resources = web["status"]["resources"].as_array().unwrap();
    assert!(
        resources
            .iter()
            .any(|it| it["kind"] == POLICY && it["name"] == *name)
    );

    // The operator reverts changes of other writers.
    let absent = json!([{"op": "replace", "path": "/spec/desiredState/interfaces/0/state", "value": "absent"}]);
    let name = name.as_str().unwrap();
    space.json_patch(POLICY, name, absent).await;
    space
        .until(POLICY, name, "repaired", |policy| {
            let interface = &policy["spec"]["desiredState"]["interfaces"][0];
            (interface["state"] == "up").then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_node_on_which_nmstate_fails_is_named_until_it_is_mended() {
    let space = &cluster().await.space("degraded").await;
    node(space, "broken", "nmstate-fails=no such device eth1").await;
    space
        .apply(&on_bridge("web", "broken", "br-broken", "eth1"))
        .await;
    let words = "broken: no such device eth1";
    blocker(READY, "Degraded", "*", words)
        .is_named(space, "web")
        .await;
    heal(space, "Node", "broken").await;
    space.running("web").await;
}

#[tokio::test]
async fn no_node_loses_its_own_address() {
    let space = &cluster().await.space("isolated").await;
    node(space, "single", "address-on=eth1").await;
    space
        .until("NodeNetworkState", "single", "seen", |state| {
            state["status"]["currentState"].is_object().then_some(())
        })
        .await;
    space
        .apply(&on_bridge("web", "single", "br-single", "eth1"))
        .await;
    blocker(
        READY,
        "WouldIsolateNode",
        "Node/single",
        "single: eth1 carries 10.0.",
    )
    .is_named(space, "web")
    .await;
    assert!(policies(space, "br-single").await.is_empty());
    assert!(space.get("VirtualMachine", "web").await.is_null());
    let (code, checks, _) = {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("web.json");
        let web = on_bridge("other", "single", "br-single", "eth1");
        std::fs::write(&file, web.to_string()).unwrap();
        let file = file.to_str().unwrap();
        run(space, &["preflight", "--manage-node-networks", "-f", file]).await
    };
    assert!(code == 1 && checks.contains("cut off"), "{checks}");
    // The address is moved to another NIC.
    heal(space, "Node", "single").await;
    space.running("web").await;
}

#[tokio::test]
async fn one_bridge_is_shared_by_all_who_ask_for_it_and_stays_when_they_go() {
    let cluster = cluster().await;
    let spaces = [cluster.space("one").await, cluster.space("other").await];
    node(&spaces[0], "shared", "").await;
    for space in &spaces {
        space
            .apply(&on_bridge("web", "shared", "br-shared", "eth1"))
            .await;
    }
    for space in &spaces {
        space.running("web").await;
    }
    let before = policies(&spaces[0], "br-shared").await;
    assert_eq!(before.len(), 1, "{before:#?}");
    for space in &spaces {
        space.delete("Wukong", "web").await;
        space.gone("VirtualMachine", "web").await;
    }
    let after = policies(&spaces[0], "br-shared").await;
    assert_eq!(after[0]["metadata"]["uid"], before[0]["metadata"]["uid"]);
}

#[tokio::test]
async fn the_first_wukong_keeps_the_bridge_and_the_other_reports_it() {
    let cluster = cluster().await;
    let (first, second) = (cluster.space("first").await, cluster.space("second").await);
    node(&first, "contested", "").await;
    first
        .apply(&on_bridge("web", "contested", "br-contested", "eth1"))
        .await;
    first.running("web").await;
    second
        .apply(&on_bridge("web", "contested", "br-contested", "eth2"))
        .await;
    let words = "br-contested over eth2 cannot be made";
    blocker(READY, "ApplyConflict", "*", words)
        .is_named(&second, "web")
        .await;
    assert_eq!(policies(&first, "br-contested").await.len(), 1);
    first.running("web").await;
    // A user deletes the first Wukong and its policy: the node keeps the bridge, and the second Wukong may have its own.
    first.delete("Wukong", "web").await;
    first.gone("Wukong", "web").await;
    let policy = policies(&first, "br-contested").await;
    let name = policy[0]["metadata"]["name"].as_str().unwrap();
    first.delete(POLICY, name).await;
    second.running("web").await;
}

#[tokio::test]
async fn a_stolen_token_asks_nmstate_for_bridges_only() {
    let space = &cluster().await.space("robbed").await;
    let theirs = json!({"apiVersion": "nmstate.io/v1", "kind": POLICY, "metadata": {"name": "theirs"},
        "spec": {"nodeSelector": {RACK: "none"}}});
    space.apply(&theirs).await;
    let client = space.lab.operator_client("thief").await.unwrap();
    let (resource, _) = crate::support::resource(POLICY);
    let policies: Api<DynamicObject> = Api::all_with(client, &resource);
    let port = json!([{"name": "eth1"}]);
    let bridge =
        json!({"name": "br0", "type": "linux-bridge", "state": "up", "bridge": {"port": port}});
    let with = |change: Value| {
        let mut bridge = bridge.clone();
        crate::support::merge(&mut bridge, change);
        json!({"nodeSelector": {RACK: "none"}, "desiredState": {"interfaces": [bridge]}})
    };
    let try_ = async |name: &str, spec: Value| {
        let ours = json!({"app.kubernetes.io/managed-by": "wukong-operator"});
        let policy = json!({"apiVersion": "nmstate.io/v1", "kind": POLICY,
            "metadata": {"name": name, "labels": ours}, "spec": spec});
        let params = PatchParams::apply("wukong-operator").force().dry_run();
        policies.patch(name, &params, &Patch::Apply(&policy)).await
    };
    // A new admission policy takes a moment to be heeded.
    let heeded = async || match try_("own", with(json!({"state": "absent"}))).await {
        Ok(_) => Err("admitted"),
        Err(_) => Ok(()),
    };
    eventually("the admission policy is heeded", DEADLINE, heeded)
        .await
        .unwrap();
    try_("own", with(json!({}))).await.unwrap();
    let mut more = with(json!({}));
    more["desiredState"]["routes"] = json!({"config": []});
    let mut captured = with(json!({}));
    captured["capture"] = json!({"a": "b"});
    for (name, spec) in [
        ("own", with(json!({"type": "ethernet", "bridge": null}))),
        ("own", with(json!({"ipv4": {"enabled": true}}))),
        (
            "own",
            with(json!({"bridge": {"port": [{"name": "eth1"}, {"name": "eth2"}]}})),
        ),
        ("own", more),
        ("own", captured),
        ("theirs", with(json!({}))),
    ] {
        let refusal = try_(name, spec.clone()).await.unwrap_err().to_string();
        assert!(
            refusal.contains("wukong-operator-makes-bridges"),
            "{spec}: {refusal}"
        );
    }
    space.delete(POLICY, "theirs").await;
}

#[tokio::test]
async fn a_policy_of_somebody_else_s_is_never_taken_over() {
    let space = &cluster().await.space("taken").await;
    node(space, "taken", "nmstate-hangs").await;
    // The name is known once a policy was made.
    space
        .apply(&on_bridge("first", "taken", "br-taken", "eth1"))
        .await;
    space.blocked("first", "Applying").await;
    let ours = policies(space, "br-taken").await.remove(0);
    let name = ours["metadata"]["name"].as_str().unwrap();
    space.delete("Wukong", "first").await;
    space.gone("Wukong", "first").await;
    space.delete(POLICY, name).await;
    space.gone(POLICY, name).await;
    let theirs = json!({"apiVersion": "nmstate.io/v1", "kind": POLICY, "metadata": {"name": name},
        "spec": {"nodeSelector": {RACK: "taken"}}});
    space.apply(&theirs).await;
    space
        .apply(&on_bridge("web", "taken", "br-taken", "eth1"))
        .await;
    blocker(
        "SpecValid",
        "NameConflict",
        "*",
        "was not made by the operator",
    )
    .is_named(space, "web")
    .await;
    let stored = space.get(POLICY, name).await;
    assert_eq!(stored["spec"], theirs["spec"]);
    break_(space, "Node", "taken", None).await;
    space.delete(POLICY, name).await;
    space.running("web").await;
}
