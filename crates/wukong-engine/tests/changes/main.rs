//! The classes of changes, held against what is rendered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod plugging;

use std::collections::BTreeSet;

use kube::CustomResourceExt;
use proptest::prelude::*;
use serde_json::{Value, json};
use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};
use wukong_engine::changes::{Change, Class, Rollout, RunningVm, classify, first_boot};
use wukong_engine::desired::{Surroundings, compose};
use wukong_engine::facts::MachineFact;

/// A Wukong in which every kind of field is in use.
fn base() -> Value {
    json!({
        "cpu": 2, "memory": "4Gi", "osImage": "ubuntu:24.04", "sshKeySecret": "keys",
        "cloudInitUser": {"name": "me", "password": "hunter2-old", "groups": ["sudo"]},
        "networks": [
            {"name": "lan", "type": "bridge", "vlanId": 10, "ipConfig": {"address": "10.0.0.5/24", "gateway": "10.0.0.1"}},
            {"name": "fast", "type": "sriov", "resourceName": "example.com/vf"},
        ],
        "disks": [
            {"name": "root", "size": "10Gi", "boot": true},
            {"name": "data", "size": "20Gi", "source": {"http": {"url": "https://a.example/x"}}},
            {"name": "more", "size": "1Gi"},
        ],
        "highAvailability": {"antiAffinity": true, "tolerations": [{"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute"}]},
    })
}

fn wukong(spec: &Value) -> Option<ValidatedWukong> {
    let mut wukong = Wukong::new("web", serde_json::from_value(spec.clone()).unwrap());
    wukong.metadata.namespace = Some("shop".into());
    wukong.metadata.uid = Some("c0ffee".into());
    let settings = OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    };
    ValidatedWukong::validate(&wukong, &settings).ok()
}

/// A field of the schema, and edits of the base (pointer and value; null takes the field away) that change it.
type Edit = (&'static str, Vec<(&'static str, Value)>);

#[rustfmt::skip]
fn edits() -> Vec<Edit> {
    fn source(kind: &str, fields: Value) -> Vec<(&'static str, Value)> {
        vec![("/disks/1/source", json!({ kind: fields }))]
    }
    fn vlan(vlan: Value) -> Vec<(&'static str, Value)> {
        vec![("/networks/0/vlanId", Value::Null), ("/networks/0/guestVlans", json!([vlan]))]
    }
    vec![
        ("cpu", vec![("/cpu", json!(4))]),
        ("memory", vec![("/memory", json!("8Gi"))]),
        ("labels", vec![("/labels", json!({"app": "api"}))]),
        ("annotations", vec![("/annotations", json!({"example.com/a": "b"}))]),
        ("architecture", vec![("/architecture", json!("arm64"))]),
        ("cpuModel", vec![("/cpuModel", json!("host-model"))]),
        ("dedicatedCpu", vec![("/dedicatedCpu", json!(true))]),
        ("hugepages", vec![("/hugepages", json!("2Mi"))]),
        ("tpm.persistent", vec![("/tpm", json!({"persistent": true}))]),
        ("osImage", vec![("/osImage", json!("fedora:40"))]),
        ("sshKeySecret", vec![("/sshKeySecret", json!("others"))]),
        ("cloudInitUser.name", vec![("/cloudInitUser/name", json!("you"))]),
        ("cloudInitUser.password", vec![("/cloudInitUser/password", json!("hunter2-new"))]),
        ("cloudInitUser.passwordHash", vec![("/cloudInitUser/passwordHash", json!("$6$hunter2-hash"))]),
        ("cloudInitUser.sudo", vec![("/cloudInitUser/sudo", json!(""))]),
        ("cloudInitUser.shell", vec![("/cloudInitUser/shell", json!("/bin/sh"))]),
        ("cloudInitUser.groups[]", vec![("/cloudInitUser/groups", json!(["wheel"]))]),
        ("cloudInitUser.lockPasswd", vec![("/cloudInitUser/lockPasswd", json!(true))]),
        ("userDataSecret", vec![("/cloudInitUser", Value::Null), ("/userDataSecret", json!("mine"))]),
        ("networks[].name", vec![("/networks/0/name", json!("wan"))]),
        ("networks[].type", vec![("/networks/0/type", json!("ovs"))]),
        ("networks[].nadName", vec![("/networks/0/nadName", json!("theirs")), ("/networks/0/vlanId", Value::Null)]),
        ("networks[].vlanId", vec![("/networks/0/vlanId", json!(20))]),
        ("networks[].bridgeName", vec![("/networks/0/bridgeName", json!("br-x"))]),
        ("networks[].ipConfig.mode", vec![("/networks/0/ipConfig", json!({"mode": "dhcp"}))]),
        ("networks[].ipConfig.address", vec![("/networks/0/ipConfig/address", json!("10.0.0.6/24"))]),
        ("networks[].ipConfig.addresses[]", vec![("/networks/0/ipConfig/addresses", json!(["fd00::1/64"]))]),
        ("networks[].ipConfig.gateway", vec![("/networks/0/ipConfig/gateway", json!("10.0.0.2"))]),
        ("networks[].ipConfig.dnsServers[]", vec![("/networks/0/ipConfig/dnsServers", json!(["10.0.0.1"]))]),
        ("networks[].ipConfig.searchDomains[]", vec![("/networks/0/ipConfig/searchDomains", json!(["a.example"]))]),
        ("networks[].ipConfig.routes[].to", vec![("/networks/0/ipConfig/routes", json!([{"to": "10.1.0.0/16", "via": "10.0.0.9"}]))]),
        ("networks[].ipConfig.routes[].via", vec![("/networks/0/ipConfig/routes", json!([{"to": "10.1.0.0/16", "via": "10.0.0.8"}]))]),
        ("networks[].macAddress", vec![("/networks/0/macAddress", json!("02:00:00:00:00:01"))]),
        ("networks[].mtu", vec![("/networks/0/mtu", json!(9000))]),
        ("networks[].mtu", vec![("/networks/1/mtu", json!(9000))]),
        ("networks[].resourceName", vec![("/networks/1/resourceName", json!("example.com/other"))]),
        ("networks[].onMissingMultus", vec![("/networks/0/onMissingMultus", json!("Block"))]),
        ("networks[].nodeNetwork.uplink", vec![("/networks/0/nodeNetwork", json!({"uplink": "eth1"}))]),
        ("networks[].nodeNetwork.nodeSelector", vec![("/networks/0/nodeNetwork", json!({"uplink": "eth1", "nodeSelector": {"a": "b"}}))]),
        ("networks[].ipConfig.gatewayOnLink", vec![("/networks/0/ipConfig", json!({"address": "10.0.0.5/24", "gateway": "10.9.0.1", "gatewayOnLink": true}))]),
        ("networks[].model", vec![("/networks/0/model", json!("e1000"))]),
        ("networks[].linkState", vec![("/networks/0/linkState", json!("Down"))]),
        ("networks[].primary", vec![("/podNetwork", json!("None")), ("/networks/0/primary", json!(true))]),
        ("userDataFormat", vec![
            ("/userDataFormat", json!("Ignition")), ("/userDataSecret", json!("mine")), ("/cloudInitUser", Value::Null),
            ("/sshKeySecret", Value::Null), ("/networks/0/ipConfig", Value::Null), ("/networks/0/guestVlans", Value::Null),
            ("/podNetworkIpFamily", Value::Null), ("/podNetworkDnsServers", Value::Null)]),
        ("podNetworkIpFamily", vec![("/podNetworkIpFamily", json!("DualStack"))]),
        ("podNetworkDnsServers[]", vec![("/podNetworkDnsServers", json!(["10.0.0.1"]))]),
        ("networks[].guestVlans[].id", vlan(json!({"id": 5}))),
        ("networks[].guestVlans[].ipConfig.mode", vlan(json!({"id": 5, "ipConfig": {"mode": "dhcp"}}))),
        ("networks[].guestVlans[].ipConfig.address", vlan(json!({"id": 5, "ipConfig": {"address": "10.5.0.5/24"}}))),
        ("networks[].guestVlans[].ipConfig.addresses[]", vlan(json!({"id": 5, "ipConfig": {"addresses": ["fd00::1/64"]}}))),
        ("networks[].guestVlans[].ipConfig.gateway", vlan(json!({"id": 5, "ipConfig": {"address": "10.5.0.5/24", "gateway": "10.5.0.1"}}))),
        ("networks[].guestVlans[].ipConfig.gatewayOnLink", vlan(json!({"id": 5, "ipConfig": {"address": "10.5.0.5/32", "gateway": "10.5.0.1", "gatewayOnLink": true}}))),
        ("networks[].guestVlans[].ipConfig.dnsServers[]", vlan(json!({"id": 5, "ipConfig": {"dnsServers": ["10.5.0.1"]}}))),
        ("networks[].guestVlans[].ipConfig.searchDomains[]", vlan(json!({"id": 5, "ipConfig": {"searchDomains": ["a.example"]}}))),
        ("networks[].guestVlans[].ipConfig.routes[].to", vlan(json!({"id": 5, "ipConfig": {"address": "10.5.0.5/24", "routes": [{"to": "10.6.0.0/16", "via": "10.5.0.1"}]}}))),
        ("networks[].guestVlans[].ipConfig.routes[].via", vlan(json!({"id": 5, "ipConfig": {"address": "10.5.0.5/24", "routes": [{"to": "10.6.0.0/16", "via": "10.5.0.2"}]}}))),
        ("podNetwork", vec![("/podNetwork", json!("None"))]),
        ("disks[].name", vec![("/disks/2/name", json!("other"))]),
        ("disks[].size", vec![("/disks/0/size", json!("12Gi"))]),
        ("disks[].size", vec![("/disks/0/size", json!("8Gi"))]),
        ("disks[].storageClassName", vec![("/disks/0/storageClassName", json!("fast"))]),
        ("disks[].boot", vec![("/disks/0/boot", json!(false)), ("/disks/1/boot", json!(true))]),
        ("disks[].image", vec![("/disks/0/image", json!("https://a.example/y"))]),
        ("disks[].source.http.url", source("http", json!({"url": "https://b.example/x"}))),
        ("disks[].source.http.secretRef", source("http", json!({"url": "https://a.example/x", "secretRef": "s"}))),
        ("disks[].source.http.certConfigMap", source("http", json!({"url": "https://a.example/x", "certConfigMap": "c"}))),
        ("disks[].source.http.checksum", source("http", json!({"url": "https://a.example/x", "checksum": format!("sha256:{}", "a".repeat(64))}))),
        ("disks[].source.registry.url", source("registry", json!({"url": "docker://a.example/x"}))),
        ("disks[].source.registry.pullMethod", source("registry", json!({"url": "docker://a.example/x", "pullMethod": "node"}))),
        ("disks[].source.registry.secretRef", source("registry", json!({"url": "docker://a.example/x", "secretRef": "s"}))),
        ("disks[].source.registry.certConfigMap", source("registry", json!({"url": "docker://a.example/x", "certConfigMap": "c"}))),
        ("disks[].source.s3.url", source("s3", json!({"url": "https://a.example/b/x"}))),
        ("disks[].source.s3.secretRef", source("s3", json!({"url": "https://a.example/b/x", "secretRef": "s"}))),
        ("disks[].source.s3.certConfigMap", source("s3", json!({"url": "https://a.example/b/x", "certConfigMap": "c"}))),
        ("disks[].source.gcs.url", source("gcs", json!({"url": "gs://b/x"}))),
        ("disks[].source.gcs.secretRef", source("gcs", json!({"url": "gs://b/x", "secretRef": "s"}))),
        ("disks[].source.pvc.name", source("pvc", json!({"name": "p"}))),
        ("disks[].source.snapshot.name", source("snapshot", json!({"name": "p"}))),
        ("disks[].source.dataSource.name", source("dataSource", json!({"name": "p"}))),
        ("disks[].source.dataSource.namespace", source("dataSource", json!({"name": "p", "namespace": "images"}))),
        ("disks[].claim", vec![("/disks/2", json!({"name": "more", "claim": "kept"}))]),
        ("disks[].shareable", vec![("/disks/2", json!({"name": "more", "size": "1Gi", "accessModes": ["ReadWriteMany"], "shareable": true}))]),
        ("disks[].source.blank", source("blank", json!({}))),
        ("disks[].accessModes[]", vec![("/disks/0/accessModes", json!(["ReadWriteMany"]))]),
        ("disks[].volumeMode", vec![("/disks/0/volumeMode", json!("Block"))]),
        ("disks[].bus", vec![("/disks/0/bus", json!("scsi"))]),
        ("disks[].kind", vec![("/disks/1/kind", json!("cdrom"))]),
        ("disks[].reclaimPolicy", vec![("/disks/0/reclaimPolicy", json!("Retain"))]),
        ("disks[].cache", vec![("/disks/0/cache", json!("none"))]),
        ("disks[].dedicatedIOThread", vec![("/disks/0/dedicatedIOThread", json!(true))]),
        ("disks[].serial", vec![("/disks/0/serial", json!("S1"))]),
        ("highAvailability.restartPolicy", vec![("/highAvailability/restartPolicy", json!("Never"))]),
        ("highAvailability.antiAffinity", vec![("/highAvailability/antiAffinity", json!(false))]),
        ("highAvailability.topologySpread", vec![("/highAvailability/topologySpread", json!(true))]),
        ("highAvailability.group", vec![("/highAvailability/group", json!("g"))]),
        ("highAvailability.nodeSelector", vec![("/highAvailability/nodeSelector", json!({"a": "b"}))]),
        ("highAvailability.tolerations[].key", vec![("/highAvailability/tolerations/0/key", json!("c"))]),
        ("highAvailability.tolerations[].operator", vec![("/highAvailability/tolerations/0", json!({"key": "a", "operator": "Exists", "effect": "NoExecute"}))]),
        ("highAvailability.tolerations[].value", vec![("/highAvailability/tolerations/0/value", json!("c"))]),
        ("highAvailability.tolerations[].effect", vec![("/highAvailability/tolerations/0/effect", json!("NoSchedule"))]),
        ("highAvailability.tolerations[].tolerationSeconds", vec![("/highAvailability/tolerations/0/tolerationSeconds", json!(60))]),
        ("highAvailability.evictionStrategy", vec![("/highAvailability/evictionStrategy", json!("None"))]),
        ("startStrategy.runStrategy", vec![("/startStrategy", json!({"runStrategy": "Manual"}))]),
        ("startStrategy.autoStart", vec![("/startStrategy", json!({"autoStart": false}))]),
        ("powerState", vec![("/powerState", json!("Paused"))]),
        ("restartApproval", vec![("/restartApproval", json!("Automatic"))]),
        ("restoreFromSnapshot", vec![("/restoreFromSnapshot", json!("before"))]),
        ("firmware", vec![("/firmware", json!("UEFI"))]),
        ("terminationGracePeriodSeconds", vec![("/terminationGracePeriodSeconds", json!(30))]),
    ]
}

/// Sets what a pointer points to, in a mapping or a list that is there.
fn set(spec: &mut Value, pointer: &str, value: &Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let Some(parent) = spec.pointer_mut(parent) else {
        return;
    };
    match parent {
        Value::Object(fields) if value.is_null() => drop(fields.remove(key)),
        Value::Object(fields) => drop(fields.insert(key.to_owned(), value.clone())),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
        _ => panic!("{pointer}"),
    }
}

fn edited(edits: &[&Edit]) -> Value {
    let mut spec = base();
    for (pointer, value) in edits.iter().flat_map(|(_, edit)| edit) {
        set(&mut spec, pointer, value);
    }
    spec
}

/// All objects of a Wukong, with and without Multus, and its requirements for the operator itself.
fn rendered(wukong: &ValidatedWukong) -> String {
    let fresh = compose(wukong, &Surroundings::fresh(wukong));
    let nics = wukong.attached_nics(false).map_err(|nics| nics.len());
    format!("{fresh:?} {:?} {:?}", nics, wukong.restart_approval)
}

fn changes(old: &Value, new: &Value, rollout: Rollout) -> Vec<Change> {
    let vm = RunningVm {
        rollout,
        ..RunningVm::default()
    };
    classify(&wukong(old).unwrap(), &wukong(new).unwrap(), &vm)
}

/// The fields of the schema that hold values.
fn leaves(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match (
        schema.get("properties").and_then(Value::as_object),
        schema.get("items"),
    ) {
        (Some(properties), _) if !properties.is_empty() => {
            properties
                .iter()
                .for_each(|(name, schema)| leaves(&below(name), schema, found));
        }
        (_, Some(items)) => leaves(&format!("{path}[]"), items, found),
        _ => drop(found.insert(path.to_owned())),
    }
}

#[test]
fn every_field_of_the_schema_has_a_class() {
    let crd = serde_json::to_value(Wukong::crd()).unwrap();
    let spec = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .unwrap();
    let mut fields = BTreeSet::new();
    leaves("", spec, &mut fields);
    // These are in the schema only to be refused.
    for refused in [
        "running",
        "networks[].nodeIP",
        "networks[].physicalInterface",
    ] {
        assert!(fields.remove(refused), "{refused}");
    }
    let tried: BTreeSet<String> = edits()
        .iter()
        .map(|(field, _)| (*field).to_owned())
        .collect();
    assert_eq!(fields, tried);

    let old = base();
    for edit in &edits() {
        let new = edited(&[edit]);
        let found = changes(&old, &new, Rollout::LiveUpdate);
        assert!(!found.is_empty(), "{edit:?} has no class");
        assert_ne!(
            rendered(&wukong(&old).unwrap()),
            rendered(&wukong(&new).unwrap()),
            "{edit:?}"
        );
    }
}

/// The cloud-init data of the first boot is compared by hashes, and the result must be the same fields.
#[test]
fn what_the_first_boot_heeds_is_what_the_table_says() {
    let old = base();
    let fields = |spec: &Value| -> BTreeSet<(String, String)> {
        let fields = first_boot(&wukong(spec).unwrap());
        fields
            .into_iter()
            .map(|field| (field.path, field.hash))
            .collect()
    };
    let before = fields(&old);
    for edit in &edits() {
        let new = edited(&[edit]);
        let after = fields(&new);
        let differ: BTreeSet<&str> = before
            .symmetric_difference(&after)
            .map(|(path, _)| path.as_str())
            .collect();
        let changed = changes(&old, &new, Rollout::LiveUpdate);
        for change in changed
            .iter()
            .filter(|change| change.class == Class::FirstBootOnly)
        {
            assert!(
                differ.iter().any(|path| path.starts_with(&change.path)),
                "{edit:?}: {differ:?}"
            );
        }
        for path in differ {
            // A user that comes or goes, goes with all it has; a password may turn into its hash.
            let named =
                |change: &Change| path.starts_with(&change.path) || change.path.starts_with(path);
            assert!(changed.iter().any(named), "{path}: {changed:?}");
        }
    }
}

/// The guest as its VM's template describes it, without what only cloud-init and the operator read.
fn template(spec: &Value) -> Value {
    let wukong = wukong(spec).unwrap();
    let composed = compose(&wukong, &Surroundings::fresh(&wukong));
    let vm = serde_json::to_value(composed.virtual_machine).unwrap();
    let mut template = vm["spec"]["template"].clone();
    template["spec"]["accessCredentials"].take();
    let volumes = template["spec"]["volumes"].as_array_mut().unwrap();
    volumes.retain(|volume| volume["name"] != "cloud-init");
    let disks = &mut template["spec"]["domain"]["devices"]["disks"];
    disks
        .as_array_mut()
        .unwrap()
        .retain(|disk| disk["name"] != "cloud-init");
    template
}

/// A change that the facts of a machine leave out would never be pending.
#[test]
fn what_changes_the_template_is_a_fact_of_the_machine() {
    let old = template(&base());
    let fact = |template: &Value| MachineFact::project(template).unwrap();
    for edit in &edits() {
        let new = template(&edited(&[edit]));
        if new != old {
            assert_ne!(fact(&new), fact(&old), "{edit:?}");
        }
    }
}

fn table(rollout: Rollout) -> String {
    let old = base();
    let mut lines = String::new();
    for edit in &edits() {
        for change in changes(&old, &edited(&[edit]), rollout) {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
            lines += &format!(
                "{}: {} -> {}: {}\n",
                change.path,
                shown(change.from),
                shown(change.to),
                change.class
            );
        }
    }
    lines
}

#[test]
fn the_table_of_classes() {
    insta::assert_snapshot!("classes-live-update", table(Rollout::LiveUpdate));
    let live = table(Rollout::LiveUpdate);
    let staged = table(Rollout::Stage);
    let differ: Vec<&str> = staged
        .lines()
        .filter(|line| !live.contains(*line))
        .collect();
    insta::assert_snapshot!("classes-only-staged", differ.join("\n"));
}

#[test]
fn a_vm_without_disks_loses_its_data() {
    let bare = |image: &str| json!({"cpu": 1, "memory": "1Gi", "osImage": image});
    let found = changes(&bare("fedora:40"), &bare("fedora:41"), Rollout::LiveUpdate);
    assert_eq!(
        found.iter().map(|change| change.class).collect::<Vec<_>>(),
        [Class::DestroysData]
    );
}

#[test]
fn lists_are_compared_by_name() {
    let old = base();
    let mut new = old.clone();
    new["disks"].as_array_mut().unwrap().swap(1, 2);
    let found = changes(&old, &new, Rollout::LiveUpdate);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].path.as_str(), found[0].to.as_deref()),
        ("spec.disks", Some("root, more, data"))
    );

    new["disks"].as_array_mut().unwrap().remove(2);
    let found = changes(&old, &new, Rollout::LiveUpdate);
    assert_eq!(
        found
            .iter()
            .map(|change| change.path.as_str())
            .collect::<Vec<_>>(),
        ["spec.disks[data]"]
    );
}

proptest! {
    /// For every edit, there is a change exactly if a rendered object differs, and no change shows a secret.
    #[test]
    fn changes_are_what_renders_differently(
        old in proptest::sample::subsequence((0..edits().len()).collect::<Vec<_>>(), 0..6),
        new in proptest::sample::subsequence((0..edits().len()).collect::<Vec<_>>(), 0..6),
        staged: bool,
    ) {
        let all = edits();
        let pick = |indices: &[usize]| edited(&indices.iter().map(|index| &all[*index]).collect::<Vec<_>>());
        let (Some(old), Some(new)) = (wukong(&pick(&old)), wukong(&pick(&new))) else {
            return Err(TestCaseError::reject("edits that contradict each other"));
        };
        let rollout = if staged { Rollout::Stage } else { Rollout::LiveUpdate };
        let found = classify(&old, &new, &RunningVm { rollout, ..RunningVm::default() });
        prop_assert_eq!(found.is_empty(), rendered(&old) == rendered(&new), "{:?}", found);
        let shown = format!("{found:?}");
        prop_assert!(!shown.contains("hunter2"));
        let paths: BTreeSet<&str> = found.iter().map(|change| change.path.as_str()).collect();
        prop_assert_eq!(paths.len(), found.len(), "each field once: {:?}", found);
        prop_assert!(found.iter().all(|change| !change.why.is_empty()));
    }
}
