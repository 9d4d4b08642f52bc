//! The simulation of CDI, and of the provisioners and resizers below it.
//!
//! [`next`] decides the next single step of a DataVolume and its claim from what is stored: phases, conditions and the
//! false and stale states in between follow CDI 1.66 as it was observed with its release defaults.

pub(crate) mod claim;
mod failure;
mod import;
mod importer;
mod origin;
mod report;
mod target;

#[cfg(test)]
mod tests;

use serde_json::json;

use super::change::{Change, Moment, Step};
use super::field::{Field, put};
use super::installation;
use super::kind::Kind;
use super::scenario::Scenario;
pub use super::storage::offered;
use super::world::World;
pub use claim::usable;
use import::Import;
pub use origin::{Absent, origin};
use report::{BY, Condition, Report};

const USE_POPULATOR: &str = "cdi.kubevirt.io/storage.usePopulator";
const ADOPTION: &str = "cdi.kubevirt.io/allowClaimAdoption";
const POPULATED_FOR: &str = "cdi.kubevirt.io/storage.populatedFor";
const CREATED_FOR: &str = "cdi.kubevirt.io/createdForDataVolume";
/// Paces between two attempts to create a claim that a quota refuses. CDI backs off up to minutes.
const QUOTA_RETRY: u32 = 20;

/// The next step of the DataVolume and the claim of this name, whichever of them exist.
pub fn next(world: &World, namespace: &str, name: &str, moment: &Moment) -> Step {
    let claim = world.get(Kind::Claim, namespace, name);
    let alive = |object: &Field<'_>| !object.at("metadata.deletionTimestamp").is_set();
    // A claim that goes takes its importer along, which keeps it otherwise.
    if let Some(claim) = claim.as_ref().filter(|claim| !alive(claim))
        && let Some(removal) = importer::remove(world, claim)
    {
        return Step::of([removal]);
    }
    let Some(dv) = world.get(Kind::DataVolume, namespace, name).filter(alive) else {
        return claim.filter(alive).map_or_else(Step::quiet, |claim| {
            claim::next(world, &claim, &Scenario::of(world, &claim), moment)
        });
    };
    if !installation::is_at_work(world, Kind::Cdi) {
        return Step::quiet();
    }
    let scenario = Scenario::of(world, &dv);
    match claim {
        None => create_claim(world, &dv, &scenario, moment),
        Some(claim) if !alive(&claim) => terminating(&dv),
        Some(claim) if is_made_for(&claim, &dv) => Import {
            world,
            dv: &dv,
            claim: &claim,
            scenario: &scenario,
            moment,
        }
        .next(),
        Some(claim) => foreign_claim(world, &dv, &claim, moment),
    }
}

fn is_owned_by(claim: &Field<'_>, dv: &Field<'_>) -> bool {
    let uid = dv.at("metadata.uid").text();
    claim
        .at("metadata.ownerReferences")
        .items()
        .any(|owner| owner.child("uid").text() == uid)
}

fn is_made_for(claim: &Field<'_>, dv: &Field<'_>) -> bool {
    let made_for = claim.at("metadata.annotations").child(CREATED_FOR).text();
    is_owned_by(claim, dv) && made_for == dv.at("metadata.uid").text()
}

/// A DataVolume made while the old claim goes away waits for its end.
fn terminating(dv: &Field<'_>) -> Step {
    if dv.at("status.phase").is_set() {
        return Step::quiet();
    }
    let message = format!(
        "Resource {:?} marked for deletion",
        dv.child("metadata").name()
    );
    Step::of([Change::warning(
        BY,
        Kind::DataVolume,
        dv,
        "ErrResourceMarkedForDeletion",
        message,
    )])
}

fn create_claim(world: &World, dv: &Field<'_>, scenario: &Scenario, moment: &Moment) -> Step {
    let name = dv.child("metadata").name();
    let quota = match &moment.refusal {
        _ if scenario.has("quota") => Some(format!(
            "persistentvolumeclaims {name:?} is forbidden: exceeded quota: team, requested: requests.storage=1138166334, \
             used: requests.storage=0, limited: requests.storage=500Mi"
        )),
        Some(refusal)
            if refusal.message.contains("exceeded quota") && moment.waited < QUOTA_RETRY =>
        {
            Some(refusal.message.clone())
        }
        _ => None,
    };
    if let Some(message) = quota {
        let problem = Condition::no("ErrExceededQuota", &message);
        let report = Report::new("Pending").bound(problem).ready(problem);
        let warning = Change::warning(BY, Kind::DataVolume, dv, "ErrExceededQuota", &message);
        return Step::of(report.change(dv, None, moment).into_iter().chain([warning]))
            .or_wait(QUOTA_RETRY);
    }
    let target = match target::resolve(world, dv) {
        Ok(target) => target,
        Err(message) => {
            let problem = Condition::no("ErrClaimNotValid", &message);
            let report = Report::new("").bound(problem).ready(problem);
            // The event has other words than the condition.
            let warning = match message.split_once("no accessMode specified in StorageProfile ") {
                Some((_, profile)) => format!(
                    "Spec is missing accessMode and volumeMode, cannot get access mode from StorageProfile {profile}"
                ),
                None => message.clone(),
            };
            let warning = Change::warning(BY, Kind::DataVolume, dv, "ErrClaimNotValid", warning);
            return Step::of(report.change(dv, None, moment).into_iter().chain([warning]));
        }
    };
    match origin(world, dv) {
        // CDI waits for a DataSource without a word.
        Err(Absent::DataSource) => return Step::quiet(),
        Err(Absent::Claim(name)) => {
            let message = format!("The source pvc {name} doesn't exist");
            let problem = Condition::no("CloneWithoutSource", &message);
            let report = Report::new("").bound(problem).ready(problem);
            return Step::of(report.change(dv, None, moment));
        }
        Ok(_) => {}
    }
    let mut changes = Vec::new();
    let populated = target.populated.to_string();
    if dv.at("metadata.annotations").child(USE_POPULATOR).text() != populated {
        let patch = json!({"metadata": {"annotations": {USE_POPULATOR: populated}}});
        changes.push(Change::merge(BY, Kind::DataVolume, dv, patch));
    }
    let mut claim = claim::for_data_volume(dv, target.spec, target.populated);
    put(
        &mut claim,
        ["metadata", "annotations", USE_POPULATOR],
        json!(populated),
    );
    changes.push(Change::Create {
        by: BY,
        at: super::change::at(Kind::Claim, dv),
        object: claim,
    });
    // A claim deleted under a living DataVolume is imported again, from the start.
    let pending = format!("PVC {name} Pending");
    let report = Report::new("Pending").bound(Condition::no("Pending", &pending));
    changes.extend(report.change(dv, Some(name), moment));
    Step::of(changes)
}

/// A claim that CDI did not make for this DataVolume: adopted at once where that is allowed, else only watched.
fn foreign_claim(world: &World, dv: &Field<'_>, claim: &Field<'_>, moment: &Moment) -> Step {
    let name = dv.child("metadata").name();
    let adopts = dv.at("metadata.annotations").child(ADOPTION).text() == "true"
        || claim.at("metadata.annotations").child(POPULATED_FOR).text() == name;
    let phase = claim.at("status.phase").text();
    let message = format!("PVC {name} {phase}");
    let bound = if phase == "Bound" {
        Condition::yes("Bound", &message)
    } else {
        Condition::no("Pending", &message)
    };
    let mut changes = Vec::new();
    if is_owned_by(claim, dv) || adopts {
        if !is_owned_by(claim, dv) {
            let patch = json!({"metadata": {"ownerReferences": [claim::owner_reference(dv)]}});
            changes.push(Change::merge(BY, Kind::Claim, claim, patch));
        }
        let report = Report::new("Succeeded")
            .progress("N/A")
            .bound(bound)
            .ready(Condition::yes("", ""));
        changes.extend(report.change(dv, Some(name), moment));
    } else {
        let message = format!("Resource {name:?} already exists and is not managed by DataVolume");
        changes.push(Change::warning(
            BY,
            Kind::DataVolume,
            dv,
            "ErrResourceExists",
            message,
        ));
        changes.extend(
            Report::new("Pending")
                .bound(bound)
                .change(dv, Some(name), moment),
        );
    }
    let scenario = Scenario::of(world, claim);
    changes.extend(claim::next(world, claim, &scenario, moment).changes);
    Step::of(changes)
}
