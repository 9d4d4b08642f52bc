//! Changes of our objects by other writers.

use serde_json::json;
use wukong_engine::{FailureKind, Memory};

use crate::support::cluster::Cluster;

const RUNNING: &str = "networks: [{name: lan, type: bridge}], disks: [{name: root, size: 20Gi}]";

#[test]
fn a_field_that_is_ours_returns() {
    for (kind, name, pointer, value) in [
        (
            "VirtualMachine",
            "web",
            "/spec/template/spec/domain/memory/guest",
            json!("1Gi"),
        ),
        (
            "VirtualMachine",
            "web",
            "/metadata/labels/vm.novasphere.dev~1wukong",
            json!("other"),
        ),
        (
            "VirtualMachine",
            "web",
            "/spec/template/spec/networks",
            json!([]),
        ),
        (
            "NetworkAttachmentDefinition",
            "web-lan-8d5d927d",
            "/spec/config",
            json!("{}"),
        ),
        (
            "DataVolume",
            "web.root",
            "/metadata/labels/vm.novasphere.dev~1disk",
            json!("other"),
        ),
    ] {
        let mut cluster = Cluster::running(RUNNING);
        let before = cluster
            .server
            .get(kind, name)
            .unwrap()
            .pointer(pointer)
            .cloned();
        cluster.server.update("kubectl-edit", kind, name, |object| {
            *object.pointer_mut(pointer).unwrap() = value;
        });
        cluster.settle();
        assert_eq!(
            cluster.done(),
            [format!("apply {kind}/{name}")],
            "{pointer}"
        );
        assert_eq!(
            cluster
                .server
                .get(kind, name)
                .unwrap()
                .pointer(pointer)
                .cloned(),
            before
        );
    }
}

#[test]
fn a_field_of_somebody_else_stays() {
    let mut cluster = Cluster::running(RUNNING);
    for (kind, name) in [
        ("VirtualMachine", "web"),
        ("NetworkAttachmentDefinition", "web-lan-8d5d927d"),
        ("DataVolume", "web.root"),
    ] {
        cluster
            .server
            .update("kubectl-label", kind, name, |object| {
                object["metadata"]["labels"]["team"] = json!("shop");
                object["metadata"]["annotations"]["note"] = json!("mine");
            });
    }
    cluster.settle();
    assert_eq!(cluster.done(), [""; 0]);
}

#[test]
fn a_child_that_is_deleted_comes_back() {
    for (kind, name, also) in [
        ("VirtualMachine", "web", vec!["VirtualMachine/web"]),
        (
            "NetworkAttachmentDefinition",
            "web-lan-8d5d927d",
            vec!["NetworkAttachmentDefinition/web-lan-8d5d927d"],
        ),
        ("DataVolume", "web.root", vec!["DataVolume/web.root"]),
    ] {
        let mut cluster = Cluster::running(RUNNING);
        cluster.server.delete(kind, name);
        cluster.live();
        let done = cluster.done();
        let applied: Vec<_> = done
            .iter()
            .filter_map(|done| done.strip_prefix("apply "))
            .collect();
        assert_eq!(applied, also, "{done:#?}");
        assert_eq!(cluster.status().blocker, None);
    }
}

/// If another writer reverts each repair, the operator repairs three times, and then only now and then.
#[test]
fn nobody_is_fought() {
    let mut cluster = Cluster::running(RUNNING);
    let mut applied = 0;
    let start = cluster.now;
    let fight = |cluster: &mut Cluster| {
        cluster
            .server
            .update("gitops", "VirtualMachine", "web", |vm| {
                vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("1Gi");
            });
    };
    for _ in 0..100 {
        fight(&mut cluster);
        applied += usize::from(cluster.pass().apply_vm.is_some());
    }
    assert_eq!(applied, 3);
    let decision = cluster.pass();
    let blocker = decision.status.blocker.unwrap();
    assert_eq!(blocker.reason, "FieldManagerConflict");
    assert!(blocker.message.contains("gitops"), "{}", blocker.message);
    let wake_at = decision.wake_at.unwrap();
    assert!(wake_at > start);
    cluster.now = wake_at;
    assert!(cluster.pass().apply_vm.is_some());
    // The other writer stops.
    cluster.settle();
    assert_eq!(cluster.status().blocker, None);
}

/// The lists of disks and volumes have one owner each, so applying ours would detach the disk from the running VM.
#[test]
fn a_disk_that_somebody_attached_to_the_vm_is_not_detached() {
    let mut cluster = Cluster::running(RUNNING);
    cluster
        .server
        .update("virt-api", "VirtualMachine", "web", |vm| {
            let instance = &mut vm["spec"]["template"]["spec"];
            let disks = instance["domain"]["devices"]["disks"]
                .as_array_mut()
                .unwrap();
            disks.push(json!({"name": "hot", "disk": {"bus": "scsi"}}));
            let volumes = instance["volumes"].as_array_mut().unwrap();
            volumes
                .push(json!({"name": "hot", "dataVolume": {"name": "hot", "hotpluggable": true}}));
        });
    cluster.settle();
    assert_eq!(cluster.done(), ["write status"]);
    let blocker = cluster.status().blocker.unwrap();
    assert_eq!(
        (blocker.reason.as_str(), blocker.object.as_deref()),
        ("FieldManagerConflict", Some("VirtualMachine/web"))
    );
    assert!(blocker.message.contains("(hot)"), "{}", blocker.message);
    // An edit waits, too, and a restarted operator comes to the same result.
    cluster.edit(&format!("cpu: 4, {RUNNING}"));
    cluster.restart_operator();
    cluster.settle();
    let once_more = "apply Secret/web.cloud-init";
    assert_eq!(cluster.done(), [once_more, "write status"]);
    // virtctl removevolume
    cluster
        .server
        .update("virt-api", "VirtualMachine", "web", |vm| {
            let instance = &mut vm["spec"]["template"]["spec"];
            instance["domain"]["devices"]["disks"]
                .as_array_mut()
                .unwrap()
                .pop();
            instance["volumes"].as_array_mut().unwrap().pop();
        });
    cluster.settle();
    assert_eq!(cluster.done(), ["apply VirtualMachine/web", "write status"]);
    assert_eq!(cluster.status().blocker, None);
}

/// A disk that leaves the manifest is detached, and its data stays.
#[test]
fn a_disk_that_leaves_the_manifest_is_detached() {
    let mut cluster =
        Cluster::running("disks: [{name: root, size: 20Gi}, {name: data, size: 1Gi}]");
    cluster.edit("disks: [{name: root, size: 20Gi}]");
    cluster.settle();
    assert_eq!(cluster.done(), ["apply VirtualMachine/web", "write status"]);
    let disks = &cluster.vm()["spec"]["template"]["spec"]["domain"]["devices"]["disks"];
    assert_eq!(disks.as_array().unwrap().len(), 2, "root and the seed");
    assert!(cluster.server.get("DataVolume", "web.data").is_some());
    cluster.edit("disks: [{name: root, size: 20Gi}, {name: data, size: 1Gi}]");
    cluster.settle();
    assert_eq!(cluster.done(), ["apply VirtualMachine/web", "write status"]);
}

/// An API server that stores something else than what we sent is not asked again and again.
#[test]
fn a_server_that_changes_what_it_stores_is_not_fought() {
    let mut cluster = Cluster::running(RUNNING);
    let target = wukong_engine::Target {
        kind: wukong_engine::Kind::VirtualMachine,
        name: "web".into(),
    };
    cluster.memory = Memory::default();
    // Stored canonically, and still ours.
    let body = cluster.vm();
    cluster
        .server
        .update("wukong-operator", "VirtualMachine", "web", |vm| {
            vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("4096Mi");
        });
    let sent = cluster
        .status()
        .resources
        .iter()
        .find(|known| known.kind == "VirtualMachine")
        .unwrap()
        .hash
        .clone();
    assert_ne!(body, cluster.vm());
    cluster.observe();
    let stored = match cluster.world.virtual_machines.get("shop", "web") {
        wukong_engine::Seen::Present(vm) => vm.meta.owned_hash.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(cluster.decide().apply_vm.is_some());
    cluster
        .memory
        .record_applied(target, sent, stored.to_string(), cluster.now);
    assert_eq!(cluster.decide().apply_vm, None);
}

#[test]
fn a_write_that_is_refused_is_tried_again_later_and_at_once_when_it_changes() {
    let mut cluster = Cluster::running(RUNNING);
    cluster.refusals.insert(
        "VirtualMachine/web".into(),
        (FailureKind::Denied, "no more CPUs"),
    );
    cluster.edit(&format!("cpu: 100, {RUNNING}"));
    let tried = cluster.now;
    cluster.pass();
    let decision = cluster.pass();
    assert!(decision.is_settled(), "it was refused a moment ago");
    assert!(decision.wake_at.unwrap() > tried);
    assert_eq!(decision.status.blocker.unwrap().reason, "AdmissionDenied");
    cluster.edit(&format!("cpu: 50, {RUNNING}"));
    assert!(cluster.pass().apply_vm.is_some());
    cluster.refusals.clear();
    cluster.settle();
    assert_eq!(cluster.status().blocker, None);
    assert_eq!(
        cluster.memory.attempts(&wukong_engine::Target {
            kind: wukong_engine::Kind::VirtualMachine,
            name: "web".into()
        }),
        0
    );
    cluster.step();
}
