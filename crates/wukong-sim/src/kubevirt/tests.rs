use serde_json::{Value, json};

use super::object::CONTROLLER_FINALIZER;
use super::*;
use crate::cdi;
use crate::field::Field;
use crate::kind::Ref;
use crate::scenario::ANNOTATION;
use crate::storage;
use crate::testing::{Sim, condition};

mod boot;
mod running;

const NS: &str = "default";

/// Two nodes, the offered storage classes, and a VM `vm` with one DataVolume `vm.root`.
struct Lab(Sim);

impl Lab {
    fn new() -> Self {
        let mut sim = Sim::default();
        sim.put(Kind::Namespace, json!({"metadata": {"name": NS}}));
        for (class, mode) in storage::offered() {
            let name = class["metadata"]["name"].clone();
            sim.put(Kind::StorageClass, class);
            sim.put(
                Kind::StorageProfile,
                json!({"metadata": {"name": name}, "status": {"claimPropertySets":
                    [{"accessModes": [mode], "volumeMode": "Filesystem"}]}}),
            );
        }
        for node in ["node-1", "node-2"] {
            sim.put(
                Kind::Node,
                installation::node::node(node, "2026-01-01T00:00:00Z"),
            );
        }
        Self(sim)
    }

    fn with_disk(class: &str) -> Self {
        let mut lab = Self::new();
        lab.add_disk(class);
        lab
    }

    fn add_disk(&mut self, class: &str) {
        self.0.put(
            Kind::DataVolume,
            json!({"metadata": {"name": "vm.root", "namespace": NS}, "spec": {"source": {"blank": {}}, "storage":
                {"storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}}}}),
        );
    }

    fn add_vm(&mut self, strategy: &str) {
        let mut vm = json!({
            "metadata": {"name": "vm", "namespace": NS, "generation": 1},
            "spec": {"runStrategy": strategy, "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {
                    "domain": {
                        "cpu": {"sockets": 2, "cores": 1, "threads": 1}, "memory": {"guest": "2Gi"},
                        "devices": {
                            "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                            "interfaces": [{"name": "pod-network", "masquerade": {}, "macAddress": "02:00:00:00:00:01"}],
                        },
                    },
                    "networks": [{"name": "pod-network", "pod": {}}],
                    "volumes": [{"name": "root", "dataVolume": {"name": "vm.root"}}],
                },
            }},
        });
        crate::admission::default_vm(&mut vm, "seed");
        self.0.put(Kind::Vm, vm);
    }

    fn edit_template(&mut self, patch: Value) {
        self.0.edit(
            &at(Kind::Vm),
            json!({"spec": {"template": {"spec": patch}}}),
        );
    }

    fn scenario(&mut self, text: Option<&str>) {
        self.0.edit(
            &at(Kind::Vm),
            json!({"metadata": {"annotations": {ANNOTATION: text}}}),
        );
    }

    /// One pace: the disk, the VM, and the pods that are deleted. Says whether anything was written.
    fn pace(&mut self) -> bool {
        let disk = self.0.step("disk", |world, moment| {
            cdi::next(world, NS, "vm.root", moment)
        });
        let vm = self
            .0
            .step("vm", |world, moment| next(world, NS, "vm", moment));
        let pods: Vec<Ref> = self.0.world.refs(Kind::Pod).cloned().collect();
        for pod in pods {
            self.0
                .step("pods", |world, _| next_pod(world, NS, &pod.name));
        }
        disk || vm
    }

    /// Lets `paces` go by; returns every status that was shown, as `printableStatus/VMI phase`.
    fn watch(&mut self, paces: u32) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..paces {
            self.pace();
            let line = format!(
                "{}/{}",
                self.printable(),
                self.vmi()["status"]["phase"].as_str().unwrap_or("-")
            );
            if seen.last() != Some(&line) {
                seen.push(line);
            }
        }
        seen
    }

    fn statuses(&mut self, paces: u32) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for line in self.watch(paces) {
            let status = line.split('/').next().unwrap().to_owned();
            if seen.last() != Some(&status) {
                seen.push(status);
            }
        }
        seen
    }

    fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..200 {
            quiet = if self.pace() { 0 } else { quiet + 1 };
            if quiet > 5 {
                return;
            }
        }
        panic!("does not settle: {}", self.printable());
    }

    fn running() -> Self {
        let mut lab = Self::with_disk("standard");
        lab.add_vm("Always");
        lab.settle();
        assert_eq!(lab.printable(), "Running");
        lab
    }

    /// KubeVirt migrates instances so that changes reach them.
    fn moves_workloads(&mut self) {
        self.0.put(
            Kind::KubeVirt,
            json!({"metadata": {"name": "kubevirt", "namespace": "kubevirt"},
                "spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]}}}),
        );
    }

    fn vm(&self) -> Value {
        self.0.object(&at(Kind::Vm))
    }

    fn vmi(&self) -> Value {
        self.0.object(&at(Kind::Vmi))
    }

    fn printable(&self) -> String {
        self.vm()["status"]["printableStatus"]
            .as_str()
            .unwrap_or("-")
            .to_owned()
    }
}

fn at(kind: Kind) -> Ref {
    Ref::new(kind, NS, "vm")
}
