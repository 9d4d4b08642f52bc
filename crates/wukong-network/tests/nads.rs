//! NetworkAttachmentDefinitions.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod common;

use common::{all, with_network, wukong};
use insta::assert_yaml_snapshot;
use serde_json::{Value, json};
use wukong_network::nad::RESOURCE_NAME;
use wukong_network::{NetworkAttachmentDefinition, nads};

fn definition(network: &str) -> NetworkAttachmentDefinition {
    let wukong = with_network(network);
    let mut nads = nads(&wukong, &all(&wukong));
    assert_eq!(nads.len(), 1, "{network}");
    nads.remove(0)
}

fn config(definition: &NetworkAttachmentDefinition) -> Value {
    serde_json::from_str(&definition.spec.config).unwrap()
}

fn resource(definition: &NetworkAttachmentDefinition) -> Option<&str> {
    let annotations = definition.metadata.annotations.as_ref()?;
    annotations.get(RESOURCE_NAME).map(String::as_str)
}

#[test]
fn bridge() {
    assert_yaml_snapshot!(definition(
        "{name: lan, type: bridge, bridgeName: br-lan, vlanId: 100, mtu: 9000, resourceName: bridge.network.kubevirt.io/br-lan}"
    ));
}

#[test]
fn ovs() {
    assert_yaml_snapshot!(definition("{name: lan, type: ovs, vlanId: 100, mtu: 9000}"));
}

#[test]
fn sriov() {
    assert_yaml_snapshot!(definition(
        "{name: fast, type: sriov, vlanId: 100, resourceName: intel.com/sriov_net}"
    ));
}

#[test]
fn macvlan() {
    assert_yaml_snapshot!(definition(
        "{name: eth1, type: macvlan, vlanId: 100, mtu: 1400}"
    ));
}

#[test]
fn what_is_not_asked_for_is_not_rendered() {
    let table = [
        (
            "{name: lan, type: bridge}",
            json!({"type": "bridge", "bridge": "br-lan", "disableContainerInterface": true}),
        ),
        (
            "{name: lan, type: ovs}",
            json!({"type": "ovs", "bridge": "br-lan"}),
        ),
        (
            "{name: fast, type: sriov, resourceName: intel.com/net}",
            json!({"type": "sriov"}),
        ),
        ("{name: eth1, type: macvlan}", json!({"type": "macvtap"})),
    ];
    for (network, mut expected) in table {
        let definition = definition(network);
        expected["cniVersion"] = json!("0.3.1");
        expected["name"] = json!(definition.metadata.name);
        assert_eq!(config(&definition), expected, "{network}");
    }
}

#[test]
fn the_vlan_is_the_only_one_on_a_bridge_port() {
    let config = config(&definition("{name: lan, type: bridge, vlanId: 7}"));
    assert_eq!(config["vlan"], 7);
    assert_eq!(config["preserveDefaultVlan"], false);
}

#[test]
fn resources() {
    let long = "a".repeat(60);
    let table = [
        ("{name: lan, type: bridge}".to_owned(), None),
        ("{name: lan, type: ovs}".to_owned(), None),
        (
            "{name: lan, type: ovs, resourceName: ovs-cni.network.kubevirt.io/br-lan}".to_owned(),
            Some("ovs-cni.network.kubevirt.io/br-lan".to_owned()),
        ),
        (
            "{name: eth1, type: macvlan, resourceName: macvtap.network.kubevirt.io/dataplane}"
                .to_owned(),
            Some("macvtap.network.kubevirt.io/dataplane".to_owned()),
        ),
        (
            "{name: eth1, type: macvlan}".to_owned(),
            Some("macvtap.network.kubevirt.io/eth1".to_owned()),
        ),
        (
            "{name: eth1, type: macvlan, vlanId: 100}".to_owned(),
            Some("macvtap.network.kubevirt.io/eth1.100".to_owned()),
        ),
        (
            format!("{{name: {long}, type: macvlan, vlanId: 4094}}"),
            Some(format!(
                "macvtap.network.kubevirt.io/{}-08ec8f67",
                "a".repeat(54)
            )),
        ),
    ];
    for (network, expected) in table {
        assert_eq!(
            resource(&definition(&network)),
            expected.as_deref(),
            "{network}"
        );
    }
}

#[test]
fn a_network_that_exists_already_is_left_to_its_owner() {
    let wukong = wukong(
        "networks:\n- {name: a, type: bridge}\n- {name: b, type: bridge, nadName: shared}\n- {name: c, type: bridge}",
    );
    let labels: Vec<String> = nads(&wukong, &all(&wukong))
        .iter()
        .map(|definition| {
            definition.metadata.labels.as_ref().unwrap()["vm.novasphere.dev/network"].clone()
        })
        .collect();
    assert_eq!(labels, ["a", "c"]);
    assert_eq!(nads(&wukong, &[]), []);
}
