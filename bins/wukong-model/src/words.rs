//! Actions in words.

use wukong_sim::change::Change;

use crate::cluster::Cluster;
use crate::request::Act;
use crate::state::{Action, KINDS, State};
use crate::world::Edit;

/// An action in words.
pub fn describe(cluster: &Cluster, state: &State, action: Action) -> String {
    let wukong = |wukong: u8| cluster.world.wukongs[wukong as usize];
    match action {
        Action::Report { operator, kind } => {
            let kind = KINDS[kind as usize];
            format!("operator {operator} observes {kind}s")
        }
        Action::Decide {
            operator,
            wukong: index,
        } => format!("operator {operator} decides about {}", wukong(index)),
        Action::Request {
            operator,
            wukong,
            index,
            fate,
        } => {
            let work = state.operators[operator as usize].work[wukong as usize];
            let batch = cluster.batches.get(work.requests);
            let request = match &batch.requests[index as usize].act {
                Act::Apply { target, .. } => format!("apply {target}"),
                Act::Expand { expand, .. } => format!("expand {}", expand.target),
                Act::Call(call) => format!("call {call}"),
                Act::Prune { prune, .. } => format!("delete {}", prune.target),
                Act::Status(_) => "write status".into(),
            };
            format!("operator {operator}: {request}: {fate:?}")
        }
        Action::Controller(index) => {
            let changes = &cluster.steps(state.server)[index as usize];
            let changes: Vec<String> = changes.iter().map(change).collect();
            changes.join(", ")
        }
        Action::Collect(index) => {
            let (kind, name) = &cluster.garbage(state.server)[index as usize];
            format!("garbage collector: delete {kind}/{name}")
        }
        Action::User(index) => match &cluster.world.edits[index as usize] {
            Edit::Create(object) => {
                format!(
                    "user: create {}/{}",
                    object["kind"], object["metadata"]["name"]
                )
            }
            edit => format!("user: {edit:?}"),
        },
        Action::TimePasses => "back-offs end".into(),
        Action::RestartStale { operator } => {
            format!("operator {operator} restarts, with lists as old as its cache")
        }
        Action::Restart { operator } => format!("operator {operator} restarts without lists"),
        Action::TermEnds { operator } => format!("the term of operator {operator} ends"),
        Action::TakeOver { operator } => format!("operator {operator} takes the Lease"),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Create { by, at, .. } => {
            format!("{}: create {:?}/{}", by.name(), at.kind, at.name)
        }
        Change::Merge { by, at, .. } => format!("{}: update {:?}/{}", by.name(), at.kind, at.name),
        Change::Delete { at } => format!("delete {:?}/{}", at.kind, at.name),
        Change::Terminate { at } => format!("stop {:?}/{}", at.kind, at.name),
        Change::Bind { at, node } => format!("scheduler: {} to {node}", at.name),
        Change::Event { .. } => String::new(),
    }
}
