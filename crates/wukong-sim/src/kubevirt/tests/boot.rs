//! From the creation of a VM until its guest runs, and what can go wrong on the way.

use serde_json::json;

use super::*;

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
            "False ImagePullBackOff Back-off pulling image \"quay.io/kubevirt/virt-launcher:v1.9.0\": ErrImagePull: failed to \
             pull and unpack image \"quay.io/kubevirt/virt-launcher:v1.9.0\": failed to resolve image: failed to do request: \
             Head \"https://quay.io/v2/kubevirt/virt-launcher/manifests/v1.9.0\": dial tcp: lookup quay.io on 10.96.0.10:53: \
             read udp 10.244.0.1:58314->10.96.0.10:53: i/o timeout"
                .into(),
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
    let reported = condition(&lab.vm(), "PodScheduled");
    assert!(
        reported.contains("1 Insufficient devices.kubevirt.io/kvm, 1 node(s) were unschedulable"),
        "{reported}"
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
fn nics_need_their_binding_plugin_and_their_devices() {
    const DEVICE: &str = "macvtap.network.kubevirt.io/eth1";
    let mut lab = Lab::with_disk("standard");
    lab.0.put(
        Kind::Nad,
        json!({"metadata": {"name": "direct", "namespace": NS,
                "annotations": {"k8s.v1.cni.cncf.io/resourceName": DEVICE}},
            "spec": {"config": json!({"type": "macvtap"}).to_string()}}),
    );
    lab.add_vm("Always");
    lab.edit_template(json!({
        "domain": {"devices": {"interfaces": [{"name": "direct", "binding": {"name": "macvtap"}}]}},
        "networks": [{"name": "direct", "multus": {"networkName": "direct"}}],
    }));
    lab.settle();
    assert_eq!(
        condition(&lab.vmi(), "Synchronized"),
        "False FailedCreate failed to render launch manifest: couldn't find configuration for network binding: macvtap"
    );

    lab.0.put(
        Kind::KubeVirt,
        json!({"metadata": {"name": "kubevirt", "namespace": "kubevirt"}, "spec": {"configuration":
            {"network": {"binding": {"macvtap": {"domainAttachmentType": "tap"}}}}}}),
    );
    for _ in 0..40 {
        lab.pace();
    }
    let nowhere = condition(&lab.vmi(), "PodScheduled");
    assert!(
        nowhere.contains(&format!("2 Insufficient {DEVICE}")),
        "{nowhere}"
    );

    let node = Ref::new(Kind::Node, "", "node-2");
    lab.0
        .edit(&node, json!({"status": {"allocatable": {DEVICE: "1"}}}));
    lab.settle();
    assert_eq!(lab.printable(), "Running");
    assert_eq!(lab.vmi()["status"]["nodeName"], "node-2");
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
