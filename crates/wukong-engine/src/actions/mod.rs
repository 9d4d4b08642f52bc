//! Decides the actions for one valid Wukong.

mod secret;

use jiff::Timestamp;
use wukong_api::spec::RunStrategy;
use wukong_protection::restore::Step;

use crate::call::{self, Call};
use crate::decision::{Apply, Decision, Expand, Expect, Prune};
use crate::desired::{Bodies, Body, DesiredSet, Surroundings, compose};
use crate::environment::bridges::Bridge;
use crate::facts::{Presence, Seen, Text};
use crate::held::{self, Held};
use crate::initial;
use crate::observed::{Applied, FailureKind};
use crate::ownership::{self, DiskSeen, DiskState, Owner};
use crate::power::Power;
use crate::restoring;
use crate::situation::Situation;
use crate::status::Report;
use crate::status::conditions::{dependencies, spec, volumes};
use crate::status::outcome::finish;
use crate::status::pending::Pending;
use crate::target::{Kind, Target};

impl<'a> Situation<'a> {
    pub(crate) fn decision(mut self) -> Decision {
        let power = self.power_now();
        let set = compose(
            self.wukong,
            &Surroundings {
                nics: self.nics.clone().unwrap_or_default(),
                leaving: self.leaving_nics(),
                cdi: self.observed.world.data_volumes.presence() != Presence::Missing,
                existing: ownership::existing(&self.disks),
                hot_plugged: self.hot_plugged(),
                run_strategy: power.run_strategy,
                power_wish: power.annotation.clone(),
                left_secret: self.left_secret(),
                restores: restoring::noted(self.vm, self.restoring.as_ref()),
            },
        );
        let bodies = Bodies::of(&set);
        let all: Vec<&Body> = bodies.all().collect();
        let pending: Vec<&Body> = all
            .iter()
            .copied()
            .filter(|body| !self.is_settled(body))
            .collect();
        self.wake_for_snapshots();
        let refusal = spec::immutable(&self.disks, &bodies.data_volumes)
            .or_else(|| spec::below_snapshot(self.wukong, &self.disks, self.observed.world))
            .or_else(|| spec::name_conflict(self.wukong, &self.disks, &all, self.observed.world));

        let mut decision = Decision {
            in_place: all.len() - pending.len(),
            ..Decision::nothing()
        };
        let may_grow = refusal.is_none() && self.operation().is_none();
        let growth_refused = self.plan_growth(may_grow, &mut decision);
        let attached_by_hand = self.attached_by_hand(&set);
        let lacking = Pending::of(&self, &bodies, &pending);
        let wanted_call = power.call.or(lacking.restart);
        let mut vm_waits_for = None;
        // An invalid spec changes nothing: the children stay as they are.
        if refusal.is_none() && self.operation().is_none() {
            self.plan_first_wave(&pending, &mut decision);
            vm_waits_for = self.vm_waits_for(&pending, &decision.apply);
            if vm_waits_for.is_none() && attached_by_hand.is_empty() {
                self.plan_vm(&pending, power.repeats_observed, &mut decision);
                self.plan_secret_of_new_vm(&bodies, &mut decision);
            }
            self.plan_new_generations(&mut decision);
            self.plan_call(wanted_call, &mut decision);
            // The operator deletes an object that the spec no longer requires once the VM no longer names it.
            let vm_pending = pending
                .iter()
                .any(|body| body.target.kind == Kind::VirtualMachine);
            if self.vm.is_some() && !vm_pending {
                self.plan_prunes(&bodies, &mut decision);
                if set.secret.is_none() {
                    self.plan_emptying(&mut decision);
                }
            }
        }
        decision.wake_at = self.wake_at;
        let report = Report {
            situation: &self,
            all: &all,
            pending: &pending,
            refusal,
            growth_refused: &growth_refused,
            attached_by_hand: &attached_by_hand,
            vm_waits_for,
            wanted_call,
            lacking: &lacking,
        };
        let (findings, reported) = report.findings();
        finish(self.observed, findings, reported, decision)
    }

    /// Wakes for the VolumeSnapshots of new disks.
    fn wake_for_snapshots(&mut self) {
        let (world, now) = (self.observed.world, self.observed.now);
        let disks = self.wukong.disks.iter();
        let problems = disks.filter_map(|disk| initial::problem(self.wukong, disk, world));
        if let Some(at) = problems.filter_map(|it| initial::again(&it, now)).min() {
            self.wake(at);
        }
    }

    /// The writes for the VM's power. During a restore that stopped it, the VM stays off. A write that changes the disks must not
    /// meet a VM that a user starts at the same time.
    fn power_now(&self) -> Power {
        let power = self.power.power(self.vm, self.instance);
        let Some(restoring) = &self.restoring else {
            return power;
        };
        let held = self.vm.is_some_and(|vm| Held::of(vm).is_some());
        let note = || self.vm.map(held::note).unwrap_or_default();
        match restoring.step() {
            Some(Step::Stop | Step::WaitForStop) if restoring.spec.stop == Some(true) => Power {
                run_strategy: RunStrategy::Halted,
                repeats_observed: false,
                annotation: note(),
                call: None,
            },
            Some(Step::Switch) if held => Power {
                run_strategy: RunStrategy::Halted,
                repeats_observed: true,
                annotation: match restoring.spec.start {
                    Some(false) => self.power.annotation(),
                    _ => note(),
                },
                call: None,
            },
            Some(Step::Switch) => Power {
                repeats_observed: true,
                call: None,
                ..power
            },
            _ => power,
        }
    }

    /// Plans the claims that a restore makes.
    fn plan_new_generations(&mut self, decision: &mut Decision) {
        let Some(restoring) = &self.restoring else {
            return;
        };
        let world = self.observed.world;
        for body in restoring.missing(self.wukong) {
            let served = world.data_volumes.presence() == Presence::Served;
            if served && !self.is_held_back(&body.target, &body.hash) {
                decision.apply.push(Apply {
                    target: body.target,
                    expect: Expect::Absent,
                    body: body.object,
                    hash: body.hash,
                });
            }
        }
    }

    /// A snapshot or restore of the VM that is in progress. The operator holds its writes until it has ended: KubeVirt
    /// rejects most of them, and a claim that a restore has deleted must not be created again meanwhile.
    fn operation(&self) -> Option<&str> {
        self.vm?.operation.as_deref()
    }

    /// Whether the object is stored as we want it.
    fn is_settled(&self, body: &Body) -> bool {
        if body.target.kind == Kind::Secret {
            return self.secret_hash(&body.target) == Some(&body.hash);
        }
        let applied = self.observed.memory.applied.get(&body.target);
        let same = |applied: &&Applied| applied.sent == body.hash;
        let Some(stored) = ownership::meta(&body.target, self.wukong, self.observed.world)
            .and_then(|meta| meta.owned_hash.as_deref())
        else {
            return false;
        };
        stored == body.hash
            || applied
                .filter(same)
                .is_some_and(|applied| applied.stored == stored)
    }

    /// Whether the object exists and is ours.
    fn is_there(&self, target: &Target) -> bool {
        ownership::owner(target, self.wukong, self.observed.world) == Some(Owner::Us)
    }

    /// Names of disks that were attached to the VM by hand.
    fn attached_by_hand(&self, set: &DesiredSet) -> Vec<&'a str> {
        let planned = &set.virtual_machine.spec.template.spec.domain.devices.disks;
        let vm = self.vm.filter(|vm| vm.disks_by_hand);
        vm.into_iter()
            .flat_map(|vm| &vm.disks)
            .map(Text::as_str)
            .filter(|name| !planned.iter().any(|disk| disk.name == *name))
            .collect()
    }

    fn plan_first_wave(&mut self, pending: &[&Body], decision: &mut Decision) {
        for body in pending {
            if body.target.kind != Kind::VirtualMachine && self.may_apply(body) {
                decision.apply.push(self.apply(body, false));
            }
        }
    }

    fn plan_vm(&mut self, pending: &[&Body], repeats_observed: bool, decision: &mut Decision) {
        let vm = pending
            .iter()
            .find(|body| body.target.kind == Kind::VirtualMachine);
        if let Some(body) = vm
            && self.may_apply(body)
        {
            decision.apply_vm = Some(self.apply(body, repeats_observed));
        }
    }

    /// Whether this body may be applied now: the API server serves its kind, no foreign object has its name, and no
    /// back-off after a rejection or a conflict with another writer is running.
    fn may_apply(&mut self, body: &Body) -> bool {
        let world = self.observed.world;
        let served = match body.target.kind {
            Kind::Secret | Kind::PersistentVolumeClaim => true,
            Kind::NetworkAttachmentDefinition => world.nads.presence() == Presence::Served,
            Kind::NodeNetworkConfigurationPolicy => self.may_touch_nodes(&body.target),
            Kind::DataVolume => world.data_volumes.presence() == Presence::Served,
            Kind::VirtualMachine => world.virtual_machines.presence() == Presence::Served,
            Kind::VirtualMachineSnapshot => world.vm_snapshots.presence() == Presence::Served,
            Kind::WukongSnapshot => world.wukong_snapshots.presence() == Presence::Served,
        };
        let free = if body.target.kind.is_of_disk() {
            self.disks
                .iter()
                .any(|seen| seen.claim_name == body.target.name && seen.state == DiskState::Free)
        } else {
            ownership::owner(&body.target, self.wukong, world)
                .is_none_or(|owner| owner == Owner::Us)
        };
        served && free && !self.is_held_back(&body.target, &body.hash)
    }

    /// Whether the bridge may be made: no node is cut off, and the bridge does not exist with another configuration.
    fn may_touch_nodes(&self, policy: &Target) -> bool {
        let environment = &self.observed.world.environment;
        let bridge = self.bridges.iter().find(|it| it.body.target == *policy);
        bridge.is_some_and(|bridge| bridge.may_be_made(environment))
    }

    fn is_held_back(&mut self, target: &Target, hash: &str) -> bool {
        let memory = self.observed.memory;
        let refused = memory.failure(target, hash).map(|failure| failure.retry_at);
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

    fn apply(&self, body: &Body, repeats_observed: bool) -> Apply {
        let expect = match ownership::meta(&body.target, self.wukong, self.observed.world) {
            _ if self.is_taken(&body.target) => Expect::Absent,
            _ if body.target.kind == Kind::Secret => {
                Expect::AbsentOrControlledBy(self.wukong.identity.uid.clone())
            }
            Some(meta) => Expect::Present {
                uid: meta.uid.to_string(),
                resource_version: repeats_observed.then(|| meta.resource_version.to_string()),
            },
            None => Expect::Absent,
        };
        Apply {
            target: body.target.clone(),
            expect,
            body: body.object.clone(),
            hash: body.hash.clone(),
        }
    }

    /// Returns what the VM waits for before it is applied. Its claims have to exist, but not to be bound: KubeVirt shows
    /// false errors for a missing claim, and a class may bind only when the VM starts. `applying` is what is applied just
    /// before the VM.
    fn vm_waits_for(&self, pending: &[&Body], applying: &[Apply]) -> Option<String> {
        if self.nics.is_err() {
            return Some("The VirtualMachine waits for Multus".into());
        }
        if self.vm.is_none() && self.taken.is_some() {
            return Some("The VirtualMachine waits for addresses of its own".into());
        }
        let world = self.observed.world;
        if ownership::owner(&self.vm_target(), self.wukong, world) == Some(Owner::Leaving) {
            return Some("The VirtualMachine waits for the one before it to go".into());
        }
        let has = |disk: &str| {
            self.vm
                .is_some_and(|vm| vm.disks.iter().any(|known| known == disk))
        };
        let usable = |seen: &DiskSeen| {
            seen.state == DiskState::Free && seen.claim.is_some_and(|claim| !claim.meta.deleting)
        };
        let missing: Vec<&str> = self
            .disks
            .iter()
            .filter(|seen| !has(&seen.disk.name) && !usable(seen))
            .map(|seen| seen.claim_name.as_str())
            .collect();
        if !missing.is_empty() {
            return Some(format!(
                "The VirtualMachine waits for its claims {}",
                missing.join(", ")
            ));
        }
        let nics = self.nics.as_deref().unwrap_or_default();
        if self.vm.is_none()
            && dependencies::missing_nad(self.wukong, nics, self.observed).is_some()
        {
            return Some("The VirtualMachine waits for its networks".into());
        }
        let unusable = |bridge: &&Bridge| !self.can_use(bridge);
        if let (None, Some(bridge)) = (self.vm, self.bridges.iter().find(unusable)) {
            let name = &bridge.name;
            return Some(format!(
                "The VirtualMachine waits for the bridge {name} on the nodes"
            ));
        }
        // The note on the VM says that its Secret is up to date, and the pod of the VM needs every network.
        let late = pending.iter().find(|body| {
            let needed = match body.target.kind {
                Kind::Secret => true,
                Kind::NetworkAttachmentDefinition => !self.is_there(&body.target),
                Kind::NodeNetworkConfigurationPolicy
                | Kind::DataVolume
                | Kind::PersistentVolumeClaim
                | Kind::VirtualMachine
                | Kind::VirtualMachineSnapshot
                | Kind::WukongSnapshot => false,
            };
            needed && !applying.iter().any(|apply| apply.target == body.target)
        });
        late.map(|body| format!("The VirtualMachine waits for {}", body.target))
    }

    /// Plans the claims to grow, and returns those that cannot.
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
            let mut refuse = |why: String| {
                refused.push(volumes::Refused {
                    disk: seen.disk.name.clone(),
                    why,
                });
            };
            let class = claim.class.as_deref();
            let known = class.and_then(|class| {
                self.observed
                    .world
                    .environment
                    .storage_classes
                    .get("", class)
                    .present()
            });
            if known.is_some_and(|known| !known.expandable) {
                let class = class.unwrap_or_default();
                refuse(format!(
                    "StorageClass {class} does not allow volumes to expand"
                ));
                continue;
            }
            let expand = Expand {
                target: Target {
                    kind: Kind::PersistentVolumeClaim,
                    name: growth.claim,
                },
                uid: claim.meta.uid.to_string(),
                to: growth.to,
                guest_size: growth.guest_size,
            };
            let memory = self.observed.memory;
            if let Some(failure) = memory.failure(&expand.target, &expand.hash())
                && matches!(failure.kind, FailureKind::Denied | FailureKind::Quota)
            {
                refuse(failure.message.clone());
            }
            // Only a bound claim can grow; the import comes first.
            if valid && claim.phase == "Bound" && !self.is_held_back(&expand.target, &expand.hash())
            {
                decision.expand.push(expand);
            }
        }
        refused
    }

    fn plan_call(&mut self, wanted: Option<Call>, decision: &mut Decision) {
        let Some(call) = wanted else { return };
        let called = self.observed.memory.called.as_ref();
        match call::not_twice(call, called, self.observed.now) {
            Ok(call) if self.is_held_back(&self.vm_target(), call.as_ref()) => {}
            Ok(call) => decision.calls.push(call),
            Err(again) => self.wake(again),
        }
    }

    /// Whether the guest, or a pod that starts for it, has a NIC on this network. A pod that starts and the target of a
    /// migration need the NetworkAttachmentDefinition, even if the next start of the VM does not.
    fn is_attached(&self, nad: &str) -> bool {
        let identity = &self.wukong.identity;
        let instances = &self.observed.world.instances;
        match instances.get(&identity.namespace, &identity.name) {
            Seen::Unknown => true,
            Seen::Absent => false,
            Seen::Present(instance) => instance.machine.iter().any(|machine| {
                let mut networks = machine.networks.values();
                networks.any(|known| known.rsplit('/').next() == Some(nad))
            }),
        }
    }

    /// Plans to delete NetworkAttachmentDefinitions of ours that neither the spec requires nor the running guest.
    fn plan_prunes(&mut self, bodies: &Bodies, decision: &mut Decision) {
        let identity = &self.wukong.identity;
        let nads = &self.observed.world.nads;
        for fact in nads.indexed(&identity.uid) {
            let asked_for = |body: &Body| body.target.name == fact.meta.name;
            let required = bodies.nads.iter().any(asked_for);
            // Garbage collection deletes objects of other namespaces that say they have this owner.
            let elsewhere = fact.meta.namespace != identity.namespace;
            if elsewhere || fact.meta.deleting || required || self.is_attached(&fact.meta.name) {
                continue;
            }
            let prune = Prune {
                target: Target {
                    kind: Kind::NetworkAttachmentDefinition,
                    name: fact.meta.name.to_string(),
                },
                uid: fact.meta.uid.to_string(),
                resource_version: fact.meta.resource_version.to_string(),
            };
            if !self.is_held_back(&prune.target, &prune.hash()) {
                decision.prune.push(prune);
            }
        }
    }
}
