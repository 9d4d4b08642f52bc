//! One valid Wukong with the facts of its objects.

use jiff::Timestamp;
use wukong_api::validated::Nic;
use wukong_api::{Reason, ValidatedWukong};

use crate::environment::addresses::Taken;
use crate::environment::bridges::Bridge;
use crate::environment::nodes::Nodes;
use crate::facts::{Presence, VirtualMachineFact, VirtualMachineInstanceFact};
use crate::observed::Observed;
use crate::ownership::{self, DiskSeen};
use crate::power::DesiredPower;
use crate::restoring::Restoring;
use crate::target::{Kind, Target};

/// One valid Wukong with the facts of its objects.
pub(crate) struct Situation<'a> {
    pub wukong: &'a ValidatedWukong,
    pub observed: &'a Observed<'a>,
    /// The VirtualMachine, if it is ours.
    pub vm: Option<&'a VirtualMachineFact>,
    pub instance: Option<&'a VirtualMachineInstanceFact>,
    pub disks: Vec<DiskSeen<'a>>,
    /// The NICs that the VM gets, or the ones that it waits for.
    pub nics: Result<Vec<&'a Nic>, Vec<&'a Nic>>,
    /// An address that another Wukong has.
    pub taken: Option<Taken>,
    pub power: DesiredPower,
    /// The bridges to make on nodes.
    pub bridges: Vec<Bridge>,
    /// The restore that has its turn.
    pub restoring: Option<Restoring<'a>>,
    /// When to decide again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

impl<'a> Situation<'a> {
    pub(crate) fn new(
        wukong: &'a ValidatedWukong,
        observed: &'a Observed<'a>,
        restoring: Option<Restoring<'a>>,
    ) -> Self {
        let (namespace, name) = (&wukong.identity.namespace, &wukong.identity.name);
        let world = observed.world;
        let vm = world.virtual_machines.get(namespace, name).present();
        let vm = vm.filter(|vm| vm.meta.is_controlled_by(&wukong.identity.uid));
        let instance = vm.and_then(|_| world.instances.get(namespace, name).present());
        let multus = world.nads.presence() != Presence::Missing;
        let nics = wukong.attached_nics(multus);
        Self {
            vm,
            instance,
            disks: ownership::disks(wukong, observed),
            taken: taken_by_another(wukong, nics.as_deref().unwrap_or_default(), observed),
            nics,
            power: DesiredPower::of(wukong),
            bridges: Bridge::wanted(wukong),
            restoring,
            wake_at: None,
            wukong,
            observed,
        }
    }

    pub(crate) fn vm_target(&self) -> Target {
        Target {
            kind: Kind::VirtualMachine,
            name: self.wukong.identity.name.clone(),
        }
    }

    /// Whether the VM can use a bridge that the operator makes on nodes.
    pub(crate) fn can_use(&self, bridge: &Bridge) -> bool {
        let environment = &self.observed.world.environment;
        let now = self.observed.now;
        bridge.is_usable(
            environment,
            &Nodes::new(environment, Some(self.wukong), now),
        )
    }
}

/// A MAC or static address that another Wukong has.
fn taken_by_another(wukong: &ValidatedWukong, nics: &[&Nic], observed: &Observed) -> Option<Taken> {
    let world = observed.world;
    [Reason::MACConflict, Reason::IPConflict]
        .into_iter()
        .find_map(|reason| {
            let addresses = &world.environment.addresses;
            addresses.taken(wukong, nics, reason, |other| {
                let vm = world.virtual_machines.get(&other.namespace, &other.name);
                vm.present()
                    .is_some_and(|vm| vm.meta.is_controlled_by(&other.uid))
            })
        })
}
