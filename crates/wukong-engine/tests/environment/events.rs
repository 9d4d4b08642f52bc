//! The pods and events of a Wukong, as kubelets, controllers and CDI write them, and KubeVirt's word on migration.

use serde_json::{Value, json};
use wukong_api::{ConditionType, Reason, Wukong, WukongSpec};
use wukong_engine::diagnosis::{Check, CheckStatus, migration};
use wukong_engine::facts::{ConditionFact, EventFact, Fact};
use wukong_engine::related::{Children, RelatedNames};
use wukong_engine::world::World;

fn event(kind: &str, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "metadata": {"name": format!("x.{reason}"), "namespace": "default", "uid": format!("{reason}{message}")},
        "involvedObject": {"kind": kind, "name": "virt-launcher-web-abcde", "namespace": "default"},
        "count": 4, "lastTimestamp": "2026-08-01T11:58:00Z",
    })
}

#[test]
fn the_newer_form_of_events_is_read_as_well() {
    let newer = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", "reason": "FailedMount",
        "note": "secret \"web.cloud-init\" not found", "metadata": {"name": "a", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "virt-launcher-web-abcde", "uid": "p"},
        "series": {"count": 9, "lastObservedTime": "2026-08-01T11:58:00.000000Z"},
    });
    let fact = EventFact::project(&newer);
    assert_eq!(fact.message, "secret \"web.cloud-init\" not found");
    assert_eq!((fact.count, fact.uid.as_str()), (9, "p"));
    assert!(fact.last.is_some());
}

#[test]
fn only_the_newest_events_are_kept() {
    let mut children = Children::default();
    let facts = (0..1000).map(|index| {
        let mut fact = EventFact::project(&event("Pod", "FailedMount", "x"));
        fact.meta.name = format!("event-{index}").into();
        fact.last = fact
            .last
            .map(|last| last + jiff::SignedDuration::from_secs(index));
        fact
    });
    children.replace_events(facts.collect());
    assert_eq!(children.events.len(), 200);
    assert!(
        children
            .events
            .in_namespace("default")
            .any(|event| event.meta.name == "event-999")
    );
}

/// KubeVirt's reasons for its condition `LiveMigratable`, and ours.
const MIGRATION: &[(&str, &str, CheckStatus, Reason)] = &[
    ("True", "", CheckStatus::Pass, Reason::Migratable),
    (
        "False",
        "DisksNotLiveMigratable",
        CheckStatus::Fail,
        Reason::DisksNotShared,
    ),
    (
        "False",
        "InterfaceNotLiveMigratable",
        CheckStatus::Fail,
        Reason::PodNetworkBridge,
    ),
    (
        "False",
        "HostDeviceNotLiveMigratable",
        CheckStatus::Fail,
        Reason::HostDevices,
    ),
    (
        "False",
        "SEVNotLiveMigratable",
        CheckStatus::Fail,
        Reason::NotMigratable,
    ),
];

fn migration(status: &str, reason: &str) -> Check {
    let condition = ConditionFact {
        type_: "LiveMigratable".into(),
        status: status.into(),
        reason: reason.into(),
        message: "cannot migrate VMI: PVC web.root is not shared".into(),
        since: None,
    };
    migration::live_migratable("web", &[condition]).unwrap()
}

#[test]
fn kubevirts_word_on_live_migration_is_passed_on() {
    for (status, theirs, expected, ours) in MIGRATION {
        let check = migration(status, theirs);
        assert_eq!(check.condition, ConditionType::LiveMigratable);
        assert_eq!((check.status, check.reason), (*expected, *ours));
    }
    assert_eq!(migration::live_migratable("web", &[]), None);
}

/// The reasons that these tests reach.
pub fn reached() -> Vec<Reason> {
    let of_migration = MIGRATION
        .iter()
        .map(|(status, reason, ..)| migration(status, reason).reason);
    of_migration.collect()
}

/// A Wukong with a disk.
fn wukong(name: &str) -> Wukong {
    let spec: WukongSpec = serde_json::from_value(json!({
        "cpu": 1, "memory": "1Gi", "disks": [{"name": "root", "size": "1Gi"}],
    }))
    .unwrap();
    let mut wukong = Wukong::new(name, spec);
    wukong.metadata.namespace = Some("shop".into());
    wukong
}

#[test]
fn the_name_of_an_object_tells_its_wukong() {
    let mut world = World::default();
    let claim = json!({"metadata": {"name": "web.root", "namespace": "shop", "uid": "6f3a-11"}});
    world.claims.replace(vec![Fact::project(&claim)]);
    let web = RelatedNames::of(&wukong("web"), &world);
    for ours in [
        "web",
        "web.root",
        "virt-launcher-web-x7k2p",
        "importer-web.root",
        "importer-web.root-scratch",
        "importer-prime-6f3a-11",
        "prime-6f3a-11",
    ] {
        assert!(web.has(ours, "shop"), "{ours}");
    }
    for other in [
        "web-2",
        "web2",
        "virt-launcher-web-2-x7k2p",
        "web.other",
        "importer-web-2.root",
        "importer-prime-77aa-12",
        "db",
    ] {
        assert!(!web.has(other, "shop"), "{other}");
    }
    assert!(!web.has("web", "elsewhere"));
    let prime = RelatedNames::of(&wukong("prime-web"), &world);
    for ours in ["prime-web", "prime-web.root", "importer-prime-web.root"] {
        assert!(prime.has(ours, "shop"), "{ours}");
    }
}

#[test]
fn only_a_claim_on_such_a_class_waits_for_the_pod_of_a_provisioner() {
    let waits = |provisioner: &str, phase: &str| {
        let mut world = World::default();
        let class = json!({"metadata": {"name": "local", "uid": "c"}, "provisioner": provisioner});
        let classes = &mut world.environment.storage_classes;
        classes.replace(vec![Fact::project(&class)]);
        world.claims.replace(vec![Fact::project(&json!({
            "metadata": {"name": "web.root", "namespace": "shop", "uid": "6f3a-11"},
            "spec": {"storageClassName": "local"}, "status": {"phase": phase},
        }))]);
        RelatedNames::of(&wukong("web"), &world).waits_for_provisioner()
    };
    assert!(waits("rancher.io/local-path", "Pending"));
    assert!(!waits("rancher.io/local-path", "Bound"));
    assert!(!waits("rbd.csi.ceph.com", "Pending"));
}
