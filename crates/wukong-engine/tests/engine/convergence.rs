//! After any sequence of events, the cluster has the state of the last spec.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_api::{ConditionType, WukongStatus, labels};
use wukong_engine::{FailureKind, Presence};

use crate::reasons::keeps_the_rules;
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::{plant, strategies};

pub const KINDS: [&str; 5] = [
    "VirtualMachine",
    "VirtualMachineInstance",
    "DataVolume",
    "PersistentVolumeClaim",
    "NetworkAttachmentDefinition",
];

/// An event.
#[derive(Clone, Debug)]
enum Event {
    /// The user applies the next spec.
    Edit,
    /// The operator reconciles.
    Pass,
    /// All other controllers do one step.
    Step,
    /// Time passes.
    Wait(i64),
    /// The operator restarts.
    Restart,
    /// The events of a kind are lost, or come again.
    Lose(&'static str),
    Hear,
    /// Multus goes, or comes.
    Multus(bool),
    /// Another writer changes a field of ours on the VM.
    Drift,
    /// `virtctl stop` and `start`.
    Virtctl(&'static str),
    /// The API server rejects writes of the VM, or accepts them again.
    Refuse(bool),
    /// A child is deleted by hand.
    Delete(&'static str),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Edit),
        4 => Just(Event::Pass),
        4 => Just(Event::Step),
        1 => (1i64..400).prop_map(Event::Wait),
        1 => Just(Event::Restart),
        1 => prop::sample::select(&KINDS[..]).prop_map(Event::Lose),
        1 => Just(Event::Hear),
        1 => any::<bool>().prop_map(Event::Multus),
        1 => Just(Event::Drift),
        1 => prop::sample::select(&["Halted", "Always"][..]).prop_map(Event::Virtctl),
        1 => any::<bool>().prop_map(Event::Refuse),
        1 => prop::sample::select(&["VirtualMachine", "NetworkAttachmentDefinition", "VirtualMachineInstance"][..]).prop_map(Event::Delete),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..30)
}

/// Specs that one VM can have in sequence: the sources of disks stay, and no disk shrinks.
fn manifests() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(strategies::spec(), 1..4).prop_map(|mut specs| {
        let mut made: BTreeMap<String, Value> = BTreeMap::new();
        for (index, spec) in specs.iter_mut().enumerate() {
            // The disk that boots is made from it, and another disk may boot in the next manifest.
            spec.as_object_mut().unwrap().remove("osImage");
            for disk in spec["disks"].as_array_mut().into_iter().flatten() {
                let name = disk["name"].as_str().unwrap().to_owned();
                let policy = disk["reclaimPolicy"].clone();
                *disk = made.entry(name).or_insert_with(|| disk.clone()).clone();
                disk["size"] = json!(format!("{}Gi", 20 + index));
                disk["reclaimPolicy"] = policy;
            }
        }
        specs
    })
}

fn cluster_with(spec: &Value) -> Cluster {
    let mut cluster = Cluster::with(spec);
    cluster.server.create("kubectl", json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}, "allowVolumeExpansion": true,
    }));
    cluster.server.create(
        "kubectl",
        json!({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "existing", "namespace": NAMESPACE}, "spec": {"config": "{}"},
        }),
    );
    cluster
}

struct Story {
    cluster: Cluster,
    manifests: Vec<Value>,
    /// The index of the spec that was applied last.
    now: usize,
    /// Whether the power of the VM was last decided by hand.
    by_hand: bool,
}

impl Story {
    fn new(manifests: Vec<Value>) -> Self {
        Self {
            cluster: cluster_with(&manifests[0]),
            manifests,
            now: 0,
            by_hand: false,
        }
    }

    fn happen(&mut self, event: &Event) {
        let cluster = &mut self.cluster;
        match event {
            Event::Edit if self.now + 1 < self.manifests.len() => {
                self.now += 1;
                cluster.edit_to(&self.manifests[self.now]);
            }
            Event::Edit => {}
            Event::Pass => self.look(),
            Event::Step => drop(plant::step(&mut cluster.server)),
            Event::Wait(seconds) => cluster.now += jiff::SignedDuration::from_secs(*seconds),
            Event::Restart => cluster.restart_operator(),
            Event::Lose(kind) => drop(cluster.unheard.insert(kind)),
            Event::Hear => cluster.unheard.clear(),
            Event::Multus(true) => cluster.unserved.clear(),
            Event::Multus(false) => drop(
                cluster
                    .unserved
                    .insert("NetworkAttachmentDefinition", Presence::Missing),
            ),
            Event::Refuse(true) => drop(
                cluster
                    .refusals
                    .insert("VirtualMachine/web".into(), (FailureKind::Denied, "no")),
            ),
            Event::Refuse(false) => cluster.refusals.clear(),
            Event::Delete("NetworkAttachmentDefinition") => {
                let ours = cluster
                    .server
                    .list("NetworkAttachmentDefinition")
                    .into_iter()
                    .find(|nad| nad["metadata"]["name"] != "existing");
                if let Some(nad) = ours {
                    cluster.server.delete(
                        "NetworkAttachmentDefinition",
                        nad["metadata"]["name"].as_str().unwrap(),
                    );
                }
            }
            Event::Delete(kind) => cluster.server.delete(kind, "web"),
            Event::Drift | Event::Virtctl(_) if cluster.vm().is_null() => {}
            Event::Drift => drop(cluster.server.update(
                "kubectl-edit",
                "VirtualMachine",
                "web",
                |vm| {
                    vm["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("1Mi");
                    vm["metadata"]["labels"]["team"] = json!("shop");
                },
            )),
            Event::Virtctl(strategy) => {
                self.by_hand = true;
                plant::virtctl(&mut cluster.server, "web", strategy);
            }
        }
    }

    /// One reconcile of the operator, and the rules that hold for each.
    fn look(&mut self) {
        let cluster = &mut self.cluster;
        let before = cluster.status();
        let decision = cluster.pass();
        let status = &decision.status;
        keeps_the_rules(status);
        times_move_with_statuses(&before, status);
        assert!(
            decision
                .expand
                .iter()
                .all(|expand| expand.to.0 >= expand.guest_size.0)
        );
        assert!(decision.notes.iter().all(|note| note.message.len() <= 1024));
    }

    /// All kinds are observed and allowed, and everything settles.
    fn end(&mut self) {
        self.cluster.unheard.clear();
        self.cluster.unserved.clear();
        self.cluster.refusals.clear();
        let last = self.manifests.last().unwrap();
        if self.now + 1 < self.manifests.len() {
            self.cluster.edit_to(last);
        }
        self.cluster.now += jiff::SignedDuration::from_mins(10);
        self.cluster.live();
    }
}

fn times_move_with_statuses(before: &WukongStatus, after: &WukongStatus) {
    for condition in &after.conditions {
        let known = before
            .conditions
            .iter()
            .find(|known| known.type_ == condition.type_);
        if let Some(known) = known.filter(|known| known.status == condition.status) {
            assert_eq!(
                known.last_transition_time, condition.last_transition_time,
                "{}",
                condition.type_
            );
        }
    }
    let types = |status: &WukongStatus| -> Vec<ConditionType> {
        status
            .conditions
            .iter()
            .map(|condition| condition.type_.parse().unwrap())
            .collect()
    };
    assert!(types(after).is_sorted());
}

/// The objects without the fields that differ between any two clusters.
fn objects(cluster: &Cluster) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for kind in ["VirtualMachine", "NetworkAttachmentDefinition", "Secret"] {
        for object in cluster.server.list(kind) {
            let metadata = &object["metadata"];
            // The operator empties a Secret that the spec no longer requires.
            if kind == "Secret" && object["data"].is_null() {
                continue;
            }
            let mut labels = metadata["labels"].clone();
            labels
                .as_object_mut()
                .into_iter()
                .for_each(|labels| drop(labels.remove("team")));
            let kept = json!({
                "labels": labels, "annotations": metadata["annotations"], "owners": metadata["ownerReferences"],
                "spec": object["spec"], "data": object["data"],
            });
            objects.insert(
                format!("{kind}/{}", metadata["name"].as_str().unwrap()),
                kept,
            );
        }
    }
    for disk in &cluster.wukong().spec.disks {
        let name = format!("web.{}", disk.name);
        let volume = cluster.server.get("DataVolume", &name).unwrap();
        let claim = cluster.server.get("PersistentVolumeClaim", &name).unwrap();
        let kept = json!({
            "labels": volume["metadata"]["labels"], "owners": volume["metadata"]["ownerReferences"], "source": volume["spec"]["source"],
            "size": claim["metadata"]["annotations"][labels::GUEST_SIZE], "request": claim["spec"]["resources"]["requests"],
        });
        objects.insert(name, kept);
    }
    objects
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    /// Every sequence to a spec ends in the same settled state as the direct one.
    #[test]
    fn any_way_ends_where_the_direct_one_ends(manifests in manifests(), events in events()) {
        let last = manifests.last().unwrap().clone();
        let mut story = Story::new(manifests);
        for event in &events {
            story.happen(event);
        }
        story.end();
        let cluster = &mut story.cluster;
        prop_assert!(cluster.decide().is_settled());

        // A restarted operator has nothing to do.
        cluster.done();
        cluster.restart_operator();
        cluster.live();
        prop_assert_eq!(cluster.done(), [""; 0]);

        let mut direct = cluster_with(&last);
        direct.live();
        let (mut ended, mut expected) = (objects(cluster), objects(&direct));
        if events.iter().any(|event| matches!(event, Event::Restart)) {
            // The VM notes which Secret was applied. An operator that restarts before that note does not know of a
            // Secret that the spec no longer requires.
            for objects in [&mut ended, &mut expected] {
                objects.remove("Secret/web.cloud-init");
            }
        }
        if story.by_hand {
            // A power state that was set by hand stays, until the spec changes.
            for objects in [&mut ended, &mut expected] {
                objects.get_mut("VirtualMachine/web").unwrap()["spec"]["runStrategy"].take();
            }
        }
        prop_assert_eq!(ended, expected);
        keeps_the_rules(&cluster.status());
    }
}
