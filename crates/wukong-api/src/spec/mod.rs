//! `spec`: the desired virtual machine. The documentation here is what `kubectl explain wukong.spec` shows.

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
    /// Number of vCPUs, 1 to 512, as sockets of one core each. On amd64, KubeVirt plugs more sockets into a running VM,
    /// up to 4 times the number at boot; fewer need a restart.
    #[schemars(range(min = 1, max = 512))]
    pub cpu: u32,

    /// Guest memory, a Kubernetes quantity of 64Mi to 64Ti. On amd64, KubeVirt plugs more memory into a running VM of
    /// at least 1Gi, in steps of 2Mi and up to 4 times the size at boot; less needs a restart.
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

    /// Image of the boot disk, if that disk has no `image`, `source` or `claim`: a URL (`http`, `https`, `docker`,
    /// `oci-archive`, `s3`, `gs`), a registry reference with a `/`, or a short name such as `ubuntu:24.04`, which the
    /// operator completes with its image prefix. Without `disks`, the VM runs from this container image and keeps no
    /// data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub os_image: Option<String>,

    /// Name of a WukongSnapshot of the same namespace, of this or another Wukong, with the initial content of the disks.
    /// Each disk without `source` and `claim` is a copy of the disk of the same name in the snapshot, instead of its `image`
    /// or `osImage`, and is at least as large as it was then. It fills new disks only: once the disks exist, another value is
    /// refused. To bring a snapshot back into an existing VM, create a WukongRestore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub restore_from_snapshot: Option<String>,

    /// Name of a Secret of the same namespace with OpenSSH public keys as values, at most 51 characters. cloud-init
    /// gives the keys to the login user on the first boot. Excludes `userDataFormat: Ignition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 51))]
    pub ssh_key_secret: Option<String>,

    /// Login user, created by cloud-init on the first boot. Excludes `userDataSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init_user: Option<CloudInitUser>,

    /// Name of a Secret of the same namespace with the key `userdata` and optionally `networkdata`. It replaces the
    /// generated cloud-init data. The operator still generates the network data if a network has an `ipConfig` or
    /// `guestVlans`, or with `podNetworkIpFamily` or `podNetworkDnsServers`. Excludes `cloudInitUser`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub user_data_secret: Option<String>,

    /// Reader of the user data in the guest: `CloudInit`, or `Ignition` for Flatcar and CoreOS, which read `userdata` from a
    /// config drive. `Ignition` needs `userDataSecret` and excludes `sshKeySecret`, `ipConfig`, `guestVlans`,
    /// `podNetworkIpFamily` and `podNetworkDnsServers`: write keys and addresses into the Ignition config. Default
    /// `CloudInit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_data_format: Option<UserDataFormat>,

    /// Secondary NICs, in order, after the NIC on the pod network. At most 31.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 31))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub networks: Vec<Network>,

    /// First NIC, `pod-network`: `Masquerade` connects it to the pod network behind NAT, `None` leaves it out and needs
    /// at least one entry in `networks`. Default `Masquerade`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_network: Option<PodNetwork>,

    /// IP family of the NIC on the pod network inside the guest: `IPv4`, `IPv6` or `DualStack`. KubeVirt gives the guest
    /// IPv4 by DHCP; IPv6 is a fixed address behind NAT (fd10:0:2::2/120), configured by cloud-init on the first boot. Take
    /// `IPv6` or `DualStack` only on a cluster that gives pods IPv6. Default `IPv4`. Excludes `podNetwork: None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_network_ip_family: Option<IpFamily>,

    /// Name servers of the guest on the pod network, at most 8. An IPv6-only pod network needs them: KubeVirt announces
    /// name servers by DHCPv4 only. Default: those of DHCP. Excludes `podNetwork: None`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 45)))]
    pub pod_network_dns_servers: Vec<String>,

    /// Disks, in order. At most 64. Removing a disk detaches it and keeps its claim. Without disks, the VM runs from
    /// `osImage` and keeps no data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub disks: Vec<Disk>,

    /// Placement, restart and eviction of the VM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high_availability: Option<HighAvailability>,

    /// Start of the VM after its creation and after its guest stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_strategy: Option<StartStrategy>,

    /// Power state to enforce: `Running`, `Stopped` or `Paused`. The operator enforces it once per change, so `virtctl
    /// start` and `stop` stay possible. Default: `startStrategy` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_state: Option<PowerState>,

    /// Field of other APIs, refused: write `powerState` or `startStrategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<bool>,

    /// Restart of the VM when a change needs one: `Manual` leaves it to a user, `Automatic` lets the operator restart
    /// it at once. Default `Manual`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_approval: Option<RestartApproval>,

    /// Firmware of the guest: `BIOS`, `UEFI` or `UEFISecureBoot`. Default: the default of KubeVirt for the architecture,
    /// BIOS on amd64 and UEFI on arm64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,

    /// Time for a clean shutdown of the guest in seconds, 0 to 86400. Default 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub termination_grace_period_seconds: Option<i64>,
}

impl WukongSpec {
    /// The same spec without passwords and their hashes: a hash reveals a weak password.
    #[must_use]
    pub fn without_passwords(mut self) -> Self {
        if let Some(user) = &mut self.cloud_init_user {
            user.password = None;
            user.password_hash = None;
        }
        self
    }
}

/// Reader of the user data in the guest.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum UserDataFormat {
    /// cloud-init.
    #[default]
    CloudInit,
    /// Ignition.
    Ignition,
}

/// NIC on the pod network.
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

/// Power state to enforce.
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

/// Restart of the VM when a change needs one.
#[derive(JsonSchema, Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[schemars(transform = without_description)]
pub enum RestartApproval {
    /// A user restarts it. The status shows the pending changes.
    #[default]
    Manual,
    /// The operator restarts it at once.
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

/// Removes the description of a type from the schema, so that a field of that type shows its own.
pub(crate) fn without_description(schema: &mut schemars::Schema) {
    schema.remove("description");
}
