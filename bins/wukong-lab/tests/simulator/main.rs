//! The simulator against a real API server: what a client sees of it is what was seen of a real KubeVirt 1.9 and CDI 1.66.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod late;
mod machines;
mod power;
mod volumes;

use std::future::Future;

use futures::channel::oneshot;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use support::{Cluster, SCENARIO, Space, merge};

/// The cluster of all tests here; no operator runs in it.
async fn cluster() -> &'static Cluster {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| Cluster::start("simulator-tests", &[]))
        .await
}

async fn space(prefix: &str) -> Space<'static> {
    cluster().await.space(prefix).await
}

/// What an object shows, change by change, from before `act` until it shows `last`; repetitions are left out.
async fn shows(
    space: &Space<'_>,
    (kind, name): (&str, &str),
    show: impl Fn(&Value) -> String,
    last: &str,
    act: impl Future,
) -> Vec<String> {
    let (start, started) = oneshot::channel();
    let mut start = Some(start);
    let mut seen: Vec<String> = Vec::new();
    let watching = space.until(kind, name, last, |object| {
        if let Some(start) = start.take() {
            start.send(()).unwrap();
        }
        if object.is_null() {
            return None;
        }
        let shown = show(object);
        if seen.last() != Some(&shown) {
            seen.push(shown);
        }
        (seen.last().unwrap() == last).then_some(())
    });
    let acting = async {
        started.await.unwrap();
        act.await;
    };
    futures::join!(watching, acting);
    seen
}

fn data_volume(name: &str, class: &str, source: Value) -> Value {
    json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
        "metadata": {"name": name},
        "spec": {
            "source": source,
            "storage": {
                "storageClassName": class,
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        },
    })
}

fn image(name: &str, class: &str) -> Value {
    data_volume(
        name,
        class,
        json!({"http": {"url": "http://images.example.com/disk.qcow2"}}),
    )
}

/// A VM with one NIC on the pod network, and one disk that is the DataVolume of the VM's name.
fn virtual_machine(name: &str, strategy: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {"runStrategy": strategy, "template": {"metadata": {"labels": {"vm": name}}, "spec": {
            "domain": {
                "cpu": {"sockets": 1, "cores": 1, "threads": 1},
                "memory": {"guest": "1Gi"},
                "devices": {
                    "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                    "interfaces": [{"name": "default", "masquerade": {}, "macAddress": "02:00:00:00:00:01"}],
                },
            },
            "networks": [{"name": "default", "pod": {}}],
            "volumes": [{"name": "root", "dataVolume": {"name": name}}],
        }}},
    })
}

/// The same with another template.
fn with(mut vm: Value, template: Value) -> Value {
    merge(&mut vm["spec"]["template"]["spec"], template);
    vm
}

fn scenario(text: &str) -> Value {
    json!({"metadata": {"annotations": {SCENARIO: text}}})
}

fn printable(vm: &Value) -> String {
    vm["status"]["printableStatus"]
        .as_str()
        .unwrap_or("-")
        .to_owned()
}

async fn until_printable(space: &Space<'_>, name: &str, status: &str) -> Value {
    space
        .until("VirtualMachine", name, status, |vm| {
            (printable(vm) == status).then(|| vm.clone())
        })
        .await
}

/// A VM that runs from a blank disk.
async fn running(space: &Space<'_>, name: &str) -> Value {
    space
        .apply(&data_volume(name, "standard", json!({"blank": {}})))
        .await;
    space.apply(&virtual_machine(name, "Always")).await;
    until_ready(space, name).await
}

async fn until_ready(space: &Space<'_>, name: &str) -> Value {
    space
        .until("VirtualMachine", name, "ready", |vm| {
            let connected = support::condition(vm, "AgentConnected").0 == "True";
            (printable(vm) == "Running" && connected).then(|| vm.clone())
        })
        .await
}
