//! The settings of the KubeVirt installation that change behaviour.

use crate::field::Field;
use crate::installation;
use crate::kind::Kind;
use crate::world::World;

/// The settings of the KubeVirt installation that change behaviour.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub live_update: bool,
    pub emulation: bool,
    /// Whether KubeVirt migrates instances by itself so that changes reach them. The default is that it does not.
    pub live_migrates: bool,
}

/// Returns the configuration in the KubeVirt resource.
pub fn configuration(world: &World) -> Option<Field<'_>> {
    Some(installation::found(world, Kind::KubeVirt)?.at("spec.configuration"))
}

impl Settings {
    pub fn of(world: &World) -> Self {
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
