//! Decides actions and status from what is observed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use wukong_api::spec::Disk;
use wukong_api::validated::Source;
use wukong_api::{
    ConditionType, OperatorSettings, Reason, ValidatedWukong, Wukong, WukongStatus, names,
};

use crate::decision::Decision;
use crate::diagnosis::condition::Condition;
use crate::facts;
use crate::facts::Seen;
use crate::generations;
use crate::initial;
use crate::observed::Observed;
use crate::protection;
use crate::restoring::Restoring;
use crate::situation::Situation;
use crate::status::Findings;
use crate::status::conditions::{deleting, running, spec};
use crate::status::outcome::{Outcome, finish};

/// Decides the actions for one Wukong, and its status. The same input gives the same decision.
pub fn decide(observed: &Observed) -> Decision {
    if observed.wukong.metadata.deletion_timestamp.is_some() {
        // Garbage collection deletes the objects with an owner reference. The operator creates nothing any more.
        return protection::add(observed, None, without_plan(observed, Vec::new()));
    }
    let made = made_from(observed);
    match ValidatedWukong::validate_existing(observed.wukong, observed.settings, &made) {
        Ok(wukong) => {
            let generations = generations::in_use(&wukong, observed.world);
            let wukong = wukong.with_generations(&generations);
            let wukong = initial::with_volume_snapshots(wukong, observed.world);
            let restoring = Restoring::of(&wukong, observed);
            let next = match restoring.as_ref().and_then(Restoring::switch) {
                Some(switch) => {
                    let all = generations.into_iter().chain(switch).collect();
                    wukong.with_generations(&all)
                }
                None => wukong,
            };
            let decision = Situation::new(&next, observed, restoring.clone()).decision();
            protection::add(observed, restoring.as_ref(), decision)
        }
        Err(error) => {
            let lenient = OperatorSettings {
                denied_hosts: Vec::new(),
                ..observed.settings.clone()
            };
            let by_policy = ValidatedWukong::validate(observed.wukong, &lenient).is_ok();
            let decision = without_plan(observed, vec![spec::invalid(&error, by_policy)]);
            protection::add(observed, None, decision)
        }
    }
}

/// The sources that the existing disks were made from, by disk.
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

/// Returns the status of a stored Wukong that cannot be decoded. The Wukong is given as JSON, without its spec.
pub fn undecodable(metadata_only: &Wukong, error: &str, now: Timestamp) -> WukongStatus {
    let message = format!(
        "this version of the operator cannot read the stored object: {}",
        facts::bounded(error)
    );
    let condition = Condition::bad(ConditionType::SpecValid, Reason::CRDOutdated, message)
        .hint("install the CustomResourceDefinition of the operator's release, and apply the manifest again");
    Findings {
        conditions: vec![condition],
        ..Findings::as_before(metadata_only, now)
    }
    .status()
}

/// Returns a decision that changes nothing but the status.
fn without_plan(observed: &Observed, mut conditions: Vec<Condition>) -> Decision {
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
        let (scheduled, running) = running::conditions(vm, observed, None);
        conditions.extend(scheduled);
        conditions.push(running);
        let instance = instances.get(&namespace, &name).present();
        found.vm_name = Some(name.clone());
        found.node_name = instance.and_then(|instance| instance.node.as_deref().map(Into::into));
    }
    if observed.wukong.metadata.deletion_timestamp.is_some() {
        conditions.push(deleting::condition(observed, &namespace, &name, &uid));
    }
    found.conditions = conditions;
    let nothing_else = Outcome {
        waiting: None,
        others: Vec::new(),
    };
    finish(observed, found, nothing_else, Decision::nothing())
}
