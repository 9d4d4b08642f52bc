//! Disks: adoption, growth, what cannot change, and what is missing.

use serde_json::{Value, json};
use wukong_api::WukongStatus;
use wukong_api::status::Phase;
use wukong_engine::{FailureKind, Presence};

use crate::states::import_status;
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::simulator::DEFAULT_CLASS;

const DATA: &str = "disks: [{name: data, size: 20Gi}]";
/// The sizes of claims with a file system for 20, 30 and 31 GiB: 6 % more than the disk.
const CLAIM_20: &str = "22763326669";
const CLAIM_30: &str = "34144990004";
const CLAIM_31: &str = "35283156338";

fn blocker(cluster: &Cluster) -> (String, String) {
    let blocker = cluster.status().blocker.unwrap();
    (blocker.reason, blocker.message)
}

fn request(cluster: &Cluster, claim: &str) -> Value {
    let claim = cluster.server.get("PersistentVolumeClaim", claim).unwrap();
    claim["spec"]["resources"]["requests"]["storage"].clone()
}

fn volume_of(cluster: &Cluster, disk: &str) -> Value {
    let vm = cluster.vm();
    let volumes = vm["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    volumes
        .iter()
        .find(|volume| volume["name"] == disk)
        .unwrap()
        .clone()
}

#[test]
fn a_disk_that_grows_grows_its_claim_and_nothing_else() {
    let mut cluster = Cluster::running(DATA);
    let volume = cluster.server.get("DataVolume", "web.data").unwrap();
    cluster.edit("disks: [{name: data, size: 30Gi}]");
    cluster.live();
    let done = cluster.done();
    let actions: Vec<_> = done.iter().filter(|done| *done != "write status").collect();
    assert_eq!(actions, [&format!("expand web.data to {CLAIM_30}")]);
    assert_eq!(request(&cluster, "web.data"), CLAIM_30);
    assert_eq!(
        cluster.server.get("DataVolume", "web.data").unwrap(),
        volume,
        "CDI rejects every change of it"
    );
    let status = cluster.status();
    assert_eq!((status.phase, status.blocker), (Some(Phase::Running), None));
    assert_eq!(status.volumes[0].capacity.as_deref(), Some(CLAIM_30));
    // And again.
    cluster.edit("disks: [{name: data, size: 31Gi}]");
    cluster.live();
    assert_eq!(request(&cluster, "web.data"), CLAIM_31);
}

/// Only a bound claim can grow.
#[test]
fn growth_waits_for_the_import() {
    let mut cluster = Cluster::new(DATA);
    cluster.settle();
    cluster.step();
    cluster.edit("disks: [{name: data, size: 30Gi}]");
    cluster.settle();
    assert_eq!(request(&cluster, "web.data"), CLAIM_20);
    cluster.live();
    assert_eq!(request(&cluster, "web.data"), CLAIM_30);
    assert_eq!(cluster.status().blocker, None);
}

/// The kubelet grows a file system where a pod uses it.
#[test]
fn a_stopped_vm_is_stopped_while_a_disk_waits_for_its_start_to_grow() {
    const DISK: &str = "disks: [{name: data, size: 30Gi}]";
    let mut cluster = Cluster::running(&format!("{DATA}, powerState: Stopped"));
    assert_eq!(cluster.status().phase, Some(Phase::Stopped));
    cluster.edit(&format!("{DISK}, powerState: Stopped"));
    cluster.live();
    let status = cluster.status();
    assert_eq!((status.phase, status.blocker), (Some(Phase::Stopped), None));
    assert_eq!(status.pending_changes, []);
    let message = |status: &WukongStatus| {
        let mut conditions = status.conditions.iter();
        let bound = conditions.find(|it| it.type_ == "VolumesBound").unwrap();
        bound.message.clone()
    };
    let waiting = message(&cluster.status());
    assert!(waiting.contains("at the next start"), "{waiting}");
    cluster.edit(DISK);
    cluster.live();
    let status = cluster.status();
    assert_eq!(
        (status.phase, status.blocker.clone()),
        (Some(Phase::Running), None)
    );
    assert!(!message(&status).contains("at the next start"));
}

#[test]
fn growth_that_the_class_or_the_server_rejects_is_reported() {
    let mut cluster = Cluster::running(DATA);
    cluster
        .server
        .update("kubectl", "StorageClass", DEFAULT_CLASS, |class| {
            class["allowVolumeExpansion"] = json!(false);
        });
    cluster.edit("disks: [{name: data, size: 30Gi}]");
    cluster.live();
    assert_eq!(request(&cluster, "web.data"), CLAIM_20);
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "ResizeRefused");
    assert!(message.contains(DEFAULT_CLASS), "{message}");
    assert_eq!(
        cluster.status().phase,
        Some(Phase::Running),
        "the guest runs all the same"
    );

    cluster
        .server
        .update("kubectl", "StorageClass", DEFAULT_CLASS, |class| {
            class["allowVolumeExpansion"] = json!(true);
        });
    cluster.refusals.insert(
        "PersistentVolumeClaim/web.data".into(),
        (FailureKind::Quota, "exceeded quota: storage"),
    );
    cluster.settle();
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "ResizeRefused");
    assert!(message.contains("exceeded quota"), "{message}");
    cluster.refusals.clear();
    cluster.live();
    assert_eq!(request(&cluster, "web.data"), CLAIM_30);
    assert_eq!(cluster.status().blocker, None);
}

/// A spec that the operator cannot apply changes nothing, not even its other half.
#[test]
fn what_a_disk_cannot_become_is_refused() {
    for (edit, reason, says) in [
        (
            "cpu: 7, disks: [{name: data, size: 10Gi}]",
            "ImmutableFieldChanged",
            "spec.disks[0].size: 10Gi is less than the 20Gi",
        ),
        (
            "cpu: 7, disks: [{name: data, size: 20Gi, image: 'fedora:41'}]",
            "ImmutableFieldChanged",
            "spec.disks[0]: the disk was created from another source",
        ),
        (
            "cpu: 7, disks: [{name: data, size: 20Gi, storageClassName: fast}]",
            "ImmutableFieldChanged",
            "spec.disks[0]: the disk was created",
        ),
        (
            "cpu: 0, disks: [{name: data, size: 20Gi}]",
            "InvalidSpec",
            "spec.cpu",
        ),
    ] {
        let mut cluster = Cluster::running(DATA);
        let before = cluster.vm();
        cluster.edit(edit);
        cluster.live();
        assert_eq!(cluster.done(), ["write status"], "{edit}");
        assert_eq!(cluster.vm(), before);
        let status = cluster.status();
        assert_eq!(status.phase, Some(Phase::Running), "it is as it was");
        let (found, message) = blocker(&cluster);
        assert_eq!(found, reason);
        assert!(message.contains(says), "{message}");
        cluster.edit(&format!("cpu: 7, {DATA}"));
        cluster.live();
        assert_eq!(cluster.status().blocker, None);
    }
}

/// Other fields that CDI writes into the spec of a DataVolume are not ours.
#[test]
fn a_field_that_cdi_adds_is_no_change() {
    let mut cluster = Cluster::running(DATA);
    cluster
        .server
        .update("cdi-controller", "DataVolume", "web.data", |volume| {
            volume["spec"]["contentType"] = json!("kubevirt");
        });
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);
    assert_eq!(cluster.status().blocker, None);
}

#[test]
fn without_cdi_empty_disks_are_plain_claims_and_others_wait() {
    let mut cluster = Cluster::new(DATA);
    cluster.unserved.insert("DataVolume", Presence::Missing);
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
    assert_eq!(
        volume_of(&cluster, "data")["persistentVolumeClaim"]["claimName"],
        "web.data"
    );
    cluster.done();
    // A plain claim stays one when CDI appears, and grows as any other.
    cluster.unserved.clear();
    cluster.edit("disks: [{name: data, size: 30Gi}]");
    cluster.live();
    assert!(cluster.server.get("DataVolume", "web.data").is_none());
    assert_eq!(request(&cluster, "web.data"), "30Gi");
    assert_eq!(cluster.status().blocker, None);

    let mut cluster = Cluster::new("disks: [{name: root, size: 20Gi, image: 'fedora:41'}]");
    cluster.unserved.insert("DataVolume", Presence::Missing);
    cluster.live();
    assert_eq!(blocker(&cluster).0, "CDINotInstalled");
    assert_eq!(cluster.status().phase, Some(Phase::Pending));
    cluster.unserved.clear();
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
}

/// A claim as `kubectl delete datavolume --cascade=orphan` leaves it, and one that garbage collection will take.
#[test]
fn a_claim_without_its_data_volume_is_mounted_once_it_is_nobodys() {
    let mut cluster = Cluster::running(DATA);
    let uid = cluster
        .server
        .get("PersistentVolumeClaim", "web.data")
        .unwrap()["metadata"]["uid"]
        .clone();
    let owner = cluster
        .server
        .update("kubectl", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
        })["metadata"]["ownerReferences"]
        .clone();
    // Not collected yet: it still belongs to the DataVolume.
    cluster
        .server
        .update("gc", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["ownerReferences"] = json!([]);
        });
    cluster.server.delete("DataVolume", "web.data");
    cluster
        .server
        .update("gc", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["ownerReferences"] = owner;
        });
    cluster.settle();
    assert!(cluster.done().iter().all(|done| done == "write status"));
    cluster
        .server
        .update("gc", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["ownerReferences"] = json!([]);
        });
    cluster.live();
    assert!(
        cluster
            .done()
            .contains(&"apply VirtualMachine/web".to_owned())
    );
    assert!(
        cluster.server.get("DataVolume", "web.data").is_none(),
        "it would be imported again"
    );
    assert_eq!(
        volume_of(&cluster, "data")["persistentVolumeClaim"]["claimName"],
        "web.data"
    );
    let claim = cluster
        .server
        .get("PersistentVolumeClaim", "web.data")
        .unwrap();
    assert_eq!(claim["metadata"]["uid"], uid);
    assert_eq!(cluster.status().blocker, None);
}

/// Without the claims' labels, a claim is foreign.
#[test]
fn a_disk_that_is_still_going_is_waited_for() {
    let mut cluster = Cluster::running(DATA);
    cluster
        .server
        .update("kubelet", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
        });
    cluster.server.delete("DataVolume", "web.data");
    cluster.server.delete("VirtualMachine", "web");
    cluster.run_controllers();
    cluster.settle();
    assert!(cluster.vm().is_null(), "its claim is going");
    cluster
        .server
        .update("kubelet", "PersistentVolumeClaim", "web.data", |claim| {
            claim["metadata"]["finalizers"] = json!([]);
        });
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
}

#[test]
fn who_keeps_a_disk_takes_it_out_of_garbage_collection() {
    let mut cluster = Cluster::running("disks: [{name: data, size: 20Gi, reclaimPolicy: Delete}]");
    cluster.edit("disks: [{name: data, size: 20Gi, reclaimPolicy: Retain}]");
    cluster.settle();
    assert_eq!(
        cluster.done(),
        ["apply DataVolume/web.data", "write status"]
    );
    cluster.server.delete("Wukong", "web");
    cluster.step();
    assert!(
        cluster
            .server
            .get("PersistentVolumeClaim", "web.data")
            .is_some()
    );
}

/// The message of a crashing importer comes and goes; how often it was restarted stays.
#[test]
fn the_words_of_a_failing_importer_are_kept_until_it_succeeds() {
    let importing = |restarts: u64, running: (&str, &str, &str)| {
        json!({"phase": "ImportInProgress", "progress": "N/A", "restartCount": restarts, "conditions": [
            {"type": "Bound", "status": "False", "reason": "Pending", "message": "target PVC web.data Pending"},
            {"type": "Running", "status": running.0, "reason": running.1, "message": running.2},
        ]})
    };
    let dns = "Unable to connect to http data source: Get \"http://nowhere.lan/x\": dial tcp: lookup nowhere.lan: no such host";
    let mut cluster =
        Cluster::new("disks: [{name: data, size: 20Gi, image: 'http://nowhere.lan/x'}]");
    cluster.settle();
    cluster.step();
    let mut reported = Vec::new();
    for running in [
        ("True", "Pod is running", ""),
        ("False", "Error", dns),
        ("True", "Pod is running", ""),
        ("False", "Pod is running", ""),
        ("False", "Error", dns),
        ("False", "Completed", ""),
    ] {
        let restarts = u64::try_from(reported.len()).unwrap() / 2;
        cluster.server.update_status(
            "cdi-controller",
            "DataVolume",
            "web.data",
            importing(restarts, running),
        );
        cluster.settle();
        reported.push(blocker(&cluster));
    }
    assert_eq!(reported[0].0, "Importing");
    for (reason, message) in &reported[1..] {
        assert_eq!(reason, "ImportFailed");
        assert_eq!(
            message,
            "disk data: import failed (DNS): cannot resolve nowhere.lan: no such host"
        );
    }
    let status = import_status("Succeeded", true, "Completed");
    cluster
        .server
        .update_status("cdi-controller", "DataVolume", "web.data", status);
    cluster.live();
    assert_ne!(cluster.status().phase, Some(Phase::Error));
}

#[test]
fn each_failing_importer_keeps_its_own_words() {
    let disk = |name: &str| format!("{{name: {name}, size: 1Gi, image: 'http://{name}.lan/x'}}");
    let mut cluster = Cluster::new(&format!("disks: [{}, {}]", disk("a"), disk("b")));
    cluster.settle();
    cluster.step();
    let words =
        |name: &str| format!("Unable to connect: dial tcp: lookup {name}.lan: no such host");
    let say = |cluster: &mut Cluster, running: [&str; 2]| {
        for (name, reason) in ["a", "b"].into_iter().zip(running) {
            let message = if reason == "Error" {
                words(name)
            } else {
                String::new()
            };
            let status = json!({"phase": "ImportInProgress", "progress": "N/A", "restartCount": 1, "conditions": [
                {"type": "Running", "status": "False", "reason": reason, "message": message},
            ]});
            let volume = format!("web.{name}");
            cluster
                .server
                .update_status("cdi-controller", "DataVolume", &volume, status);
        }
        cluster.settle();
    };
    say(&mut cluster, ["Error", "Error"]);
    say(&mut cluster, ["Completed", "Completed"]);
    cluster.restart_operator();
    cluster.settle();
    for volume in cluster.status().volumes {
        let expected = format!(
            "disk {0}: import failed (DNS): cannot resolve {0}.lan: no such host",
            volume.name,
        );
        assert_eq!(volume.message, Some(expected));
    }
}

#[test]
fn a_disk_that_waits_for_a_vm_which_stays_stopped_says_what_binds_it() {
    let waits = |fields: &str| {
        let mut cluster = Cluster::new(&format!(
            "{fields} disks: [{{name: data, size: 1Gi, image: 'http://a.lan/x'}}]"
        ));
        cluster.settle();
        cluster.step();
        let status = json!({"phase": "WaitForFirstConsumer"});
        cluster
            .server
            .update_status("cdi-controller", "DataVolume", "web.data", status);
        cluster.settle();
        let conditions = cluster.status().conditions;
        let found = conditions
            .into_iter()
            .find(|condition| condition.type_ == "VolumesBound");
        found.unwrap().message
    };
    assert!(waits("powerState: Stopped,").contains("a pod that mounts the claim binds it"));
    assert!(!waits("").contains("a pod that mounts"));
}

#[test]
fn other_settings_of_the_operator_leave_disks_that_exist_alone() {
    let mut cluster = Cluster::running(
        "osImage: 'ubuntu:24.04', disks: [{name: root, size: 20Gi, boot: true}, {name: data, size: 1Gi, image: 'http://images.lan/x'}]",
    );
    cluster.settings.os_image_prefix = "docker://mirror.lan/disks/".into();
    cluster.settings.denied_hosts = vec!["quay.io".into(), "images.lan".into()];
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);
    assert_eq!(cluster.status().blocker, None);
    cluster.edit("osImage: 'ubuntu:22.04', disks: [{name: root, size: 20Gi}]");
    cluster.live();
    assert_eq!(blocker(&cluster).0, "ImmutableFieldChanged");
    let change = cluster.status().pending_changes.remove(0);
    assert_eq!(change.path, "spec.disks[root].source");
    assert_eq!(
        change.current.as_deref(),
        Some("docker://quay.io/containerdisks/ubuntu:24.04")
    );
    assert_eq!(
        change.desired.as_deref(),
        Some("docker://mirror.lan/disks/ubuntu:22.04")
    );
    assert_eq!(change.effect, "refused");
}

/// A claim of that name which is not ours is not touched, and no DataVolume is made over it.
#[test]
fn a_claim_of_somebody_else_is_a_conflict() {
    let mut cluster = Cluster::new(DATA);
    cluster.server.create("kubectl", json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "web.data", "namespace": NAMESPACE}, "spec": {"storageClassName": "standard"},
    }));
    cluster.live();
    assert!(cluster.done().iter().all(|done| done == "write status"));
    let (reason, message) = blocker(&cluster);
    assert_eq!(reason, "NameConflict");
    assert!(
        message.contains("PersistentVolumeClaim/web.data"),
        "{message}"
    );
}

/// Takes over a disk as in docs/migrate.md.
#[test]
fn a_claim_with_the_name_and_the_label_of_a_disk_is_attached_as_it_is() {
    let claim = |labels: Value| {
        json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "web.data", "namespace": "shop", "labels": labels},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "resources": {"requests": {"storage": "20Gi"}}},
            "status": {"phase": "Bound", "capacity": {"storage": "20Gi"}},
        })
    };
    let mut cluster = Cluster::new("disks: [{name: data, size: 20Gi, reclaimPolicy: Delete}]");
    let ours = json!({"app.kubernetes.io/managed-by": "wukong-operator",
        "vm.novasphere.dev/wukong": "web", "vm.novasphere.dev/disk": "data"});
    cluster.server.create("kubectl", claim(ours));
    cluster.live();
    assert_eq!(cluster.status().phase, Some(Phase::Running));
    assert_eq!(
        volume_of(&cluster, "data")["persistentVolumeClaim"]["claimName"],
        "web.data"
    );
    assert!(cluster.server.get("DataVolume", "web.data").is_none());
    let claim_now = cluster.server.get("PersistentVolumeClaim", "web.data");
    assert_eq!(
        claim_now.unwrap()["metadata"]["ownerReferences"],
        Value::Null
    );

    let mut cluster = Cluster::new(DATA);
    cluster.server.create("kubectl", claim(json!({})));
    cluster.live();
    assert_eq!(blocker(&cluster).0, "NameConflict");
}
