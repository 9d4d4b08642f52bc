//! Everything that is known of the cluster.

use crate::environment::Environment;
use crate::facts::{
    ClaimFact, DataVolumeFact, ObjectFact, SnapshotFact, VirtualMachineFact,
    VirtualMachineInstanceFact,
};
use crate::store::Store;

/// Everything that is known of the cluster: one store per kind.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// VirtualMachines.
    pub virtual_machines: Store<VirtualMachineFact>,
    /// Their running guests.
    pub instances: Store<VirtualMachineInstanceFact>,
    /// DataVolumes.
    pub data_volumes: Store<DataVolumeFact>,
    /// Claims.
    pub claims: Store<ClaimFact>,
    /// NetworkAttachmentDefinitions.
    pub nads: Store<ObjectFact>,
    /// VolumeSnapshots.
    pub snapshots: Store<SnapshotFact>,
    /// CDI's DataSources.
    pub data_sources: Store<ObjectFact>,
    /// The cluster itself.
    pub environment: Environment,
}

impl World {
    /// Lets the environment know which of our kinds can be made, after one of them came or went.
    pub fn tell_environment(&mut self) {
        self.environment.virtual_machines = self.virtual_machines.presence();
        self.environment.data_volumes = self.data_volumes.presence();
        self.environment.nads = self.nads.presence();
    }
}
