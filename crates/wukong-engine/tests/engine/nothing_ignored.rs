//! Every field of the spec makes a difference.
//!
//! The fields are those of the generated schema, and each has an entry in [`FIELDS`]: a context in which the field takes
//! one value after the other, with a difference in what comes of it between any two of them. A field without an entry
//! is a failure, so that none can be forgotten; so is a value of an enumeration that is not among its values.

use std::collections::BTreeMap;

use kube::CustomResourceExt;
use serde_json::{Value, json};
use wukong_api::{Wukong, labels};
use wukong_engine::Presence;

use crate::support::cluster::Cluster;
use crate::support::manifests::{rendered, spec, validated};

/// A field, the rest of the spec, and values of the field, in YAML. `-` leaves the field out.
type Field = (&'static str, &'static str, &'static [&'static str]);

const DISK: &str = "disks: [{name: root, size: 1Gi}]";
const SHARED: &str = "disks: [{name: root, size: 1Gi, accessModes: [ReadWriteMany]}]";
const HTTP: &str = "disks: [{name: root, size: 1Gi, source: {http: {url: 'http://h.lan/x'}}}]";
const REGISTRY: &str =
    "disks: [{name: root, size: 1Gi, source: {registry: {url: 'docker://h.lan/x'}}}]";
const S3: &str = "disks: [{name: root, size: 1Gi, source: {s3: {url: 's3://b/x'}}}]";
const GCS: &str = "disks: [{name: root, size: 1Gi, source: {gcs: {url: 'gs://b/x'}}}]";
const NIC: &str = "networks: [{name: lan, type: bridge, bridgeName: br0}]";
const STATIC: &str = "networks: [{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24}}]";
const VLAN: &str = "networks: [{name: lan, type: bridge, guestVlans: [{id: 5}]}]";
const VLAN_STATIC: &str = "networks: [{name: lan, type: bridge, guestVlans: [{id: 5, ipConfig: {address: 10.0.0.5/24}}]}]";
const USER: &str = "cloudInitUser: {name: web}";
const TAINT: &str = "highAvailability: {tolerations: [{key: a, effect: NoExecute}]}";
const NODES: &str = "networks: [{name: lan, type: bridge, nodeNetwork: {uplink: eth1}}]";

const FIELDS: &[Field] = &[
    ("cpu", "", &["1", "2"]),
    ("memory", "", &["1Gi", "2Gi"]),
    ("labels{}", "", &["-", "a", "b"]),
    ("annotations{}", "", &["-", "a", "b"]),
    ("architecture", "", &["-", "amd64", "arm64", "s390x"]),
    ("cpuModel", "", &["-", "host-model", "Skylake-Server"]),
    ("dedicatedCpu", "", &["false", "true"]),
    ("hugepages", "", &["-", "2Mi", "1Gi"]),
    ("tpm.persistent", "tpm: {}", &["-", "true"]),
    ("osImage", DISK, &["-", "'fedora:41'", "'fedora:42'"]),
    ("sshKeySecret", "", &["-", "a", "b"]),
    ("userDataSecret", "", &["-", "a", "b"]),
    ("cloudInitUser.name", USER, &["a", "b"]),
    ("cloudInitUser.password", USER, &["-", "a", "b"]),
    (
        "cloudInitUser.passwordHash",
        USER,
        &["-", "$6$a$b", "$6$a$c"],
    ),
    ("cloudInitUser.sudo", USER, &["-", "''", "'ALL=(ALL) ALL'"]),
    ("cloudInitUser.shell", USER, &["-", "/bin/sh"]),
    ("cloudInitUser.groups[]", USER, &["-", "a", "b"]),
    (
        "cloudInitUser.lockPasswd",
        "cloudInitUser: {name: web, password: a}",
        &["false", "true"],
    ),
    ("podNetwork", NIC, &["Masquerade", "None"]),
    (
        "userDataFormat",
        "userDataSecret: a",
        &["CloudInit", "Ignition"],
    ),
    ("podNetworkIpFamily", "", &["IPv4", "IPv6", "DualStack"]),
    ("podNetworkDnsServers[]", "", &["-", "10.0.0.1", "10.0.0.2"]),
    (
        "networks[].model",
        NIC,
        &[
            "-", "virtio", "e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139",
        ],
    ),
    ("networks[].linkState", NIC, &["-", "Up", "Down"]),
    (
        "networks[].primary",
        "podNetwork: None, networks: [{name: lan, type: bridge}]",
        &["false", "true"],
    ),
    ("networks[].guestVlans[].id", NIC, &["1", "2"]),
    (
        "networks[].guestVlans[].ipConfig.mode",
        VLAN,
        &["-", "dhcp"],
    ),
    (
        "networks[].guestVlans[].ipConfig.address",
        VLAN,
        &["-", "10.0.0.5/24", "10.0.0.6/24"],
    ),
    (
        "networks[].guestVlans[].ipConfig.addresses[]",
        VLAN,
        &["-", "'fd00::5/64'", "'fd00::6/64'"],
    ),
    (
        "networks[].guestVlans[].ipConfig.gateway",
        VLAN_STATIC,
        &["-", "10.0.0.1", "10.0.0.2"],
    ),
    (
        "networks[].guestVlans[].ipConfig.gatewayOnLink",
        "networks: [{name: lan, type: bridge, guestVlans: [{id: 5, ipConfig: {address: 10.0.0.5/32, routes: [{to: 10.0.0.0/8, via: 10.0.0.5}]}}]}]",
        &[],
    ),
    (
        "networks[].guestVlans[].ipConfig.dnsServers[]",
        VLAN_STATIC,
        &["-", "10.0.0.1", "10.0.0.2"],
    ),
    (
        "networks[].guestVlans[].ipConfig.searchDomains[]",
        VLAN_STATIC,
        &["-", "a.lan", "b.lan"],
    ),
    (
        "networks[].guestVlans[].ipConfig.routes[].to",
        "networks: [{name: lan, type: bridge, guestVlans: [{id: 5, ipConfig: {address: 10.0.0.5/24, routes: [{via: 10.0.0.1}]}}]}]",
        &["default", "10.1.0.0/16"],
    ),
    (
        "networks[].guestVlans[].ipConfig.routes[].via",
        "networks: [{name: lan, type: bridge, guestVlans: [{id: 5, ipConfig: {address: 10.0.0.5/24, routes: [{to: 10.1.0.0/16}]}}]}]",
        &["10.0.0.1", "10.0.0.2"],
    ),
    ("networks[].ipConfig.gatewayOnLink", STATIC, &[]),
    ("networks[].name", NIC, &["a", "b"]),
    (
        "networks[].type",
        "networks: [{name: lan, nadName: x}]",
        &["bridge", "macvlan", "sriov"],
    ),
    ("networks[].type", NIC, &["bridge", "ovs"]),
    ("networks[].nadName", NIC, &["-", "a", "b"]),
    ("networks[].vlanId", NIC, &["-", "1", "2"]),
    ("networks[].bridgeName", NIC, &["-", "br1", "br2"]),
    (
        "networks[].macAddress",
        NIC,
        &["-", "'02:00:00:00:00:01'", "'02:00:00:00:00:02'"],
    ),
    ("networks[].mtu", NIC, &["-", "1400", "1500"]),
    ("networks[].resourceName", NIC, &["-", "x/a", "x/b"]),
    ("networks[].onMissingMultus", NIC, &["PodNetwork", "Block"]),
    (
        "networks[].ipConfig.mode",
        "networks: [{name: lan, type: bridge}]",
        &["-", "dhcp"],
    ),
    (
        "networks[].ipConfig.address",
        "networks: [{name: lan, type: bridge}]",
        &["-", "10.0.0.5/24", "10.0.0.6/24"],
    ),
    (
        "networks[].ipConfig.addresses[]",
        STATIC,
        &["-", "'fd00::5/64'", "'fd00::6/64'"],
    ),
    (
        "networks[].ipConfig.gateway",
        STATIC,
        &["-", "10.0.0.1", "10.0.0.2"],
    ),
    (
        "networks[].ipConfig.dnsServers[]",
        STATIC,
        &["-", "10.0.0.1", "10.0.0.2"],
    ),
    (
        "networks[].ipConfig.searchDomains[]",
        STATIC,
        &["-", "a.lan", "b.lan"],
    ),
    (
        "networks[].ipConfig.routes[].to",
        "networks: [{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24, routes: [{via: 10.0.0.1}]}}]",
        &["default", "10.1.0.0/16", "10.2.0.0/16"],
    ),
    (
        "networks[].ipConfig.routes[].via",
        "networks: [{name: lan, type: bridge, ipConfig: {address: 10.0.0.5/24, routes: [{to: 10.1.0.0/16}]}}]",
        &["10.0.0.1", "10.0.0.2"],
    ),
    ("networks[].nodeNetwork.uplink", NODES, &["eth1", "eth2"]),
    (
        "networks[].nodeNetwork.nodeSelector{}",
        NODES,
        &["-", "a", "b"],
    ),
    ("disks[].name", DISK, &["a", "b"]),
    ("disks[].size", DISK, &["1Gi", "2Gi"]),
    ("disks[].claim", "disks: [{name: root}]", &["a", "b"]),
    ("disks[].shareable", SHARED, &["false", "true"]),
    ("disks[].storageClassName", DISK, &["-", "a", "b"]),
    (
        "disks[].boot",
        "disks: [{name: root, size: 1Gi}, {name: other, size: 1Gi, image: h/x}]",
        &["-", "true"],
    ),
    ("disks[].image", DISK, &["-", "h/a", "h/b"]),
    (
        "disks[].accessModes[]",
        DISK,
        &[
            "-",
            "ReadWriteOnce",
            "ReadWriteMany",
            "ReadOnlyMany",
            "ReadWriteOncePod",
        ],
    ),
    ("disks[].volumeMode", DISK, &["-", "Filesystem", "Block"]),
    ("disks[].bus", DISK, &["virtio", "scsi", "sata", "usb"]),
    ("disks[].kind", DISK, &["disk", "cdrom", "lun"]),
    ("disks[].reclaimPolicy", DISK, &["Delete", "Retain"]),
    (
        "disks[].cache",
        DISK,
        &["-", "none", "writethrough", "writeback"],
    ),
    ("disks[].dedicatedIOThread", DISK, &["false", "true"]),
    ("disks[].serial", DISK, &["-", "a", "b"]),
    (
        "disks[].source.blank",
        "osImage: 'fedora:41', disks: [{name: root, size: 1Gi}]",
        &["-", "{}"],
    ),
    (
        "disks[].source.http.url",
        HTTP,
        &["'http://h.lan/a'", "'http://h.lan/b'"],
    ),
    ("disks[].source.http.secretRef", HTTP, &["-", "a", "b"]),
    ("disks[].source.http.certConfigMap", HTTP, &["-", "a", "b"]),
    (
        "disks[].source.http.checksum",
        HTTP,
        &[
            "-",
            "'md5:0123456789abcdef0123456789abcdef'",
            "'md5:1123456789abcdef0123456789abcdef'",
        ],
    ),
    (
        "disks[].source.registry.url",
        REGISTRY,
        &["'docker://h.lan/a'", "'docker://h.lan/b'"],
    ),
    (
        "disks[].source.registry.pullMethod",
        REGISTRY,
        &["-", "pod", "node"],
    ),
    (
        "disks[].source.registry.secretRef",
        REGISTRY,
        &["-", "a", "b"],
    ),
    (
        "disks[].source.registry.certConfigMap",
        REGISTRY,
        &["-", "a", "b"],
    ),
    ("disks[].source.s3.url", S3, &["'s3://b/a'", "'s3://b/b'"]),
    ("disks[].source.s3.secretRef", S3, &["-", "a", "b"]),
    ("disks[].source.s3.certConfigMap", S3, &["-", "a", "b"]),
    ("disks[].source.gcs.url", GCS, &["'gs://b/a'", "'gs://b/b'"]),
    ("disks[].source.gcs.secretRef", GCS, &["-", "a", "b"]),
    ("disks[].source.pvc.name", DISK, &["a", "b"]),
    ("disks[].source.snapshot.name", DISK, &["a", "b"]),
    ("disks[].source.dataSource.name", DISK, &["a", "b"]),
    (
        "disks[].source.dataSource.namespace",
        "disks: [{name: root, size: 1Gi, source: {dataSource: {name: a}}}]",
        &["-", "a", "b"],
    ),
    (
        "highAvailability.restartPolicy",
        "",
        &["Always", "OnFailure", "Never"],
    ),
    ("highAvailability.antiAffinity", "", &["false", "true"]),
    ("highAvailability.topologySpread", "", &["false", "true"]),
    ("highAvailability.group", "", &["-", "a", "b"]),
    ("highAvailability.nodeSelector{}", "", &["-", "a", "b"]),
    ("highAvailability.tolerations[].key", TAINT, &["a", "b"]),
    (
        "highAvailability.tolerations[].operator",
        TAINT,
        &["Equal", "Exists"],
    ),
    (
        "highAvailability.tolerations[].value",
        TAINT,
        &["-", "a", "b"],
    ),
    (
        "highAvailability.tolerations[].effect",
        "highAvailability: {tolerations: [{key: a}]}",
        &["-", "NoSchedule", "PreferNoSchedule", "NoExecute"],
    ),
    (
        "highAvailability.tolerations[].tolerationSeconds",
        TAINT,
        &["-", "1", "2"],
    ),
    (
        "highAvailability.evictionStrategy",
        "",
        &["LiveMigrate", "LiveMigrateIfPossible", "None", "External"],
    ),
    (
        "startStrategy.runStrategy",
        "",
        &["Always", "RerunOnFailure", "Manual", "Halted", "Once"],
    ),
    ("startStrategy.autoStart", "", &["false", "true"]),
    (
        "startStrategy.autoStart",
        "startStrategy: {runStrategy: Manual}",
        &["false", "true"],
    ),
    ("powerState", "", &["Running", "Stopped", "Paused"]),
    (
        "powerState",
        "startStrategy: {autoStart: false}",
        &["-", "Running", "Paused"],
    ),
    ("restartApproval", "", &["Manual", "Automatic"]),
    (
        "restoreFromSnapshot",
        "disks: [{name: root, size: 1Gi}]",
        &["-", "before", "after"],
    ),
    ("firmware", "", &["-", "BIOS", "UEFI", "UEFISecureBoot"]),
    ("terminationGracePeriodSeconds", "", &["-", "0", "1"]),
];

/// Fields of older manifests that are in the schema only to be refused with what to write instead.
const REFUSED: &[(&str, &str)] = &[
    ("networks[].nodeIP", "spec.networks[0].nodeIP: is refused"),
    (
        "networks[].physicalInterface",
        "spec.networks[0].physicalInterface: is refused",
    ),
    ("running", "spec.running: is refused"),
];

/// The fields of the schema that hold a value, with the values of enumerations.
fn leaves(path: &str, schema: &Value, found: &mut BTreeMap<String, Vec<Value>>) {
    let items = &schema["items"];
    let values = &schema["additionalProperties"];
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, property) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{name}"), property, found);
            }
        }
        None if items.is_object() => leaves(&format!("{path}[]"), items, found),
        None if values.is_object() => leaves(&format!("{path}{{}}"), values, found),
        None => {
            let allowed = schema["enum"].as_array().cloned().unwrap_or_default();
            found.insert(path.to_owned(), allowed);
        }
    }
}

fn schema() -> BTreeMap<String, Vec<Value>> {
    let crd = serde_json::to_value(Wukong::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut found = BTreeMap::new();
    leaves("", schema, &mut found);
    assert!(found.len() > 50);
    for (path, _) in REFUSED {
        assert!(
            found.remove(*path).is_some(),
            "there is no field spec.{path}"
        );
    }
    found
}

/// The spec with this value in the field: in the first entry of a list, under the key `zone` of a map.
fn with(context: &str, path: &str, value: &str) -> Value {
    let mut spec = spec(context);
    if value == "-" {
        let path = path.trim_end_matches("[]").trim_end_matches("{}");
        let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
        if let Some(parent) = at(&mut spec, parent).as_object_mut() {
            parent.remove(field);
        }
    } else {
        *at(&mut spec, path) = serde_saphyr::from_str(value).unwrap();
    }
    // What was only made on the way.
    spec.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    spec
}

fn at<'a>(spec: &'a mut Value, path: &str) -> &'a mut Value {
    let steps = path.replace("[]", ".[]").replace("{}", ".{}");
    let steps = steps.split('.').filter(|step| !step.is_empty());
    steps.fold(spec, |at, step| match step {
        "[]" => {
            if at.is_null() {
                *at = json!([null]);
            }
            &mut at[0]
        }
        "{}" => &mut at["zone"],
        name => &mut at[name],
    })
}

/// Everything that follows from a spec: the objects, and their states over time.
fn outcome(path: &str, spec: &Value) -> Value {
    match path {
        // Said twice, in a note for ourselves and by what the VM does: only the latter counts.
        "powerState" | "startStrategy.autoStart" => {
            let mut cluster = Cluster::with(spec);
            cluster.live();
            let (mut vm, instance) = (cluster.vm(), cluster.instance());
            vm["metadata"]["annotations"][labels::POWER_WISH].take();
            json!([
                vm["metadata"]["annotations"],
                vm["spec"],
                instance["status"]
            ])
        }
        "networks[].onMissingMultus" => {
            let mut cluster = Cluster::with(spec);
            cluster
                .unserved
                .insert("NetworkAttachmentDefinition", Presence::Missing);
            cluster.live();
            cluster.vm()["spec"].clone()
        }
        "restartApproval" => {
            let mut cluster = Cluster::with(spec);
            cluster.live();
            let mut edited = spec.clone();
            edited["firmware"] = json!("UEFI");
            cluster.edit_to(&edited);
            cluster.live();
            cluster.run_controllers();
            cluster.instance()["spec"].clone()
        }
        _ => json!(rendered(&validated(spec).unwrap())),
    }
}

#[test]
fn every_field_of_the_schema_is_checked() {
    let schema = schema();
    let checked: Vec<&str> = FIELDS.iter().map(|(path, ..)| *path).collect();
    for path in schema.keys() {
        assert!(
            checked.contains(&path.as_str()),
            "spec.{path} makes no difference that a test knows of"
        );
    }
    for path in checked {
        assert!(schema.contains_key(path), "there is no field spec.{path}");
    }
}

#[test]
fn every_value_of_an_enumeration_is_checked() {
    for (path, allowed) in schema() {
        let of_path = FIELDS.iter().filter(|(known, ..)| *known == path);
        let values: Vec<&str> = of_path
            .flat_map(|(.., values)| values.iter().copied())
            .collect();
        for value in allowed.iter().filter_map(Value::as_str) {
            // `static` is what an address means.
            assert!(
                values.contains(&value) || value == "static",
                "spec.{path}: {value}"
            );
        }
    }
}

#[test]
fn every_value_makes_a_difference() {
    for (path, context, values) in FIELDS {
        let specs: Vec<Value> = values
            .iter()
            .map(|value| with(context, path, value))
            .collect();
        for spec in &specs {
            assert_eq!(validated(spec).err(), None, "spec.{path} in {spec}");
        }
        let outcomes: Vec<Value> = specs.iter().map(|spec| outcome(path, spec)).collect();
        for (index, outcome) in outcomes.iter().enumerate() {
            for earlier in 0..index {
                assert_ne!(specs[earlier], specs[index], "spec.{path}");
                assert_ne!(
                    &outcomes[earlier], outcome,
                    "spec.{path}: {} and {} come to the same in {context}",
                    values[earlier], values[index]
                );
            }
        }
    }
}

/// The mode only says what the addresses say already, so it is proven by what it contradicts.
#[test]
fn a_mode_that_contradicts_the_addresses_is_refused() {
    for (mode, context) in [("static", NIC), ("dhcp", STATIC)] {
        let spec = with(context, "networks[].ipConfig.mode", mode);
        let refused = validated(&spec).unwrap_err();
        assert!(
            refused.contains("spec.networks[0].ipConfig.address"),
            "{refused}"
        );
    }
}

#[test]
fn fields_of_older_manifests_are_refused() {
    for (path, refusal) in REFUSED {
        let value = if *path == "running" { "true" } else { "eth1" };
        let refused = validated(&with(NIC, path, value)).unwrap_err();
        assert!(refused.starts_with(refusal), "{refused}");
    }
}

/// It accepts a gateway that is refused without it.
#[test]
fn a_gateway_outside_the_prefix_needs_to_be_on_the_link() {
    let ip = "ipConfig: {address: 10.0.0.5/32, gateway: 10.9.0.1";
    let outside = "spec.networks[0]";
    for (context, nic) in [
        (format!("{{name: lan, type: bridge, {ip}"), "ethernets"),
        (
            format!("{{name: lan, type: bridge, guestVlans: [{{id: 5, {ip}"),
            "vlans",
        ),
    ] {
        let close = if nic == "vlans" { "}]}" } else { "}" };
        let manifest = |more: &str| spec(&format!("networks: [{context}{more}}}{close}]"));
        let refused = validated(&manifest("")).unwrap_err();
        assert!(refused.starts_with(outside), "{refused}");
        let accepted = validated(&manifest(", gatewayOnLink: true")).unwrap();
        assert!(format!("{:?}", rendered(&accepted)).len() > 100);
    }
}
