//! The CNI configuration inside a NetworkAttachmentDefinition.
//!
//! No plugin gets an `ipam`: KubeVirt's bridge binding would take an address away from the pod and serve it to the guest
//! by DHCP, a second source of truth beside the guest's own configuration. Without, the guest sits on the wire itself.

use serde::Serialize;
use wukong_api::names::LABEL_MAX;
use wukong_api::spec::NetworkType;
use wukong_api::validated::Nic;

use crate::fit::fit;

/// Written for every runtime that speaks CNI 0.3.1 or newer, which Multus has demanded since its first release.
const VERSION: &str = "0.3.1";

/// Prefix of the resources that the device plugin of macvtap-cni offers.
const MACVTAP_RESOURCES: &str = "macvtap.network.kubevirt.io";

/// A network configuration as CNI defines it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NetworkConfig<'a> {
    cni_version: &'static str,
    name: &'a str,
    #[serde(flatten)]
    plugin: Plugin<'a>,
}

/// The plugin, and the keys that only it knows.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
enum Plugin<'a> {
    Bridge {
        bridge: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<u16>,
        /// The default VLAN would stay untagged on the port beside `vlan`, and leak into the guest.
        #[serde(skip_serializing_if = "Option::is_none")]
        preserve_default_vlan: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u16>,
        /// Keeps the pod's end of the link down until KubeVirt takes it over: an end that is up answers IPv6
        /// neighbour discovery with the guest's MAC, and the switches send the guest's frames to the wrong node while
        /// it migrates. Allowed only without `ipam`.
        disable_container_interface: bool,
    },
    Ovs {
        bridge: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<u16>,
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u16>,
    },
    /// The plugin knows no MTU: that of a virtual function is set on the node and, below it, in the guest.
    Sriov {
        #[serde(skip_serializing_if = "Option::is_none")]
        vlan: Option<u16>,
    },
    /// The plugin knows no VLAN: the one of the lower device, which the resource stands for.
    Macvtap {
        #[serde(skip_serializing_if = "Option::is_none")]
        mtu: Option<u16>,
    },
}

/// The configuration of `nic` as JSON, for the NetworkAttachmentDefinition called `name`.
pub(crate) fn config(name: &str, nic: &Nic) -> String {
    let bridge = nic.bridge.as_deref().unwrap_or_default();
    let config = NetworkConfig {
        cni_version: VERSION,
        name,
        plugin: match nic.kind {
            NetworkType::Bridge => Plugin::Bridge {
                bridge,
                vlan: nic.vlan,
                preserve_default_vlan: nic.vlan.map(|_| false),
                mtu: nic.mtu,
                disable_container_interface: true,
            },
            NetworkType::Ovs => Plugin::Ovs {
                bridge,
                vlan: nic.vlan,
                mtu: nic.mtu,
            },
            NetworkType::Sriov => Plugin::Sriov { vlan: nic.vlan },
            NetworkType::Macvlan => Plugin::Macvtap { mtu: nic.mtu },
        },
    };
    // Strings, numbers and flags: nothing that JSON cannot hold.
    serde_json::to_string(&config).unwrap_or_default()
}

/// The device-plugin or marker resource of `nic`, which decides on which nodes the VM can run.
///
/// A macvlan NIC always needs one. Without `resourceName` it is called like the NIC, with its VLAN behind a dot as
/// Linux calls VLAN devices: `macvtap.network.kubevirt.io/eth1`, or `macvtap.network.kubevirt.io/eth1.100`. Without any
/// configuration the device plugin offers one resource for each NIC of the node under just that name.
pub fn resource(nic: &Nic) -> Option<String> {
    match (&nic.resource, nic.kind) {
        (Some(resource), _) => Some(resource.clone()),
        (None, NetworkType::Macvlan) => {
            let lower_device = match nic.vlan {
                Some(vlan) => format!("{}.{vlan}", nic.name),
                None => nic.name.clone(),
            };
            Some(format!(
                "{MACVTAP_RESOURCES}/{}",
                fit(&lower_device, LABEL_MAX)
            ))
        }
        (None, _) => None,
    }
}
