//! The disks that KubeVirt plugs into the running guest of a VM, and the NICs that it pulls out of it.

use std::collections::BTreeSet;

use wukong_api::validated::Disk;
use wukong_vm::virtual_machine::{Interface, InterfaceState, Network, NetworkSource};

use crate::changes::{self, RunningVm};
use crate::facts::{Presence, VirtualMachineInstanceFact};
use crate::situation::Situation;

impl<'a> Situation<'a> {
    /// The instance of the guest, while it is neither final nor being deleted.
    pub(crate) fn living_instance(&self) -> Option<&'a VirtualMachineInstanceFact> {
        self.instance.filter(|instance| {
            !matches!(instance.phase.as_str(), "Succeeded" | "Failed") && !instance.meta.deleting
        })
    }

    /// What decides how changes reach the guest.
    pub(crate) fn running_vm(&self) -> RunningVm {
        let world = self.observed.world;
        let mut running = RunningVm::new(world.environment.kubevirt(), self.living_instance());
        running.disks.without_cdi = world.data_volumes.presence() == Presence::Missing;
        running
    }

    /// Names of the disks to mark as hot-pluggable. A disk that the VM gets while it has an instance is marked: without the
    /// mark, KubeVirt requires a restart. It keeps the mark, because KubeVirt requires a restart without it, too.
    pub(crate) fn hot_plugged(&self) -> BTreeSet<String> {
        let Some(vm) = self.vm else {
            return BTreeSet::new();
        };
        let plugging = self.running_vm().disks;
        let plugs = plugging.by_spec == Some(true) && self.living_instance().is_some();
        let is_plugged = |disk: &&Disk| {
            let marked = vm.hotpluggable().iter().any(|name| *name == disk.name);
            let is_new = !vm.disks.iter().any(|name| *name == disk.name);
            (marked || (is_new && plugs)) && plugging.obstacle(disk).is_none()
        };
        let disks = self.wukong.disks.iter().filter(is_plugged);
        disks.map(|disk| disk.name.clone()).collect()
    }

    /// The NICs that the running guest has and the spec no longer has, as absent ones. KubeVirt requires a restart when a NIC of
    /// the instance is gone from the VM, so the VM names it until the instance has lost it.
    pub(crate) fn leaving_nics(&self) -> Vec<(Interface, Network)> {
        let instance = self.living_instance();
        let Some(machine) = instance
            .filter(|instance| instance.phase == "Running")
            .and_then(|instance| instance.machine.as_ref())
        else {
            return Vec::new();
        };
        let leaving = |nic: &&Interface| {
            let known = self.wukong.nics.iter().any(|known| known.name == nic.name);
            !known && changes::pulls(machine, nic)
        };
        let absent = |nic: &Interface| {
            let network = Network {
                name: nic.name.clone(),
                source: NetworkSource::Multus {
                    network_name: machine.networks.get(&nic.name)?.clone(),
                    default: None,
                },
            };
            let nic = Interface {
                state: Some(InterfaceState::Absent),
                ..nic.clone()
            };
            Some((nic, network))
        };
        machine
            .nics
            .iter()
            .filter(leaving)
            .filter_map(absent)
            .collect()
    }
}
