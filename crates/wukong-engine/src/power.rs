//! Power: who decides whether the VM runs.
//!
//! The wish that was carried out last is noted on the VirtualMachine. While the wish in the Wukong is the same, the VM
//! is left as somebody started or stopped it with `virtctl`; when the wish changes, it is asserted once. A wish that a
//! run strategy cannot express is carried out by a call; it is noted as pending before the call is made, so neither a
//! crash nor a wish that is taken back in between can lose it.

use wukong_api::ValidatedWukong;
use wukong_api::spec::{PowerState, RunStrategy};

use crate::call::Call;
use crate::facts::{VirtualMachineFact, VirtualMachineInstanceFact, is_true};

/// Annotation value while a wish waits for a call to be carried out.
const PENDING: &str = "pending";
/// What the Wukong asks of the VM's power.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DesiredPower {
    run_strategy: RunStrategy,
    power_state: Option<PowerState>,
    /// Whether a `Manual` VM is started once, when it is first created.
    starts_once: bool,
}

/// What to send for the VM's power.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Power {
    /// The run strategy to apply.
    pub run_strategy: RunStrategy,
    /// Whether it is only repeated because somebody else may have set it: then the VM must not have changed meanwhile.
    pub repeats_observed: bool,
    /// The annotation to apply.
    pub annotation: String,
    /// The subresource to call now.
    pub call: Option<Call>,
}

impl DesiredPower {
    /// What the Wukong asks.
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

    /// The note on a VM on which this wish was carried out, so that what the VM does is somebody else's doing.
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

    /// Whether the VM is asked to run.
    pub(crate) fn runs(&self) -> bool {
        match self.run_strategy {
            RunStrategy::Halted => false,
            RunStrategy::Manual => self.starts_once,
            RunStrategy::Always | RunStrategy::RerunOnFailure | RunStrategy::Once => true,
        }
    }

    /// Whether the guest's CPUs are asked to stand still.
    pub(crate) fn pauses(&self) -> bool {
        self.power_state == Some(PowerState::Paused)
    }

    /// Whether this wish was carried out on the VM.
    pub(crate) fn is_carried_out(&self, vm: &VirtualMachineFact) -> bool {
        vm.power_wish.as_deref() == Some(&self.annotation())
    }

    /// What to send, given the VM as it is.
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
        if self.is_carried_out(vm) {
            let observed = vm
                .run_strategy
                .as_deref()
                .and_then(|name| name.parse().ok());
            return Power {
                run_strategy: observed.unwrap_or(self.run_strategy),
                repeats_observed: true,
                annotation: self.annotation(),
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

    /// What the wish still needs, besides the run strategy.
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
        // Once, when the VM is first created: a VM that had another wish carried out had its start.
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

/// What a wish still needs, besides the run strategy.
enum Missing {
    Nothing,
    Call(Call),
    /// The VM has to come to a state in which the call can be made.
    Time,
}
