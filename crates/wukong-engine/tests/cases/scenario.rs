//! A Wukong with its objects in a cluster, judged by `decide`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use wukong_api::Wukong;
use wukong_engine::facts::Fact;
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::{Decision, FailureKind, Memory, Observed, Store, World, decide};

use crate::cluster::{Cluster, NOW};

/// A Wukong, the objects of its VM, and the cluster.
pub struct Scenario {
    pub cluster: Cluster,
    pub objects: Vec<Value>,
    /// The API server's answer to every write.
    pub rejects: Option<(FailureKind, String)>,
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

impl Scenario {
    fn store<T: Fact>(&self, kind: &str) -> Store<T> {
        self.store_of(kind, |_| true)
    }

    fn store_of<T: Fact>(&self, kind: &str, keep: impl Fn(&Value) -> bool) -> Store<T> {
        let mut store = Store::default();
        let objects = self.objects.iter().filter(|object| object["kind"] == kind);
        store.replace(
            objects
                .filter(|object| keep(object))
                .map(T::project)
                .collect(),
        );
        store
    }

    fn wukong(&self) -> Wukong {
        let object = self
            .objects
            .iter()
            .find(|object| object["kind"] == "Wukong");
        Wukong::deserialize(object.unwrap()).unwrap()
    }

    /// What the operator decides, when it has queried pods and events.
    pub fn decision(&self) -> Decision {
        let now: Timestamp = NOW.parse().unwrap();
        let wukong = self.wukong();
        let world = World {
            virtual_machines: self.store("VirtualMachine"),
            instances: self.store("VirtualMachineInstance"),
            data_volumes: self.store("DataVolume"),
            claims: self.store("PersistentVolumeClaim"),
            nads: self.store("NetworkAttachmentDefinition"),
            snapshots: self.store("VolumeSnapshot"),
            data_sources: self.store("DataSource"),
            volumes: self.store("PersistentVolume"),
            vm_snapshots: self.store("VirtualMachineSnapshot"),
            vm_restores: self.store("VirtualMachineRestore"),
            migrations: self.store("VirtualMachineInstanceMigration"),
            wukong_snapshots: self.store("WukongSnapshot"),
            snapshot_schedules: self.store("WukongSnapshotSchedule"),
            wukong_restores: self.store("WukongRestore"),
            environment: self.cluster.environment(),
        };
        let related = RelatedNames::of(&wukong, &world);
        let mut children = Children {
            pods: self.store_of("Pod", |pod| related.has(name(pod), namespace(pod))),
            ..Children::default()
        };
        let events = self.objects.iter().filter(|object| {
            let about = object["involvedObject"]["name"]
                .as_str()
                .unwrap_or_default();
            object["kind"] == "Event" && related.has(about, namespace(object))
        });
        children.replace_events(events.map(Fact::project).collect());
        let mut memory = Memory::default();
        memory.record_queried(children, now);
        let judge = |memory: &Memory| {
            decide(&Observed {
                wukong: &wukong,
                world: &world,
                memory,
                settings: &self.cluster.settings,
                now,
            })
        };
        let Some((kind, answer)) = &self.rejects else {
            return judge(&memory);
        };
        let before = now - jiff::SignedDuration::from_mins(5);
        let decision = judge(&memory);
        for apply in decision.apply.iter().chain(&decision.apply_vm) {
            memory.record_failure(
                apply.target.clone(),
                apply.hash.clone(),
                *kind,
                answer.clone(),
                before,
                now,
            );
        }
        judge(&memory)
    }

    /// The Wukong `web` with an imported disk, and these objects of it.
    pub fn of(objects: Vec<Value>) -> Self {
        let mut all = vec![json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "web", "namespace": "default", "uid": "a1b2", "generation": 1, "creationTimestamp": "2026-08-01T11:40:00Z"},
            "spec": {"cpu": 2, "memory": "2Gi", "disks": [
                {"name": "root", "size": "20Gi", "storageClassName": "ceph-block", "image": "https://images.example.net/debian-12.qcow2"},
            ]},
        })];
        all.extend(objects);
        Self {
            cluster: Cluster::healthy(),
            objects: all,
            rejects: None,
        }
    }
}

/// Metadata of an object of `web`.
fn metadata(name: &str, owner: (&str, &str, &str)) -> Value {
    let (kind, owner, uid) = owner;
    json!({
        "name": name, "namespace": "default", "uid": format!("uid-{name}"), "creationTimestamp": "2026-08-01T11:41:00Z",
        "labels": {"vm.novasphere.dev/wukong": "web", "app.kubernetes.io/managed-by": "wukong-operator"},
        "ownerReferences": [{"apiVersion": "x/v1", "kind": kind, "name": owner, "uid": uid, "controller": true}],
    })
}

const BY_WUKONG: (&str, &str, &str) = ("Wukong", "web", "a1b2");

/// The DataVolume of the disk, in this phase and with this condition `Running`.
pub fn data_volume(phase: &str, reason: &str, message: &str) -> Value {
    json!({
        "kind": "DataVolume", "metadata": metadata("web.root", BY_WUKONG),
        "spec": {
            "source": {"http": {"url": "https://images.example.net/debian-12.qcow2"}},
            "storage": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "ceph-block"},
        },
        "status": {"phase": phase, "progress": "N/A", "restartCount": 0, "conditions": [
            {"type": "Running", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-08-01T11:50:00Z"},
        ]},
    })
}

/// The claim of the disk, in this phase and with these conditions.
pub fn claim(phase: &str, conditions: Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim", "metadata": metadata("web.root", ("DataVolume", "web.root", "uid-web.root")),
        "spec": {"storageClassName": "ceph-block", "resources": {"requests": {"storage": "20Gi"}}},
        "status": {"phase": phase, "capacity": {"storage": "20Gi"}, "conditions": conditions},
    })
}

/// The disk with its content.
pub fn filled() -> Vec<Value> {
    vec![
        data_volume("Succeeded", "Completed", "Import Complete"),
        claim("Bound", json!([])),
    ]
}

/// The VirtualMachine with these conditions.
pub fn vm(printable: &str, conditions: Value) -> Value {
    json!({
        "kind": "VirtualMachine", "metadata": metadata("web", BY_WUKONG), "spec": {"runStrategy": "Always"},
        "status": {"printableStatus": printable, "created": true, "conditions": conditions},
    })
}

/// The instance in this phase and with these conditions.
pub fn instance(phase: &str, conditions: Value) -> Value {
    json!({
        "kind": "VirtualMachineInstance", "metadata": metadata("web", ("VirtualMachine", "web", "uid-web")), "spec": {},
        "status": {"phase": phase, "nodeName": if phase == "Scheduling" { "" } else { "worker-1" }, "conditions": conditions},
    })
}

/// A pod with this status, on worker-1 unless it waits for a node.
pub fn pod(name: &str, status: Value) -> Value {
    let unplaced = status.get("conditions").is_some();
    json!({
        "kind": "Pod", "metadata": metadata(name, ("VirtualMachineInstance", "web", "uid-web")),
        "spec": {"nodeName": if unplaced { "" } else { "worker-1" }}, "status": status,
    })
}

/// A warning event about an object.
pub fn event(kind: &str, about: &str, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Event", "type": "Warning", "reason": reason, "message": message, "count": 4,
        "metadata": {"name": format!("{about}.{reason}"), "namespace": "default", "uid": format!("{reason}{message}")},
        "involvedObject": {"kind": kind, "name": about, "namespace": "default"},
        "firstTimestamp": "2026-08-01T11:50:00Z", "lastTimestamp": "2026-08-01T11:58:00Z",
    })
}
