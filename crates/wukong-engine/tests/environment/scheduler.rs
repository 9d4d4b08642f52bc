//! The scheduler's messages, as schedulers wrote them.

use serde_json::json;
use wukong_api::Reason;
use wukong_engine::environment::scheduler::{Cause, explain, parse};

use crate::cluster::{Cluster, NOW, wukong};

fn causes(text: &str) -> Vec<(u32, Cause)> {
    let parsed = parse(text).unwrap();
    parsed
        .causes
        .into_iter()
        .map(|(count, cause, _)| (count, cause))
        .collect()
}

#[test]
fn a_message_is_taken_apart_per_cause() {
    let text = "0/6 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's node affinity/selector, 2 node(s) were unschedulable. preemption: 0/6 nodes are available: 1 No preemption victims found for incoming pod, 5 Preemption is not helpful for scheduling.";
    let parsed = parse(text).unwrap();
    assert_eq!((parsed.available, parsed.total), (0, 6));
    assert_eq!(
        causes(text),
        [
            (1, Cause::Memory),
            (1, Cause::Taint),
            (2, Cause::Selector),
            (2, Cause::Cordoned)
        ]
    );
    assert_eq!(
        parsed.causes[1].2,
        "had untolerated taint {node-role.kubernetes.io/control-plane: }"
    );
}

#[test]
fn every_known_text_has_its_cause() {
    for (text, cause) in [
        (
            "1 Insufficient devices.kubevirt.io/kvm",
            Cause::VirtualizationDevice,
        ),
        ("1 Insufficient intel.com/nics", Cause::OtherResource),
        ("1 Insufficient memory", Cause::Memory),
        ("1 Insufficient cpu", Cause::Cpu),
        ("1 Too many pods", Cause::PodCount),
        (
            "pod has unbound immediate PersistentVolumeClaims",
            Cause::UnboundClaim,
        ),
        (
            "1 node(s) didn't find available persistent volumes to bind",
            Cause::UnboundClaim,
        ),
        (
            "1 node(s) had volume node affinity conflict",
            Cause::VolumeElsewhere,
        ),
        ("1 node(s) had untolerated taint(s)", Cause::Taint),
        (
            "1 node(s) had taint {a: b}, that the pod didn't tolerate",
            Cause::Taint,
        ),
        (
            "1 node(s) didn't match Pod's node affinity/selector",
            Cause::Selector,
        ),
        (
            "1 node(s) didn't match pod anti-affinity rules",
            Cause::AntiAffinity,
        ),
        (
            "1 node(s) didn't match pod topology spread constraints",
            Cause::Spread,
        ),
        ("1 node(s) were unschedulable", Cause::Cordoned),
        ("1 node(s) had a bad day", Cause::Other),
    ] {
        let message = format!(
            "0/1 nodes are available: {text}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        );
        assert_eq!(causes(&message).first().unwrap().1, cause, "{text}");
    }
}

#[test]
fn other_texts_are_not_taken_for_the_schedulers() {
    for text in [
        "",
        "PVC default/web.root does not exist, waiting for it to appear",
        "nodes are available",
        "x/y nodes are available: z",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(
        parse("no nodes available to schedule pods").unwrap().total,
        0
    );
}

#[test]
fn nodes_that_could_not_run_the_vm_anyway_are_not_blamed() {
    // The control plane is tainted, a worker is full: memory it is, although taints keep as many nodes away.
    let text = "0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint(s). preemption: none";
    let cluster = Cluster::healthy().change("Node", "worker-1", |node| {
        node["spec"]["taints"] = json!([{"key": "gpu", "effect": "NoSchedule"}]);
    });
    let check = explain(
        &cluster.environment(),
        Some(&wukong(json!({}))),
        "web",
        text,
        NOW.parse().unwrap(),
    )
    .unwrap();
    assert_eq!(check.reason, Reason::InsufficientMemory);
    assert_eq!(
        check.message,
        "None of 3 nodes can run the VM: 1 have too little memory left, 2 have a taint that the VM does not tolerate"
    );
    assert!(
        check
            .evidence
            .contains(&"Node/worker-1: taint gpu:NoSchedule".to_owned()),
        "{check:#?}"
    );
    assert!(check.evidence.last().unwrap().contains(text));
    // Where the facts do not tell of the taints, they are most.
    let bare = Cluster::healthy().without("Node", "cp-1");
    let check = explain(
        &bare.environment(),
        Some(&wukong(json!({}))),
        "web",
        text,
        NOW.parse().unwrap(),
    )
    .unwrap();
    assert_eq!(check.reason, Reason::UntoleratedTaint);
}

#[test]
fn a_selector_that_is_kubevirts_own_is_told_by_the_facts_of_the_nodes() {
    let text = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.";
    let cluster = Cluster::healthy().crashing_handler("panic");
    let check = explain(
        &cluster.environment(),
        Some(&wukong(json!({}))),
        "web",
        text,
        NOW.parse().unwrap(),
    )
    .unwrap();
    assert_eq!(check.reason, Reason::NodeSelectorMismatch);
    assert!(
        check
            .evidence
            .iter()
            .any(|line| line
                .starts_with("Node/worker-2: container virt-handler is in CrashLoopBackOff")),
        "{check:#?}"
    );
}
