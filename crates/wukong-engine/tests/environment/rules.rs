//! The rules, on clusters that break them.

use serde_json::{Value, json};
use wukong_api::Reason;
use wukong_engine::Presence;
use wukong_engine::diagnosis::Check;
use wukong_engine::diagnosis::CheckStatus::{Fail, Pass, Unknown};
use wukong_engine::diagnosis::rules::RULES;

use crate::cases::{cases, with_bridge};
use crate::cluster::{Cluster, amiss, wukong};

#[test]
fn a_healthy_cluster_passes_every_check() {
    let cluster = Cluster::healthy();
    assert_eq!(amiss(&cluster.checks(None)), []);
    let checks = cluster.checks(Some(&wukong(json!({
        "networks": [{"name": "lan", "type": "bridge", "bridgeName": "br-lan"}],
    }))));
    assert_eq!(amiss(&checks), []);
    assert!(checks.iter().all(|check| check.hint.is_none()));
    assert_eq!(
        cluster.verdict(&wukong(json!({}))).reason,
        Reason::Available
    );
}

#[test]
fn every_rule_is_broken_by_a_cluster_and_says_so_in_one_sentence() {
    for case in cases() {
        let cluster = (case.cluster)();
        let wukong = cluster.wukong((case.spec)());
        let check = cluster.check(case.rule, Some(&wukong));
        assert_eq!(
            (check.status, check.reason),
            (case.status, case.reason),
            "{check:#?}"
        );
        for words in case.words {
            assert!(
                check.message.contains(words),
                "{words:?} is not in {check:#?}"
            );
        }
        is_presentable(&check);
    }
}

/// One bounded line that says what is the matter, with what to do next.
fn is_presentable(check: &Check) {
    assert!(check.message.len() <= 1024, "{check:#?}");
    assert!(
        !check.message.contains('\n') && !check.message.contains("  "),
        "{check:#?}"
    );
    let hint = check.hint.as_deref().unwrap_or_default();
    assert!(
        !hint.is_empty() && !hint.contains("{kubevirt}") && !hint.contains("{namespace}"),
        "{check:#?}"
    );
    assert_eq!(
        check.anchor,
        format!(
            "docs/troubleshooting.md#{}",
            check.reason.to_string().to_lowercase()
        )
    );
}

#[test]
fn no_rule_is_without_a_case() {
    let untested: Vec<&str> = RULES
        .iter()
        .map(|rule| rule.id)
        .filter(|id| !cases().any(|case| case.rule == *id))
        .collect();
    assert_eq!(untested, Vec::<&str>::new());
}

#[test]
fn the_sentences_that_started_this_come_before_any_vm_is_made() {
    let messages = |cluster: Cluster| {
        let checks = cluster.checks(None);
        checks
            .into_iter()
            .find(|check| check.status == Fail)
            .unwrap()
            .message
    };
    assert_eq!(
        messages(Cluster::healthy().device("kvm", None, None)),
        "No node that a VM may be placed on has hardware virtualization (/dev/kvm), and KubeVirt's software emulation is off: worker-1, worker-2"
    );
    assert_eq!(
        messages(Cluster::healthy().crashing_handler("no /dev/kvm")),
        "virt-handler does not run on any node that a VM may be placed on; worker-1, worker-2: container virt-handler is in CrashLoopBackOff, it ends with Error (exit code 2): no /dev/kvm, without a sign of life since 2026-08-01T11:46:00Z"
    );
    assert_eq!(
        messages(Cluster::healthy().emulating().device("tun", None, None)),
        "No node that a VM may be placed on has the device /dev/net/tun, which software emulation needs as well: the kernel module tun is not loaded on worker-1, worker-2"
    );
}

#[test]
fn what_changes_all_the_time_is_evidence_and_not_message() {
    let restarted = |count: u64, words: &'static str| {
        Cluster::healthy()
            .crashing_handler(words)
            .change("Pod", "virt-handler", |pod| {
                pod["status"]["containerStatuses"][0]["restartCount"] = json!(count);
            })
    };
    let first = restarted(3, "no").check("virt-handler", None);
    // Between two attempts it runs for a moment.
    let second = restarted(9, "no")
        .change("Pod", "virt-handler", |pod| {
            pod["status"]["containerStatuses"][0]["state"] = json!({"running": {}});
        })
        .check("virt-handler", None);
    assert_eq!(first.message, second.message);
    assert!(
        first
            .evidence
            .iter()
            .any(|line| line.contains("restarted 3 times"))
    );
    assert!(
        second
            .evidence
            .iter()
            .any(|line| line.contains("last heartbeat 14 minutes ago"))
    );
}

#[test]
fn what_does_not_concern_a_vm_is_not_checked() {
    let broken = Cluster::healthy()
        .presence("DataVolume", Presence::Missing)
        .presence("NetworkAttachmentDefinition", Presence::Missing)
        .presence("NodeNetworkState", Presence::Missing);
    let blank = wukong(json!({"osImage": null, "disks": [{"name": "root", "size": "1Gi"}]}));
    assert_eq!(amiss(&broken.checks(Some(&blank))), []);
}

#[test]
fn a_toleration_and_a_label_open_nodes() {
    let cluster = || {
        Cluster::healthy()
            .without("Node", "cp-1")
            .change("Node", "worker", |node| {
                node["spec"]["taints"] =
                    json!([{"key": "vms", "value": "only", "effect": "NoSchedule"}]);
            })
    };
    let tolerating =
        |toleration: Value| wukong(json!({"highAvailability": {"tolerations": [toleration]}}));
    let status = |toleration: Value| {
        cluster()
            .check("placement", Some(&tolerating(toleration)))
            .status
    };
    assert_eq!(status(json!({"key": "vms", "operator": "Exists"})), Pass);
    assert_eq!(status(json!({"operator": "Exists"})), Pass);
    assert_eq!(status(json!({"key": "vms", "value": "only"})), Pass);
    assert_eq!(
        status(json!({"key": "vms", "value": "only", "effect": "NoSchedule"})),
        Pass
    );
    assert_eq!(status(json!({"key": "vms", "value": "other"})), Fail);
    assert_eq!(
        status(json!({"key": "vms", "operator": "Exists", "effect": "NoExecute"})),
        Fail
    );
    // A label that is not kept in memory is never blamed.
    let feature = wukong(
        json!({"highAvailability": {"nodeSelector": {"feature.node.kubernetes.io/usb": "true"}}}),
    );
    assert_eq!(
        Cluster::healthy().check("placement", Some(&feature)).status,
        Pass
    );
}

#[test]
fn without_permission_a_check_is_unknown_and_blames_nothing() {
    let kinds = [
        "Node",
        "KubeVirt",
        "Pod",
        "CDI",
        "StorageClass",
        "StorageProfile",
        "CSIDriver",
        "CSINode",
        "DaemonSet",
        "NodeNetworkState",
        "ResourceQuota",
        "LimitRange",
    ];
    let wukong = wukong(with_bridge("br-lan"));
    for (presence, reason) in [
        (Presence::Forbidden, Reason::NotPermitted),
        (Presence::Unknown, Reason::NotObserved),
    ] {
        for kind in kinds {
            let checks = Cluster::healthy()
                .presence(kind, presence)
                .checks(Some(&wukong));
            for check in checks.iter().filter(|check| check.status != Pass) {
                assert_eq!(
                    (check.status, check.reason),
                    (Unknown, reason),
                    "{kind}: {check:#?}"
                );
            }
        }
        let blind = kinds.iter().fold(Cluster::healthy(), |cluster, kind| {
            cluster.presence(kind, presence)
        });
        let verdict = blind.verdict(&wukong);
        assert_eq!((verdict.status, verdict.reason), (Unknown, reason));
    }
}

#[test]
fn nodes_with_kvm_are_good_news_even_when_the_kubevirt_resource_may_not_be_read() {
    let hidden = Cluster::healthy().presence("KubeVirt", Presence::Forbidden);
    assert_eq!(hidden.check("kvm-device", None).status, Pass);
    let without = Cluster::healthy()
        .presence("KubeVirt", Presence::Forbidden)
        .device("kvm", None, None);
    assert_eq!(without.check("kvm-device", None).status, Unknown);
}

#[test]
fn checks_are_written_as_json() {
    let check = Cluster::healthy()
        .device("kvm", None, None)
        .check("kvm-device", None);
    let written = serde_json::to_value(&check).unwrap();
    assert_eq!(written["id"], "kvm-device");
    assert_eq!(written["condition"], "EnvironmentReady");
    assert_eq!(written["reason"], "NoVirtualizationDevices");
    assert_eq!(written["status"], "Fail");
    assert_eq!(written["evidence"].as_array().unwrap().len(), 3);
    assert_eq!(written.get("subject"), None);
}
