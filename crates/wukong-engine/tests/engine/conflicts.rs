//! Names of foreign objects.

use jiff::SignedDuration;
use serde_json::{Value, json};
use wukong_api::names;
use wukong_api::status::Phase;
use wukong_engine::{Decision, Expect, FailureKind, Kind};

use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::simulator::DEFAULT_CLASS;

const FIELDS: &str = "networks: [{name: lan, type: bridge}], disks: [{name: root, size: 1Gi}]";

/// An object of each kind under the name that ours would have.
fn objects() -> Vec<(&'static str, &'static str, String)> {
    vec![
        ("v1", "Secret", names::cloud_init_secret("web")),
        ("v1", "PersistentVolumeClaim", names::claim("web", "root")),
        (
            "cdi.kubevirt.io/v1beta1",
            "DataVolume",
            names::claim("web", "root"),
        ),
        (
            "k8s.cni.cncf.io/v1",
            "NetworkAttachmentDefinition",
            names::network_attachment_definition("web", "lan"),
        ),
        ("kubevirt.io/v1", "VirtualMachine", "web".into()),
    ]
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": true}])
}

/// The API server answers before the watch reports the object: it may be our own object, of a moment ago.
#[test]
fn a_name_that_is_taken_is_no_conflict_before_its_owner_is_known() {
    for (_, kind, name) in objects()
        .into_iter()
        .filter(|(_, kind, _)| *kind != "Secret")
    {
        let mut cluster = Cluster::new(FIELDS);
        let target = format!("{kind}/{name}");
        cluster
            .refusals
            .insert(target.clone(), (FailureKind::NameTaken, "already exists"));
        cluster.live();
        let blocker = cluster.status().blocker;
        // CDI makes the claim, not we.
        assert_eq!(
            blocker.is_none(),
            kind == "PersistentVolumeClaim",
            "{target}"
        );
        assert!(
            blocker.is_none_or(|blocker| blocker.reason != "NameConflict"),
            "{target}"
        );
        assert_ne!(cluster.status().phase, Some(Phase::Error), "{target}");
    }
}

#[test]
fn what_is_not_ours_is_left_as_it_is() {
    for (version, kind, name) in objects() {
        for owners in [
            json!([]),
            owner("Deployment", "other", "1"),
            owner("Wukong", "other", "2"),
        ] {
            let mut cluster = Cluster::new(FIELDS);
            let theirs = cluster.server.create("helm", json!({
                "apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": owners},
                "spec": {"runStrategy": "Always"},
            }));
            cluster.settle();
            cluster.settle();
            assert_eq!(cluster.server.get(kind, &name), Some(theirs));
            let decision = cluster.decide();
            let blocker = decision.status.blocker.unwrap();
            assert_eq!(blocker.reason, "NameConflict", "{kind}");
            assert_eq!(blocker.object, Some(format!("{kind}/{name}")));
            assert_eq!(decision.status.phase, Some(Phase::Error));
            if kind != "VirtualMachine" {
                assert!(cluster.vm().is_null(), "{kind}");
            }
            // The foreign objects are deleted, and ours are created.
            cluster.server.delete(kind, &name);
            cluster.live();
            assert_eq!(
                cluster.status().phase,
                Some(Phase::Running),
                "{kind}: {:#?}",
                cluster.status().blocker
            );
        }
    }
}

/// The operator cannot read Secrets, and searching for its own owner reference takes several requests.
#[test]
fn a_secret_that_is_known_to_be_foreign_costs_one_request_for_each_try() {
    let mut cluster = Cluster::new("cloudInitUser: {name: web}");
    let name = names::cloud_init_secret("web");
    cluster.server.create("helm", json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
    }));
    let expects = |decision: &Decision| {
        let secret = decision
            .apply
            .iter()
            .find(|it| it.target.kind == Kind::Secret);
        secret.map(|apply| apply.expect.clone())
    };
    let first = cluster.pass();
    assert!(matches!(
        expects(&first),
        Some(Expect::AbsentOrControlledBy(_))
    ));
    for _ in 0..3 {
        assert_eq!(expects(&cluster.pass()), None, "its back-off runs");
        cluster.now += SignedDuration::from_mins(1);
        assert_eq!(expects(&cluster.pass()), Some(Expect::Absent));
    }
}

/// Children of an earlier Wukong of that name are neither ours nor a conflict.
#[test]
fn what_an_earlier_wukong_left_is_waited_for() {
    for (version, kind, name) in objects().into_iter().skip(1) {
        let mut cluster = Cluster::new(FIELDS);
        let old = cluster.server.create("wukong-operator", json!({
            "apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": owner("Wukong", "web", "old"),
                         "labels": {"vm.novasphere.dev/wukong": "web"}},
            "spec": {"runStrategy": "Always"},
        }));
        cluster.settle();
        assert_eq!(cluster.server.get(kind, &name), Some(old));
        let status = cluster.status();
        assert_ne!(status.blocker.unwrap().reason, "NameConflict", "{kind}");
        assert_eq!(status.phase, Some(Phase::Creating), "{kind}");
        assert!(kind == "VirtualMachine" || cluster.vm().is_null(), "{kind}");
        cluster.server.delete(kind, &name);
        cluster.live();
        assert_eq!(cluster.status().phase, Some(Phase::Running), "{kind}");
    }
}

/// A backup program restores objects with their labels, but without owners and managed fields.
#[test]
fn what_a_backup_restored_is_left_as_it_is_and_the_hint_keeps_the_disks() {
    for (version, kind, name) in objects()
        .into_iter()
        .filter(|(_, kind, _)| !matches!(*kind, "Secret" | "PersistentVolumeClaim"))
    {
        let mut cluster = Cluster::new(FIELDS);
        let claim = names::claim("web", "root");
        let labels = json!({"vm.novasphere.dev/wukong": "web", "app.kubernetes.io/managed-by": "wukong-operator"});
        let restored = cluster.server.create("velero-server", json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "spec": {"runStrategy": "Always"},
        }));
        if kind == "DataVolume" {
            cluster.server.create("velero-server", json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim, "namespace": NAMESPACE, "labels": labels},
                "spec": {"storageClassName": DEFAULT_CLASS, "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem",
                         "resources": {"requests": {"storage": "1Gi"}}},
            }));
        }
        cluster.settle();
        assert_eq!(cluster.server.get(kind, &name), Some(restored), "{kind}");
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(blocker.reason, "NameConflict", "{kind}");
        assert!(
            blocker.message.contains("a backup program restored it"),
            "{}",
            blocker.message
        );
        let hint = blocker.hint.unwrap();
        assert!(
            hint.contains("kubectl delete") && hint.contains(&format!("-n {NAMESPACE}")),
            "{hint}"
        );
        assert_eq!(
            hint.contains(&format!("{name} --cascade=orphan")),
            kind == "DataVolume",
            "{hint}"
        );
        // The hint is followed.
        cluster.server.delete(kind, &name);
        cluster.live();
        let status = cluster.status();
        assert_eq!(
            status.phase,
            Some(Phase::Running),
            "{kind}: {:?}",
            status.blocker
        );
        if kind == "DataVolume" {
            assert_eq!(cluster.server.get(kind, &name), None);
            assert!(
                cluster
                    .server
                    .get("PersistentVolumeClaim", &claim)
                    .is_some()
            );
        }
    }
}

/// `kubectl delete wukong --cascade=orphan`, and the manifest again.
#[test]
fn an_orphaned_vm_is_not_taken_over() {
    let mut cluster = Cluster::running(FIELDS);
    for kind in [
        "VirtualMachine",
        "NetworkAttachmentDefinition",
        "DataVolume",
        "Secret",
    ] {
        for object in cluster.server.list(kind) {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            cluster.server.update("gc", kind, &name, |object| {
                object["metadata"]["ownerReferences"] = json!([])
            });
        }
    }
    let before = cluster.vm();
    cluster.settle();
    assert_eq!(cluster.done(), ["write status"]);
    assert_eq!(cluster.vm(), before);
    let blocker = cluster.status().blocker.unwrap();
    assert_eq!(blocker.reason, "NameConflict");
    assert!(
        blocker.message.contains("has lost its owner"),
        "{}",
        blocker.message
    );
}
