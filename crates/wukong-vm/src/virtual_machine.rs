//! The part of KubeVirt's `VirtualMachine` that we plan.
//!
//! KubeVirt's defaults and other writers decide all other fields: we own only the fields that we send. Where KubeVirt
//! takes exactly one of several fields, an enum takes their place.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, TopologySpreadConstraint};
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use wukong_api::spec::{
    Architecture, DiskBus, DiskCache, EvictionStrategy, HugepageSize, NicModel, RunStrategy,
    Toleration, Tpm,
};

/// Configuration of the VM and its run strategy.
#[derive(CustomResource, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "kubevirt.io",
    version = "v1",
    kind = "VirtualMachine",
    plural = "virtualmachines",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    doc = "A virtual machine of KubeVirt."
)]
pub struct VirtualMachineSpec {
    /// Run strategy: when KubeVirt starts the VM.
    pub run_strategy: RunStrategy,
    /// Template of the running instance.
    pub template: Template,
}

/// Template of the running instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Template {
    /// Labels of the instance and its pods.
    pub metadata: TemplateMetadata,
    /// The instance.
    pub spec: InstanceSpec,
}

/// Metadata of the instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TemplateMetadata {
    /// Labels of the instance and its pods.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the instance and its pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSpec {
    /// Processor architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The machine.
    pub domain: Domain,
    /// Networks of the interfaces, by the same names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Volumes of the disks, by the same names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Keys that reach the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_credentials: Vec<AccessCredential>,
    /// Labels that the node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Pods to avoid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Spread over the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Taints that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Behaviour at a node drain.
    pub eviction_strategy: EvictionStrategy,
    /// Seconds for a clean shutdown.
    pub termination_grace_period_seconds: i64,
}

/// The machine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Domain {
    /// Virtual CPUs.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Firmware and the machine's identity.
    pub firmware: Firmware,
    /// Features of the platform.
    pub features: Features,
    /// Devices.
    pub devices: Devices,
}

/// Virtual CPUs: sockets times cores times threads.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Sockets.
    pub sockets: u32,
    /// Cores of a socket.
    pub cores: u32,
    /// Threads of a core.
    pub threads: u32,
    /// CPU model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether each vCPU has a physical CPU of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated_cpu_placement: Option<bool>,
}

/// Memory.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Memory {
    /// What the guest sees, as a quantity in canonical form.
    pub guest: String,
    /// Huge pages that hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugepages: Option<Hugepages>,
}

/// Huge pages.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hugepages {
    /// Size of a page.
    pub page_size: HugepageSize,
}

/// Firmware and the machine's identity.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Firmware {
    /// UUID of the machine, and cloud-init's instance id.
    pub uuid: String,
    /// Serial number of the machine.
    pub serial: String,
    /// Boot loader; absent: the default for the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootloader: Option<Bootloader>,
}

/// Boot loader.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Bootloader {
    /// SeaBIOS.
    Bios {},
    /// UEFI.
    Efi {
        /// Whether only signed boot loaders start; needs system management mode.
        secure_boot: bool,
    },
}

/// Features of the platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Features {
    /// ACPI, which carries shutdown requests to the guest.
    pub acpi: Feature,
    /// System management mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smm: Option<Feature>,
}

/// A feature that is on or off.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Feature {
    /// Whether it is on.
    pub enabled: bool,
}

/// Devices.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    /// `false`: no NIC at all. KubeVirt would add one on the pod network otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoattach_pod_interface: Option<bool>,
    /// Disks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// NICs, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Source of randomness.
    pub rng: Rng,
    /// TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Tpm>,
}

/// Source of randomness, without settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Rng {}

/// A disk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Name of the disk and of its volume.
    pub name: String,
    /// Kind of device.
    #[serde(flatten)]
    pub device: DiskDevice,
    /// Place in the boot order, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_order: Option<u32>,
    /// Serial number in the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Host cache mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<DiskCache>,
    /// Whether the disk has an IO thread of its own.
    #[serde(
        default,
        rename = "dedicatedIOThread",
        skip_serializing_if = "Option::is_none"
    )]
    pub dedicated_io_thread: Option<bool>,
    /// Whether other VMs write to it at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shareable: Option<bool>,
}

/// Kind of device of a disk.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DiskDevice {
    /// A hard disk.
    Disk {
        /// Bus in the guest.
        bus: DiskBus,
        /// Whether the guest cannot write to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        readonly: Option<bool>,
    },
    /// A CD-ROM drive.
    Cdrom {
        /// Bus in the guest.
        bus: DiskBus,
    },
    /// A SCSI device passed through.
    Lun {
        /// Bus in the guest.
        bus: DiskBus,
    },
}

/// A NIC.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Name of the NIC and of its network.
    pub name: String,
    /// MAC address.
    pub mac_address: String,
    /// Device model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<NicModel>,
    /// State of its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<InterfaceState>,
    /// How it is tied to the network.
    #[serde(flatten)]
    pub binding: Binding,
}

/// State of a NIC.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceState {
    /// The link is up.
    Up,
    /// The link is down.
    Down,
    /// The NIC is being unplugged.
    Absent,
}

/// How a NIC is tied to its network.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Binding {
    /// Behind NAT; on the pod network only.
    Masquerade {},
    /// By a bridge inside the pod.
    Bridge {},
    /// By handing over a virtual function.
    Sriov {},
    /// By a plugin that is registered in the KubeVirt object.
    #[serde(rename = "binding")]
    Plugin {
        /// Name of the plugin.
        name: String,
    },
}

/// A network.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Network {
    /// Name of the network and of its NIC.
    pub name: String,
    /// Which network it is.
    #[serde(flatten)]
    pub source: NetworkSource,
}

/// Which network it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum NetworkSource {
    /// The cluster's pod network.
    Pod {},
    /// One that Multus attaches.
    Multus {
        /// NetworkAttachmentDefinition of the same namespace.
        network_name: String,
        /// Whether it is the first network of the pod.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        default: Option<bool>,
    },
}

/// A volume.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Volume {
    /// Name of the volume and of its disk.
    pub name: String,
    /// Content of the volume.
    #[serde(flatten)]
    pub content: VolumeContent,
}

/// Content of a volume.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum VolumeContent {
    /// The claim of a DataVolume. The VM's status follows the import.
    DataVolume {
        /// Name of the DataVolume and its claim.
        name: String,
        /// Whether KubeVirt plugs it into the running guest, and out of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hotpluggable: Option<bool>,
    },
    /// A claim.
    PersistentVolumeClaim {
        /// Name of the claim.
        claim_name: String,
        /// Whether KubeVirt plugs it into the running guest, and out of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hotpluggable: Option<bool>,
    },
    /// The disk inside a container image; nothing that is written to it stays.
    ContainerDisk {
        /// Registry reference.
        image: String,
    },
    /// A config drive, which Ignition reads.
    CloudInitConfigDrive {
        /// Secret with the key `userdata`.
        secret_ref: SecretReference,
    },
    /// A seed for cloud-init.
    CloudInitNoCloud {
        /// Secret with the key `userdata`.
        secret_ref: SecretReference,
        /// Secret with the key `networkdata`.
        network_data_secret_ref: SecretReference,
    },
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
}

/// Keys that reach the guest.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessCredential {
    /// Public keys of SSH users.
    pub ssh_public_key: SshPublicKey,
}

/// Public keys of SSH users.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SshPublicKey {
    /// Source of the keys.
    pub source: KeySource,
    /// Way of the keys into the guest.
    pub propagation_method: PropagationMethod,
}

/// Source of the keys.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum KeySource {
    /// A Secret. Its values are OpenSSH public keys.
    Secret {
        /// Its name.
        secret_name: String,
    },
}

/// Way of the keys into the guest.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PropagationMethod {
    /// In the metadata of the cloud-init seed.
    NoCloud {},
}
