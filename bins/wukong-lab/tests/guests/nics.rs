//! NICs on something else than a bridge: a virtual function, a macvtap device and a port of Open vSwitch, in two guests
//! that boot anyway. The first has fixed addresses there, and the second gets its own from the first.

use serde_json::{Value, json};

use crate::first_boot::address;
use crate::inside::Claims;
use crate::support::Space;

const FUNCTIONS: &str = "intel.com/sriov_net";
const LOWER_DEVICE: &str = "macvtap.network.kubevirt.io/eth1";
const NAMES: [&str; 3] = ["fast", "direct", "switched"];

/// What an administrator has done before: device plugins run on the nodes, and KubeVirt knows the binding plugin.
pub async fn provide(space: &Space<'_>) {
    let offered = json!({FUNCTIONS: "8", LOWER_DEVICE: "8"});
    let status = json!({"status": {"capacity": offered, "allocatable": offered}});
    for node in space.names("Node").await {
        space.merge_status("Node", &node, status.clone()).await;
    }
    let binding = json!({"macvtap": {"domainAttachmentType": "tap"}});
    let patch = json!({"spec": {"configuration": {"network": {"binding": binding}}}});
    let installation = Space::existing(space.cluster, "kubevirt").await;
    installation.merge("KubeVirt", "kubevirt", patch).await;
}

pub fn add(wukong: &mut Value, nics: [Value; 3]) {
    let networks = wukong["spec"]["networks"].as_array_mut().unwrap();
    networks.extend(nics);
}

fn nics(more: [Value; 3]) -> [Value; 3] {
    let mut nics = [
        json!({"name": "fast", "type": "sriov", "resourceName": FUNCTIONS, "vlanId": 40}),
        json!({"name": "direct", "type": "macvlan", "resourceName": LOWER_DEVICE}),
        json!({"name": "switched", "type": "ovs", "bridgeName": "br-ovs", "vlanId": 42}),
    ];
    for (nic, more) in nics.iter_mut().zip(more) {
        crate::support::merge(nic, more);
    }
    nics
}

/// With MACs, MTUs and fixed addresses.
pub fn served() -> [Value; 3] {
    let fixed = |address: &str| json!({"mode": "static", "address": address});
    nics([
        json!({"mtu": 9000, "macAddress": "02:00:00:00:40:01", "ipConfig": fixed("10.40.0.1/24")}),
        json!({"mtu": 1410, "macAddress": "02:00:00:00:41:01", "ipConfig": fixed("10.41.0.1/24")}),
        json!({"mtu": 1420, "macAddress": "02:00:00:00:42:01", "ipConfig": fixed("10.42.0.1/24")}),
    ])
}

/// With the MACs that the operator derives, and addresses from a server.
pub fn leased() -> [Value; 3] {
    nics(NAMES.map(|_| json!({"ipConfig": {"mode": "dhcp"}})))
}

/// What the guest with fixed addresses shows.
pub async fn are_what_was_asked_for(claims: &mut Claims<'_>) {
    // In the order of their slots: what is passed through comes after all that KubeVirt makes.
    claims
        .prints(
            "ls -d /sys/bus/pci/devices/*/virtio*/net/* /sys/bus/pci/devices/*/net/* | sort | xargs -n 1 basename | xargs",
            "pod-network lan red direct switched fast",
        )
        .await;
    for (name, mac, mtu, address) in [
        ("fast", "02:00:00:00:40:01", "9000", "10.40.0.1/24"),
        ("direct", "02:00:00:00:41:01", "1410", "10.41.0.1/24"),
        ("switched", "02:00:00:00:42:01", "1420", "10.42.0.1/24"),
    ] {
        let link = format!("cd /sys/class/net/{name} && echo $(cat address mtu)");
        claims.prints(&link, &format!("{mac} {mtu}")).await;
        let addresses = format!("ip -o -4 address show dev {name}");
        claims.shows(&addresses, &[address]).await;
    }
    // The CNI plugins of these know an MTU, and the device has it before the guest sets its own.
    for (name, most) in [("direct", "maxmtu 1410"), ("switched", "maxmtu 1420")] {
        let link = format!("ip -d link show dev {name}");
        claims.shows(&link, &[most]).await;
    }
    let driver = "basename $(readlink -f /sys/class/net/fast/device/driver)";
    claims.prints(driver, "vmxnet3").await;
}

/// What the other guest, `beta`, was given, and whom it reaches.
pub async fn have_their_leases(claims: &mut Claims<'_>, space: &Space<'_>) {
    let wukong = space
        .wukong("beta", "told about its other leases", |wukong| {
            NAMES
                .iter()
                .all(|name| address(wukong, name).starts_with("10.4"))
        })
        .await;
    for (name, server) in NAMES
        .into_iter()
        .zip(["10.40.0.1", "10.41.0.1", "10.42.0.1"])
    {
        let leased = address(&wukong, name);
        claims.claim(&format!("{name} has {leased}"), leased.starts_with(server));
        let shown = format!("ip -o -4 address show dev {name}");
        claims.shows(&shown, &[leased, "dynamic"]).await;
        let ping = format!("ping -c 2 -W 5 -I {name} {server}");
        claims.will_show(&ping, &["2 received"]).await;
    }
}
