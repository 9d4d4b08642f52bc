//! What a VM does once it ran: shutdown, crash, deletion, edits, migration, the guest's addresses.

use serde_json::json;

use super::*;

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
    lab.moves_workloads();
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
fn what_is_plugged_waits_for_a_migration_unless_kubevirt_migrates() {
    let mut lab = Lab::running();
    lab.edit_template(json!({"domain": {"cpu": {"sockets": 4}, "memory": {"guest": "4Gi"}}}));
    for _ in 0..100 {
        lab.pace();
    }
    for kind in ["HotVCPUChange", "HotMemoryChange"] {
        assert_eq!(condition(&lab.vmi(), kind), "True", "{kind} stays");
    }
    let status = lab.vmi()["status"].clone();
    assert_eq!(status["currentCPUTopology"]["sockets"], 2);
    assert_eq!(status["memory"]["guestCurrent"], "2Gi");

    lab.edit_template(json!({
        "domain": {"devices": {"interfaces": [{"name": "pod-network", "masquerade": {}, "macAddress": "02:00:00:00:00:01"},
            {"name": "x", "bridge": {}}]}},
        "networks": [{"name": "pod-network", "pod": {}}, {"name": "x", "multus": {"networkName": "net1"}}],
    }));
    lab.watch(8);
    let required = |lab: &Lab| condition(&lab.vmi(), "MigrationRequired");
    assert_eq!(required(&lab), "False AutoMigrationPending");
    lab.watch(80);
    assert_eq!(required(&lab), "True AutoMigrationDueToLiveUpdate");
    assert_eq!(
        lab.vmi()["status"]["interfaces"].as_array().unwrap().len(),
        1
    );

    lab.0.put(
        Kind::Migration,
        json!({"metadata": {"name": "m", "namespace": NS}, "spec": {"vmiName": "vm"}}),
    );
    lab.watch(20);
    let status = lab.vmi()["status"].clone();
    assert_eq!(status["currentCPUTopology"]["sockets"], 4);
    assert_eq!(status["memory"]["guestCurrent"], "4Gi");
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 2);
    for kind in ["HotVCPUChange", "HotMemoryChange", "MigrationRequired"] {
        assert_eq!(condition(&lab.vmi(), kind), "", "{kind}");
    }

    let mut lab = Lab::running();
    lab.moves_workloads();
    lab.edit_template(json!({"domain": {"cpu": {"sockets": 4}}}));
    lab.settle();
    assert_eq!(lab.vmi()["status"]["currentCPUTopology"]["sockets"], 4);
}

#[test]
fn the_pod_of_a_paused_guest_is_not_ready() {
    let mut lab = Lab::running();
    let (vmi, now) = (lab.vmi(), "2026-01-01T00:00:00Z");
    let patch = |vmi: &Value, paused| pause(&Field::new("", vmi), paused, now).unwrap();
    lab.0.edit(&at(Kind::Vmi), patch(&vmi, true));
    lab.settle();
    assert!(condition(&lab.vm(), "Ready").starts_with("False ReadinessGatesNotReady"));
    assert_eq!(lab.printable(), "Paused");
    let vmi = lab.vmi();
    lab.0.edit(&at(Kind::Vmi), patch(&vmi, false));
    lab.settle();
    assert_eq!(condition(&lab.vm(), "Ready"), "True");
}

#[test]
fn an_ordinary_volume_has_no_phase_and_a_plugged_one_has_a_pod() {
    let mut lab = Lab::running();
    let ordinary = &lab.vmi()["status"]["volumeStatus"][0];
    assert_eq!(ordinary["name"], "root");
    assert!(ordinary["phase"].is_null());
    lab.0.put(
        Kind::DataVolume,
        json!({"metadata": {"name": "more", "namespace": NS}, "status": {"phase": "Succeeded"}, "spec": {}}),
    );
    lab.0.put(
        Kind::Claim,
        json!({"metadata": {"name": "more", "namespace": NS}, "status": {"phase": "Bound"}, "spec": {}}),
    );
    lab.edit_template(json!({
        "domain": {"devices": {"disks": [{"name": "root", "disk": {"bus": "virtio"}}, {"name": "more", "disk": {"bus": "virtio"}}]}},
        "volumes": [{"name": "root", "dataVolume": {"name": "vm.root"}},
            {"name": "more", "dataVolume": {"name": "more", "hotpluggable": true}}],
    }));
    let mut phases: Vec<String> = Vec::new();
    for _ in 0..10 {
        lab.pace();
        let status = lab.vmi()["status"]["volumeStatus"][0].clone();
        let phase = status["phase"].as_str().unwrap_or("-").to_owned();
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
    }
    assert_eq!(
        phases,
        ["-", "Pending", "AttachedToNode", "MountedToPod", "Ready"]
    );
    let attachers = |lab: &Lab| {
        let pods = lab.0.world.list(Kind::Pod, NS);
        pods.filter(is_attachment).count()
    };
    assert_eq!(attachers(&lab), 1, "it counts against quotas");
    lab.edit_template(json!({"volumes": [{"name": "root", "dataVolume": {"name": "vm.root"}}]}));
    lab.settle();
    assert_eq!(attachers(&lab), 0);
}

#[test]
fn a_lost_node_leaves_the_instance_running_and_evicts_its_pod() {
    let mut lab = Lab::running();
    let name = lab.vmi()["status"]["nodeName"].as_str().unwrap().to_owned();
    let node = Ref::new(Kind::Node, "", name);
    let scenario = |text: Option<&str>| json!({"metadata": {"annotations": {ANNOTATION: text}}});
    lab.0.edit(&node, scenario(Some("node-lost")));
    lab.watch(5);
    assert_eq!(lab.vmi()["status"]["phase"], "Running");
    assert_eq!(condition(&lab.vm(), "Ready"), "False");
    lab.watch(310);
    assert_eq!(lab.vmi()["status"]["phase"], "Running");
    assert_eq!(
        condition(&lab.vm(), "Ready"),
        "False PodTerminating virt-launcher pod is terminating"
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
    assert!(lab.0.was_reported("secret \"ci\" not found"));
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
        launcher_pod::memory_request(&lab.0.world, &Field::new("", &vmi)),
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
