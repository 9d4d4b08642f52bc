//! Live migrations: a new node for a running instance.

use serde_json::{Value, json};

use super::draft::Draft;
use super::object::VIRT;
use crate::change::{Change, Manager, Moment, Step};
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::world::World;

/// A migration's phases, one a pace.
const PHASES: [&str; 8] = [
    "",
    "Pending",
    "Scheduling",
    "Scheduled",
    "PreparingTarget",
    "TargetReady",
    "Running",
    "Succeeded",
];

/// The next step of the instance's migration, if there is one.
pub fn next(world: &World, vmi: &Field<'_>, moment: &Moment) -> Step {
    let metadata = vmi.child("metadata");
    let ours = |migration: &Field<'_>| {
        migration.at("spec.vmiName").text() == metadata.name()
            && !["Succeeded", "Failed"].contains(&migration.at("status.phase").text())
    };
    let Some(migration) = world
        .list(Kind::Migration, metadata.child("namespace").text())
        .find(ours)
    else {
        return Step::quiet();
    };
    let phase = migration.at("status.phase").text();
    let source = vmi.at("status.nodeName").text();
    let target = world
        .list(Kind::Node, "")
        .map(|node| node.child("metadata").name())
        .find(|node| *node != source);
    let index = PHASES
        .iter()
        .position(|known| *known == phase)
        .unwrap_or_default();
    let following = PHASES.get(index + 1).copied().unwrap_or("Succeeded");
    let advance =
        |phase: &str| Change::status(VIRT, Kind::Migration, &migration, &json!({"phase": phase}));
    // Without another node the target pod stays unscheduled.
    let Some(target) = target.filter(|_| can_migrate(vmi)) else {
        let stuck = if can_migrate(vmi) {
            "Scheduling"
        } else {
            "Failed"
        };
        return Step::of(advance(stuck));
    };
    let mut changes: Vec<Change> = advance(following).into_iter().collect();
    if ["PreparingTarget", "Succeeded"].contains(&following) {
        let mut draft = Draft::of(vmi, moment);
        let done = following == "Succeeded";
        put(
            &mut draft.status,
            ["migrationState"],
            state(&migration, vmi, source, target, done, moment),
        );
        if done {
            put(&mut draft.status, ["nodeName"], json!(target));
            super::arrival::arrive(&mut draft, vmi);
            super::guest::plug_nics(world, &mut draft, vmi);
        }
        changes.extend(draft.change(Manager::VirtHandler));
    }
    Step::of(changes)
}

fn can_migrate(vmi: &Field<'_>) -> bool {
    vmi.at("status.conditions").items().any(|item| {
        item.child("type").text() == "LiveMigratable" && item.child("status").text() == "True"
    })
}

fn state(
    migration: &Field<'_>,
    vmi: &Field<'_>,
    source: &str,
    target: &str,
    done: bool,
    moment: &Moment,
) -> Value {
    let started = vmi.at("status.migrationState");
    let start = if done {
        started.child("startTimestamp").text()
    } else {
        moment.now.as_str()
    };
    let mut state = json!({
        "migrationUid": migration.at("metadata.uid").text(),
        "sourceNode": source, "targetNode": target, "startTimestamp": start,
    });
    if done {
        put(&mut state, ["completed"], json!(true));
        put(&mut state, ["endTimestamp"], json!(moment.now));
    }
    state
}

pub fn is_migrating(vmi: &Field<'_>) -> bool {
    let state = vmi.at("status.migrationState");
    state.is_set() && !state.child("completed").is_true()
}
