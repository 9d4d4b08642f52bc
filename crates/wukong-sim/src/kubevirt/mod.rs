//! The simulation of KubeVirt, and of scheduler and kubelet below it.
//!
//! [`next`] decides the next single step of a VirtualMachine, its instance and its launcher pod from what is stored. The
//! states follow KubeVirt 1.9 as it was observed with its default configuration, the false and stale ones too.

mod arrival;
mod boot;
mod draft;
mod guest;
mod hotplug;
mod kubelet;
mod lifecycle;
mod live_update;
mod lost_node;
mod migration;
pub(crate) mod networks;
pub(crate) mod pod;
mod power;
mod status;
mod vmi;
mod volumes;

#[cfg(test)]
mod tests;

use super::change::{Manager, Moment, Step};
use super::field::Field;
use super::installation;
use super::world::{Kind, World};
pub use guest::pause;
pub(crate) use hotplug::is_attachment;
pub use networks::{asked_mac, definition, interfaces, resource};
pub(crate) use pod::next as next_pod;
pub use pod::{create_launcher, launcher};
pub use power::{Power, power};
pub(crate) use volumes::claim_names;

const VIRT: Manager = Manager::VirtController;
/// Finalizers of a VM and of its instance; the second is removed by virt-handler.
const CONTROLLER_FINALIZER: &str = "kubevirt.io/virtualMachineControllerFinalize";
const FOREGROUND_FINALIZER: &str = "kubevirt.io/foregroundDeleteVirtualMachine";

/// The settings of the KubeVirt installation that change behaviour.
#[derive(Clone, Copy, Debug)]
struct Settings {
    live_update: bool,
    emulation: bool,
    /// Whether KubeVirt migrates instances by itself so that changes reach them. It does not unless it is asked to.
    live_migrates: bool,
}

/// What people set in the KubeVirt resource.
fn configuration(world: &World) -> Option<Field<'_>> {
    Some(installation::found(world, Kind::KubeVirt)?.at("spec.configuration"))
}

impl Settings {
    fn of(world: &World) -> Self {
        let configuration = configuration(world);
        let text = |keys: &str| {
            configuration
                .as_ref()
                .map_or("", |field| field.at(keys).text())
        };
        let flag = |keys: &str| {
            configuration
                .as_ref()
                .is_some_and(|field| field.at(keys).is_true())
        };
        Self {
            live_update: text("vmRolloutStrategy") != "Stage",
            emulation: flag("developerConfiguration.useEmulation"),
            live_migrates: installation::found(world, Kind::KubeVirt).is_some_and(|found| {
                found
                    .at("spec.workloadUpdateStrategy.workloadUpdateMethods")
                    .items()
                    .any(|method| method.text() == "LiveMigrate")
            }),
        }
    }
}

/// The next step of the VirtualMachine of this name and of its instance, whichever of them exist.
pub fn next(world: &World, namespace: &str, name: &str, moment: &Moment) -> Step {
    if !installation::is_at_work(world, Kind::KubeVirt) {
        return Step::quiet();
    }
    let vm = world.get(Kind::Vm, namespace, name);
    let vmi = world.get(Kind::Vmi, namespace, name);
    let instance = || {
        vmi.as_ref().map_or_else(Step::quiet, |vmi| {
            vmi::next(world, vm.as_ref(), vmi, moment)
        })
    };
    let Some(vm) = &vm else {
        return instance();
    };
    let mut step = lifecycle::next(world, vm, vmi.as_ref(), moment);
    let settled = step.changes.is_empty();
    if settled {
        let below = instance();
        step.changes = below.changes;
        step.again = step.again.into_iter().chain(below.again).min();
    }
    // A VM that has just given its finalizer back is gone.
    if !lifecycle::is_released(&step) {
        step.changes
            .extend(status::change(world, vm, vmi.as_ref(), &step, moment));
    }
    step
}

fn is_deleting(object: &Field<'_>) -> bool {
    object.at("metadata.deletionTimestamp").is_set()
}

fn phase<'a>(vmi: &Field<'a>) -> &'a str {
    vmi.at("status.phase").text()
}

fn is_final(vmi: &Field<'_>) -> bool {
    matches!(phase(vmi), "Succeeded" | "Failed")
}

/// The effective run strategy, with the deprecated `running` translated.
fn run_strategy<'a>(vm: &Field<'a>) -> &'a str {
    match vm.at("spec.running").flag() {
        Some(true) => "Always",
        Some(false) => "Halted",
        None => vm.at("spec.runStrategy").text(),
    }
}
