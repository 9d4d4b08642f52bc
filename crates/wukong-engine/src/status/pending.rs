//! Pending changes: the differences between the spec and the running VM, and whether a restart brings them.
//!
//! What a guest runs with is read from its instance. Three things an instance does not show. The operator notes them in
//! the status when the instance starts: the networks that its pod was attached to, what its pod requested of a node, and
//! the cloud-init data of the first boot.

mod machine;
mod noted;

use serde_json::Value;
use wukong_api::spec::{RestartApproval, RunStrategy};
use wukong_api::status::{FirstBoot, PendingChange, StartedWith};
use wukong_api::{Bytes, WukongStatus};

use crate::call::Call;
use crate::changes::{Change, Class, RunningVm};
use crate::desired::{Bodies, Body};
use crate::diagnosis::condition::{Condition, Status};
use crate::diagnosis::scheduler;
use crate::facts::json::printable;
use crate::facts::{MachineFact, Seen, VirtualMachineFact, VirtualMachineInstanceFact, is_true};
use crate::ownership::{DiskSeen, DiskState};
use crate::situation::Situation;
use crate::status::conditions::running;
use crate::target::Target;

/// The pending changes of the running VM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    pub changes: Vec<Change>,
    /// What decides how KubeVirt brings them to the guest.
    pub vm: RunningVm,
    /// To note: what the instance was started with.
    pub started_with: Option<StartedWith>,
    /// To note: the cloud-init data of the first boot.
    pub first_boot: Option<FirstBoot>,
    /// The call that brings changes, when it is to be made.
    pub restart: Option<Call>,
}

impl Pending {
    pub(crate) fn of(situation: &Situation, bodies: &Bodies, unsettled: &[&Body]) -> Self {
        let before = situation.observed.wukong.status.as_ref();
        let instance = situation.living_instance();
        let comparison = Comparison {
            situation,
            before,
            instance,
            vm: situation.running_vm(),
            bodies,
            unsettled,
        };
        let started_with = comparison.started_with();
        let first_boot = comparison.first_boot();
        let mut changes = comparison.of_machine();
        changes.extend(comparison.of_networks(started_with.as_ref()));
        changes.extend(comparison.of_resizes());
        changes.extend(comparison.of_first_boot(first_boot.as_ref()));
        Self {
            restart: comparison.restart(&changes, started_with.as_ref()),
            changes,
            started_with,
            first_boot,
            vm: comparison.vm,
        }
    }

    /// The pending changes in the form of the status.
    pub(crate) fn listed(&self) -> Vec<PendingChange> {
        let listed = |change: &Change| PendingChange {
            path: printable(&change.path).into(),
            current: change.from.as_deref().map(printable).map(Into::into),
            desired: change.to.as_deref().map(printable).map(Into::into),
            effect: change.class.to_string(),
        };
        self.changes.iter().map(listed).collect()
    }
}

struct Comparison<'a> {
    situation: &'a Situation<'a>,
    before: Option<&'a WukongStatus>,
    /// The instance of the guest, while it is not final.
    instance: Option<&'a VirtualMachineInstanceFact>,
    vm: RunningVm,
    bodies: &'a Bodies,
    unsettled: &'a [&'a Body],
}

impl Comparison<'_> {
    fn template(&self) -> Option<&Value> {
        self.bodies.virtual_machine.object.pointer("/spec/template")
    }

    fn is_settled(&self, target: &Target) -> bool {
        !self.unsettled.iter().any(|body| body.target == *target)
    }

    fn kubevirt_wants_restart(&self) -> bool {
        let vm = self.situation.vm;
        vm.is_some_and(|vm| is_true(&vm.conditions, "RestartRequired"))
    }

    fn runs(&self) -> bool {
        self.instance
            .is_some_and(|instance| instance.phase == "Running")
    }

    /// Claims with a larger request that have not grown yet. The next start of a VM brings it the rest of the growth, as
    /// it brings all other changes.
    fn of_resizes(&self) -> Vec<Change> {
        let change = |seen: &DiskSeen| {
            let claim = seen.claim.filter(|_| size(seen) == Some(seen.disk.size))?;
            let at_start = self.instance.is_none() && claim.waits_for_a_pod_to_grow();
            (claim.grows() && !at_start).then(|| Change {
                path: format!("spec.disks[{}].size", seen.disk.name),
                from: claim.capacity.map(|capacity| capacity.to_string()),
                to: Some(seen.disk.size.to_string()),
                class: match claim.grows_offline_only() {
                    true => Class::PowerOff,
                    false => Class::InPlace,
                },
                why: "the volume grows".into(),
            })
        };
        self.situation.disks.iter().filter_map(change).collect()
    }

    /// The restart that brings changes, for a VM that runs, if a user approved it. A pod that never started and cannot start
    /// needs no approval, because KubeVirt keeps such a pod as it is. A restart brings nothing to an instance that was
    /// started with all changes, so there is one restart for each change.
    fn restart(&self, changes: &[Change], started: Option<&StartedWith>) -> Option<Call> {
        let (vm, instance, started) = (self.situation.vm?, self.instance?, started?);
        let settled = self.unsettled.is_empty() && !vm.changing_state;
        if !settled || started.configuration == self.configuration() {
            return None;
        }
        let helps = match instance.phase.as_str() {
            "Running" => {
                let approval = self.situation.wukong.restart_approval;
                approval == RestartApproval::Automatic && self.needs_restart(changes)
            }
            "" | "Pending" | "Scheduling" => {
                self.lacks_network() || self.is_stuck(vm) && self.asks_otherwise(started)
            }
            _ => false,
        };
        // KubeVirt does not restart a VM that is to run once.
        let can = vm.run_strategy.as_deref() != Some(RunStrategy::Once.as_ref());
        (helps && can).then_some(Call::Restart)
    }

    fn needs_restart(&self, changes: &[Change]) -> bool {
        let required = self.kubevirt_wants_restart();
        let needs = |change: &Change| {
            matches!(change.class, Class::NeedsRestart | Class::DestroysData)
                && (required || self.kubevirt_ignores(&change.path))
        };
        changes.iter().any(needs) || required && changes.is_empty()
    }

    /// Whether KubeVirt sets no `RestartRequired` when this field of a running VM changes: metadata of the template,
    /// the content of networks, CPUs of a VM that cannot migrate, and settings of a disk that is marked as hot-pluggable.
    fn kubevirt_ignores(&self, path: &str) -> bool {
        let disk = path.strip_prefix("spec.disks[");
        if let Some((disk, _)) = disk.and_then(|rest| rest.split_once(']')) {
            let marked = self
                .situation
                .vm
                .into_iter()
                .flat_map(|vm| vm.hotpluggable());
            return marked.into_iter().any(|name| name == disk);
        }
        match path {
            "spec.highAvailability.group" | "spec.labels" | "spec.annotations" => true,
            "spec.cpu" => self.vm.migratable == Some(false),
            _ => path.starts_with("spec.networks") && path.ends_with(']'),
        }
    }

    /// Whether the VM's pod cannot start as it is.
    fn is_stuck(&self, vm: &VirtualMachineFact) -> bool {
        let Situation {
            wukong,
            observed,
            power,
            ..
        } = self.situation;
        let (scheduled, _) = running::conditions(vm, observed, Some((wukong, power)));
        let refused = |scheduled: &Condition| {
            let mut words = scheduled.words.iter();
            words.any(|words| scheduler::parse(&words.text).is_some())
        };
        scheduled.is_some_and(|scheduled| scheduled.status == Status::False || refused(&scheduled))
    }

    /// Whether the VM's pod waits for a network that does not exist, and that a new pod would not have.
    fn lacks_network(&self) -> bool {
        let nads = &self.situation.observed.world.nads;
        let namespace = &self.situation.wukong.identity.namespace;
        let machine = self.instance.and_then(|instance| instance.machine.as_ref());
        let wanted = self.template().and_then(MachineFact::project);
        let (Some(machine), Some(wanted)) = (machine, wanted) else {
            return false;
        };
        machine.networks.values().any(|network| {
            let (namespace, name) = network.split_once('/').unwrap_or((namespace, network));
            let required = wanted.networks.values().any(|other| other == network);
            !required && matches!(nads.get(namespace, name), Seen::Absent)
        })
    }

    /// Whether a new pod would have other requirements for its node.
    fn asks_otherwise(&self, started: &StartedWith) -> bool {
        let machine = self.template().and_then(MachineFact::project);
        let runs_on = self.instance.and_then(|instance| {
            let machine = instance.machine.as_ref()?;
            machine.architecture
        });
        machine.is_some_and(|machine| {
            let elsewhere = machine.architecture.is_some() && machine.architecture != runs_on;
            elsewhere || machine.placement() != started.placement
        })
    }
}

/// The size that a disk has, as the guest sees it.
fn size(seen: &DiskSeen) -> Option<Bytes> {
    if seen.state != DiskState::Free {
        return None;
    }
    seen.stands_for()
        .or_else(|| seen.data_volume.and_then(|volume| volume.size))
}
