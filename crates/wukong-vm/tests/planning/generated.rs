//! What holds for every Wukong.

use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_vm::virtual_machine::VirtualMachine;

use super::{machine, schema, secret, validated};

fn optional(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop::option::of(value)
        .prop_map(|value| value.unwrap_or(Value::Null))
        .boxed()
}

fn one_of(values: &'static [&'static str]) -> BoxedStrategy<Value> {
    optional(prop::sample::select(values).prop_map(Value::from))
}

fn flag() -> BoxedStrategy<Value> {
    optional(any::<bool>().prop_map(Value::from))
}

/// An object of these fields, without those that came out as null.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let object = move |values: Vec<Value>| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .zip(values)
            .filter(|(_, value)| !value.is_null())
            .collect()
    };
    values.prop_map(object).prop_map(Value::Object).boxed()
}

/// A list with entries that get the names `<prefix>0`, `<prefix>1`, …
fn named(prefix: &'static str, entry: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let name = move |mut entries: Vec<Value>| {
        for (index, entry) in entries.iter_mut().enumerate() {
            entry["name"] = json!(format!("{prefix}{index}"));
        }
        Value::Array(entries)
    };
    prop::collection::vec(entry, 0..5).prop_map(name).boxed()
}

fn disk() -> BoxedStrategy<Value> {
    let device = prop::sample::select(vec![
        json!({}),
        json!({"bus": "virtio", "dedicatedIOThread": true}),
        json!({"bus": "scsi", "cache": "none"}),
        json!({"bus": "usb", "cache": "writethrough"}),
        json!({"kind": "cdrom", "cache": "writeback"}),
        json!({"kind": "cdrom", "bus": "usb"}),
        json!({"kind": "lun", "volumeMode": "Block"}),
        json!({"image": "fedora:41"}),
        json!({"source": {"snapshot": {"name": "golden"}}}),
    ]);
    device
        .prop_map(|mut disk| {
            disk["size"] = json!("1Gi");
            disk
        })
        .boxed()
}

fn network() -> BoxedStrategy<Value> {
    object(vec![
        (
            "type",
            prop::sample::select(vec!["bridge", "ovs", "macvlan", "sriov"])
                .prop_map(Value::from)
                .boxed(),
        ),
        ("nadName", Just(json!("existing")).boxed()),
        ("mtu", optional((576..9217).prop_map(Value::from))),
        ("ipConfig", optional(Just(json!({"mode": "dhcp"})))),
    ])
}

fn availability() -> BoxedStrategy<Value> {
    let toleration = prop::sample::select(vec![
        json!({"operator": "Exists"}),
        json!({"key": "a/b", "value": "v", "effect": "NoSchedule"}),
        json!({"key": "c", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}),
    ]);
    object(vec![
        ("restartPolicy", one_of(&["Always", "OnFailure", "Never"])),
        ("antiAffinity", flag()),
        ("topologySpread", flag()),
        ("group", one_of(&["web", "a.b_c-d"])),
        (
            "evictionStrategy",
            one_of(&["LiveMigrate", "LiveMigrateIfPossible", "None", "External"]),
        ),
        (
            "nodeSelector",
            optional(Just(
                json!({"node-role.kubernetes.io/worker": "", "zone": "a"}),
            )),
        ),
        (
            "tolerations",
            prop::collection::vec(toleration, 0..4)
                .prop_map(Value::Array)
                .boxed(),
        ),
    ])
}

fn spec() -> BoxedStrategy<Value> {
    let login = prop::sample::select(vec![
        json!({}),
        json!({"userDataSecret": "s".repeat(253)}),
        json!({"cloudInitUser": {"name": "web", "password": "p: #", "groups": ["a", "b"]}}),
    ]);
    let spec = object(vec![
        ("cpu", (1..513).prop_map(Value::from).boxed()),
        (
            "memory",
            prop::sample::select(vec!["64Mi", "1.5Gi", "2G", "65Gi"])
                .prop_map(Value::from)
                .boxed(),
        ),
        (
            "osImage",
            one_of(&["ubuntu:24.04", "docker://localhost:5000/x/y:1"]),
        ),
        ("sshKeySecret", optional(Just(json!("k".repeat(51))))),
        ("firmware", one_of(&["BIOS", "UEFI", "UEFISecureBoot"])),
        ("disks", named("disk", disk())),
        ("networks", named("net", network())),
        ("podNetwork", one_of(&["Masquerade", "None"])),
        ("highAvailability", optional(availability())),
        ("powerState", one_of(&["Running", "Stopped", "Paused"])),
        (
            "terminationGracePeriodSeconds",
            optional((0..86401).prop_map(Value::from)),
        ),
    ]);
    (spec, login)
        .prop_map(|(mut spec, login)| {
            if spec["networks"] == json!([]) {
                spec["podNetwork"] = json!("Masquerade");
            }
            spec.as_object_mut()
                .unwrap()
                .extend(login.as_object().unwrap().clone());
            spec
        })
        .boxed()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect()
}

proptest! {
    #[test]
    fn the_machine_is_one_that_kubevirt_takes(spec in spec()) {
        let wukong = validated(spec.clone()).map_err(TestCaseError::fail)?;
        let planned = machine(&wukong);
        prop_assert_eq!(schema::problems(&planned), [""; 0]);

        let machine = serde_json::to_value(&planned).unwrap();
        let instance = &machine["spec"]["template"]["spec"];
        let devices = &instance["domain"]["devices"];
        // One volume for each disk and one network for each NIC, by name and in the same order.
        prop_assert_eq!(names(&devices["disks"]), names(&instance["volumes"]));
        prop_assert_eq!(names(&devices["interfaces"]), names(&instance["networks"]));
        let disks = devices["disks"].as_array().unwrap();
        let mut orders: Vec<u64> = disks.iter().filter_map(|disk| disk["bootOrder"].as_u64()).collect();
        orders.sort_unstable();
        prop_assert_eq!(&orders, &(1..).take(orders.len()).collect::<Vec<_>>());
        prop_assert_eq!(orders.is_empty(), wukong.disks.is_empty() && wukong.ephemeral_image.is_none());
        // The pod gets a volume named after each volume with a Secret, with six characters more.
        for volume in instance["volumes"].as_array().unwrap() {
            let limit = if volume.get("cloudInitNoCloud").is_some() { 57 } else { 63 };
            prop_assert!(volume["name"].as_str().unwrap().len() <= limit);
        }
        // Keys are delivered by the seed, so there is one.
        prop_assert!(instance["volumes"].as_array().unwrap().iter().any(|volume| volume.get("cloudInitNoCloud").is_some()));
        // What an API server gives back is read as the same object.
        prop_assert_eq!(serde_json::from_value::<VirtualMachine>(machine.clone()).unwrap(), planned.clone());
        // Planning again gives the same bytes.
        let again = validated(spec).unwrap();
        prop_assert_eq!(serde_json::to_string(&super::machine(&again)).unwrap(), serde_json::to_string(&planned).unwrap());
        prop_assert_eq!(secret(&again), secret(&wukong));
    }
}
