//! Drives `wukong-sim` against the API server of the tests: the simulated KubeVirt, CDI, scheduler and kubelet read the
//! stored objects, and their writes are stored with the names of their field managers.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};
use wukong_sim::admission::{self, ClusterConfig, Denial};
use wukong_sim::change::{Change, Moment};
use wukong_sim::field::{Field, put};
use wukong_sim::installation::KUBEVIRT_NAMESPACE;
use wukong_sim::key::{self, Key};
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::kubevirt::{self, Power};
use wukong_sim::world::World;

use crate::server::{ApiServer, NAMESPACE};

/// The StorageClass of claims that set none.
pub const DEFAULT_CLASS: &str = "standard";
/// The CSI driver that provisions the volumes of simulated StorageClasses.
pub const DRIVER: &str = "csi.simulator.wukong.dev";
/// The node that runs VMs.
pub const NODE: &str = "worker-1";
/// Paces without a write after which the controllers are at rest.
const QUIET: u64 = 20;

/// Resources of device plugins, for NICs of the types `sriov` and `macvlan`.
const DEVICES: [&str; 4] = [
    "intel.com/lan",
    "intel.com/vf",
    "macvtap.network.kubevirt.io/eth1",
    "macvtap.network.kubevirt.io/eth1.5",
];

/// KubeVirt, CDI, Multus and one node, all at work, configured as in the fixture of a healthy cluster.
static INSTALLED: LazyLock<World> = LazyLock::new(|| {
    let start = "2025-11-22T11:00:00Z".parse().unwrap();
    let mut cluster = wukong_sim::Cluster::installed(start, 0, &[NODE]);
    let kubevirt = json!({"spec": {
        "configuration": {"network": {"binding": {"macvtap": {"domainAttachmentType": "tap"}}}},
        "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]},
    }});
    let installation = Ref::new(Kind::KubeVirt, KUBEVIRT_NAMESPACE, "kubevirt");
    cluster.patch(&installation, &kubevirt).unwrap();
    let devices: Value = DEVICES.iter().map(|device| (*device, json!("8"))).collect();
    // A node for the node selectors of the tests.
    let node = json!({
        "metadata": {"labels": {"zone": "a"}},
        "status": {"capacity": devices, "allocatable": devices},
    });
    cluster
        .patch(&Ref::new(Kind::Node, "", NODE), &node)
        .unwrap();
    cluster.settle(100);
    let mut world = cluster.world().clone();
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    world.insert(Ref::new(Kind::Namespace, "", NAMESPACE), namespace);
    for class in world.refs(Kind::StorageClass).cloned().collect::<Vec<_>>() {
        world.remove(&class);
    }
    world
});

/// The simulated controllers, with their caches.
#[derive(Clone, Debug)]
pub struct Simulator {
    world: World,
    /// The stored objects in `world`, with their versions.
    observed: BTreeMap<Ref, String>,
    slots: BTreeMap<Key, Slot>,
    tick: u64,
}

/// The state of a key besides its objects.
#[derive(Clone, Debug, Default)]
struct Slot {
    due: Option<u64>,
    written: u64,
}

impl Default for Simulator {
    fn default() -> Self {
        Self {
            world: INSTALLED.clone(),
            observed: BTreeMap::new(),
            slots: BTreeMap::new(),
            tick: 0,
        }
    }
}

impl Simulator {
    /// Passes paces until a controller has written an object that the operator watches; returns whether one has.
    pub fn step(&mut self, server: &mut ApiServer, now: Timestamp) -> bool {
        self.observe(server);
        let mut end = self.tick + QUIET;
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.tick = due;
            let written = self.pace(server, now);
            // The operator does not watch pods.
            if written.iter().any(|kind| *kind != Kind::Pod) {
                return true;
            }
            if !written.is_empty() {
                end = self.tick + QUIET;
            }
        }
        false
    }

    /// Reads what has changed in the API server.
    fn observe(&mut self, server: &ApiServer) {
        let mut gone = std::mem::take(&mut self.observed);
        for object in server.objects() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let Some(kind) = Kind::of(&text(&object["apiVersion"]), &text(&object["kind"])) else {
                continue;
            };
            let metadata = &object["metadata"];
            let at = Ref::new(kind, text(&metadata["namespace"]), text(&metadata["name"]));
            let version = text(&metadata["resourceVersion"]);
            if gone.remove(&at).as_ref() != Some(&version) {
                self.mark_concerned(&at, object);
                self.world.remove(&at);
                self.world.insert(at.clone(), object.clone());
            }
            self.observed.insert(at, version);
        }
        for at in gone.into_keys() {
            let object = self.world.get(at.kind, &at.namespace, &at.name);
            let object = object
                .map(|object| object.value().clone())
                .unwrap_or_default();
            self.world.remove(&at);
            self.mark_concerned(&at, &object);
        }
    }

    fn mark_concerned(&mut self, at: &Ref, object: &Value) {
        for key in key::concerned(&self.world, at, object) {
            // The nodes and installations are at rest.
            if matches!(
                key,
                Key::Disk(..) | Key::Vm(..) | Key::Snapshot(..) | Key::Pod(..) | Key::Class(_)
            ) {
                self.mark(&key, self.tick + 1);
            }
        }
    }

    fn mark(&mut self, key: &Key, tick: u64) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.due = Some(slot.due.map_or(tick, |due| due.min(tick)));
    }

    fn next_due(&self) -> Option<u64> {
        self.slots.values().filter_map(|slot| slot.due).min()
    }

    /// Each due key takes one step. Returns the kinds of the written objects.
    fn pace(&mut self, server: &mut ApiServer, now: Timestamp) -> Vec<Kind> {
        let mut written = Vec::new();
        let is_due = |slot: &Slot| slot.due.is_some_and(|due| due <= self.tick);
        let due = self.slots.iter().filter(|(_, slot)| is_due(slot));
        let due: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        for key in due {
            let slot = self.slots.entry(key.clone()).or_default();
            slot.due = None;
            let moment = Moment {
                now: time(now),
                waited: u32::try_from(self.tick - slot.written).unwrap(),
                refusal: None,
            };
            let step = key::next(&self.world, &key, &moment);
            if let Some(paces) = step.again {
                self.mark(&key, self.tick + u64::from(paces.max(1)));
            }
            let kinds: Vec<Kind> = step.changes.iter().filter_map(Change::kind).collect();
            if kinds.is_empty() {
                continue;
            }
            written.extend(kinds);
            self.slots.entry(key.clone()).or_default().written = self.tick;
            self.mark(&key, self.tick + 1);
            for change in step.changes {
                self.write(server, change);
            }
            self.observe(server);
        }
        written
    }

    fn write(&mut self, server: &mut ApiServer, change: Change) {
        match store(server, change) {
            None | Some(Change::Event { .. }) => {}
            // Objects of the cluster that no test reads, such as StorageProfiles.
            Some(Change::Create { at, object, .. }) => {
                self.mark_concerned(&at, &object);
                self.world.insert(at, object);
            }
            Some(Change::Merge { at, patch, .. }) => {
                let object = self.world.get(at.kind, &at.namespace, &at.name);
                let mut object = object
                    .map(|object| object.value().clone())
                    .unwrap_or_default();
                wukong_sim::change::merge(&mut object, &patch);
                self.mark_concerned(&at, &object);
                self.world.remove(&at);
                self.world.insert(at, object);
            }
            Some(_) => {}
        }
    }
}

/// Stores what a controller writes. Returns the change if it is to an object that the API server does not have: one of
/// the cluster, or an event.
pub fn store(server: &mut ApiServer, change: Change) -> Option<Change> {
    match change {
        Change::Create { by, at, mut object } if at.namespace == NAMESPACE => {
            if at.kind == Kind::Pod && object["status"]["phase"].is_null() {
                put(&mut object, ["status", "phase"], "Pending");
            }
            server.create(by.name(), object);
        }
        Change::Merge {
            by,
            at,
            status,
            patch,
            ..
        } if server.has(at.kind.resource().kind, &at.name) => {
            server.merge(by.name(), at.kind.resource().kind, &at.name, status, &patch);
        }
        Change::Delete { at } => server.remove(at.kind.resource().kind, &at.name),
        Change::Terminate { at } => server.delete(at.kind.resource().kind, &at.name),
        Change::Bind { at, node } => {
            let patch = json!({"spec": {"nodeName": node}});
            let kind = at.kind.resource().kind;
            server.merge("kube-scheduler", kind, &at.name, false, &patch);
        }
        other => return Some(other),
    }
    None
}

/// Calls a subresource of the VirtualMachine or its instance, as virt-api does.
pub fn call(server: &mut ApiServer, call: &str, name: &str, now: Timestamp) {
    const MANAGER: &str = "virt-api";
    let (vm, vmi) = ("VirtualMachine", "VirtualMachineInstance");
    let (machine, instance) = (server.get(vm, name), server.get(vmi, name));
    let instance = instance.as_ref().map(|object| Field::new("", object));
    if let "pause" | "unpause" = call {
        // virt-api rejects the call if the VM does not run.
        let patch = instance.and_then(|instance| {
            let runs = instance.at("status.phase").text() == "Running";
            runs.then(|| kubevirt::pause(&instance, call == "pause", &time(now)))?
        });
        if let Some(patch) = patch {
            server.merge(MANAGER, vmi, name, false, &patch);
        }
        return;
    }
    let machine = machine.unwrap_or_default();
    match kubevirt::power(call, &Field::new("", &machine), instance.as_ref()) {
        Ok(Power::RunStrategy(strategy)) => {
            server.merge(
                MANAGER,
                vm,
                name,
                false,
                &json!({"spec": {"runStrategy": strategy}}),
            );
        }
        Ok(Power::Requests(requests)) => {
            let status = json!({"status": {"stateChangeRequests": requests}});
            server.merge(MANAGER, vm, name, true, &status);
        }
        Err((404, message)) => panic!("{message}"),
        Err(_) => {}
    }
}

/// Admits an object as the webhooks of KubeVirt and CDI do, and sets the fields that they set.
pub fn admit(server: &ApiServer, object: &mut Value, old: Option<&Value>) -> Result<(), Denial> {
    match object["kind"].as_str() {
        Some("VirtualMachine") => {
            admission::decode_vm(object)?;
            admission::canonicalize_vm(object);
            if old.is_none() {
                admission::default_vm(object, &server.version().to_string());
            }
            admission::admit_vm(object, old, &ClusterConfig::default()).map_err(Denial::by_kubevirt)
        }
        Some("DataVolume") => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let claim = server
                .get("PersistentVolumeClaim", name)
                .filter(|_| old.is_none());
            admission::admit_data_volume(object, old, claim.as_ref()).map_err(Denial::by_cdi)
        }
        Some("PersistentVolumeClaim") if object["spec"]["storageClassName"].is_null() => {
            object["spec"]["storageClassName"] = json!(DEFAULT_CLASS);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The cluster itself with the default StorageClass, at rest.
pub fn with_default_class(now: Timestamp) -> World {
    let mut server = ApiServer::default();
    server.create("kubectl", default_class());
    let mut simulator = Simulator::default();
    while simulator.step(&mut server, now) {}
    simulator.world
}

/// The StorageClass of claims that set none.
pub fn default_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": DEFAULT_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": DRIVER, "volumeBindingMode": "Immediate", "allowVolumeExpansion": true,
    })
}
