//! Generations of disks: which claim a disk uses, and which others hold its earlier content.
//!
//! The first claim of a disk is `<wukong>.<disk>`, a later one `<wukong>.<disk>.r<N>`. The VirtualMachine notes which ones it uses,
//! in the same write that changes its volumes: this write is the only moment at which a disk changes its generation. The
//! DataVolumes note it, too, so that a VM that is created again uses the same ones.

use std::collections::{BTreeMap, BTreeSet};

use wukong_api::names;
use wukong_api::validated::Disk;
use wukong_api::{Bytes, ValidatedWukong};
use wukong_storage::Made;

use crate::facts::{ClaimFact, DataVolumeFact, Fact, GenerationFact, Store, VirtualMachineFact};
use crate::world::World;

/// The generation of each disk that ever had more than one.
pub(crate) fn in_use(wukong: &ValidatedWukong, world: &World) -> BTreeMap<String, u32> {
    let vm = vm(wukong, world);
    let generation = |disk: &Disk| {
        let noted = vm.and_then(|vm| noted(vm, &disk.name));
        Some((
            disk.name.clone(),
            noted.or_else(|| marked(wukong, &disk.name, world))?,
        ))
    };
    wukong.disks.iter().filter_map(generation).collect()
}

/// The generation that the VM notes for a disk.
fn noted(vm: &VirtualMachineFact, disk: &str) -> Option<u32> {
    let mut noted = vm.generations().iter();
    noted
        .find(|(name, _)| name == disk)
        .map(|(_, number)| *number)
}

/// The generation that was used last, as its DataVolume notes it.
fn marked(wukong: &ValidatedWukong, disk: &str, world: &World) -> Option<u32> {
    let last = of_disk(wukong, disk, &world.data_volumes)
        .filter(|(fact, generation)| generation.activation > 0 && is_usable(*fact))
        .max_by_key(|(_, generation)| (generation.activation, generation.number));
    last.map(|(_, generation)| generation.number)
}

fn is_usable(fact: &impl Fact) -> bool {
    !fact.meta().deleting
}

fn vm<'a>(wukong: &ValidatedWukong, world: &'a World) -> Option<&'a VirtualMachineFact> {
    let identity = &wukong.identity;
    let vm = world
        .virtual_machines
        .get(&identity.namespace, &identity.name);
    vm.present()
        .filter(|vm| vm.meta.is_controlled_by(&identity.uid))
}

/// A kind of which the objects hold generations of disks.
pub(crate) trait OfDisk: Fact {
    fn generation(&self) -> Option<&GenerationFact>;
}

impl OfDisk for DataVolumeFact {
    fn generation(&self) -> Option<&GenerationFact> {
        self.generation.as_deref()
    }
}

impl OfDisk for ClaimFact {
    fn generation(&self) -> Option<&GenerationFact> {
        self.generation.as_deref()
    }
}

/// The objects of a disk that note a generation.
pub(crate) fn of_disk<'a, F: OfDisk>(
    wukong: &ValidatedWukong,
    disk: &str,
    store: &'a Store<F>,
) -> impl Iterator<Item = (&'a F, &'a GenerationFact)> + use<'a, F> {
    let identity = &wukong.identity;
    let key = GenerationFact::key(&identity.namespace, &identity.name, disk);
    let all: Vec<&F> = store.indexed(&key).collect();
    all.into_iter()
        .filter_map(|fact| Some((fact, fact.generation()?)))
}

/// Names of the claims of later generations of a disk.
pub(crate) fn later_claims(
    namespace: &str,
    wukong: &str,
    disk: &str,
    world: &World,
) -> BTreeSet<String> {
    let key = GenerationFact::key(namespace, wukong, disk);
    let volumes = world.data_volumes.indexed(&key).map(|volume| &volume.meta);
    let claims = world.claims.indexed(&key).map(|claim| &claim.meta);
    volumes
        .chain(claims)
        .map(|meta| meta.name.to_string())
        .collect()
}

/// Numbers of the generations of a disk that exist, the first one included.
pub(crate) fn numbers(wukong: &ValidatedWukong, disk: &str, world: &World) -> BTreeSet<u32> {
    let identity = &wukong.identity;
    let first = names::claim(&identity.name, disk);
    let has_first = world
        .claims
        .get(&identity.namespace, &first)
        .present()
        .is_some();
    let volumes = of_disk(wukong, disk, &world.data_volumes).map(|(_, it)| it.number);
    let claims = of_disk(wukong, disk, &world.claims).map(|(_, it)| it.number);
    has_first
        .then_some(1)
        .into_iter()
        .chain(volumes)
        .chain(claims)
        .collect()
}

/// A generation of a disk that is not in use.
pub(crate) struct Other<'a> {
    pub number: u32,
    pub claim: &'a ClaimFact,
    pub restore: Option<String>,
}

/// The generations of a disk that exist and are not in use, the newest first.
pub(crate) fn others<'a>(
    wukong: &ValidatedWukong,
    disk: &Disk,
    world: &'a World,
) -> Vec<Other<'a>> {
    let identity = &wukong.identity;
    let other = |number: u32| {
        let name = names::claim_of_generation(&identity.name, &disk.name, number);
        let claim = world.claims.get(&identity.namespace, &name).present()?;
        let restore = claim.generation.as_ref()?.restore.as_ref();
        Some((number, claim, restore.map(ToString::to_string)))
    };
    let first = || {
        let name = names::claim(&identity.name, &disk.name);
        let claim = world.claims.get(&identity.namespace, &name).present()?;
        Some((1, claim, None))
    };
    numbers(wukong, &disk.name, world)
        .into_iter()
        .rev()
        .filter(|number| *number != disk.generation.unwrap_or(1))
        .filter_map(|number| match number {
            1 => first(),
            later => other(later),
        })
        .map(|(number, claim, restore)| Other {
            number,
            claim,
            restore,
        })
        .collect()
}

/// What the DataVolume of a disk has besides what the spec says. A DataVolume that the VM uses notes its use.
pub(crate) fn made(
    wukong: &ValidatedWukong,
    disk: &Disk,
    volume: &DataVolumeFact,
    world: &World,
) -> Made {
    let Some(in_use) = disk.generation else {
        return Made::default();
    };
    let known = volume.generation.as_deref();
    let own = known.map_or(0, |known| known.activation);
    let committed = vm(wukong, world).and_then(|vm| noted(vm, &disk.name)) == Some(in_use);
    let last = of_disk(wukong, &disk.name, &world.data_volumes)
        .filter(|(other, _)| other.meta.name != volume.meta.name)
        .map(|(_, generation)| generation.activation)
        .max()
        .unwrap_or_default();
    let activation = match committed && own <= last {
        true => last.saturating_add(1),
        false => own,
    };
    Made {
        source: volume.source.clone().filter(|_| in_use > 1),
        restore: known
            .and_then(|known| known.restore.as_ref())
            .map(ToString::to_string),
        activation: (activation > 0).then_some(activation),
    }
}

/// Whether the uid is that of a claim of another generation of the disk.
pub(crate) fn is_of_another(
    wukong: &ValidatedWukong,
    disk: &Disk,
    uid: &str,
    world: &World,
) -> bool {
    disk.generation.is_some()
        && others(wukong, disk, world)
            .iter()
            .any(|other| other.claim.meta.uid == uid)
}

/// The size of a claim as the guest sees it.
pub(crate) fn guest_size(claim: &ClaimFact) -> Option<Bytes> {
    claim.guest_size.or(claim.request)
}
