//! The transitions of the model, for stateright.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::RwLock;
use serde_json::Value;
use stateright::{Model, Property};
use wukong_apiserver::server::ApiServer;

use crate::cluster::{Cluster, NOW, Write};
use crate::end;
use crate::mistake::Mistake;
use crate::pool::Memo;
use crate::server;
use crate::state::{Action, Fate, KINDS, OPERATORS, Operator, Promise, State, WUKONGS, Work};
use crate::words::describe;
use crate::world::{Edit, World};

/// Steps after which a history that has not come to rest never will.
const STEPS_MAX: usize = 3000;

/// The ends that were compared before.
#[derive(Debug, Default)]
struct Ends {
    right: Memo<(u32, bool), bool>,
    fresh: Memo<String, BTreeMap<String, Value>>,
}

/// All histories of a world.
#[derive(Debug)]
pub struct Histories {
    pub cluster: Cluster,
    /// How many states are checked at most, and until when.
    states_max: usize,
    until: Option<Instant>,
    visited: AtomicUsize,
    /// States from which a fair schedule leads to the end that the specs require.
    good: RwLock<HashSet<u64>>,
    ends: Ends,
    /// Whether ends have to have the same status.
    pub compares_status: bool,
    /// The same world without the mistake.
    reference: Option<Box<Self>>,
}

impl Histories {
    pub fn new(
        world: World,
        mistake: Option<Mistake>,
        states_max: usize,
        until: Option<Instant>,
    ) -> Self {
        Self {
            reference: mistake.map(|_| Box::new(Self::new(world.clone(), None, 0, None))),
            cluster: Cluster::new(world, mistake),
            states_max,
            until,
            visited: AtomicUsize::new(0),
            good: RwLock::new(HashSet::new()),
            ends: Ends::default(),
            compares_status: true,
        }
    }

    fn empty(&self) -> State {
        let server = ApiServer::with_lazy_garbage_collection();
        let server = self.cluster.store(server);
        let views = self.cluster.stored.get(server).views;
        let operator = Operator {
            leads: false,
            views,
            work: [Work {
                memory: 0,
                requests: 0,
            }; WUKONGS],
        };
        let mut operators = [operator; OPERATORS];
        operators[0].leads = true;
        State {
            server,
            operators,
            holder: 0,
            edits: 0,
            faults: 0,
            by_hand: false,
            broken: None,
        }
    }

    /// The state after edits, each of them carried to the end, except the last if the search begins before.
    fn begin(&self) -> State {
        let world = &self.cluster.world;
        let mut state = self.empty();
        for (index, edit) in world.before.iter().enumerate() {
            state = self.edited(&state, edit);
            if world.settled || index + 1 < world.before.len() {
                state = self.at_rest(&state).unwrap_or_else(|last| last);
            }
        }
        State {
            edits: world.edits_max,
            faults: world.faults_max,
            by_hand: false,
            broken: None,
            ..state
        }
    }

    fn edited(&self, state: &State, edit: &Edit) -> State {
        let mut server = self.cluster.stored.get(state.server).server.clone();
        server::edit(&mut server, edit, *NOW);
        let server = self.cluster.store(server);
        State { server, ..*state }
    }

    /// The end of a fresh start with these objects.
    fn fresh(&self, objects: &[Value]) -> State {
        let mut state = self.empty();
        for object in objects {
            state = self.edited(&state, &Edit::Create(object.clone()));
        }
        self.at_rest(&state).unwrap_or_else(|last| last)
    }

    /// Follows a fair schedule until nothing is left to do.
    ///
    /// # Errors
    /// The last state, if there is always something left to do.
    fn at_rest(&self, state: &State) -> Result<State, State> {
        let mut state = *state;
        let mut seen = HashSet::new();
        for _ in 0..STEPS_MAX {
            let Some(action) = self.fair(&state).filter(|_| seen.insert(state)) else {
                return Ok(state);
            };
            state = self.next(&state, action).unwrap_or(state);
        }
        Err(state)
    }

    /// The next step of a schedule that is fair to all: each actor with something to do does it some time.
    fn fair(&self, state: &State) -> Option<Action> {
        let cluster = &self.cluster;
        let leader = (0..OPERATORS).find(|it| state.operators[*it].leads);
        for operator in [leader.map_or(1, |it| 1 - it), leader.unwrap_or(0)] {
            for wukong in 0..WUKONGS {
                if state.operators[operator].work[wukong].requests != 0 {
                    let batch = cluster
                        .batches
                        .get(state.operators[operator].work[wukong].requests);
                    let index = batch.current().next().unwrap_or_default();
                    return Some(Action::Request {
                        operator: number(operator),
                        wukong: number(wukong),
                        index: number(index),
                        fate: Fate::Answered,
                    });
                }
            }
        }
        let Some(leader) = leader else {
            let operators = cluster.world.operators;
            let operator = (state.holder + 1) % operators;
            return Some(Action::TakeOver { operator });
        };
        let views = cluster.stored.get(state.server).views;
        let behind = |operator: usize| {
            let kinds = 0..KINDS.len();
            let kind = kinds
                .clone()
                .find(|kind| state.operators[operator].views[*kind] != views[*kind]);
            kind.map(|kind| Action::Report {
                operator: number(operator),
                kind: number(kind),
            })
        };
        let decides = || {
            let operator = &state.operators[leader];
            let wukong = cluster.wukongs().find(|wukong| {
                let memory = operator.work[*wukong as usize].memory;
                cluster.decide(operator.views, *wukong, memory) != 0
            });
            wukong.map(|wukong| Action::Decide {
                operator: number(leader),
                wukong,
            })
        };
        behind(leader)
            .or_else(decides)
            .or_else(|| {
                let steps = cluster.steps(state.server).len();
                let moves = |index: &usize| {
                    let write = Write::Controller(number(*index));
                    cluster.write(state, write).stored != state.server
                };
                let step = (0..steps).find(moves);
                step.map(|index| Action::Controller(number(index)))
            })
            .or_else(|| (!cluster.garbage(state.server).is_empty()).then_some(Action::Collect(0)))
            .or_else(|| behind(1 - leader).filter(|_| cluster.world.operators > 1))
            .or_else(|| (self.aged(state) != *state).then_some(Action::TimePasses))
    }

    fn aged(&self, state: &State) -> State {
        let mut next = *state;
        for work in next.operators.iter_mut().flat_map(|it| &mut it.work) {
            work.memory = self.cluster.aged(work.memory);
        }
        next
    }

    /// Whether a fair schedule leads from this state to the objects that the specs require, and to rest.
    pub fn converges(&self, state: &State) -> bool {
        let mut path = Vec::new();
        let mut seen = HashMap::new();
        let mut state = State {
            edits: 0,
            faults: 0,
            ..*state
        };
        loop {
            let print = fingerprint(&state);
            if self.good.read().contains(&print) {
                break;
            }
            if path.len() > STEPS_MAX || state.broken.is_some() {
                return false;
            }
            // Writes that are always rejected, and change nothing, are tried again for ever.
            let retries = seen.insert(print, state.server) == Some(state.server);
            path.push(print);
            let next = self.fair(&state).filter(|_| !retries);
            match next {
                Some(action) => state = self.next(&state, action).unwrap_or(state),
                None if self.is_right(&state) => break,
                None => return false,
            }
        }
        self.good.write().extend(path);
        true
    }

    fn is_right(&self, state: &State) -> bool {
        let end = (state.server, state.by_hand);
        self.ends
            .right
            .get(end, || self.difference(state).is_empty())
    }

    /// What differs at rest from a fresh start.
    fn difference(&self, state: &State) -> String {
        let stored = self.cluster.stored.get(state.server);
        let first = end::first_objects(&stored.server);
        let expected = self.ends.fresh.get(format!("{first:?}"), || {
            let reference = self.reference.as_deref().unwrap_or(self);
            let fresh = reference.fresh(&first);
            end::objects(&reference.cluster.stored.get(fresh.server).server)
        });
        let found = end::objects(&stored.server);
        end::difference(expected, found, state.by_hand, self.compares_status)
    }

    /// What is wrong with a state, or with what follows from it.
    pub fn complaint(&self, state: &State) -> String {
        let mut state = *state;
        let mut steps = Vec::new();
        let mut seen = HashSet::new();
        for _ in 0..STEPS_MAX {
            if let Some(promise) = state.broken {
                return format!("{promise:?} is broken after: {}", steps.join("; "));
            }
            let Some(action) = self.fair(&state).filter(|_| seen.insert(state)) else {
                return self.difference(&state);
            };
            steps.push(describe(&self.cluster, &state, action));
            state = self.next(&state, action).unwrap_or(state);
        }
        let last = steps.split_off(steps.len() - 20);
        format!("it never comes to rest: {}", last.join("; "))
    }

    /// The state after an action; `None` if nothing changes.
    pub fn next(&self, last: &State, action: Action) -> Option<State> {
        let cluster = &self.cluster;
        let mut state = *last;
        match action {
            Action::Report { operator, kind } => {
                let (operator, kind) = (&mut state.operators[operator as usize], kind as usize);
                let before = operator.views[kind];
                let after = cluster.stored.get(last.server).views[kind];
                operator.views[kind] = after;
                if kind == 0 {
                    for (index, work) in operator.work.iter_mut().enumerate() {
                        work.memory = cluster.after_report(work.memory, before, after, index);
                    }
                }
            }
            Action::Decide {
                operator: index,
                wukong,
            } => {
                let operator = &mut state.operators[index as usize];
                let work = &mut operator.work[wukong as usize];
                work.requests = cluster.decide(operator.views, wukong, work.memory);
                let knows_all = operator.views == cluster.stored.get(last.server).views;
                let idle =
                    || cluster.has_idle_write(last.server, work.requests, work.memory, wukong);
                if last.holder != index {
                    state.broken = Some(Promise::OneWriter);
                } else if cluster.batches.get(work.requests).risk {
                    state.broken = Some(Promise::NoDataAtRisk);
                } else if knows_all && idle() {
                    state.broken = Some(Promise::NoIdleWrite);
                }
            }
            Action::Request {
                operator,
                wukong,
                index,
                fate,
            } => {
                let work = &mut state.operators[operator as usize].work[wukong as usize];
                let batch = cluster.batches.get(work.requests);
                let write = Write::Request {
                    batch: work.requests,
                    index,
                    wukong,
                };
                let written = cluster.write(last, write);
                let answer = written.answer?;
                let succeeded = fate == Fate::Answered && answer.result.is_ok();
                let request = &batch.requests[index as usize];
                work.requests = cluster.batch(batch.after(index.into(), succeeded));
                let known =
                    cluster.wukong(last.operators[operator as usize].views[0], wukong.into());
                let is_known = known.is_some_and(|it| it["metadata"]["uid"] == *batch.uid);
                let operator = &mut state.operators[operator as usize];
                if operator.leads && is_known {
                    let work = &mut operator.work[wukong as usize];
                    work.memory = cluster.remember(work.memory, request, fate, &answer);
                }
                if fate != Fate::Failed {
                    state.server = written.stored;
                    state.broken = answer.broken;
                }
                if let Some((kind, name)) = answer.object.as_ref().filter(|_| succeeded)
                    && let Some(kind_index) = KINDS.iter().position(|known| known == kind)
                {
                    let view = &mut operator.views[kind_index];
                    *view = cluster.take_in(*view, kind, name, written.stored);
                }
            }
            Action::Controller(index) => {
                state.server = cluster.write(last, Write::Controller(index)).stored;
            }
            Action::Collect(index) => {
                state.server = cluster.write(last, Write::Collect(index)).stored;
            }
            Action::User(index) => {
                state.server = cluster.write(last, Write::User(index)).stored;
                let edit = &cluster.world.edits[index as usize];
                if state.server == last.server {
                    return None;
                }
                state.edits -= 1;
                state.by_hand |= matches!(edit, Edit::Virtctl(..));
            }
            Action::TimePasses => state = self.aged(last),
            Action::RestartStale { operator } | Action::Restart { operator } => {
                state.faults -= 1;
                let operator = &mut state.operators[operator as usize];
                for work in &mut operator.work {
                    *work = Work {
                        memory: 0,
                        requests: 0,
                    };
                }
                if matches!(action, Action::Restart { .. }) {
                    operator.views = [0; KINDS.len()];
                }
            }
            Action::TermEnds { operator } => {
                state.faults -= 1;
                let operator = &mut state.operators[operator as usize];
                operator.leads = false;
                for work in &mut operator.work {
                    let batch = cluster.batches.get(work.requests);
                    *work = Work {
                        memory: 0,
                        requests: cluster.batch(batch.on_the_wire()),
                    };
                }
            }
            Action::TakeOver { operator } => {
                state.holder = operator;
                let operator = &mut state.operators[operator as usize];
                operator.leads = true;
                for work in &mut operator.work {
                    *work = Work {
                        memory: 0,
                        requests: 0,
                    };
                }
            }
        }
        if let Action::Request { fate, operator, .. } = action
            && fate != Fate::Answered
            && last.operators[operator as usize].leads
        {
            state.faults -= 1;
        }
        let by_user = matches!(action, Action::User(_));
        let broken = || cluster.broken(last.server, state.server, by_user);
        state.broken = state.broken.or_else(broken);
        (state != *last).then_some(state)
    }

    /// Whether the limits are not reached yet.
    pub fn goes_on(&self) -> bool {
        self.visited.load(Ordering::Relaxed) < self.states_max
            && self.until.is_none_or(|until| Instant::now() < until)
    }
}

fn number(index: usize) -> u8 {
    u8::try_from(index).unwrap()
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

impl Model for Histories {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        let cluster = &self.cluster;
        let stored = cluster.stored.get(state.server);
        let fault = state.faults > 0;
        let mistaken = |mistake| cluster.mistake == Some(mistake);
        for operator in 0..cluster.world.operators {
            let it = &state.operators[operator as usize];
            for kind in 0..KINDS.len() {
                if it.views[kind] != stored.views[kind] {
                    let kind = number(kind);
                    actions.push(Action::Report { operator, kind });
                }
            }
            for wukong in cluster.wukongs() {
                let work = it.work[wukong as usize];
                if work.requests != 0 {
                    let batch = cluster.batches.get(work.requests);
                    for index in batch.current() {
                        let index = number(index);
                        let request = |fate| Action::Request {
                            operator,
                            wukong,
                            index,
                            fate,
                        };
                        actions.push(request(Fate::Answered));
                        if !it.leads {
                            actions.push(request(Fate::Failed));
                        } else if fault {
                            actions.extend([Fate::AnswerLost, Fate::Failed].map(request));
                        }
                    }
                } else if (it.leads || mistaken(Mistake::DecidesWithoutTerm))
                    && cluster.decide(it.views, wukong, work.memory) != 0
                {
                    actions.push(Action::Decide { operator, wukong });
                }
            }
            if fault && it.leads {
                actions.extend([
                    Action::RestartStale { operator },
                    Action::Restart { operator },
                    Action::TermEnds { operator },
                ]);
            }
            let holder = &state.operators[state.holder as usize];
            let ended = !holder.leads && holder.work.iter().all(|work| work.requests == 0);
            if !it.leads && (ended || fault && mistaken(Mistake::TakesOverBeforeTermEnds)) {
                actions.push(Action::TakeOver { operator });
            }
        }
        let steps = cluster.steps(state.server).len();
        actions.extend((0..steps).map(|index| Action::Controller(number(index))));
        let garbage = cluster.garbage(state.server).len();
        actions.extend((0..garbage).map(|index| Action::Collect(number(index))));
        if state.edits > 0 {
            let edits = cluster.world.edits.len();
            actions.extend((0..edits).map(|index| Action::User(number(index))));
        }
        actions.push(Action::TimePasses);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.next(last, action)
    }

    fn within_boundary(&self, _: &State) -> bool {
        self.goes_on()
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(promise: Promise, state: &State) -> bool {
            state.broken != Some(promise)
        }
        vec![
            Property::always(
                "nothing but our own objects is changed or deleted",
                |_, it| keeps(Promise::OnlyOurs, it),
            ),
            Property::always("a Wukong never has two VMs", |_, it| {
                keeps(Promise::OneVm, it)
            }),
            Property::always(
                "no data are deleted, or replaced under their name",
                |_, it| keeps(Promise::NoDataAtRisk, it),
            ),
            Property::always("a retained disk survives", |_, it| {
                keeps(Promise::RetainedSurvives, it)
            }),
            Property::always("only the holder of the Lease begins writes", |_, it| {
                keeps(Promise::OneWriter, it)
            }),
            Property::always("no write if all is as planned", |_, it| {
                keeps(Promise::NoIdleWrite, it)
            }),
            Property::always("no request leaves the namespace", |_, it| {
                keeps(Promise::OwnNamespace, it)
            }),
            Property::always(
                "it reaches what the spec requires, and rests",
                |model: &Self, it: &State| {
                    model.visited.fetch_add(1, Ordering::Relaxed);
                    it.broken.is_some() || model.converges(it)
                },
            ),
        ]
    }
}
