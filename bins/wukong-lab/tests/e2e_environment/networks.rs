//! Networks that keep a VM from running.

use serde_json::{Value, json};

use super::{cluster, faults_of_nodes};
use crate::support::plugin::run;
use crate::support::{root, wukong};
use crate::verdict::blocker;

fn nic(rest: Value) -> Value {
    let mut nic = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    crate::support::merge(&mut nic, rest);
    json!({"networks": [nic]})
}

#[tokio::test]
async fn a_node_whose_network_is_broken_is_named() {
    let space = &cluster().await.space("networks").await;
    let multus = blocker("EnvironmentReady", "MultusUnhealthy", "*", "multus");
    let bridge = blocker(
        "NodeNetworkReady",
        "BridgeMissingOnNodes",
        "*",
        "no bridge br-lan",
    );
    let mut with_disk = nic(json!({}));
    with_disk["disks"] = json!([root()]);
    let rows = [
        ("multus-broken", nic(json!({})), multus),
        ("no-bridge=br-lan", with_disk, bridge),
    ];
    faults_of_nodes(space, rows).await;
}

#[tokio::test]
async fn a_definition_that_somebody_else_has_to_make_is_named() {
    let space = &cluster().await.space("definitions").await;
    let theirs = nic(json!({"nadName": "theirs", "bridgeName": null}));
    space.apply(&wukong("web", theirs)).await;
    let missing = "there is no NetworkAttachmentDefinition theirs";
    let object = "NetworkAttachmentDefinition/theirs";
    blocker("DependenciesResolved", "NADNotFound", object, missing)
        .is_named(space, "web")
        .await;
}

#[tokio::test]
async fn an_address_that_another_vm_has_is_named_and_given_away() {
    let space = &cluster().await.space("addresses").await;
    let fixed = |mac: &str| nic(json!({"vlanId": 4000, "macAddress": mac}));
    let mac = "02:00:00:00:40:00";
    space.apply(&wukong("first", fixed(mac))).await;
    space.running("first").await;
    space.apply(&wukong("second", fixed(mac))).await;
    let part = "MAC 02:00:00:00:40:00 on bridge br-lan, VLAN 4000 belongs to Wukong first";
    blocker("NetworksConfigured", "MACConflict", "Wukong/first", part)
        .is_named(space, "second")
        .await;
    assert!(space.get("VirtualMachine", "second").await.is_null());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("third.json");
    std::fs::write(&file, wukong("third", fixed(mac)).to_string()).unwrap();
    let file = file.to_str().unwrap();
    for command in ["preflight", "plan"] {
        let (_, out, err) = run(space, &[command, "-f", file]).await;
        assert!(out.contains(part), "{command}: {out}{err}");
    }
    space.edit("first", fixed("02:00:00:00:40:01")).await;
    space.running("second").await;

    let address = |address: &str| nic(json!({"vlanId": 4001, "ipConfig": {"address": address}}));
    space.apply(&wukong("third", address("10.40.1.5/24"))).await;
    space.running("third").await;
    space
        .apply(&wukong("fourth", address("10.40.1.5/16")))
        .await;
    let part = "address 10.40.1.5 on bridge br-lan, VLAN 4001 belongs to Wukong third";
    blocker("NetworksConfigured", "IPConflict", "Wukong/third", part)
        .is_named(space, "fourth")
        .await;
    space.delete("Wukong", "third").await;
    space.running("fourth").await;
}
