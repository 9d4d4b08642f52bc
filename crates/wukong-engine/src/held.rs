//! The note on a VM that is off for a restore: how it ran before.

use wukong_api::spec::RunStrategy;

use crate::facts::VirtualMachineFact;

/// Begin of the value of the power annotation of such a VM. No power state of a spec begins like it, so the operator applies a
/// power state after the restore.
const PREFIX: &str = "restore";

/// How a VM ran before a restore stopped it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Held<'a> {
    /// Its run strategy.
    pub run_strategy: RunStrategy,
    /// The power state that was applied last.
    pub applied: &'a str,
}

impl<'a> Held<'a> {
    /// What a VM notes.
    pub(crate) fn of(vm: &'a VirtualMachineFact) -> Option<Self> {
        let noted = vm.power_wish.as_deref()?.strip_prefix(PREFIX)?;
        let (run_strategy, applied) = noted.strip_prefix('/')?.split_once('/')?;
        Some(Self {
            run_strategy: run_strategy.parse().ok()?,
            applied,
        })
    }

    /// Whether the VM ran, or was about to.
    pub(crate) fn ran(&self) -> bool {
        self.run_strategy != RunStrategy::Halted
    }
}

/// The note for a VM that a restore stops; the same one as long as it is off.
pub(crate) fn note(vm: &VirtualMachineFact) -> String {
    let applied = vm.power_wish.as_deref().unwrap_or_default();
    match Held::of(vm) {
        Some(_) => applied.to_owned(),
        None => {
            let strategy = vm.run_strategy.as_deref().unwrap_or_default();
            format!("{PREFIX}/{strategy}/{applied}")
        }
    }
}
