//! The parts of states, by number, and the functions from one state to the next. Each is computed once for its inputs.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use wukong_api::{OperatorSettings, Wukong};
use wukong_apiserver::server::{ApiServer, NAMESPACE, uids};
use wukong_apiserver::simulator;
use wukong_engine::environment::Environment;
use wukong_engine::facts::{
    ClaimFact, DataVolumeFact, Fact, ObjectFact, VirtualMachineFact, VirtualMachineInstanceFact,
};
use wukong_engine::{Expect, Memory, Observed, Presence, Store, World as Facts, decide};
use wukong_sim::change::{Change, Moment};
use wukong_sim::key::{self, Key};
use wukong_sim::kind::{Kind, Ref};
use wukong_sim::world::World as Simulated;

use crate::mistake::Mistake;
use crate::pool::{Memo, Pool};
use crate::request::{Act, Batch, Request};
use crate::server::{self, Answer};
use crate::state::{KINDS, Promise, State, WUKONGS};
use crate::world::World;

/// The time of every decision. Times that pass are moved back instead.
pub static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2025-11-22T12:00:00Z".parse().unwrap());
/// The facts of a cluster that the operator may not read, so that only its children decide.
static UNSEEN: LazyLock<Environment> = LazyLock::new(unseen);
/// Longer than any pause of a simulated controller.
const WAITED: u32 = 100_000;

/// The objects of the cluster that the simulated controllers need and no writer changes.
static INSTALLED: LazyLock<Simulated> = LazyLock::new(|| simulator::with_default_class(*NOW));

/// The stored objects, and what follows from them.
#[derive(Debug)]
pub struct Stored {
    pub server: ApiServer,
    /// The views that an operator has after all reports.
    pub views: [u32; KINDS.len()],
    /// Claims that only a user may delete, and all claims.
    pub retained: Vec<String>,
    pub claims: Vec<String>,
    pub twins: bool,
}

/// What an operator knows of a kind.
#[derive(Debug, Default)]
struct View {
    /// Each with the number of its content.
    objects: Vec<(u64, Arc<Value>)>,
    facts: ViewFacts,
}

#[derive(Debug)]
enum ViewFacts {
    Wukongs(Vec<Wukong>),
    Vms(Store<VirtualMachineFact>),
    Instances(Store<VirtualMachineInstanceFact>),
    Volumes(Store<DataVolumeFact>),
    Claims(Store<ClaimFact>),
    Nads(Store<ObjectFact>),
}

impl Default for ViewFacts {
    fn default() -> Self {
        Self::Wukongs(Vec::new())
    }
}

impl ViewFacts {
    fn of(kind: &str, objects: &[(u64, Arc<Value>)]) -> Self {
        fn store<F: Fact>(objects: &[(u64, Arc<Value>)]) -> Store<F> {
            let mut store = Store::default();
            store.replace(objects.iter().map(|(_, it)| F::project(it)).collect());
            store
        }
        match kind {
            "VirtualMachine" => Self::Vms(store(objects)),
            "VirtualMachineInstance" => Self::Instances(store(objects)),
            "DataVolume" => Self::Volumes(store(objects)),
            "PersistentVolumeClaim" => Self::Claims(store(objects)),
            "NetworkAttachmentDefinition" => Self::Nads(store(objects)),
            _ => {
                let wukong = |(_, it): &(u64, Arc<Value>)| Wukong::deserialize(&**it).unwrap();
                Self::Wukongs(objects.iter().map(wukong).collect())
            }
        }
    }

    fn wukongs(&self) -> &[Wukong] {
        match self {
            Self::Wukongs(all) => all,
            _ => &[],
        }
    }
}

/// A change to the stored objects.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Write {
    Request { batch: u32, index: u8, wukong: u8 },
    Controller(u8),
    Collect(u8),
    User(u8),
}

/// The result of a change.
#[derive(Clone, Debug)]
pub struct Written {
    pub stored: u32,
    pub answer: Option<Arc<Answer>>,
    /// The uids of new objects.
    created: Arc<Vec<String>>,
}

/// The world, the mistake that the engine makes, and all values of states.
#[derive(Debug)]
pub struct Cluster {
    pub world: World,
    pub mistake: Option<Mistake>,
    pub stored: Pool<Stored>,
    views: Pool<View>,
    pub memories: Pool<Memory>,
    pub batches: Pool<Batch>,
    taken: Pool<BTreeSet<String>>,
    writes: Memo<(u32, u32, Write), Written>,
    decisions: Memo<([u32; KINDS.len()], u8, u32), u32>,
    idle: Memo<(u32, u32, u32, u8), bool>,
    steps: Memo<u32, Arc<Vec<Vec<Change>>>>,
    garbage: Memo<u32, Arc<Vec<(String, String)>>>,
}

impl Cluster {
    pub fn new(world: World, mistake: Option<Mistake>) -> Self {
        let cluster = Self {
            world,
            mistake,
            stored: Pool::default(),
            views: Pool::default(),
            memories: Pool::default(),
            batches: Pool::default(),
            taken: Pool::default(),
            writes: Memo::default(),
            decisions: Memo::default(),
            idle: Memo::default(),
            steps: Memo::default(),
            garbage: Memo::default(),
        };
        cluster.views.put("unknown", View::default);
        cluster.memories.put("empty", Memory::default);
        cluster.batches.put("none", || Batch {
            uid: String::new(),
            requests: Vec::new(),
            risk: false,
        });
        cluster.taken.put("none", BTreeSet::new);
        cluster
    }

    /// The number of an API server after a change.
    pub fn store(&self, mut server: ApiServer) -> u32 {
        server.canonicalize(|_| false);
        self.put(server)
    }

    fn put(&self, server: ApiServer) -> u32 {
        let all = server.prints(None);
        let key: Vec<u64> = all.iter().map(|(print, _)| *print).collect();
        self.stored.put(&key, || Stored {
            views: KINDS.map(|kind| self.view(kind, server.prints(Some(kind)))),
            retained: server::claims(&server, Some(&self.world.retained())),
            claims: server::claims(&server, None),
            twins: server::has_twins(&server),
            server,
        })
    }

    fn view(&self, kind: &'static str, objects: Vec<(u64, Arc<Value>)>) -> u32 {
        let key: Vec<u64> = objects.iter().map(|(print, _)| *print).collect();
        self.views.put((kind, key), || View {
            facts: ViewFacts::of(kind, &objects),
            objects,
        })
    }

    /// Changes the stored objects.
    pub fn write(&self, state: &State, write: Write) -> Written {
        let first = self.written(state.server, 0, write);
        if first.created.is_empty() {
            return first;
        }
        let taken = self.taken(state, &first.created);
        self.written(state.server, taken, write)
    }

    /// The uids of the same kinds and names as these that an operator still knows.
    fn taken(&self, state: &State, created: &[String]) -> u32 {
        let base = |uid: &str| uid.rsplit_once('.').map(|(base, _)| base.to_owned());
        let bases: Vec<Option<String>> = created.iter().map(|uid| base(uid)).collect();
        let mut taken = BTreeSet::new();
        for operator in &state.operators {
            for view in operator.views {
                let view = self.views.get(view);
                taken.extend(view.objects.iter().flat_map(|(_, object)| uids(object)));
            }
            for work in &operator.work {
                let batch = self.batches.get(work.requests);
                taken.insert(batch.uid.clone());
                for request in &batch.requests {
                    taken.extend(match &request.act {
                        Act::Apply {
                            expect: Some(Expect::Present { uid, .. }),
                            ..
                        } => Some(uid.clone()),
                        Act::Expand { expand, .. } => Some(expand.uid.clone()),
                        Act::Prune { prune, .. } => Some(prune.uid.clone()),
                        Act::Apply { .. } | Act::Call(_) | Act::Status(_) => None,
                    });
                }
            }
        }
        taken.retain(|uid| bases.contains(&base(uid)));
        self.taken.put(&taken.clone(), || taken)
    }

    fn written(&self, stored: u32, taken: u32, write: Write) -> Written {
        self.writes.get((stored, taken, write), || {
            let before = self.stored.get(stored);
            let mut server = before.server.clone();
            let answer = self.change(stored, &mut server, write);
            let taken = self.taken.get(taken);
            let created = server.canonicalize(|uid| taken.contains(uid));
            let stored = self.put(server);
            Written {
                stored,
                answer: answer.map(Arc::new),
                created: Arc::new(created),
            }
        })
    }

    fn change(&self, stored: u32, server: &mut ApiServer, write: Write) -> Option<Answer> {
        match write {
            Write::Request {
                batch,
                index,
                wukong,
            } => {
                let batch = self.batches.get(batch);
                let name = self.world.wukongs[wukong as usize];
                return Some(server::execute(server, &batch, index.into(), name, *NOW));
            }
            Write::Controller(index) => {
                for change in &self.steps(stored)[index as usize] {
                    let _ = simulator::store(server, change.clone());
                }
            }
            Write::Collect(index) => {
                let (kind, name) = &self.garbage(stored)[index as usize];
                server.delete(kind, name);
            }
            Write::User(index) => {
                server::edit(server, &self.world.edits[index as usize], *NOW);
            }
        }
        None
    }

    /// The next steps of all other controllers.
    pub fn steps(&self, stored: u32) -> Arc<Vec<Vec<Change>>> {
        self.steps.get(stored, || {
            let stored = self.stored.get(stored);
            let mut world = INSTALLED.clone();
            for object in stored.server.objects() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let kind = Kind::of(&text(&object["apiVersion"]), &text(&object["kind"]));
                if let Some(kind) = kind {
                    let name = text(&object["metadata"]["name"]);
                    world.insert(Ref::new(kind, NAMESPACE, name), object.clone());
                }
            }
            let kinds = [
                Kind::DataVolume,
                Kind::Claim,
                Kind::Vm,
                Kind::Vmi,
                Kind::Pod,
            ];
            let of_ours = |at: &&Ref| at.namespace == NAMESPACE;
            let keys: BTreeSet<Key> = kinds
                .into_iter()
                .flat_map(|kind| world.refs(kind).filter(of_ours))
                .map(|at| {
                    let (namespace, name) = (at.namespace.clone(), at.name.clone());
                    match at.kind {
                        Kind::Pod => Key::Pod(namespace, name),
                        Kind::Vm | Kind::Vmi => Key::Vm(namespace, name),
                        _ => Key::Disk(namespace, name),
                    }
                })
                .collect();
            let moment = Moment {
                now: NOW.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                waited: WAITED,
                refusal: None,
            };
            let steps = keys.iter().map(|key| {
                let mut changes = key::next(&world, key, &moment).changes;
                changes.retain(|change| !matches!(change, Change::Event { .. }));
                changes
            });
            Arc::new(steps.filter(|changes| !changes.is_empty()).collect())
        })
    }

    pub fn garbage(&self, stored: u32) -> Arc<Vec<(String, String)>> {
        self.garbage.get(stored, || {
            Arc::new(self.stored.get(stored).server.garbage())
        })
    }

    /// The Wukong in a view.
    pub fn wukong(&self, view: u32, wukong: usize) -> Option<Arc<Value>> {
        let name = self.world.wukongs.get(wukong)?;
        let view = self.views.get(view);
        let mut objects = view.objects.iter().map(|(_, object)| object);
        objects.find(|it| it["metadata"]["name"] == *name).cloned()
    }

    /// The requests of a decision; 0 if there are none.
    pub fn decide(&self, views: [u32; KINDS.len()], wukong: u8, memory: u32) -> u32 {
        self.decisions.get((views, wukong, memory), || {
            let wukongs = self.views.get(views[0]);
            let name = self.world.wukongs[wukong as usize];
            let known = wukongs.facts.wukongs().iter();
            let Some(wukong) = known
                .clone()
                .find(|it| it.metadata.name.as_deref() == Some(name))
            else {
                return 0;
            };
            let mut facts = self.facts(views);
            let mut memory = (*self.memories.get(memory)).clone();
            if let Some(mistake) = self.mistake {
                mistake.before(wukong, &mut facts, &mut memory);
            }
            let decision = decide(&Observed {
                wukong,
                world: &facts,
                memory: &memory,
                settings: &OperatorSettings::default(),
                now: *NOW,
            });
            let mut requests = Request::of(decision, *NOW);
            if let Some(mistake) = self.mistake {
                mistake.after(wukong, &facts, &memory, &mut requests);
            }
            if requests.is_empty() {
                return 0;
            }
            let uid = wukong.metadata.uid.clone().unwrap_or_default();
            let risk = requests.iter().any(|it| self.risks_data(it, views));
            self.batch(Batch {
                uid,
                requests,
                risk,
            })
        })
    }

    pub fn batch(&self, batch: Batch) -> u32 {
        match batch.requests.is_empty() {
            true => 0,
            false => self
                .batches
                .put(batch.key(self.mistake.is_some()), || batch),
        }
    }

    /// Whether a request makes a DataVolume under the name of a claim that belongs to another, as the operator knows.
    fn risks_data(&self, request: &Request, views: [u32; KINDS.len()]) -> bool {
        let Act::Apply { target, .. } = &request.act else {
            return false;
        };
        let known = |view: u32| {
            let view = self.views.get(view);
            let mut objects = view.objects.iter().map(|(_, object)| object);
            let named = |it: &&Arc<Value>| it["metadata"]["name"] == *target.name;
            objects.find(named).cloned()
        };
        let is_owned = |claim: Arc<Value>| !claim["metadata"]["ownerReferences"].is_null();
        target.kind == wukong_engine::Kind::DataVolume
            && known(views[3]).is_none()
            && known(views[4]).is_some_and(is_owned)
    }

    fn facts(&self, views: [u32; KINDS.len()]) -> Facts {
        let mut facts = Facts {
            environment: UNSEEN.clone(),
            ..Facts::default()
        };
        facts.snapshots.replace(Vec::new());
        facts.data_sources.replace(Vec::new());
        for number in views.into_iter().filter(|number| *number != 0) {
            match &self.views.get(number).facts {
                ViewFacts::Wukongs(all) => {
                    facts.environment.addresses.replace(all);
                }
                ViewFacts::Vms(store) => facts.virtual_machines = store.clone(),
                ViewFacts::Instances(store) => facts.instances = store.clone(),
                ViewFacts::Volumes(store) => facts.data_volumes = store.clone(),
                ViewFacts::Claims(store) => facts.claims = store.clone(),
                ViewFacts::Nads(store) => facts.nads = store.clone(),
            }
        }
        facts.update_environment();
        facts
    }

    /// Whether a batch has a write that changes nothing, though the operator knows all.
    pub fn has_idle_write(&self, stored: u32, batch: u32, memory: u32, wukong: u8) -> bool {
        self.idle.get((stored, batch, memory, wukong), || {
            let memory = self.memories.get(memory);
            let requests = &self.batches.get(batch).requests;
            (0..requests.len()).any(|index| {
                let is_excused = match &requests[index].act {
                    // The operator cannot read Secrets: it applies each once after its start, and after a lost answer.
                    Act::Apply { target, .. } => {
                        target.kind == wukong_engine::Kind::Secret
                            && (!memory.applied.contains_key(target)
                                || memory.failures.contains_key(target))
                    }
                    Act::Call(_) => true,
                    Act::Expand { .. } | Act::Prune { .. } | Act::Status(_) => false,
                };
                let index = u8::try_from(index).unwrap();
                let write = Write::Request {
                    batch,
                    index,
                    wukong,
                };
                let written = self.written(stored, 0, write);
                let accepted = written.answer.is_some_and(|answer| answer.result.is_ok());
                !is_excused && accepted && written.stored == stored
            })
        })
    }

    /// The view of a kind after the answer to a write.
    pub fn take_in(&self, view: u32, kind: &'static str, name: &str, stored: u32) -> u32 {
        if view == 0 {
            return 0;
        }
        let stored = self.stored.get(stored);
        let named = |(_, object): &&(u64, Arc<Value>)| object["metadata"]["name"] == *name;
        let all = stored.server.prints(Some(kind));
        let Some(object) = all.iter().find(named) else {
            return view;
        };
        let mut objects = self.views.get(view).objects.clone();
        objects.retain(|known| !named(&known));
        objects.push(object.clone());
        objects.sort_by_key(|(_, object)| object["metadata"]["name"].to_string());
        self.view(kind, objects)
    }

    /// The promise that the stored objects break.
    pub fn broken(&self, before: u32, after: u32, by_user: bool) -> Option<Promise> {
        if before == after {
            return None;
        }
        let (before, after) = (self.stored.get(before), self.stored.get(after));
        if after.twins {
            return Some(Promise::OneVm);
        }
        let lost = |claim: &String| !after.claims.contains(claim);
        (!by_user && before.retained.iter().any(lost)).then_some(Promise::RetainedSurvives)
    }

    pub fn sizes(&self) -> [(&'static str, usize); 4] {
        [
            ("sets of stored objects", self.stored.len()),
            ("decisions", self.decisions.len()),
            ("memories", self.memories.len()),
            ("writes", self.writes.len()),
        ]
    }

    pub fn wukongs(&self) -> impl Iterator<Item = u8> {
        (0..WUKONGS.min(self.world.wukongs.len())).map(|it| u8::try_from(it).unwrap())
    }
}

/// The facts of a cluster that the operator may not read.
pub fn unseen() -> Environment {
    let mut unseen = Environment::default();
    unseen.kubevirts.clear(Presence::Forbidden);
    unseen.kubevirt_pods.clear(Presence::Forbidden);
    unseen.nodes.clear(Presence::Forbidden);
    unseen.cdis.clear(Presence::Forbidden);
    unseen.storage_classes.clear(Presence::Forbidden);
    unseen.storage_profiles.clear(Presence::Forbidden);
    unseen.csi_drivers.clear(Presence::Forbidden);
    unseen.csi_nodes.clear(Presence::Forbidden);
    unseen.provisioner_pods.clear(Presence::Forbidden);
    unseen.multus.clear(Presence::Forbidden);
    unseen.node_networks.clear(Presence::Forbidden);
    unseen.node_policies.clear(Presence::Forbidden);
    unseen.enactments.clear(Presence::Forbidden);
    unseen.quotas.clear(Presence::Forbidden);
    unseen.limit_ranges.clear(Presence::Forbidden);
    unseen
}
