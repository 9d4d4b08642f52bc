//! From what is observed to what is to be done and said.

use jiff::Timestamp;
use kube::ResourceExt;
use wukong_api::{ConditionType, Reason, ValidatedWukong, Wukong, WukongStatus};

use crate::conditions::{deleting, running, spec};
use crate::decision::{Decision, Observed};
use crate::environment::Check;
use crate::facts;
use crate::notes::notes;
use crate::planning::Planning;
use crate::report::Said;
use crate::status::{self, Findings};
use crate::verdict::{Status, Verdict};
use crate::world::Seen;

/// Decides what is to be done for one Wukong, and what its status is. The same input gives the same decision.
pub fn decide(observed: &Observed) -> Decision {
    if observed.wukong.metadata.deletion_timestamp.is_some() {
        // Garbage collection deletes what has an owner reference; nothing is made any more.
        return without_plan(observed, Vec::new());
    }
    match ValidatedWukong::validate(observed.wukong, observed.policy) {
        Ok(wukong) => Planning::new(&wukong, observed).decision(),
        Err(error) => without_plan(observed, vec![spec::invalid(&error)]),
    }
}

/// The status of a stored Wukong that cannot be read at all. It is given as JSON, without its spec.
pub fn undecodable(metadata_only: &Wukong, error: &str, now: Timestamp) -> WukongStatus {
    let message = format!(
        "the stored object cannot be read: {}",
        facts::bounded(error)
    );
    let verdict = Verdict::bad(ConditionType::SpecValid, Reason::InvalidSpec, message)
        .hint("apply the manifest again with the CustomResourceDefinition that is installed now");
    Findings {
        verdicts: vec![verdict],
        ..Findings::as_before(metadata_only, now)
    }
    .status()
}

/// A decision to leave everything as it is, and to say what can be said.
fn without_plan(observed: &Observed, mut verdicts: Vec<Verdict>) -> Decision {
    let (namespace, name) = (
        observed.wukong.namespace().unwrap_or_default(),
        observed.wukong.name_any(),
    );
    let uid = observed.wukong.uid().unwrap_or_default();
    let mut found = Findings::as_before(observed.wukong, observed.now);
    if let Seen::Present(vm) = observed.world.virtual_machines.get(&namespace, &name)
        && vm.meta.is_controlled_by(&uid)
    {
        let instances = &observed.world.instances;
        let (scheduled, running) = running::verdicts(vm, observed, None);
        verdicts.extend(scheduled);
        verdicts.push(running);
        let instance = instances.get(&namespace, &name).present();
        found.vm_name = Some(name.clone());
        found.node_name = instance.and_then(|instance| instance.node.clone());
    }
    if observed.wukong.metadata.deletion_timestamp.is_some() {
        verdicts.push(deleting::verdict(observed, &namespace, &name, &uid));
    }
    found.verdicts = verdicts;
    let nothing_else = Said {
        waiting: None,
        others: Vec::new(),
    };
    finish(observed, found, nothing_else, Decision::nothing())
}

/// Adds the status and what follows from it.
pub(crate) fn finish(
    observed: &Observed,
    found: Findings,
    said: Said,
    decision: Decision,
) -> Decision {
    let before = observed.wukong.status.as_ref();
    let blocker = found.verdicts.iter().position(Verdict::blocks);
    let first = blocker.and_then(|index| found.verdicts.get(index)).cloned();
    let off = found
        .verdicts
        .iter()
        .enumerate()
        .filter(|(index, verdict)| {
            let bad = verdict.status == Status::False || blocker.is_none() && !verdict.is_fine();
            bad && Some(*index) != blocker
        });
    let mut others: Vec<Check> = off.map(|(_, verdict)| verdict.clone().into()).collect();
    others.extend(said.others);
    others.sort_by_key(|check| check.condition);
    let status = found.status();
    let write_status = status::write_at(before, &status, observed.memory, observed.now);
    Decision {
        notes: match write_status {
            Some(_) => notes(before, &status),
            None => Vec::new(),
        },
        write_status,
        status,
        waiting: said.waiting,
        look_at: said
            .waiting
            .map(|waiting| observed.memory.look_at(waiting, observed.now)),
        findings: first.map(Check::from).into_iter().chain(others).collect(),
        ..decision
    }
}

impl Decision {
    pub(crate) fn nothing() -> Self {
        Self {
            apply: Vec::new(),
            apply_vm: None,
            expand: Vec::new(),
            calls: Vec::new(),
            prune: Vec::new(),
            status: WukongStatus::default(),
            write_status: None,
            notes: Vec::new(),
            wake_at: None,
            waiting: None,
            look_at: None,
            findings: Vec::new(),
        }
    }
}
