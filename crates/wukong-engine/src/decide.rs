//! From what is observed to what is to be done and said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use wukong_api::spec::Disk;
use wukong_api::validated::Source;
use wukong_api::{ConditionType, Policy, Reason, ValidatedWukong, Wukong, WukongStatus, names};

use crate::conditions::{deleting, running, spec};
use crate::decision::Decision;
use crate::environment::Check;
use crate::facts;
use crate::notes::notes;
use crate::observed::Observed;
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
    let made = made_from(observed);
    match ValidatedWukong::validate_existing(observed.wukong, observed.policy, &made) {
        Ok(wukong) => Planning::new(&wukong, observed).decision(),
        Err(error) => {
            let lenient = Policy {
                denied_hosts: Vec::new(),
                ..observed.policy.clone()
            };
            let by_policy = ValidatedWukong::validate(observed.wukong, &lenient).is_ok();
            without_plan(observed, vec![spec::invalid(&error, by_policy)])
        }
    }
}

/// What the disks that exist were made from, by disk.
fn made_from(observed: &Observed) -> BTreeMap<String, Source> {
    let (namespace, name) = (
        observed.wukong.namespace().unwrap_or_default(),
        observed.wukong.name_any(),
    );
    let source = |disk: &Disk| {
        let claim = names::claim(&name, &disk.name);
        let volume = observed.world.data_volumes.get(&namespace, &claim);
        Some((disk.name.clone(), volume.present()?.source.clone()?))
    };
    observed
        .wukong
        .spec
        .disks
        .iter()
        .filter_map(source)
        .collect()
}

/// The status of a stored Wukong that cannot be read at all. It is given as JSON, without its spec.
pub fn undecodable(metadata_only: &Wukong, error: &str, now: Timestamp) -> WukongStatus {
    let message = format!(
        "this version of the operator cannot read the stored object: {}",
        facts::bounded(error)
    );
    let verdict = Verdict::bad(ConditionType::SpecValid, Reason::CRDOutdated, message)
        .hint("install the CustomResourceDefinition of the operator's release, and apply the manifest again");
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
            in_place: 0,
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
