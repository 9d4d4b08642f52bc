//! Two faults at once: the one that comes first in causal order is named.

use serde_json::json;
use wukong_api::{ConditionType, ValidatedWukong};
use wukong_engine::Presence;
use wukong_engine::diagnosis::CheckStatus::{Fail, Unknown};
use wukong_engine::diagnosis::rules::RULES;

use crate::cluster::Cluster;

type Fault = (&'static str, fn(Cluster) -> Cluster);

/// One fault a rule, in causal order.
const FAULTS: &[Fault] = &[
    ("kubevirt-installed", |cluster| {
        cluster
            .presence("VirtualMachine", Presence::Missing)
            .presence("KubeVirt", Presence::Missing)
    }),
    ("kubevirt-available", |cluster| {
        cluster.unavailable("Deployed", "NotReady", "virt-api is gone")
    }),
    ("placement", |cluster| {
        cluster.change("Node", "worker", |node| {
            node["spec"]["unschedulable"] = json!(true)
        })
    }),
    ("virt-handler", |cluster| cluster.crashing_handler("panic")),
    ("kvm-device", |cluster| cluster.device("kvm", None, None)),
    ("tun-device", |cluster| cluster.device("tun", None, None)),
    ("vhost-net-device", |cluster| {
        cluster.device("vhost-net", None, None)
    }),
    ("device-plugin", |cluster| {
        cluster.change("Node", "worker", |node| {
            for (name, amount) in node["status"]["allocatable"].as_object_mut().unwrap() {
                if name.starts_with("devices.kubevirt.io/") {
                    *amount = json!("0");
                }
            }
        })
    }),
    ("machine-type", |cluster| {
        cluster.change("Node", "worker", |node| {
            node["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .retain(|key, _| !key.starts_with("machine-type"));
        })
    }),
    ("cpu-model", |cluster| {
        cluster.change("KubeVirt", "kubevirt", |kubevirt| {
            kubevirt["spec"]["configuration"]["cpuModel"] = json!("EPYC-Milan");
        })
    }),
    ("cdi-installed", |cluster| {
        cluster.presence("DataVolume", Presence::Missing)
    }),
    ("cdi-available", |cluster| {
        cluster.change("CDI", "cdi", |cdi| cdi["status"]["conditions"] = json!([]))
    }),
    ("multus-installed", |cluster| {
        cluster.presence("NetworkAttachmentDefinition", Presence::Missing)
    }),
    ("multus-healthy", |cluster| {
        cluster.change("DaemonSet", "kube-multus", |set| {
            set["status"]["numberReady"] = json!(0)
        })
    }),
    ("nmstate-installed", |cluster| {
        cluster.presence("NodeNetworkState", Presence::Missing)
    }),
    ("default-class", |cluster| {
        cluster.change("StorageClass", "ceph-block", |class| {
            class["metadata"]["annotations"] = json!({});
        })
    }),
    ("provisioner", |cluster| {
        cluster
            .without("CSIDriver", "rook")
            .without("CSINode", "worker")
    }),
    ("storage-profile", |cluster| {
        cluster.change("StorageProfile", "ceph-block", |profile| {
            profile["status"] = json!({})
        })
    }),
    ("pod-quota", |cluster| {
        cluster.change("ResourceQuota", "team", |quota| {
            quota["status"]["used"]["requests.memory"] = json!("64Gi");
        })
    }),
];

/// A VM that every fault stops.
fn demanding(cluster: &Cluster) -> ValidatedWukong {
    cluster.wukong(json!({"networks": [
        {"name": "lan", "type": "bridge", "bridgeName": "br-lan", "onMissingMultus": "Block"},
        {"name": "mgmt", "type": "bridge", "bridgeName": "br-mgmt", "nodeNetwork": {"uplink": "eth2"}},
    ]}))
}

fn failing(cluster: &Cluster) -> Vec<&'static str> {
    let checks = cluster.checks(Some(&demanding(&Cluster::healthy().making_bridges())));
    let failing = checks.iter().filter(|check| check.status == Fail);
    failing.map(|check| check.id).collect()
}

#[test]
fn faults_are_listed_as_the_rules_are() {
    let place = |id: &str| RULES.iter().position(|rule| rule.id == id);
    let places: Vec<_> = FAULTS.iter().map(|(id, _)| place(id).unwrap()).collect();
    assert!(places.is_sorted());
}

#[test]
fn a_single_fault_is_the_only_thing_that_is_blamed() {
    assert_eq!(failing(&Cluster::healthy()), Vec::<&str>::new());
    for (id, fault) in FAULTS {
        assert_eq!(failing(&fault(Cluster::healthy())), [*id]);
    }
}

#[test]
fn what_follows_from_a_fault_is_not_judged_and_says_which_fault() {
    let checks = Cluster::healthy().crashing_handler("panic").checks(None);
    let last = checks
        .iter()
        .find(|check| check.id == "machine-type")
        .unwrap();
    assert_eq!(last.status, Unknown);
    assert!(
        last.message.contains("before virt-handler is in order"),
        "{last:#?}"
    );
}

#[test]
fn of_two_faults_the_first_in_causal_order_is_named() {
    for (index, (first, fault)) in FAULTS.iter().enumerate() {
        for (second, other) in FAULTS.iter().skip(index + 1) {
            let cluster = other(fault(Cluster::healthy()));
            assert_eq!(
                failing(&cluster).first(),
                Some(first),
                "{first} and {second}"
            );
        }
    }
}

#[test]
fn the_verdict_on_the_environment_is_the_first_failing_check_about_it() {
    for (id, fault) in FAULTS {
        let verdict =
            fault(Cluster::healthy()).verdict(&demanding(&Cluster::healthy().making_bridges()));
        let condition = RULES.iter().find(|rule| rule.id == *id).unwrap().condition;
        assert_eq!(verdict.condition, ConditionType::EnvironmentReady);
        if condition == ConditionType::EnvironmentReady {
            assert_eq!((verdict.id, verdict.status), (*id, Fail));
        } else {
            assert_ne!(verdict.status, Fail, "{id}: {verdict:#?}");
        }
    }
}

#[test]
fn a_deployment_that_waits_for_virt_handler_blames_virt_handler() {
    let deploying = |cluster: Cluster| {
        cluster.unavailable(
            "Deploying",
            "DeploymentInProgress",
            "Deploying version v1.9.0",
        )
    };
    let cluster = deploying(Cluster::healthy().crashing_handler("no /dev/kvm"));
    assert_eq!(failing(&cluster), ["virt-handler"]);
    assert_eq!(cluster.check("kubevirt-available", None).status, Unknown);
    // Once it was deployed, KubeVirt does not wait for virt-handler any more: something else is the matter.
    let later = Cluster::healthy()
        .crashing_handler("no /dev/kvm")
        .unavailable("Deployed", "NotReady", "virt-api is gone");
    assert_eq!(failing(&later), ["kubevirt-available"]);
}

#[test]
fn what_is_wrong_with_some_nodes_is_no_failure_while_another_can_run_the_vm() {
    let half = Cluster::healthy().change("Node", "worker-1", |node| {
        for field in ["capacity", "allocatable"] {
            node["status"][field]
                .as_object_mut()
                .unwrap()
                .remove("devices.kubevirt.io/kvm");
        }
    });
    assert_eq!(failing(&half), Vec::<&str>::new());
    let evidence = half.check("kvm-device", None).evidence;
    assert_eq!(evidence, ["Node/worker-1: no /dev/kvm"]);
    // The node that is left has another fault: that is now the blocker, and the message names the first node beside it.
    let none = half.change("Node", "worker-2", |node| {
        for device in ["kvm", "tun", "vhost-net"] {
            node["status"]["allocatable"][format!("devices.kubevirt.io/{device}")] = json!("0");
        }
    });
    assert_eq!(failing(&none), ["device-plugin"]);
    let check = none.check("device-plugin", None);
    assert!(
        check
            .evidence
            .contains(&"Node/worker-1: no /dev/kvm".to_owned()),
        "{check:#?}"
    );
}

#[test]
fn one_node_that_fits_is_enough_for_the_verdict() {
    let mostly_broken = Cluster::healthy().crashing("virt-handler-9xq2m", "panic");
    assert_eq!(
        mostly_broken
            .verdict(&demanding(&Cluster::healthy().making_bridges()))
            .id,
        "environment"
    );
    assert_eq!(failing(&mostly_broken), Vec::<&str>::new());
}

#[test]
fn a_node_that_is_not_declared_fit_for_want_of_a_device_is_blamed_on_the_device() {
    let unfit = || {
        Cluster::healthy().change("Node", "worker", |node| {
            node["metadata"]["labels"]["kubevirt.io/schedulable"] = json!("false");
        })
    };
    assert_eq!(failing(&unfit()), ["virt-handler"]);
    assert_eq!(failing(&unfit().device("kvm", None, None)), ["kvm-device"]);
    // Without any device it is virt-handler that has not got to offering them.
    let bare = unfit()
        .device("kvm", None, None)
        .device("tun", None, None)
        .device("vhost-net", None, None);
    assert_eq!(failing(&bare), ["virt-handler"]);
}
