//! The network data of the guest.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

mod common;

use common::{all, with_network, wukong};
use insta::assert_snapshot;
use serde_json::{Value, json};
use wukong_api::ValidatedWukong;
use wukong_network::guest_network_data;

fn data(wukong: &ValidatedWukong) -> Value {
    serde_saphyr::from_str(&guest_network_data(wukong, &all(wukong))).unwrap()
}

/// The entry of the NIC `lan` with this `ipConfig`.
fn lan(ip_config: &str) -> Value {
    let wukong = with_network(&format!(
        "name: lan\ntype: bridge\nmacAddress: 02:00:00:00:00:02\nipConfig: {ip_config}"
    ));
    data(&wukong)["ethernets"]["lan"].take()
}

#[test]
fn a_dual_stack_lan_a_dhcp_net_and_a_bare_wire() {
    let wukong = wukong(
        r#"
networks:
- name: lan
  type: bridge
  macAddress: 02:00:00:AA:BB:02
  mtu: 9000
  ipConfig:
    mode: static
    address: 192.168.10.5/24
    addresses: ["fd00:10::5/64"]
    gateway: 192.168.10.1
    dnsServers: [192.168.10.1, "fd00:10::1"]
    searchDomains: [lan.example, "on"]
    routes:
    - {to: 10.0.0.0/8, via: 192.168.10.254}
    - {to: default, via: "fd00:10::1"}
- {name: backup, type: ovs, macAddress: 02:00:00:00:00:03, ipConfig: {mode: dhcp}}
- {name: wire, type: bridge, macAddress: 02:00:00:00:00:04}
"#,
    );
    assert_snapshot!(guest_network_data(&wukong, &all(&wukong)));
}

#[test]
fn the_pod_nic_comes_first_and_is_the_only_one_that_the_boot_waits_for() {
    let spec = "networks:\n- {name: a, type: bridge}\n- {name: b, type: bridge, ipConfig: {}}\n- {name: c, type: bridge, ipConfig: {}}";
    let optional = |data: &Value, nic: &str| data["ethernets"][nic]["optional"].clone();

    let with_pod = data(&wukong(spec));
    let names: Vec<&String> = with_pod["ethernets"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 4);
    assert!(
        guest_network_data(&wukong(spec), &[])
            .starts_with("version: 2\nethernets:\n  pod-network:")
    );
    assert_eq!(optional(&with_pod, "pod-network"), Value::Null);
    assert_eq!(optional(&with_pod, "b"), json!(true));

    let without = data(&wukong(&format!("podNetwork: None\n{spec}")));
    assert_eq!(without["ethernets"].get("pod-network"), None);
    assert_eq!(
        optional(&without, "a"),
        json!(true),
        "has no address to wait for"
    );
    assert_eq!(optional(&without, "b"), Value::Null);
    assert_eq!(optional(&without, "c"), json!(true));
}

#[test]
fn a_vm_without_its_secondary_nics_configures_the_pod_nic_only() {
    let wukong = wukong("networks:\n- {name: lan, type: bridge}");
    assert_snapshot!(guest_network_data(&wukong, &[]), @r"
    version: 2
    ethernets:
      pod-network:
        match:
          macaddress: '06:0d:98:74:ca:49'
        set-name: 'pod-network'
        dhcp4: true
        dhcp4-overrides:
          route-metric: 100
    ");
}

#[test]
fn a_nic_without_addresses_is_up_and_takes_none_from_the_wire() {
    let wukong = with_network("name: lan\ntype: bridge\nmacAddress: 02:00:00:00:00:02");
    assert_eq!(
        data(&wukong)["ethernets"]["lan"],
        json!({
            "match": {"macaddress": "02:00:00:00:00:02"}, "set-name": "lan", "optional": true,
            "dhcp4": false, "accept-ra": false, "link-local": [],
        })
    );
}

#[test]
fn each_setting_says_its_own() {
    let table = [
        ("{}", "dhcp4", json!(true)),
        ("{}", "dhcp4-overrides", json!({"route-metric": 200})),
        ("{mode: dhcp}", "dhcp4", json!(true)),
        ("{address: 10.0.0.5/8}", "dhcp4", json!(false)),
        ("{address: 10.0.0.5/8}", "addresses", json!(["10.0.0.5/8"])),
        (
            "{addresses: [FD00::5/64]}",
            "addresses",
            json!(["fd00::5/64"]),
        ),
        (
            "{address: 10.0.0.5/8, gateway: 10.0.0.1}",
            "routes",
            json!([{"to": "0.0.0.0/0", "via": "10.0.0.1", "metric": 10}]),
        ),
        (
            "{address: 'fd00::5/64', gateway: 'fd00::1'}",
            "routes",
            json!([{"to": "::/0", "via": "fd00::1", "metric": 10}]),
        ),
        (
            "{address: 10.0.0.5/8, routes: [{to: 192.168.7.9/16, via: 10.0.0.9}]}",
            "routes",
            json!([{"to": "192.168.0.0/16", "via": "10.0.0.9"}]),
        ),
        (
            "{address: 10.0.0.5/8, routes: [{to: 0.0.0.0/0, via: 10.0.0.9}]}",
            "routes",
            json!([{"to": "0.0.0.0/0", "via": "10.0.0.9", "metric": 10}]),
        ),
        (
            "{dnsServers: [9.9.9.9]}",
            "nameservers",
            json!({"addresses": ["9.9.9.9"]}),
        ),
        (
            "{searchDomains: [Lan.example]}",
            "nameservers",
            json!({"search": ["Lan.example"]}),
        ),
    ];
    for (ip_config, key, expected) in table {
        assert_eq!(lan(ip_config)[key], expected, "{ip_config}");
    }
}

#[test]
fn a_gateway_beside_dhcp_is_declared_a_neighbour() {
    assert_eq!(
        lan("{gateway: 10.0.0.1, routes: [{to: 'fd00::/8', via: 'fe80::1'}]}")["routes"],
        json!([
            {"to": "0.0.0.0/0", "via": "10.0.0.1", "metric": 10, "on-link": true},
            {"to": "fd00::/8", "via": "fe80::1"},
        ])
    );
}

#[test]
fn of_several_gateways_the_first_nic_wins() {
    let data = data(&wukong(
        "networks:\n- {name: a, type: bridge, ipConfig: {address: 10.0.0.5/8, gateway: 10.0.0.1}}\n- {name: b, type: bridge, ipConfig: {address: 192.168.0.5/24, gateway: 192.168.0.1}}\n- {name: c, type: bridge, ipConfig: {}}",
    ));
    let ethernets = &data["ethernets"];
    let metrics = [
        &ethernets["a"]["routes"][0]["metric"],
        &ethernets["b"]["routes"][0]["metric"],
        &ethernets["pod-network"]["dhcp4-overrides"]["route-metric"],
        &ethernets["c"]["dhcp4-overrides"]["route-metric"],
    ];
    let metrics = metrics.map(|metric| metric.as_u64().unwrap());
    assert!(metrics.is_sorted_by(|a, b| a < b), "{metrics:?}");
}

#[test]
fn interfaces_get_the_nics_name_where_linux_can_have_it() {
    let table = [
        ("lan", "lan"),
        ("fifteen-bytes-1", "fifteen-bytes-1"),
        ("sixteen-bytes-12", "sixtee-db768b69"),
        ("lo", "lo-28813619"),
        ("all", "all-860fbb67"),
        ("default", "defaul-f265d008"),
        ("12", "12-01df3975"),
    ];
    for (nic, expected) in table {
        let wukong = with_network(&format!("name: '{nic}'\ntype: bridge\nbridgeName: br0"));
        assert_eq!(data(&wukong)["ethernets"][nic]["set-name"], expected);
    }
}

#[test]
fn vlans_that_the_guest_tags() {
    let wukong = wukong(
        r#"
networks:
- name: trunk
  type: bridge
  macAddress: 02:00:00:00:00:02
  guestVlans:
  - {id: 120, ipConfig: {address: 10.12.0.15/24, gateway: 10.12.0.1, dnsServers: [10.12.0.2]}}
  - {id: 130, ipConfig: {mode: dhcp}}
  - {id: 140}
"#,
    );
    assert_snapshot!(guest_network_data(&wukong, &all(&wukong)));
}

#[test]
fn a_gateway_outside_the_prefix_is_on_the_link() {
    let lan = lan("{address: 203.0.113.7/32, gateway: 192.0.2.1, gatewayOnLink: true}");
    assert_eq!(
        lan["routes"],
        json!([{"to": "0.0.0.0/0", "via": "192.0.2.1", "metric": 10, "on-link": true}])
    );
}

#[test]
fn the_pod_nic_speaks_the_families_of_the_pod_network() {
    let pod = |spec: &str| data(&wukong(spec))["ethernets"]["pod-network"].take();
    let dual = pod("podNetworkIpFamily: DualStack");
    assert_eq!(
        (&dual["dhcp4"], &dual["addresses"]),
        (&json!(true), &json!(["fd10:0:2::2/120"]))
    );
    let six = pod("podNetworkIpFamily: IPv6\npodNetworkDnsServers: ['fd00::a']");
    assert_eq!(six["dhcp4"], false);
    assert_eq!(
        six["routes"],
        json!([{"to": "::/0", "via": "fd10:0:2::1", "metric": 100}])
    );
    assert_eq!(six["nameservers"], json!({"addresses": ["fd00::a"]}));
}
