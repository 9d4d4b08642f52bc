//! The life of a VM, from the spec to the running VM and to its deletion.

use jiff::SignedDuration;
use serde_json::{Value, json};
use wukong_api::WukongStatus;
use wukong_api::status::Phase;
use wukong_engine::{Decision, Expect, FailureKind, Memory, Presence, undecodable};

use crate::support::cluster::Cluster;
use crate::support::manifests;

const COMPLETE: &str =
    "osImage: 'ubuntu:24.04', cloudInitUser: {name: web}, networks: [{name: lan, type: bridge}],
    disks: [{name: root, size: 20Gi}, {name: data, size: 50Gi}]";

#[test]
fn first_everything_that_the_vm_needs_and_then_the_vm() {
    let mut cluster = Cluster::new(COMPLETE);
    cluster.settle();
    assert_eq!(
        cluster.done(),
        [
            "apply Secret/web.cloud-init",
            "apply NetworkAttachmentDefinition/web-lan-8d5d927d",
            "apply DataVolume/web.root",
            "apply DataVolume/web.data",
            "write status",
        ],
        "KubeVirt shows false errors for a VM with claims that do not exist"
    );
    assert_eq!(cluster.status().phase, Some(Phase::Creating));
    // CDI makes the claims. That they exist is enough: they may be bound only when the VM starts.
    cluster.step();
    let decision = cluster.pass();
    assert!(decision.apply.is_empty());
    assert_eq!(decision.apply_vm.unwrap().expect, Expect::Absent);
    cluster.live();
    let status = cluster.status();
    assert_eq!(status.phase, Some(Phase::Running), "{status:#?}");
    assert_eq!(status.node_name.as_deref(), Some("worker-1"));
    assert_eq!(status.blocker, None);
    let address = cluster.instance()["status"]["interfaces"][0]["ipAddress"].clone();
    assert_eq!(json!(status.networks[0].ip_address), address);
    assert!(address.is_string());
    assert_eq!(
        status.networks[1].nad_name.as_deref(),
        Some("web-lan-8d5d927d")
    );
    let volumes: Vec<_> = status
        .volumes
        .iter()
        .map(|volume| (volume.name.as_str(), volume.bound))
        .collect();
    assert_eq!(volumes, [("root", true), ("data", true)]);
}

/// Children, the VM, and a status when there is a change that people wait for.
#[test]
fn the_way_to_running_takes_few_writes() {
    let mut cluster = Cluster::new(COMPLETE);
    for _ in 0..40 {
        while !cluster.pass().is_settled() {}
        cluster.step();
        cluster.now += SignedDuration::from_millis(300);
    }
    assert_eq!(cluster.status().phase, Some(Phase::Running));
    let done = cluster.done();
    let writes = |what: &str| done.iter().filter(|done| done.starts_with(what)).count();
    assert_eq!(writes("apply"), 5, "{done:#?}");
    assert!(writes("write status") <= 3, "{done:#?}");
    assert_eq!(done.len(), writes("apply") + writes("write status"));
}

#[test]
fn what_runs_is_left_alone_also_by_an_operator_that_starts_anew() {
    let mut cluster = Cluster::running(COMPLETE);
    cluster.settle();
    cluster.restart_operator();
    let decision = cluster.settle();
    assert_eq!(cluster.done(), [""; 0]);
    assert_eq!((decision.write_status, decision.wake_at), (None, None));
    assert_eq!(decision.events, []);
}

#[test]
fn an_edit_reaches_the_objects_that_it_concerns() {
    let mut cluster = Cluster::running(COMPLETE);
    cluster.edit(&format!("cpu: 4, {COMPLETE}"));
    cluster.settle();
    assert_eq!(cluster.done(), ["apply VirtualMachine/web", "write status"]);
    assert_eq!(
        cluster.vm()["spec"]["template"]["spec"]["domain"]["cpu"]["sockets"],
        4
    );
    // Another login user changes the Secret, and its hash on the VM.
    let other = COMPLETE.replace("name: web", "name: admin");
    cluster.edit(&format!("cpu: 4, {other}"));
    cluster.settle();
    assert_eq!(
        cluster.done(),
        [
            "apply Secret/web.cloud-init",
            "apply VirtualMachine/web",
            "write status"
        ]
    );
}

/// The VM notes which Secret was applied before it, so it must not be applied before that Secret.
#[test]
fn the_vm_waits_for_a_secret_or_network_that_is_refused() {
    for refused in [
        "Secret/web.cloud-init",
        "NetworkAttachmentDefinition/web-lan-8d5d927d",
    ] {
        let mut cluster = Cluster::new(COMPLETE);
        cluster
            .refusals
            .insert(refused.into(), (FailureKind::Denied, "not here"));
        cluster.pass();
        cluster.step();
        for _ in 0..10 {
            let decision = cluster.pass();
            cluster.now = decision.wake_at.unwrap_or(cluster.now);
        }
        assert!(cluster.vm().is_null(), "{refused}");
        let conditions = cluster.decide().status.conditions;
        let created = conditions
            .iter()
            .find(|condition| condition.type_ == "Created")
            .unwrap();
        assert!(created.message.contains("not here"), "{created:#?}");
        cluster.refusals.clear();
        cluster.live();
        assert_eq!(cluster.status().phase, Some(Phase::Running));
    }
}

/// The failure is about an object that the spec no longer requires.
#[test]
fn a_refusal_is_forgotten_with_what_was_refused() {
    let mut cluster = Cluster::new(COMPLETE);
    let refused = "NetworkAttachmentDefinition/web-lan-8d5d927d";
    cluster
        .refusals
        .insert(refused.into(), (FailureKind::Denied, "not here"));
    cluster.pass();
    cluster.edit("osImage: 'ubuntu:24.04', disks: [{name: root, size: 20Gi}]");
    cluster.live();
    let status = cluster.status();
    assert_eq!((status.phase, status.blocker), (Some(Phase::Running), None));
}

#[test]
fn one_that_is_being_deleted_is_only_watched() {
    let mut cluster = Cluster::running(COMPLETE);
    cluster.server.update("kubectl", "Wukong", "web", |wukong| {
        wukong["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    });
    cluster.server.delete("Wukong", "web");
    cluster
        .server
        .delete("NetworkAttachmentDefinition", "web-lan-8d5d927d");
    let decision = cluster.pass();
    assert!(decision.is_settled());
    assert_eq!(decision.status.phase, Some(Phase::Deleting));
    assert_eq!(decision.status.blocker, None);
}

/// Garbage collection takes what has an owner; disks without a source stay, and come back.
#[test]
fn retained_disks_are_attached_again_by_the_next_of_that_name() {
    let mut cluster = Cluster::running(COMPLETE);
    let data = cluster
        .server
        .get("PersistentVolumeClaim", "web.data")
        .unwrap();
    cluster.server.delete("Wukong", "web");
    cluster.run_controllers();
    assert_eq!(
        cluster.server.names(),
        [
            "DataVolume/web.data",
            "PersistentVolumeClaim/web.data",
            "StorageClass/standard"
        ]
    );
    cluster.memory = Memory::default();
    let mut next = manifests::stored(&manifests::spec(COMPLETE));
    next["metadata"]["uid"] = json!("another");
    cluster.server.create("kubectl", next);
    cluster.live();
    assert_eq!(
        cluster.status().phase,
        Some(Phase::Running),
        "{:#?}",
        cluster.status()
    );
    let again = cluster
        .server
        .get("PersistentVolumeClaim", "web.data")
        .unwrap();
    assert_eq!(again["metadata"]["uid"], data["metadata"]["uid"]);
    assert!(
        !cluster
            .done()
            .contains(&"apply DataVolume/web.data".to_owned())
    );
}

/// A password that was in it must not stay.
#[test]
fn a_secret_that_the_vm_no_longer_reads_is_emptied() {
    let mut cluster = Cluster::running("cloudInitUser: {name: web, password: secret}");
    cluster.edit("userDataSecret: mine");
    cluster.settle();
    assert_eq!(
        cluster.done(),
        [
            "apply VirtualMachine/web",
            "apply Secret/web.cloud-init",
            "apply VirtualMachine/web",
            "write status"
        ]
    );
    let secret = cluster.server.get("Secret", "web.cloud-init").unwrap();
    assert!(secret["data"].is_null(), "{secret:#}");
    cluster.live();
    cluster.done();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);
    // And it comes back.
    cluster.edit("cloudInitUser: {name: web}");
    cluster.settle();
    let secret = cluster.server.get("Secret", "web.cloud-init").unwrap();
    assert!(secret["data"]["userdata"].is_string());
}

/// The VM waits for its claims, so it cannot note the Secret yet.
#[test]
fn a_secret_is_emptied_that_no_vm_ever_read() {
    let mut cluster = Cluster::new(
        "cloudInitUser: {name: web, password: secret}, disks: [{name: root, size: 1Gi}]",
    );
    cluster.settle();
    cluster.edit("userDataSecret: mine, disks: [{name: root, size: 1Gi}]");
    cluster.live();
    assert!(cluster.server.get("Secret", "web.cloud-init").unwrap()["data"].is_null());
    assert_eq!(
        cluster.vm()["metadata"]["annotations"]["vm.novasphere.dev/cloud-init-hash"],
        ""
    );
}

/// There is no VM yet that notes the Secret, and Secrets cannot be read.
#[test]
fn an_operator_that_restarts_before_the_vm_writes_the_secret_only_with_the_vm() {
    const FIELDS: &str = "cloudInitUser: {name: web}, disks: [{name: root, size: 1Gi}]";
    let mut cluster = Cluster::new(FIELDS);
    cluster.settle();
    assert!(cluster.vm().is_null());
    cluster.done();
    cluster.restart_operator();
    cluster.settle();
    assert_eq!(cluster.done(), [""; 0], "a restart writes nothing");

    // A user deletes the Secret meanwhile: the new VM has it nevertheless.
    cluster.server.delete("Secret", "web.cloud-init");
    cluster.live();
    let done = cluster.done();
    let secret = "apply Secret/web.cloud-init";
    let place = |action: &str| done.iter().position(|done| done == action);
    assert!(place(secret).unwrap() < place("apply VirtualMachine/web").unwrap());
    assert_eq!(done.iter().filter(|done| *done == secret).count(), 1);
}

/// The status is about an earlier generation: the Secret may have another content since.
#[test]
fn an_operator_that_restarts_after_an_edit_writes_the_secret() {
    const DISK: &str = "disks: [{name: root, size: 1Gi}]";
    let mut cluster = Cluster::new(&format!("cloudInitUser: {{name: web}}, {DISK}"));
    cluster.settle();
    cluster.edit(&format!("cloudInitUser: {{name: admin}}, {DISK}"));
    // It writes the Secret, and ends before the status.
    cluster.pass();
    cluster.edit(&format!("cloudInitUser: {{name: web}}, {DISK}"));
    cluster.done();
    cluster.restart_operator();
    cluster.settle();
    assert!(
        cluster
            .done()
            .contains(&"apply Secret/web.cloud-init".to_owned())
    );
}

/// The VM notes the Secret that it was last applied with, and the next was applied since.
#[test]
fn an_edit_that_is_taken_back_takes_the_secret_back() {
    const BEFORE: &str = "cloudInitUser: {name: web}";
    let mut cluster = Cluster::running(BEFORE);
    let secret =
        |cluster: &Cluster| cluster.server.get("Secret", "web.cloud-init").unwrap()["data"].clone();
    let before = secret(&cluster);
    cluster
        .refusals
        .insert("VirtualMachine/web".into(), (FailureKind::Denied, "no"));
    cluster.edit("cloudInitUser: {name: admin}");
    cluster.settle();
    assert_ne!(secret(&cluster), before);
    cluster.edit(BEFORE);
    cluster.settle();
    assert_eq!(secret(&cluster), before);
}

fn secret_of(cluster: &Cluster) -> Value {
    cluster.server.get("Secret", "web.cloud-init").unwrap()["data"].clone()
}

/// The VM still notes the Secret before.
#[test]
fn an_operator_that_ends_before_the_vm_notes_the_secret_takes_it_back_with_the_edit() {
    const BEFORE: &str = "cloudInitUser: {name: web}";
    let mut cluster = Cluster::running(BEFORE);
    let before = secret_of(&cluster);
    let refusal = (FailureKind::Denied, "no");
    cluster
        .refusals
        .insert("VirtualMachine/web".into(), refusal);
    cluster.edit("cloudInitUser: {name: admin}");
    cluster.pass();
    assert_ne!(secret_of(&cluster), before);
    cluster.edit(BEFORE);
    cluster.refusals.clear();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(secret_of(&cluster), before);
}

#[test]
fn a_secret_with_an_apply_that_was_not_answered_is_taken_back_with_the_edit() {
    const BEFORE: &str = "cloudInitUser: {name: web}";
    let mut cluster = Cluster::running(BEFORE);
    let before = secret_of(&cluster);
    cluster.edit("cloudInitUser: {name: admin}");
    let memory = cluster.memory.clone();
    cluster.observe();
    let decision = cluster.decide();
    let secret = decision.apply[0].clone();
    cluster.execute(&Decision {
        apply_vm: None,
        ..decision
    });
    assert_ne!(secret_of(&cluster), before);
    cluster.memory = memory;
    let (kind, now) = (FailureKind::Transient, cluster.now);
    let memory = &mut cluster.memory;
    memory.record_failure(secret.target, secret.hash, kind, "timeout".into(), now, now);
    cluster.edit(BEFORE);
    cluster.live();
    assert_eq!(secret_of(&cluster), before);
}

/// One event for the created objects, one for the running guest.
#[test]
fn few_events_tell_of_the_way_to_running() {
    let mut cluster = Cluster::new(COMPLETE);
    let mut events = Vec::new();
    for _ in 0..40 {
        loop {
            let decision = cluster.pass();
            if decision.is_settled() {
                if decision.write_status.is_some_and(|at| at <= cluster.now) {
                    events.extend(decision.events);
                }
                break;
            }
        }
        cluster.step();
        cluster.now += SignedDuration::from_millis(300);
    }
    assert!(events.len() <= 3, "{events:#?}");
    assert!(events.iter().all(|event| !event.warning), "{events:#?}");
    assert_eq!(events.last().unwrap().message, "the guest runs on worker-1");
}

/// Everything else is made meanwhile.
#[test]
fn a_vm_is_created_when_kubevirt_appears() {
    let mut cluster = Cluster::new(COMPLETE);
    cluster.unserved.insert("VirtualMachine", Presence::Missing);
    cluster
        .unserved
        .insert("VirtualMachineInstance", Presence::Missing);
    cluster.live();
    let status = cluster.status();
    assert_eq!(status.phase, Some(Phase::Pending));
    assert_eq!(status.blocker.unwrap().reason, "KubeVirtNotInstalled");
    assert!(status.volumes.iter().all(|volume| volume.bound));
    cluster.unserved.clear();
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
}

/// A missing permission affects only its own kind, and no object counts as absent because of it.
#[test]
fn what_the_operator_may_not_see_stays_as_it_is() {
    for kind in [
        "VirtualMachine",
        "VirtualMachineInstance",
        "DataVolume",
        "PersistentVolumeClaim",
    ] {
        let mut cluster = Cluster::running(COMPLETE);
        cluster.unserved.insert(kind, Presence::Forbidden);
        cluster.live();
        assert!(
            cluster.done().iter().all(|done| done == "write status"),
            "{kind}"
        );
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(blocker.reason, "NotPermitted", "{kind}");
        assert!(blocker.message.contains(kind), "{}", blocker.message);
        cluster.unserved.clear();
        cluster.live();
        assert!(
            cluster.done().iter().all(|done| done == "write status"),
            "{kind}"
        );
        assert_eq!(cluster.status().blocker, None, "{kind}");
    }
}

#[test]
fn one_that_cannot_be_read_says_so_and_keeps_what_was_known() {
    let cluster = Cluster::running(COMPLETE);
    let before = cluster.wukong();
    let status = undecodable(
        &before,
        "invalid type: string \"many\", expected u32",
        cluster.now,
    );
    let blocker = status.blocker.unwrap();
    assert_eq!(blocker.reason, "CRDOutdated");
    assert!(
        blocker.message.contains("expected u32"),
        "{}",
        blocker.message
    );
    let known = before.status.unwrap();
    assert_eq!(
        (status.vm_name, status.networks, status.volumes),
        (known.vm_name, known.networks, known.volumes)
    );
    assert_eq!(status.phase, Some(Phase::Error));
}

/// A CustomResourceDefinition that is older than the operator knows fewer fields of the status.
#[test]
fn what_the_server_does_not_keep_of_a_status_is_written_once() {
    let mut cluster = Cluster::running(COMPLETE);
    cluster.settle();
    let cut = |cluster: &mut Cluster, wanted: WukongStatus| {
        let mut kept = wanted.clone();
        kept.resources.clear();
        let stored = serde_json::to_value(&kept).unwrap();
        cluster
            .server
            .update("wukong-operator", "Wukong", "web", |wukong| {
                wukong["status"] = stored
            });
        cluster.observe();
        (wanted, kept)
    };
    let wanted = cluster.status();
    let first = cut(&mut cluster, wanted);
    assert!(cluster.decide().write_status.is_some());
    cluster.memory.status_cut = Some(first.into());
    // The status reports once that it is cut.
    let reported = cluster.decide();
    assert!(reported.write_status.is_some());
    let second = cut(&mut cluster, reported.status);
    cluster.memory.status_cut = Some(second.into());
    let quiet = cluster.decide();
    assert_eq!(quiet.write_status, None);
    let spec = &quiet.status.conditions[0];
    assert_eq!(
        (spec.status.as_str(), spec.reason.as_str()),
        ("True", "CRDOutdated")
    );
    assert!(
        spec.message.contains("drops status.resources,"),
        "{}",
        spec.message
    );
    // A restart forgets it; the report stays until the next write of a status.
    let memory = std::mem::take(&mut cluster.memory);
    assert_eq!(cluster.decide().status.conditions[0], *spec);
    cluster.memory = memory;
    // A change is reported.
    cluster.edit(&format!("powerState: Stopped, {COMPLETE}"));
    cluster.observe();
    assert!(cluster.decide().write_status.is_some());
}
