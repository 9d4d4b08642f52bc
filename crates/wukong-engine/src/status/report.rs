//! Reports one valid Wukong: its conditions and its status.

use std::collections::BTreeMap;

use wukong_api::status::ResourceStatus;
use wukong_api::validated::Nic;
use wukong_api::{ConditionType, Reason};

use super::assembly::{self, Findings};
use crate::call::Call;
use crate::desired::Body;
use crate::diagnosis;
use crate::diagnosis::condition::{Condition, Status, reported_before};
use crate::diagnosis::evidence::Evidence;
use crate::diagnosis::life::Life;
use crate::facts::{DataVolumeFact, Presence, VirtualMachineInstanceFact};
use crate::observed::{Failure, FailureKind, Waiting};
use crate::ownership;
use crate::situation::Situation;
use crate::status::conditions::{
    created, dependencies, environment, guest, import, networks, node_network, operation, outdated,
    running, snapshottable, spec, volumes,
};
use crate::status::outcome::Outcome;
use crate::status::pending::Pending;
use crate::target::{Kind, Target};

/// The input of the report.
pub(crate) struct Report<'a> {
    pub situation: &'a Situation<'a>,
    /// All planned objects.
    pub all: &'a [&'a Body],
    /// The planned objects that are not stored as we want them.
    pub pending: &'a [&'a Body],
    /// Why the operator cannot apply the spec.
    pub refusal: Option<Condition>,
    /// Disks that cannot grow.
    pub growth_refused: &'a [volumes::Refused],
    /// Disks that the VM has and the spec has not.
    pub attached_by_hand: &'a [&'a str],
    /// What the VM waits for before it is applied.
    pub vm_waits_for: Option<String>,
    /// The subresource to call.
    pub wanted_call: Option<Call>,
    /// The pending changes of the running VM.
    pub lacking: &'a Pending,
}

impl<'a> Report<'a> {
    /// The input of the status, and the other results.
    pub(crate) fn findings(&self) -> (Findings<'a>, Outcome) {
        let situation = self.situation;
        // The address of a guest that ended is free, or another guest has it.
        let living = |instance: &&VirtualMachineInstanceFact| {
            !matches!(instance.phase.as_str(), "Succeeded" | "Failed")
        };
        let instance = situation.instance.filter(living);
        let (conditions, reported) = self.conditions();
        let findings = Findings {
            vm_name: situation.vm.map(|vm| vm.meta.name.to_string()),
            node_name: instance.and_then(|instance| instance.node.as_deref().map(Into::into)),
            networks: assembly::networks(situation.wukong, self.nics(), instance),
            volumes: assembly::volumes(situation, &self.import_failures(&conditions)),
            resources: self.resources(),
            conditions,
            pending_changes: self.lacking.listed(),
            started_with: self.lacking.started_with.clone(),
            first_boot: self.lacking.first_boot.clone(),
            wukong: situation.observed.wukong,
            now: situation.observed.now,
        };
        (findings, reported)
    }

    fn nics(&self) -> &'a [&'a Nic] {
        self.situation.nics.as_deref().unwrap_or_default()
    }

    /// The conditions in causal order, and the other results.
    fn conditions(&self) -> (Vec<Condition>, Outcome) {
        let Situation {
            wukong,
            observed,
            vm,
            instance,
            disks,
            power,
            ..
        } = self.situation;
        let of_vm = vm.map(|vm| running::conditions(vm, observed, Some((wukong, power))));
        let (scheduled, running) = of_vm.unzip();
        let life = Life::of(self.situation, running.as_ref());
        let checks = environment::judged(self.situation, life);
        let mut conditions = vec![self.spec()];
        conditions.extend(environment::ready(self.situation, life, &checks));
        conditions.push(dependencies::condition(
            wukong,
            self.nics(),
            disks,
            observed,
        ));
        conditions.extend(node_network::condition(self.situation, life, &checks));
        conditions.extend(self.networks());
        if !disks.is_empty() {
            conditions.push(volumes::condition(self.situation, self.growth_refused));
        }
        conditions.extend(environment::provisioning(self.situation, &checks));
        conditions.push(self.created());
        conditions.extend(scheduled.flatten());
        if let (Some(vm), Some(running)) = (vm, running) {
            let runs = running.reason == Reason::Running || running.reason == Reason::Migrating;
            conditions.push(running);
            if let Some(instance) = instance.filter(|_| runs) {
                conditions.push(guest::ready(instance, self.nics()));
                let configuration = guest::configuration(
                    vm,
                    &self.lacking.changes,
                    &self.lacking.vm,
                    self.refusal.as_ref(),
                );
                let unsynchronized = operation::held(self.situation, vm)
                    .or_else(|| running::unsynchronized(instance));
                conditions.push(match configuration.status {
                    Status::True => unsynchronized.unwrap_or(configuration),
                    _ => configuration,
                });
            }
        }
        conditions.extend(environment::live_migratable(self.situation, life, &checks));
        conditions.extend(snapshottable::condition(self.situation));
        let waiting = self.waiting(life, &conditions);
        let waits = waiting.is_some();
        let mut others = diagnosis::explain(self.situation, life, &checks, waits, &mut conditions);
        others.extend(operation::failed(self.situation));
        (conditions, Outcome { waiting, others })
    }

    /// The state that the VM waits in, if it should pass without a user and pods and events may show more of it.
    fn waiting(&self, life: Life, conditions: &[Condition]) -> Option<Waiting> {
        let first = conditions.iter().find(|condition| condition.blocks())?;
        let is_late = matches!(
            first.type_,
            ConditionType::VolumesBound | ConditionType::Scheduled | ConditionType::Running
        );
        let waits = first.status == Status::Progressing && is_late;
        let mut volumes = self
            .situation
            .disks
            .iter()
            .filter_map(|seen| seen.data_volume);
        let moves = first.reason == Reason::Importing && volumes.any(DataVolumeFact::moves);
        // The pods of CDI show more than CDI, and no signature knows the cause of many of KubeVirt's messages.
        let untold = first.status == Status::False
            && (first.reason == Reason::ImportFailed
                || (first.open && is_late && !diagnosis::knows(self.situation, &first.words)));
        let asks = (waits && !moves) || untold;
        (life == Life::Rises && asks).then_some((first.type_, first.reason))
    }

    fn spec(&self) -> Condition {
        let name_refused = || {
            let (target, _) = self.failures().find(|(target, failure)| {
                failure.kind == FailureKind::NameTaken && !self.is_only_late(target)
            })?;
            let namespace = &self.situation.wukong.identity.namespace;
            Some(spec::name_refused(target, namespace))
        };
        self.refusal
            .clone()
            .or_else(name_refused)
            .or_else(|| outdated::condition(self.situation.observed))
            .unwrap_or_else(|| spec::valid(self.situation.observed.wukong))
    }

    /// Whether a name that the API server calls taken belongs to an object that the watches have not reported yet: the owner
    /// of every reported object is known.
    fn is_only_late(&self, target: &Target) -> bool {
        ownership::is_watched(target.kind, self.situation.observed.world)
    }

    /// The rejected bodies that still have to be written.
    fn failures(&self) -> impl Iterator<Item = (&'a Target, &'a Failure)> {
        let memory = self.situation.observed.memory;
        self.pending.iter().filter_map(move |body| {
            let failure = memory.failure(&body.target, &body.hash)?;
            Some((&body.target, failure))
        })
    }

    fn networks(&self) -> Option<Condition> {
        let Situation {
            wukong, observed, ..
        } = self.situation;
        if wukong.nics.is_empty() {
            return None;
        }
        let nads = observed.world.nads.presence();
        Some(match (&self.situation.nics, &self.situation.taken) {
            (Err(waiting), _) => networks::waiting(waiting),
            (Ok(nics), _) if nics.is_empty() => networks::degraded(&wukong.nics),
            (Ok(_), Some(taken)) => networks::taken(taken),
            (Ok(_), None) if nads != Presence::Served => networks::unseen(nads),
            (Ok(_), None) => {
                let first = self
                    .pending
                    .iter()
                    .find(|body| body.target.kind == Kind::NetworkAttachmentDefinition);
                networks::condition(first.copied(), observed.memory)
            }
        })
    }

    fn created(&self) -> Condition {
        let Situation {
            wukong, observed, ..
        } = self.situation;
        let kubevirt = observed.world.virtual_machines.presence();
        if kubevirt != Presence::Served {
            return created::without_kubevirt(kubevirt);
        }
        // The VirtualMachine shows most, so its rejection comes first.
        let refused = self
            .failures()
            .filter(|(target, failure)| {
                failure.kind != FailureKind::NameTaken || self.is_only_late(target)
            })
            .max_by_key(|(target, _)| target.kind);
        let vm = self.situation.vm_target();
        let call_refused = self
            .wanted_call
            .and_then(|call| observed.memory.failure(&vm, call.as_ref()));
        let refused = refused.or_else(|| Some((&vm, call_refused?)));
        let contested = self.pending.iter().find(|body| {
            let until = observed.memory.contested_until(&body.target, &body.hash);
            until.is_some_and(|until| until > observed.now)
        });
        let contested = contested.map(|body| {
            let manager = ownership::meta(&body.target, wukong, observed.world)
                .and_then(|meta| meta.other_manager.as_deref());
            (&body.target, manager)
        });
        if let Some(held) = self
            .situation
            .vm
            .and_then(|vm| operation::held(self.situation, vm))
            && !self.pending.is_empty()
        {
            return Condition {
                type_: ConditionType::Created,
                ..held
            };
        }
        if let Some(before) = self.rejected_before() {
            return before;
        }
        created::condition(
            wukong,
            self.situation.vm,
            refused,
            contested,
            self.attached_by_hand,
            self.vm_waits_for.clone(),
            observed.now,
        )
    }

    /// The rejected write in the status of this generation, of an object that still has to be written: an operator that has
    /// just started, and a reader that is not the operator, have no other source.
    fn rejected_before(&self) -> Option<Condition> {
        let observed = self.situation.observed;
        let status = observed.wukong.status.as_ref()?;
        if status.observed_generation != observed.wukong.metadata.generation {
            return None;
        }
        let before = reported_before(observed.wukong, ConditionType::Created)?;
        let rejected = matches!(
            before.reason,
            Reason::ApplyFailed | Reason::AdmissionDenied | Reason::QuotaExceeded
        );
        let untried = |body: &&&Body| {
            let target = &body.target;
            let memory = observed.memory;
            !memory.failures.contains_key(target) && !memory.applied.contains_key(target)
        };
        let open = self
            .pending
            .iter()
            .filter(untried)
            .any(|body| before.object.as_ref() == Some(&body.target.to_string()));
        if before.status != Status::False || !rejected || !open {
            return None;
        }
        let object = before.object.clone()?;
        let last = before.chain.last().and_then(|link| link.text.clone());
        let words = Evidence::rejected(
            &object,
            last.unwrap_or_else(|| before.message.clone()),
            None,
        );
        Some(
            Condition::bad(
                ConditionType::Created,
                before.reason,
                format!("The API server rejects {object}"),
            )
            .about(object)
            .words([words]),
        )
    }

    /// Why imports fail, by disk. For a disk without a condition, the status keeps its message.
    fn import_failures(&self, conditions: &[Condition]) -> BTreeMap<&'a str, String> {
        let status = self.situation.observed.wukong.status.as_ref();
        let failing = self.situation.disks.iter().filter(|seen| {
            seen.data_volume
                .is_some_and(|volume| volume.phase != "Succeeded" && import::fails(volume))
        });
        failing
            .map(|seen| {
                let disk = seen.disk.name.as_str();
                let start = format!("disk {disk}: import failed");
                let now = conditions
                    .iter()
                    .map(|condition| &condition.message)
                    .find(|message| message.starts_with(&start));
                let before = status
                    .into_iter()
                    .flat_map(|status| &status.volumes)
                    .filter(|volume| volume.name == disk)
                    .find_map(|volume| volume.message.as_ref());
                let words = seen
                    .data_volume
                    .map(|volume| import::words(self.situation, volume))
                    .unwrap_or_default();
                let told = || diagnosis::told(self.situation, &start, &words);
                let message = now.cloned().or_else(told).or(before.cloned());
                (disk, message.unwrap_or(start))
            })
            .collect()
    }

    /// The objects that are stored as we want them, and those that were before, as far as that is known.
    fn resources(&self) -> Vec<ResourceStatus> {
        let before: BTreeMap<(&str, &str), &str> = self
            .situation
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
                // Nothing shows what a Secret contains.
                true if *kind == Kind::Secret => return None,
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
