//! A Wukong after every rule has been checked: the only input of the planners.
//!
//! These types cannot be constructed outside this crate, so every value satisfies the rules: names are names,
//! quantities are bytes, exactly one disk boots first, every reference is of the same namespace unless it names another
//! one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::spec::{
    AccessMode, Architecture, DiskBus, DiskCache, DiskKind, EvictionStrategy, Firmware,
    HugepageSize, IpFamily, LinkState, NetworkType, NicModel, OnMissingMultus, PowerState,
    PullMethod, ReclaimPolicy, RestartApproval, RunStrategy, Toleration, Tpm, UserDataFormat,
    VolumeMode,
};
use crate::{Bytes, Mac, names};

/// A Wukong after every rule has been checked. Made by [`ValidatedWukong::validate`] or `try_from`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidatedWukong {
    /// Name, namespace and uid.
    pub identity: Identity,
    /// Labels that the user gives to the VM and its pod.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the user gives to the VM and its pod.
    pub annotations: BTreeMap<String, String>,
    /// Virtual CPUs, 1 to 512.
    pub cpu: u32,
    /// Guest memory.
    pub memory: Bytes,
    /// Container image that the VM boots from when it has no disks at all, without scheme.
    pub ephemeral_image: Option<String>,
    /// Disks in order; at most one has `boot`, and exactly one when there is any.
    pub disks: Vec<Disk>,
    /// MAC of the NIC on the pod network; `None` without that NIC.
    pub pod_nic: Option<Mac>,
    /// IP family of the NIC on the pod network.
    pub pod_ip_family: IpFamily,
    /// Name servers on the pod network; empty: those of DHCP.
    pub pod_dns_servers: Vec<IpAddr>,
    /// Secondary NICs in order.
    pub nics: Vec<Nic>,
    /// Source of the user data of cloud-init.
    pub login: Login,
    /// Reader of the user data in the guest.
    pub user_data_format: UserDataFormat,
    /// Secret with public keys of the login user.
    pub ssh_key_secret: Option<String>,
    /// Placement.
    pub placement: Placement,
    /// The run strategy after all defaults, without regard to `power_state`.
    pub run_strategy: RunStrategy,
    /// Whether a VM of strategy `Manual` is started when it is first created.
    pub auto_start: bool,
    /// Power state to enforce; `None`: the run strategy decides.
    pub power_state: Option<PowerState>,
    /// Restart of the VM when a change needs one.
    pub restart_approval: RestartApproval,
    /// Firmware of the guest; `None`: the default of KubeVirt for the architecture.
    pub firmware: Option<Firmware>,
    /// Architecture and hardware of the guest.
    pub machine: Machine,
    /// Seconds for a clean shutdown.
    pub termination_grace_period_seconds: i64,
}

/// Architecture and hardware of the guest.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Machine {
    /// Processor architecture; `None`: the default of the KubeVirt installation.
    pub architecture: Option<Architecture>,
    /// CPU model; `None`: the default of the KubeVirt installation.
    pub cpu_model: Option<String>,
    /// Whether each vCPU has a physical CPU of its own.
    pub dedicated_cpu: bool,
    /// Size of the huge pages that hold the guest memory; `None`: ordinary pages.
    pub hugepages: Option<HugepageSize>,
    /// TPM; `None`: the guest has none.
    pub tpm: Option<Tpm>,
}

/// Identity of the Wukong that the objects belong to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// Name of the Wukong, a DNS label; also the VirtualMachine's.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid; for a Wukong that no API server has seen, a UUID derived from namespace and name.
    pub uid: String,
    /// Name of the group for anti-affinity and spread.
    pub group: String,
}

/// Source of the user data of cloud-init.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Login {
    /// No user beyond what the image has.
    ImageDefault,
    /// A login user.
    User(User),
    /// The user data of this Secret instead of ours.
    Secret(String),
}

/// The login user.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct User {
    /// User name.
    pub name: String,
    /// Password.
    pub password: Option<Password>,
    /// Sudoers rule; `None`: no sudo.
    pub sudo: Option<String>,
    /// Login shell.
    pub shell: String,
    /// Supplementary groups.
    pub groups: Vec<String>,
    /// Whether the password is locked.
    pub lock_password: bool,
}

impl std::fmt::Debug for User {
    /// Omits the password, so that no log line shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A password.
#[derive(Clone, PartialEq)]
pub enum Password {
    /// In plain text.
    Plain(String),
    /// As a crypt(3) string.
    Hash(String),
}

/// A disk.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Disk {
    /// Name, a DNS label.
    pub name: String,
    /// Size as the guest sees it; 0 for an existing claim.
    pub size: Bytes,
    /// StorageClass; `None`: the default class.
    pub storage_class: Option<String>,
    /// Whether the VM boots from it.
    pub boot: bool,
    /// Source of the content.
    pub source: Source,
    /// Access modes; empty: those of the StorageProfile.
    pub access_modes: Vec<AccessMode>,
    /// Volume mode; `None`: that of the StorageProfile.
    pub volume_mode: Option<VolumeMode>,
    /// Bus in the guest.
    pub bus: DiskBus,
    /// Kind of device in the guest.
    pub kind: DiskKind,
    /// Data after deletion of the Wukong.
    pub reclaim_policy: ReclaimPolicy,
    /// Host cache mode; `None`: KubeVirt's default.
    pub cache: Option<DiskCache>,
    /// Whether the disk has an IO thread of its own.
    pub dedicated_io_thread: bool,
    /// Whether other VMs write to it at the same time.
    pub shareable: bool,
    /// Serial number in the guest.
    pub serial: String,
    /// Generation in use; `None` for a disk that never had more than one. The spec does not say it: see
    /// [`ValidatedWukong::with_generations`].
    pub generation: Option<u32>,
}

/// Source of a disk's content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// None: the disk starts empty.
    Blank,
    /// A file on a web server.
    Http {
        /// `http` or `https` URL without credentials.
        url: String,
        /// Secret with user and password.
        secret: Option<String>,
        /// ConfigMap with certificates.
        certificates: Option<String>,
        /// Digest, `algorithm:hex`.
        checksum: Option<String>,
    },
    /// A container disk.
    Registry {
        /// `docker` or `oci-archive` URL.
        url: String,
        /// Puller of the image; `None`: CDI's default.
        pull_method: Option<PullMethod>,
        /// Secret with user and password.
        secret: Option<String>,
        /// ConfigMap with certificates.
        certificates: Option<String>,
    },
    /// An object in S3.
    S3 {
        /// URL as CDI takes it.
        url: String,
        /// Secret with the access key.
        secret: Option<String>,
        /// ConfigMap with certificates.
        certificates: Option<String>,
    },
    /// An object in Google Cloud Storage.
    Gcs {
        /// URL as CDI takes it.
        url: String,
        /// Secret with the access key.
        secret: Option<String>,
    },
    /// A copy of a claim.
    Claim(String),
    /// A copy of a VolumeSnapshot.
    Snapshot(String),
    /// A copy of the disk of the same name in a WukongSnapshot.
    WukongSnapshot {
        /// Name of the WukongSnapshot.
        name: String,
        /// VolumeSnapshot of the disk; `None` until it can be copied. The spec does not say it: see
        /// [`ValidatedWukong::with_volume_snapshots`].
        volume: Option<String>,
    },
    /// A copy of what a DataSource points to.
    DataSource {
        /// Name of the DataSource.
        name: String,
        /// Its namespace; `None`: the namespace of the Wukong.
        namespace: Option<String>,
    },
    /// None: this existing claim is used as it is.
    Existing(String),
}

/// A secondary NIC.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Nic {
    /// Name, a DNS label.
    pub name: String,
    /// Kind of network.
    pub kind: NetworkType,
    /// The NetworkAttachmentDefinition.
    pub attachment: Attachment,
    /// VLAN, 1 to 4094.
    pub vlan: Option<u16>,
    /// Bridge on the node; `None` for the kinds that have none.
    pub bridge: Option<String>,
    /// MAC address.
    pub mac: Mac,
    /// Whether the manifest gives the MAC address. A derived one is unique.
    pub mac_given: bool,
    /// MTU in bytes.
    pub mtu: Option<u16>,
    /// Device-plugin or marker resource.
    pub resource: Option<String>,
    /// Addresses in the guest; `None`: up without an address.
    pub ip: Option<GuestIp>,
    /// Device model; `None`: virtio.
    pub model: Option<NicModel>,
    /// Link; `None`: up.
    pub link_state: Option<LinkState>,
    /// Whether the network is the first one of the pod.
    pub primary: bool,
    /// VLANs that the guest tags on it.
    pub guest_vlans: Vec<GuestVlan>,
    /// Behaviour while Multus is not installed.
    pub on_missing_multus: OnMissingMultus,
    /// Whether NMState makes the bridge.
    pub node_network: Option<NodeNetwork>,
}

/// The NetworkAttachmentDefinition of a NIC, in the namespace of the Wukong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Attachment {
    /// It exists already.
    Existing(String),
    /// The operator creates it.
    Planned(String),
}

impl Attachment {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Existing(name) | Self::Planned(name) => name,
        }
    }
}

/// A bridge that NMState makes on nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NodeNetwork {
    /// Name of the node's NIC that becomes the bridge's port.
    pub uplink: String,
    /// Labels of the nodes; empty: every node.
    pub node_selector: BTreeMap<String, String>,
    /// Whether the operator's settings allow it.
    pub managed: bool,
}

/// Addresses of a NIC in the guest.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GuestIp {
    /// Static addresses; empty: DHCP.
    pub addresses: Vec<IpNet>,
    /// Default gateway.
    pub gateway: Option<IpAddr>,
    /// Whether the gateway and next hops are reached directly, also outside the prefixes of the addresses.
    pub gateway_on_link: bool,
    /// Name servers.
    pub dns_servers: Vec<IpAddr>,
    /// Search domains.
    pub search_domains: Vec<String>,
    /// Static routes.
    pub routes: Vec<GuestRoute>,
}

/// A VLAN that the guest tags on a NIC.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GuestVlan {
    /// VLAN ID, 1 to 4094.
    pub id: u16,
    /// Addresses; `None`: up without an address.
    pub ip: Option<GuestIp>,
}

/// A static route in the guest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuestRoute {
    /// Destination; `None`: the default route.
    pub to: Option<IpNet>,
    /// Next hop.
    pub via: IpAddr,
}

/// Placement of the VM.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Placement {
    /// Whether VMs of the group avoid one node.
    pub anti_affinity: bool,
    /// Whether VMs of the group are spread over zones.
    pub topology_spread: bool,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// Behaviour at a node drain.
    pub eviction_strategy: EvictionStrategy,
}

impl ValidatedWukong {
    /// Returns the run strategy of the VirtualMachine for the desired power state.
    pub fn desired_run_strategy(&self) -> RunStrategy {
        match self.power_state {
            None => self.run_strategy,
            Some(PowerState::Stopped) => RunStrategy::Halted,
            Some(PowerState::Running | PowerState::Paused) => match self.run_strategy {
                // The power state Running needs a strategy that starts the VM without a user.
                RunStrategy::Halted | RunStrategy::Manual => RunStrategy::Always,
                strategy => strategy,
            },
        }
    }

    /// The secondary NICs that the VM gets: all of them with Multus; without it none, or `Err` with the NICs that
    /// forbid to start without them. A VM that would be left without any NIC waits for Multus, too.
    ///
    /// # Errors
    /// The NICs that the VM has to wait for.
    pub fn attached_nics(&self, multus: bool) -> Result<Vec<&Nic>, Vec<&Nic>> {
        if multus {
            return Ok(self.nics.iter().collect());
        }
        let blocks =
            |nic: &&Nic| nic.on_missing_multus == OnMissingMultus::Block || self.pod_nic.is_none();
        let waiting: Vec<&Nic> = self.nics.iter().filter(blocks).collect();
        if waiting.is_empty() {
            Ok(Vec::new())
        } else {
            Err(waiting)
        }
    }

    /// The disk with this name.
    pub fn disk(&self, name: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.name == name)
    }

    /// The same Wukong with these generations of its disks, by disk. A disk that is absent never had more than one.
    #[must_use]
    pub fn with_generations(mut self, generations: &BTreeMap<String, u32>) -> Self {
        for disk in &mut self.disks {
            let generation = generations.get(&disk.name).copied();
            disk.generation = generation.filter(|_| !matches!(disk.source, Source::Existing(_)));
        }
        self
    }

    /// The same Wukong with these VolumeSnapshots of the disks that are copies of a WukongSnapshot, by disk.
    #[must_use]
    pub fn with_volume_snapshots(mut self, volumes: &BTreeMap<String, String>) -> Self {
        for disk in &mut self.disks {
            if let Source::WukongSnapshot { volume, .. } = &mut disk.source {
                *volume = volumes.get(&disk.name).cloned();
            }
        }
        self
    }

    /// Name of the claim of a disk, and of its DataVolume if it has one, in the generation that is in use.
    pub fn claim_name(&self, disk: &Disk) -> String {
        match &disk.source {
            Source::Existing(claim) => claim.clone(),
            _ => {
                let generation = disk.generation.unwrap_or(1);
                names::claim_of_generation(&self.identity.name, &disk.name, generation)
            }
        }
    }
}
