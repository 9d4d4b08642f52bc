//! Brings a simulated cluster into the situation of a recording.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use wukong_sim::Cluster;
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::scenario::ANNOTATION;

pub const NAMESPACE: &str = "ns";
pub const VM: &str = "vm";
pub const DISK: &str = "vm.root";
pub const NODE: &str = "node1";

/// What a recording was made of.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Given {
    /// The source of a DataVolume; a container disk otherwise.
    disk: Option<Value>,
    class: Option<String>,
    /// Whether there is a VirtualMachine. The operator makes none before the claim exists.
    vm: Option<bool>,
    run_strategy: Option<String>,
    cpu: Option<u32>,
    memory: Option<String>,
    selector: Option<Value>,
    /// NetworkAttachmentDefinitions, all of which exist but those in `absent`.
    networks: Vec<String>,
    absent: Vec<String>,
    /// The Secret of an SSH key; it does not exist.
    credentials: Option<String>,
    /// Whether another VM uses the disk.
    other: bool,
    /// Whether another VM must not share the node with this one.
    repels: bool,
    emulation: bool,
    node: BTreeMap<String, Value>,
    quota: BTreeMap<String, String>,
    limit: Option<String>,
    /// The faults, by kind.
    scenarios: BTreeMap<String, String>,
    /// Paces before the VM is made, and whether the scenarios begin when it runs.
    wait: u32,
    after_start: bool,
}

/// A recording under way.
pub struct Replay<'a> {
    cluster: Cluster,
    given: &'a Given,
    /// Why the VirtualMachine was rejected.
    pub refusal: Option<String>,
    started: bool,
}

impl<'a> Replay<'a> {
    pub fn start(given: &'a Given) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut replay = Self {
            cluster: Cluster::installed(start, 1, &[NODE]),
            given,
            refusal: None,
            started: false,
        };
        replay.prepare();
        if !given.after_start {
            replay.fail();
        }
        replay.cluster.advance(given.wait);
        if given.disk.is_some() {
            replay.create(disk(given));
            replay.cluster.advance(2);
        }
        if given.other {
            replay.cluster.settle(200);
            replay.create(replay.machine("legacy", false));
            replay.cluster.settle(200);
        }
        if given.repels {
            replay.create(replay.machine("first", false));
            replay.cluster.settle(200);
        }
        if given.vm != Some(false) {
            let vm = replay.machine(VM, true);
            replay.refusal = replay.cluster.create(vm).err().map(|denial| denial.0);
        }
        replay
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Lets one pace pass, and the failure begin when the VM runs, if it is to begin then.
    pub fn advance(&mut self) {
        self.cluster.advance(1);
        let vmi = self.cluster.get(Kind::Vmi, NAMESPACE, VM);
        let runs = vmi.is_some_and(|vmi| vmi["status"]["phase"] == "Running");
        if self.given.after_start && runs && !self.started {
            self.started = true;
            self.fail();
        }
    }

    fn create(&mut self, object: Value) {
        self.cluster.create(object).unwrap();
    }

    /// The objects that exist before the VM.
    fn prepare(&mut self) {
        let given = self.given;
        self.create(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        );
        self.create(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "manual"},
            "provisioner": "example.com/none", "volumeBindingMode": "Immediate"}));
        for name in &given.networks {
            if !given.absent.contains(name) {
                self.create(json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                    "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"config": "{}"}}));
            }
        }
        if !given.quota.is_empty() {
            self.create(json!({"apiVersion": "v1", "kind": "ResourceQuota",
                "metadata": {"name": "team", "namespace": NAMESPACE}, "spec": {"hard": given.quota}}));
        }
        if let Some(memory) = &given.limit {
            self.create(json!({"apiVersion": "v1", "kind": "LimitRange",
                "metadata": {"name": "team", "namespace": NAMESPACE},
                "spec": {"limits": [{"type": "Container", "max": {"memory": memory}}]}}));
        }
        let node = Ref::new(Kind::Node, "", NODE);
        for (key, value) in &given.node {
            let patch = match key.as_str() {
                "unschedulable" => json!({"spec": {"unschedulable": value}}),
                resource => json!({"status": {"allocatable": {resource: value}}}),
            };
            self.cluster.patch(&node, &patch).unwrap();
        }
        if given.emulation {
            let patch = json!({"spec": {"configuration": {"developerConfiguration": {"useEmulation": true}}}});
            self.cluster
                .patch(&installation(Kind::KubeVirt), &patch)
                .unwrap();
        }
        self.cluster.settle(50);
    }

    /// Starts all faults, except those that exist from the creation on.
    fn fail(&mut self) {
        for (kind, scenario) in &self.given.scenarios {
            let at = match kind.as_str() {
                "Node" => Ref::new(Kind::Node, "", NODE),
                "KubeVirt" => installation(Kind::KubeVirt),
                "CDI" => installation(Kind::Cdi),
                "VirtualMachine" if self.started => Ref::new(Kind::Vm, NAMESPACE, VM),
                _ => continue,
            };
            self.cluster.scenario(&at, scenario).unwrap();
        }
        if !self.started {
            self.cluster.advance(5);
        }
    }

    fn machine(&self, name: &str, recorded: bool) -> Value {
        let given = self.given;
        let volume = match (&given.disk, recorded) {
            (Some(_), true) => json!({"name": "root", "dataVolume": {"name": DISK}}),
            (Some(_), false) => {
                json!({"name": "root", "persistentVolumeClaim": {"claimName": DISK}})
            }
            (None, _) => {
                json!({"name": "os-image", "containerDisk": {"image": "quay.io/containerdisks/fedora:41"}})
            }
        };
        let networks = given.networks.iter().filter(|_| recorded);
        let mut nics = vec![json!({"name": "pod-network", "masquerade": {}})];
        let mut attached = vec![json!({"name": "pod-network", "pod": {}})];
        for network in networks {
            nics.push(json!({"name": network, "bridge": {}}));
            attached.push(json!({"name": network, "multus": {"networkName": network}}));
        }
        let mut spec = json!({
            "domain": {
                "cpu": {"sockets": given.cpu.unwrap_or(1)},
                "memory": {"guest": given.memory.as_deref().unwrap_or("256Mi")},
                "devices": {"disks": [{"name": volume["name"], "disk": {"bus": "virtio"}}], "interfaces": nics},
            },
            "networks": attached, "volumes": [volume],
        });
        if let Some(selector) = &given.selector {
            spec["nodeSelector"] = selector.clone();
        }
        if given.repels {
            spec["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"group": "g"}}}]}});
        }
        if let Some(secret) = given.credentials.as_ref().filter(|_| recorded) {
            spec["volumes"].as_array_mut().unwrap().push(
                json!({"name": "cloud-init", "cloudInitNoCloud": {"userData": "#cloud-config"}}),
            );
            spec["domain"]["devices"]["disks"]
                .as_array_mut()
                .unwrap()
                .push(json!({"name": "cloud-init", "disk": {"bus": "virtio"}}));
            spec["accessCredentials"] = json!([{"sshPublicKey": {"source": {"secret": {"secretName": secret}},
                "propagationMethod": {"noCloud": {}}}}]);
        }
        let scenario = given.scenarios.get("VirtualMachine");
        let scenario = scenario.filter(|_| recorded && !given.after_start);
        json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
            "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {ANNOTATION: scenario}},
            "spec": {
                "runStrategy": given.run_strategy.as_deref().unwrap_or("Always"),
                "template": {"metadata": {"labels": {"group": "g"}}, "spec": spec},
            },
        })
    }
}

fn installation(kind: Kind) -> Ref {
    match kind {
        Kind::KubeVirt => Ref::new(kind, "kubevirt", "kubevirt"),
        _ => Ref::new(kind, "", "cdi"),
    }
}

/// The DataVolume, of a class with a provisioner that is no CSI driver.
fn disk(given: &Given) -> Value {
    let source = given.disk.as_ref().unwrap();
    let mut spec = json!({"storage": {
        "storageClassName": given.class.as_deref().unwrap_or("fixed"), "resources": {"requests": {"storage": "1Gi"}}}});
    match source.get("dataSource") {
        Some(name) => spec["sourceRef"] = json!({"kind": "DataSource", "name": name}),
        None => spec["source"] = source.clone(),
    }
    json!({
        "apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume",
        "metadata": {"name": DISK, "namespace": NAMESPACE,
            "annotations": {ANNOTATION: given.scenarios.get("DataVolume")}},
        "spec": spec,
    })
}
