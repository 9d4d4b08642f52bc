//! A simulated cluster with one Wukong. It applies the decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wukong_api::{FIELD_MANAGER, OperatorSettings, Wukong, WukongStatus, labels};
use wukong_engine::environment::Environment;
use wukong_engine::facts::{Fact, Meta};
use wukong_engine::related::Children;
use wukong_engine::{
    Apply, Called, Decision, Expand, Expect, FailureKind, Kind, Memory, Observed, Presence, Prune,
    Reported, Store, Target, World, decide,
};

use super::api_server::{ApiServer, NAMESPACE};
use super::environment;
use super::manifests;
use super::simulator::{self, Simulator};

static HEALTHY: LazyLock<Environment> =
    LazyLock::new(|| environment::Cluster::healthy().environment());
/// How long an operator waits before it retries a rejected write.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Number of writes after which controllers that have not come to rest never will.
const STEPS_MAX: usize = 200;
/// Number of passes after which a cluster that has not settled never will.
const PASSES_MAX: usize = 100;

/// A cluster with one Wukong, `web`, with the cache and the memory of the operator.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub server: ApiServer,
    simulator: Simulator,
    pub world: World,
    pub memory: Memory,
    pub now: Timestamp,
    /// The facts of the cluster itself, except for its StorageClasses.
    pub environment: Environment,
    /// What the operator finds when it queries the pods and events of the Wukong.
    pub children: Children,
    /// The operator's settings.
    pub settings: OperatorSettings,
    /// Kinds that the API server does not serve, or does not let us see.
    pub unserved: BTreeMap<&'static str, Presence>,
    /// Kinds with events that are lost.
    pub unobserved: BTreeSet<&'static str>,
    /// Writes that are refused, by `Kind/name`.
    pub refusals: BTreeMap<String, (FailureKind, &'static str)>,
    /// The applied actions, in order.
    pub done: Vec<String>,
    /// The version of the server when it was observed last.
    observed: Option<View>,
}

/// What observation depends on: the version of the server, and what is hidden.
type View = (
    u64,
    BTreeMap<&'static str, Presence>,
    BTreeSet<&'static str>,
);

impl Cluster {
    /// A cluster with everything installed, a default StorageClass, and a Wukong with these fields.
    #[track_caller]
    pub fn new(fields: &str) -> Self {
        Self::with(&manifests::spec(fields))
    }

    /// The same with a whole spec.
    pub fn with(spec: &Value) -> Self {
        let mut server = ApiServer::default();
        server.create("kubectl", simulator::default_class());
        server.create("kubectl", manifests::stored(spec));
        create_secrets(&mut server, spec);
        Self {
            server,
            simulator: Simulator::default(),
            world: World::default(),
            memory: Memory::default(),
            now: "2025-11-22T12:00:00Z".parse().unwrap(),
            environment: HEALTHY.clone(),
            children: Children::default(),
            settings: OperatorSettings::default(),
            unserved: BTreeMap::new(),
            unobserved: BTreeSet::new(),
            refusals: BTreeMap::new(),
            done: Vec::new(),
            observed: None,
        }
    }

    /// Creates a StorageClass with volumes that can be expanded.
    pub fn create_class(&mut self, name: &str) {
        self.server.create("kubectl", json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": simulator::DRIVER, "volumeBindingMode": "Immediate", "allowVolumeExpansion": true,
        }));
    }

    /// Creates a claim, a VolumeSnapshot and a DataSource of this name, as sources of disks.
    pub fn create_sources(&mut self, name: &str) {
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        for object in [
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata,
                "spec": {"storageClassName": simulator::DEFAULT_CLASS, "accessModes": ["ReadWriteOnce"], "volumeMode": "Filesystem",
                    "resources": {"requests": {"storage": "1Gi"}}},
                "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}),
            json!({"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "metadata": metadata,
                "status": {"readyToUse": true}}),
            json!({"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataSource", "metadata": metadata,
                "spec": {"source": {"pvc": {"name": name, "namespace": NAMESPACE}}}}),
        ] {
            self.server.create("kubectl", object);
        }
    }

    /// A settled cluster in which this Wukong runs.
    #[track_caller]
    pub fn running(fields: &str) -> Self {
        // Many tests begin with the same cluster.
        static CLUSTERS: Mutex<BTreeMap<String, Cluster>> = Mutex::new(BTreeMap::new());
        let known = CLUSTERS.lock().unwrap().get(fields).cloned();
        known.unwrap_or_else(|| {
            let mut cluster = Self::new(fields);
            cluster.live();
            cluster.done.clear();
            CLUSTERS
                .lock()
                .unwrap()
                .insert(fields.to_owned(), cluster.clone());
            cluster
        })
    }

    /// The same Wukong in another environment.
    pub fn within(mut self, environment: &environment::Cluster) -> Self {
        self.environment = environment.environment();
        self.observed = None;
        self
    }

    /// The Wukong as stored.
    pub fn wukong(&self) -> Wukong {
        serde_json::from_value(self.server.get("Wukong", "web").unwrap()).unwrap()
    }

    pub fn status(&self) -> WukongStatus {
        self.wukong().status.unwrap_or_default()
    }

    pub fn vm(&self) -> Value {
        self.server.get("VirtualMachine", "web").unwrap_or_default()
    }

    pub fn instance(&self) -> Value {
        self.server
            .get("VirtualMachineInstance", "web")
            .unwrap_or_default()
    }

    /// The user applies another spec.
    #[track_caller]
    pub fn edit(&mut self, fields: &str) {
        self.edit_to(&manifests::spec(fields));
    }

    pub fn edit_to(&mut self, spec: &Value) {
        create_secrets(&mut self.server, spec);
        self.server.update("kubectl", "Wukong", "web", |wukong| {
            wukong["spec"] = spec.clone()
        });
    }

    /// The operator restarts: it has lists, and remembers nothing.
    pub fn restart_operator(&mut self) {
        self.memory = Memory::default();
        self.world = World::default();
        self.observed = None;
    }

    /// All facts that the watches report.
    pub fn observe(&mut self) {
        let view = (
            self.server.version(),
            self.unserved.clone(),
            self.unobserved.clone(),
        );
        if self.observed.replace(view.clone()) == Some(view) {
            return;
        }
        let mut world = std::mem::take(&mut self.world);
        let storage_classes = std::mem::take(&mut world.environment.storage_classes);
        world.environment = self.environment.clone();
        world.environment.storage_classes = storage_classes;
        self.fill(&mut world.virtual_machines, "VirtualMachine");
        self.fill(&mut world.instances, "VirtualMachineInstance");
        self.fill(&mut world.data_volumes, "DataVolume");
        self.fill(&mut world.claims, "PersistentVolumeClaim");
        self.fill(&mut world.nads, "NetworkAttachmentDefinition");
        self.fill(&mut world.environment.storage_classes, "StorageClass");
        self.fill(
            &mut world.environment.node_policies,
            "NodeNetworkConfigurationPolicy",
        );
        self.fill(&mut world.snapshots, "VolumeSnapshot");
        self.fill(&mut world.data_sources, "DataSource");
        self.fill(&mut world.vm_snapshots, "VirtualMachineSnapshot");
        self.fill(&mut world.wukong_snapshots, "WukongSnapshot");
        self.fill(&mut world.wukong_restores, "WukongRestore");
        world.update_environment();
        let all = self.server.list("Wukong");
        let wukongs: Vec<Wukong> = all
            .into_iter()
            .filter_map(|wukong| serde_json::from_value(wukong).ok())
            .collect();
        world.environment.addresses.replace(&wukongs);
        self.world = world;
    }

    fn fill<F: Fact>(&self, store: &mut Store<F>, kind: &'static str) {
        if self.unobserved.contains(kind) && store.presence() != Presence::Unknown {
            return;
        }
        match self.unserved.get(kind) {
            Some(presence) => drop(store.clear(*presence)),
            None => drop(store.replace(self.server.all(kind).map(F::project).collect())),
        }
    }

    /// The next decision.
    pub fn decide(&self) -> Decision {
        decide(&Observed {
            wukong: &self.wukong(),
            world: &self.world,
            memory: &self.memory,
            settings: &self.settings,
            now: self.now,
        })
    }

    /// One pass of the operator.
    pub fn pass(&mut self) -> Decision {
        self.observe();
        let decision = self.decide();
        self.execute(&decision);
        decision
    }

    /// Passes until there is nothing to do, now or within a minute.
    #[track_caller]
    pub fn settle(&mut self) -> Decision {
        let end = self.now + SignedDuration::from_mins(1);
        for _ in 0..PASSES_MAX {
            let decision = self.pass();
            let write_due = decision.write_status.is_some_and(|at| at <= self.now);
            if !decision.is_settled() || write_due {
                continue;
            }
            let next = decision.write_status.into_iter().chain(decision.wake_at);
            match next.min() {
                Some(at) if at <= end => self.now = at,
                _ => return decision,
            }
        }
        panic!("no rest after {PASSES_MAX} passes: {:#?}", self.done);
    }

    /// Lets the operator and all other controllers work until all is settled.
    #[track_caller]
    pub fn live(&mut self) -> Decision {
        for _ in 0..PASSES_MAX {
            let decision = self.settle();
            if !self.step() {
                return decision;
            }
        }
        panic!("no rest after {PASSES_MAX} rounds: {:#?}", self.done);
    }

    /// Lets the simulated controllers work until one of them has written; returns whether one has.
    pub fn step(&mut self) -> bool {
        self.simulator.step(&mut self.server, self.now)
    }

    /// Lets the simulated controllers work until none of them has anything to write.
    pub fn run_controllers(&mut self) {
        let mut steps = 0..STEPS_MAX;
        while self.step() {
            assert!(
                steps.next().is_some(),
                "the controllers do not come to rest"
            );
        }
    }

    /// Removes the instance at once, with the finalizers of KubeVirt.
    pub fn remove_instance(&mut self) {
        let (server, kind) = (&mut self.server, "VirtualMachineInstance");
        server.update("virt-controller", kind, "web", |instance| {
            instance["metadata"]["finalizers"] = json!([]);
        });
        server.remove(kind, "web");
    }

    /// Calls a subresource, as `virtctl` does.
    pub fn virtctl(&mut self, call: &str) {
        simulator::call(&mut self.server, call, "web", self.now);
    }

    /// The actions since the last call.
    pub fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    pub fn execute(&mut self, decision: &Decision) {
        self.memory.record_waiting(decision.waiting, self.now);
        if decision.query_at.is_some_and(|at| at <= self.now) {
            self.done.push("query".into());
            self.memory.record_queried(self.children.clone(), self.now);
        }
        let mut all_well = true;
        for apply in &decision.apply {
            all_well &= self.apply(apply);
        }
        if let Some(apply) = decision.apply_vm.as_ref().filter(|_| all_well) {
            all_well &= self.apply(apply);
        }
        for expand in &decision.expand {
            self.expand(expand);
        }
        for call in &decision.calls {
            if let Some((kind, message)) = self.refusals.get("VirtualMachine/web").copied() {
                let name = "web".into();
                let vm = Target {
                    kind: Kind::VirtualMachine,
                    name,
                };
                self.refused(&vm, call.to_string(), kind, message);
                continue;
            }
            self.done.push(format!("call {call}"));
            self.virtctl(call.as_ref());
            self.memory.called = Some(Called {
                call: *call,
                at: self.now,
            });
        }
        for prune in decision.prune.iter().filter(|_| all_well) {
            self.prune(prune);
        }
        for report in &decision.reports {
            let (kind, name) = (report.kind.as_ref(), &report.name);
            self.done.push(format!("report {kind}/{name}"));
            let object =
                self.server
                    .update_status(FIELD_MANAGER, kind, name, report.status.clone());
            match report.kind {
                Reported::WukongSnapshot => {
                    self.world.wukong_snapshots.insert(Fact::project(&object))
                }
                Reported::WukongRestore => {
                    self.world.wukong_restores.insert(Fact::project(&object))
                }
                Reported::WukongSnapshotSchedule => {
                    unreachable!("a decision about a Wukong writes no schedule")
                }
            };
            self.memory.record_reported(report);
        }
        // What was just done is part of what there is to say.
        if decision.is_settled() && decision.write_status.is_some_and(|at| at <= self.now) {
            self.done.push("write status".into());
            let status = serde_json::to_value(&decision.status).unwrap();
            self.server
                .update_status(FIELD_MANAGER, "Wukong", "web", status);
            self.memory.status_written = Some(self.now);
        }
    }

    fn apply(&mut self, apply: &Apply) -> bool {
        let target = &apply.target;
        let known = self.server.get(target.kind.as_ref(), &target.name);
        let refusal = self
            .refusals
            .get(&target.to_string())
            .copied()
            .or_else(|| self.unmet(&apply.expect, known.as_ref()));
        if let Some((kind, message)) = refusal {
            self.refused(target, apply.hash.clone(), kind, message);
            return false;
        }
        if let Some(known) = known {
            self.assert_ours(&known);
        }
        let applied = self
            .server
            .apply(FIELD_MANAGER, &apply.body, simulator::admit);
        let object = match applied {
            Ok(object) => object,
            Err(denial) => {
                let (hash, message) = (apply.hash.clone(), denial.to_string());
                self.refused(target, hash, FailureKind::Denied, &message);
                return false;
            }
        };
        self.done.push(format!("apply {target}"));
        self.take_in(target.kind, &object);
        let stored = Meta::project(&object).owned_hash.unwrap();
        self.memory.record_applied(
            target.clone(),
            apply.hash.clone(),
            stored.to_string(),
            self.now,
        );
        true
    }

    /// The answer to a write is known before its event.
    fn take_in(&mut self, kind: Kind, object: &Value) {
        match kind {
            Kind::Secret => false,
            Kind::NetworkAttachmentDefinition => self.world.nads.insert(Fact::project(object)),
            Kind::NodeNetworkConfigurationPolicy => {
                let policies = &mut self.world.environment.node_policies;
                policies.insert(Fact::project(object))
            }
            Kind::DataVolume => self.world.data_volumes.insert(Fact::project(object)),
            Kind::PersistentVolumeClaim => self.world.claims.insert(Fact::project(object)),
            Kind::VirtualMachine => self.world.virtual_machines.insert(Fact::project(object)),
            Kind::VirtualMachineSnapshot => self.world.vm_snapshots.insert(Fact::project(object)),
            Kind::WukongSnapshot => self.world.wukong_snapshots.insert(Fact::project(object)),
        };
    }

    fn unmet(&self, expect: &Expect, known: Option<&Value>) -> Option<(FailureKind, &'static str)> {
        let meta = known.map(Meta::project);
        let met = match (expect, &meta) {
            (Expect::Absent | Expect::AbsentOrControlledBy(_), None) => true,
            (Expect::Absent, Some(_)) => return Some((FailureKind::NameTaken, "already exists")),
            (Expect::AbsentOrControlledBy(uid), Some(meta)) => match meta.is_controlled_by(uid) {
                true => true,
                false => return Some((FailureKind::NameTaken, "already exists")),
            },
            (Expect::Present { .. }, None) => return Some((FailureKind::Gone, "not found")),
            (
                Expect::Present {
                    uid,
                    resource_version,
                },
                Some(meta),
            ) => {
                meta.uid == *uid
                    && resource_version
                        .as_ref()
                        .is_none_or(|version| meta.resource_version == *version)
            }
        };
        (!met).then_some((FailureKind::Stale, "the object has been modified"))
    }

    fn refused(&mut self, target: &Target, hash: String, kind: FailureKind, message: &str) {
        self.done.push(format!("refused {target}"));
        let retry_at = self.now + PAUSE;
        self.memory.record_failure(
            target.clone(),
            hash,
            kind,
            message.into(),
            self.now,
            retry_at,
        );
    }

    fn expand(&mut self, expand: &Expand) {
        let target = &expand.target;
        let claim = self.server.get(target.kind.as_ref(), &target.name);
        let same = claim.filter(|claim| claim["metadata"]["uid"] == json!(expand.uid));
        let refusal = self.refusals.get(&target.to_string()).copied();
        let Some(claim) = same.filter(|_| refusal.is_none()) else {
            let (kind, message) = refusal.unwrap_or((FailureKind::Gone, "not found"));
            return self.refused(target, expand.hash(), kind, message);
        };
        self.assert_ours(&claim);
        self.done
            .push(format!("expand {} to {}", target.name, expand.to));
        let claim =
            self.server
                .update(FIELD_MANAGER, target.kind.as_ref(), &target.name, |claim| {
                    claim["spec"]["resources"]["requests"]["storage"] =
                        json!(expand.to.to_string());
                    claim["metadata"]["annotations"][labels::GUEST_SIZE] =
                        json!(expand.guest_size.to_string());
                });
        self.take_in(target.kind, &claim);
        self.memory.record_done(target);
    }

    fn prune(&mut self, prune: &Prune) {
        let target = &prune.target;
        let known = self
            .server
            .get(target.kind.as_ref(), &target.name)
            .map(|object| Meta::project(&object));
        let same = known.filter(|known| {
            known.uid == prune.uid && known.resource_version == prune.resource_version
        });
        let Some(known) = same else {
            return self.refused(
                target,
                prune.hash(),
                FailureKind::Stale,
                "the object has been modified",
            );
        };
        assert!(
            known.is_controlled_by(manifests::UID),
            "{target} is not ours"
        );
        assert_eq!(
            target.kind,
            Kind::NetworkAttachmentDefinition,
            "nothing else is ever deleted"
        );
        self.done.push(format!("prune {target}"));
        self.server.delete(target.kind.as_ref(), &target.name);
        self.memory.record_done(target);
    }

    /// Nothing but our own objects is ever written: those that this Wukong controls, disks that were retained, and the
    /// claims of our DataVolumes.
    fn assert_ours(&self, object: &Value) {
        let meta = Meta::project(object);
        let uid = self.wukong().metadata.uid.unwrap();
        let of_our_disk = || {
            let kind = object["kind"].as_str().unwrap();
            let labelled = meta.wukong.as_deref() == Some("web");
            let owner = meta.controller.as_ref().map(|owner| owner.kind.as_str());
            matches!(
                (kind, owner),
                ("DataVolume" | "PersistentVolumeClaim", None)
                    | ("PersistentVolumeClaim", Some("DataVolume"))
            ) && labelled
        };
        if object["kind"] == "NodeNetworkConfigurationPolicy" {
            assert!(meta.owned_hash.is_some(), "{} is not ours", meta.name);
            return;
        }
        assert!(
            meta.is_controlled_by(&uid) || of_our_disk(),
            "{} is not ours",
            meta.name
        );
        assert_eq!(meta.namespace, NAMESPACE);
    }
}

/// Creates the Secrets of the user that a spec references.
fn create_secrets(server: &mut ApiServer, spec: &Value) {
    let data = json!({"key": "c3NoLWVkMjU1MTk=", "userdata": "I2Nsb3VkLWNvbmZpZw=="});
    for field in ["sshKeySecret", "userDataSecret"] {
        let Some(name) = spec[field].as_str() else {
            continue;
        };
        if server.get("Secret", name).is_none() {
            server.create("kubectl", json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data,
            }));
        }
    }
}
