//! Power: whether the VM runs.
//!
//! The operator notes the power state that it applied last on the VirtualMachine. While the power state in the spec is
//! the same, the operator leaves the VM as a user started or stopped it with `virtctl`. When the spec changes, the
//! operator asserts the new power state once. Some power states cannot be expressed by a run strategy and need a call.
//! The operator notes such a state as pending before it makes the call, so neither a crash nor a spec that changes back
//! in between can lose it.

use wukong_api::ValidatedWukong;
use wukong_api::spec::{PowerState, RunStrategy};

use crate::call::Call;
use crate::facts::{VirtualMachineFact, VirtualMachineInstanceFact, is_true};
use crate::held::{self, Held};

/// Value of the annotation while a power state waits for a call.
const PENDING: &str = "pending";
/// The power state in the spec of the Wukong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DesiredPower {
    run_strategy: RunStrategy,
    power_state: Option<PowerState>,
    /// Whether a `Manual` VM is started once, when it is first created.
    starts_once: bool,
}

/// The writes for the VM's power.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Power {
    /// The run strategy to apply.
    pub run_strategy: RunStrategy,
    /// Whether it is only repeated because another writer may have set it: then the VM must not have changed meanwhile.
    pub repeats_observed: bool,
    /// The annotation to apply.
    pub annotation: String,
    /// The subresource to call now.
    pub call: Option<Call>,
}

impl DesiredPower {
    /// The power state in the spec of the Wukong.
    pub fn of(wukong: &ValidatedWukong) -> Self {
        let manual = wukong.run_strategy == RunStrategy::Manual;
        Self {
            run_strategy: wukong.desired_run_strategy(),
            power_state: wukong.power_state,
            starts_once: wukong.power_state.is_none() && manual && wukong.auto_start,
        }
    }

    /// The note on a VM that is created now.
    pub fn first_annotation(&self) -> String {
        if self.starts_once || self.pauses() {
            PENDING.into()
        } else {
            self.annotation()
        }
    }

    /// The note on a VM that has this power state applied. Whatever the VM does after that, another writer did.
    pub fn annotation(&self) -> String {
        let strategy = self.run_strategy.as_ref();
        match self.power_state {
            Some(PowerState::Running) => format!("{strategy}/Running"),
            Some(PowerState::Stopped) => format!("{strategy}/Stopped"),
            Some(PowerState::Paused) => format!("{strategy}/Paused"),
            None if self.starts_once => format!("{strategy}/Started"),
            None => strategy.to_owned(),
        }
    }

    /// Whether the spec requires that the VM runs.
    pub(crate) fn runs(&self) -> bool {
        match self.run_strategy {
            RunStrategy::Halted => false,
            RunStrategy::Manual => self.starts_once,
            RunStrategy::Always | RunStrategy::RerunOnFailure | RunStrategy::Once => true,
        }
    }

    /// Whether KubeVirt starts the VM only when it comes from another run strategy. A stop that is under way then would end a
    /// VM that nothing starts again, so the strategy has to wait for it (`syncRunStrategy` of KubeVirt).
    fn starts_on_entry(&self) -> bool {
        matches!(
            self.run_strategy,
            RunStrategy::RerunOnFailure | RunStrategy::Once
        )
    }

    /// Whether the spec requires that the guest's CPUs are stopped.
    pub(crate) fn pauses(&self) -> bool {
        self.power_state == Some(PowerState::Paused)
    }

    /// Whether this power state was applied to the VM.
    pub(crate) fn is_applied(&self, vm: &VirtualMachineFact) -> bool {
        vm.power_wish.as_deref() == Some(&self.annotation())
    }

    /// The writes for the present state of the VM.
    pub(crate) fn power(
        &self,
        vm: Option<&VirtualMachineFact>,
        instance: Option<&VirtualMachineInstanceFact>,
    ) -> Power {
        let Some(vm) = vm else {
            return Power {
                run_strategy: self.run_strategy,
                repeats_observed: false,
                annotation: self.first_annotation(),
                call: None,
            };
        };
        let observed = vm
            .run_strategy
            .as_deref()
            .and_then(|name| name.parse().ok());
        let observed = observed.unwrap_or(self.run_strategy);
        if let Some(resumed) = Held::of(vm).and_then(|held| self.resumed(held, vm, instance)) {
            return resumed;
        }
        if self.is_applied(vm) {
            return Power {
                run_strategy: observed,
                repeats_observed: true,
                annotation: self.annotation(),
                call: None,
            };
        }
        let stops = instance.is_some_and(|instance| instance.meta.deleting);
        if (vm.changing_state || stops) && self.starts_on_entry() && observed != self.run_strategy {
            return Power {
                run_strategy: observed,
                repeats_observed: true,
                annotation: PENDING.into(),
                call: None,
            };
        }
        let noted_as_pending = vm.power_wish.as_deref() == Some(PENDING);
        let missing = self.missing(vm, instance, noted_as_pending);
        Power {
            run_strategy: self.run_strategy,
            repeats_observed: false,
            annotation: match missing {
                Missing::Nothing => self.annotation(),
                Missing::Call(_) | Missing::Time => PENDING.into(),
            },
            call: match missing {
                Missing::Call(call) if noted_as_pending => Some(call),
                _ => None,
            },
        }
    }

    /// The writes for a VM that a restore has stopped and that ran otherwise than the spec makes it run: a user had started or
    /// stopped it. `None`: the power state in the spec brings it back, or the spec has changed since.
    fn resumed(
        &self,
        held: Held,
        vm: &VirtualMachineFact,
        instance: Option<&VirtualMachineInstanceFact>,
    ) -> Option<Power> {
        let before = held.run_strategy;
        let manual = before == RunStrategy::Manual;
        let by_spec = before == self.run_strategy && !manual;
        if held.applied != self.annotation() || by_spec || self.pauses() {
            return None;
        }
        let switched = vm.run_strategy.as_deref() == Some(before.as_ref());
        let runs = switched && instance.is_some_and(|instance| !instance.meta.deleting);
        let is_off = instance.is_none() && vm.printable_status == "Stopped" && !vm.changing_state;
        Some(Power {
            run_strategy: before,
            repeats_observed: false,
            annotation: match manual && !runs {
                true => held::note(vm),
                false => self.annotation(),
            },
            call: (manual && switched && is_off).then_some(Call::Start),
        })
    }

    /// What this power state still needs, besides the run strategy.
    fn missing(
        &self,
        vm: &VirtualMachineFact,
        instance: Option<&VirtualMachineInstanceFact>,
        noted_as_pending: bool,
    ) -> Missing {
        let running = instance.is_some_and(|instance| instance.phase == "Running");
        let paused =
            running && instance.is_some_and(|instance| is_true(&instance.conditions, "Paused"));
        if self.pauses() {
            return match (paused, running) {
                (true, _) => Missing::Nothing,
                (false, true) => Missing::Call(Call::Pause),
                (false, false) => Missing::Time,
            };
        }
        // Once, when the VM is first created: a VM that had another power state applied had its start.
        if self.starts_once && noted_as_pending && instance.is_none() {
            return match vm.printable_status == "Stopped" && !vm.changing_state {
                true => Missing::Call(Call::Start),
                false => Missing::Time,
            };
        }
        match paused {
            true => Missing::Call(Call::Unpause),
            false => Missing::Nothing,
        }
    }
}

/// What a power state still needs, besides the run strategy.
enum Missing {
    Nothing,
    Call(Call),
    /// The VM has to come to a state in which the call can be made.
    Time,
}
