//! Changes of a Wukong: each field that differs, with the class that says what the change needs.
//!
//! The classes are what a real KubeVirt did with a running VM, for both rollout strategies (`vmRolloutStrategy`). Under
//! `LiveUpdate`, its default, sockets, memory, node selector, tolerations and affinity reach the running VM; under
//! `Stage` they wait for a restart; NICs are judged alike under both. Everything else in the VM's template sets
//! `RestartRequired`, but for disks that KubeVirt plugs into the running guest. What cloud-init does, it does on the first
//! boot only. A DataVolume is immutable.
//!
//! Nothing in a Wukong makes KubeVirt want another VirtualMachine, so no change recreates it.

mod change;
mod class;
mod disks;
mod first_boot;
mod guest;
mod nics;
mod plugging;
mod running_vm;
mod show;

pub use change::Change;
pub use class::Class;
pub(crate) use disks::gone as disk_gone;
pub(crate) use first_boot::FIRST_BOOT;
pub use first_boot::{FirstBootField, first_boot};
pub(crate) use nics::{ATTACHED, gone as nic_gone, pulls, summary as network};
pub use plugging::DiskPlugging;
pub(crate) use running_vm::NO_AUTOMATIC_MIGRATION;
pub use running_vm::{Rollout, RunningVm};

use wukong_api::spec::{Architecture, HugepageSize, PowerState, RunStrategy};
use wukong_api::validated::Machine;
use wukong_api::{Bytes, ValidatedWukong};

use crate::power::DesiredPower;
use change::{Changes, RESTART};

/// How much larger than at its start KubeVirt lets a VM grow (`liveUpdateConfiguration.maxHotplugRatio`).
const HOTPLUG_RATIO: u64 = 4;
/// Memory is plugged into guests of at least this size, and in steps of this size.
const HOTPLUG_MEMORY: Bytes = Bytes(1 << 30);
const MEMORY_STEP: u64 = 2 << 20;

/// The changes from one state of a Wukong to another, in the order of the fields.
///
/// Both are the same Wukong: they have the same identity but for the group. The class is that for a running VM; a VM that
/// is stopped gets everything but what is refused, or for the first boot only, with its next start.
pub fn classify(old: &ValidatedWukong, new: &ValidatedWukong, vm: &RunningVm) -> Vec<Change> {
    let mut changes = Changes {
        list: Vec::new(),
        vm,
    };
    changes.compute(old, new);
    guest::login(old, new, &mut changes);
    nics::compare(old, new, &mut changes);
    disks::compare(old, new, &mut changes);
    changes.placement(old, new);
    changes.power(old, new);
    changes.hold_up();
    changes.list
}

impl Changes<'_> {
    /// While a restart is required, KubeVirt plugs nothing but NICs and disks into the running guest.
    fn hold_up(&mut self) {
        let restarts =
            |change: &Change| matches!(change.class, Class::NeedsRestart | Class::DestroysData);
        if !self.list.iter().any(restarts) {
            return;
        }
        let plugged =
            |change: &&mut Change| change.class == Class::HotPlug && !change.is_of_device();
        for change in self.list.iter_mut().filter(plugged) {
            change.class = Class::NeedsRestart;
            change.why = HELD_UP.to_owned();
        }
    }

    fn compute(&mut self, old: &ValidatedWukong, new: &ValidatedWukong) {
        self.field(
            "spec.labels",
            &old.labels,
            &new.labels,
            Class::NeedsRestart,
            POD_METADATA,
        );
        self.field(
            "spec.annotations",
            &old.annotations,
            &new.annotations,
            Class::NeedsRestart,
            POD_METADATA,
        );
        let (class, why) = self.cpu(old, new);
        self.field("spec.cpu", &old.cpu, &new.cpu, class, &why);
        let (class, why) = self.memory(old, new);
        self.field("spec.memory", &old.memory, &new.memory, class, &why);
        self.machine(&old.machine, &new.machine);
        self.field(
            "spec.firmware",
            &old.firmware,
            &new.firmware,
            Class::NeedsRestart,
            "a system that was installed under one firmware may not boot under another",
        );
        self.field(
            "spec.terminationGracePeriodSeconds",
            &old.termination_grace_period_seconds,
            &new.termination_grace_period_seconds,
            Class::NeedsRestart,
            RESTART,
        );
    }

    fn machine(&mut self, old: &Machine, new: &Machine) {
        self.field(
            "spec.architecture",
            &old.architecture,
            &new.architecture,
            Class::NeedsRestart,
            "the next start runs the guest on nodes of that architecture: a system installed for another one does not boot",
        );
        self.field(
            "spec.cpuModel",
            &old.cpu_model,
            &new.cpu_model,
            Class::NeedsRestart,
            RESTART,
        );
        self.field(
            "spec.dedicatedCpu",
            &old.dedicated_cpu,
            &new.dedicated_cpu,
            Class::NeedsRestart,
            RESTART,
        );
        self.field(
            "spec.hugepages",
            &old.hugepages,
            &new.hugepages,
            Class::NeedsRestart,
            RESTART,
        );
        let shown = |machine: &Machine| {
            let tpm = machine.tpm?;
            let persistent = tpm.persistent == Some(true);
            Some(if persistent { "persistent" } else { "emulated" }.to_owned())
        };
        let was_kept = old.tpm.is_some_and(|tpm| tpm.persistent == Some(true));
        let why = match was_kept {
            true => "the guest loses the keys in its TPM with the next start",
            false => RESTART,
        };
        self.field(
            "spec.tpm",
            &shown(old),
            &shown(new),
            Class::NeedsRestart,
            why,
        );
    }

    fn cpu(&self, old: &ValidatedWukong, new: &ValidatedWukong) -> (Class, String) {
        let restart = |why: &str| (Class::NeedsRestart, why.to_owned());
        if self.plugs_nothing(old, new) {
            return restart(AMD64_ONLY);
        }
        let (old, new) = (old.cpu, new.cpu);
        if new < old {
            return restart("KubeVirt takes no CPU away from a running guest");
        }
        if u64::from(new) > u64::from(old) * HOTPLUG_RATIO {
            return restart(
                "a running guest grows to at most 4 times the CPUs that it booted with",
            );
        }
        self.plugged("CPUs")
    }

    fn memory(&self, old: &ValidatedWukong, new: &ValidatedWukong) -> (Class, String) {
        let restart = |why: &str| (Class::NeedsRestart, why.to_owned());
        if self.plugs_nothing(old, new) {
            return restart(AMD64_ONLY);
        }
        let huge = new.machine.hugepages == Some(HugepageSize::Gi1);
        let (old, new) = (old.memory, new.memory);
        if new < old {
            return restart("KubeVirt takes no memory away from a running guest");
        }
        if new.0 > old.0.saturating_mul(HOTPLUG_RATIO) {
            return restart(
                "a running guest grows to at most 4 times the memory that it booted with",
            );
        }
        let step = if huge { HOTPLUG_MEMORY.0 } else { MEMORY_STEP };
        if old < HOTPLUG_MEMORY || !new.0.is_multiple_of(step) {
            return restart(
                "memory is plugged into guests of at least 1Gi, in steps of 2Mi (1Gi with huge pages of 1Gi)",
            );
        }
        self.plugged("memory")
    }

    /// The class of CPUs or memory that are added.
    fn plugged(&self, what: &str) -> (Class, String) {
        match self.vm.rollout {
            Rollout::LiveUpdate => self.vm.by_migration(what),
            Rollout::Stage => (Class::NeedsRestart, STAGED.to_owned()),
        }
    }

    /// Whether KubeVirt plugs neither CPUs nor memory into this guest.
    fn plugs_nothing(&self, old: &ValidatedWukong, new: &ValidatedWukong) -> bool {
        let other = |wukong: &ValidatedWukong| {
            let architecture = wukong.machine.architecture;
            architecture.is_some_and(|architecture| architecture != Architecture::Amd64)
        };
        other(old) || other(new) || !self.vm.plugs_cpu_and_memory()
    }

    fn placement(&mut self, old: &ValidatedWukong, new: &ValidatedWukong) {
        let class = self.live(Class::InPlace);
        let why = match self.vm.rollout {
            Rollout::LiveUpdate => {
                "the guest stays where it is; the next migration or start heeds it"
            }
            Rollout::Stage => STAGED,
        };
        let (a, b) = (&old.placement, &new.placement);
        let path = |field: &str| format!("spec.highAvailability.{field}");
        self.field(
            &path("antiAffinity"),
            &a.anti_affinity,
            &b.anti_affinity,
            class,
            why,
        );
        self.field(
            &path("topologySpread"),
            &a.topology_spread,
            &b.topology_spread,
            Class::NeedsRestart,
            RESTART,
        );
        self.field(
            &path("group"),
            &old.identity.group,
            &new.identity.group,
            Class::NeedsRestart,
            "the label of the VM's pod comes with its next start",
        );
        self.field(
            &path("nodeSelector"),
            &a.node_selector,
            &b.node_selector,
            class,
            why,
        );
        if a.tolerations != b.tolerations {
            self.add(
                &path("tolerations"),
                guest::tolerations(a),
                guest::tolerations(b),
                class,
                why,
            );
        }
        self.field(
            &path("evictionStrategy"),
            &a.eviction_strategy,
            &b.eviction_strategy,
            Class::NeedsRestart,
            RESTART,
        );
    }

    fn power(&mut self, old: &ValidatedWukong, new: &ValidatedWukong) {
        let same = DesiredPower::of(old) == DesiredPower::of(new);
        if !same {
            let why = match (new.power_state, new.desired_run_strategy()) {
                (_, RunStrategy::Halted) => "the guest is shut down",
                (Some(PowerState::Paused), _) => "the guest's CPUs are stopped",
                _ => "the operator starts, stops and restarts the guest accordingly",
            };
            let class = Class::InPlace;
            self.field(
                "spec.powerState",
                &old.power_state,
                &new.power_state,
                class,
                why,
            );
            self.field(
                "spec.startStrategy.runStrategy",
                &old.run_strategy,
                &new.run_strategy,
                class,
                why,
            );
            self.field(
                "spec.startStrategy.autoStart",
                &old.auto_start,
                &new.auto_start,
                class,
                why,
            );
        }
        self.field(
            "spec.restartApproval",
            &old.restart_approval,
            &new.restart_approval,
            Class::InPlace,
            "the operator heeds it from now on",
        );
    }
}

const AMD64_ONLY: &str = "KubeVirt plugs CPUs and memory into amd64 guests only";
const POD_METADATA: &str = "the VirtualMachine has them at once, its pod with the next start";
const HELD_UP: &str = "KubeVirt plugs nothing but NICs and disks into a guest that has to be restarted for another change";
const STAGED: &str = "KubeVirt stages changes (vmRolloutStrategy: Stage): the running VM keeps what it was started with";
