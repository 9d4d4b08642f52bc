//! Whatever others write into what we watch.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;
use wukong_api::Policy;
use wukong_engine::facts::Fact;
use wukong_engine::{Observed, World, decide};

use crate::convergence::KINDS;
use crate::reasons::keeps_the_rules;
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::manifests::UID;
use crate::support::plant;

/// Any JSON, with the words that facts look for.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(
            &[
                "",
                "True",
                "False",
                "web",
                "Running",
                "Failed",
                "-1Gi",
                "9Ei",
                "\u{1b}[31m\n",
                "0/1 nodes are available: 99999999999 Insufficient"
            ][..]
        )
        .prop_map(Value::from),
        "\\PC{0,2000}".prop_map(Value::from),
    ];
    let key = prop::sample::select(
        &[
            "name",
            "type",
            "status",
            "reason",
            "message",
            "controller",
            "uid",
            "kind",
            "f:spec",
            ".",
        ][..],
    );
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key.clone().prop_map(String::from), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: &str = "networks: [{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24}}],
    disks: [{name: root, size: 1Gi, image: h/x}]";
static RUNNING: LazyLock<Cluster> = LazyLock::new(|| Cluster::running(FIELDS));
static BEGINNING: LazyLock<Cluster> = LazyLock::new(|| {
    let mut cluster = Cluster::new(FIELDS);
    for _ in 0..2 {
        cluster.settle();
        plant::step(&mut cluster.server);
    }
    cluster
});

/// Pointers to everything inside.
fn pointers(path: &str, value: &Value, found: &mut Vec<String>) {
    let mut inside = |step: &str, value: &Value| {
        let path = format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        pointers(&path, value, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| inside(name, value)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| inside(&index.to_string(), value)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever others write into what we watch: an answer, in bounds, and no action on what is not ours.
    #[test]
    fn nothing_that_is_observed_breaks_a_decision(
        damage in prop::collection::vec((prop::sample::select(&KINDS[..]), any::<prop::sample::Index>(), json_value()), 1..6),
        running: bool,
    ) {
        let cluster = if running { &*RUNNING } else { &*BEGINNING };
        let mut objects: BTreeMap<&str, Vec<Value>> = KINDS.iter().map(|kind| (*kind, cluster.server.list(kind))).collect();
        for (kind, place, value) in damage {
            for object in objects.get_mut(kind).unwrap() {
                let mut found = Vec::new();
                pointers("", object, &mut found);
                *object.pointer_mut(place.get::<String>(&found)).unwrap() = value.clone();
            }
        }
        let mut world = World::default();
        fn project<F: Fact>(objects: &[Value]) -> Vec<F> {
            objects.iter().map(F::project).collect()
        }
        world.virtual_machines.replace(project(&objects["VirtualMachine"]));
        world.instances.replace(project(&objects["VirtualMachineInstance"]));
        world.data_volumes.replace(project(&objects["DataVolume"]));
        world.claims.replace(project(&objects["PersistentVolumeClaim"]));
        world.definitions.replace(project(&objects["NetworkAttachmentDefinition"]));
        let wukong = cluster.wukong();
        let decision = decide(&Observed {
            wukong: &wukong, world: &world, memory: &cluster.memory, policy: &Policy::default(), now: cluster.now,
        });
        keeps_the_rules(&decision.status);
        prop_assert!(serde_json::to_vec(&decision.status).unwrap().len() < 64 * 1024);
        for prune in &decision.prune {
            let known = world.definitions.get(NAMESPACE, &prune.target.name).present().unwrap();
            prop_assert!(known.meta.is_controlled_by(UID));
        }
    }
}
