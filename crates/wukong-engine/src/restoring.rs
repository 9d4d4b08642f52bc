//! Restores: what a restore does with its Wukong.
//!
//! The restore that was created first has its turn. Which claims it made, and whether it has ended, follows from the
//! DataVolumes and from what the VM notes, so a restart of the operator continues where it was.

use std::collections::BTreeMap;

use wukong_api::protection::WukongRestoreSpec;
use wukong_api::validated::{Disk, Source};
use wukong_api::{Reason, ValidatedWukong, names};
use wukong_protection::restore::{self, Content, Power, Step};
use wukong_protection::snapshot::volume_snapshot;

use crate::desired::Body;
use crate::facts::{
    DataVolumeFact, GenerationFact, Seen, Text, VirtualMachineFact, WukongRestoreFact,
    WukongSnapshotFact, wukong_key,
};
use crate::generations;
use crate::observed::Observed;
use crate::taken::{Problem, Taken};
use crate::target::Kind;
use crate::world::World;

/// Most restores that a VirtualMachine notes.
const NOTED_MAX: usize = 32;

/// The restores that the VirtualMachine notes, with the one that changes its disks now.
pub(crate) fn noted(vm: Option<&VirtualMachineFact>, restoring: Option<&Restoring>) -> String {
    let before = vm.into_iter().flat_map(VirtualMachineFact::restores);
    let now = restoring.filter(|it| it.step() == Some(Step::Switch));
    let now = now.map(|restoring| &restoring.fact.meta.name);
    let names: Vec<&str> = before.chain(now).map(Text::as_str).collect();
    let first = names.len().saturating_sub(NOTED_MAX);
    names
        .into_iter()
        .skip(first)
        .collect::<Vec<&str>>()
        .join(",")
}

/// The restore that has its turn.
#[derive(Clone, Debug)]
pub(crate) struct Restoring<'a> {
    pub fact: &'a WukongRestoreFact,
    pub spec: &'a WukongRestoreSpec,
    /// What to restore, or why that is not possible.
    pub plan: Result<Plan, Problem>,
}

/// The disks of a restore, and its next step.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub disks: Vec<Planned>,
    pub step: Step,
}

/// A disk of the restore.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub name: String,
    /// Claim before the switch.
    pub before: String,
    /// Claim after the switch.
    pub after: String,
    source: Option<Source>,
    pub disk: restore::Disk,
    /// What CDI says of the claim.
    pub phase: String,
}

impl<'a> Restoring<'a> {
    /// The restore of this Wukong that has its turn.
    pub(crate) fn of(wukong: &ValidatedWukong, observed: &Observed<'a>) -> Option<Self> {
        let world = observed.world;
        let identity = &wukong.identity;
        let key = wukong_key(&identity.namespace, &identity.name);
        let fact = world
            .wukong_restores
            .indexed(&key)
            .filter(|restore| restore.open.is_some() && !restore.meta.deleting)
            .min_by_key(|restore| (restore.meta.created, &restore.meta.name))?;
        let (spec, _) = fact.open.as_deref()?;
        Some(Self {
            fact,
            spec,
            plan: plan(wukong, fact, spec, world),
        })
    }

    /// The next step.
    pub(crate) fn step(&self) -> Option<Step> {
        self.plan.as_ref().ok().map(|plan| plan.step)
    }

    /// The generations after the switch, if this is the next step.
    pub(crate) fn switch(&self) -> Option<BTreeMap<String, u32>> {
        let plan = self.plan.as_ref().ok()?;
        (plan.step == Step::Switch).then(|| {
            let targets = plan.disks.iter();
            targets
                .map(|disk| (disk.name.clone(), disk.disk.target))
                .collect()
        })
    }

    /// The DataVolumes to create.
    pub(crate) fn missing(&self, wukong: &ValidatedWukong) -> Vec<Body> {
        let Ok(plan) = &self.plan else {
            return Vec::new();
        };
        let missing = |planned: &Planned| {
            let source = planned.source.clone()?;
            let disk = wukong.disk(&planned.name)?;
            let name = &self.fact.meta.name;
            let volume =
                wukong_storage::new_generation(wukong, disk, planned.disk.target, source, name);
            Some(Body::of(Kind::DataVolume, &volume))
        };
        plan.disks
            .iter()
            .filter(|planned| planned.disk.content == Content::Missing)
            .filter_map(missing)
            .collect()
    }
}

fn plan(
    wukong: &ValidatedWukong,
    fact: &WukongRestoreFact,
    spec: &WukongRestoreSpec,
    world: &World,
) -> Result<Plan, Problem> {
    let identity = &wukong.identity;
    if let Some(unknown) = spec.disks.iter().find(|name| own(wukong, name).is_none()) {
        return Err(Problem::bad(
            Reason::InvalidSpec,
            format!(
                "{unknown} is not a disk with a claim of Wukong {}",
                identity.name
            ),
        )
        .hint("create another restore that names disks of the Wukong"));
    }
    let sources = match (&spec.snapshot_name, spec.from_generation) {
        (Some(snapshot), _) => from_snapshot(wukong, fact, spec, snapshot, world)?,
        (None, Some(generation)) => from_generation(wukong, spec, generation, world)?,
        (None, None) => Vec::new(),
    };
    let disks: Vec<Planned> = sources
        .into_iter()
        .map(|(disk, target, source)| planned(wukong, disk, target, source, world))
        .collect();
    let of_plan: Vec<restore::Disk> = disks.iter().map(|planned| planned.disk.clone()).collect();
    let step = restore::next(&of_plan, power(wukong, world), spec.stop == Some(true));
    let mut noted = vm(wukong, world)
        .present()
        .into_iter()
        .flat_map(VirtualMachineFact::restores);
    if step != Step::Done && noted.any(|name| *name == fact.meta.name) {
        return Err(has_run_before(fact));
    }
    Ok(Plan { disks, step })
}

/// The disk of this name, if it has a claim of its own.
fn own<'a>(wukong: &'a ValidatedWukong, name: &str) -> Option<&'a Disk> {
    let disk = wukong.disk(name)?;
    (!matches!(disk.source, Source::Existing(_))).then_some(disk)
}

/// The disks that the restore is about: those that it names, or all.
fn disks<'a>(wukong: &'a ValidatedWukong, spec: &WukongRestoreSpec) -> Vec<&'a Disk> {
    let all = wukong.disks.iter();
    all.filter(|disk| own(wukong, &disk.name).is_some())
        .filter(|disk| spec.disks.is_empty() || spec.disks.contains(&disk.name))
        .collect()
}

/// A disk with its new generation, and the source of a claim that the restore makes.
type Target<'a> = (&'a Disk, u32, Option<Source>);

fn from_generation<'a>(
    wukong: &'a ValidatedWukong,
    spec: &WukongRestoreSpec,
    generation: u32,
    world: &World,
) -> Result<Vec<Target<'a>>, Problem> {
    let has = |disk: &&Disk| {
        let name = names::claim_of_generation(&wukong.identity.name, &disk.name, generation);
        let claim = world.claims.get(&wukong.identity.namespace, &name);
        claim.present().is_some_and(|claim| {
            let ours = claim.meta.wukong.as_deref() == Some(&wukong.identity.name);
            ours && !claim.meta.deleting
        })
    };
    let (with, without): (Vec<&Disk>, Vec<&Disk>) =
        disks(wukong, spec).into_iter().partition(|disk| has(disk));
    let named = !spec.disks.is_empty();
    if let Some(disk) = without.first().filter(|_| named || with.is_empty()) {
        return Err(Problem::bad(
            Reason::SourceNotFound,
            format!("disk {} has no generation {generation}", disk.name),
        )
        .about(format!("Wukong/{}", wukong.identity.name))
        .hint("status.volumes of the Wukong lists the generations of each disk"));
    }
    Ok(with
        .into_iter()
        .map(|disk| (disk, generation, None))
        .collect())
}

fn from_snapshot<'a>(
    wukong: &'a ValidatedWukong,
    fact: &WukongRestoreFact,
    spec: &WukongRestoreSpec,
    snapshot: &str,
    world: &World,
) -> Result<Vec<Target<'a>>, Problem> {
    let from = Taken {
        namespace: &wukong.identity.namespace,
        name: snapshot,
        another: "create another restore with",
        world,
    };
    let of = from.snapshot()?;
    if let Some(problem) = of_another(of, wukong) {
        return Err(problem);
    }
    let taken = from.complete(of)?;
    let (with, without): (Vec<&Disk>, Vec<&Disk>) = disks(wukong, spec)
        .into_iter()
        .partition(|disk| taken.has_volume(&disk.name));
    let named = !spec.disks.is_empty();
    if let Some(disk) = without.first().filter(|_| named || with.is_empty()) {
        return Err(from
            .lacks(&disk.name)
            .hint("create another restore that names only disks of the snapshot"));
    }
    let target = |disk: &'a Disk| {
        let source = volume_snapshot(&taken.meta.uid, &disk.name);
        let target = match made(wukong, disk, fact, &source, world) {
            Some(made) if made.activation > 0 && disk.generation != Some(made.number) => {
                return Err(has_run_before(fact));
            }
            Some(made) => made.number,
            None => {
                from.ready(taken, &disk.name)?;
                let existing = generations::numbers(wukong, &disk.name, world);
                let first = restore::new_number(&existing, disk.generation.unwrap_or(1));
                (first..u32::MAX)
                    .find(|number| is_free(wukong, &disk.name, *number, world))
                    .unwrap_or(first)
            }
        };
        Ok((disk, target, Some(Source::Snapshot(source))))
    };
    with.into_iter().map(target).collect()
}

/// Whether no object has the name of this generation. An object of another owner may have it.
fn is_free(wukong: &ValidatedWukong, disk: &str, number: u32, world: &World) -> bool {
    let identity = &wukong.identity;
    let name = names::claim_of_generation(&identity.name, disk, number);
    let namespace = &identity.namespace;
    let volume = world.data_volumes.get(namespace, &name).present();
    volume.is_none() && world.claims.get(namespace, &name).present().is_none()
}

/// The problem of a snapshot of another Wukong.
fn of_another(snapshot: &WukongSnapshotFact, wukong: &ValidatedWukong) -> Option<Problem> {
    if snapshot.meta.wukong.as_deref() == Some(&wukong.identity.name) {
        return None;
    }
    let name = &snapshot.meta.name;
    let other = snapshot.meta.wukong.as_deref().unwrap_or_default();
    let message = format!("WukongSnapshot {name} is a snapshot of Wukong {other}");
    let problem = Problem::bad(Reason::InvalidSpec, message);
    let problem = problem.about(format!("WukongSnapshot/{name}"));
    Some(problem.hint("create another restore with a snapshot of this Wukong"))
}

/// The generation that this restore has made of a disk: the DataVolume names it, and has this source.
fn made<'a>(
    wukong: &ValidatedWukong,
    disk: &Disk,
    restore: &WukongRestoreFact,
    snapshot: &str,
    world: &'a World,
) -> Option<&'a GenerationFact> {
    let source = Source::Snapshot(snapshot.to_owned());
    let made = |(volume, generation): &(&DataVolumeFact, &GenerationFact)| {
        generation.restore.as_ref() == Some(&restore.meta.name)
            && volume.source.as_ref() == Some(&source)
            && !volume.meta.deleting
    };
    generations::of_disk(wukong, &disk.name, &world.data_volumes)
        .filter(made)
        .map(|(_, generation)| generation)
        .max_by_key(|generation| generation.number)
}

/// A restore that was deleted and created again: the guest has written to the claims since.
fn has_run_before(restore: &WukongRestoreFact) -> Problem {
    let name = &restore.meta.name;
    let message = format!("a restore of the name {name} has changed the disks of this VM before");
    Problem::bad(Reason::InvalidSpec, message).hint("create a restore with another name")
}

fn planned(
    wukong: &ValidatedWukong,
    disk: &Disk,
    target: u32,
    source: Option<Source>,
    world: &World,
) -> Planned {
    let identity = &wukong.identity;
    let after = names::claim_of_generation(&identity.name, &disk.name, target);
    let volume = world.data_volumes.get(&identity.namespace, &after);
    let claim = world.claims.get(&identity.namespace, &after);
    let phase = volume.present().map(|volume| volume.phase.to_string());
    let waits = |phase: &str| matches!(phase, "WaitForFirstConsumer" | "PendingPopulation");
    let content = match (volume, claim) {
        (Seen::Unknown, _) | (_, Seen::Unknown) => Content::Filling,
        (Seen::Present(volume), claim) => {
            let has_claim = claim.present().is_some_and(|claim| !claim.meta.deleting);
            match volume.phase == "Succeeded" || waits(&volume.phase) {
                true if has_claim => Content::Complete,
                _ => Content::Filling,
            }
        }
        (Seen::Absent, Seen::Present(_)) => Content::Complete,
        (Seen::Absent, Seen::Absent) if source.is_some() => Content::Missing,
        (Seen::Absent, Seen::Absent) => Content::Filling,
    };
    // What the VM notes decides, not what is planned: a new disk is in use once the VM names it.
    let in_use = disk.generation.unwrap_or(1);
    Planned {
        name: disk.name.clone(),
        before: names::claim_of_generation(&identity.name, &disk.name, in_use),
        after,
        source,
        disk: restore::Disk {
            in_use,
            target,
            content,
        },
        phase: phase.unwrap_or_default(),
    }
}

fn vm<'a>(wukong: &ValidatedWukong, world: &'a World) -> Seen<&'a VirtualMachineFact> {
    let identity = &wukong.identity;
    world
        .virtual_machines
        .get(&identity.namespace, &identity.name)
}

/// Whether the VM is off. A VM with the strategy `Always` is not: KubeVirt starts it again at any time.
fn power(wukong: &ValidatedWukong, world: &World) -> Power {
    let identity = &wukong.identity;
    let instance = world.instances.get(&identity.namespace, &identity.name);
    match (vm(wukong, world), instance) {
        (Seen::Absent, Seen::Absent) => Power::Off,
        (Seen::Present(vm), Seen::Absent) => {
            let halted = vm.run_strategy.as_deref() == Some("Halted");
            let starts_again = vm.run_strategy.as_deref() == Some("Always");
            match vm.printable_status == "Stopped" && !vm.changing_state && !starts_again {
                true => Power::Off,
                false if halted => Power::Stopping,
                false => Power::On,
            }
        }
        (Seen::Present(vm), Seen::Present(_)) if vm.run_strategy.as_deref() == Some("Halted") => {
            Power::Stopping
        }
        _ => Power::On,
    }
}
