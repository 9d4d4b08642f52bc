//! NetworkAttachmentDefinitions, the instructions by which Multus attaches a NIC.

use std::collections::BTreeMap;

use kube::CustomResource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use wukong_api::owner::owner_reference;
use wukong_api::validated::{Attachment, Nic};
use wukong_api::{ValidatedWukong, labels};

use crate::cni;

/// Annotation that names the resource which a pod on this network needs.
pub const RESOURCE_NAME: &str = "k8s.v1.cni.cncf.io/resourceName";

/// What a NetworkAttachmentDefinition holds.
#[derive(CustomResource, Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[kube(
    group = "k8s.cni.cncf.io",
    version = "v1",
    kind = "NetworkAttachmentDefinition",
    plural = "network-attachment-definitions",
    namespaced,
    schema = "disabled",
    derive = "PartialEq",
    doc = "A network that Multus can attach a pod to."
)]
pub struct NetworkAttachmentDefinitionSpec {
    /// A CNI configuration as JSON.
    #[serde(default)]
    pub config: String,
}

/// The NetworkAttachmentDefinitions that belong to `nics`, in their order. NICs on a foreign NAD have none.
pub fn nads(wukong: &ValidatedWukong, nics: &[&Nic]) -> Vec<NetworkAttachmentDefinition> {
    nics.iter()
        .filter_map(|nic| match &nic.attachment {
            Attachment::Planned(name) => Some(nad(wukong, nic, name)),
            Attachment::Existing(_) => None,
        })
        .collect()
}

fn nad(wukong: &ValidatedWukong, nic: &Nic, name: &str) -> NetworkAttachmentDefinition {
    let identity = &wukong.identity;
    NetworkAttachmentDefinition {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(identity.namespace.clone()),
            labels: Some(labels::of_network(&identity.name, &nic.name)),
            annotations: cni::resource(nic)
                .map(|resource| BTreeMap::from([(RESOURCE_NAME.to_owned(), resource)])),
            owner_references: Some(vec![owner_reference(identity)]),
            ..ObjectMeta::default()
        },
        spec: NetworkAttachmentDefinitionSpec {
            config: cni::config(name, nic),
        },
    }
}
