//! The state of the cluster itself, in the status of a Wukong.

use jiff::SignedDuration;
use serde_json::json;
use wukong_api::status::Phase;
use wukong_api::{Reason, WukongStatus};
use wukong_engine::Presence;
use wukong_engine::environment::Environment;

use crate::reasons::keeps_the_rules;
use crate::states::{IMAGE, all, unschedulable, waiting_with};
use crate::support::cluster::Cluster;
use crate::support::environment::Cluster as Surroundings;

fn condition(status: &WukongStatus, type_: &str) -> Option<(String, String)> {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)?;
    Some((found.status.clone(), found.reason.clone()))
}

fn pair(status: &str, reason: &str) -> Option<(String, String)> {
    Some((status.into(), reason.into()))
}

fn without_kvm() -> Surroundings {
    Surroundings::healthy().device("kvm", None, None)
}

/// The blocker of a new Wukong in that cluster, and its objects.
fn begun(surroundings: &Surroundings) -> (WukongStatus, Vec<String>) {
    let mut cluster = Cluster::new(IMAGE).within(surroundings);
    cluster.settle();
    let (status, done) = (cluster.status(), cluster.done());
    keeps_the_rules(&status);
    assert_eq!(status.phase, Some(Phase::Pending), "{status:#?}");
    (status, done)
}

#[test]
fn the_lines_that_everybody_meets_come_out_as_one_sentence_each() {
    let mut text = String::new();
    for surroundings in [
        without_kvm(),
        Surroundings::healthy().crashing_handler("fsnotify: too many open files"),
        Surroundings::healthy()
            .emulating()
            .device("kvm", None, None)
            .device("tun", None, None)
            .device("vhost-net", None, None),
    ] {
        let (status, done) = begun(&surroundings);
        assert!(
            !done.iter().any(|done| done == "apply VirtualMachine/web"),
            "the VM waits for its claims"
        );
        assert!(
            done.iter().any(|done| done == "apply DataVolume/web.root"),
            "{done:?}"
        );
        let blocker = status.blocker.unwrap();
        text += &format!(
            "{} ({})\n  {}\n  {}\n",
            blocker.reason,
            blocker.condition,
            blocker.message,
            blocker.hint.unwrap()
        );
    }
    insta::assert_snapshot!(text);
}

/// The status also reports it for a running VM, and removes it: a report from before a restart does not stay for ever.
#[test]
fn what_the_installed_definition_drops_is_named_as_long_as_it_does() {
    const MTU: &str = "properties/spec/properties/networks/items/properties/mtu";
    let mut cluster =
        Cluster::running(IMAGE).within(&Surroundings::healthy().knowing_all_but(&[MTU]));
    cluster.settle();
    let status = cluster.status();
    let spec = &status.conditions[0];
    assert_eq!(
        (
            spec.type_.as_str(),
            spec.status.as_str(),
            spec.reason.as_str()
        ),
        ("SpecValid", "True", "CRDOutdated")
    );
    let reported = "the API server drops spec.networks[].mtu (";
    assert!(spec.message.contains(reported), "{}", spec.message);
    assert_eq!(status.phase, Some(Phase::Running));
    keeps_the_rules(&status);

    cluster.memory = Default::default();
    cluster = cluster.within(&Surroundings::healthy().knowing_all_but(&[]));
    cluster.settle();
    assert_eq!(
        condition(&cluster.status(), "SpecValid"),
        pair("True", "Valid")
    );
}

#[test]
fn a_bad_cluster_holds_nothing_back_and_is_forgotten_when_it_is_mended() {
    let mut cluster = Cluster::new(IMAGE).within(&without_kvm());
    cluster.settle();
    assert_eq!(
        condition(&cluster.status(), "EnvironmentReady"),
        pair("False", "NoVirtualizationDevices")
    );
    let mut cluster = cluster.within(&Surroundings::healthy());
    cluster.settle();
    let status = cluster.status();
    assert_eq!(
        condition(&status, "EnvironmentReady"),
        pair("True", "Available")
    );
    assert_eq!(status.blocker.unwrap().reason, "Pending");
}

#[test]
fn one_that_runs_or_rests_does_not_mind() {
    for fields in [IMAGE, "powerState: Paused", "powerState: Stopped"] {
        let mut cluster = Cluster::running(fields);
        let before = cluster.status();
        assert_eq!(condition(&before, "Ready").unwrap().0, "True");
        cluster = cluster.within(&without_kvm());
        cluster.observe();
        assert_eq!(cluster.decide().status, before, "{fields}");
        assert_eq!(cluster.decide().write_status, None);
    }
}

#[test]
fn without_the_second_role_nothing_is_blamed_on_the_cluster() {
    let mut cluster = Cluster::new(IMAGE);
    let environment = &mut cluster.environment;
    environment.kubevirts.clear(Presence::Forbidden);
    environment.kubevirt_pods.clear(Presence::Forbidden);
    environment.nodes.clear(Presence::Forbidden);
    environment.cdis.clear(Presence::Forbidden);
    environment.storage_profiles.clear(Presence::Forbidden);
    environment.csi_drivers.clear(Presence::Forbidden);
    environment.csi_nodes.clear(Presence::Forbidden);
    environment.multus.clear(Presence::Forbidden);
    environment.node_networks.clear(Presence::Forbidden);
    environment.quotas.clear(Presence::Forbidden);
    environment.limit_ranges.clear(Presence::Forbidden);
    cluster.settle();
    let status = cluster.status();
    keeps_the_rules(&status);
    assert_eq!(
        condition(&status, "EnvironmentReady"),
        pair("Unknown", "NotPermitted")
    );
    assert_eq!(status.blocker.unwrap().reason, "Pending");
    cluster.live();
    assert_eq!(condition(&cluster.status(), "Ready"), pair("True", "Ready"));
}

#[test]
fn what_was_reported_of_the_cluster_stays_until_it_is_observed_again() {
    let mut cluster = Cluster::new(IMAGE).within(&without_kvm());
    cluster.settle();
    cluster.environment = Environment::default();
    cluster.restart_operator();
    cluster.observe();
    let decision = cluster.decide();
    assert_eq!(decision.write_status, None, "{:#?}", decision.status);
    let mut mended = cluster.within(&Surroundings::healthy());
    mended.settle();
    assert_eq!(
        condition(&mended.status(), "EnvironmentReady"),
        pair("True", "Available")
    );
}

/// Heartbeats, restarts and versions change all the time.
#[test]
fn what_changes_all_the_time_says_nothing_new() {
    let healthy = Surroundings::healthy().environment();
    let later = Surroundings::healthy()
        .change("Node", "worker", |node| {
            node["metadata"]["resourceVersion"] = json!("99999999");
            node["metadata"]["annotations"]["kubevirt.io/heartbeat"] =
                json!("2026-08-01T12:00:30Z");
            node["status"]["conditions"][0]["lastHeartbeatTime"] = json!("2026-08-01T12:00:30Z");
        })
        .change("Pod", "virt-handler", |pod| {
            pod["metadata"]["resourceVersion"] = json!("99999999");
        })
        .environment();
    let mut nodes = healthy.nodes.clone();
    for node in later.nodes.iter() {
        assert!(!nodes.insert(node.clone()), "{node:#?}");
    }
    assert!(
        nodes
            .iter()
            .any(|node| node.meta.resource_version == "99999999"),
        "it is taken in"
    );
    let mut pods = healthy.kubevirt_pods;
    for pod in later.kubevirt_pods.iter() {
        assert!(!pods.insert(pod.clone()), "{pod:#?}");
    }
    let mut nodes = healthy.nodes;
    let worse = without_kvm().environment();
    assert!(worse.nodes.iter().any(|node| nodes.insert(node.clone())));
}

const MISSING: (&str, &str) = (
    "FailedMount",
    "MountVolume.SetUp failed for volume \"cloudinitdisk-udata\" : secret \"mine\" not found",
);

/// How often the operator queried the pods and events within an hour.
fn queries(cluster: &mut Cluster) -> usize {
    let end = cluster.now + SignedDuration::from_hours(1);
    cluster.done.clear();
    while cluster.now < end {
        cluster.pass();
        cluster.now += SignedDuration::from_secs(5);
    }
    cluster.done.iter().filter(|done| *done == "query").count()
}

#[test]
fn pods_and_events_are_queried_only_while_something_waits_and_more_and_more_seldom() {
    let mut waits = waiting_with(MISSING.0, MISSING.1);
    assert!((5..12).contains(&queries(&mut waits)));
    assert_eq!(queries(&mut Cluster::running(IMAGE)), 0);
    assert_eq!(queries(&mut Cluster::running("powerState: Stopped")), 0);
    let mut ill = Cluster::new(IMAGE).within(&without_kvm());
    ill.settle();
    assert_eq!(queries(&mut ill), 0, "the cause is known");
}

#[test]
fn what_an_event_reported_stays_over_a_restart_until_the_next_query() {
    let mut cluster = waiting_with(MISSING.0, MISSING.1);
    let reported = cluster.status().blocker.unwrap();
    assert_eq!(reported.reason, "SecretNotFound");
    cluster.restart_operator();
    cluster.observe();
    assert_eq!(cluster.decide().write_status, None);
    // The Secret was made, and the pod starts.
    cluster.children.replace_events(Vec::new());
    cluster.pass();
    cluster.now += SignedDuration::from_secs(10);
    cluster.pass();
    cluster.settle();
    assert_eq!(cluster.status().blocker.unwrap().reason, "Scheduling");
}

#[test]
fn events_about_pods_that_are_gone_are_nobodys_fault() {
    let mut cluster = waiting_with(MISSING.0, MISSING.1);
    cluster.children.pods.replace(Vec::new());
    cluster.now += SignedDuration::from_mins(10);
    cluster.pass();
    cluster.settle();
    assert_eq!(cluster.status().blocker.unwrap().reason, "Scheduling");
}

/// KubeVirt calls a VM scheduled when its pod runs.
#[test]
fn a_pod_that_cannot_start_has_a_node() {
    let mut cluster = waiting_with(
        "FailedMount",
        "MountVolume.MountDevice failed: no such device",
    );
    for restarted in [false, true] {
        if restarted {
            cluster.restart_operator();
            cluster.observe();
        }
        assert_eq!(cluster.decide().write_status, None);
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(
            (blocker.condition.as_str(), blocker.reason.as_str()),
            ("Running", "PodNotStarted")
        );
        assert!(blocker.message.contains("no such device"), "{blocker:?}");
    }
}

/// Before the attempt of the scheduler, the sizes of the nodes show the cause; after it, its message does.
#[test]
fn a_vm_that_no_node_can_hold_is_the_same_object_all_the_time() {
    let small = Surroundings::healthy().change("Node", "worker", |node| {
        node["status"]["allocatable"]["memory"] = json!("1Gi");
    });
    let mut before = Cluster::new("cpu: 1").within(&small);
    before.settle();
    let mut after = unschedulable("0/2 nodes are available: 2 Insufficient memory.");
    after.settle();
    for cluster in [before, after] {
        let blocker = cluster.status().blocker.unwrap();
        assert_eq!(
            (blocker.reason.as_str(), blocker.object.as_deref()),
            ("InsufficientMemory", Some("VirtualMachineInstance/web"))
        );
    }
}

/// Its claim is of a class of local-path, and its VM is there to be the first consumer.
fn on_local_path() -> Cluster {
    let mut cluster = Cluster::new(
        "disks: [{name: root, size: 20Gi, image: 'https://images.lan/x.qcow2', storageClassName: local}]",
    );
    cluster.server.create(
        "kubectl",
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
            "provisioner": "rancher.io/local-path", "volumeBindingMode": "WaitForFirstConsumer",
        }),
    );
    cluster.settle();
    cluster.run_controllers();
    let status = json!({"phase": "WaitForFirstConsumer", "conditions": all(&[("Bound", "False", "Pending", "PVC web.root Pending")])});
    let server = &mut cluster.server;
    server.update_status("cdi-controller", "DataVolume", "web.root", status);
    cluster.settle();
    assert!(cluster.vm().is_object(), "its first consumer is there");
    cluster
}

#[test]
fn a_provisioner_that_is_no_csi_driver_is_judged_by_its_pods() {
    let mut cluster = on_local_path();
    let broken = Surroundings::healthy().crashing("local-path-provisioner", "no such directory");
    cluster.children.provisioners = broken.environment().provisioner_pods;
    cluster.now += SignedDuration::from_secs(10);
    cluster.pass();
    cluster.settle();
    let reported = cluster.status().blocker.unwrap();
    assert_eq!(reported.reason, "ProvisionerNotReady", "{reported:?}");
    assert!(
        reported.message.contains("no such directory"),
        "{reported:?}"
    );
    cluster.restart_operator();
    cluster.observe();
    assert_eq!(
        cluster.decide().write_status,
        None,
        "a restart forgets it, and it is no less true"
    );
    cluster.children.provisioners = Surroundings::healthy().environment().provisioner_pods;
    cluster.pass();
    cluster.now += SignedDuration::from_secs(10);
    cluster.pass();
    cluster.settle();
    assert_ne!(
        cluster.status().blocker.unwrap().reason,
        "ProvisionerNotReady"
    );
}

/// A scheduler that gives up and tries again takes a VM from one state to another and back, and that is no progress.
#[test]
fn pods_of_a_vm_that_goes_to_and_fro_are_queried_all_the_same() {
    let mut cluster = on_local_path();
    while cluster.instance()["status"]["phase"] != "Scheduling" {
        assert!(cluster.step());
    }
    let broken = Surroundings::healthy().without("Pod", "local-path");
    cluster.children.provisioners = broken.environment().provisioner_pods;
    cluster.done.clear();
    let mut waited_for = Vec::new();
    for phase in ["WaitForFirstConsumer", "Pending"].repeat(2) {
        let status = json!({"phase": phase, "conditions": []});
        let volumes = &mut cluster.server;
        volumes.update_status("cdi-controller", "DataVolume", "web.root", status);
        cluster.observe();
        waited_for.push(cluster.pass().waiting.unwrap().1);
        cluster.now += SignedDuration::from_secs(5);
    }
    assert_eq!(waited_for[..2], [Reason::Scheduling, Reason::Pending]);
    assert!(cluster.done().contains(&"query".to_owned()));
    cluster.settle();
    let reported = cluster.status().blocker.unwrap();
    assert_eq!(reported.reason, "ProvisionerNotReady", "{reported:?}");
}
