//! Arbitrary content of the watched objects.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_api::status::Phase;
use wukong_api::{OperatorSettings, WukongStatus};
use wukong_engine::facts::Fact;
use wukong_engine::{Decision, Observed, World, decide};

use crate::convergence::KINDS;
use crate::reasons::keeps_the_rules;
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::manifests::UID;

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
        cluster.step();
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

type Objects = BTreeMap<&'static str, Vec<Value>>;

fn objects(cluster: &Cluster) -> Objects {
    let all = KINDS.iter().map(|kind| (*kind, cluster.server.list(kind)));
    all.collect()
}

fn world(objects: &Objects) -> World {
    fn project<F: Fact>(objects: &[Value]) -> Vec<F> {
        objects.iter().map(F::project).collect()
    }
    let mut world = World::default();
    world
        .virtual_machines
        .replace(project(&objects["VirtualMachine"]));
    world
        .instances
        .replace(project(&objects["VirtualMachineInstance"]));
    world.data_volumes.replace(project(&objects["DataVolume"]));
    world
        .claims
        .replace(project(&objects["PersistentVolumeClaim"]));
    world
        .nads
        .replace(project(&objects["NetworkAttachmentDefinition"]));
    world
}

fn decision(cluster: &Cluster, world: &World) -> Decision {
    decide(&Observed {
        wukong: &cluster.wukong(),
        world,
        memory: &cluster.memory,
        settings: &OperatorSettings::default(),
        now: cluster.now,
    })
}

fn is_printable(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains(char::is_control),
        Value::Array(items) => items.iter().all(is_printable),
        Value::Object(map) => map.values().all(is_printable),
        _ => true,
    }
}

/// Terminals show texts of other writers, also names that a guest reports.
#[test]
fn no_control_character_of_somebody_else_s_reaches_a_status_or_an_event() {
    let (mut shown, mut raw) = (0, Vec::new());
    for cluster in [&*RUNNING, &*BEGINNING] {
        let objects = objects(cluster);
        for (kind, of_kind) in &objects {
            for (index, object) in of_kind.iter().enumerate() {
                let mut found = Vec::new();
                pointers("", object, &mut found);
                found.retain(|path| object.pointer(path).unwrap().is_string());
                for path in found {
                    let mut hostile = objects.clone();
                    let place = &mut hostile.get_mut(kind).unwrap()[index];
                    let text = place.pointer_mut(&path).unwrap();
                    *text = Value::from(format!("{}\u{1b}[31m\n", text.as_str().unwrap()));
                    let decision = decision(cluster, &world(&hostile));
                    let events = decision.events.iter().map(|event| event.message.clone());
                    let reported = json!([decision.status, events.collect::<Value>()]);
                    shown += usize::from(reported.to_string().contains("[31m"));
                    if !is_printable(&reported) {
                        raw.push(format!("{kind}{path}"));
                    }
                }
            }
        }
    }
    assert_eq!(raw, [""; 0]);
    assert!(shown > 5, "{shown} show at all");
}

/// A user who may write statuses changes nothing else by that.
#[test]
fn a_status_that_somebody_else_wrote_is_replaced_and_moves_nothing() {
    let truth = serde_json::to_value(RUNNING.status()).unwrap();
    let mut found = vec![String::new()];
    pointers("", &truth, &mut found);
    let mut forged = Vec::new();
    for path in &found {
        for value in [
            json!(null),
            json!({}),
            json!([]),
            json!("forged"),
            json!(7),
            json!("2020-01-01T00:00:00Z"),
        ] {
            let mut status = truth.clone();
            *status.pointer_mut(path).unwrap() = value;
            if status != truth
                && serde_json::from_value::<Option<WukongStatus>>(status.clone()).is_ok()
            {
                forged.push((path, status));
            }
        }
    }
    assert!(forged.len() > 50, "{}", forged.len());
    for (path, status) in forged {
        for restart in [false, true] {
            let mut cluster = RUNNING.clone();
            cluster
                .server
                .update_status("mallory", "Wukong", "web", status.clone());
            if restart {
                cluster.restart_operator();
            }
            cluster.settle();
            let done = cluster.done();
            // After a restart, only the status tells what the Secret contains.
            let once_more = |action: &str| restart && action == "apply Secret/web.cloud-init";
            assert!(
                done.iter()
                    .all(|action| action == "write status" || once_more(action)),
                "{path} {status}: {done:?}"
            );
            let after = cluster.status();
            keeps_the_rules(&after);
            assert_eq!(
                (after.phase, after.blocker),
                (Some(Phase::Running), None),
                "{path} {status}"
            );
        }
    }
}

proptest! {
    /// For any content of the watched objects, there is a decision, within bounds, and no action on foreign objects.
    #[test]
    fn nothing_that_is_observed_breaks_a_decision(
        damage in prop::collection::vec((prop::sample::select(&KINDS[..]), any::<prop::sample::Index>(), json_value()), 1..6),
        running: bool,
    ) {
        let cluster = if running { &*RUNNING } else { &*BEGINNING };
        let mut objects = objects(cluster);
        for (kind, place, value) in damage {
            for object in objects.get_mut(kind).unwrap() {
                let mut found = Vec::new();
                pointers("", object, &mut found);
                *object.pointer_mut(place.get::<String>(&found)).unwrap() = value.clone();
            }
        }
        let world = world(&objects);
        let decision = decision(cluster, &world);
        keeps_the_rules(&decision.status);
        prop_assert!(serde_json::to_vec(&decision.status).unwrap().len() < 64 * 1024);
        for prune in &decision.prune {
            let known = world.nads.get(NAMESPACE, &prune.target.name).present().unwrap();
            prop_assert!(known.meta.is_controlled_by(UID));
        }
    }
}
