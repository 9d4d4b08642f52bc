//! The controller in examples/controller does what its README says, with the operator's account.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Cluster, DEADLINE, Space, root, wukong};
use wukong_lab::cluster::audit::Request;
use wukong_lab::cluster::operator::USER;
use wukong_lab::cluster::programs;
use wukong_lab::cluster::wait::eventually;
use wukong_lab::{Operator, OperatorOptions, Progress};

const VM: &str = "VirtualMachine";
const CHILDREN: [(&str, &str); 3] = [
    ("DataVolume", "web.root"),
    ("Secret", "web.cloud-init"),
    (VM, "web"),
];

async fn controller(cluster: &Cluster) -> Operator {
    let example = programs::EXAMPLE.built(&Progress::stderr()).await.unwrap();
    let options = OperatorOptions::default().binary(example);
    cluster.operator_with(options).await
}

/// Waits until the VM is as `look` says.
async fn vm(space: &Space<'_>, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
    space
        .until(VM, "web", what, |vm| matches(vm).then(|| vm.clone()))
        .await
}

fn sockets(vm: &Value) -> &Value {
    &vm["spec"]["template"]["spec"]["domain"]["cpu"]["sockets"]
}

/// The children as the controller left them: an apply that changes anything changes its entry in `managedFields`.
async fn children(space: &Space<'_>) -> Vec<Value> {
    let mut children = Vec::new();
    for (kind, name) in CHILDREN {
        let object = space.get(kind, name).await;
        let metadata = &object["metadata"];
        let managers = metadata["managedFields"].as_array().unwrap();
        let applied = managers.iter().find(|entry| {
            entry["manager"] == "example-controller" && entry["operation"] == "Apply"
        });
        assert!(applied.is_some(), "{kind} {name}: {managers:?}");
        children.push(json!([
            kind,
            metadata["uid"],
            metadata["generation"],
            applied
        ]));
    }
    children
}

#[tokio::test]
async fn the_example_makes_a_vm_keeps_it_so_and_lets_it_go() {
    let cluster = Cluster::start("example-tests", &[]).await;
    let space = cluster.space("example").await;
    let first = controller(&cluster).await;
    space
        .apply(&wukong(
            "web",
            json!({"disks": [root()], "cloudInitUser": {"name": "me", "password": "tiger"}}),
        ))
        .await;
    vm(&space, "running", |vm| vm["status"]["ready"] == true).await;

    // A restarted operator applies all of it again. Nothing changes by it, and it settles.
    first.stop().await.unwrap();
    let before = children(&space).await;
    let (audit, mark) = (space.lab.audit(), space.mark());
    let second = controller(&cluster).await;
    eventually("it has applied the VM again", DEADLINE, async || {
        second.process().check().unwrap();
        let asked = space.requested_since(mark);
        match asked
            .clone()
            .writes()
            .resource("virtualmachines")
            .is_empty()
        {
            true => Err(asked),
            false => Ok(()),
        }
    })
    .await
    .unwrap();
    let its = |request: &Request| request.user == USER && request.is_write();
    audit
        .wait_quiet(mark, Duration::from_secs(2), DEADLINE, its)
        .await
        .unwrap();
    let asked = space.requested_since(mark);
    let as_it_was = asked
        .iter()
        .all(|request| request.verb == "patch" && request.code == 200);
    assert!(as_it_was, "{asked}");
    assert_eq!(children(&space).await, before);

    // The operator reverts edits and deletions of others, and applies the edits of the user.
    let edit = json!({"spec": {"template": {"spec": {"domain": {"cpu": {"sockets": 4}}}}}});
    assert_eq!(sockets(&space.merge(VM, "web", edit).await), 4);
    vm(&space, "repaired", |vm| *sockets(vm) == 1).await;
    let uid = space.get(VM, "web").await["metadata"]["uid"].clone();
    space.delete(VM, "web").await;
    vm(&space, "made again", |vm| {
        vm["status"]["ready"] == true && vm["metadata"]["uid"] != uid
    })
    .await;
    space.edit("web", json!({"cpu": 2})).await;
    vm(&space, "larger", |vm| *sockets(vm) == 2).await;

    // What goes with its Wukong stays away.
    space.delete("Wukong", "web").await;
    space.gone(VM, "web").await;
    second.stop().await.unwrap();
}
