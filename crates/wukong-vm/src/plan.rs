//! The VirtualMachine as a whole.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;
use wukong_api::owner::owner_reference;
use wukong_api::spec::{self, RunStrategy};
use wukong_api::validated::Nic;
use wukong_api::{ValidatedWukong, labels, names};

use crate::disks::{VolumeSource, disks};
use crate::group;
use crate::nics::nics;
use crate::virtual_machine::{
    AccessCredential, Bootloader, Cpu, Devices, Domain, Feature, Features, Firmware, Hugepages,
    InstanceSpec, Interface, KeySource, Memory, Network, PropagationMethod, Rng, SshPublicKey,
    Template, TemplateMetadata, VirtualMachine, VirtualMachineSpec,
};

/// Inputs of the plan besides the Wukong.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Secondary NICs that the VM gets, in order.
    pub nics: &'a [&'a Nic],
    /// NICs that the running guest loses, with their networks.
    pub leaving: &'a [(Interface, Network)],
    /// How the volumes name their claims, by disk name; by DataVolume where a disk is absent.
    pub volumes: &'a BTreeMap<String, VolumeSource>,
    /// Names of the disks that KubeVirt plugs into the running guest.
    pub hot_plugged: &'a BTreeSet<String>,
    /// The run strategy.
    pub run_strategy: RunStrategy,
    /// Power state that this object enforces: value of the annotation [`labels::POWER_WISH`].
    pub power_wish: &'a str,
    /// Hash of the cloud-init Secret that goes with this object: value of the annotation [`labels::CLOUD_INIT_HASH`].
    pub cloud_init_hash: &'a str,
    /// Names of the restores that changed its disks: value of the annotation [`labels::RESTORES`].
    pub restores: &'a str,
}

/// The VirtualMachine of a Wukong, complete: what we send to the API server, and no more.
///
/// Parents of fields that KubeVirt fills in (`firmware`, `features`, the template's labels) are always sent: KubeVirt
/// loses what it filled in when one of them goes away, and gives the machine another UUID.
pub fn virtual_machine(wukong: &ValidatedWukong, inputs: &Inputs) -> VirtualMachine {
    let identity = &wukong.identity;
    VirtualMachine {
        metadata: ObjectMeta {
            name: Some(identity.name.clone()),
            namespace: Some(identity.namespace.clone()),
            labels: Some(with(labels::of_child(&identity.name), &wukong.labels)),
            annotations: Some(with(own_annotations(wukong, inputs), &wukong.annotations)),
            owner_references: Some(vec![owner_reference(identity)]),
            ..ObjectMeta::default()
        },
        spec: VirtualMachineSpec {
            run_strategy: inputs.run_strategy,
            template: Template {
                metadata: template_metadata(wukong),
                spec: instance(wukong, inputs),
            },
        },
    }
}

fn own_annotations(wukong: &ValidatedWukong, inputs: &Inputs) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        (labels::POWER_WISH.to_owned(), inputs.power_wish.to_owned()),
        (
            labels::CLOUD_INIT_HASH.to_owned(),
            inputs.cloud_init_hash.to_owned(),
        ),
    ]);
    if !inputs.restores.is_empty() {
        annotations.insert(labels::RESTORES.to_owned(), inputs.restores.to_owned());
    }
    let mut generations: Vec<String> = wukong
        .disks
        .iter()
        .filter_map(|disk| Some(format!("{}={}", disk.name, disk.generation?)))
        .collect();
    generations.sort();
    if !generations.is_empty() {
        annotations.insert(labels::DISK_GENERATIONS.to_owned(), generations.join(","));
    }
    annotations
}

fn template_metadata(wukong: &ValidatedWukong) -> TemplateMetadata {
    let mut labels = labels::of_child(&wukong.identity.name);
    labels.insert(labels::GROUP.to_owned(), wukong.identity.group.clone());
    TemplateMetadata {
        labels: with(labels, &wukong.labels),
        annotations: wukong.annotations.clone(),
    }
}

/// Our entries and those of the user. No key is in both: validation refuses ours.
fn with(
    mut ours: BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (key, value) in theirs {
        ours.entry(key.clone()).or_insert_with(|| value.clone());
    }
    ours
}

fn instance(wukong: &ValidatedWukong, inputs: &Inputs) -> InstanceSpec {
    let (disks, volumes) = disks(wukong, inputs.volumes, inputs.hot_plugged)
        .into_iter()
        .unzip();
    let (interfaces, networks): (Vec<_>, _) = nics(wukong, inputs.nics)
        .into_iter()
        .chain(inputs.leaving.iter().cloned())
        .unzip();
    let placement = &wukong.placement;
    let machine = &wukong.machine;
    InstanceSpec {
        architecture: machine.architecture,
        domain: Domain {
            // Sockets are what KubeVirt can add to a running VM.
            cpu: Cpu {
                sockets: wukong.cpu,
                cores: 1,
                threads: 1,
                model: machine.cpu_model.clone(),
                dedicated_cpu_placement: machine.dedicated_cpu.then_some(true),
            },
            memory: Memory {
                guest: wukong.memory.to_string(),
                hugepages: machine.hugepages.map(|page_size| Hugepages { page_size }),
            },
            firmware: firmware(wukong),
            features: Features {
                acpi: Feature { enabled: true },
                smm: secure_boot(wukong).then_some(Feature { enabled: true }),
            },
            devices: Devices {
                autoattach_pod_interface: interfaces.is_empty().then_some(false),
                disks,
                interfaces,
                // A guest without it may wait for entropy on its first boot.
                rng: Rng {},
                tpm: machine.tpm,
            },
        },
        networks,
        volumes,
        access_credentials: access_credentials(wukong),
        node_selector: placement.node_selector.clone(),
        affinity: group::anti_affinity(wukong),
        topology_spread_constraints: group::zone_spread(wukong),
        tolerations: placement.tolerations.clone(),
        eviction_strategy: placement.eviction_strategy,
        termination_grace_period_seconds: wukong.termination_grace_period_seconds,
    }
}

fn firmware(wukong: &ValidatedWukong) -> Firmware {
    let derived = |purpose| names::derived_uuid(&wukong.identity.uid, purpose).to_string();
    Firmware {
        uuid: derived("firmware"),
        serial: derived("serial"),
        bootloader: wukong.firmware.map(|firmware| match firmware {
            spec::Firmware::Bios => Bootloader::Bios {},
            spec::Firmware::Uefi | spec::Firmware::UefiSecureBoot => Bootloader::Efi {
                secure_boot: secure_boot(wukong),
            },
        }),
    }
}

/// KubeVirt refuses secure boot without system management mode.
fn secure_boot(wukong: &ValidatedWukong) -> bool {
    wukong.firmware == Some(spec::Firmware::UefiSecureBoot)
}

fn access_credentials(wukong: &ValidatedWukong) -> Vec<AccessCredential> {
    let credential = |secret: &String| AccessCredential {
        ssh_public_key: SshPublicKey {
            source: KeySource::Secret {
                secret_name: secret.clone(),
            },
            propagation_method: PropagationMethod::NoCloud {},
        },
    };
    wukong.ssh_key_secret.iter().map(credential).collect()
}
