//! A test of a controller that has nothing to do with Wukong: it makes one VM for each ConfigMap with a label, and says in
//! an annotation how the VM does.

use serde_json::{Value, json};
use wukong_sim::Cluster;
use wukong_sim::admission::Denial;
use wukong_sim::field::Field;
use wukong_sim::kind::{Kind, Ref};

const STATE: &str = "example.com/state";

/// The controller: what is missing is made, and the state of the VM is written where the user looks for it.
fn reconcile(cluster: &mut Cluster, order: &Ref) -> Result<(), Denial> {
    let Ref {
        namespace, name, ..
    } = order;
    let Some(vm) = cluster.get(Kind::Vm, namespace, name) else {
        return cluster.create(machine(namespace, name)).map(drop);
    };
    let status = Field::new("", vm).child("status");
    let why = status
        .child("conditions")
        .items()
        .find(|condition| condition.child("type").text() == "PodScheduled");
    let state = match why {
        Some(why) if why.child("status").text() == "False" => why.child("message").text(),
        _ => status.child("printableStatus").text(),
    };
    let patch = json!({"metadata": {"annotations": {STATE: state}}});
    cluster.patch(order, &patch)
}

fn machine(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"runStrategy": "Always", "template": {"spec": {
            "domain": {
                "cpu": {"cores": 1}, "memory": {"guest": "1Gi"},
                "devices": {
                    "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                    "interfaces": [{"name": "default", "masquerade": {}}],
                },
            },
            "networks": [{"name": "default", "pod": {}}],
            "volumes": [{"name": "root", "containerDisk": {"image": "quay.io/containerdisks/fedora:41"}}],
        }}},
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut cluster = Cluster::installed("2026-01-01T00:00:00Z".parse()?, 1, &["node-1"]);
    let node = Ref::new(Kind::Node, "", "node-1");
    let order = cluster.create(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"},
    }))?;

    // A node without /dev/kvm: its device plugin offers none, and the scheduler says so.
    cluster.scenario(&node, "no-kvm")?;
    let expected = "0/1 nodes are available: 1 Insufficient devices.kubevirt.io/kvm. no new claims to deallocate, \
                    preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    assert_eq!(state_after(&mut cluster, &order, 30)?, expected);

    // The file comes back, and the VM runs.
    cluster.scenario(&node, "")?;
    assert_eq!(state_after(&mut cluster, &order, 30)?, "Running");
    println!("the controller passes its test");
    Ok(())
}

/// What the controller says after some time.
fn state_after(cluster: &mut Cluster, order: &Ref, paces: u32) -> Result<String, Denial> {
    for _ in 0..paces {
        reconcile(cluster, order)?;
        cluster.advance(1);
    }
    let order = cluster.get(order.kind, &order.namespace, &order.name);
    let annotations = order.map(|order| Field::new("", order).at("metadata.annotations"));
    Ok(annotations.map_or(String::new(), |all| all.child(STATE).text().to_owned()))
}

#[test]
fn the_example_holds() {
    main().unwrap();
}
