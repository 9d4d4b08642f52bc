//! What is kept of objects.

use kube::CustomResourceExt;
use serde_json::{Value, json};
use wukong_api::{Bytes, Wukong};
use wukong_engine::facts::{CrdFact, DaemonSetFact, Fact, KubeVirtFact, NodeFact, QuotaFact};
use wukong_engine::{Presence, Store};

#[test]
fn devices_are_counted_as_quantities() {
    let node = NodeFact::project(&json!({"status": {
        "capacity": {"devices.kubevirt.io/kvm": "1k", "cpu": "8", "memory": "16Gi"},
        "allocatable": {"devices.kubevirt.io/kvm": "0", "cpu": "7910m", "memory": "15Gi", "intel.com/nics": "4"},
    }}));
    assert_eq!(node.capacity.device("devices.kubevirt.io/kvm"), 1000);
    assert_eq!(node.allocatable.device("devices.kubevirt.io/kvm"), 0);
    assert_eq!(node.allocatable.device("devices.kubevirt.io/tun"), 0);
    assert_eq!(node.allocatable.device("intel.com/nics"), 4);
    assert_eq!(
        (node.capacity.cpu_milli, node.allocatable.cpu_milli),
        (Some(8000), Some(7910))
    );
    assert_eq!(node.allocatable.memory, Some(Bytes(15 << 30)));
}

#[test]
fn a_node_stays_small_in_memory_whatever_is_written_on_it() {
    let labels: serde_json::Map<_, _> = (0..500)
        .map(|index| {
            (
                format!("cpu-feature.node.kubevirt.io/f{index}"),
                json!("true"),
            )
        })
        .chain([("kubevirt.io/schedulable".to_owned(), json!("true"))])
        .collect();
    let resources: serde_json::Map<_, _> = (0..500)
        .map(|index| (format!("vendor.com/d{index}"), json!("1")))
        .collect();
    let node = NodeFact::project(
        &json!({"metadata": {"labels": labels}, "status": {"allocatable": resources}}),
    );
    assert_eq!(node.labels.len(), 1);
    assert_eq!(node.allocatable.devices.len(), 64);
    // What is not kept is not judged.
    assert!(node.matches("cpu-feature.node.kubevirt.io/f1", "true"));
    assert!(!node.matches("zone", "a"));
}

#[test]
fn emulation_is_a_flag_and_nothing_else() {
    let emulates = |value| {
        KubeVirtFact::project(&json!({"spec": {"configuration": {"developerConfiguration": {"useEmulation": value}}}})).use_emulation
    };
    assert!(emulates(json!(true)));
    assert!(!emulates(json!("true")));
    assert!(!emulates(json!(null)));
}

#[test]
fn versions_are_compared_as_numbers() {
    let version = |text: &str| {
        KubeVirtFact::project(&json!({"status": {"observedKubeVirtVersion": text}})).minor_version()
    };
    assert_eq!(version("v1.10.0-rc.0"), Some((1, 10)));
    assert_eq!(version("1.9.2"), Some((1, 9)));
    assert_eq!(version("devel"), None);
    assert_eq!(version(""), None);
}

#[test]
fn quotas_count_cpu_in_thousandths() {
    let quota = QuotaFact::project(&json!({
        "spec": {"hard": {"requests.cpu": "1.5", "limits.cpu": "2500m", "pods": "3", "requests.storage": "1Ti"}},
        "status": {"used": {"requests.cpu": "700m", "pods": "4"}},
    }));
    let left = |resource: &str| quota.shares[resource].left();
    assert_eq!(left("requests.cpu"), 800);
    assert_eq!(left("limits.cpu"), 2500);
    assert_eq!(left("pods"), 0);
    assert_eq!(left("requests.storage"), 1 << 40);
    assert!(!quota.scoped);
    assert!(QuotaFact::project(&json!({"spec": {"scopes": ["BestEffort"]}})).scoped);
}

#[test]
fn objects_are_found_whatever_their_namespace() {
    let set = |namespace: &str, name: &str| {
        DaemonSetFact::project(
            &json!({"metadata": {"name": name, "namespace": namespace, "uid": name}}),
        )
    };
    let names = |store: &Store<DaemonSetFact>| -> Vec<String> {
        store.iter().map(|set| set.meta.name.to_string()).collect()
    };
    let mut store = Store::default();
    store.replace(vec![set("b", "two"), set("a", "one")]);
    assert!(store.insert(set("c", "three")));
    assert_eq!(names(&store), ["one", "two", "three"]);
    assert!(!store.remove("a", "one", "another uid"));
    assert!(store.remove("a", "one", "one"));
    assert_eq!(names(&store), ["two", "three"]);
    store.clear(Presence::Forbidden);
    assert_eq!(
        (names(&store), store.presence()),
        (Vec::new(), Presence::Forbidden)
    );
}

/// As the API server prunes: an object that it does not know goes as a whole, and where it keeps everything nothing is lost.
#[test]
fn what_a_definition_lacks_is_what_the_api_server_drops() {
    let lacking = |change: fn(&mut Value)| {
        let mut definition = serde_json::to_value(Wukong::crd()).unwrap();
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties";
        change(definition.pointer_mut(schema).unwrap());
        CrdFact::project(&definition).lacking
    };
    let none: [&str; 0] = [];
    assert_eq!(lacking(|_| ()), none);
    assert_eq!(
        lacking(|all| drop(
            all["spec"]["properties"]
                .as_object_mut()
                .unwrap()
                .remove("networks")
        )),
        ["spec.networks"]
    );
    assert_eq!(
        lacking(|all| all["spec"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
        none
    );
    assert_eq!(
        lacking(|all| all["spec"]["properties"]["later"] = json!({"type": "string"})),
        none
    );
    assert_eq!(CrdFact::project(&json!({})).lacking, none);
}

/// The cache keeps seven of these facts and more for each VM. A field that makes one larger is stored in another form, or
/// the bound and the figures in docs/sizing.md change with it.
#[test]
fn the_facts_of_a_vm_are_compact() {
    use wukong_engine::facts::{
        ClaimFact, ConditionFact, DataVolumeFact, Meta, ObjectFact, VirtualMachineFact,
        VirtualMachineInstanceFact,
    };

    let sizes = [
        ("Meta", size_of::<Meta>(), 248),
        ("ConditionFact", size_of::<ConditionFact>(), 88),
        ("ObjectFact", size_of::<ObjectFact>(), 248),
        ("DataVolumeFact", size_of::<DataVolumeFact>(), 504),
        ("ClaimFact", size_of::<ClaimFact>(), 456),
        ("VirtualMachineFact", size_of::<VirtualMachineFact>(), 408),
        (
            "VirtualMachineInstanceFact",
            size_of::<VirtualMachineInstanceFact>(),
            704,
        ),
    ];
    for (fact, size, max) in sizes {
        assert!(size <= max, "{fact} has {size} bytes");
    }
}
