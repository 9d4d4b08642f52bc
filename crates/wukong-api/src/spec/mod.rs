//! `spec`: what the user asks for. The documentation here is what `kubectl explain wukong.spec` shows.

mod availability;
mod compute;
mod disk;
mod login;
mod network;
mod quantity;

pub use availability::*;
pub use compute::*;
pub use disk::*;
pub use login::*;
pub use network::*;
pub use quantity::Quantity;

use std::collections::BTreeMap;

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

    /// Labels of the VirtualMachine, its instance and its pod, for Services, NetworkPolicies and cost reports. At most 32.
    /// A change reaches the VirtualMachine at once and the pod with the next start. Keys of `kubevirt.io`,
    /// `kubernetes.io`, `k8s.io`, `vm.novasphere.dev` and the key `app.kubernetes.io/managed-by` are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 63}
    ))]
    pub labels: BTreeMap<String, String>,

    /// Annotations of the VirtualMachine, its instance and its pod, such as the address annotations of a network
    /// plugin. At most 32, each value at most 4096 characters. A change reaches the VirtualMachine at once and the pod
    /// with the next start. Refused are the keys that `labels` refuses, those that attach networks
    /// (`k8s.v1.cni.cncf.io`, `v1.multus-cni.io`) and those that change the security profile of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = 32,
        "additionalProperties" = {"type": "string", "maxLength": 4096}
    ))]
    pub annotations: BTreeMap<String, String>,

    /// Processor architecture of the guest: `amd64`, `arm64` or `s390x`. Default: the default architecture of the
    /// KubeVirt installation. `arm64` takes `firmware: UEFI` only, no `sata` disks, and `cpuModel: host-passthrough` only;
    /// `s390x` takes no `firmware`, no `tpm` and no `sata` or `usb` disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,

    /// CPU model of the guest: `host-model`, `host-passthrough`, or a model name such as `Skylake-Server`. Default: the
    /// default of the KubeVirt installation, `host-model` unless configured. A named model limits the VM to nodes that
    /// offer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub cpu_model: Option<String>,

    /// Pins each vCPU to a physical CPU of its own. Needs nodes with the static CPU manager policy. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedicated_cpu: Option<bool>,

    /// Size of the huge pages that hold the guest memory: `2Mi` or `1Gi`. `memory` must be a multiple of it. Needs nodes
    /// with reserved huge pages of that size. Default: ordinary pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugepages: Option<HugepageSize>,

    /// Emulated TPM 2.0 of the guest. Default: none. Not on `architecture: s390x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Tpm>,

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

    /// IP family of the NIC on the pod network inside the guest: `IPv4`, `IPv6` or `DualStack`. KubeVirt gives the guest
    /// IPv4 by DHCP; IPv6 is a fixed address behind NAT (fd10:0:2::2/120), configured by cloud-init on the first boot. Take
    /// `IPv6` or `DualStack` only on a cluster whose pods have IPv6. Default `IPv4`. Excludes `podNetwork: None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_network_ip_family: Option<IpFamily>,

    /// Name servers of the guest on the pod network, at most 8. An IPv6-only pod network needs them: KubeVirt announces
    /// name servers by DHCPv4 only. Default: those of DHCP. Excludes `podNetwork: None`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 45)))]
    pub pod_network_dns_servers: Vec<String>,

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

    /// Field of other APIs, refused: write `powerState` or `startStrategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,

    /// Who restarts the VM when a change needs a restart. Default `Manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_approval: Option<RestartApproval>,

    /// Firmware of the guest: `BIOS`, `UEFI` or `UEFISecureBoot`. Default: the default of KubeVirt for the architecture,
    /// BIOS on amd64 and UEFI on arm64.
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

/// IP family of the NIC on the pod network.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum IpFamily {
    /// IPv4 by DHCP.
    #[default]
    #[serde(rename = "IPv4")]
    V4,
    /// A fixed IPv6 address.
    #[serde(rename = "IPv6")]
    V6,
    /// Both.
    DualStack,
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
#[derive(JsonSchema, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum Firmware {
    /// SeaBIOS.
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
