//! What KubeVirt's and CDI's admission webhooks refuse.
//!
//! Simulated from KubeVirt 1.9 with its default configuration (`pkg/virt-api/webhooks`, `pkg/network/admitter`,
//! `pkg/storage/admitters`) and CDI 1.66 (`pkg/apiserver/webhooks`). Agreement is about admitted or refused; the
//! messages are theirs where they help a reader.

mod cloud_init;
mod config;
mod cpu_memory;
mod credentials;
mod data_volume;
mod decode;
mod defaults;
mod devices;
mod disks;
mod guest;
mod migration;
mod names;
mod network;
mod placement;
mod pods;
mod run_strategy;
mod schema;
mod templates;
mod verdict;
mod volumes;

use serde_json::Value;

use super::field::Field;
pub use config::ClusterConfig;
pub use data_volume::admit_data_volume;
pub use defaults::{canonicalize_vm, default_vm, for_validation};
pub use migration::admit_migration;
pub use verdict::Denial;

pub(crate) use pods::{limit_ranges, quotas, reachable};
use verdict::Causes;

/// Can KubeVirt read this VirtualMachine at all? Its mutating webhook refuses what it cannot.
///
/// # Errors
/// The denial, with every cause found.
pub fn decode_vm(object: &Value) -> Result<(), Denial> {
    schema::check_vm(object)?;
    decode::check(object)
}

/// Would KubeVirt admit this VirtualMachine? `old` is the stored one on update, `None` on creation.
///
/// # Errors
/// The denial, with every cause found.
pub fn admit_vm(object: &Value, old: Option<&Value>, config: &ClusterConfig) -> Result<(), Denial> {
    decode_vm(object)?;
    if Field::new("", object)
        .at("metadata.deletionTimestamp")
        .is_set()
    {
        return Ok(());
    }
    let defaulted = for_validation(object);
    let vm = Field::new("", &defaulted);
    let spec = vm.child("spec");
    if old.is_none() {
        let mut causes = Causes::default();
        network::check_creation(&spec.at("template.spec"), &mut causes);
        causes.into_result()?;
    }
    let mut causes = Causes::default();
    check_spec(&spec, config, &mut causes);
    causes.into_result()?;

    let mut causes = Causes::default();
    templates::check_namespaces(&vm, old, &mut causes);
    if let Some(old) = old {
        run_strategy::check_update(object, old, &mut causes);
    }
    causes.into_result()
}

/// Whether the memory of a guest with this (completed) spec can grow up to `maximum` bytes while it runs.
pub(crate) fn can_grow_memory(vmi: &Field<'_>, maximum: i64) -> bool {
    cpu_memory::memory_hotplug_problem(vmi, super::quantity::Quantity::units(maximum)).is_none()
}

fn check_spec(spec: &Field<'_>, config: &ClusterConfig, causes: &mut Causes) {
    let template = spec.child("template");
    guest::check_metadata(&template.child("metadata"), config, causes);
    let vmi = template.child("spec");
    guest::check(&vmi, config, causes);
    cpu_memory::check(&vmi, config, causes);
    placement::check(&vmi, causes);
    network::check(&vmi, config, causes);
    disks::check(&vmi, config, causes);
    devices::check(&vmi, config, causes);
    volumes::check(&vmi, config, causes);
    cloud_init::check(&vmi, causes);
    credentials::check(&vmi, causes);
    templates::check(spec, causes);
    run_strategy::check(spec, config, causes);
    if config.live_update {
        cpu_memory::check_live_update(&vmi, causes);
    }
}
