//! NICs, with Multus and without.

use serde_json::{Value, json};
use wukong_api::names;
use wukong_api::status::Phase;
use wukong_engine::Presence;

use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;

const LAN: &str = "networks: [{name: lan, type: bridge}]";
const NAD: &str = "NetworkAttachmentDefinition";

fn nics(cluster: &Cluster) -> Vec<Value> {
    let vm = cluster.vm();
    let interfaces = vm["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"].as_array();
    interfaces
        .into_iter()
        .flatten()
        .map(|nic| nic["name"].clone())
        .collect()
}

fn reason(cluster: &Cluster) -> String {
    cluster.status().blocker.unwrap().reason
}

fn lan() -> String {
    names::network_attachment_definition("web", "lan")
}

#[test]
fn without_multus_the_vm_starts_on_the_pod_network_and_gets_its_nic_later() {
    let mut cluster = Cluster::new(LAN);
    cluster.unserved.insert(NAD, Presence::Missing);
    cluster.live();
    assert_eq!(nics(&cluster), ["pod-network"]);
    assert_eq!(cluster.status().phase, Some(Phase::Running));
    assert_eq!(reason(&cluster), "DegradedToPodNetwork");
    cluster.unserved.clear();
    cluster.live();
    assert_eq!(nics(&cluster), ["pod-network", "lan"]);
    assert_eq!(cluster.status().blocker, None);
    assert_eq!(cluster.server.list(NAD).len(), 1);
}

#[test]
fn without_multus_a_vm_that_must_not_degrade_waits() {
    for fields in [
        "networks: [{name: lan, type: bridge, onMissingMultus: Block}]",
        "networks: [{name: lan, type: bridge}], podNetwork: None",
    ] {
        let mut cluster = Cluster::new(fields);
        cluster.unserved.insert(NAD, Presence::Missing);
        cluster.live();
        assert!(cluster.vm().is_null(), "{fields}");
        assert_eq!(
            (reason(&cluster).as_str(), cluster.status().phase),
            ("MultusNotInstalled", Some(Phase::Pending))
        );
        cluster.unserved.clear();
        cluster.live();
        assert_eq!(cluster.status().phase, Some(Phase::Running), "{fields}");
    }
}

/// Without facts about NADs, it would be wrong to remove the NIC.
#[test]
fn definitions_that_the_operator_may_not_see_change_nothing() {
    let mut cluster = Cluster::running(LAN);
    cluster.unserved.insert(NAD, Presence::Forbidden);
    cluster.live();
    assert_eq!(cluster.done(), ["write status"]);
    assert_eq!(nics(&cluster), ["pod-network", "lan"]);
    assert_eq!(reason(&cluster), "NotPermitted");
}

/// Its pod would not start.
#[test]
fn a_vm_waits_for_a_definition_that_somebody_else_makes() {
    let mut cluster = Cluster::new("networks: [{name: lan, type: bridge, nadName: shared}]");
    cluster.live();
    assert!(cluster.vm().is_null());
    assert_eq!(reason(&cluster), "NADNotFound");
    cluster.server.create("kubectl", json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": NAD, "metadata": {"name": "shared", "namespace": NAMESPACE},
        "spec": {"config": "{}"},
    }));
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
    // It is never ours: it stays when the NIC goes.
    cluster.edit("cpu: 3");
    cluster.live();
    assert!(cluster.server.get(NAD, "shared").is_some());
}

#[test]
fn a_definition_goes_when_neither_the_vm_nor_its_guest_names_it() {
    let mut cluster = Cluster::running(LAN);
    cluster.edit("cpu: 2");
    cluster.settle();
    // The instance names it until the guest has lost its NIC, and the pod of a migration needs the definition.
    let pruned = format!("prune {NAD}/{}", lan());
    assert!(!cluster.done().contains(&pruned));
    assert_eq!(cluster.server.list(NAD).len(), 1);
    cluster.live();
    assert!(cluster.done().contains(&pruned));
    assert_eq!(cluster.server.list(NAD), [Value::Null; 0]);
}

#[test]
fn a_definition_that_only_looks_like_ours_is_not_pruned() {
    let mut cluster = Cluster::running(LAN);
    cluster.server.create(
        "kubectl",
        json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "other", "namespace": NAMESPACE, "uid": "another"},
        }),
    );
    for (name, owner) in [("mine", None), ("theirs", Some("another"))] {
        let owners = owner.map(|uid| json!([{"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "name": "web", "uid": uid, "controller": true}]));
        cluster.server.create("kubectl", json!({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": NAD,
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"vm.novasphere.dev/wukong": "web"}, "ownerReferences": owners},
            "spec": {"config": "{}"},
        }));
    }
    cluster.edit("cpu: 3");
    cluster.live();
    cluster.virtctl("restart");
    cluster.live();
    let left: Vec<_> = cluster
        .server
        .list(NAD)
        .iter()
        .map(|nad| nad["metadata"]["name"].clone())
        .collect();
    assert_eq!(left, ["mine", "theirs"]);
}

const FIXED: &str = "networks: [{name: lan, type: bridge, bridgeName: br-lan, vlanId: 5, macAddress: '02:00:00:00:00:01', ipConfig: {address: 10.0.0.5/24}}]";

/// Another Wukong of this age, in this namespace.
fn another(cluster: &mut Cluster, namespace: &str, made: &str, fields: &str) {
    cluster.server.create("kubectl", json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": "db", "namespace": namespace, "uid": "00-db", "creationTimestamp": made},
        "spec": crate::support::manifests::spec(fields),
    }));
}

/// A cluster with the Wukong `web`, made in 2025.
fn of_2025(fields: &str) -> Cluster {
    let mut cluster = Cluster::new(fields);
    cluster.server.update("kubectl", "Wukong", "web", |web| {
        web["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    });
    cluster
}

#[test]
fn a_vm_with_the_mac_of_an_older_one_is_not_made_before_that_goes() {
    for namespace in [NAMESPACE, "elsewhere"] {
        let mut cluster = of_2025(FIXED);
        another(&mut cluster, namespace, "2024-01-01T00:00:00Z", FIXED);
        cluster.live();
        assert!(cluster.vm().is_null());
        let status = cluster.status();
        let blocker = status.blocker.unwrap();
        assert_eq!(
            (blocker.reason.as_str(), status.phase),
            ("MACConflict", Some(Phase::Pending))
        );
        assert!(
            blocker
                .message
                .contains("02:00:00:00:00:01 on bridge br-lan, VLAN 5"),
            "{}",
            blocker.message
        );
        assert!(blocker.object.unwrap().ends_with("/db"));
        // The other takes another MAC, and its address away from us still.
        cluster.server.update("kubectl", "Wukong", "db", |db| {
            db["spec"]["networks"][0]["macAddress"] = json!("02:00:00:00:00:02");
        });
        cluster.live();
        assert_eq!(reason(&cluster), "IPConflict");
        assert!(cluster.vm().is_null());
        cluster.server.delete("Wukong", "db");
        cluster.live();
        assert_eq!(cluster.status().phase, Some(Phase::Running));
        assert_eq!(cluster.status().blocker, None);
    }
}

#[test]
fn the_older_one_reports_nothing_and_a_vm_that_runs_goes_on() {
    let mut older = of_2025(FIXED);
    another(&mut older, NAMESPACE, "2025-01-01T00:00:01Z", FIXED);
    older.live();
    assert_eq!(older.status().phase, Some(Phase::Running));
    assert_eq!(older.status().blocker, None);

    let mut younger = of_2025(FIXED);
    younger.live();
    younger.done();
    another(&mut younger, NAMESPACE, "2024-01-01T00:00:00Z", FIXED);
    younger.live();
    assert_eq!(younger.done(), ["write status"]);
    assert_eq!(younger.status().phase, Some(Phase::Running));
    assert_eq!(reason(&younger), "MACConflict");
}

/// One `kubectl apply` makes several in one second; the first of them has its VM before the other is observed.
#[test]
fn of_two_of_one_second_the_one_with_a_vm_was_first() {
    let mut cluster = of_2025(FIXED);
    cluster.live();
    another(&mut cluster, NAMESPACE, "2025-01-01T00:00:00Z", FIXED);
    cluster.live();
    assert_eq!(cluster.status().blocker, None, "its uid is the greater one");

    let mut cluster = of_2025(FIXED);
    another(&mut cluster, NAMESPACE, "2025-01-01T00:00:00Z", FIXED);
    cluster.live();
    assert_eq!(reason(&cluster), "MACConflict");
}

/// All devices of one resource lead to the same network, and so do the two ways to use one lower device.
#[test]
fn devices_of_one_resource_are_on_one_network() {
    let on = |network: &str| FIXED.replace("type: bridge, bridgeName: br-lan, vlanId: 5", network);
    let lower = |network: &str| on(network).replace("name: lan", "name: eth1");
    let function = "type: sriov, resourceName: intel.com/lan, vlanId: 5";
    let tap = "type: macvlan, resourceName: macvtap.network.kubevirt.io/eth1.5";
    for (mine, theirs, wire) in [
        (
            on(function),
            on(function),
            "resource intel.com/lan, VLAN 5 ",
        ),
        (
            on(tap),
            on(tap),
            "resource macvtap.network.kubevirt.io/eth1.5 ",
        ),
        (on(tap), lower("type: macvlan, vlanId: 5"), "eth1.5 "),
    ] {
        let mut cluster = of_2025(&mine);
        another(&mut cluster, "elsewhere", "2024-01-01T00:00:00Z", &theirs);
        cluster.live();
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(blocker.reason, "MACConflict", "{theirs}");
        assert!(blocker.message.contains(wire), "{}", blocker.message);
    }
    for (mine, theirs) in [
        (
            on(function),
            on(&function.replace("vlanId: 5", "vlanId: 6")),
        ),
        (
            on(function),
            on(&function.replace("intel.com/lan", "intel.com/dmz")),
        ),
        (on(tap), on(&tap.replace("eth1.5", "eth1"))),
        (on(tap), on("type: macvlan, nadName: lan")),
    ] {
        let mut cluster = of_2025(&mine);
        another(&mut cluster, NAMESPACE, "2024-01-01T00:00:00Z", &theirs);
        cluster.live();
        assert_eq!(cluster.status().blocker, None, "{theirs}");
    }
}

#[test]
fn what_is_on_another_network_or_derived_is_nobody_elses() {
    let others = [
        FIXED.replace("vlanId: 5", "vlanId: 6"),
        FIXED.replace("br-lan", "br-dmz"),
        FIXED.replace("bridgeName: br-lan, vlanId: 5", "nadName: lan"),
        FIXED.replace("type: bridge, bridgeName: br-lan, vlanId: 5", "type: sriov, resourceName: intel.com/lan"),
        "networks: [{name: lan, type: bridge, bridgeName: br-lan, vlanId: 5, ipConfig: {mode: dhcp}}]".into(),
    ];
    for fields in others {
        let mut cluster = of_2025(FIXED);
        another(&mut cluster, NAMESPACE, "2024-01-01T00:00:00Z", &fields);
        cluster.live();
        assert_eq!(cluster.status().blocker, None, "{fields}");
    }
}
