//! The small worlds that are searched.

use serde_json::{Value, json};
use wukong_api::names;
use wukong_apiserver::server::NAMESPACE;

/// What a user does.
#[derive(Clone, Debug)]
pub enum Edit {
    /// Applies this spec to a Wukong, or creates it. No disk shrinks: the operator rejects that.
    Apply(&'static str, Value),
    /// Deletes an object.
    Delete(&'static str, String),
    /// Changes fields of an object as another manager.
    Merge(&'static str, &'static str, Value),
    /// `virtctl` on a VM.
    Virtctl(&'static str, &'static str),
    /// Creates an object of another owner, if its name is free.
    Create(Value),
}

/// A world: where it begins, and what may happen in it.
#[derive(Clone, Debug)]
pub struct World {
    pub name: &'static str,
    pub wukongs: Vec<&'static str>,
    pub operators: u8,
    /// What happens before the search begins, each to the end.
    pub before: Vec<Edit>,
    pub edits: Vec<Edit>,
    /// How many edits and faults a history has at most.
    pub edits_max: u8,
    pub faults_max: u8,
    /// Whether the end of the history before is where the search begins, or the moment after its last edit.
    pub settled: bool,
}

impl World {
    /// The names of the claims that stay when their Wukong goes.
    pub fn retained(&self) -> Vec<String> {
        let specs = self.before.iter().chain(&self.edits);
        let specs = specs.filter_map(|edit| match edit {
            Edit::Apply(name, spec) => Some((name, spec)),
            _ => None,
        });
        let of_spec = |(name, spec): (&&str, &Value)| -> Vec<String> {
            let disks = spec["disks"].as_array().into_iter().flatten();
            let retained = disks.filter(|disk| disk["reclaimPolicy"] == "Retain");
            let names = retained.map(|disk| names::claim(name, disk["name"].as_str().unwrap()));
            names.collect()
        };
        specs.flat_map(of_spec).collect()
    }
}

/// A VM with a disk that goes with it.
fn small() -> Value {
    json!({
        "cpu": 1, "memory": "1Gi",
        "disks": [{"name": "root", "size": "1Gi", "source": {"blank": {}}, "reclaimPolicy": "Delete"}],
    })
}

/// A VM with a disk that stays, and a network.
fn full() -> Value {
    json!({
        "cpu": 1, "memory": "1Gi",
        "disks": [
            {"name": "root", "size": "1Gi", "source": {"blank": {}}, "reclaimPolicy": "Delete"},
            {"name": "data", "size": "1Gi", "source": {"blank": {}}, "reclaimPolicy": "Retain"},
        ],
        "networks": [{"name": "lan", "type": "bridge", "bridgeName": "br0"}],
        "cloudInitUser": {"name": "web"},
    })
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

/// The full spec with a larger disk.
fn grown() -> Value {
    let mut spec = full();
    spec["disks"][1]["size"] = json!("2Gi");
    spec
}

fn without_data() -> Value {
    let mut spec = full();
    spec["disks"].as_array_mut().unwrap().pop();
    spec
}

fn without_network() -> Value {
    with(full(), "networks", json!([]))
}

const VM: &str = "VirtualMachine";
const NAD: &str = "NetworkAttachmentDefinition";

fn foreign(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "spec": spec,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"team": "other"}},
    })
}

fn drift() -> Value {
    json!({
        "metadata": {"labels": {"team": "shop"}},
        "spec": {"template": {"spec": {"domain": {"memory": {"guest": "3Gi"}}}}},
    })
}

fn delete(kind: &'static str, name: &str) -> Edit {
    Edit::Delete(kind, name.to_owned())
}

/// The NetworkAttachmentDefinition of the network.
fn lan() -> String {
    names::network_attachment_definition("web", "lan")
}

/// All worlds.
pub fn all() -> Vec<World> {
    let world = |name| World {
        name,
        wukongs: vec!["web"],
        operators: 2,
        before: Vec::new(),
        edits: Vec::new(),
        edits_max: 2,
        faults_max: 1,
        settled: true,
    };
    let web = |spec| Edit::Apply("web", spec);
    vec![
        World {
            before: vec![web(small())],
            settled: false,
            edits: vec![
                web(with(small(), "cpu", json!(2))),
                delete("Wukong", "web"),
                web(small()),
            ],
            ..world("one disk, created")
        },
        World {
            before: vec![web(full())],
            settled: false,
            edits: vec![web(without_network()), delete("Wukong", "web"), web(full())],
            edits_max: 1,
            ..world("two disks and a network, created")
        },
        World {
            before: vec![web(full())],
            edits: vec![
                web(without_network()),
                web(full()),
                web(grown()),
                delete("Wukong", "web"),
                delete(VM, "web"),
                delete(NAD, &lan()),
                delete("DataVolume", "web.root"),
                Edit::Merge(VM, "web", drift()),
                Edit::Virtctl("stop", "web"),
            ],
            ..world("two disks and a network, running")
        },
        World {
            before: vec![web(full()), delete("Wukong", "web")],
            edits: vec![web(full()), web(grown()), delete("Wukong", "web")],
            ..world("retained disk, Wukong gone")
        },
        World {
            before: vec![
                Edit::Create(foreign(
                    "k8s.cni.cncf.io/v1",
                    NAD,
                    &lan(),
                    json!({"config": "{}"}),
                )),
                Edit::Create(foreign(
                    "v1",
                    "PersistentVolumeClaim",
                    "web.root",
                    json!({
                        "storageClassName": "standard", "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "1Gi"}},
                    }),
                )),
                web(full()),
            ],
            settled: false,
            edits: vec![
                delete(NAD, &lan()),
                delete("PersistentVolumeClaim", "web.root"),
                delete("Wukong", "web"),
            ],
            ..world("foreign objects with our names")
        },
        World {
            before: vec![
                Edit::Create(foreign(
                    "k8s.cni.cncf.io/v1",
                    NAD,
                    "other",
                    json!({"config": "{}"}),
                )),
                web(full()),
            ],
            edits: vec![
                web(with(full(), "cpu", json!(2))),
                web(without_network()),
                delete(VM, "web"),
                Edit::Create(foreign(
                    "kubevirt.io/v1",
                    VM,
                    "web",
                    json!({"running": false}),
                )),
                delete(NAD, &lan()),
                Edit::Create(foreign(
                    "k8s.cni.cncf.io/v1",
                    NAD,
                    &lan(),
                    json!({"config": "{}"}),
                )),
                web(without_data()),
            ],
            edits_max: 3,
            faults_max: 0,
            operators: 1,
            ..world("objects replaced by others")
        },
        World {
            wukongs: vec!["web", "db"],
            before: vec![web(small()), Edit::Apply("db", small())],
            settled: false,
            edits: vec![
                delete("Wukong", "web"),
                Edit::Apply("db", with(small(), "cpu", json!(2))),
            ],
            edits_max: 1,
            ..world("two Wukongs, created")
        },
    ]
}
