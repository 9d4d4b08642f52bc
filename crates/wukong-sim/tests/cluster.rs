//! The promises of the cluster in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use wukong_sim::Cluster;
use wukong_sim::kind::{Kind, Ref};

fn cluster(seed: u64) -> Cluster {
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    Cluster::installed(start, seed, &["node-1", "node-2"])
}

fn data_volume(name: &str) -> Value {
    json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
    })
}

fn machine(disks: &[&str]) -> Value {
    let volume = |name: &&str| {
        let hotpluggable = *name != "root";
        json!({"name": name, "dataVolume": {"name": name, "hotpluggable": hotpluggable}})
    };
    let disk = |name: &&str| json!({"name": name, "disk": {"bus": "virtio"}});
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": "vm", "namespace": "default"},
        "spec": {"runStrategy": "Always", "template": {"spec": {
            "domain": {"memory": {"guest": "1Gi"}, "devices": {
                "disks": disks.iter().map(disk).collect::<Vec<_>>(),
                "interfaces": [{"name": "default", "masquerade": {}}]}},
            "networks": [{"name": "default", "pod": {}}],
            "volumes": disks.iter().map(volume).collect::<Vec<_>>(),
        }}},
    })
}

fn vm() -> Ref {
    Ref::new(Kind::Vm, "default", "vm")
}

fn running(seed: u64) -> Cluster {
    let mut cluster = cluster(seed);
    cluster.create(data_volume("root")).unwrap();
    cluster.create(machine(&["root"])).unwrap();
    assert!(cluster.settle(200));
    cluster
}

#[test]
fn the_same_calls_give_the_same_objects() {
    let shown = |seed| {
        let cluster = running(seed);
        let objects = Kind::ALL.into_iter().flat_map(|kind| {
            let all = cluster.world().refs(kind);
            all.map(|at| {
                cluster
                    .get(kind, &at.namespace, &at.name)
                    .unwrap()
                    .to_string()
            })
            .collect::<Vec<_>>()
        });
        objects.collect::<Vec<_>>()
    };
    assert_eq!(shown(1), shown(1));
    assert_ne!(shown(1), shown(2), "the seed decides the uids");
}

#[test]
fn what_is_deleted_takes_along_what_it_owns() {
    let mut cluster = running(1);
    cluster.delete(&vm());
    cluster.delete(&Ref::new(Kind::DataVolume, "default", "root"));
    cluster.settle(100);
    for kind in [
        Kind::Vm,
        Kind::Vmi,
        Kind::Pod,
        Kind::DataVolume,
        Kind::Claim,
    ] {
        let left: Vec<&Ref> = cluster
            .world()
            .refs(kind)
            .filter(|at| at.namespace == "default")
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_quota_counts_the_pod_that_attaches_a_volume() {
    let mut cluster = running(1);
    cluster
        .create(json!({"apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": "team", "namespace": "default"}, "spec": {"hard": {"pods": "1"}}}))
        .unwrap();
    let quota = Ref::new(Kind::ResourceQuota, "default", "team");
    let pods = |count: &str| json!({"spec": {"hard": {"pods": count}}});
    cluster.patch(&quota, &pods("2")).unwrap();
    cluster.create(data_volume("more")).unwrap();
    assert!(cluster.settle(300));
    cluster.patch(&quota, &pods("1")).unwrap();
    let spec = machine(&["root", "more"])["spec"].clone();
    cluster.patch(&vm(), &json!({"spec": spec})).unwrap();
    cluster.advance(30);
    let phase = |cluster: &Cluster| {
        let vmi = cluster.get(Kind::Vmi, "default", "vm").unwrap();
        vmi["status"]["volumeStatus"][0]["phase"].clone()
    };
    assert_eq!(phase(&cluster), "Pending");
    cluster.patch(&quota, &pods("2")).unwrap();
    cluster.advance(40);
    assert_eq!(phase(&cluster), "Ready");
}

#[test]
fn what_the_api_server_refuses() {
    let mut cluster = cluster(1);
    let mut elsewhere = data_volume("root");
    elsewhere["metadata"]["namespace"] = json!("nowhere");
    let words = |cluster: &mut Cluster, object| cluster.create(object).unwrap_err().0;
    assert_eq!(
        words(&mut cluster, elsewhere),
        "namespaces \"nowhere\" not found"
    );
    cluster.create(data_volume("root")).unwrap();
    assert_eq!(
        words(&mut cluster, data_volume("root")),
        "datavolumes \"root\" already exists"
    );
    let mut bad = machine(&["root"]);
    bad["spec"]["template"]["spec"]["domain"]["devices"]["disks"][0]["disk"]["bus"] = json!("ide");
    let refused = words(&mut cluster, bad);
    assert!(
        refused.starts_with(
            "admission webhook \"virtualmachine-validator.kubevirt.io\" denied the request: "
        ),
        "{refused}"
    );
}
