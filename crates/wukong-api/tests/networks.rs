//! NICs and their addresses: what is refused, in the words that the user reads.

mod refusals;

use wukong_api::Mac;
use wukong_api::names::derived_uuid;

/// Holds one network against the problems that it has; `…` stands for its path.
#[track_caller]
fn check(network: &str, expected: &[&str]) {
    check_all(&[network], "", expected);
}

/// Holds several networks, and more of the spec, against their problems.
#[track_caller]
fn check_all(networks: &[&str], spec: &str, expected: &[&str]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|problem| problem.replace('…', "spec.networks[0]"))
        .collect();
    refusals::check(
        &format!(
            "{{cpu: 1, memory: 1Gi, {spec} networks: [{}]}}",
            networks.join(", ")
        ),
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

/// Holds the `ipConfig` of a network against the problems that it has; `…` stands for its path.
#[track_caller]
fn check_ip(ip_config: &str, expected: &[&str]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|problem| problem.replace('…', "….ipConfig"))
        .collect();
    check(
        &format!("{{name: lan, type: bridge, ipConfig: {ip_config}}}"),
        &expected.iter().map(String::as_str).collect::<Vec<_>>(),
    );
}

#[test]
fn whatever_the_base_fields_can_say_is_accepted() {
    for network in [
        "{name: lan, type: bridge}",
        "{name: lan, type: bridge, nadName: shared, vlanId: 7, bridgeName: br0}",
        "{name: lan, type: ovs, vlanId: 4094, bridgeName: ovs0}",
        "{name: eth1, type: macvlan, vlanId: 100}",
        "{name: eth1, type: macvlan, nadName: macvtap}",
        "{name: fast, type: sriov, nadName: vf, bridgeName: unused}",
        "{name: lan, type: bridge, ipConfig: {mode: dhcp}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 10.0.0.5/8}}",
        "{name: lan, type: bridge, ipConfig: {mode: static, address: 10.0.0.5/8, gateway: 10.0.0.1, dnsServers: [10.0.0.1]}}",
        "{name: lan, type: bridge, ipConfig: {address: 'fd00::5/64', gateway: 'fe80::1'}}",
        "{name: lan, type: bridge, ipConfig: {address: 10.0.0.0/31, gateway: 10.0.0.1}}",
        "{name: lan, type: bridge, ipConfig: {gateway: 10.0.0.1}}",
    ] {
        check(network, &[]);
    }
}

#[test]
fn additions() {
    for network in [
        "{name: fast, type: sriov, resourceName: intel.com/sriov_net, mtu: 9216}",
        "{name: lan, type: bridge, resourceName: bridge.network.kubevirt.io/br-lan, mtu: 576}",
        "{name: lan, type: bridge, macAddress: 02-AA-0B-00-00-01, onMissingMultus: Block}",
        "{name: lan, type: bridge, ipConfig: {addresses: [10.0.0.5/8, 'fd00::5/64'], routes: [{to: default, via: 10.0.0.1}, {to: '::/0', via: 'fd00::1'}, {to: 192.168.7.9/16, via: 10.0.0.2}], searchDomains: [Lan.example, a]}}",
        "{name: lan, type: bridge, nodeNetwork: {uplink: bond0.100, nodeSelector: {node-role.kubernetes.io/worker: ''}}}",
        "{name: lan, type: ovs, nadName: theirs, bridgeName: br-lan, nodeNetwork: {uplink: eth1}}",
    ] {
        check(network, &[]);
    }
    check_all(&["{name: lan, type: bridge}"], "podNetwork: None,", &[]);
}

#[test]
fn names() {
    let label = "is not a DNS label: use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends";
    check(
        "{name: pod-network, type: bridge, bridgeName: br0}",
        &["….name: pod-network is the name of the first NIC: choose another"],
    );
    for name in ["LAN", "l.n", "-lan", "lan-", "l\\nn", "", "../x"] {
        check(
            &format!("{{name: \"{name}\", type: bridge, bridgeName: br0}}"),
            &[&format!("….name: \"{name}\" {label}")],
        );
    }
    check(
        "{name: lan, type: bridge, nadName: other/shared}",
        &[&format!(
            "….nadName: \"other/shared\" {label}; a NetworkAttachmentDefinition of another namespace cannot be used"
        )],
    );
    check(
        r#"{name: lan, type: bridge, nadName: 'a","b'}"#,
        &[&format!(r#"….nadName: "a\",\"b" {label}"#)],
    );
    check_all(
        &["{name: lan, type: bridge}", "{name: lan, type: ovs}"],
        "",
        &[
            "spec.networks[1].name: \"lan\" is the name of spec.networks[0] already: names are unique",
        ],
    );
}

#[test]
fn bridges() {
    let not_a_name =
        "is not the name of a network interface: use ASCII letters, digits, '-', '_' and '.'";
    check(
        "{name: lan, type: bridge, bridgeName: sixteen-bytes-br}",
        &[
            "….bridgeName: \"sixteen-bytes-br\" has 16 bytes; the name of a network interface has at most 15",
        ],
    );
    check("{name: twelve-bytes, type: bridge}", &[]);
    check(
        "{name: thirteen-byte, type: ovs}",
        &[
            "….bridgeName: the default \"br-thirteen-byte\" has 16 bytes; the name of a network interface has at most 15: give a bridgeName",
        ],
    );
    check("{name: thirteen-byte, type: ovs, nadName: shared}", &[]);
    for (written, shown) in [
        ("a/b", "a/b"),
        ("a b", "a b"),
        ("a:b", "a:b"),
        ("..", ".."),
        ("brücke", "brücke"),
        ("a\\tb", "a\\tb"),
    ] {
        check(
            &format!("{{name: lan, type: bridge, bridgeName: \"{written}\"}}"),
            &[&format!("….bridgeName: \"{shown}\" {not_a_name}")],
        );
    }
    check(
        "{name: lan, type: macvlan, bridgeName: br0}",
        &["….bridgeName: macvlan has no bridge: drop bridgeName, or use type: bridge"],
    );
}

#[test]
fn numbers() {
    for vlan in [0, 4095] {
        check(
            &format!("{{name: lan, type: bridge, vlanId: {vlan}}}"),
            &[&format!("….vlanId: {vlan} is not between 1 and 4094")],
        );
    }
    for mtu in [575, 9217] {
        check(
            &format!("{{name: lan, type: bridge, mtu: {mtu}}}"),
            &[&format!("….mtu: {mtu} is not between 576 and 9216 bytes")],
        );
    }
    check(
        "{name: lan, type: bridge, mtu: 1279, ipConfig: {address: 'fd00::5/64'}}",
        &["….mtu: IPv6 needs an MTU of at least 1280 bytes, not 1279"],
    );
    check(
        "{name: lan, type: bridge, mtu: 1279, ipConfig: {address: 10.0.0.5/8}}",
        &[],
    );
    let many: Vec<String> = (0..32)
        .map(|index| format!("{{name: n{index}, type: bridge}}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check_all(&many[1..], "", &[]);
    check_all(
        &many,
        "",
        &["spec.networks: has 32 entries; at most 31 are allowed"],
    );
}

#[test]
fn macs() {
    for mac in [
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "02:00:00:00:00",
        "02:00:00:00:00:zz",
    ] {
        check(
            &format!("{{name: lan, type: bridge, macAddress: '{mac}'}}"),
            &[&format!(
                "….macAddress: \"{mac}\" is not a unicast MAC address such as 02:00:00:00:00:01"
            )],
        );
    }
    check_all(
        &[
            "{name: a, type: bridge, macAddress: '02:00:00:00:00:0a'}",
            "{name: b, type: bridge, macAddress: 02-00-00-00-00-0A}",
        ],
        "",
        &["spec.networks[1].macAddress: 02:00:00:00:00:0a is the MAC of spec.networks[0] already"],
    );
    let uid = derived_uuid("default", "web").to_string();
    let derived = Mac::derive(&uid, "b").to_string();
    check_all(
        &[
            &format!("{{name: a, type: bridge, macAddress: '{derived}'}}"),
            "{name: b, type: bridge}",
        ],
        "",
        &[&format!(
            "spec.networks[1].macAddress: {derived} is the MAC of spec.networks[0] already"
        )],
    );
}

#[test]
fn resources() {
    check(
        "{name: fast, type: sriov}",
        &[
            "…: sriov needs resourceName (the device-plugin resource) or nadName (an existing NetworkAttachmentDefinition)",
        ],
    );
    for name in [
        "sriov_net",
        "intel.com/",
        "/net",
        "intel.com/a/b",
        "intel com/net",
    ] {
        check(
            &format!("{{name: fast, type: sriov, resourceName: '{name}'}}"),
            &[&format!(
                "….resourceName: \"{name}\" is not the name of a resource such as intel.com/sriov_net"
            )],
        );
    }
    check(
        "{name: eth1, type: macvlan, vlanId: 7, resourceName: macvtap.network.kubevirt.io/eth1}",
        &[
            "….vlanId: the resource of a macvlan NIC has a VLAN of its own: drop vlanId, or drop resourceName to use macvtap.network.kubevirt.io/<name>.<vlanId>",
        ],
    );
}

#[test]
fn node_networks() {
    for kind in ["type: sriov, resourceName: intel.com/net", "type: macvlan"] {
        check(
            &format!("{{name: eth1, {kind}, nodeNetwork: {{uplink: eth1}}}}"),
            &[
                "….nodeNetwork: only type: bridge and type: ovs have a bridge on the nodes: drop nodeNetwork",
            ],
        );
    }
    check(
        "{name: lan, type: bridge, nodeNetwork: {uplink: eth/1, nodeSelector: {'a b': c, d: 'e f'}}}",
        &[
            "….nodeNetwork.uplink: \"eth/1\" is not the name of a network interface: use ASCII letters, digits, '-', '_' and '.'",
            "….nodeNetwork.nodeSelector: \"a b\" is not a label key such as node-role.kubernetes.io/worker",
            "….nodeNetwork.nodeSelector[d]: \"e f\" is not a label value: use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ],
    );
    check(
        "{name: lan, type: bridge, bridgeName: eth1, nodeNetwork: {uplink: eth1}}",
        &[
            "….nodeNetwork.uplink: \"eth1\" is the bridge itself: name the NIC of the node that becomes its port",
        ],
    );
    check(
        "{name: thirteen-byte, type: ovs, nadName: shared, nodeNetwork: {uplink: eth1}}",
        &[
            "….bridgeName: the default \"br-thirteen-byte\" has 16 bytes; the name of a network interface has at most 15: give a bridgeName",
        ],
    );
}

#[test]
fn a_bridge_is_made_in_one_way_on_the_same_nodes() {
    let problem = "spec.networks[1].nodeNetwork: spec.networks[0] has \"br-lan\" made on the same nodes with another type or uplink: choose another bridgeName";
    let first = "{name: lan, type: bridge, nodeNetwork: {uplink: eth1, nodeSelector: {rack: a}}}";
    for (second, expected) in [
        (
            "type: bridge, nodeNetwork: {uplink: eth1, nodeSelector: {rack: a}}",
            None,
        ),
        (
            "type: bridge, nodeNetwork: {uplink: eth2, nodeSelector: {rack: b}}",
            None,
        ),
        (
            "type: bridge, nodeNetwork: {uplink: eth2, nodeSelector: {rack: a}}",
            Some(problem),
        ),
        (
            "type: ovs, nodeNetwork: {uplink: eth1, nodeSelector: {rack: a}}",
            Some(problem),
        ),
    ] {
        let second = format!("{{name: dmz, bridgeName: br-lan, {second}}}");
        check_all(&[first, &second], "", expected.as_slice());
    }
}

#[test]
fn a_vm_has_a_nic() {
    check_all(
        &[],
        "podNetwork: None,",
        &["spec.podNetwork: None leaves the VM without a NIC: add an entry to networks"],
    );
}

#[test]
fn modes() {
    check_ip(
        "{mode: static}",
        &["….address: mode: static needs an address such as 192.168.10.5/24"],
    );
    let problem = "….address: mode: dhcp gets its address from the network: drop address, or use mode: static";
    check_ip("{mode: dhcp, address: 10.0.0.5/8}", &[problem]);
    check_ip("{mode: dhcp, addresses: [10.0.0.5/8]}", &[problem]);
}

#[test]
fn addresses() {
    let malformed = |text| {
        format!(
            "….address: \"{text}\" is not an address with prefix length, such as 192.168.10.5/24"
        )
    };
    for text in [
        "10.0.0.5",
        "10.0.0.5/33",
        "10.0.0.5/24\\n",
        "10.0.0/24",
        "fd00::5/129",
        "",
        "$(id)/24",
    ] {
        check_ip(&format!("{{address: \"{text}\"}}"), &[&malformed(text)]);
    }
    for text in [
        "127.0.0.1/8",
        "224.0.0.5/24",
        "::1/128",
        "ff02::1/64",
        "::/64",
    ] {
        check_ip(
            &format!("{{address: '{text}'}}"),
            &[&format!(
                "….address: \"{text}\" is not an address that a NIC can have"
            )],
        );
    }
    for (text, problem) in [
        (
            "10.0.0.5/0",
            "has prefix length 0: write the length of the network's prefix, such as /24",
        ),
        ("10.0.0.0/24", "is the address of the network itself"),
        ("10.0.0.255/24", "is the broadcast address of its network"),
    ] {
        check_ip(
            &format!("{{addresses: ['{text}']}}"),
            &[&format!("….addresses[0]: \"{text}\" {problem}")],
        );
    }
    check_ip(
        "{address: 10.0.0.5/8, addresses: [10.0.0.5/24]}",
        &["…: the address 10.0.0.5 is given in spec.networks[0] already"],
    );
    check_all(
        &[
            "{name: a, type: bridge, ipConfig: {address: 'fd00::5/64'}}",
            "{name: b, type: bridge, ipConfig: {addresses: ['fd00:0::5/48']}}",
        ],
        "",
        &["spec.networks[1].ipConfig: the address fd00::5 is given in spec.networks[0] already"],
    );
}

#[test]
fn gateways() {
    for (gateway, problem) in [
        ("10.0.0.256", "\"10.0.0.256\" is not an IP address"),
        ("10.0.0.1/24", "\"10.0.0.1/24\" is not an IP address"),
        (
            "10.1.0.1",
            "10.1.0.1 is not on the link: it lies outside 10.0.0.0/24 (gatewayOnLink: true accepts that)",
        ),
        ("10.0.0.5", "10.0.0.5 is the address of the VM itself"),
        (
            "0.0.0.0",
            "0.0.0.0 is not an address that a router can have",
        ),
        (
            "224.0.0.1",
            "224.0.0.1 is not an address that a router can have",
        ),
        (
            "fd00::1",
            "fd00::1 is of another IP version than the addresses",
        ),
    ] {
        check_ip(
            &format!("{{address: 10.0.0.5/24, gateway: '{gateway}'}}"),
            &[&format!("….gateway: {problem}")],
        );
    }
    check_ip(
        "{mode: dhcp, gateway: '::'}",
        &["….gateway: :: is not an address that a router can have"],
    );
}

#[test]
fn routes() {
    for (route, problem) in [
        (
            "to: 10.0.0.0, via: 10.0.0.1",
            "….routes[0].to: \"10.0.0.0\" is not a network such as 10.0.0.0/8, nor `default`",
        ),
        (
            "to: Default, via: 10.0.0.1",
            "….routes[0].to: \"Default\" is not a network such as 10.0.0.0/8, nor `default`",
        ),
        (
            "to: 'fd00::/8', via: 10.0.0.1",
            "….routes[0]: fd00::/8 and 10.0.0.1 are of different IP versions",
        ),
        (
            "to: '::/0', via: 10.0.0.1",
            "….routes[0]: ::/0 and 10.0.0.1 are of different IP versions",
        ),
        (
            "to: default, via: 10.1.0.1",
            "….routes[0].via: 10.1.0.1 is not on the link: it lies outside 10.0.0.0/24 (gatewayOnLink: true accepts that)",
        ),
    ] {
        check_ip(
            &format!("{{address: 10.0.0.5/24, routes: [{{{route}}}]}}"),
            &[problem],
        );
    }
    check_ip(
        "{address: 10.0.0.5/24, routes: [{to: 172.16.0.0/12, via: 10.0.0.1}, {to: 172.16.9.9/12, via: 10.0.0.2}]}",
        &["….routes[1].to: \"172.16.9.9/12\" is the destination of ….routes[0] already"],
    );
    check_ip(
        "{addresses: [10.0.0.5/24, 'fd00::5/64'], gateway: 10.0.0.1, routes: [{to: '::/0', via: 'fd00::1'}, {to: 0.0.0.0/0, via: 10.0.0.2}]}",
        &["….routes[1].to: \"0.0.0.0/0\" is the destination of ….gateway already"],
    );
}

#[test]
fn name_service() {
    check_ip(
        "{dnsServers: [9.9.9.9, resolver, '9.9.9.9:53']}",
        &[
            "….dnsServers[1]: \"resolver\" is not an IP address",
            "….dnsServers[2]: \"9.9.9.9:53\" is not an IP address",
        ],
    );
    let label = "a".repeat(64);
    for (written, shown) in [
        ("lan.example.", "lan.example."),
        ("lan example", "lan example"),
        ("a\\n- b", "a\\n- b"),
        ("'", "'"),
        ("a..b", "a..b"),
        (label.as_str(), label.as_str()),
    ] {
        check_ip(
            &format!("{{searchDomains: [\"{written}\"]}}"),
            &[&format!(
                "….searchDomains[0]: \"{shown}\" is not a domain such as lan.example (without a dot at the end)"
            )],
        );
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    check(
        "{name: LAN, type: sriov, vlanId: 5000, mtu: 1, macAddress: x, ipConfig: {mode: static, gateway: y}}",
        &[
            "….name: \"LAN\" is not a DNS label: use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends",
            "….vlanId: 5000 is not between 1 and 4094",
            "….mtu: 1 is not between 576 and 9216 bytes",
            "…: sriov needs resourceName (the device-plugin resource) or nadName (an existing NetworkAttachmentDefinition)",
            "….macAddress: \"x\" is not a unicast MAC address such as 02:00:00:00:00:01",
            "….ipConfig.address: mode: static needs an address such as 192.168.10.5/24",
            "….ipConfig.gateway: \"y\" is not an IP address",
        ],
    );
}

#[test]
fn an_older_entry_for_the_pod_network_is_read_as_meant() {
    check("{name: default}", &[]);
    check(
        "{name: default, vlanId: 5}",
        &["….type: is missing: default without type is the pod network and takes no other field"],
    );
    check(
        "{name: lan}",
        &["….type: is missing: write bridge, ovs, sriov or macvlan"],
    );
    check_all(
        &["{name: default}"],
        "podNetwork: None,",
        &[
            "spec.podNetwork: None leaves the VM without a NIC: add an entry to networks",
            "…: default without type is the pod network, which podNetwork: None excludes: drop one of the two",
        ],
    );
}

#[test]
fn fields_of_older_manifests_say_what_to_write() {
    check(
        "{name: lan, type: bridge, physicalInterface: eth1, nodeIP: 10.0.0.1}",
        &[
            "….physicalInterface: is refused: write nodeNetwork: {uplink: eth1} to have the bridge made over that NIC, or bridgeName for a bridge that exists",
            "….nodeIP: is refused: the operator gives no addresses to nodes; drop it, and write the guest's address to ipConfig.address",
        ],
    );
    refusals::check(
        "{cpu: 1, memory: 1Gi, running: true}",
        &["spec.running: is refused: write powerState: Running or powerState: Stopped"],
    );
}

#[test]
fn vlans_of_the_guest_need_a_tagged_port_of_their_own() {
    check(
        "{name: lan, type: bridge, vlanId: 5, guestVlans: [{id: 7}, {id: 7}, {id: 0}]}",
        &[
            "….vlanId: makes the port untagged, so the guest cannot tag guestVlans on it: drop one of the two",
            "….guestVlans[1].id: 7 is listed already",
            "….guestVlans[2].id: 0 is not between 1 and 4094",
        ],
    );
}

#[test]
fn devices_that_kubevirt_cannot_make_are_refused() {
    check(
        "{name: fast, type: sriov, nadName: fast, model: e1000}",
        &["….model: a virtual function is passed through as it is: drop model"],
    );
    check(
        "{name: fast, type: sriov, nadName: fast, linkState: Down}",
        &["….linkState: a virtual function is passed through as it is: drop linkState"],
    );
    check(
        "{name: lan, type: bridge, primary: true}",
        &["….primary: takes the place of the pod network: add podNetwork: None"],
    );
    check_all(
        &[
            "{name: a, type: bridge, primary: true}",
            "{name: b, type: bridge, primary: true}",
        ],
        "podNetwork: None, podNetworkIpFamily: IPv6,",
        &[
            "spec.networks[1].primary: spec.networks[0] is the primary network already",
            "spec.podNetworkIpFamily: podNetwork: None leaves no NIC on the pod network: drop one of the two",
        ],
    );
}
