//! The virtual hardware of a guest, as far as a Wukong specifies it.

use litemap::LiteMap;
use serde_json::{Value, json};
use wukong_api::spec::{Architecture, EvictionStrategy, HugepageSize, Toleration, Tpm};
use wukong_api::{Bytes, labels};
use wukong_vm::virtual_machine::{Bootloader, Disk, Interface};

use super::json::{printable, text, typed};
use super::optional_text;
use crate::managed_fields;

/// A map of few entries, in one allocation.
type Pairs = LiteMap<String, String>;

/// The virtual hardware of a guest. Unreadable fields are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MachineFact {
    /// Sockets.
    pub cpu: Option<u32>,
    /// Guest memory.
    pub memory: Option<Bytes>,
    /// Processor architecture.
    pub architecture: Option<Architecture>,
    /// CPU model.
    pub cpu_model: Option<String>,
    /// Whether each vCPU has a physical CPU of its own.
    pub dedicated_cpu: bool,
    /// Huge pages that hold the guest memory.
    pub hugepages: Option<HugepageSize>,
    /// TPM.
    pub tpm: Option<Tpm>,
    /// Boot loader.
    pub bootloader: Option<Bootloader>,
    /// Disks in order, without cloud-init's and without the one of the image.
    pub disks: Box<[Disk]>,
    /// Claims by disk.
    pub claims: Pairs,
    /// Container image that a guest without disks runs from.
    pub image: Option<String>,
    /// NICs in order.
    pub nics: Box<[Interface]>,
    /// NetworkAttachmentDefinitions by NIC.
    pub networks: Pairs,
    /// NIC on the first network of the pod, where that is not the pod network.
    pub primary: Option<String>,
    /// Labels that the node must have.
    pub node_selector: Pairs,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// Whether it keeps away from other pods.
    pub anti_affinity: bool,
    /// Whether it is spread over zones.
    pub topology_spread: bool,
    /// What happens when the node is drained.
    pub eviction_strategy: Option<EvictionStrategy>,
    /// Seconds for a clean shutdown.
    pub termination_grace_period_seconds: Option<i64>,
    /// Labels, without those of KubeVirt and ours.
    pub labels: Pairs,
    /// Annotations, without those of KubeVirt and ours.
    pub annotations: Pairs,
    /// Label of its group.
    pub group: Option<String>,
}

impl MachineFact {
    /// Of an instance, or of the template of a VirtualMachine, which has the same form; `None` when it describes none.
    pub fn project(object: &Value) -> Option<Self> {
        let spec = object.get("spec")?;
        let domain = spec.get("domain")?;
        let volumes = || items(spec.get("volumes"));
        // Those that a Wukong does not list.
        let others: Vec<_> = volumes()
            .filter(|volume| {
                volume.get("cloudInitNoCloud").is_some()
                    || volume.get("cloudInitConfigDrive").is_some()
                    || volume.get("containerDisk").is_some()
            })
            .map(|volume| text(volume, "/name"))
            .collect();
        let disks = items(domain.pointer("/devices/disks"));
        let networks = items(spec.get("networks")).filter_map(|network| {
            let definition = optional_text(network, "/multus/networkName")?;
            Some((text(network, "/name").into(), definition.into()))
        });
        let labels = object.pointer("/metadata/labels");
        Some(Self {
            cpu: typed(domain.pointer("/cpu/sockets")),
            memory: optional_text(domain, "/memory/guest")
                .as_deref()
                .and_then(Bytes::parse),
            architecture: typed(spec.get("architecture")),
            cpu_model: optional_text(domain, "/cpu/model").map(Into::into),
            dedicated_cpu: typed(domain.pointer("/cpu/dedicatedCpuPlacement")).unwrap_or_default(),
            hugepages: typed(domain.pointer("/memory/hugepages/pageSize")),
            tpm: typed(domain.pointer("/devices/tpm")),
            bootloader: typed(domain.pointer("/firmware/bootloader")),
            disks: disks
                .filter_map(|disk| typed::<Disk>(Some(disk)))
                .filter(|disk| !others.iter().any(|name| *name == disk.name))
                .collect(),
            claims: volumes()
                .filter_map(|volume| {
                    let claim = optional_text(volume, "/persistentVolumeClaim/claimName")
                        .or_else(|| optional_text(volume, "/dataVolume/name"))?;
                    Some((text(volume, "/name").into(), claim.into()))
                })
                .collect(),
            image: volumes()
                .find_map(|volume| optional_text(volume, "/containerDisk/image"))
                .map(Into::into),
            nics: items(domain.pointer("/devices/interfaces"))
                .filter_map(|nic| typed(Some(nic)))
                .collect(),
            networks: networks.collect(),
            primary: items(spec.get("networks"))
                .find(|network| network.pointer("/multus/default") == Some(&Value::Bool(true)))
                .map(|network| text(network, "/name").into()),
            node_selector: typed(spec.get("nodeSelector")).unwrap_or_default(),
            tolerations: typed(spec.get("tolerations")).unwrap_or_default(),
            anti_affinity: spec.pointer("/affinity/podAntiAffinity").is_some(),
            topology_spread: items(spec.get("topologySpreadConstraints"))
                .next()
                .is_some(),
            eviction_strategy: typed(spec.get("evictionStrategy")),
            termination_grace_period_seconds: typed(spec.get("terminationGracePeriodSeconds")),
            labels: metadata(labels),
            annotations: metadata(object.pointer("/metadata/annotations")),
            group: labels
                .and_then(|labels| labels.get(labels::GROUP))
                .and_then(Value::as_str)
                .map(|group| printable(group).into()),
        })
    }

    /// A hash over the requirements of its pod for a node.
    pub fn placement(&self) -> String {
        let nics = self.nics.iter().map(|nic| (&nic.name, &nic.binding));
        let mut requested = json!([
            self.cpu,
            self.memory.map(|memory| memory.0),
            nics.collect::<Vec<_>>(),
            self.networks,
            self.node_selector,
            self.tolerations,
            self.anti_affinity,
            self.topology_spread,
        ]);
        // Added only if set: statuses keep the hash of those without.
        if let Some(requested) = requested.as_array_mut()
            && (self.dedicated_cpu || self.hugepages.is_some())
        {
            requested.push(json!([self.dedicated_cpu, self.hugepages]));
        }
        managed_fields::hash(&requested)
    }
}

/// Labels or annotations that a user may have given.
fn metadata(all: Option<&Value>) -> Pairs {
    let all = all.and_then(Value::as_object).into_iter().flatten();
    all.filter(|(key, _)| {
        let (domain, _) = key.split_once('/').unwrap_or_default();
        domain != "kubevirt.io"
            && !domain.ends_with(".kubevirt.io")
            && domain != "vm.novasphere.dev"
            && *key != labels::MANAGED_BY
    })
    .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
    .collect()
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}
