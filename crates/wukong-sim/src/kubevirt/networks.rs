//! The secondary networks of a launcher pod: what it asks Multus for, and the devices that it needs for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::change::pick;
use crate::field::{Field, put};
use crate::kind::Kind;
use crate::world::World;

/// On a pod: the networks that Multus attaches, as JSON.
pub const ANNOTATION: &str = "k8s.v1.cni.cncf.io/networks";
/// On a definition: the resource of a device plugin that a pod needs for it.
const RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

/// The network cards of an instance.
pub fn interfaces<'a>(vmi: &Field<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
    vmi.at("spec.domain.devices.interfaces").items()
}

/// The namespace and name of the definition that a network of an instance refers to.
fn reference<'a>(vmi: &Field<'a>, network: &Field<'a>) -> (&'a str, &'a str) {
    let name = network.at("multus.networkName").text();
    name.split_once('/')
        .unwrap_or((vmi.at("metadata.namespace").text(), name))
}

/// The definition that a network of an instance refers to, or how it is called when there is none.
pub fn definition<'a>(
    world: &'a World,
    vmi: &Field<'a>,
    network: &Field<'a>,
) -> Result<Field<'a>, String> {
    let (namespace, name) = reference(vmi, network);
    let found = world.get(Kind::Nad, namespace, name);
    found.ok_or_else(|| format!("{namespace}/{name}"))
}

/// The resource of a device plugin that goes with a definition; empty without one.
pub fn resource<'a>(definition: &Field<'a>) -> &'a str {
    definition.at("metadata.annotations").child(RESOURCE).text()
}

/// The name of a network's link in the pod.
pub fn pod_interface(network: &str) -> String {
    format!("pod{:08x}", pick(network, u32::MAX))
}

fn secondary<'a>(vmi: &Field<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
    let networks = vmi.at("spec.networks").items();
    networks.filter(|network| network.child("multus").is_set())
}

/// The value of the annotation for an instance's pod.
pub fn annotation(vmi: &Field<'_>) -> Vec<Value> {
    secondary(vmi)
        .map(|network| {
            let (namespace, name) = reference(vmi, &network);
            let mut entry = json!({"name": name, "namespace": namespace, "interface": pod_interface(network.name())});
            let nic = interfaces(vmi).find(|nic| nic.name() == network.name());
            let mac = nic.map_or("", |nic| nic.child("macAddress").text());
            if !mac.is_empty() {
                put(&mut entry, ["mac"], json!(mac));
            }
            entry
        })
        .collect()
}

/// The MAC that a pod's annotation asks for: what Multus hands to the CNI plugin of this network.
pub fn requested_mac(pod: &Field<'_>, network: &str) -> Option<String> {
    let text = pod.at("metadata.annotations").child(ANNOTATION).text();
    let entries: Vec<Value> = serde_json::from_str(text).ok()?;
    let link = pod_interface(network);
    let entry = entries
        .iter()
        .map(|entry| Field::new("", entry))
        .find(|entry| entry.child("interface").text() == link)?;
    Some(entry.child("mac").text().to_ascii_lowercase()).filter(|mac| !mac.is_empty())
}

/// How many of which devices network-resources-injector makes an instance's pod ask for.
pub fn devices(world: &World, vmi: &Field<'_>) -> BTreeMap<String, usize> {
    let mut devices = BTreeMap::new();
    for network in secondary(vmi) {
        let definition = definition(world, vmi, &network).ok();
        let resource = definition.map_or("", |definition| resource(&definition));
        if !resource.is_empty() {
            *devices.entry(resource.to_owned()).or_default() += 1;
        }
    }
    devices
}

/// A binding plugin that an interface names and the KubeVirt resource does not: no pod can be made then.
pub fn unregistered(world: &World, vmi: &Field<'_>) -> Option<String> {
    let registered = |name: &str| {
        super::settings::configuration(world)
            .is_some_and(|configuration| configuration.at("network.binding").child(name).is_set())
    };
    interfaces(vmi)
        .map(|nic| nic.child("binding"))
        .filter(Field::is_set)
        .map(|binding| binding.name().to_owned())
        .find(|name| !registered(name))
}
