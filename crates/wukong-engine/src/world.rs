//! The cache: the facts of the cluster.

use crate::environment::Environment;
use crate::facts::{
    ClaimFact, DataVolumeFact, MigrationFact, ObjectFact, OperationFact, SnapshotFact, Store,
    VirtualMachineFact, VirtualMachineInstanceFact, VolumeFact, WukongRestoreFact,
    WukongSnapshotFact, WukongSnapshotScheduleFact,
};

/// The cache: one store for each kind.
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
    /// VirtualMachineSnapshots.
    pub vm_snapshots: Store<OperationFact>,
    /// WukongSnapshots.
    pub wukong_snapshots: Store<WukongSnapshotFact>,
    /// WukongSnapshotSchedules.
    pub snapshot_schedules: Store<WukongSnapshotScheduleFact>,
    /// WukongRestores.
    pub wukong_restores: Store<WukongRestoreFact>,
    /// PersistentVolumes of claims. Known only to who reads one cluster once, like the two kinds below.
    pub volumes: Store<VolumeFact>,
    /// VirtualMachineRestores.
    pub vm_restores: Store<OperationFact>,
    /// VirtualMachineInstanceMigrations.
    pub migrations: Store<MigrationFact>,
    /// The cluster itself.
    pub environment: Environment,
}

impl World {
    /// Copies to the environment which of our kinds the API server serves, after a change.
    pub fn update_environment(&mut self) {
        self.environment.virtual_machines = self.virtual_machines.presence();
        self.environment.data_volumes = self.data_volumes.presence();
        self.environment.nads = self.nads.presence();
    }
}
