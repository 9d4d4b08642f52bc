//! `spec`: what the user asks for. The documentation here is what `kubectl explain wukong.spec` shows.

mod availability;
mod disk;
mod login;
mod network;
mod quantity;

pub use availability::*;
pub use disk::*;
pub use login::*;
pub use network::*;
pub use quantity::Quantity;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::WukongStatus;

/// A complete virtual machine: CPUs, memory, image, login user, networks, disks and availability.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::kubernetes_formats)]
#[kube(
    group = "vm.novasphere.dev",
    version = "v1alpha1",
    kind = "Wukong",
    plural = "wukongs",
    shortname = "wk",
    namespaced,
    status = "WukongStatus",
    derive = "PartialEq",
    doc = "A complete virtual machine in one manifest: the operator turns it into networks, disks, cloud-init and a KubeVirt VirtualMachine, and its status says in one line why the VM does not run.",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("metadata.name must be a DNS label: at most 63 characters and no dots"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "CPU", type_ = "integer", json_path = ".spec.cpu"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.memory"),
    printcolumn(name = "IP", type_ = "string", json_path = ".status.networks[0].ipAddress"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.nodeName"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.blocker.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.osImage", priority = 1),
    printcolumn(
        name = "Configuration",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"ConfigurationApplied\")].reason",
        priority = 1
    )
)]
#[x_kube(
    validation = Rule::new("!(has(self.userDataSecret) && has(self.cloudInitUser))")
        .message("userDataSecret replaces cloudInitUser: keep one of the two"),
    validation = Rule::new("!has(self.podNetwork) || self.podNetwork != 'None' || (has(self.networks) && size(self.networks) > 0)")
        .message("podNetwork: None leaves the VM without a NIC: add an entry to networks"),
    validation = Rule::new("!has(self.disks) || self.disks.filter(d, has(d.boot) && d.boot).size() <= 1")
        .message("at most one disk can have boot: true")
)]
pub struct WukongSpec {
    /// Virtual CPUs, as sockets of one core each, so that more can be hot-plugged.
    #[schemars(range(min = 1, max = 512))]
    pub cpu: u32,

    /// Guest memory as a Kubernetes quantity, at least 64Mi.
    pub memory: Quantity,

    /// Image of the boot disk when that disk names none: a URL (`http`, `https`, `docker`, `oci-archive`, `s3`, `gs`),
    /// a registry reference with a `/`, or a short name such as `ubuntu:24.04`, which the operator looks up under its
    /// image prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub os_image: Option<String>,

    /// Secret of the same namespace whose values are OpenSSH public keys for the login user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 51))]
    pub ssh_key_secret: Option<String>,

    /// The login user, made on first boot by cloud-init.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init_user: Option<CloudInitUser>,

    /// Secret of the same namespace with the key `userdata` (and optionally `networkdata`), used instead of the
    /// generated cloud-init data. When a network has an `ipConfig`, the generated network data are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub user_data_secret: Option<String>,

    /// Secondary NICs, in order, after the NIC on the pod network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 31))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub networks: Vec<Network>,

    /// The first NIC, `pod-network`. `None` needs at least one entry in `networks`. Default `Masquerade`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_network: Option<PodNetwork>,

    /// Disks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub disks: Vec<Disk>,

    /// Placement and restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_availability: Option<HighAvailability>,

    /// What happens to the VM when it is created, and when its guest stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_strategy: Option<StartStrategy>,

    /// Today's wish. Absent: what `startStrategy` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerState>,

    /// Who restarts the VM when a change needs a restart. Default `Manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_approval: Option<RestartApproval>,

    /// Firmware of the guest. Default `BIOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,

    /// Seconds that the guest gets for a clean shutdown. Default 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,
}

/// The NIC on the pod network.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum PodNetwork {
    /// The VM has a NIC behind NAT on the pod network.
    #[default]
    Masquerade,
    /// The VM has no NIC on the pod network.
    None,
}

/// The power state that the user wants now.
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum PowerState {
    /// The VM runs.
    Running,
    /// The VM is shut down.
    Stopped,
    /// The VM is started, and its CPUs are stopped.
    Paused,
}

/// Who restarts the VM when a change needs a restart.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum RestartApproval {
    /// A person does; the status says that a restart is needed.
    #[default]
    Manual,
    /// The operator does, at once.
    Automatic,
}

/// Firmware of the guest.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum Firmware {
    /// SeaBIOS.
    #[default]
    #[serde(rename = "BIOS")]
    Bios,
    /// UEFI without secure boot.
    #[serde(rename = "UEFI")]
    Uefi,
    /// UEFI with secure boot.
    #[serde(rename = "UEFISecureBoot")]
    UefiSecureBoot,
}

/// Drops the description of a type from the schema, so that the field of that type shows its own.
pub(crate) fn without_description(schema: &mut schemars::Schema) {
    schema.remove("description");
}
