use serde_json::{Value, json};

use super::*;
use crate::plant::cdi;
use crate::plant::scenario::ANNOTATION;
use crate::plant::testing::{Sim, condition};
use crate::plant::world::Ref;

const NS: &str = "default";

/// Two nodes, the offered storage classes, and a VM `vm` with one DataVolume `vm.root`.
struct Lab(Sim);

impl Lab {
    fn new() -> Self {
        let mut sim = Sim::default();
        sim.put(Kind::Namespace, json!({"metadata": {"name": NS}}));
        for (class, mode) in cdi::class::offered() {
            let name = class["metadata"]["name"].clone();
            sim.put(Kind::StorageClass, class);
            sim.put(
                Kind::StorageProfile,
                json!({"metadata": {"name": name}, "status": {"claimPropertySets":
                    [{"accessModes": [mode], "volumeMode": "Filesystem"}]}}),
            );
        }
        for node in ["node-1", "node-2"] {
            sim.put(Kind::Node, crate::plant::nodes::node(node));
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
        crate::plant::admission::default_vm(&mut vm, "seed");
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

#[test]
fn a_vm_made_after_its_claims_shows_provisioning_then_runs() {
    let mut lab = Lab::with_disk("standard");
    lab.pace();
    lab.add_vm("Always");
    let seen = lab.statuses(60);
    assert_eq!(seen.last().unwrap(), "Running");
    assert!(seen.contains(&"Provisioning".to_owned()), "{seen:?}");
    assert!(
        !seen.iter().any(|status| status.starts_with("Error")),
        "{seen:?}"
    );
    lab.settle();
    let vm = lab.vm();
    for kind in ["Ready", "AgentConnected", "LiveMigratable"] {
        assert_eq!(condition(&vm, kind), "True", "{kind}");
    }
    assert!(!lab.pace(), "a running VM is quiet");
    let vmi = lab.vmi();
    assert!(
        vmi["status"]["interfaces"][0]["ipAddress"]
            .as_str()
            .unwrap()
            .starts_with("10.244.")
    );
    assert_eq!(vmi["status"]["interfaces"][0]["mac"], "02:00:00:00:00:01");
    assert_eq!(vm["metadata"]["finalizers"][0], CONTROLLER_FINALIZER);
}

#[test]
fn a_vm_made_before_its_claims_shows_two_false_errors() {
    let mut lab = Lab::new();
    lab.add_vm("Always");
    assert_eq!(lab.statuses(6).last().unwrap(), "ErrorPvcNotFound");
    let missing = "PVC default/vm.root does not exist, waiting for it to appear";
    assert_eq!(
        condition(&lab.vm(), "Synchronized"),
        format!("False FailedPvcNotFound {missing}")
    );
    assert_eq!(
        condition(&lab.vm(), "PodScheduled"),
        format!("False Unschedulable {missing}")
    );

    lab.add_disk("standard");
    let seen = lab.statuses(60);
    assert_eq!(
        seen,
        [
            "ErrorPvcNotFound",
            "ErrorUnschedulable",
            "Starting",
            "Running"
        ]
    );
}

#[test]
fn first_consumer_classes_wait_for_the_vm() {
    for (class, expected) in [
        ("standard-wffc", vec!["WaitingForVolumeBinding", "Running"]),
        (
            "local-path",
            vec!["WaitingForVolumeBinding", "Provisioning", "Running"],
        ),
    ] {
        let mut lab = Lab::with_disk(class);
        lab.settle();
        lab.add_vm("Always");
        let seen = lab.statuses(80);
        let mut rest = seen.iter();
        for status in &expected {
            assert!(
                rest.any(|shown| shown == status),
                "{class}: {status} in {seen:?}"
            );
        }
        lab.settle();
        assert_eq!(
            lab.0.world.list(Kind::Pod, NS).count(),
            1,
            "{class}: the temporary pod is gone"
        );
    }
}

#[test]
fn halted_vms_show_their_disks_too() {
    let mut lab = Lab::with_disk("standard");
    lab.pace();
    lab.add_vm("Halted");
    assert_eq!(lab.statuses(40), ["Provisioning", "Stopped"]);
    let mut lab = Lab::new();
    lab.add_vm("Halted");
    assert_eq!(lab.statuses(5), ["Stopped"]);
}

#[test]
fn a_failing_import_is_a_data_volume_error_that_heals() {
    let dv = Ref::new(Kind::DataVolume, NS, "vm.root");
    let mut lab = Lab::with_disk("standard");
    lab.0.edit(
        &dv,
        json!({"metadata": {"annotations": {ANNOTATION: "import-tls"}}}),
    );
    lab.pace();
    lab.add_vm("Always");
    let seen = lab.statuses(40);
    assert!(
        seen.contains(&"DataVolumeError".to_owned()) && seen.contains(&"Provisioning".to_owned()),
        "{seen:?}"
    );
    lab.0.edit(
        &dv,
        json!({"metadata": {"annotations": {ANNOTATION: null}}}),
    );
    assert_eq!(lab.statuses(150).last().unwrap(), "Running");
}

#[test]
fn scenarios_of_the_launcher_pod() {
    let kvm = "0/2 nodes are available: 2 Insufficient devices.kubevirt.io/kvm. no new claims to deallocate, preemption: \
               0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    for (name, status, kind, expected) in [
        ("unschedulable=kvm", "ErrorUnschedulable", "PodScheduled", format!("False Unschedulable {kvm}")),
        (
            "launcher-image-pull",
            "ImagePullBackOff",
            "Synchronized",
            "False ImagePullBackOff Back-off pulling image \"quay.io/kubevirt/virt-launcher:v1.9.0\"".into(),
        ),
        ("failed-mount", "Starting", "Synchronized", String::new()),
        ("pod-sandbox", "Starting", "Synchronized", String::new()),
        ("pause", "Paused", "Paused", "True PausedByUser VMI was paused by user".into()),
        ("agent-never", "Running", "AgentConnected", String::new()),
        (
            "agent-old",
            "Running",
            "AgentVersionNotSupported",
            "True  Guest agent does not support required commands".into(),
        ),
        (
            "non-migratable",
            "Running",
            "LiveMigratable",
            "False HostDeviceNotLiveMigratable VMI uses a PCI host devices".into(),
        ),
    ] {
        let mut lab = Lab::with_disk("standard");
        lab.add_vm("Always");
        lab.scenario(Some(name));
        lab.settle();
        assert_eq!(lab.printable(), status, "{name}");
        assert_eq!(condition(&lab.vm(), kind), expected, "{name}");
        if name != "pause" {
            lab.scenario(None);
            lab.settle();
            assert_eq!(lab.printable(), "Running", "{name} heals");
        }
    }
}

#[test]
fn the_nodes_decide() {
    let mut lab = Lab::with_disk("standard");
    for node in ["node-1", "node-2"] {
        let devices = json!({"status": {"allocatable": {"devices.kubevirt.io/kvm": "0"}}});
        lab.0.edit(&Ref::new(Kind::Node, "", node), devices);
    }
    lab.add_vm("Always");
    lab.settle();
    assert!(
        condition(&lab.vm(), "PodScheduled").contains("2 Insufficient devices.kubevirt.io/kvm")
    );

    let cordon = json!({"spec": {"unschedulable": true}});
    lab.0.edit(&Ref::new(Kind::Node, "", "node-1"), cordon);
    lab.settle();
    let told = condition(&lab.vm(), "PodScheduled");
    assert!(
        told.contains("1 Insufficient devices.kubevirt.io/kvm, 1 node(s) were unschedulable"),
        "{told}"
    );

    let devices = json!({"status": {"allocatable": {"devices.kubevirt.io/kvm": "1k"}}});
    lab.0.edit(&Ref::new(Kind::Node, "", "node-2"), devices);
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert_eq!(lab.vmi()["status"]["nodeName"], "node-2");
}

#[test]
fn a_fixed_selector_reaches_the_instance_but_not_its_pod() {
    let mut lab = Lab::with_disk("standard");
    lab.add_vm("Always");
    lab.edit_template(json!({"nodeSelector": {"zone": "nowhere"}}));
    lab.settle();
    assert!(
        condition(&lab.vm(), "PodScheduled")
            .contains("2 node(s) didn't match Pod's node affinity/selector")
    );
    lab.edit_template(json!({"nodeSelector": null}));
    lab.settle();
    assert!(lab.vmi()["spec"]["nodeSelector"].is_null());
    assert_eq!(lab.printable(), "ErrorUnschedulable");

    lab.0
        .edit(&at(Kind::Vm), json!({"spec": {"runStrategy": "Halted"}}));
    lab.settle();
    assert_eq!(lab.printable(), "Stopped");
    assert!(
        condition(&lab.vm(), "PodScheduled").starts_with("False Unschedulable"),
        "stale after a stop"
    );
    lab.0
        .edit(&at(Kind::Vm), json!({"spec": {"runStrategy": "Always"}}));
    lab.settle();
    assert_eq!(lab.printable(), "Running");
}

#[test]
fn a_guest_that_never_runs_backs_off() {
    let mut lab = Lab::with_disk("standard");
    lab.add_vm("Always");
    lab.scenario(Some("guest-crash"));
    let seen = lab.statuses(120);
    assert!(seen.contains(&"CrashLoopBackOff".to_owned()), "{seen:?}");
    assert!(
        lab.vm()["status"]["startFailure"]["consecutiveFailCount"]
            .as_i64()
            .unwrap()
            >= 2
    );
    lab.scenario(None);
    assert_eq!(lab.statuses(400).last().unwrap(), "Running");
    assert!(lab.vm()["status"]["startFailure"].is_null());
}

#[test]
fn guest_shutdown_and_run_strategies() {
    for (strategy, status, instance) in [
        ("RerunOnFailure", "Stopped", false),
        ("Once", "Stopped", true),
    ] {
        let mut lab = Lab::with_disk("standard");
        lab.add_vm(strategy);
        lab.scenario(Some("guest-shutdown"));
        lab.settle();
        assert_eq!(lab.printable(), status, "{strategy}");
        assert_eq!(!lab.vmi().is_null(), instance, "{strategy}");
    }
    let mut lab = Lab::running();
    let first = lab.vmi()["metadata"]["uid"].clone();
    lab.scenario(Some("guest-shutdown"));
    lab.watch(8);
    lab.scenario(None);
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert_ne!(
        lab.vmi()["metadata"]["uid"],
        first,
        "Always starts it again"
    );
}

#[test]
fn failed_guests_and_run_strategies() {
    for (strategy, status) in [("RerunOnFailure", "Running"), ("Once", "Stopped")] {
        let mut lab = Lab::with_disk("standard");
        lab.add_vm(strategy);
        lab.settle();
        lab.scenario(Some("guest-crash=running"));
        lab.watch(5);
        lab.scenario(None);
        lab.settle();
        assert_eq!(lab.printable(), status, "{strategy}");
    }
}

#[test]
fn manual_waits_for_a_request() {
    let mut lab = Lab::with_disk("standard");
    lab.add_vm("Manual");
    lab.settle();
    assert_eq!(lab.printable(), "Stopped");
    lab.0.edit(
        &at(Kind::Vm),
        json!({"status": {"stateChangeRequests": [{"action": "Start"}]}}),
    );
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert!(lab.vm()["status"]["stateChangeRequests"].is_null());
    let uid = lab.vmi()["metadata"]["uid"].clone();
    let restart = json!([{"action": "Stop", "uid": uid}, {"action": "Start"}]);
    lab.0.edit(
        &at(Kind::Vm),
        json!({"status": {"stateChangeRequests": restart}}),
    );
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert_ne!(lab.vmi()["metadata"]["uid"], uid);
    let uid = lab.vmi()["metadata"]["uid"].clone();
    lab.0.edit(
        &at(Kind::Vm),
        json!({"status": {"stateChangeRequests": [{"action": "Stop", "uid": uid}]}}),
    );
    assert!(lab.statuses(20).contains(&"Stopping".to_owned()));
    assert_eq!(lab.printable(), "Stopped");
}

#[test]
fn deletion_ends_the_instance_first() {
    let mut lab = Lab::running();
    lab.0.edit(
        &at(Kind::Vm),
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    );
    assert_eq!(lab.statuses(20).first().unwrap(), "Terminating");
    assert!(lab.vm().is_null() && lab.vmi().is_null());
    assert_eq!(lab.0.world.list(Kind::Pod, NS).count(), 0);

    let mut lab = Lab::running();
    let orphan = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [CONTROLLER_FINALIZER, "orphan"]});
    lab.0.edit(&at(Kind::Vm), json!({"metadata": orphan}));
    lab.watch(5);
    assert_eq!(lab.vm()["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(lab.vmi()["status"]["phase"], "Running");
}

#[test]
fn what_a_change_of_a_running_vm_does() {
    let restart = |lab: &Lab| condition(&lab.vm(), "RestartRequired");
    let spec = |lab: &Lab| lab.vmi()["spec"].clone();
    let other = "True RestartRequired a non-live-updatable field was changed in the template spec";
    let before = Lab::running().vm()["spec"]["template"]["spec"].clone();

    for (patch, expected) in [
        (
            json!({"domain": {"cpu": {"sockets": 1}}}),
            "True RestartRequired Reduction of CPU socket count requires a restart",
        ),
        (
            json!({"domain": {"cpu": {"sockets": 9}}}),
            "True RestartRequired CPU sockets updated in template spec to a value higher than what's available",
        ),
        (
            json!({"domain": {"memory": {"guest": "1Gi"}}}),
            "True RestartRequired memory updated in template spec to a value lower than what the VM started with",
        ),
        (
            json!({"domain": {"memory": {"guest": "9Gi"}}}),
            "True RestartRequired memory hotplug not supported, Guest memory is greater than the configured maxGuest memory",
        ),
        (json!({"domain": {"cpu": {"cores": 2}}}), other),
        (json!({"terminationGracePeriodSeconds": 5}), other),
        (json!({"evictionStrategy": "External"}), other),
        (
            json!({"domain": {"devices": {"interfaces": []}}, "networks": []}),
            other,
        ),
        (
            json!({"volumes": [{"name": "root", "dataVolume": {"name": "another"}}]}),
            other,
        ),
    ] {
        let mut lab = Lab::running();
        lab.edit_template(patch.clone());
        lab.settle();
        assert_eq!(restart(&lab), expected, "{patch}");
        lab.edit_template(before.clone());
        lab.edit_template(json!({"terminationGracePeriodSeconds": null, "evictionStrategy": null}));
        lab.settle();
        assert_eq!(restart(&lab), "", "reverting {patch} takes it back");
    }

    let mut lab = Lab::running();
    lab.edit_template(json!({"domain": {"cpu": {"sockets": 4}, "memory": {"guest": "4Gi"}}, "nodeSelector": {"a": "b"}}));
    lab.settle();
    assert_eq!(restart(&lab), "");
    assert_eq!(spec(&lab)["domain"]["cpu"]["sockets"], 4);
    assert_eq!(spec(&lab)["domain"]["memory"]["guest"], "4Gi");
    assert_eq!(spec(&lab)["nodeSelector"], json!({"a": "b"}));

    let mut lab = Lab::running();
    let mut nics = before["domain"]["devices"]["interfaces"].clone();
    nics.as_array_mut()
        .unwrap()
        .push(json!({"name": "x", "bridge": {}}));
    let networks = json!([{"name": "pod-network", "pod": {}}, {"name": "x", "multus": {"networkName": "net1"}}]);
    lab.edit_template(json!({"domain": {"devices": {"interfaces": nics}}, "networks": networks}));
    lab.settle();
    assert_eq!(restart(&lab), "");
    assert_eq!(
        lab.vmi()["status"]["interfaces"].as_array().unwrap().len(),
        2
    );
    nics[1]["state"] = json!("absent");
    lab.edit_template(json!({"domain": {"devices": {"interfaces": nics}}}));
    lab.settle();
    assert_eq!(restart(&lab), "");
    assert_eq!(
        spec(&lab)["domain"]["devices"]["interfaces"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn stage_wants_a_restart_for_everything_but_devices() {
    let mut lab = Lab::running();
    lab.0.put(
        Kind::KubeVirt,
        json!({"metadata": {"name": "kubevirt", "namespace": "kubevirt"},
            "spec": {"configuration": {"vmRolloutStrategy": "Stage"}}}),
    );
    lab.edit_template(json!({"domain": {"cpu": {"sockets": 4}}}));
    lab.settle();
    assert!(condition(&lab.vm(), "RestartRequired").starts_with("True"));
    assert_eq!(lab.vmi()["spec"]["domain"]["cpu"]["sockets"], 2);
}

#[test]
fn hot_plugged_disks() {
    let with = |bus: &str| {
        json!({
            "domain": {"devices": {"disks": [{"name": "root", "disk": {"bus": "virtio"}}, {"name": "more", "disk": {"bus": bus}}]}},
            "volumes": [{"name": "root", "dataVolume": {"name": "vm.root"}},
                {"name": "more", "persistentVolumeClaim": {"claimName": "more", "hotpluggable": true}}],
        })
    };
    let mut lab = Lab::running();
    lab.edit_template(with("virtio"));
    lab.settle();
    assert_eq!(condition(&lab.vm(), "RestartRequired"), "");
    assert_eq!(lab.vmi()["spec"]["volumes"].as_array().unwrap().len(), 2);
    let mut lab = Lab::running();
    lab.edit_template(with("sata"));
    lab.settle();
    assert!(condition(&lab.vm(), "Failure").starts_with("True HotPlugVolumeError"));
}

#[test]
fn a_vm_that_is_refused_as_an_instance_is_stopped_with_a_failure() {
    let mut lab = Lab::with_disk("standard");
    lab.settle();
    lab.add_vm("Always");
    lab.edit_template(json!({"domain": {"memory": null}}));
    lab.settle();
    assert_eq!(lab.printable(), "Stopped");
    assert!(
        condition(&lab.vm(), "Failure")
            .starts_with("True FailedCreate Error encountered while creating VMI: no memory")
    );
    lab.edit_template(json!({"domain": {"memory": {"guest": "1Gi"}}}));
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert_eq!(condition(&lab.vm(), "Failure"), "");
}

#[test]
fn addresses_come_from_network_data_and_dhcp() {
    let mut lab = Lab::with_disk("standard");
    let data = "version: 2\nethernets:\n  a:\n    match: {macaddress: \"02:00:00:00:00:02\"}\n    addresses: [10.1.2.3/24, 'fd00::1/64']\n";
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(data);
    lab.0.put(Kind::Secret, json!({"metadata": {"name": "ci", "namespace": NS}, "data": {"networkdata": encoded, "userdata": ""}}));
    lab.0.put(
        Kind::Nad,
        json!({"metadata": {"name": "net1", "namespace": NS}}),
    );
    lab.add_vm("Always");
    lab.edit_template(json!({
        "domain": {"devices": {"interfaces": [{"name": "pod-network", "masquerade": {}},
            {"name": "a", "bridge": {}, "macAddress": "02-00-00-00-00-02"}, {"name": "b", "bridge": {}}]}},
        "networks": [{"name": "pod-network", "pod": {}}, {"name": "a", "multus": {"networkName": "net1"}},
            {"name": "b", "multus": {"networkName": "default/net1"}}],
        "volumes": [{"name": "root", "dataVolume": {"name": "vm.root"}}, {"name": "ci", "cloudInitNoCloud":
            {"secretRef": {"name": "ci"}, "networkDataSecretRef": {"name": "ci"}}}],
    }));
    lab.settle();
    let interfaces = lab.vmi()["status"]["interfaces"].clone();
    assert_eq!(interfaces[1]["ipAddresses"], json!(["10.1.2.3", "fd00::1"]));
    assert!(
        interfaces[2]["ipAddress"]
            .as_str()
            .unwrap()
            .starts_with("192.168.")
    );
    assert!(interfaces[2]["mac"].as_str().unwrap().starts_with("02:00:"));

    lab.0
        .edit(&at(Kind::Vm), json!({"spec": {"runStrategy": "Halted"}}));
    lab.settle();
    lab.0.world.remove(&Ref::new(Kind::Secret, NS, "ci"));
    lab.0
        .edit(&at(Kind::Vm), json!({"spec": {"runStrategy": "Always"}}));
    lab.settle();
    assert_eq!(lab.printable(), "Starting");
    assert!(
        lab.0
            .events
            .iter()
            .any(|event| event.contains("secret \"ci\" not found")),
        "{:?}",
        lab.0.events
    );
}

#[test]
fn a_migration_moves_the_instance() {
    let mut lab = Lab::running();
    let from = lab.vmi()["status"]["nodeName"].clone();
    lab.0.put(
        Kind::Migration,
        json!({"metadata": {"name": "m", "namespace": NS}, "spec": {"vmiName": "vm"}}),
    );
    assert_eq!(lab.statuses(20), ["Running", "Migrating", "Running"]);
    assert_ne!(lab.vmi()["status"]["nodeName"], from);
    assert!(!lab.pace());
}

#[test]
fn the_launcher_asks_for_what_kubevirt_asks_for() {
    let lab = Lab::running();
    let vmi = lab.vmi();
    assert_eq!(
        pod::memory_request(&lab.0.world, &Field::new("", &vmi)),
        (2048 + 296) << 20
    );
    let pod = lab.0.world.list(Kind::Pod, NS).next().unwrap();
    let selector = pod.at("spec.nodeSelector");
    assert_eq!(selector.child("kubevirt.io/schedulable").text(), "true");
    assert_eq!(
        selector.child("machine-type.node.kubevirt.io/q35").text(),
        "true"
    );
}
