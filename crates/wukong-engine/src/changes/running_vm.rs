//! How KubeVirt brings a change to a running VM.

use wukong_api::spec::Architecture;

use super::class::Class;
use super::plugging::DiskPlugging;
use crate::facts::{KubeVirtFact, VirtualMachineInstanceFact, find_condition};

/// How KubeVirt brings changes of a VirtualMachine to the running VM (`vmRolloutStrategy`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Rollout {
    /// At once, where that is possible.
    #[default]
    LiveUpdate,
    /// With the next restart.
    Stage,
}

/// Facts about KubeVirt and about a running VM that decide how a change reaches the guest.
///
/// KubeVirt plugs CPUs, memory and NICs into a guest by a live migration (`pkg/virt-controller/watch/vm` and
/// `pkg/virt-controller/watch/workload-updater` of KubeVirt).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunningVm {
    /// KubeVirt's `vmRolloutStrategy`.
    pub rollout: Rollout,
    /// Whether KubeVirt starts live migrations by itself to apply changes; `None`: unknown.
    pub migrates_by_itself: Option<bool>,
    /// Whether the VM can migrate, by its condition `LiveMigratable`; `None`: unknown.
    pub migratable: Option<bool>,
    /// Architecture of the guest; `None`: unknown.
    pub architecture: Option<Architecture>,
    /// How it gets and loses disks.
    pub disks: DiskPlugging,
}

impl RunningVm {
    /// Collects what KubeVirt's configuration and the instance say.
    pub fn new(
        kubevirt: Option<&KubeVirtFact>,
        instance: Option<&VirtualMachineInstanceFact>,
    ) -> Self {
        let strategy = kubevirt.and_then(|kubevirt| kubevirt.rollout_strategy.as_deref());
        let migratable = instance
            .and_then(|instance| find_condition(&instance.conditions, "LiveMigratable"))
            .and_then(|migratable| migratable.status.to_lowercase().parse().ok());
        Self {
            rollout: match strategy {
                Some("Stage") => Rollout::Stage,
                _ => Rollout::LiveUpdate,
            },
            migrates_by_itself: kubevirt.map(|kubevirt| kubevirt.migrates_for_updates),
            migratable,
            architecture: instance
                .and_then(|instance| instance.machine.as_ref())
                .and_then(|machine| machine.architecture),
            disks: DiskPlugging {
                by_spec: kubevirt.and_then(KubeVirtFact::plugs_disks),
                plugged: instance
                    .into_iter()
                    .flat_map(|instance| &instance.plugged)
                    .map(|volume| volume.name.to_string())
                    .collect(),
                without_cdi: false,
            },
        }
    }

    /// Whether KubeVirt plugs CPUs and memory into this guest: it does so on amd64. An unknown architecture counts as
    /// amd64.
    pub(super) fn plugs_cpu_and_memory(&self) -> bool {
        self.architecture
            .is_none_or(|architecture| architecture == Architecture::Amd64)
    }

    /// The class of a change that a live migration brings, and why. `what` is plugged in.
    pub(crate) fn by_migration(&self, what: &str) -> (Class, String) {
        if self.migratable == Some(false) {
            let why = format!(
                "KubeVirt plugs {what} into the guest by a live migration, and this VM cannot migrate: the next start brings the change"
            );
            return (Class::NeedsRestart, why);
        }
        let then = match self.migrates_by_itself {
            Some(false) => format!(
                "; KubeVirt starts none by itself ({NO_AUTOMATIC_MIGRATION}): migrate or restart the VM"
            ),
            _ => "; a VM that cannot migrate gets the change with its next start".to_owned(),
        };
        let why = format!("KubeVirt plugs {what} into the guest by a live migration{then}");
        (Class::HotPlug, why)
    }
}

/// The setting of the KubeVirt resource without which no change makes it migrate a VM.
pub(crate) const NO_AUTOMATIC_MIGRATION: &str =
    "spec.workloadUpdateStrategy.workloadUpdateMethods of the KubeVirt resource lacks LiveMigrate";
