//! Pods and events of a VM's children, as kubelets, controllers and CDI write them.

use serde_json::{Value, json};
use wukong_api::ConditionType::{
    self, DependenciesResolved, EnvironmentReady, Running, Scheduled, VolumesBound,
};
use wukong_api::{Reason, Wukong, WukongSpec};
use wukong_engine::environment::events::{Children, RelatedNames, of_event, of_pod};
use wukong_engine::environment::facts::{EventFact, PodFact};
use wukong_engine::environment::{Check, CheckStatus, Platform, migration};
use wukong_engine::facts::{ConditionFact, Fact};
use wukong_engine::world::World;

fn event(kind: &str, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message,
        "metadata": {"name": format!("x.{reason}"), "namespace": "default", "uid": format!("{reason}{message}")},
        "involvedObject": {"kind": kind, "name": "virt-launcher-web-abcde", "namespace": "default"},
        "count": 4, "lastTimestamp": "2026-08-01T11:58:00Z",
    })
}

const EVENTS: &[(&str, &str, ConditionType, Reason)] = &[
    (
        "FailedMount",
        "MountVolume.SetUp failed for volume \"cloudinit-udata\" : secret \"web.cloud-init\" not found",
        DependenciesResolved,
        Reason::SecretNotFound,
    ),
    (
        "FailedMount",
        "MountVolume.SetUp failed for volume \"cloudinit-udata\" : references non-existent secret key: userdata",
        DependenciesResolved,
        Reason::SecretNotFound,
    ),
    (
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[root], unattached volumes=[]: timed out waiting for the condition",
        Running,
        Reason::PodNotStarted,
    ),
    (
        "FailedAttachVolume",
        "Multi-Attach error for volume \"pvc-6f3\" Volume is already exclusively attached to one node and can't be attached to another",
        Running,
        Reason::PodNotStarted,
    ),
    (
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"5f\": plugin type=\"multus\" name=\"multus-cni-network\" failed (add): Multus: [default/virt-launcher-web]: error getting pod: Unauthorized",
        EnvironmentReady,
        Reason::MultusUnhealthy,
    ),
    (
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = plugin type=\"multus-shim\" failed (add): cannot find a network-attachment-definition (lan) in namespace (default)",
        DependenciesResolved,
        Reason::NADNotFound,
    ),
    (
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to reserve sandbox name",
        Running,
        Reason::PodNotStarted,
    ),
    (
        "ProvisioningFailed",
        "storageclass.storage.k8s.io \"nope\" not found",
        DependenciesResolved,
        Reason::StorageClassNotFound,
    ),
    (
        "ProvisioningFailed",
        "failed to provision volume with StorageClass \"ceph-block\": rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        VolumesBound,
        Reason::ProvisionerNotReady,
    ),
    (
        "ErrCreatingPVCPrime",
        "persistentvolumeclaims \"prime-9\" is forbidden: exceeded quota: team, requested: requests.storage=20Gi, used: requests.storage=490Gi, limited: requests.storage=500Gi",
        VolumesBound,
        Reason::QuotaExceeded,
    ),
    (
        "Failed",
        "Failed to pull image \"quay.io/x/y:nope\": manifest unknown",
        VolumesBound,
        Reason::ImagePullFailed,
    ),
    (
        "FailedScheduling",
        "0/1 nodes are available: 1 Insufficient memory.",
        Scheduled,
        Reason::InsufficientMemory,
    ),
];

#[test]
fn events_are_understood() {
    for (reason, message, condition, expected) in EVENTS {
        let check = of_event(&EventFact::project(&event("Pod", reason, message)), None).unwrap();
        assert_eq!(
            (check.condition, check.reason),
            (*condition, *expected),
            "{message}"
        );
        assert!(check.message.contains(message), "{check:#?}");
        assert_eq!(
            check.subject.as_deref(),
            Some("Pod/virt-launcher-web-abcde")
        );
        assert!(
            check.evidence[0].contains("4 times, last at 2026-08-01T11:58:00Z"),
            "{check:#?}"
        );
        assert!(check.hint.is_some());
    }
}

#[test]
fn progress_is_no_trouble() {
    let mut started = event("Pod", "FailedMount", "secret \"x\" not found");
    started["type"] = json!("Normal");
    for event in [started, event("Pod", "Unhealthy", "Readiness probe failed")] {
        assert_eq!(of_event(&EventFact::project(&event), None), None);
    }
}

#[test]
fn the_newer_form_of_events_is_read_as_well() {
    let newer = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "type": "Warning", "reason": "FailedMount",
        "note": "secret \"web.cloud-init\" not found", "metadata": {"name": "a", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "virt-launcher-web-abcde"},
        "series": {"count": 9, "lastObservedTime": "2026-08-01T11:58:00.000000Z"},
    });
    let check = of_event(&EventFact::project(&newer), None).unwrap();
    assert_eq!(check.reason, Reason::SecretNotFound);
    assert!(check.evidence[0].contains("9 times"), "{check:#?}");
}

#[test]
fn on_k3s_the_paths_of_multus_are_told() {
    let (reason, message, ..) = EVENTS[4];
    let fact = EventFact::project(&event("Pod", reason, message));
    let hint = |platform| of_event(&fact, platform).unwrap().hint.unwrap();
    assert!(hint(Some(Platform::K3s)).contains("/var/lib/rancher/k3s"));
    assert!(!hint(Some(Platform::Gke)).contains("/var/lib/rancher/k3s"));
}

#[test]
fn of_many_events_the_first_in_causal_order_is_named() {
    let mut children = Children::default();
    let facts = EVENTS
        .iter()
        .map(|(reason, message, ..)| EventFact::project(&event("Pod", reason, message)));
    let mut facts: Vec<EventFact> = facts.collect();
    for (index, fact) in facts.iter_mut().enumerate() {
        fact.meta.name = format!("event-{index}");
    }
    children.hear(facts);
    let check = children.trouble("default", None).unwrap();
    assert_eq!(check.reason, Reason::MultusUnhealthy);
    assert_eq!(children.trouble("other", None), None);
}

#[test]
fn only_the_newest_events_are_kept() {
    let mut children = Children::default();
    let facts = (0..1000).map(|index| {
        let mut fact = EventFact::project(&event("Pod", "FailedMount", "x"));
        fact.meta.name = format!("event-{index}");
        fact.last = fact
            .last
            .map(|last| last + jiff::SignedDuration::from_secs(index));
        fact
    });
    children.hear(facts.collect());
    assert_eq!(children.events.len(), 200);
    assert!(
        children
            .events
            .in_namespace("default")
            .any(|event| event.meta.name == "event-999")
    );
}

#[test]
fn pods_tell_what_is_wrong_with_them() {
    let pod = |component: &str, status: Value| {
        PodFact::project(&json!({
            "metadata": {"name": "p", "namespace": "default", "labels": {"kubevirt.io": component}},
            "status": {"phase": "Pending", "containerStatuses": [status]},
        }))
    };
    let pulling = pod(
        "virt-launcher",
        json!({"name": "volumeroot", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"quay.io/x\""}}}),
    );
    assert_eq!(of_pod(&pulling).unwrap().reason, Reason::ImagePullFailed);
    let broken = pod(
        "virt-launcher",
        json!({"name": "compute", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "no such key"}}}),
    );
    let check = of_pod(&broken).unwrap();
    assert_eq!(
        (check.condition, check.reason),
        (Running, Reason::PodNotStarted)
    );
    assert!(
        check
            .message
            .contains("CreateContainerConfigError: no such key"),
        "{check:#?}"
    );
    let starting = pod(
        "virt-launcher",
        json!({"name": "compute", "state": {"waiting": {"reason": "ContainerCreating"}}}),
    );
    assert_eq!(of_pod(&starting), None);
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
    let of_events = EVENTS.iter().filter_map(|(reason, message, ..)| {
        of_event(&EventFact::project(&event("Pod", reason, message)), None)
    });
    let of_migration = MIGRATION
        .iter()
        .map(|(status, reason, ..)| migration(status, reason));
    of_events
        .chain(of_migration)
        .map(|check| check.reason)
        .collect()
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
fn what_belongs_to_a_wukong_is_told_by_its_name() {
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
