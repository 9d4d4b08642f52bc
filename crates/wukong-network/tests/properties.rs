//! For any Wukong that validation lets through, with hostile text wherever it lets text through.
//!
//! The expected objects are written down from the manifest, on another way than the planners take.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest::{collection, option, sample};
use regex_lite::Regex;
use serde_json::{Map, Value, json};
use wukong_api::validated::Nic;
use wukong_api::{Mac, OperatorSettings, ValidatedWukong, Wukong, names};
use wukong_network::nad::RESOURCE_NAME;
use wukong_network::{guest_network_data, nads, node_policies};

/// Labels that some YAML reader takes for something else than text.
const HOSTILE_LABELS: &[&str] = &[
    "on",
    "off",
    "yes",
    "no",
    "y",
    "n",
    "true",
    "false",
    "null",
    "12",
    "0x1f",
    "0o17",
    "017",
    "1e3",
    "2024-01-01",
    "1-2",
    "nan",
    "inf",
    "lo",
    "all",
    "default",
    "eth0",
    "version",
    "ethernets",
];

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        sample::select(HOSTILE_LABELS).prop_map(str::to_owned),
        "[a-z0-9]([-a-z0-9]{0,12}[a-z0-9])?",
        "[a-z0-9][-a-z0-9]{61}[a-z0-9]",
    ]
}

/// What Linux takes as the name of an interface: quotes, braces, dollars and all.
fn interface() -> impl Strategy<Value = String> {
    "[!-.0-9;-~]{1,15}".prop_filter("a directory", |name| name != "." && name != "..")
}

fn mac() -> impl Strategy<Value = String> {
    (
        "[0-9a-fA-F][2468aAcCeE]",
        collection::vec("[0-9a-fA-F]{2}", 5),
        0..4,
    )
        .prop_map(|(first, rest, notation)| {
            let octets: Vec<String> = std::iter::once(first).chain(rest).collect();
            match notation {
                0 => octets.join(":"),
                1 => octets.join("-"),
                2 => octets
                    .chunks(2)
                    .map(<[String]>::concat)
                    .collect::<Vec<_>>()
                    .join("."),
                _ => octets.concat(),
            }
        })
}

fn domain() -> impl Strategy<Value = String> {
    collection::vec(label(), 1..4)
        .prop_map(|labels| labels.join("."))
        .prop_filter("too long", |domain| domain.len() <= 253)
}

fn dns_server() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..0xe000_0000).prop_map(|bits| Ipv4Addr::from(bits).to_string()),
        any::<u64>()
            .prop_map(|bits| Ipv6Addr::from((0x2001_0db8 << 96) | u128::from(bits)).to_string()),
    ]
}

/// DHCP, or static addresses; `network` keeps the addresses of one Wukong apart.
fn ip_config(network: u8) -> impl Strategy<Value = Value> {
    let routers = (any::<bool>(), any::<bool>(), any::<bool>());
    let dns = (
        collection::vec(dns_server(), 0..3),
        collection::vec(domain(), 0..3),
    );
    (0..4u8, 1..200u8, routers, dns).prop_map(
        move |(kind, host, (gateway, default_route, route), (servers, domains))| {
            let (v4, v6) = (kind & 1 != 0, kind & 2 != 0);
            let mut config = Map::new();
            let mut addresses = Vec::new();
            if v4 {
                addresses.push(format!("10.{network}.0.{host}/24"));
            }
            if v6 {
                addresses.push(format!("fd00:{network:x}::{host:x}/64"));
            }
            let router = match v6 && !v4 {
                true => format!("fd00:{network:x}::fe"),
                false => format!("10.{network}.0.254"),
            };
            if gateway {
                config.insert("gateway".into(), json!(router));
            }
            let mut routes = Vec::new();
            if default_route && !gateway {
                routes.push(json!({"to": "default", "via": router}));
            }
            if route {
                let to = if v6 && !v4 {
                    "2001:db8:77::/48"
                } else {
                    "172.16.0.0/12"
                };
                routes.push(json!({"to": to, "via": router}));
            }
            config.insert("addresses".into(), json!(addresses));
            config.insert("routes".into(), json!(routes));
            config.insert("dnsServers".into(), json!(servers));
            config.insert("searchDomains".into(), json!(domains));
            Value::Object(config)
        },
    )
}

fn network(index: u8) -> impl Strategy<Value = Value> {
    let kind = sample::select(vec!["bridge", "ovs", "sriov", "macvlan"]);
    let text = (
        label(),
        option::of(label()),
        interface(),
        interface(),
        option::of(mac()),
    );
    let numbers = (option::of(1..=4094u16), option::of(1280..=9216u16));
    let selector = collection::btree_map(
        "[a-zA-Z0-9]{1,9}",
        "([A-Za-z0-9][-._A-Za-z0-9]{0,9}[A-Za-z0-9])?",
        0..3,
    );
    (
        kind,
        text,
        numbers,
        any::<(bool, bool, bool)>(),
        option::of(ip_config(index)),
        selector,
    )
        .prop_map(
            |(
                kind,
                (name, nad, bridge, uplink, mac),
                (vlan, mtu),
                (resource, bridged, managed),
                ip,
                selector,
            )| {
                let mut network = Map::from_iter([
                    ("name".to_owned(), json!(name)),
                    ("type".to_owned(), json!(kind)),
                ]);
                let mut put = |key: &str, value: Value| {
                    if !value.is_null() {
                        network.insert(key.to_owned(), value);
                    }
                };
                let on_a_bridge = matches!(kind, "bridge" | "ovs");
                put("nadName", json!(nad));
                put("macAddress", json!(mac));
                put("mtu", json!(mtu));
                put("ipConfig", json!(ip));
                put(
                    "resourceName",
                    match (kind, resource) {
                        ("sriov", _) | (_, true) => json!("example.com/net_1"),
                        _ => Value::Null,
                    },
                );
                if !(kind == "macvlan" && resource) {
                    put("vlanId", json!(vlan));
                }
                let managed = managed && on_a_bridge && bridge != uplink;
                if on_a_bridge && (bridged || managed || name.len() > 12) {
                    put("bridgeName", json!(bridge));
                }
                if managed {
                    put(
                        "nodeNetwork",
                        json!({"uplink": uplink, "nodeSelector": selector}),
                    );
                }
                Value::Object(network)
            },
        )
}

fn distinct<T: Ord>(of: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    of.into_iter().all(|item| seen.insert(item))
}

prop_compose! {
    /// A manifest's `spec.networks`, and whether the VM is on the pod network.
    fn networks()(
        networks in (network(1), network(2), network(3), network(4))
            .prop_map(|(a, b, c, d)| vec![a, b, c, d])
            .prop_filter("one name, MAC or bridge twice", |networks| {
                let texts = |key: &'static str| networks.iter().filter_map(move |network| network[key].as_str());
                distinct(texts("name"))
                    && distinct(texts("macAddress").map(Mac::parse))
                    && distinct(texts("bridgeName"))
            }),
        count in 1..=4usize,
        pod in any::<bool>(),
    ) -> (Vec<Value>, bool) {
        (networks.into_iter().take(count).collect(), pod)
    }
}

fn validated(networks: &[Value], pod: bool) -> ValidatedWukong {
    let manifest = json!({
        "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
        "metadata": {"name": "on", "namespace": "no", "uid": "1e3"},
        "spec": {
            "cpu": 1, "memory": "1Gi", "networks": networks,
            "podNetwork": if pod { "Masquerade" } else { "None" },
        },
    });
    let wukong: Wukong = serde_json::from_value(manifest).unwrap();
    let settings = OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    };
    ValidatedWukong::validate(&wukong, &settings).unwrap()
}

fn mac_of(network: &Value) -> String {
    match network["macAddress"].as_str() {
        Some(written) => {
            let digits: Vec<char> = written
                .to_lowercase()
                .chars()
                .filter(char::is_ascii_hexdigit)
                .collect();
            digits
                .chunks(2)
                .map(String::from_iter)
                .collect::<Vec<_>>()
                .join(":")
        }
        None => Mac::derive("1e3", network["name"].as_str().unwrap()).to_string(),
    }
}

/// What `guest_network_data` has to mean for these networks, except for the names of interfaces.
fn meant(networks: &[Value], pod: bool) -> Value {
    let mut ethernets = Map::new();
    if pod {
        ethernets.insert(
            "pod-network".into(),
            json!({
                "match": {"macaddress": Mac::derive("1e3", "pod-network").to_string()},
                "dhcp4": true, "dhcp4-overrides": {"route-metric": 100},
            }),
        );
    }
    let mut awaits = !pod;
    for (position, network) in networks.iter().enumerate() {
        let mut entry = json!({"match": {"macaddress": mac_of(network)}});
        let ip = &network["ipConfig"];
        if awaits && !ip.is_null() {
            awaits = false;
        } else {
            entry["optional"] = json!(true);
        }
        let dynamic = ip["addresses"] == json!([]);
        entry["dhcp4"] = json!(dynamic);
        if ip.is_null() {
            entry["accept-ra"] = json!(false);
            entry["link-local"] = json!([]);
        } else if dynamic {
            entry["dhcp4-overrides"] = json!({"route-metric": 200 + position});
        } else {
            entry["addresses"] = ip["addresses"].clone();
        }
        let gateway = ip
            .get("gateway")
            .map(|via| json!({"to": "default", "via": via}));
        let routes: Vec<Value> = gateway
            .into_iter()
            .chain(ip["routes"].as_array().cloned().unwrap_or_default())
            .map(|mut route| {
                if route["to"] == "default" {
                    let v6 = route["via"].as_str().unwrap().contains(':');
                    route["to"] = json!(if v6 { "::/0" } else { "0.0.0.0/0" });
                    route["metric"] = json!(10 + position);
                }
                if dynamic {
                    route["on-link"] = json!(true);
                }
                route
            })
            .collect();
        let mut nameservers = Map::new();
        for (ours, theirs) in [("dnsServers", "addresses"), ("searchDomains", "search")] {
            if let Some(list) = ip[ours].as_array().filter(|list| !list.is_empty()) {
                nameservers.insert(theirs.into(), json!(list));
            }
        }
        if !routes.is_empty() {
            entry["routes"] = json!(routes);
        }
        if !nameservers.is_empty() {
            entry["nameservers"] = Value::Object(nameservers);
        }
        if let Some(mtu) = network.get("mtu") {
            entry["mtu"] = mtu.clone();
        }
        ethernets.insert(network["name"].as_str().unwrap().to_owned(), entry);
    }
    json!({"version": 2, "ethernets": ethernets})
}

/// The CNI configuration and resource that `network` has to get.
fn meant_config(network: &Value, name: &str) -> (Value, Value) {
    let nic = network["name"].as_str().unwrap();
    let kind = network["type"].as_str().unwrap();
    let plugin = if kind == "macvlan" { "macvtap" } else { kind };
    let mut config = json!({"cniVersion": "0.3.1", "name": name, "type": plugin});
    let default_bridge = json!(format!("br-{nic}"));
    let mut put = |key: &str, value: Option<&Value>| {
        if let Some(value) = value {
            config[key] = value.clone();
        }
    };
    if matches!(kind, "bridge" | "ovs") {
        put(
            "bridge",
            network.get("bridgeName").or(Some(&default_bridge)),
        );
    }
    if kind != "macvlan" {
        put("vlan", network.get("vlanId"));
    }
    if kind != "sriov" {
        put("mtu", network.get("mtu"));
    }
    if kind == "bridge" {
        put("disableContainerInterface", Some(&json!(true)));
        put(
            "preserveDefaultVlan",
            network.get("vlanId").map(|_| &Value::Bool(false)),
        );
    }
    (config, network["resourceName"].clone())
}

/// Key and value of each line of block-style YAML; either can be empty.
fn entries(yaml: &str) -> impl Iterator<Item = (&str, &str)> {
    yaml.lines().map(|line| {
        let item = line.trim_start().trim_start_matches("- ");
        match item.strip_suffix(':') {
            Some(key) => (key, ""),
            None => item.split_once(": ").unwrap_or(("", item)),
        }
    })
}

/// Plain scalars that a reader of YAML 1.1 or 1.2 takes for something else than text.
const NOT_TEXT: &str = "^(on|off|yes|no|y|n|true|false|null|inf|nan|[0-9]+(e[0-9]+)?|0x[0-9a-f]+|0o[0-7]+|0b[01]+|[0-9]{4}-[0-9]{2}-[0-9]{2}|[^a-z0-9].*)$";

proptest! {
    // Nothing is written beside the source: a failure prints its input, and the run is its own record.
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn network_data_means_what_was_meant((networks, pod) in networks()) {
        let wukong = validated(&networks, pod);
        let nics: Vec<&Nic> = wukong.nics.iter().collect();
        let text = guest_network_data(&wukong, &nics);
        let mut data: Value = serde_saphyr::from_str(&text).unwrap();

        let ethernets = data["ethernets"].as_object_mut().unwrap();
        let names: Vec<String> = ethernets
            .values_mut()
            .map(|entry| entry.as_object_mut().unwrap().remove("set-name").unwrap().as_str().unwrap().to_owned())
            .collect();
        prop_assert!(distinct(names.iter()), "{names:?}");
        for name in names {
            prop_assert!(name.len() <= names::INTERFACE_MAX);
            prop_assert!(!["lo", "all", "default"].contains(&name.as_str()));
            prop_assert!(name.parse::<u64>().is_err(), "{name}");
        }
        prop_assert_eq!(data, meant(&networks, pod), "{}", text);
        prop_assert_eq!(&text, &guest_network_data(&validated(&networks, pod), &nics));
    }

    #[test]
    fn no_reader_can_take_text_for_anything_else((networks, pod) in networks()) {
        let wukong = validated(&networks, pod);
        let text = guest_network_data(&wukong, &wukong.nics.iter().collect::<Vec<_>>());
        let not_text = Regex::new(NOT_TEXT).unwrap();
        let quoted = |scalar: &str| scalar.starts_with(['\'', '"']);
        for (key, value) in entries(&text) {
            prop_assert!(quoted(key) || !not_text.is_match(key), "{key:?} in {text}");
            let typed = value.parse::<u16>().is_ok() || ["true", "false", "[]", ""].contains(&value);
            prop_assert!(quoted(value) || typed, "{value:?} in {text}");
        }
    }

    #[test]
    fn definitions_mean_what_was_meant((networks, pod) in networks()) {
        let wukong = validated(&networks, pod);
        let nics: Vec<&Nic> = wukong.nics.iter().collect();
        let planned = nads(&wukong, &nics);
        let ours: Vec<&Value> = networks.iter().filter(|network| network["nadName"].is_null()).collect();
        prop_assert_eq!(planned.len(), ours.len());
        for (definition, network) in planned.iter().zip(ours) {
            let name = definition.metadata.name.clone().unwrap();
            let (config, resource) = meant_config(network, &name);
            prop_assert_eq!(serde_json::from_str::<Value>(&definition.spec.config).unwrap(), config);
            let annotation = definition.metadata.annotations.as_ref().map(|all| json!(all[RESOURCE_NAME]));
            if network["type"] == "macvlan" && resource.is_null() {
                prop_assert!(annotation.unwrap().as_str().unwrap().starts_with("macvtap.network.kubevirt.io/"));
            } else {
                prop_assert_eq!(annotation.unwrap_or_default(), resource);
            }
        }
        prop_assert_eq!(planned, nads(&validated(&networks, pod), &nics));
    }

    #[test]
    fn policies_are_for_the_bridges_that_were_asked_for((networks, pod) in networks()) {
        let policies = node_policies(&validated(&networks, pod));
        let asked: Vec<&Value> = networks.iter().filter(|network| !network["nodeNetwork"].is_null()).collect();
        prop_assert_eq!(policies.len(), asked.len());
        for (policy, network) in policies.iter().zip(asked) {
            let name = policy.metadata.name.as_ref().unwrap();
            prop_assert!(name.len() <= names::LABEL_MAX);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
            let policy = serde_json::to_value(policy).unwrap();
            let interface = &policy["spec"]["desiredState"]["interfaces"][0];
            prop_assert_eq!(&interface["name"], &network["bridgeName"]);
            prop_assert_eq!(&interface["bridge"]["port"][0]["name"], &network["nodeNetwork"]["uplink"]);
            let selector = policy["spec"].get("nodeSelector").cloned().unwrap_or(json!({}));
            prop_assert_eq!(selector, network["nodeNetwork"]["nodeSelector"].clone());
        }
    }
}
