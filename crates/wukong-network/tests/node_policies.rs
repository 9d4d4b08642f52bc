//! Node network policies.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod common;

use common::{with_network, wukong};
use insta::assert_yaml_snapshot;
use wukong_network::node_policies;

fn name(network: &str) -> String {
    let policies = node_policies(&with_network(network));
    assert_eq!(policies.len(), 1, "{network}");
    policies[0].metadata.name.clone().unwrap()
}

#[test]
fn a_linux_bridge_is_a_trunk_over_its_uplink() {
    assert_yaml_snapshot!(node_policies(&with_network(
        "{name: lan, type: bridge, vlanId: 100, nodeNetwork: {uplink: eth1, nodeSelector: {node-role.kubernetes.io/worker: ''}}}"
    )));
}

#[test]
fn an_open_vswitch_bridge_has_no_addresses_to_switch_off() {
    assert_yaml_snapshot!(node_policies(&with_network(
        "{name: lan, type: ovs, bridgeName: ovs0, nodeNetwork: {uplink: bond0}}"
    )));
}

#[test]
fn nothing_is_done_to_nodes_unasked() {
    let asking = "networks:\n- {name: lan, type: bridge, nodeNetwork: {uplink: eth1}}";
    let mut forbidden = wukong(asking);
    for nic in &mut forbidden.nics {
        nic.node_network.as_mut().unwrap().managed = false;
    }
    let unasked = wukong("networks:\n- {name: lan, type: bridge}\n- {name: eth1, type: macvlan}");
    assert_eq!(node_policies(&unasked), []);
    assert_eq!(node_policies(&forbidden), []);
}

#[test]
fn all_who_ask_for_one_bridge_ask_for_one_object() {
    let node = "nodeNetwork: {uplink: eth1, nodeSelector: {rack: a}}";
    let one = wukong(&format!(
        "networks:\n- {{name: lan, type: bridge, vlanId: 7, mtu: 9000, {node}}}\n- {{name: dmz, type: bridge, bridgeName: br-lan, {node}}}"
    ));
    let mut other = wukong(&format!(
        "networks:\n- {{name: office, type: bridge, nadName: theirs, bridgeName: br-lan, {node}}}"
    ));
    other.identity.name = "db".into();
    other.identity.namespace = "bank".into();
    other.identity.uid = "another".into();
    assert_eq!(node_policies(&one).len(), 1);
    assert_eq!(node_policies(&one), node_policies(&other));
}

#[test]
fn whatever_differs_between_two_bridges_is_in_the_name() {
    let names = [
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth1}}",
        "{name: lan, type: ovs, nodeNetwork: {uplink: eth1}}",
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth2}}",
        "{name: lan, type: bridge, bridgeName: BR-LAN, nodeNetwork: {uplink: eth1}}",
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth1, nodeSelector: {a: b}}}",
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth1, nodeSelector: {a: b, c: d}}}",
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth1, nodeSelector: {a: ''}}}",
    ]
    .map(name);
    let mut distinct = names.to_vec();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}
