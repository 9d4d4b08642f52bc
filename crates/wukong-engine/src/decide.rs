//! From what is observed to what is to be done and said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt;
use wukong_api::status::ResourceStatus;
use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason, ValidatedWukong, Wukong, WukongStatus};

use crate::children::{self, DiskSeen, DiskState, Owner};
use crate::conditions::{created, dependencies, guest, networks, running, spec, volumes};
use crate::decision::{Apply, Call, Decision, Expand, Expect, Kind, Observed, Prune, Target};
use crate::desired::{Body, DesiredSet, Surroundings, compose};
use crate::facts::{Meta, VirtualMachineFact, VirtualMachineInstanceFact};
use crate::power::{self, Wish};
use crate::status::{self, Findings};
use crate::verdict::Verdict;
use crate::world::{Presence, Seen};

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
        crate::facts::bounded(error)
    );
    let verdict = Verdict::bad(ConditionType::SpecValid, Reason::InvalidSpec, message)
        .hint("apply the manifest again with the CustomResourceDefinition that is installed now");
    findings(metadata_only, now, vec![verdict]).status()
}

fn findings(wukong: &Wukong, now: Timestamp, verdicts: Vec<Verdict>) -> Findings<'_> {
    Findings {
        verdicts,
        vm_name: None,
        node_name: None,
        networks: Vec::new(),
        volumes: Vec::new(),
        resources: Vec::new(),
        wukong,
        now,
    }
}

/// A decision to leave everything as it is, and to say what can be said.
fn without_plan(observed: &Observed, mut verdicts: Vec<Verdict>) -> Decision {
    let (namespace, name) = (
        observed.wukong.namespace().unwrap_or_default(),
        observed.wukong.name_any(),
    );
    let ours = |meta: &Meta| {
        observed
            .wukong
            .uid()
            .is_some_and(|uid| meta.is_controlled_by(&uid))
    };
    let vm = observed
        .world
        .virtual_machines
        .get(&namespace, &name)
        .present()
        .filter(|vm| ours(&vm.meta));
    let instance = observed.world.instances.get(&namespace, &name).present();
    let mut found = findings(observed.wukong, observed.now, Vec::new());
    if let Some(vm) = vm {
        let (scheduled, running) = running::verdicts(vm, instance, None);
        verdicts.extend(scheduled);
        verdicts.push(running);
        found.vm_name = Some(name);
        found.node_name = instance.and_then(|instance| instance.node.clone());
    }
    let before = observed.wukong.status.clone().unwrap_or_default();
    found.networks = before.networks;
    found.volumes = before.volumes;
    found.resources = before.resources;
    found.verdicts = verdicts;
    finish(observed, found.status(), Decision::nothing(), None)
}

/// Adds the status and what follows from it.
fn finish(
    observed: &Observed,
    status: WukongStatus,
    decision: Decision,
    wake_at: Option<Timestamp>,
) -> Decision {
    let before = observed.wukong.status.as_ref();
    Decision {
        write_status: status::write_at(before, &status, observed.memory, observed.now),
        notes: status::notes(before, &status),
        wake_at,
        status,
        ..decision
    }
}

impl Decision {
    fn nothing() -> Self {
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

/// Whose the object under the name of `body` is; `None` while it is unknown, absent, or of a kind that we cannot read.
pub(crate) fn owner(body: &Body, wukong: &ValidatedWukong, observed: &Observed) -> Option<Owner> {
    meta(&body.target, wukong, observed).map(|meta| Owner::of(meta, wukong))
}

fn meta<'a>(
    target: &Target,
    wukong: &ValidatedWukong,
    observed: &Observed<'a>,
) -> Option<&'a Meta> {
    let namespace = &wukong.identity.namespace;
    let world = observed.world;
    match target.kind {
        Kind::Secret => None,
        Kind::NetworkAttachmentDefinition => world
            .definitions
            .get(namespace, &target.name)
            .present()
            .map(|fact| &fact.meta),
        Kind::DataVolume => world
            .data_volumes
            .get(namespace, &target.name)
            .present()
            .map(|fact| &fact.meta),
        Kind::PersistentVolumeClaim => world
            .claims
            .get(namespace, &target.name)
            .present()
            .map(|fact| &fact.meta),
        Kind::VirtualMachine => world
            .virtual_machines
            .get(namespace, &target.name)
            .present()
            .map(|fact| &fact.meta),
    }
}

/// One valid Wukong beside what is known of its objects.
struct Planning<'a> {
    wukong: &'a ValidatedWukong,
    observed: &'a Observed<'a>,
    vm: Option<&'a VirtualMachineFact>,
    instance: Option<&'a VirtualMachineInstanceFact>,
    disks: Vec<DiskSeen<'a>>,
    /// The NICs that the VM gets, or the ones that it waits for.
    nics: Result<Vec<&'a Nic>, Vec<&'a Nic>>,
    wish: Wish,
    wake_at: Option<Timestamp>,
}

/// The objects to apply, as bodies.
struct Bodies {
    secret: Option<Body>,
    definitions: Vec<Body>,
    data_volumes: Vec<Body>,
    claims: Vec<Body>,
    virtual_machine: Body,
}

impl Bodies {
    fn of(set: &DesiredSet) -> Self {
        // Without `..`, so that a new kind cannot be forgotten. Node policies belong to no single Wukong.
        let DesiredSet {
            definitions,
            node_policies: _,
            data_volumes,
            claims,
            secret,
            virtual_machine,
        } = set;
        Self {
            secret: secret.as_ref().map(|secret| Body::of(Kind::Secret, secret)),
            definitions: definitions
                .iter()
                .map(|object| Body::of(Kind::NetworkAttachmentDefinition, object))
                .collect(),
            data_volumes: data_volumes
                .iter()
                .map(|object| Body::of(Kind::DataVolume, object))
                .collect(),
            claims: claims
                .iter()
                .map(|object| Body::of(Kind::PersistentVolumeClaim, object))
                .collect(),
            virtual_machine: Body::of(Kind::VirtualMachine, virtual_machine),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Body> {
        let first = self
            .secret
            .iter()
            .chain(&self.definitions)
            .chain(&self.data_volumes)
            .chain(&self.claims);
        first.chain([&self.virtual_machine])
    }
}

impl<'a> Planning<'a> {
    fn new(wukong: &'a ValidatedWukong, observed: &'a Observed<'a>) -> Self {
        let (namespace, name) = (&wukong.identity.namespace, &wukong.identity.name);
        let vm = observed
            .world
            .virtual_machines
            .get(namespace, name)
            .present();
        let vm = vm.filter(|vm| vm.meta.is_controlled_by(&wukong.identity.uid));
        let instance = vm.and_then(|_| observed.world.instances.get(namespace, name).present());
        let multus = observed.world.definitions.presence() != Presence::Missing;
        Self {
            vm,
            instance,
            disks: children::disks(wukong, observed),
            nics: wukong.attached_nics(multus),
            wish: Wish::of(wukong),
            wake_at: None,
            wukong,
            observed,
        }
    }

    fn decision(mut self) -> Decision {
        let power = self.wish.power(self.vm, self.instance);
        let nics: Vec<&Nic> = self.nics.clone().unwrap_or_default();
        let set = compose(
            self.wukong,
            &Surroundings {
                nics: nics.clone(),
                cdi: self.observed.world.data_volumes.presence() != Presence::Missing,
                existing: children::existing(&self.disks),
                run_strategy: power.run_strategy,
                power_wish: power.annotation.clone(),
            },
        );
        let bodies = Bodies::of(&set);
        let all: Vec<&Body> = bodies.all().collect();
        let spec_verdict = spec::immutable(&self.disks, &bodies.data_volumes)
            .or_else(|| spec::name_conflict(self.wukong, &self.disks, &all, self.observed))
            .unwrap_or_else(spec::valid);
        let valid = spec_verdict.reason == Reason::Valid;

        let mut decision = Decision::nothing();
        let pending: Vec<&Body> = all
            .iter()
            .copied()
            .filter(|body| !self.is_settled(body))
            .collect();
        // A manifest that cannot be carried out changes nothing: children stay as they are.
        if valid {
            self.plan_applies(&pending, power.repeats_observed, &mut decision);
        }
        let refused = self.plan_growth(valid, &mut decision);
        if valid {
            self.plan_calls(power.call, &mut decision);
            self.plan_prunes(&bodies, &pending, &mut decision);
        }

        let verdicts = self.verdicts(spec_verdict, &nics, &pending, &refused);
        let mut found = findings(self.observed.wukong, self.observed.now, verdicts);
        found.vm_name = self.vm.map(|vm| vm.meta.name.clone());
        found.node_name = self.instance.and_then(|instance| instance.node.clone());
        found.networks = status::networks(self.wukong, &nics, self.instance);
        found.volumes = status::volumes(self.wukong, &self.disks);
        found.resources = self.resources(&all, &pending);
        finish(self.observed, found.status(), decision, self.wake_at)
    }

    /// Whether the object is stored as we want it.
    fn is_settled(&self, body: &Body) -> bool {
        let applied = self
            .observed
            .memory
            .applied
            .get(&body.target)
            .filter(|applied| applied.sent == body.hash);
        if body.target.kind == Kind::Secret {
            let noted = self.vm.and_then(|vm| vm.cloud_init_hash.as_deref());
            return applied.is_some() || noted == Some(&body.hash);
        }
        let Some(stored) = meta(&body.target, self.wukong, self.observed)
            .and_then(|meta| meta.owned_hash.as_deref())
        else {
            return false;
        };
        stored == body.hash || applied.is_some_and(|applied| applied.stored == stored)
    }

    fn plan_applies(&mut self, pending: &[&Body], repeats_observed: bool, decision: &mut Decision) {
        for body in pending {
            if body.target.kind != Kind::VirtualMachine && self.may_apply(body) {
                let expect = self.expect(body, false);
                decision.apply.push(apply(body, expect));
            }
        }
        let vm = pending
            .iter()
            .find(|body| body.target.kind == Kind::VirtualMachine);
        if let Some(body) = vm
            && self.vm_waits_for().is_none()
            && self.may_apply(body)
        {
            decision.apply_vm = Some(apply(body, self.expect(body, repeats_observed)));
        }
    }

    /// Whether the time for this body has come: its kind is served, nobody else's object has its name, it was not
    /// refused a moment ago, and nobody fights over it.
    fn may_apply(&mut self, body: &Body) -> bool {
        let world = self.observed.world;
        let presence = match body.target.kind {
            Kind::Secret | Kind::PersistentVolumeClaim => Presence::Served,
            Kind::NetworkAttachmentDefinition => world.definitions.presence(),
            Kind::DataVolume => world.data_volumes.presence(),
            Kind::VirtualMachine => world.virtual_machines.presence(),
        };
        if presence != Presence::Served {
            return false;
        }
        let free = match body.target.kind {
            Kind::DataVolume | Kind::PersistentVolumeClaim => {
                let seen = self
                    .disks
                    .iter()
                    .find(|seen| self.wukong.claim_name(seen.disk) == body.target.name);
                seen.is_some_and(|seen| seen.state == DiskState::Free)
            }
            _ => owner(body, self.wukong, self.observed).is_none_or(|owner| owner == Owner::Us),
        };
        free && !self.is_held_back(&body.target, &body.hash)
    }

    fn is_held_back(&mut self, target: &Target, hash: &str) -> bool {
        let memory = self.observed.memory;
        let refused = memory
            .failures
            .get(target)
            .filter(|failure| failure.hash == hash)
            .map(|failure| failure.retry_at);
        let until = refused
            .into_iter()
            .chain(memory.contested_until(target, hash))
            .max();
        match until.filter(|until| *until > self.observed.now) {
            Some(until) => {
                self.wake(until);
                true
            }
            None => false,
        }
    }

    fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    fn expect(&self, body: &Body, repeats_observed: bool) -> Expect {
        if body.target.kind == Kind::Secret {
            return Expect::AbsentOrControlledBy(self.wukong.identity.uid.clone());
        }
        match meta(&body.target, self.wukong, self.observed) {
            Some(meta) => Expect::Present {
                uid: meta.uid.clone(),
                resource_version: repeats_observed.then(|| meta.resource_version.clone()),
            },
            None => Expect::Absent,
        }
    }

    /// What the VM waits for before it is applied, in words. Its claims have to exist, but not to be bound: KubeVirt
    /// shows false errors for a claim that is missing, and a class may bind only when the VM starts.
    fn vm_waits_for(&self) -> Option<String> {
        if self.nics.is_err() {
            return Some("The VirtualMachine waits for Multus".into());
        }
        let has = |disk: &str| {
            self.vm
                .is_some_and(|vm| vm.disks.iter().any(|known| known == disk))
        };
        let missing: Vec<String> = self
            .disks
            .iter()
            .filter(|seen| {
                !has(&seen.disk.name)
                    && seen
                        .claim
                        .is_none_or(|claim| claim.meta.deleting || seen.state != DiskState::Free)
            })
            .map(|seen| self.wukong.claim_name(seen.disk))
            .collect();
        if !missing.is_empty() {
            return Some(format!(
                "The VirtualMachine waits for its claims {}",
                missing.join(", ")
            ));
        }
        let nics = self.nics.as_deref().unwrap_or_default();
        if self.vm.is_none()
            && dependencies::missing_definition(self.wukong, nics, self.observed).is_some()
        {
            return Some("The VirtualMachine waits for its networks".into());
        }
        None
    }

    /// Claims to grow, and those that cannot.
    fn plan_growth(&mut self, valid: bool, decision: &mut Decision) -> Vec<volumes::Refused> {
        let mut refused = Vec::new();
        for seen in self.disks.clone() {
            let (Some(claim), Some(stands_for)) = (seen.claim, seen.stands_for()) else {
                continue;
            };
            let Some(request) = claim.request.filter(|_| seen.state == DiskState::Free) else {
                continue;
            };
            let Some(growth) =
                wukong_storage::expansion(self.wukong, seen.disk, request, stands_for)
            else {
                continue;
            };
            let target = Target {
                kind: Kind::PersistentVolumeClaim,
                name: growth.claim.clone(),
            };
            let class = claim.class.as_deref();
            let known = class
                .and_then(|class| self.observed.world.storage_classes.get("", class).present());
            if known.is_some_and(|known| !known.expandable) {
                let class = class.unwrap_or_default();
                refused.push(volumes::Refused {
                    disk: seen.disk.name.clone(),
                    why: format!("StorageClass {class} does not allow volumes to expand"),
                });
                continue;
            }
            let hash = growth.to.to_string();
            if let Some(failure) = self
                .observed
                .memory
                .failures
                .get(&target)
                .filter(|failure| failure.hash == hash)
            {
                refused.push(volumes::Refused {
                    disk: seen.disk.name.clone(),
                    why: failure.message.clone(),
                });
            }
            // Only a bound claim can grow; the import goes first.
            if valid && claim.phase == "Bound" && !self.is_held_back(&target, &hash) {
                decision.expand.push(Expand {
                    target,
                    uid: claim.meta.uid.clone(),
                    to: growth.to,
                    guest_size: growth.guest_size,
                });
            }
        }
        refused
    }

    fn plan_calls(&mut self, power_call: Option<Call>, decision: &mut Decision) {
        let wanted = power_call.or_else(|| power::restart(self.wukong, self.vm, self.instance));
        if let Some(call) = wanted {
            match power::not_twice(
                call,
                self.observed.memory.called.as_ref(),
                self.observed.now,
            ) {
                Ok(call) => decision.calls.push(call),
                Err(again) => self.wake(again),
            }
        }
    }

    /// NetworkAttachmentDefinitions of ours that are no longer asked for, once the VM no longer names them.
    fn plan_prunes(&self, bodies: &Bodies, pending: &[&Body], decision: &mut Decision) {
        let vm_pending = pending
            .iter()
            .any(|body| body.target.kind == Kind::VirtualMachine);
        if vm_pending || self.vm.is_none() {
            return;
        }
        let ours = self
            .observed
            .world
            .definitions
            .in_namespace(&self.wukong.identity.namespace)
            .filter(|fact| {
                fact.meta.is_controlled_by(&self.wukong.identity.uid) && !fact.meta.deleting
            });
        decision.prune.extend(
            ours.filter(|fact| {
                !bodies
                    .definitions
                    .iter()
                    .any(|body| body.target.name == fact.meta.name)
            })
            .map(|fact| Prune {
                target: Target {
                    kind: Kind::NetworkAttachmentDefinition,
                    name: fact.meta.name.clone(),
                },
                uid: fact.meta.uid.clone(),
                resource_version: fact.meta.resource_version.clone(),
            }),
        );
    }

    /// The verdicts in causal order.
    fn verdicts(
        &self,
        spec: Verdict,
        nics: &[&Nic],
        pending: &[&Body],
        refused: &[volumes::Refused],
    ) -> Vec<Verdict> {
        let mut verdicts = vec![
            spec,
            dependencies::verdict(self.wukong, nics, &self.disks, self.observed),
        ];
        verdicts.extend(self.network_verdict(pending));
        if !self.disks.is_empty() {
            let before = condition_message(self.observed.wukong, ConditionType::VolumesBound);
            verdicts.push(volumes::verdict(
                &self.disks,
                refused,
                self.observed.world,
                self.observed.memory,
                before,
            ));
        }
        let contested = pending.iter().find(|body| {
            let until = self
                .observed
                .memory
                .contested_until(&body.target, &body.hash);
            until.is_some_and(|until| until > self.observed.now)
        });
        let contested = contested.map(|body| {
            let manager = meta(&body.target, self.wukong, self.observed)
                .and_then(|meta| meta.other_manager.as_deref());
            (&body.target, manager)
        });
        let waits_for = self
            .vm_waits_for()
            .unwrap_or_else(|| "The VirtualMachine is being written".into());
        let vm_store = self
            .observed
            .world
            .virtual_machines
            .get(&self.wukong.identity.namespace, &self.wukong.identity.name);
        verdicts.push(match vm_store {
            Seen::Unknown => {
                Verdict::unknown(ConditionType::Created, "Not heard of VirtualMachines yet")
            }
            _ => created::verdict(self.vm, self.observed, contested, &waits_for),
        });
        if let Some(vm) = self.vm {
            let (scheduled, running) = running::verdicts(vm, self.instance, Some(&self.wish));
            verdicts.extend(scheduled);
            let runs = running.reason == Reason::Running || running.reason == Reason::Migrating;
            verdicts.push(running);
            if let Some(instance) = self.instance.filter(|_| runs) {
                verdicts.push(guest::ready(instance, nics));
                verdicts.push(guest::configuration(vm));
            }
        }
        verdicts
    }

    fn network_verdict(&self, pending: &[&Body]) -> Option<Verdict> {
        if self.wukong.nics.is_empty() {
            return None;
        }
        let all: Vec<&Nic> = self.wukong.nics.iter().collect();
        Some(match &self.nics {
            Err(waiting) => networks::waiting(waiting),
            Ok(nics) if nics.is_empty() => networks::degraded(&all),
            Ok(_) => {
                let definitions: Vec<&Body> = pending
                    .iter()
                    .copied()
                    .filter(|body| body.target.kind == Kind::NetworkAttachmentDefinition)
                    .collect();
                networks::verdict(&definitions, self.observed.memory)
            }
        })
    }

    /// The objects that are stored as we want them, and those that were before.
    fn resources(&self, all: &[&Body], pending: &[&Body]) -> Vec<ResourceStatus> {
        let before: BTreeMap<(&str, &str), &str> = self
            .observed
            .wukong
            .status
            .iter()
            .flat_map(|status| &status.resources)
            .map(|resource| {
                (
                    (resource.kind.as_str(), resource.name.as_str()),
                    resource.hash.as_str(),
                )
            })
            .collect();
        let entry = |body: &&Body| {
            let Target { kind, name } = &body.target;
            let hash = match pending.contains(body) {
                true => (*before.get(&(kind.as_ref(), name.as_str()))?).to_owned(),
                false => body.hash.clone(),
            };
            Some(ResourceStatus {
                kind: kind.to_string(),
                name: name.clone(),
                hash,
            })
        };
        all.iter().filter_map(entry).collect()
    }
}

fn apply(body: &Body, expect: Expect) -> Apply {
    Apply {
        target: body.target.clone(),
        expect,
        body: body.object.clone(),
        hash: body.hash.clone(),
    }
}

fn condition_message(wukong: &Wukong, type_: ConditionType) -> Option<&str> {
    let conditions = &wukong.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|condition| condition.type_ == type_.as_ref())
        .map(|condition| condition.message.as_str())
}
