//! The scenarios: what a user does, and what has to come of it.

use anyhow::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::process::LEADER_ELECTION;
use super::resource::Kind;
use super::user::{RACK, User, condition, is_running};
use crate::value::{at, set};

/// A scenario.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub name: &'static str,
    /// What happens, for reports.
    pub about: &'static str,
    /// Flags of the operator.
    pub flags: &'static [&'static str],
    pub play: fn(User) -> BoxFuture<'static, Result<()>>,
}

/// All scenarios.
pub(super) const ALL: [Scenario; 12] = [
    Scenario {
        name: "create",
        about: "a Wukong with a NIC, two disks and a user is created",
        flags: &[],
        play: |user| create(user).boxed(),
    },
    Scenario {
        name: "restart",
        about: "an edit restarts the VM",
        flags: &[],
        play: |user| restart(user).boxed(),
    },
    Scenario {
        name: "grow",
        about: "a disk grows",
        flags: &[],
        play: |user| grow(user).boxed(),
    },
    Scenario {
        name: "nic",
        about: "a NIC is added to the running VM and removed, and the VM restarts",
        flags: &[],
        play: |user| nic(user).boxed(),
    },
    Scenario {
        name: "power",
        about: "the VM is paused, resumed, stopped and started",
        flags: &[],
        play: |user| power(user).boxed(),
    },
    Scenario {
        name: "delete",
        about: "a Wukong with retained and deleted disks is deleted",
        flags: &[],
        play: |user| delete(user).boxed(),
    },
    Scenario {
        name: "recreate",
        about: "a Wukong is deleted, and created again at once",
        flags: &[],
        play: |user| recreate(user).boxed(),
    },
    Scenario {
        name: "drift",
        about: "a user changes and deletes children",
        flags: &[],
        play: |user| drift(user).boxed(),
    },
    Scenario {
        name: "conflict",
        about: "foreign objects have names of children, and go",
        flags: &[],
        play: |user| conflict(user).boxed(),
    },
    Scenario {
        name: "multus",
        about: "Multus is missing, comes, goes, and comes back",
        flags: &[],
        play: |user| multus(user).boxed(),
    },
    Scenario {
        name: "node-policy",
        about: "a bridge is created on a node",
        flags: &["--manage-node-networks"],
        play: |user| node_policy(user).boxed(),
    },
    Scenario {
        name: "leader",
        about: "the operator is elected and creates a Wukong",
        flags: &[LEADER_ELECTION, "--lease-seconds=3"],
        play: |user| create(user).boxed(),
    },
];

/// The scenario with this name.
pub(super) fn named(name: &str) -> Option<Scenario> {
    ALL.into_iter().find(|scenario| scenario.name == name)
}

/// A Wukong called `web` with this spec besides its CPU and memory.
fn web(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1",
        "kind": "Wukong",
        "metadata": {"name": "web"},
        "spec": {"cpu": 1, "memory": "64Mi"},
    });
    let fields = object.pointer_mut("/spec").and_then(Value::as_object_mut);
    if let (Some(fields), Value::Object(more)) = (fields, spec) {
        fields.extend(more);
    }
    object
}

fn root(size: &str) -> Value {
    json!({"name": "root", "size": size, "image": "http://images.example.com/disk.qcow2"})
}

fn lan() -> Value {
    json!({"name": "lan", "type": "bridge"})
}

/// A NIC, an imported disk, a blank disk and a user.
fn everything() -> Value {
    json!({
        "cloudInitUser": {"name": "me"},
        "networks": [lan()],
        "disks": [root("2Gi"), {"name": "data", "size": "1Gi"}],
    })
}

async fn create(user: User) -> Result<()> {
    user.apply(&web(everything())).await?;
    user.running("web").await?;
    Ok(())
}

async fn restart(user: User) -> Result<()> {
    let mut spec = everything();
    set(&mut spec, "restartApproval", json!("Automatic"));
    user.apply(&web(spec)).await?;
    let before = user.running("web").await?;
    user.edit("web", json!({"firmware": "UEFI"})).await?;
    let instance = at(&before, "/status/startedWith/instance");
    user.wukong("web", "running in a new instance", |wukong| {
        is_running(wukong) && at(wukong, "/status/startedWith/instance") != instance
    })
    .await?;
    Ok(())
}

async fn grow(user: User) -> Result<()> {
    user.apply(&web(json!({"disks": [root("2Gi")]}))).await?;
    user.running("web").await?;
    user.edit("web", json!({"disks": [root("3Gi")]})).await?;
    user.wukong("web", "grown", |wukong| {
        let volume = at(wukong, "/status/volumes/0");
        is_running(wukong)
            && at(volume, "/size") == "3Gi"
            && at(volume, "/requested") == at(volume, "/capacity")
            && condition(wukong, "VolumesBound") == "True"
    })
    .await?;
    Ok(())
}

/// Whether the guest has a second NIC with an address.
fn has_nic(wukong: &Value) -> bool {
    is_running(wukong) && at(wukong, "/status/networks/1/ipAddress").is_string()
}

/// Whether the guest has only the NIC on the pod network.
fn has_no_nic(wukong: &Value) -> bool {
    let networks = at(wukong, "/status/networks").as_array();
    at(wukong, "/status/phase") == "Running" && networks.is_some_and(|nics| nics.len() == 1)
}

async fn nic(user: User) -> Result<()> {
    user.apply(&web(json!({"disks": [root("2Gi")]}))).await?;
    user.running("web").await?;
    user.edit("web", json!({"networks": [lan()]})).await?;
    user.wukong("web", "with its NIC", has_nic).await?;
    user.edit("web", json!({"networks": []})).await?;
    user.wukong("web", "without its NIC", has_no_nic).await?;
    // The guest has it until it stops, and so long its definition stays.
    user.edit("web", json!({"powerState": "Stopped"})).await?;
    let nad = wukong_api::names::network_attachment_definition("web", "lan");
    user.gone(Kind::NetworkAttachmentDefinition, &nad).await?;
    user.edit("web", json!({"powerState": null})).await?;
    user.wukong("web", "running without its NIC", |wukong| {
        has_no_nic(wukong) && is_running(wukong)
    })
    .await?;
    Ok(())
}

async fn power(user: User) -> Result<()> {
    user.apply(&web(everything())).await?;
    user.running("web").await?;
    for (state, phase) in [
        (json!("Paused"), "Paused"),
        (json!("Running"), "Running"),
        (json!("Stopped"), "Stopped"),
        (json!(null), "Running"),
    ] {
        user.edit("web", json!({"powerState": state})).await?;
        user.wukong("web", phase, |wukong| {
            at(wukong, "/status/phase") == phase && condition(wukong, "Ready") == "True"
        })
        .await?;
    }
    Ok(())
}

/// A disk for each way in which a disk can stay or go with its Wukong.
fn disks() -> Value {
    json!([
        root("2Gi"),
        {"name": "data", "size": "1Gi"},
        {"name": "kept", "size": "1Gi", "image": "http://images.example.com/seed.qcow2", "reclaimPolicy": "Retain"},
        {"name": "scratch", "size": "1Gi", "reclaimPolicy": "Delete"},
    ])
}

async fn delete(user: User) -> Result<()> {
    let mut spec = everything();
    set(&mut spec, "disks", disks());
    user.apply(&web(spec)).await?;
    user.running("web").await?;
    user.delete(Kind::Wukong, "web").await?;
    user.gone(Kind::Wukong, "web").await?;
    for disk in ["web.root", "web.scratch"] {
        user.gone(Kind::DataVolume, disk).await?;
        user.gone(Kind::PersistentVolumeClaim, disk).await?;
    }
    user.gone(Kind::VirtualMachine, "web").await?;
    user.gone(Kind::VirtualMachineInstance, "web").await?;
    user.gone(Kind::Secret, "web.cloud-init").await?;
    let nad = wukong_api::names::network_attachment_definition("web", "lan");
    user.gone(Kind::NetworkAttachmentDefinition, &nad).await
}

async fn recreate(user: User) -> Result<()> {
    let mut spec = everything();
    set(&mut spec, "disks", disks());
    user.apply(&web(spec.clone())).await?;
    user.running("web").await?;
    user.delete(Kind::Wukong, "web").await?;
    user.gone(Kind::Wukong, "web").await?;
    user.apply(&web(spec)).await?;
    user.running("web").await?;
    Ok(())
}

async fn drift(user: User) -> Result<()> {
    user.apply(&web(everything())).await?;
    user.running("web").await?;
    let sockets = json!({
        "metadata": {"annotations": {"example.com/theirs": "stays"}},
        "spec": {"template": {"spec": {"domain": {"cpu": {"sockets": 3}}}}},
    });
    user.merge(Kind::VirtualMachine, "web", sockets).await?;
    user.until(Kind::VirtualMachine, "web", "repaired", |vm| {
        at(vm, "/spec/template/spec/domain/cpu/sockets") == 1
    })
    .await?;
    user.running("web").await?;
    let nad = wukong_api::names::network_attachment_definition("web", "lan");
    user.delete(Kind::NetworkAttachmentDefinition, &nad).await?;
    user.until(
        Kind::NetworkAttachmentDefinition,
        &nad,
        "made again",
        |nad| user.incarnations_of(nad) > 1,
    )
    .await?;
    user.delete(Kind::VirtualMachine, "web").await?;
    user.until(Kind::VirtualMachine, "web", "made again", |vm| {
        user.incarnations_of(vm) > 1
    })
    .await?;
    user.wukong("web", "running in the new VM", |wukong| {
        let instance = at(wukong, "/status/startedWith/instance").as_str();
        is_running(wukong) && instance.is_some() && user.is_current_instance("web", instance)
    })
    .await?;
    Ok(())
}

async fn conflict(user: User) -> Result<()> {
    let nad = wukong_api::names::network_attachment_definition("web", "lan");
    user.apply(&json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": nad}, "spec": {"config": "{}"},
    }))
    .await?;
    user.apply(&json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "metadata": {"name": "web.data"},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "3Gi"}}}},
    }))
    .await?;
    user.until(Kind::DataVolume, "web.data", "complete", |volume| {
        at(volume, "/status/phase") == "Succeeded"
    })
    .await?;
    user.apply(&web(everything())).await?;
    user.wukong("web", "blocked by the foreign objects", |wukong| {
        at(wukong, "/status/blocker/reason") == "NameConflict"
    })
    .await?;
    user.delete(Kind::NetworkAttachmentDefinition, &nad).await?;
    user.delete(Kind::DataVolume, "web.data").await?;
    user.running("web").await?;
    Ok(())
}

async fn multus(user: User) -> Result<()> {
    user.wire.hide_multus(true);
    user.apply(&web(everything())).await?;
    let degraded = |wukong: &Value| {
        at(wukong, "/status/blocker/reason") == "DegradedToPodNetwork" && has_no_nic(wukong)
    };
    user.wukong("web", "running without its NIC", degraded)
        .await?;
    user.wire.hide_multus(false);
    user.wukong("web", "running with its NIC", has_nic).await?;
    user.wire.hide_multus(true);
    user.wukong("web", "running while Multus is gone", |wukong| {
        at(wukong, "/status/phase") == "Running"
            && condition(wukong, "NetworksConfigured") != "True"
    })
    .await?;
    user.wire.hide_multus(false);
    user.wukong("web", "running with its NIC", has_nic).await?;
    Ok(())
}

async fn node_policy(user: User) -> Result<()> {
    let node = user.node().await?;
    let mut spec = everything();
    set(
        &mut spec,
        "networks",
        json!([{
            "name": "lan", "type": "bridge", "bridgeName": format!("br-{}", user.namespace),
            "nodeNetwork": {"uplink": "eth1", "nodeSelector": {RACK: node}},
        }]),
    );
    set(
        &mut spec,
        "highAvailability",
        json!({"nodeSelector": {RACK: node}}),
    );
    user.apply(&web(spec)).await?;
    user.running("web").await?;
    Ok(())
}
