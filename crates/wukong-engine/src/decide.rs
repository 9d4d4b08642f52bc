//! From what is observed to what is to be done and said.

use jiff::Timestamp;
use kube::ResourceExt;
use wukong_api::{ConditionType, Reason, ValidatedWukong, Wukong, WukongStatus};

use crate::conditions::{running, spec};
use crate::decision::{Decision, Observed};
use crate::facts;
use crate::notes::notes;
use crate::planning::Planning;
use crate::status::{self, Findings};
use crate::verdict::Verdict;
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
        let (scheduled, running) =
            running::verdicts(vm, instances, None, status::has_run(observed.wukong));
        verdicts.extend(scheduled);
        verdicts.push(running);
        let instance = instances.get(&namespace, &name).present();
        found.vm_name = Some(name);
        found.node_name = instance.and_then(|instance| instance.node.clone());
    }
    found.verdicts = verdicts;
    finish(observed, found, Decision::nothing())
}

/// Adds the status and what follows from it.
pub(crate) fn finish(observed: &Observed, found: Findings, decision: Decision) -> Decision {
    let before = observed.wukong.status.as_ref();
    let status = found.status();
    let write_status = status::write_at(before, &status, observed.memory, observed.now);
    Decision {
        notes: match write_status {
            Some(_) => notes(before, &status),
            None => Vec::new(),
        },
        write_status,
        status,
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
        }
    }
}
