//! Constants and states that VirtualMachines and instances share.

use crate::change::Manager;
use crate::field::Field;

pub const VIRT: Manager = Manager::VirtController;
/// Finalizers of a VM and of its instance; the second is removed by virt-handler.
pub const CONTROLLER_FINALIZER: &str = "kubevirt.io/virtualMachineControllerFinalize";
pub const FOREGROUND_FINALIZER: &str = "kubevirt.io/foregroundDeleteVirtualMachine";

/// Message of an instance while its launcher pod is deleted.
pub const TERMINATING: &str = "virt-launcher pod is terminating";

pub fn is_deleting(object: &Field<'_>) -> bool {
    object.at("metadata.deletionTimestamp").is_set()
}

pub fn phase<'a>(vmi: &Field<'a>) -> &'a str {
    vmi.at("status.phase").text()
}

pub fn is_final(vmi: &Field<'_>) -> bool {
    matches!(phase(vmi), "Succeeded" | "Failed")
}

/// The effective run strategy, with the deprecated `running` translated.
pub fn run_strategy<'a>(vm: &Field<'a>) -> &'a str {
    match vm.at("spec.running").flag() {
        Some(true) => "Always",
        Some(false) => "Halted",
        None => vm.at("spec.runStrategy").text(),
    }
}
