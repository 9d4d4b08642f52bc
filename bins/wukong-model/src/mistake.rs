//! Deliberate mistakes, to show that the model finds them: each changes what the engine knows, or what it decides.

use serde_json::{Value, json};
use wukong_api::Wukong;
use wukong_engine::facts::{Controller, Fact, Meta};
use wukong_engine::{Call, Expect, Kind, Memory, Prune, Store, Target, World as Facts};

use crate::request::{Act, Request, Wave};

/// A mistake that an engine could make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mistake {
    EarlierOwnerIsOurs,
    ForeignIsOurs,
    LeavingClaimIsOverlooked,
    RetainedIsForeign,
    ForgetsWhatItApplied,
    CreatesOverForeign,
    WritesWithoutUid,
    PrunesWithoutUid,
    PrunesForeignNetworks,
    PrunesClaims,
    NeverPrunes,
    NeverGrows,
    NeverRepairs,
    NeverWritesStatus,
    AlwaysWritesStatus,
    VmWithoutOwner,
    NetworkWithoutOwner,
    RetainedDiskWithOwner,
    DiskWithoutLabels,
    SecondVmForNewSpec,
    VmIsDeletedForNewSpec,
    NeverWritesSecret,
    SecretInOtherNamespace,
    RestartsForever,
    GivesUpAfterFailure,
    ForgetsDisk,
    DecidesWithoutTerm,
    TakesOverBeforeTermEnds,
}

impl Mistake {
    pub const ALL: [Self; 28] = [
        Self::EarlierOwnerIsOurs,
        Self::ForeignIsOurs,
        Self::LeavingClaimIsOverlooked,
        Self::RetainedIsForeign,
        Self::ForgetsWhatItApplied,
        Self::CreatesOverForeign,
        Self::WritesWithoutUid,
        Self::PrunesWithoutUid,
        Self::PrunesForeignNetworks,
        Self::PrunesClaims,
        Self::NeverPrunes,
        Self::NeverGrows,
        Self::NeverRepairs,
        Self::NeverWritesStatus,
        Self::AlwaysWritesStatus,
        Self::VmWithoutOwner,
        Self::NetworkWithoutOwner,
        Self::RetainedDiskWithOwner,
        Self::DiskWithoutLabels,
        Self::SecondVmForNewSpec,
        Self::VmIsDeletedForNewSpec,
        Self::NeverWritesSecret,
        Self::SecretInOtherNamespace,
        Self::RestartsForever,
        Self::GivesUpAfterFailure,
        Self::ForgetsDisk,
        Self::DecidesWithoutTerm,
        Self::TakesOverBeforeTermEnds,
    ];

    /// What the engine does wrong, for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::EarlierOwnerIsOurs => {
                "takes objects of an earlier Wukong of the name for its own"
            }
            Self::ForeignIsOurs => "takes objects without a controller for its own",
            Self::LeavingClaimIsOverlooked => "overlooks the claim of a deleted DataVolume",
            Self::RetainedIsForeign => "does not recognise a retained disk",
            Self::ForgetsWhatItApplied => "forgets what it applied",
            Self::CreatesOverForeign => "creates without the precondition that the name is free",
            Self::WritesWithoutUid => "applies without the uid as a precondition",
            Self::PrunesWithoutUid => "deletes a network without the uid as a precondition",
            Self::PrunesForeignNetworks => "deletes networks of others that the spec does not name",
            Self::PrunesClaims => "deletes claims that the spec no longer names",
            Self::NeverPrunes => "never deletes a network",
            Self::NeverGrows => "never grows a claim",
            Self::NeverRepairs => "never applies an object again",
            Self::NeverWritesStatus => "never writes the status",
            Self::AlwaysWritesStatus => "writes the status though it is up to date",
            Self::VmWithoutOwner => "makes the VM without an owner",
            Self::NetworkWithoutOwner => "makes networks without an owner",
            Self::RetainedDiskWithOwner => "makes the Wukong the owner of a retained disk",
            Self::DiskWithoutLabels => "makes disks without labels",
            Self::SecondVmForNewSpec => "makes a second VM for a changed spec",
            Self::VmIsDeletedForNewSpec => "deletes the VM to make it again for a changed spec",
            Self::NeverWritesSecret => "never writes the cloud-init Secret",
            Self::SecretInOtherNamespace => "writes the Secret in another namespace",
            Self::RestartsForever => "restarts the VM again and again",
            Self::GivesUpAfterFailure => "gives up after a failed write",
            Self::ForgetsDisk => "makes only the first disk",
            Self::DecidesWithoutTerm => "writes after its term as the leader",
            Self::TakesOverBeforeTermEnds => "takes the Lease before the term of the leader ends",
        }
    }

    /// Changes what the engine knows.
    pub fn before(self, wukong: &Wukong, facts: &mut Facts, memory: &mut Memory) {
        let uid = wukong.metadata.uid.clone().unwrap_or_default();
        let name = wukong.metadata.name.clone().unwrap_or_default();
        let ours = Controller {
            kind: "Wukong".into(),
            name: name.into(),
            uid: uid.into(),
        };
        match self {
            Self::EarlierOwnerIsOurs => change_all(facts, |meta| {
                let earlier = |it: &Controller| it.kind == ours.kind && it.name == ours.name;
                if meta.controller.as_ref().is_some_and(earlier) {
                    meta.controller = Some(ours.clone());
                }
            }),
            Self::ForeignIsOurs => change_all(facts, |meta| {
                meta.controller.get_or_insert_with(|| ours.clone());
            }),
            Self::LeavingClaimIsOverlooked => {
                let volumes = facts.data_volumes.clone();
                let mut claims: Vec<_> = facts.claims.iter().cloned().collect();
                claims.retain(|claim| {
                    let meta = &claim.meta;
                    volumes.get(&meta.namespace, &meta.name).present().is_some()
                });
                facts.claims.replace(claims);
            }
            Self::RetainedIsForeign => change_all(facts, |meta| {
                if meta.controller.is_none() {
                    meta.wukong = None;
                }
            }),
            Self::ForgetsWhatItApplied => memory.applied.clear(),
            _ => {}
        }
    }

    /// Changes what the engine decided.
    pub fn after(
        self,
        wukong: &Wukong,
        facts: &Facts,
        memory: &Memory,
        requests: &mut Vec<Request>,
    ) {
        let changed = wukong.metadata.generation > Some(1);
        match self {
            Self::CreatesOverForeign => for_applies(requests, |_, expect, _| {
                if *expect == Some(Expect::Absent) {
                    *expect = None;
                }
            }),
            Self::WritesWithoutUid => for_applies(requests, |_, expect, _| {
                if matches!(expect, Some(Expect::Present { .. })) {
                    *expect = None;
                }
            }),
            Self::PrunesWithoutUid => {
                for request in requests {
                    if let Act::Prune { exact, .. } = &mut request.act {
                        *exact = false;
                    }
                }
            }
            Self::PrunesForeignNetworks => {
                let foreign = facts
                    .nads
                    .iter()
                    .filter(|nad| nad.meta.controller.is_none());
                let metas: Vec<&Meta> = foreign.map(|nad| &nad.meta).collect();
                requests.extend(
                    metas
                        .into_iter()
                        .map(|meta| prune(Kind::NetworkAttachmentDefinition, meta)),
                );
            }
            Self::PrunesClaims => {
                let wanted = |meta: &Meta| {
                    let mut disks = wukong.spec.disks.iter();
                    disks.any(|disk| meta.name.ends_with(&format!(".{}", disk.name)))
                };
                let left = facts.claims.iter().filter(|claim| !wanted(&claim.meta));
                let left: Vec<&Meta> = left.map(|claim| &claim.meta).collect();
                requests.extend(
                    left.into_iter()
                        .map(|it| prune(Kind::PersistentVolumeClaim, it)),
                );
            }
            Self::NeverPrunes => requests.retain(|it| it.wave != Wave::Prunes),
            Self::NeverGrows => requests.retain(|it| it.wave != Wave::Growth),
            Self::NeverRepairs => requests.retain(|it| {
                let again =
                    |expect: &Option<Expect>| matches!(expect, Some(Expect::Present { .. }));
                !matches!(&it.act, Act::Apply { expect, .. } if again(expect))
            }),
            Self::NeverWritesStatus => requests.retain(|it| it.wave != Wave::Status),
            Self::AlwaysWritesStatus if requests.is_empty() => {
                let status = serde_json::to_value(&wukong.status).unwrap();
                requests.push(Request {
                    wave: Wave::Status,
                    act: Act::Status(status),
                });
            }
            Self::VmWithoutOwner => strip(requests, Kind::VirtualMachine, "ownerReferences"),
            Self::NetworkWithoutOwner => {
                strip(
                    requests,
                    Kind::NetworkAttachmentDefinition,
                    "ownerReferences",
                );
            }
            Self::DiskWithoutLabels => strip(requests, Kind::DataVolume, "labels"),
            Self::RetainedDiskWithOwner => for_applies(requests, |target, _, body| {
                if target.kind == Kind::DataVolume {
                    body["metadata"]["ownerReferences"] = json!([{
                        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong", "controller": true,
                        "name": wukong.metadata.name, "uid": wukong.metadata.uid,
                    }]);
                }
            }),
            Self::SecondVmForNewSpec if changed => for_applies(requests, |target, expect, body| {
                if target.kind == Kind::VirtualMachine {
                    target.name.push_str("-2");
                    body["metadata"]["name"] = json!(target.name);
                    *expect = None;
                }
            }),
            Self::VmIsDeletedForNewSpec if changed => {
                let vm = facts.virtual_machines.iter().next();
                let vm = vm.filter(|_| requests.iter().any(|it| it.wave == Wave::Vm));
                requests.extend(vm.map(|vm| prune(Kind::VirtualMachine, &vm.meta)));
            }
            Self::NeverWritesSecret => retain_applies(requests, |it| it.kind != Kind::Secret),
            Self::SecretInOtherNamespace => for_applies(requests, |target, _, body| {
                if target.kind == Kind::Secret {
                    body["metadata"]["namespace"] = json!("kube-system");
                }
            }),
            Self::RestartsForever if facts.virtual_machines.iter().next().is_some() => {
                requests.push(Request {
                    wave: Wave::Calls,
                    act: Act::Call(Call::Restart),
                });
            }
            Self::GivesUpAfterFailure => {
                retain_applies(requests, |it| !memory.failures.contains_key(it));
            }
            Self::ForgetsDisk => retain_applies(requests, |it| !it.name.ends_with(".data")),
            _ => {}
        }
    }
}

fn change_all(facts: &mut Facts, change: impl Fn(&mut Meta)) {
    fn of<F: Fact>(store: &mut Store<F>, change: impl Fn(&mut F)) {
        if store.presence() == wukong_engine::Presence::Served {
            let mut all: Vec<F> = store.iter().cloned().collect();
            all.iter_mut().for_each(change);
            store.replace(all);
        }
    }
    of(&mut facts.virtual_machines, |fact| change(&mut fact.meta));
    of(&mut facts.data_volumes, |fact| change(&mut fact.meta));
    of(&mut facts.claims, |fact| change(&mut fact.meta));
    of(&mut facts.nads, |fact| change(&mut fact.meta));
}

fn for_applies(
    requests: &mut [Request],
    mut change: impl FnMut(&mut Target, &mut Option<Expect>, &mut Value),
) {
    for request in requests {
        if let Act::Apply {
            target,
            expect,
            body,
            ..
        } = &mut request.act
        {
            change(target, expect, body);
        }
    }
}

fn retain_applies(requests: &mut Vec<Request>, keep: impl Fn(&Target) -> bool) {
    requests.retain(|request| match &request.act {
        Act::Apply { target, .. } => keep(target),
        _ => true,
    });
}

fn strip(requests: &mut [Request], kind: Kind, field: &str) {
    for_applies(requests, |target, _, body| {
        if target.kind == kind {
            let metadata = body["metadata"].as_object_mut().unwrap();
            metadata.remove(field);
        }
    });
}

fn prune(kind: Kind, meta: &Meta) -> Request {
    Request {
        wave: Wave::Prunes,
        act: Act::Prune {
            prune: Prune {
                target: Target {
                    kind,
                    name: meta.name.to_string(),
                },
                uid: meta.uid.to_string(),
                resource_version: meta.resource_version.to_string(),
            },
            exact: true,
        },
    }
}
