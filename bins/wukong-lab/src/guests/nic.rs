//! The NICs of a machine: what an interface and its NetworkAttachmentDefinition come to in a guest, and the wire that they
//! are on.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use wukong_sim::field::Field;
use wukong_sim::kubevirt;
use wukong_sim::world::World;

/// Stands in for a virtual function: like one, it is a PCI device with a driver of its own, and no virtio NIC.
const PASSED_THROUGH: &str = "vmxnet3";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    pub mac: String,
    pub network: Network,
    /// Of the device, where the CNI plugin gives it one.
    pub mtu: Option<i64>,
    pub boot_order: Option<i64>,
    pub model: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    Pod,
    /// The L2 segment of this name.
    Segment(String),
}

impl Nic {
    /// The NICs of an instance, in the order of their slots: libvirt gives host devices theirs after all interfaces.
    pub fn all(world: &World, vmi: &Field<'_>) -> Result<Vec<Self>> {
        let mut nics = kubevirt::interfaces(vmi)
            .filter(|nic| nic.child("state").text() != "absent")
            .map(|nic| Self::of(world, vmi, &nic))
            .collect::<Result<Vec<_>>>()?;
        nics.sort_by_key(|nic| nic.model == PASSED_THROUGH);
        Ok(nics)
    }

    fn of(world: &World, vmi: &Field<'_>, nic: &Field<'_>) -> Result<Self> {
        let name = nic.name();
        let network = vmi
            .at("spec.networks")
            .items()
            .find(|network| network.name() == name)
            .with_context(|| format!("interface {name} has no network"))?;
        let mut planned = Self {
            mac: nic.child("macAddress").text().to_ascii_lowercase(),
            network: Network::Pod,
            mtu: None,
            boot_order: boot_order(nic),
            model: nic.child("model").text().to_owned(),
        };
        if network.child("pod").is_set() {
            return Ok(planned);
        }
        let definition = match kubevirt::definition(world, vmi, &network) {
            Ok(definition) => definition,
            Err(name) => bail!("NetworkAttachmentDefinition {name} does not exist"),
        };
        let config: Value = serde_json::from_str(definition.at("spec.config").text())
            .with_context(|| format!("the configuration of network {name}"))?;
        let attachment = Attachment::of(
            &Field::new("", &config),
            kubevirt::resource(&definition),
            nic,
        )
        .with_context(|| format!("network {name}"))?;
        planned.network = Network::Segment(attachment.segment);
        planned.mtu = attachment.mtu;
        if attachment.passed_through {
            // KubeVirt's domain names no MAC for a host device: the CNI plugin gives it to the virtual function.
            let pod = kubevirt::launcher(world, vmi);
            planned.mac = pod
                .and_then(|pod| kubevirt::requested_mac(&pod, name))
                .with_context(|| format!("the pod asks for no MAC on network {name}"))?;
            planned.model = PASSED_THROUGH.to_owned();
        }
        Ok(planned)
    }
}

/// The place of a device in the boot order, if it has one.
pub(super) fn boot_order(device: &Field<'_>) -> Option<i64> {
    Some(device.child("bootOrder").integer()).filter(|order| *order > 0)
}

/// What a CNI plugin and a binding make together.
#[derive(Debug, PartialEq)]
struct Attachment {
    segment: String,
    mtu: Option<i64>,
    passed_through: bool,
}

impl Attachment {
    /// Of a plugin's configuration, the `resource` of its definition, and the interface. Errors when the binding cannot
    /// take what the plugin makes.
    fn of(config: &Field<'_>, resource: &str, nic: &Field<'_>) -> Result<Self> {
        let plugin = config.child("type").text();
        let binding = match nic.at("binding.name").text() {
            "" => ["bridge", "sriov"]
                .into_iter()
                .find(|binding| nic.child(binding).is_set())
                .unwrap_or_default(),
            binding => binding,
        };
        // On a node, all that is plugged into one bridge with one VLAN is on one wire, whichever definition plugs it
        // there; so are the virtual functions of one resource with one VLAN, and the devices on one lower device.
        let on = match (plugin, binding) {
            ("bridge" | "ovs", "bridge") => config.child("bridge").text(),
            ("sriov", "sriov") | ("macvtap", "macvtap") => resource,
            _ => bail!(
                "KubeVirt's binding {binding:?} cannot take what the CNI plugin {plugin:?} makes"
            ),
        };
        ensure!(
            !on.is_empty(),
            "the CNI plugin {plugin:?} does not know on what"
        );
        let passed_through = plugin == "sriov";
        Ok(Self {
            segment: format!("{plugin} {on} vlan {}", config.child("vlan").integer()),
            mtu: Some(config.child("mtu").integer()).filter(|mtu| *mtu > 0 && !passed_through),
            passed_through,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wukong_sim::change::Change;
    use wukong_sim::kind::{Kind, Ref};

    fn attachment(config: Value, resource: &str, nic: Value) -> Result<Attachment> {
        Attachment::of(&Field::new("", &config), resource, &Field::new("", &nic))
    }

    fn segment(config: Value, resource: &str, nic: Value) -> String {
        attachment(config, resource, nic).unwrap().segment
    }

    #[test]
    fn one_bridge_with_one_vlan_is_one_segment() {
        let on = |config: Value| segment(config, "", json!({"bridge": {}}));
        let lan = json!({"type": "bridge", "bridge": "br-lan", "vlan": 20, "name": "one"});
        let same = json!({"type": "bridge", "bridge": "br-lan", "vlan": 20, "name": "two"});
        let other = json!({"type": "bridge", "bridge": "br-lan", "vlan": 30});
        let untagged = json!({"type": "bridge", "bridge": "br-lan"});
        let switch = json!({"type": "ovs", "bridge": "br-lan", "vlan": 20});
        assert_eq!(on(lan.clone()), on(same));
        for another in [other, untagged, switch] {
            assert_ne!(on(lan.clone()), on(another));
        }
    }

    #[test]
    fn one_resource_with_one_vlan_is_one_segment() {
        let function = |vlan, resource| {
            let config = json!({"type": "sriov", "vlan": vlan});
            segment(config, resource, json!({"sriov": {}}))
        };
        assert_eq!(function(20, "intel.com/a"), function(20, "intel.com/a"));
        assert_ne!(function(20, "intel.com/a"), function(30, "intel.com/a"));
        assert_ne!(function(20, "intel.com/a"), function(20, "intel.com/b"));
        let tap = |resource| {
            let nic = json!({"binding": {"name": "macvtap"}});
            segment(json!({"type": "macvtap"}), resource, nic)
        };
        assert_eq!(tap("x/eth1"), tap("x/eth1"));
        assert_ne!(tap("x/eth1"), tap("x/eth2"));
    }

    #[test]
    fn what_a_binding_cannot_take_is_no_nic() {
        let bridge = json!({"type": "bridge", "bridge": "br-lan"});
        for (config, resource, nic) in [
            (json!({"type": "macvlan"}), "", json!({"bridge": {}})),
            (json!({"type": "macvtap"}), "x/eth1", json!({"bridge": {}})),
            (bridge, "", json!({"sriov": {}})),
            (json!({"type": "sriov"}), "", json!({"sriov": {}})),
            (json!({"type": "ovs"}), "", json!({"bridge": {}})),
        ] {
            assert!(
                attachment(config.clone(), resource, nic).is_err(),
                "{config}"
            );
        }
    }

    #[test]
    fn virtual_functions_come_last_with_the_mac_that_the_pod_asks_for() {
        let network = |name: &str| json!({"name": name, "multus": {"networkName": name}});
        let vmi = json!({"metadata": {"namespace": "ns", "name": "vm", "uid": "u"}, "spec": {
            "domain": {"devices": {"interfaces": [
                {"name": "fast", "sriov": {}, "macAddress": "02:00:00:00:00:0A"},
                {"name": "lan", "bridge": {}, "macAddress": "02:00:00:00:00:0B"},
            ]}},
            "networks": [network("fast"), network("lan")],
        }});
        let mut world = World::default();
        for (name, config, resource) in [
            ("fast", json!({"type": "sriov", "mtu": 9000}), "intel.com/a"),
            (
                "lan",
                json!({"type": "bridge", "bridge": "br-lan", "mtu": 9000}),
                "",
            ),
        ] {
            let definition = json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/resourceName": resource}},
                "spec": {"config": config.to_string()}});
            world.insert(Ref::new(Kind::Nad, "ns", name), definition);
        }
        let vmi = Field::new("", &vmi);
        let nics = Nic::all(&world, &vmi);
        assert!(nics.is_err(), "there is no pod: {nics:?}");

        let Change::Create {
            at, object: pod, ..
        } = kubevirt::create_launcher(&world, &vmi)
        else {
            panic!("a pod is made");
        };
        assert_eq!(
            pod["spec"]["containers"][0]["resources"]["limits"]["intel.com/a"],
            "1"
        );
        world.insert(at, pod);
        let nics = Nic::all(&world, &vmi).unwrap();
        let seen: Vec<_> = nics
            .iter()
            .map(|nic| (&*nic.mac, &*nic.model, nic.mtu))
            .collect();
        let expected = [
            ("02:00:00:00:00:0b", "", Some(9000)),
            ("02:00:00:00:00:0a", PASSED_THROUGH, None),
        ];
        assert_eq!(seen, expected);
    }
}
