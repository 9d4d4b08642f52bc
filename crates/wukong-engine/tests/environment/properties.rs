//! For every answer of the API server, there is a result.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wukong_engine::Store;
use wukong_engine::diagnosis::evidence::Source;
use wukong_engine::diagnosis::scheduler::parse;
use wukong_engine::diagnosis::{environment_verdict, matching, preflight};
use wukong_engine::environment::Environment;
use wukong_engine::environment::addresses::Addresses;
use wukong_engine::facts::Fact;

use crate::cluster::{Cluster, NOW};

/// Names that the facts read, so that arbitrary objects contain facts.
const KEYS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "spec",
    "status",
    "phase",
    "conditions",
    "type",
    "reason",
    "message",
    "capacity",
    "allocatable",
    "devices.kubevirt.io/kvm",
    "devices.kubevirt.io/tun",
    "cpu",
    "memory",
    "taints",
    "key",
    "effect",
    "value",
    "unschedulable",
    "kubevirt.io/schedulable",
    "kubevirt.io/heartbeat",
    "kubevirt.io",
    "nodeName",
    "containerStatuses",
    "state",
    "lastState",
    "waiting",
    "terminated",
    "exitCode",
    "restartCount",
    "configuration",
    "developerConfiguration",
    "useEmulation",
    "network",
    "binding",
    "observedKubeVirtVersion",
    "defaultArchitecture",
    "claimPropertySets",
    "accessModes",
    "provisioner",
    "drivers",
    "hard",
    "used",
    "requests.memory",
    "requests.cpu",
    "limits",
    "max",
    "currentState",
    "interfaces",
    "numberReady",
    "desiredNumberScheduled",
    "storageclass.kubernetes.io/is-default-class",
];
const TEXTS: &[&str] = &[
    "",
    "true",
    "True",
    "False",
    "Unknown",
    "1k",
    "0",
    "-1",
    "500m",
    "99999999999999999999",
    "Ready",
    "Available",
    "NoSchedule",
    "virt-handler",
    "default",
    "br-lan",
    "v1.9.0",
    "v99999999999.1",
    "2026-08-01T11:00:00Z",
    "worker-1",
    "CrashLoopBackOff",
    "ReadWriteOnce",
    "local-path-provisioner",
    "rancher.io/local-path",
    "linux-bridge",
    "\n\u{1b}[31mö",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        prop::sample::select(TEXTS).prop_map(|text| json!(text)),
        "\\PC{0,12}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(6, 96, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(KEYS), inner), 0..8).prop_map(|entries| {
                Value::Object(
                    entries
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect::<Map<_, _>>(),
                )
            }),
        ]
    })
}

/// Arbitrary values under the names that objects have at the top, over an object of the healthy cluster.
fn object() -> impl Strategy<Value = Value> {
    let healthy: Vec<Value> = serde_json::from_str(include_str!("fixtures/healthy.json")).unwrap();
    let count = healthy.len();
    (
        0..count,
        prop::collection::vec((prop::sample::select(KEYS), value()), 0..6),
        value(),
        value(),
    )
        .prop_map(move |(index, changes, spec, status)| {
            let mut object = healthy[index].clone();
            for (key, value) in changes {
                for part in ["spec", "status", "metadata"] {
                    if let Some(fields) = object[part].as_object_mut()
                        && (fields.contains_key(key) || part == "status")
                    {
                        fields.insert(key.to_owned(), value.clone());
                    }
                }
            }
            if index % 3 == 0 {
                object["spec"] = spec;
                object["status"] = status;
            }
            object
        })
}

fn store<T: Fact>(objects: &[Value]) -> Store<T> {
    let mut store = Store::default();
    store.replace(objects.iter().map(T::project).collect());
    store
}

/// Every object is projected to every kind.
fn environment(objects: &[Value]) -> Environment {
    use wukong_engine::Presence::Served;
    Environment {
        virtual_machines: Served,
        data_volumes: Served,
        nads: Served,
        own_crds: store(objects),
        kubevirts: store(objects),
        kubevirt_pods: store(objects),
        nodes: store(objects),
        cdis: store(objects),
        storage_classes: store(objects),
        storage_profiles: store(objects),
        csi_drivers: store(objects),
        csi_nodes: store(objects),
        provisioner_pods: store(objects),
        multus: store(objects),
        node_networks: store(objects),
        node_policies: store(objects),
        enactments: store(objects),
        quotas: store(objects),
        limit_ranges: store(objects),
        namespaces: store(objects),
        deployments: store(objects),
        services: store(objects),
        validating_webhooks: store(objects),
        mutating_webhooks: store(objects),
        addresses: Addresses::default(),
    }
}

proptest! {
    #[test]
    fn preflight_never_panics_and_its_sentences_are_bounded(objects in prop::collection::vec(prop_oneof![object(), value()], 0..8)) {
        let environment = environment(&objects);
        let now = NOW.parse().unwrap();
        let wukong = Cluster::healthy().making_bridges().wukong(json!({"networks": [
            {"name": "lan", "type": "bridge", "bridgeName": "br-lan"},
            {"name": "fast", "type": "macvlan"},
            {"name": "made", "type": "bridge", "nodeNetwork": {"uplink": "eth1"}},
        ]}));
        let checks = preflight(&environment, Some(&wukong), now);
        prop_assert_eq!(&checks, &preflight(&environment, Some(&wukong), now));
        for check in checks.iter().chain(&preflight(&environment, None, now)) {
            prop_assert!(check.message.chars().count() <= 1001, "{}", check.message);
            prop_assert!(!check.message.contains('\n') && !check.message.contains('\u{1b}'), "{:?}", check.message);
        }
        environment_verdict(&environment, &wukong, now);
    }

    #[test]
    fn no_text_of_another_program_panics(text in "\\PC{0,64}", object in value()) {
        parse(&text);
        parse(&format!("0/2 nodes are available: {text}"));
        for source in [Source::Importer, Source::Event, Source::Synchronized, Source::RejectedWrite] {
            matching::matching(source, "FailedMount", &format!("LibvirtError(Message='{text}"));
        }
        wukong_engine::facts::EventFact::project(&json!({"type": "Warning", "message": text, "metadata": object}));
        wukong_engine::facts::PodFact::project(&object);
    }
}
