//! Histories of edits that are generated from the schema: they end where a fresh start with the last spec ends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stateright::Model;
use wukong_api::{Bytes, OperatorSettings, ValidatedWukong, Wukong};
use wukong_apiserver::server::NAMESPACE;

use crate::model::Histories;
use crate::schema::{Generator, SPEC};
use crate::state::Action;
use crate::world::{Edit, World};

/// Tries to find an edit that leads to a valid spec.
const TRIES: usize = 200;
/// What may change of a disk that exists. All else belongs to what it was made from, or to its claim.
const CHANGES_OF_DISKS: [&str; 6] = [
    "size",
    "reclaimPolicy",
    "bus",
    "cache",
    "serial",
    "bootOrder",
];

/// A history that ended elsewhere.
#[derive(Debug)]
pub struct Detour {
    pub seed: u64,
    pub specs: Vec<Value>,
    pub complaint: String,
}

/// A history of edits, with other actions between them.
///
/// # Errors
/// If it ends elsewhere, or breaks a promise. Returns the edited fields otherwise.
pub fn walk(seed: u64) -> Result<BTreeSet<String>, Box<Detour>> {
    let mut generator = Generator::new(seed, false);
    let mut fields = BTreeSet::new();
    let specs = specs(&mut generator, &mut fields);
    let edit = |spec: &Value| Edit::Apply("web", spec.clone());
    let world = World {
        name: "edits",
        wukongs: vec!["web"],
        operators: 2,
        before: vec![edit(&specs[0])],
        edits: specs[1..].iter().map(edit).collect(),
        edits_max: u8::try_from(specs.len()).unwrap(),
        faults_max: 2,
        settled: generator.random.bool(),
    };
    let mut histories = Histories::new(world, None, usize::MAX, None);
    // A guest that has to restart for a change runs on, and its status says so.
    histories.compares_status = false;
    let fail = |complaint: String| {
        Box::new(Detour {
            seed,
            specs: specs.clone(),
            complaint,
        })
    };
    let mut state = histories.init_states()[0];
    for index in 0..specs.len() - 1 {
        for _ in 0..generator.random.usize(..40) {
            let mut actions = Vec::new();
            histories.actions(&state, &mut actions);
            actions.retain(|action| !matches!(action, Action::User(_)));
            if actions.is_empty() {
                break;
            }
            let action = actions[generator.random.usize(..actions.len())];
            state = histories.next(&state, action).unwrap_or(state);
            if let Some(promise) = state.broken {
                return Err(fail(format!("{promise:?} is broken")));
            }
        }
        let action = Action::User(u8::try_from(index).unwrap());
        state = histories.next(&state, action).unwrap_or(state);
    }
    match histories.converges(&state) {
        true => Ok(fields),
        false => Err(fail(histories.complaint(&state))),
    }
}

/// Valid specs in a row, each with a few fields changed.
fn specs(generator: &mut Generator, fields: &mut BTreeSet<String>) -> Vec<Value> {
    let mut spec = json!({"cpu": 1, "memory": "1Gi"});
    for _ in 0..generator.random.usize(4..24) {
        edit(generator, &mut spec, &BTreeMap::new(), false, fields);
    }
    let mut made = BTreeMap::new();
    remember(&spec, &mut made);
    let mut specs = vec![spec.clone()];
    for _ in 0..generator.random.usize(1..5) {
        for _ in 0..generator.random.usize(1..4) {
            edit(generator, &mut spec, &made, true, fields);
        }
        remember(&spec, &mut made);
        specs.push(spec.clone());
    }
    specs
}

fn remember(spec: &Value, made: &mut BTreeMap<String, Value>) {
    for disk in spec["disks"].as_array().into_iter().flatten() {
        let name = disk["name"].as_str().unwrap_or_default().to_owned();
        made.insert(name, disk.clone());
    }
}

/// Changes one field, so that the spec stays valid and every disk keeps what it was made from.
fn edit(
    generator: &mut Generator,
    spec: &mut Value,
    made: &BTreeMap<String, Value>,
    exists: bool,
    fields: &mut BTreeSet<String>,
) {
    for _ in 0..TRIES {
        let mut next = spec.clone();
        let field = generator.edit(&mut next, &SPEC);
        let keeps = keeps_origin(&next, spec, exists) && keeps_disks(&next, made);
        if next != *spec && keeps && is_valid(&next) {
            fields.insert(field);
            *spec = next;
            return;
        }
    }
}

/// KubeVirt rejects another architecture for a VM that exists, and the disk that boots was made from the image.
fn keeps_origin(spec: &Value, before: &Value, exists: bool) -> bool {
    let mut fixed = ["architecture", "osImage"].into_iter();
    !exists || fixed.all(|field| spec[field] == before[field])
}

fn keeps_disks(spec: &Value, made: &BTreeMap<String, Value>) -> bool {
    // The disk that boots is made from the image of the spec.
    let boots_from_image = !spec["osImage"].is_null();
    let mut disks = spec["disks"].as_array().into_iter().flatten();
    let kept = disks.all(|disk| {
        let Some(known) = made.get(disk["name"].as_str().unwrap_or_default()) else {
            return true;
        };
        let bytes = |disk: &Value| disk["size"].as_str().and_then(Bytes::parse);
        let rest = |disk: &Value| {
            let mut rest = disk.as_object().cloned().unwrap_or_default();
            rest.retain(|field, _| !CHANGES_OF_DISKS.contains(&field.as_str()));
            rest
        };
        bytes(disk) >= bytes(known) && rest(disk) == rest(known)
    });
    kept && (made.is_empty() || !boots_from_image)
}

/// Whether a Wukong may have this spec.
pub fn is_valid(spec: &Value) -> bool {
    let stored = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "spec": spec,
        "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "wukong.web.0"},
    });
    let Ok(wukong) = serde_json::from_value::<Wukong>(stored) else {
        return false;
    };
    ValidatedWukong::validate(&wukong, &OperatorSettings::default()).is_ok()
}
