//! Clusters in the states that reasons stand for.

use jiff::SignedDuration;
use serde_json::{Value, json};
use wukong_api::WukongStatus;
use wukong_engine::facts::Fact;
use wukong_engine::{FailureKind, Presence};

use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;

pub const IMAGE: &str = "disks: [{name: root, size: 20Gi, image: 'https://images.lan/x.qcow2'}]";

/// A running VM with disks that the operator no longer observes.
pub fn hidden(presence: Presence) -> Cluster {
    let mut cluster = Cluster::running(IMAGE);
    cluster.unserved.insert("DataVolume", presence);
    cluster
}

/// A Wukong with a deleted VM, and with a deletion that waits for the rest.
pub fn deleted(fields: &str) -> Cluster {
    let mut cluster = Cluster::running(fields);
    cluster.server.update("kubectl", "Wukong", "web", |wukong| {
        wukong["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    });
    cluster.server.delete("Wukong", "web");
    cluster
        .server
        .update("virt-controller", "VirtualMachine", "web", |vm| {
            vm["metadata"]["finalizers"] = json!([]);
        });
    cluster.server.delete("VirtualMachine", "web");
    cluster
}

pub fn migratable(status: &str, reason: &str) -> Cluster {
    let condition = [("LiveMigratable", status, reason, "cannot migrate VMI")];
    let running =
        json!({"phase": "Running", "nodeName": "worker-1", "conditions": all(&condition)});
    changed("cpu: 1", "VirtualMachineInstance", "web", running)
}

/// A VM that does not start. An event of its pod names the cause.
pub fn waiting_with(event: &str, message: &str) -> Cluster {
    let mut cluster = instance("Scheduling", "Starting", &[]);
    let pod = "virt-launcher-web-x7k2p";
    cluster.children.replace_events(vec![Fact::project(&json!({
        "metadata": {"name": "e", "namespace": NAMESPACE, "uid": "e"},
        "type": "Warning", "reason": event, "message": message, "count": 3,
        "lastTimestamp": "2025-11-22T12:00:00Z", "involvedObject": {"kind": "Pod", "name": pod},
    }))]);
    cluster.children.pods.replace(vec![Fact::project(&json!({
        "metadata": {"name": pod, "namespace": NAMESPACE, "uid": "p", "labels": {"kubevirt.io": "virt-launcher"}},
        "status": {"phase": "Pending"},
    }))]);
    cluster.settle();
    // The operator queries the pods and events when the VM has waited for a while.
    cluster.now += SignedDuration::from_secs(10);
    cluster.pass();
    cluster.settle();
    cluster
}

/// One that runs, with this in the status of its instance.
pub fn running_with(more: Value) -> Cluster {
    let mut status = json!({"phase": "Running", "nodeName": "worker-1"});
    status
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    changed(IMAGE, "VirtualMachineInstance", "web", status)
}

pub fn edited(before: &str, after: &str) -> Cluster {
    let mut cluster = Cluster::running(before);
    cluster.edit(after);
    cluster
}

pub fn without(kind: &'static str, fields: &str) -> Cluster {
    let mut cluster = Cluster::new(fields);
    cluster.unserved.insert(kind, Presence::Missing);
    cluster.live();
    cluster
}

pub fn refused(fields: &str, target: &str, kind: FailureKind, message: &'static str) -> Cluster {
    let mut cluster = Cluster::new(fields);
    cluster.refusals.insert(target.to_owned(), (kind, message));
    cluster.pass();
    cluster
}

/// One that runs, and then an object has this status.
pub fn changed(fields: &str, kind: &str, name: &str, status: Value) -> Cluster {
    let mut cluster = Cluster::running(fields);
    cluster.server.update_status("test", kind, name, status);
    cluster
}

/// The status of a DataVolume in one of its phases. (An import on a CSI class shows an unbound claim to its end.)
pub fn import_status(phase: &str, ready: bool, running: &str) -> Value {
    let status = |yes: bool| if yes { "True" } else { "False" };
    json!({"phase": phase, "progress": if ready { "100.0%" } else { "N/A" }, "conditions": [
        {"type": "Bound", "status": status(ready), "reason": if ready { "Bound" } else { "Pending" }, "message": ""},
        {"type": "Ready", "status": status(ready), "reason": "", "message": ""},
        {"type": "Running", "status": status(running == "Pod is running"), "reason": running, "message": ""},
    ]})
}

/// A Wukong with a DataVolume that has this phase and these conditions (type, status, reason, message).
pub fn importing(phase: &str, conditions: &[(&str, &str, &str, &str)], more: Value) -> Cluster {
    importing_of(IMAGE, phase, conditions, more)
}

/// The same with these fields.
pub fn importing_of(
    fields: &str,
    phase: &str,
    conditions: &[(&str, &str, &str, &str)],
    more: Value,
) -> Cluster {
    let mut cluster = Cluster::new(fields);
    cluster.settle();
    cluster.step();
    let mut status = json!({"phase": phase, "conditions": all(conditions)});
    status
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    cluster
        .server
        .update_status("cdi-controller", "DataVolume", "web.root", status);
    cluster.settle();
    cluster
}

/// A Wukong with an instance that has this phase and these conditions, and a VM with this printable status.
pub fn instance(phase: &str, printable: &str, conditions: &[(&str, &str, &str, &str)]) -> Cluster {
    let mut cluster = changed(
        "cpu: 1",
        "VirtualMachine",
        "web",
        json!({"printableStatus": printable}),
    );
    let status = json!({"phase": phase, "conditions": all(conditions)});
    cluster
        .server
        .update_status("virt-controller", "VirtualMachineInstance", "web", status);
    cluster
}

pub fn unschedulable(message: &str) -> Cluster {
    instance(
        "Scheduling",
        "ErrorUnschedulable",
        &[("PodScheduled", "False", "Unschedulable", message)],
    )
}

pub fn all(conditions: &[(&str, &str, &str, &str)]) -> Value {
    let condition = |(kind, status, reason, message): &(&str, &str, &str, &str)| json!({"type": kind, "status": status, "reason": reason, "message": message});
    conditions.iter().map(condition).collect()
}

pub trait WithoutInstance {
    fn without_instance(self) -> Self;
}

impl WithoutInstance for Cluster {
    fn without_instance(mut self) -> Self {
        self.remove_instance();
        self
    }
}

/// The conditions and events in that cluster.
pub fn status_of(mut cluster: Cluster) -> WukongStatus {
    cluster.observe();
    cluster.decide().status
}
