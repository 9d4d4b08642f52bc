//! Facts of VirtualMachines and their instances.

use std::num::NonZeroU32;

use serde_json::Value;
use wukong_api::{Bytes, FIELD_MANAGER, labels};

use super::json::{list, printable, text};
use super::text::Text;
use super::{
    ConditionFact, Fact, MachineFact, Meta, bounded, conditions, generation, is_true, optional_text,
};
use crate::managed_fields;

/// Conditions of a VirtualMachine or an instance that report why it does not run.
const CONDITIONS: &[&str] = &[
    "AgentConnected",
    "AgentVersionNotSupported",
    "Failure",
    "LiveMigratable",
    "Paused",
    "PodScheduled",
    "Ready",
    "RestartRequired",
    "Synchronized",
];

/// The disks of a VirtualMachine, and the same place in a set of fields.
const DISKS: &str = "/spec/template/spec/domain/devices/disks";
const DISKS_FIELD: &str = "/f:spec/f:template/f:spec/f:domain/f:devices/f:disks";

/// Where virt-controller notes from which generation of its VM it created an instance (`kubevirt.io/vm-generation`). It
/// raises the number when the VM changes outside of its template.
const VM_GENERATION: &str = "/metadata/annotations/kubevirt.io~1vm-generation";

/// What KubeVirt reports on snapshots of the volumes.
const SNAPSHOT_STATUSES: &str = "/status/volumeSnapshotStatuses";

/// A VirtualMachine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VirtualMachineFact {
    /// Identity and owner.
    pub meta: Meta,
    /// `metadata.generation`: changes with the spec.
    pub generation: Option<NonZeroU32>,
    /// `spec.runStrategy`.
    pub run_strategy: Option<Text>,
    /// The power state that we asserted last ([`labels::POWER_WISH`]).
    pub power_wish: Option<Text>,
    /// Hash of the cloud-init Secret that was applied before it ([`labels::CLOUD_INIT_HASH`]).
    pub cloud_init_hash: Option<Text>,
    /// `status.printableStatus`.
    pub printable_status: Text,
    /// Whether a start, stop or restart is under way.
    pub changing_state: bool,
    /// A snapshot or restore of it that is in progress, as `Kind/name`.
    pub operation: Option<Text>,
    /// Whether KubeVirt reports of which volumes it can take a snapshot.
    pub reports_snapshots: bool,
    /// What most VMs have not.
    volumes: Option<Box<Volumes>>,
    /// Failed starts in a row.
    pub start_failures: u64,
    /// Names of its disks, those that were attached by hand included.
    pub disks: Box<[Text]>,
    /// Whether another writer changed the list of its disks after we applied it. (KubeVirt's `addvolume` does. The list
    /// has one owner, so applying ours would detach what that writer attached.)
    pub disks_by_hand: bool,
    /// Its conditions.
    pub conditions: Box<[ConditionFact]>,
}

/// What is special about the volumes of a VM.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Volumes {
    hotpluggable: Box<[Text]>,
    generations: Box<[(Text, u32)]>,
    restores: Box<[Text]>,
    not_snapshottable: Box<[(Text, Text)]>,
}

impl VirtualMachineFact {
    /// The generation of each disk that ever had more than one ([`labels::DISK_GENERATIONS`]).
    pub fn generations(&self) -> &[(Text, u32)] {
        self.volumes
            .as_ref()
            .map_or(&[], |volumes| &volumes.generations)
    }

    /// Names of its disks that KubeVirt plugs into the running guest.
    pub fn hotpluggable(&self) -> &[Text] {
        self.volumes
            .as_ref()
            .map_or(&[], |volumes| &volumes.hotpluggable)
    }

    /// Names of the restores that changed its disks ([`labels::RESTORES`]).
    pub fn restores(&self) -> &[Text] {
        self.volumes
            .as_ref()
            .map_or(&[], |volumes| &volumes.restores)
    }

    /// Volumes of claims of which KubeVirt cannot take a snapshot, each with its reason.
    pub fn not_snapshottable(&self) -> &[(Text, Text)] {
        self.volumes
            .as_ref()
            .map_or(&[], |volumes| &volumes.not_snapshottable)
    }
}

impl Volumes {
    fn project(object: &Value) -> Option<Box<Self>> {
        let volumes = Self {
            hotpluggable: hotpluggable(object, "/spec/template/spec/volumes").collect(),
            generations: generation::in_use(object),
            restores: generation::restores(object),
            not_snapshottable: not_snapshottable(object),
        };
        (volumes != Self::default()).then(|| Box::new(volumes))
    }
}

impl Fact for VirtualMachineFact {
    fn project(object: &Value) -> Self {
        let annotation = |key: &str| {
            object
                .pointer("/metadata/annotations")
                .and_then(|all| all.get(key))
                .and_then(Value::as_str)
                .map(Into::into)
        };
        let disks = object.pointer(DISKS).and_then(Value::as_array);
        Self {
            meta: Meta::project(object),
            generation: object
                .pointer("/metadata/generation")
                .and_then(Value::as_u64)
                .and_then(|generation| u32::try_from(generation).ok())
                .and_then(NonZeroU32::new),
            run_strategy: optional_text(object, "/spec/runStrategy"),
            power_wish: annotation(labels::POWER_WISH),
            cloud_init_hash: annotation(labels::CLOUD_INIT_HASH),
            printable_status: text(object, "/status/printableStatus"),
            changing_state: object
                .pointer("/status/stateChangeRequests")
                .and_then(Value::as_array)
                .is_some_and(|requests| !requests.is_empty()),
            operation: operation(object),
            reports_snapshots: object.pointer(SNAPSHOT_STATUSES).is_some(),
            volumes: Volumes::project(object),
            start_failures: object
                .pointer("/status/startFailure/consecutiveFailCount")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            disks: disks
                .into_iter()
                .flatten()
                .map(|disk| text(disk, "/name"))
                .collect(),
            disks_by_hand: managed_fields::owns(object, FIELD_MANAGER, DISKS_FIELD) == Some(false),
            conditions: conditions(object, CONDITIONS),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// The names of the volumes that are marked as hot-pluggable.
fn hotpluggable<'a>(object: &'a Value, volumes: &'a str) -> impl Iterator<Item = Text> + 'a {
    let marked = |volume: &Value| {
        ["dataVolume", "persistentVolumeClaim"].iter().any(|kind| {
            let mark = volume.get(kind).and_then(|kind| kind.get("hotpluggable"));
            mark == Some(&Value::Bool(true))
        })
    };
    list(object, volumes)
        .filter(move |volume| marked(volume))
        .map(|volume| text(volume, "/name"))
}

/// The volumes of claims that a snapshot would leave out. (Of other volumes, such as the cloud-init data, KubeVirt never takes one.)
fn not_snapshottable(object: &Value) -> Box<[(Text, Text)]> {
    const NEVER: &str = "Snapshot is not supported for this volumeSource type";
    let disabled = |status: &Value| {
        let reason = bounded(&text(status, "/reason"));
        let off = status.get("enabled").and_then(Value::as_bool) == Some(false);
        (off && !reason.starts_with(NEVER)).then(|| (text(status, "/name"), reason))
    };
    list(object, SNAPSHOT_STATUSES)
        .filter_map(disabled)
        .collect()
}

/// KubeVirt's webhook rejects changes of power, disks and volumes while one of these is in progress
/// (`pkg/storage/admitters` of KubeVirt).
fn operation(object: &Value) -> Option<Text> {
    [
        ("/status/snapshotInProgress", "VirtualMachineSnapshot"),
        ("/status/restoreInProgress", "VirtualMachineRestore"),
    ]
    .iter()
    .find_map(|(pointer, kind)| Some(format!("{kind}/{}", optional_text(object, pointer)?).into()))
}

/// A VirtualMachineInstance: the running guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualMachineInstanceFact {
    /// Identity and owner.
    pub meta: Meta,
    /// Generation of the VM that it was created from.
    pub vm_generation: Option<NonZeroU32>,
    /// `status.phase`.
    pub phase: Text,
    /// Node that it runs on.
    pub node: Option<Text>,
    /// Whether a migration is under way.
    pub migrating: bool,
    /// The virtual hardware of the guest.
    pub machine: Option<MachineFact>,
    /// Why its last migration failed.
    pub migration_failure: Option<Text>,
    /// Volumes that are plugged into the running guest, or out of it.
    pub plugged: Box<[PluggedVolume]>,
    /// Its NICs as they are.
    pub interfaces: Box<[InterfaceFact]>,
    /// Its conditions.
    pub conditions: Box<[ConditionFact]>,
}

/// A volume that KubeVirt plugs into a running guest, or out of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PluggedVolume {
    /// Name of the volume, which is the name of the disk.
    pub name: Text,
    /// KubeVirt's phase, such as `AttachedToNode`; `Ready`: the guest has it.
    pub phase: Text,
    /// KubeVirt's reason and message.
    pub message: Text,
    /// Name of the attachment pod.
    pub pod: Text,
}

impl PluggedVolume {
    /// Whether the guest has it.
    pub fn is_attached(&self) -> bool {
        self.phase == "Ready"
    }
}

/// A NIC of a running guest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InterfaceFact {
    /// Name of the NIC in the spec.
    pub name: Text,
    /// Its name in the guest.
    pub interface: Option<Text>,
    /// Its MAC address.
    pub mac: Option<Text>,
    /// Its addresses, without prefix length.
    pub addresses: Box<[Text]>,
    /// The source of the report, as KubeVirt names it.
    pub source: Option<Text>,
}

impl Fact for VirtualMachineInstanceFact {
    fn project(object: &Value) -> Self {
        let migration = object.pointer("/status/migrationState");
        let interfaces = object
            .pointer("/status/interfaces")
            .and_then(Value::as_array);
        Self {
            meta: Meta::project(object),
            vm_generation: text(object, VM_GENERATION).parse().ok(),
            phase: text(object, "/status/phase"),
            node: optional_text(object, "/status/nodeName").filter(|node| !node.is_empty()),
            migrating: migration.is_some_and(|state| {
                state.get("startTimestamp").is_some()
                    && state.get("completed").and_then(Value::as_bool) != Some(true)
                    && state.get("failed").and_then(Value::as_bool) != Some(true)
            }),
            migration_failure: migration_failure(object),
            plugged: list(object, "/status/volumeStatus")
                .filter_map(plugged)
                .collect(),
            machine: machine(object),
            interfaces: interfaces.into_iter().flatten().map(interface).collect(),
            conditions: conditions(object, CONDITIONS),
        }
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

fn migration_failure(object: &Value) -> Option<Text> {
    let state = object.pointer("/status/migrationState")?;
    let failed = state.get("failed").and_then(Value::as_bool) == Some(true);
    failed.then(|| bounded(&text(state, "/failureReason")))
}

fn plugged(volume: &Value) -> Option<PluggedVolume> {
    let hot_plugged = volume.get("hotplugVolume")?;
    Some(PluggedVolume {
        name: text(volume, "/name"),
        phase: text(volume, "/phase"),
        message: bounded(&text(volume, "/message")),
        pod: text(hot_plugged, "/attachPodName"),
    })
}

/// The virtual hardware of the guest, without the CPUs, memory, disks and NICs that KubeVirt has still to plug in.
fn machine(object: &Value) -> Option<MachineFact> {
    let mut machine = MachineFact::project(object)?;
    let plugging = conditions(object, &["HotVCPUChange", "HotMemoryChange"]);
    if is_true(&plugging, "HotVCPUChange") {
        let sockets = object.pointer("/status/currentCPUTopology/sockets");
        let sockets = sockets.and_then(Value::as_u64);
        machine.cpu = sockets
            .and_then(|sockets| sockets.try_into().ok())
            .or(machine.cpu);
    }
    if is_true(&plugging, "HotMemoryChange") {
        let memory = optional_text(object, "/status/memory/guestCurrent");
        machine.memory = memory.as_deref().and_then(Bytes::parse).or(machine.memory);
    }
    // virt-handler reports the NICs that the guest has. The others wait for a migration.
    let reported: Vec<Text> = list(object, "/status/interfaces")
        .map(|interface| text(interface, "/name"))
        .collect();
    let runs = text(object, "/status/phase") == "Running";
    let attached = |name: &str| {
        list(object, "/status/volumeStatus").any(|volume| {
            text(volume, "/name") == name && plugged(volume).is_none_or(|it| it.is_attached())
        })
    };
    let waiting: Vec<Text> = hotpluggable(object, "/spec/volumes")
        .filter(|name| runs && !attached(name))
        .collect();
    if !waiting.is_empty() {
        let all = machine.disks.into_iter();
        machine.disks = all
            .filter(|disk| !waiting.iter().any(|name| *name == disk.name))
            .collect();
    }
    if runs && !reported.is_empty() {
        let all = machine.nics.into_iter();
        machine.nics = all
            .filter(|nic| reported.iter().any(|name| *name == nic.name))
            .collect();
    }
    Some(machine)
}

fn interface(status: &Value) -> InterfaceFact {
    let bare = |address: &str| printable(address.split('/').next().unwrap_or_default());
    let mut addresses: Vec<Text> = status
        .get("ipAddresses")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(bare)
        .collect();
    if let Some(first) = optional_text(status, "/ipAddress").filter(|first| !first.is_empty())
        && !addresses.contains(&bare(&first))
    {
        addresses.insert(0, bare(&first));
    }
    InterfaceFact {
        name: text(status, "/name"),
        interface: optional_text(status, "/interfaceName"),
        mac: optional_text(status, "/mac"),
        addresses: addresses.into(),
        source: optional_text(status, "/infoSource"),
    }
}
