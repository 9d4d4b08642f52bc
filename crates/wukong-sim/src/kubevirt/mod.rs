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
mod launcher_pod;
mod lifecycle;
mod live_update;
mod lost_node;
mod migration;
pub(crate) mod networks;
mod object;
pub(crate) mod pod;
mod power;
mod settings;
mod status;
mod vmi;
mod volumes;

#[cfg(test)]
mod tests;

use super::change::{Moment, Step};
use super::installation;
use super::kind::Kind;
use super::world::World;
pub use guest::pause;
pub(crate) use hotplug::is_attachment;
pub use hotplug::is_plugged;
pub use launcher_pod::{create_launcher, launcher};
pub use networks::{definition, interfaces, requested_mac, resource};
pub(crate) use pod::next as next_pod;
pub use power::{Power, power};
pub(crate) use volumes::claim_names;

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
