//! What a decision costs, counted in facts that it visits.

use serde_json::{Value, json};
use wukong_engine::catalogue::{self, Reader, StoreOf, Visitor, Watched};
use wukong_engine::diagnosis::environment_verdict;
use wukong_engine::facts::Fact;
use wukong_engine::{Presence, World};

use crate::cluster::{Cluster, NOW};

struct Visited<'a> {
    world: &'a mut World,
    facts: usize,
}

impl Visitor for Visited<'_> {
    fn kind<F: Fact>(&mut self, _: &'static Watched, store: StoreOf<F>) {
        self.facts += store(self.world).visited();
    }
}

/// The healthy cluster with more workers, each with all that a worker has: virt-handler, a CSINode, a NodeNetworkState.
fn with_workers(more: usize) -> Cluster {
    let mut cluster = Cluster::healthy();
    let copies: Vec<Value> = ["Node", "Pod", "CSINode", "NodeNetworkState"]
        .iter()
        .flat_map(|kind| cluster.objects_of(kind, "worker-1"))
        .filter(|object| object["kind"] != "Pod" || is_handler(object))
        .collect();
    assert!(copies.len() >= 4, "{copies:#?}");
    for number in 0..more {
        for object in &copies {
            let text = object
                .to_string()
                .replace("worker-1", &format!("worker-{:04}", number + 10));
            let mut object: Value = serde_json::from_str(&text).unwrap();
            let uid = format!("{}-{number}", object["metadata"]["uid"]);
            object["metadata"]["uid"] = json!(uid);
            if object["kind"] == "Pod" {
                object["metadata"]["name"] = json!(format!("virt-handler-{number}"));
            }
            cluster = cluster.with(object);
        }
    }
    cluster
}

fn is_handler(pod: &Value) -> bool {
    pod["metadata"]["labels"]["kubevirt.io"] == "virt-handler"
}

/// How many facts the condition `EnvironmentReady` of a VM visits.
fn visited(cluster: &Cluster, more: &Value) -> usize {
    let environment = cluster.environment();
    let wukong = cluster.wukong(more.clone());
    let mut world = World {
        environment,
        ..World::default()
    };
    let count = |world: &mut World| {
        let mut visited = Visited { world, facts: 0 };
        catalogue::visit(Reader::Operator, &mut visited);
        visited.facts
    };
    let before = count(&mut world);
    assert_eq!(world.environment.nodes.presence(), Presence::Served);
    environment_verdict(&world.environment, &wukong, NOW.parse().unwrap());
    count(&mut world) - before
}

#[test]
fn a_decision_visits_as_many_facts_with_a_thousand_nodes_as_with_three() {
    let (few, many) = (with_workers(0), with_workers(1000));
    for spec in [
        json!({}),
        json!({"networks": [{"name": "lan", "type": "bridge", "bridgeName": "br-lan"}]}),
        json!({"highAvailability": {"nodeSelector": {"kubernetes.io/hostname": "worker-2"}}}),
    ] {
        let (few, many) = (visited(&few, &spec), visited(&many, &spec));
        assert!(few > 0);
        assert!(
            many <= few + few / 10,
            "{spec}: {few} facts with few nodes, {many} with many"
        );
    }
}
