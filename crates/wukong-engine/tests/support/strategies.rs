//! Arbitrary valid Wukongs.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Specs with every kind of field, all of them valid.
pub fn spec() -> BoxedStrategy<Value> {
    let login = prop::sample::select(vec![
        json!({}),
        json!({"userDataSecret": "user-data"}),
        json!({"cloudInitUser": {"name": "web", "password": "p: #\"'", "groups": ["a", "b"]}}),
        json!({"cloudInitUser": {"name": "web", "passwordHash": "$6$salt$hash", "sudo": "", "lockPasswd": true}}),
    ]);
    let spec = object(vec![
        ("cpu", (1..513).prop_map(Value::from).boxed()),
        ("memory", texts(&["64Mi", "1.5Gi", "2G", "65Gi"])),
        (
            "osImage",
            optional(texts(&[
                "ubuntu:24.04",
                "quay.io/x/y:1",
                "docker://localhost:5000/x/y:1",
            ])),
        ),
        ("sshKeySecret", optional(texts(&["keys"]))),
        (
            "firmware",
            optional(texts(&["BIOS", "UEFI", "UEFISecureBoot"])),
        ),
        ("disks", named("disk", disk())),
        ("networks", named("net", network())),
        ("podNetwork", optional(texts(&["Masquerade", "None"]))),
        ("highAvailability", optional(availability())),
        ("startStrategy", optional(start_strategy())),
        (
            "powerState",
            optional(texts(&["Running", "Stopped", "Paused"])),
        ),
        ("restartApproval", optional(texts(&["Manual", "Automatic"]))),
        (
            "terminationGracePeriodSeconds",
            optional((0..86401).prop_map(Value::from).boxed()),
        ),
    ]);
    (spec, login)
        .prop_map(|(mut spec, login)| {
            if spec["networks"] == json!([]) {
                spec["podNetwork"] = json!("Masquerade");
            }
            let fields = spec.as_object_mut().unwrap();
            fields.extend(login.as_object().unwrap().clone());
            spec
        })
        .boxed()
}

fn optional(value: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop::option::of(value)
        .prop_map(|value| value.unwrap_or(Value::Null))
        .boxed()
}

fn texts(texts: &'static [&'static str]) -> BoxedStrategy<Value> {
    prop::sample::select(texts).prop_map(Value::from).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn one_of(values: Vec<Value>) -> BoxedStrategy<Value> {
    prop::sample::select(values).boxed()
}

/// An object of these fields, without those that came out as null.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let object = move |values: Vec<Value>| {
        let names = names.iter().map(|name| (*name).to_owned());
        names
            .zip(values)
            .filter(|(_, value)| !value.is_null())
            .collect()
    };
    values.prop_map(object).prop_map(Value::Object).boxed()
}

/// Both objects in one.
fn joined(a: BoxedStrategy<Value>, b: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let join = |(mut a, b): (Value, Value)| {
        a.as_object_mut()
            .unwrap()
            .extend(b.as_object().unwrap().clone());
        a
    };
    (a, b).prop_map(join).boxed()
}

/// A list with entries that get the names `<prefix>0`, `<prefix>1`, …, and the place of `%` in their texts.
fn named(prefix: &'static str, entry: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let name = move |entries: Vec<Value>| {
        let entries = entries.into_iter().enumerate().map(|(index, mut entry)| {
            entry["name"] = json!(format!("{prefix}{index}"));
            serde_json::from_str(&entry.to_string().replace('%', &index.to_string())).unwrap()
        });
        Value::Array(entries.collect())
    };
    prop::collection::vec(entry, 0..5).prop_map(name).boxed()
}

fn disk() -> BoxedStrategy<Value> {
    let device = one_of(vec![
        json!({}),
        json!({"bus": "virtio", "dedicatedIOThread": true}),
        json!({"bus": "scsi", "cache": "none", "serial": "S-%"}),
        json!({"bus": "usb", "cache": "writethrough"}),
        json!({"bus": "sata", "cache": "writeback"}),
        json!({"kind": "cdrom"}),
        json!({"kind": "lun"}),
    ]);
    let content = one_of(vec![
        json!({}),
        json!({"image": "fedora:41"}),
        json!({"image": "https://images.lan/x.qcow2"}),
        json!({"image": "s3://bucket/x.qcow2"}),
        json!({"source": {"blank": {}}}),
        json!({"source": {"http": {"url": "http://images.lan/x", "secretRef": "s", "certConfigMap": "c",
                                   "checksum": "md5:0123456789abcdef0123456789abcdef"}}}),
        json!({"source": {"registry": {"url": "docker://r/x", "pullMethod": "node", "secretRef": "s", "certConfigMap": "c"}}}),
        json!({"source": {"s3": {"url": "https://s3.lan/b/x", "secretRef": "s", "certConfigMap": "c"}}}),
        json!({"source": {"gcs": {"url": "gs://b/x", "secretRef": "s"}}}),
        json!({"source": {"pvc": {"name": "golden"}}}),
        json!({"source": {"snapshot": {"name": "golden"}}}),
        json!({"source": {"dataSource": {"name": "golden"}}}),
    ]);
    let claim = object(vec![
        ("size", texts(&["1Gi", "1.5G", "20Gi"])),
        ("storageClassName", optional(texts(&["fast"]))),
        (
            "accessModes",
            one_of(vec![
                json!([]),
                json!(["ReadWriteOnce"]),
                json!(["ReadWriteMany", "ReadOnlyMany"]),
            ]),
        ),
        ("volumeMode", optional(texts(&["Block"]))),
        ("reclaimPolicy", optional(texts(&["Delete", "Retain"]))),
    ]);
    joined(joined(device, content), claim)
}

fn network() -> BoxedStrategy<Value> {
    let kind = one_of(vec![
        json!({"type": "bridge"}),
        json!({"type": "bridge", "bridgeName": "br-lan", "nodeNetwork": {"uplink": "eth1", "nodeSelector": {"zone": "a"}}}),
        json!({"type": "bridge", "nadName": "existing"}),
        json!({"type": "ovs", "bridgeName": "ovs%"}),
        json!({"type": "sriov", "resourceName": "intel.com/vf"}),
        json!({"type": "macvlan"}),
        json!({"type": "macvlan", "resourceName": "macvtap.network.kubevirt.io/eth1"}),
    ]);
    let link = object(vec![
        ("mtu", optional((1280..9217).prop_map(Value::from).boxed())),
        ("macAddress", optional(texts(&["02:00:00:00:00:0%"]))),
        ("onMissingMultus", optional(texts(&["PodNetwork", "Block"]))),
        (
            "ipConfig",
            optional(one_of(vec![
                json!({}),
                json!({"mode": "dhcp", "dnsServers": ["10.0.0.1"]}),
                json!({"address": "10.%.0.5/24", "gateway": "10.%.0.1", "routes": [{"to": "10.99.0.0/16", "via": "10.%.0.254"}]}),
                json!({"mode": "static", "address": "192.168.%.5/24", "addresses": ["fd00:%::5/64"],
                       "searchDomains": ["lan.example"], "dnsServers": ["fd00:%::1"]}),
            ])),
        ),
    ]);
    joined(kind, link)
}

fn availability() -> BoxedStrategy<Value> {
    let toleration = one_of(vec![
        json!({"operator": "Exists"}),
        json!({"key": "a/b", "value": "v", "effect": "NoSchedule"}),
        json!({"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}),
    ]);
    object(vec![
        (
            "restartPolicy",
            optional(texts(&["Always", "OnFailure", "Never"])),
        ),
        ("antiAffinity", optional(flag())),
        ("topologySpread", optional(flag())),
        ("group", optional(texts(&["web", "a.b_c-d"]))),
        (
            "evictionStrategy",
            optional(texts(&[
                "LiveMigrate",
                "LiveMigrateIfPossible",
                "None",
                "External",
            ])),
        ),
        (
            "nodeSelector",
            optional(one_of(vec![
                json!({"node-role.kubernetes.io/worker": "", "zone": "a"}),
            ])),
        ),
        (
            "tolerations",
            prop::collection::vec(toleration, 0..4)
                .prop_map(Value::Array)
                .boxed(),
        ),
    ])
}

fn start_strategy() -> BoxedStrategy<Value> {
    one_of(vec![
        json!({}),
        json!({"autoStart": false}),
        json!({"runStrategy": "Always"}),
        json!({"runStrategy": "RerunOnFailure"}),
        json!({"runStrategy": "Manual"}),
        json!({"runStrategy": "Manual", "autoStart": false}),
        json!({"runStrategy": "Halted"}),
        json!({"runStrategy": "Once"}),
    ])
}
