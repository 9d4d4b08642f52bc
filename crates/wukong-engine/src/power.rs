//! Power: who decides whether the VM runs.
//!
//! The wish that was carried out last is noted on the VirtualMachine. While the wish in the Wukong is the same, the VM
//! is left as somebody started or stopped it with `virtctl`; when the wish changes, it is asserted once.

use jiff::{SignedDuration, Timestamp};
use wukong_api::ValidatedWukong;
use wukong_api::spec::{PowerState, RestartApproval, RunStrategy};

use crate::decision::{Call, Called};
use crate::facts::{VirtualMachineFact, VirtualMachineInstanceFact, is_true};

/// Annotation value while a wish waits for a call to be carried out.
const PENDING: &str = "pending";
/// How long the effect of a call may take to show before it is called again.
const CALL_SETTLES: SignedDuration = SignedDuration::from_secs(30);

/// What the Wukong asks of the VM's power.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    run_strategy: RunStrategy,
    extra: Extra,
}

/// What a run strategy cannot say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Extra {
    Nothing,
    /// Start a `Manual` VM once.
    Start,
    /// Stop the guest's CPUs.
    Pause,
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

impl Wish {
    /// What the Wukong asks.
    pub fn of(wukong: &ValidatedWukong) -> Self {
        let extra = match wukong.power_state {
            Some(PowerState::Paused) => Extra::Pause,
            None if wukong.run_strategy == RunStrategy::Manual && wukong.auto_start => Extra::Start,
            _ => Extra::Nothing,
        };
        Self {
            run_strategy: wukong.desired_run_strategy(),
            extra,
        }
    }

    /// The note on a VM that is created now.
    pub fn first_annotation(&self) -> String {
        if self.extra == Extra::Nothing {
            self.annotation()
        } else {
            PENDING.into()
        }
    }

    /// Whether the VM is asked to run.
    pub(crate) fn runs(&self) -> bool {
        self.run_strategy != RunStrategy::Halted
    }

    fn annotation(&self) -> String {
        let strategy = self.run_strategy.as_ref();
        match self.extra {
            Extra::Nothing => strategy.to_owned(),
            Extra::Start => format!("{strategy}/Started"),
            Extra::Pause => format!("{strategy}/Paused"),
        }
    }

    /// What to send, given the VM as it is.
    pub(crate) fn power(
        &self,
        vm: Option<&VirtualMachineFact>,
        instance: Option<&VirtualMachineInstanceFact>,
    ) -> Power {
        let asserted = vm.and_then(|vm| vm.power_wish.as_deref());
        let running = instance.is_some_and(|instance| instance.phase == "Running");
        let paused = instance.is_some_and(|instance| is_true(&instance.conditions, "Paused"));
        if asserted == Some(&self.annotation()) {
            let observed = vm
                .and_then(|vm| vm.run_strategy.as_deref())
                .and_then(|name| name.parse().ok());
            return Power {
                run_strategy: observed.unwrap_or(self.run_strategy),
                repeats_observed: true,
                annotation: self.annotation(),
                call: None,
            };
        }
        let paused_by_us = paused && asserted.is_some_and(|wish| wish.ends_with("/Paused"));
        let (call, carried_out) = match self.extra {
            Extra::Nothing if paused_by_us => (Some(Call::Unpause), false),
            Extra::Nothing => (None, true),
            Extra::Pause => ((running && !paused).then_some(Call::Pause), paused),
            // Once, when the VM is first created: a VM that has another wish noted had its start.
            Extra::Start if asserted.is_some_and(|wish| wish != PENDING) => (None, true),
            Extra::Start => {
                let idle =
                    vm.is_some_and(|vm| !vm.changing_state && vm.printable_status == "Stopped");
                (
                    (idle && instance.is_none()).then_some(Call::Start),
                    instance.is_some(),
                )
            }
        };
        let annotation = match (carried_out, asserted) {
            (true, _) => self.annotation(),
            (false, Some(asserted)) if call == Some(Call::Unpause) => asserted.to_owned(),
            (false, _) => PENDING.into(),
        };
        Power {
            run_strategy: self.run_strategy,
            repeats_observed: false,
            annotation,
            call,
        }
    }
}

/// Whether the operator restarts the VM for a change that needs it.
pub(crate) fn restart(
    wukong: &ValidatedWukong,
    vm: Option<&VirtualMachineFact>,
    instance: Option<&VirtualMachineInstanceFact>,
) -> Option<Call> {
    let needed =
        vm.is_some_and(|vm| is_true(&vm.conditions, "RestartRequired") && !vm.changing_state);
    let running =
        instance.is_some_and(|instance| instance.phase == "Running" && !instance.meta.deleting);
    (wukong.restart_approval == RestartApproval::Automatic && needed && running)
        .then_some(Call::Restart)
}

/// The call, unless it was made a moment ago; in that case, when to look again.
pub(crate) fn not_twice(
    call: Call,
    called: Option<&Called>,
    now: Timestamp,
) -> Result<Call, Timestamp> {
    match called {
        Some(last) if last.call == call && now < last.at + CALL_SETTLES => {
            Err(last.at + CALL_SETTLES)
        }
        _ => Ok(call),
    }
}
