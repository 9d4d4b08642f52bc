//! What is to be said of one valid Wukong.

use std::collections::BTreeMap;

use wukong_api::status::ResourceStatus;
use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason};

use crate::causes;
use crate::children;
use crate::conditions::environment::{self, Life};
use crate::conditions::{
    created, dependencies, guest, import, networks, node_network, outdated, running, spec, volumes,
};
use crate::decision::{Call, Kind, Target, Waiting};
use crate::desired::Body;
use crate::facts::{DataVolumeFact, VirtualMachineInstanceFact};
use crate::observed::{Failure, FailureKind};
use crate::pending::Pending;
use crate::planning::Planning;
use crate::said::Said;
use crate::status::{self, Findings};
use crate::store::Presence;
use crate::verdict::{Status, Verdict};

/// What planning found.
pub(crate) struct Report<'a> {
    pub planning: &'a Planning<'a>,
    /// Everything that is planned.
    pub all: &'a [&'a Body],
    /// What of it is not stored as we want it.
    pub pending: &'a [&'a Body],
    /// Why the manifest cannot be carried out.
    pub refusal: Option<Verdict>,
    /// Disks that cannot grow.
    pub growth_refused: &'a [volumes::Refused],
    /// Disks that the VM has beyond the manifest.
    pub attached_by_hand: &'a [&'a str],
    /// What the VM waits for before it is applied.
    pub vm_waits_for: Option<String>,
    /// The subresource that is to be called.
    pub wanted_call: Option<Call>,
    /// What the running VM does not have yet.
    pub lacking: &'a Pending,
}

impl<'a> Report<'a> {
    /// What the status is made of, and what else there is to say.
    pub(crate) fn findings(&self) -> (Findings<'a>, Said) {
        let planning = self.planning;
        // The address of a guest that ended is nobody's, or another's, now.
        let living = |instance: &&VirtualMachineInstanceFact| {
            !matches!(instance.phase.as_str(), "Succeeded" | "Failed")
        };
        let instance = planning.instance.filter(living);
        let (verdicts, said) = self.verdicts();
        let findings = Findings {
            verdicts,
            vm_name: planning.vm.map(|vm| vm.meta.name.clone()),
            node_name: instance.and_then(|instance| instance.node.clone()),
            networks: status::networks(planning.wukong, self.nics(), instance),
            volumes: status::volumes(&planning.disks, &self.said_of_volumes()),
            resources: self.resources(),
            pending_changes: self.lacking.listed(),
            started_with: self.lacking.started_with.clone(),
            first_boot: self.lacking.first_boot.clone(),
            wukong: planning.observed.wukong,
            now: planning.observed.now,
        };
        (findings, said)
    }

    fn nics(&self) -> &'a [&'a Nic] {
        self.planning.nics.as_deref().unwrap_or_default()
    }

    /// The verdicts in causal order, and what else there is to say.
    fn verdicts(&self) -> (Vec<Verdict>, Said) {
        let Planning {
            wukong,
            observed,
            vm,
            instance,
            disks,
            wish,
            ..
        } = self.planning;
        let of_vm = vm.map(|vm| running::verdicts(vm, observed, Some((wukong, wish))));
        let (scheduled, running) = of_vm.unzip();
        let life = Life::of(self.planning, running.as_ref());
        let checks = environment::judged(self.planning, life);
        let mut verdicts = vec![self.spec()];
        verdicts.extend(environment::ready(self.planning, life, &checks));
        verdicts.push(dependencies::verdict(wukong, self.nics(), disks, observed));
        verdicts.extend(node_network::verdict(self.planning, life, &checks));
        verdicts.extend(self.networks());
        if !disks.is_empty() {
            verdicts.push(volumes::verdict(
                disks,
                self.growth_refused,
                observed.world,
                observed.memory,
                wish.runs(),
                &self.said_of_volumes(),
            ));
        }
        verdicts.extend(environment::provisioning(self.planning, &checks));
        verdicts.push(self.created());
        verdicts.extend(scheduled.flatten());
        if let (Some(vm), Some(running)) = (vm, running) {
            let runs = running.reason == Reason::Running || running.reason == Reason::Migrating;
            verdicts.push(running);
            if let Some(instance) = instance.filter(|_| runs) {
                verdicts.push(guest::ready(instance, self.nics()));
                verdicts.push(guest::configuration(
                    vm,
                    &self.lacking.changes,
                    self.refusal.as_ref(),
                ));
            }
        }
        verdicts.extend(environment::live_migratable(self.planning, life, &checks));
        let waiting = self.waiting(life, &verdicts);
        let waits = waiting.is_some();
        let others = causes::name(self.planning, life, &checks, waits, &mut verdicts);
        (verdicts, Said { waiting, others })
    }

    /// What the VM waits for that should come by itself, and of which its pods and events may tell more.
    fn waiting(&self, life: Life, verdicts: &[Verdict]) -> Option<Waiting> {
        let first = verdicts.iter().find(|verdict| verdict.blocks())?;
        let waits = first.status == Status::Progressing
            && matches!(
                first.type_,
                ConditionType::VolumesBound | ConditionType::Scheduled | ConditionType::Running
            );
        let mut volumes = self
            .planning
            .disks
            .iter()
            .filter_map(|seen| seen.data_volume);
        let moves = first.reason == Reason::Importing && volumes.any(DataVolumeFact::moves);
        let told = (waits && !moves) || import::is_untold(first);
        (life == Life::Rises && told).then_some((first.type_, first.reason))
    }

    fn spec(&self) -> Verdict {
        let name_refused = || {
            let (target, _) = self.failures().find(|(target, failure)| {
                failure.kind == FailureKind::NameTaken && !self.is_only_late(target)
            })?;
            Some(spec::name_refused(target))
        };
        self.refusal
            .clone()
            .or_else(name_refused)
            .or_else(|| outdated::verdict(self.planning.observed))
            .unwrap_or_else(|| spec::valid(self.planning.observed.wukong))
    }

    /// Whether a name that is taken, as the API server says, is one of which the watches have yet to tell: of what they
    /// tell, the owner is known.
    fn is_only_late(&self, target: &Target) -> bool {
        children::is_watched(target.kind, self.planning.observed.world)
    }

    /// The bodies that were refused and are still to be written.
    fn failures(&self) -> impl Iterator<Item = (&'a Target, &'a Failure)> {
        let memory = self.planning.observed.memory;
        self.pending.iter().filter_map(move |body| {
            let failure = memory.failure(&body.target, &body.hash)?;
            Some((&body.target, failure))
        })
    }

    fn networks(&self) -> Option<Verdict> {
        let Planning {
            wukong, observed, ..
        } = self.planning;
        if wukong.nics.is_empty() {
            return None;
        }
        let definitions = observed.world.definitions.presence();
        Some(match (&self.planning.nics, &self.planning.taken) {
            (Err(waiting), _) => networks::waiting(waiting),
            (Ok(nics), _) if nics.is_empty() => networks::degraded(&wukong.nics),
            (Ok(_), Some(taken)) => networks::taken(taken),
            (Ok(_), None) if definitions != Presence::Served => networks::unseen(definitions),
            (Ok(_), None) => {
                let first = self
                    .pending
                    .iter()
                    .find(|body| body.target.kind == Kind::NetworkAttachmentDefinition);
                networks::verdict(first.copied(), observed.memory)
            }
        })
    }

    fn created(&self) -> Verdict {
        let Planning {
            wukong, observed, ..
        } = self.planning;
        let kubevirt = observed.world.virtual_machines.presence();
        if kubevirt != Presence::Served {
            return created::without_kubevirt(kubevirt);
        }
        // The VirtualMachine says most, so its refusal comes first.
        let refused = self
            .failures()
            .filter(|(target, failure)| {
                failure.kind != FailureKind::NameTaken || self.is_only_late(target)
            })
            .max_by_key(|(target, _)| target.kind);
        let vm = self.planning.vm_target();
        let call_refused = self
            .wanted_call
            .and_then(|call| observed.memory.failure(&vm, call.as_ref()));
        let refused = refused.or_else(|| Some((&vm, call_refused?)));
        let contested = self.pending.iter().find(|body| {
            let until = observed.memory.contested_until(&body.target, &body.hash);
            until.is_some_and(|until| until > observed.now)
        });
        let contested = contested.map(|body| {
            let manager = children::meta(&body.target, wukong, observed.world)
                .and_then(|meta| meta.other_manager.as_deref());
            (&body.target, manager)
        });
        created::verdict(
            wukong,
            self.planning.vm,
            refused,
            contested,
            self.attached_by_hand,
            self.vm_waits_for.clone(),
        )
    }

    /// What the importers of disks said before, by disk.
    fn said_of_volumes(&self) -> BTreeMap<&'a str, &'a str> {
        let status = self.planning.observed.wukong.status.as_ref();
        let volumes = status.into_iter().flat_map(|status| &status.volumes);
        volumes
            .filter_map(|volume| Some((volume.name.as_str(), volume.message.as_deref()?)))
            .collect()
    }

    /// The objects that are stored as we want them, and those that were before.
    fn resources(&self) -> Vec<ResourceStatus> {
        let before: BTreeMap<(&str, &str), &str> = self
            .planning
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
            let pending = self
                .pending
                .iter()
                .any(|pending| pending.target == body.target);
            let hash = match pending {
                true => (*before.get(&(kind.as_ref(), name.as_str()))?).to_owned(),
                false => body.hash.clone(),
            };
            Some(ResourceStatus {
                kind: kind.to_string(),
                name: name.clone(),
                hash,
            })
        };
        self.all.iter().filter_map(entry).collect()
    }
}
