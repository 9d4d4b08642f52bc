//! Composes the results of the planners into all objects that a VM needs.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};
use wukong_api::owner::owner_reference;
use wukong_api::spec::RunStrategy;
use wukong_api::validated::Nic;
use wukong_api::{ValidatedWukong, labels, names};
use wukong_network::nad::NetworkAttachmentDefinition;
use wukong_network::nmstate::NodeNetworkConfigurationPolicy;
use wukong_storage::data_volume::DataVolume;
use wukong_storage::{Context, Existing, Planned};
use wukong_vm::virtual_machine::{Interface, Network, VirtualMachine};
use wukong_vm::{Inputs, VolumeSource};

use crate::managed_fields;
use crate::target::{Kind, Target};

/// What the objects depend on besides the spec.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The secondary NICs that the VM gets.
    pub nics: Vec<&'a Nic>,
    /// NICs that the running guest loses, with their networks.
    pub leaving: Vec<(Interface, Network)>,
    /// Whether CDI is installed.
    pub cdi: bool,
    /// What exists already, by disk.
    pub existing: BTreeMap<String, Existing>,
    /// Names of the disks that KubeVirt plugs into the running guest.
    pub hot_plugged: BTreeSet<String>,
    /// The run strategy of the VM.
    pub run_strategy: RunStrategy,
    /// The power state to note on the VM.
    pub power_wish: String,
    /// The hash, noted on the VM, of a Secret of ours that the spec no longer requires and that still holds its data.
    pub left_secret: Option<String>,
    /// The restores to note on the VM.
    pub restores: String,
}

impl<'a> Surroundings<'a> {
    /// A cluster with everything installed, in which nothing of this Wukong exists yet.
    pub fn fresh(wukong: &'a ValidatedWukong) -> Self {
        Self {
            nics: wukong.nics.iter().collect(),
            leaving: Vec::new(),
            cdi: true,
            existing: BTreeMap::new(),
            hot_plugged: BTreeSet::new(),
            run_strategy: wukong.desired_run_strategy(),
            power_wish: crate::power::DesiredPower::of(wukong).first_annotation(),
            left_secret: None,
            restores: String::new(),
        }
    }
}

/// All objects that a VM needs.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredSet {
    /// Networks to attach.
    pub nads: Vec<NetworkAttachmentDefinition>,
    /// Bridges on the nodes, shared with other Wukongs.
    pub node_policies: Vec<NodeNetworkConfigurationPolicy>,
    /// Disks with their content.
    pub data_volumes: Vec<DataVolume>,
    /// Empty disks where CDI is missing.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Cloud-init data.
    pub secret: Option<Secret>,
    /// The virtual machine.
    pub virtual_machine: VirtualMachine,
}

impl DesiredSet {
    /// The objects as they are applied, in this order: the VirtualMachine last.
    pub fn bodies(&self) -> Vec<Body> {
        Bodies::of(self).all().cloned().collect()
    }
}

/// Composes the results of the planners. The same input gives the same objects.
pub fn compose(wukong: &ValidatedWukong, surroundings: &Surroundings) -> DesiredSet {
    let context = Context {
        cdi: surroundings.cdi,
        existing: &surroundings.existing,
    };
    let mut data_volumes = Vec::new();
    let mut claims = Vec::new();
    let mut volumes = BTreeMap::new();
    for disk in wukong_storage::plan(wukong, &context) {
        let volume = match disk.planned {
            Planned::DataVolume(data_volume) => {
                data_volumes.push(data_volume);
                VolumeSource::DataVolume
            }
            Planned::Claim(claim) => {
                claims.push(claim);
                VolumeSource::Claim
            }
            Planned::Adopted => VolumeSource::Claim,
        };
        volumes.insert(disk.disk.name.clone(), volume);
    }
    let network_data = wukong_network::guest_network_data(wukong, &surroundings.nics);
    let secret = wukong_vm::cloud_init_secret(wukong, &network_data);
    let cloud_init_hash = match &secret {
        Some(secret) => Body::of(Kind::Secret, secret).hash,
        None => surroundings.left_secret.clone().unwrap_or_default(),
    };
    DesiredSet {
        nads: wukong_network::nads(wukong, &surroundings.nics),
        node_policies: wukong_network::node_policies(wukong),
        data_volumes,
        claims,
        secret,
        virtual_machine: wukong_vm::virtual_machine(
            wukong,
            &Inputs {
                nics: &surroundings.nics,
                leaving: &surroundings.leaving,
                volumes: &volumes,
                hot_plugged: &surroundings.hot_plugged,
                run_strategy: surroundings.run_strategy,
                power_wish: &surroundings.power_wish,
                cloud_init_hash: &cloud_init_hash,
                restores: &surroundings.restores,
            },
        ),
    }
}

/// An object as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// Kind and name.
    pub target: Target,
    /// The object with `apiVersion` and `kind`.
    pub object: Value,
    /// Hash over the fields that we will own.
    pub hash: String,
}

impl Body {
    /// The object as it is applied.
    pub fn of<K: Resource + Serialize>(kind: Kind, object: &K) -> Self {
        let resource = kind.api_resource();
        // Serializing our own structs cannot fail; the API server would reject an empty object.
        let mut body = serde_json::to_value(object).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("apiVersion".into(), json!(resource.api_version));
            fields.insert("kind".into(), json!(resource.kind));
        }
        let hash = managed_fields::hash(&managed_fields::of_body(&body));
        let name = object.meta().name.clone().unwrap_or_default();
        Self {
            target: Target { kind, name },
            object: body,
            hash,
        }
    }
}

/// Our Secret without its data, for a VM that no longer reads it. (Deleting it would need a right to delete Secrets.)
pub(crate) fn emptied_secret(wukong: &ValidatedWukong) -> Body {
    let identity = &wukong.identity;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(names::cloud_init_secret(&identity.name)),
            namespace: Some(identity.namespace.clone()),
            labels: Some(labels::of_child(&identity.name)),
            owner_references: Some(vec![owner_reference(identity)]),
            ..ObjectMeta::default()
        },
        ..Secret::default()
    };
    Body::of(Kind::Secret, &secret)
}

/// All objects that a VM needs, as they are applied.
pub(crate) struct Bodies {
    secret: Option<Body>,
    pub nads: Vec<Body>,
    node_policies: Vec<Body>,
    pub data_volumes: Vec<Body>,
    claims: Vec<Body>,
    pub virtual_machine: Body,
}

impl Bodies {
    pub(crate) fn of(set: &DesiredSet) -> Self {
        // Without `..`, so that a new kind cannot be forgotten.
        let DesiredSet {
            nads,
            node_policies,
            data_volumes,
            claims,
            secret,
            virtual_machine,
        } = set;
        fn all<K: Resource + Serialize>(kind: Kind, objects: &[K]) -> Vec<Body> {
            objects
                .iter()
                .map(|object| Body::of(kind, object))
                .collect()
        }
        Self {
            secret: secret.as_ref().map(|secret| Body::of(Kind::Secret, secret)),
            nads: all(Kind::NetworkAttachmentDefinition, nads),
            node_policies: all(Kind::NodeNetworkConfigurationPolicy, node_policies),
            data_volumes: all(Kind::DataVolume, data_volumes),
            claims: all(Kind::PersistentVolumeClaim, claims),
            virtual_machine: Body::of(Kind::VirtualMachine, virtual_machine),
        }
    }

    /// The cloud-init Secret.
    pub(crate) fn secret(&self) -> Option<&Body> {
        self.secret.as_ref()
    }

    /// All of them, the VirtualMachine last.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Body> {
        let before = self
            .secret
            .iter()
            .chain(&self.nads)
            .chain(&self.node_policies)
            .chain(&self.data_volumes)
            .chain(&self.claims);
        before.chain([&self.virtual_machine])
    }
}
