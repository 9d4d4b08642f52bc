//! Ownership of the objects that have our names.

use std::collections::BTreeMap;

use wukong_api::validated::{Disk, Source};
use wukong_api::{Bytes, ValidatedWukong};
use wukong_storage::Existing;

use crate::facts::{ClaimFact, DataVolumeFact, Fact, Meta, Presence, Seen, Store};
use crate::generations;
use crate::observed::Observed;
use crate::target::{Kind, Target};
use crate::world::World;

/// Owner of an object that has one of our names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// This Wukong's.
    Us,
    /// A disk that an earlier Wukong of this name left behind.
    Retained,
    /// Going away by itself: it is being deleted, or belongs to an earlier Wukong of this name.
    Leaving,
    /// Nothing and no controller, but it has our label: a backup program restored it, or a person copied it.
    Restored,
    /// Another owner, described for people.
    Other(String),
}

impl Owner {
    /// Returns the owner of an object that cannot be retained.
    pub(crate) fn of(meta: &Meta, wukong: &ValidatedWukong) -> Self {
        let identity = &wukong.identity;
        match &meta.controller {
            _ if meta.deleting => Self::Leaving,
            Some(controller) if controller.uid == identity.uid => Self::Us,
            Some(controller) if controller.kind == "Wukong" && controller.name == identity.name => {
                Self::Leaving
            }
            Some(controller) => Self::Other(format!(
                "it belongs to {}/{}",
                controller.kind, controller.name
            )),
            None if meta.owned_hash.is_some() => {
                Self::Other("it has lost its owner, for instance by --cascade=orphan".into())
            }
            None if meta.wukong.as_deref() == Some(&identity.name) => Self::Restored,
            None => Self::Other("it was not made by the operator".into()),
        }
    }

    /// Returns the owner of an object that all Wukongs share: ours if we applied it, because the first write takes nothing
    /// over.
    fn of_shared(meta: &Meta) -> Self {
        match meta.owned_hash {
            _ if meta.deleting => Self::Leaving,
            Some(_) => Self::Us,
            None => Self::Other("it was not made by the operator".into()),
        }
    }

    /// Returns the owner of an object of a disk. A retained DataVolume is one that we applied; a claim may have our labels
    /// from CDI, which copies them from its DataVolume.
    fn of_disk(meta: &Meta, wukong: &ValidatedWukong, labels_suffice: bool) -> Self {
        match Self::of(meta, wukong) {
            Self::Other(_) | Self::Restored
                if meta.controller.is_none()
                    && (labels_suffice || meta.owned_hash.is_some())
                    && meta.wukong.as_deref() == Some(&wukong.identity.name) =>
            {
                Self::Retained
            }
            owner => owner,
        }
    }
}

/// The identity of the object of that kind and name; `None` while it is unknown, absent, or of a kind that we cannot read.
pub(crate) fn meta<'a>(
    target: &Target,
    wukong: &ValidatedWukong,
    world: &'a World,
) -> Option<&'a Meta> {
    let (namespace, name) = (&wukong.identity.namespace, &target.name);
    fn of<'a, F: Fact>(store: &'a Store<F>, namespace: &str, name: &str) -> Option<&'a Meta> {
        store.get(namespace, name).present().map(Fact::meta)
    }
    match target.kind {
        Kind::Secret => None,
        Kind::NetworkAttachmentDefinition => of(&world.nads, namespace, name),
        Kind::NodeNetworkConfigurationPolicy => of(&world.environment.node_policies, "", name),
        Kind::DataVolume => of(&world.data_volumes, namespace, name),
        Kind::PersistentVolumeClaim => of(&world.claims, namespace, name),
        Kind::VirtualMachine => of(&world.virtual_machines, namespace, name),
        Kind::VirtualMachineSnapshot => of(&world.vm_snapshots, namespace, name),
        Kind::WukongSnapshot => of(&world.wukong_snapshots, namespace, name),
    }
}

/// Whether objects of that kind are watched, and the watch has listed them.
pub(crate) fn is_watched(kind: Kind, world: &World) -> bool {
    let presence = match kind {
        Kind::Secret => return false,
        Kind::NetworkAttachmentDefinition => world.nads.presence(),
        Kind::NodeNetworkConfigurationPolicy => world.environment.node_policies.presence(),
        Kind::DataVolume => world.data_volumes.presence(),
        Kind::PersistentVolumeClaim => world.claims.presence(),
        Kind::VirtualMachine => world.virtual_machines.presence(),
        Kind::VirtualMachineSnapshot => world.vm_snapshots.presence(),
        Kind::WukongSnapshot => world.wukong_snapshots.presence(),
    };
    presence == Presence::Served
}

/// Returns the owner of that object, if it cannot be retained.
pub(crate) fn owner(target: &Target, wukong: &ValidatedWukong, world: &World) -> Option<Owner> {
    let meta = meta(target, wukong, world)?;
    Some(match target.kind {
        Kind::NodeNetworkConfigurationPolicy => Owner::of_shared(meta),
        _ => Owner::of(meta, wukong),
    })
}

/// A disk as it is in the cluster.
#[derive(Clone, Debug)]
pub(crate) struct DiskSeen<'a> {
    pub disk: &'a Disk,
    /// Name of its claim, and of its DataVolume.
    pub claim_name: String,
    /// Whether the operator may not observe DataVolumes or claims.
    pub unseen: bool,
    pub data_volume: Option<&'a DataVolumeFact>,
    pub claim: Option<&'a ClaimFact>,
    /// The input of the storage planner.
    pub existing: Existing,
    pub state: DiskState,
}

/// Whether a disk can be applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DiskState {
    /// It can be applied.
    Free,
    /// A fact is still unknown, an old object is being deleted, or the WukongSnapshot with its content is not ready.
    Wait,
    /// A foreign object has the name.
    Taken {
        /// `Kind/name`.
        object: String,
        /// Its owner.
        owner: Owner,
    },
}

impl DiskSeen<'_> {
    /// The size, as the guest sees it, behind the claim's request. A claim that the operator did not make has no such size.
    pub(crate) fn stands_for(&self) -> Option<Bytes> {
        if matches!(self.disk.source, Source::Existing(_)) {
            return None;
        }
        let claim = self.claim?;
        claim
            .guest_size
            .or_else(|| self.data_volume.and_then(|volume| volume.size))
            .or(claim.request)
    }
}

/// The disks as they are in the cluster.
pub(crate) fn disks<'a>(wukong: &'a ValidatedWukong, observed: &Observed<'a>) -> Vec<DiskSeen<'a>> {
    wukong
        .disks
        .iter()
        .map(|disk| disk_seen(disk, wukong, observed))
        .collect()
}

/// The input of the storage planner.
pub(crate) fn existing(disks: &[DiskSeen]) -> BTreeMap<String, Existing> {
    disks
        .iter()
        .map(|seen| (seen.disk.name.clone(), seen.existing.clone()))
        .collect()
}

fn disk_seen<'a>(
    disk: &'a Disk,
    wukong: &ValidatedWukong,
    observed: &Observed<'a>,
) -> DiskSeen<'a> {
    let namespace = &wukong.identity.namespace;
    let name = wukong.claim_name(disk);
    let data_volume = observed.world.data_volumes.get(namespace, &name);
    let claim = observed.world.claims.get(namespace, &name);
    if matches!(disk.source, Source::Existing(_)) {
        return existing_claim(disk, name, claim);
    }
    let unseen = data_volume == Seen::Unknown || claim == Seen::Unknown;
    let (existing, state) = match (data_volume, claim) {
        (Seen::Unknown, _) | (_, Seen::Unknown) => (Existing::Nothing, DiskState::Wait),
        (Seen::Present(volume), _) => {
            let existing = Existing::DataVolume {
                size: volume.size.unwrap_or(disk.size),
                made: generations::made(wukong, disk, volume, observed.world),
            };
            (
                existing,
                state(
                    Owner::of_disk(&volume.meta, wukong, false),
                    "DataVolume",
                    &name,
                ),
            )
        }
        // Garbage collection deletes the claim of a deleted DataVolume.
        (Seen::Absent, Seen::Present(claim))
            if claim
                .meta
                .controller
                .as_ref()
                .is_some_and(|controller| controller.kind == "DataVolume") =>
        {
            (Existing::Nothing, DiskState::Wait)
        }
        (Seen::Absent, Seen::Present(claim)) => {
            let ours = claim.meta.owned_hash.is_some();
            let existing = Existing::Claim {
                size: claim.request.unwrap_or(disk.size),
                ours,
            };
            (
                existing,
                state(
                    Owner::of_disk(&claim.meta, wukong, true),
                    "PersistentVolumeClaim",
                    &name,
                ),
            )
        }
        (Seen::Absent, Seen::Absent) => match disk.source {
            Source::WukongSnapshot { volume: None, .. } => (Existing::Nothing, DiskState::Wait),
            _ => (Existing::Nothing, DiskState::Free),
        },
    };
    DiskSeen {
        disk,
        claim_name: name,
        unseen,
        data_volume: data_volume.present(),
        claim: claim.present(),
        existing,
        state,
    }
}

/// A claim that the Wukong only uses: its owner does not matter, and neither does a DataVolume of its name.
fn existing_claim<'a>(disk: &'a Disk, name: String, claim: Seen<&'a ClaimFact>) -> DiskSeen<'a> {
    DiskSeen {
        disk,
        claim_name: name,
        unseen: claim == Seen::Unknown,
        data_volume: None,
        claim: claim.present(),
        existing: match claim.present() {
            Some(claim) => Existing::Claim {
                size: claim.request.unwrap_or_default(),
                ours: false,
            },
            None => Existing::Nothing,
        },
        state: match claim {
            Seen::Present(_) => DiskState::Free,
            Seen::Unknown | Seen::Absent => DiskState::Wait,
        },
    }
}

fn state(owner: Owner, kind: &str, name: &str) -> DiskState {
    match owner {
        Owner::Us | Owner::Retained => DiskState::Free,
        Owner::Leaving => DiskState::Wait,
        Owner::Restored | Owner::Other(_) => DiskState::Taken {
            object: format!("{kind}/{name}"),
            owner,
        },
    }
}
