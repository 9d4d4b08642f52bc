//! After any sequence of events, the cluster has the state of the last spec.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_api::{Bytes, ConditionType, WukongStatus, labels};
use wukong_engine::{FailureKind, Presence};

use crate::reasons::keeps_the_rules;
use crate::support::api_server::NAMESPACE;
use crate::support::cluster::Cluster;
use crate::support::strategies;

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
    Observe,
    /// Multus goes, or comes.
    Multus(bool),
    /// Another writer changes a field of ours on the VM.
    Drift,
    /// `virtctl stop` or `start`.
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
        1 => Just(Event::Observe),
        1 => any::<bool>().prop_map(Event::Multus),
        1 => Just(Event::Drift),
        1 => prop::sample::select(&["stop", "start"][..]).prop_map(Event::Virtctl),
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
                // CDI knows access modes only for volumes with a file system; a `lun` is a block volume.
                let is_block = disk["volumeMode"] == "Block" || disk["kind"] == "lun";
                if is_block && disk["accessModes"] == json!([]) {
                    disk["accessModes"] = json!(["ReadWriteOnce"]);
                }
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
    cluster.create_class("fast");
    for (version, kind, name) in [
        (
            "k8s.cni.cncf.io/v1",
            "NetworkAttachmentDefinition",
            "existing",
        ),
        ("v1", "Secret", "s"),
        ("v1", "ConfigMap", "c"),
    ] {
        cluster.server.create("kubectl", json!({
            "apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"config": "{}"},
        }));
    }
    cluster.create_sources("golden");
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
            Event::Pass => self.reconcile(),
            Event::Step => drop(cluster.step()),
            Event::Wait(seconds) => cluster.now += jiff::SignedDuration::from_secs(*seconds),
            Event::Restart => cluster.restart_operator(),
            Event::Lose(kind) => drop(cluster.unobserved.insert(kind)),
            Event::Observe => cluster.unobserved.clear(),
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
            Event::Virtctl(call) => {
                self.by_hand = true;
                cluster.virtctl(call);
            }
        }
    }

    /// One reconcile of the operator, and the rules that hold for each.
    fn reconcile(&mut self) {
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
        assert!(
            decision
                .events
                .iter()
                .all(|event| event.message.len() <= 1024)
        );
    }

    /// All kinds are observed and allowed, and everything settles.
    fn end(&mut self) {
        self.cluster.unobserved.clear();
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
            // The operator empties a Secret that the spec no longer requires. Other Secrets are the user's.
            let ours = metadata["labels"][labels::WUKONG] == "web";
            if kind == "Secret" && !(ours && object["data"].is_object()) {
                continue;
            }
            // A definition stays as long as the guest has a NIC on it.
            let named = |of: Value| of.to_string().contains(&metadata["name"].to_string());
            if kind == "NetworkAttachmentDefinition"
                && ours
                && !named(cluster.vm())
                && named(cluster.instance()["spec"].clone())
            {
                continue;
            }
            let mut labels = metadata["labels"].clone();
            labels
                .as_object_mut()
                .into_iter()
                .for_each(|labels| drop(labels.remove("team")));
            let kept = json!({
                "labels": labels, "annotations": metadata["annotations"], "owners": metadata["ownerReferences"],
                "spec": without_marks(&object["spec"]), "data": object["data"],
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
        let request = &claim["spec"]["resources"]["requests"]["storage"];
        let Bytes(request) = Bytes::parse(request.as_str().unwrap()).unwrap();
        let kept = json!({
            "labels": volume["metadata"]["labels"], "owners": volume["metadata"]["ownerReferences"], "source": volume["spec"]["source"],
            "size": claim["metadata"]["annotations"][labels::GUEST_SIZE], "request": request >> 20, // An expansion rounds up to a whole byte once more.
        });
        objects.insert(name, kept);
    }
    objects
}

/// The spec of a VM as if no disk had come while its guest ran: such a disk keeps its mark, and has no place in the boot
/// order.
fn without_marks(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let volumes = spec.pointer_mut("/template/spec/volumes");
    for volume in volumes.and_then(Value::as_array_mut).into_iter().flatten() {
        for kind in ["dataVolume", "persistentVolumeClaim"] {
            if let Some(kind) = volume.get_mut(kind).and_then(Value::as_object_mut) {
                kind.remove("hotpluggable");
            }
        }
    }
    let disks = spec.pointer_mut("/template/spec/domain/devices/disks");
    for disk in disks.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(disk) = disk
            .as_object_mut()
            .filter(|disk| disk.get("bootOrder") != Some(&json!(1)))
        {
            disk.remove("bootOrder");
        }
    }
    spec
}

/// Whether the guest runs.
fn runs(cluster: &Cluster) -> bool {
    cluster.instance()["status"]["phase"] == "Running"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.min(48), max_shrink_iters: 2000, ..ProptestConfig::default() })]

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
        if runs(cluster) && !runs(&direct) {
            // A guest that started for an earlier spec, or by hand, can be paused. The last spec starts none: its run strategy
            // leaves that to a person, or a blocker keeps the guest from starting, so its pause stays pending.
            let blocked = direct.status().blocker.is_some();
            prop_assert!(blocked || story.by_hand || last["startStrategy"]["runStrategy"] == "Manual");
            let note = |objects: &mut BTreeMap<String, Value>| {
                objects.get_mut("VirtualMachine/web").unwrap()["annotations"][labels::POWER_WISH].take()
            };
            let (ended, expected) = (note(&mut ended), note(&mut expected));
            prop_assert!(ended == expected || expected == "pending", "{} and {}", ended, expected);
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
