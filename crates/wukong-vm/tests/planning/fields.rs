//! No field is accepted and ignored: each either changes what is planned here, or is another crate's.

use std::collections::BTreeSet;

use kube::CustomResourceExt;
use serde_json::Value;
use wukong_api::Wukong;

use super::{machine, secret, wukong};

/// A field, and two Wukongs that differ in nothing else.
const OURS: &[(&str, &str, &str)] = &[
    ("cpu", "cpu: 1", "cpu: 2"),
    ("memory", "memory: 1Gi", "memory: 2Gi"),
    ("labels", "", "labels: {app: api}"),
    ("annotations", "", "annotations: {example.com/a: b}"),
    ("architecture", "", "architecture: arm64"),
    ("cpuModel", "", "cpuModel: host-passthrough"),
    ("dedicatedCpu", "", "dedicatedCpu: true"),
    ("hugepages", "", "hugepages: 2Mi"),
    ("tpm.persistent", "tpm: {}", "tpm: {persistent: true}"),
    (
        "osImage",
        "osImage: 'ubuntu:22.04'",
        "osImage: 'ubuntu:24.04'",
    ),
    ("sshKeySecret", "", "sshKeySecret: keys"),
    (
        "cloudInitUser.name",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: b}",
    ),
    (
        "cloudInitUser.password",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: a, password: p}",
    ),
    (
        "cloudInitUser.passwordHash",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: a, passwordHash: $6$h}",
    ),
    (
        "cloudInitUser.sudo",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: a, sudo: ''}",
    ),
    (
        "cloudInitUser.shell",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: a, shell: /bin/sh}",
    ),
    (
        "cloudInitUser.groups",
        "cloudInitUser: {name: a}",
        "cloudInitUser: {name: a, groups: [g]}",
    ),
    (
        "cloudInitUser.lockPasswd",
        "cloudInitUser: {name: a, password: p}",
        "cloudInitUser: {name: a, password: p, lockPasswd: true}",
    ),
    ("userDataSecret", "", "userDataSecret: data"),
    (
        "userDataFormat",
        "userDataSecret: data",
        "userDataSecret: data, userDataFormat: Ignition",
    ),
    (
        "networks.name",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: b, type: bridge}]",
    ),
    (
        "networks.type",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: a, type: macvlan}]",
    ),
    (
        "networks.nadName",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: a, type: bridge, nadName: nad}]",
    ),
    (
        "networks.model",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: a, type: bridge, model: e1000e}]",
    ),
    (
        "networks.linkState",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: a, type: bridge, linkState: Down}]",
    ),
    (
        "networks.primary",
        "podNetwork: None, networks: [{name: a, type: bridge}]",
        "podNetwork: None, networks: [{name: a, type: bridge, primary: true}]",
    ),
    (
        "networks.macAddress",
        "networks: [{name: a, type: bridge}]",
        "networks: [{name: a, type: bridge, macAddress: '02:00:00:00:00:01'}]",
    ),
    (
        "podNetwork",
        "networks: [{name: a, type: bridge}]",
        "podNetwork: None, networks: [{name: a, type: bridge}]",
    ),
    (
        "disks.name",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: b, size: 1Gi}]",
    ),
    (
        "disks.boot",
        "disks: [{name: a, size: 1Gi}, {name: b, size: 1Gi}]",
        "disks: [{name: a, size: 1Gi}, {name: b, size: 1Gi, boot: true}]",
    ),
    (
        "disks.bus",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: a, size: 1Gi, bus: scsi}]",
    ),
    (
        "disks.kind",
        "disks: [{name: a, size: 1Gi, bus: sata}]",
        "disks: [{name: a, size: 1Gi, bus: sata, kind: cdrom}]",
    ),
    (
        "disks.cache",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: a, size: 1Gi, cache: none}]",
    ),
    (
        "disks.dedicatedIOThread",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: a, size: 1Gi, dedicatedIOThread: true}]",
    ),
    (
        "disks.claim",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: a, claim: kept}]",
    ),
    (
        "disks.shareable",
        "disks: [{name: a, size: 1Gi, accessModes: [ReadWriteMany]}]",
        "disks: [{name: a, size: 1Gi, accessModes: [ReadWriteMany], shareable: true}]",
    ),
    (
        "disks.serial",
        "disks: [{name: a, size: 1Gi}]",
        "disks: [{name: a, size: 1Gi, serial: S1}]",
    ),
    (
        "highAvailability.restartPolicy",
        "",
        "highAvailability: {restartPolicy: OnFailure}",
    ),
    (
        "highAvailability.antiAffinity",
        "",
        "highAvailability: {antiAffinity: true}",
    ),
    (
        "highAvailability.topologySpread",
        "",
        "highAvailability: {topologySpread: true}",
    ),
    ("highAvailability.group", "", "highAvailability: {group: g}"),
    (
        "highAvailability.nodeSelector",
        "",
        "highAvailability: {nodeSelector: {a: ''}}",
    ),
    (
        "highAvailability.tolerations.key",
        "highAvailability: {tolerations: [{operator: Exists}]}",
        "highAvailability: {tolerations: [{operator: Exists, key: k}]}",
    ),
    (
        "highAvailability.tolerations.operator",
        "highAvailability: {tolerations: [{key: k}]}",
        "highAvailability: {tolerations: [{key: k, operator: Exists}]}",
    ),
    (
        "highAvailability.tolerations.value",
        "highAvailability: {tolerations: [{key: k}]}",
        "highAvailability: {tolerations: [{key: k, value: v}]}",
    ),
    (
        "highAvailability.tolerations.effect",
        "highAvailability: {tolerations: [{key: k}]}",
        "highAvailability: {tolerations: [{key: k, effect: NoExecute}]}",
    ),
    (
        "highAvailability.tolerations.tolerationSeconds",
        "highAvailability: {tolerations: [{key: k, effect: NoExecute}]}",
        "highAvailability: {tolerations: [{key: k, effect: NoExecute, tolerationSeconds: 0}]}",
    ),
    (
        "highAvailability.evictionStrategy",
        "",
        "highAvailability: {evictionStrategy: External}",
    ),
    (
        "startStrategy.runStrategy",
        "",
        "startStrategy: {runStrategy: Once}",
    ),
    (
        "startStrategy.autoStart",
        "",
        "startStrategy: {autoStart: false}",
    ),
    ("powerState", "", "powerState: Stopped"),
    ("firmware", "", "firmware: UEFI"),
    (
        "terminationGracePeriodSeconds",
        "",
        "terminationGracePeriodSeconds: 0",
    ),
];

/// Fields that the planners of disks and networks, or the operator itself, apply, and fields that are only rejected.
const OTHERS: &[&str] = &[
    "disks.accessModes",
    "disks.image",
    "disks.reclaimPolicy",
    "disks.size",
    "disks.source",
    "disks.storageClassName",
    "disks.volumeMode",
    "networks.bridgeName",
    "networks.guestVlans",
    "networks.ipConfig",
    "networks.mtu",
    "networks.nodeIP",
    "networks.nodeNetwork",
    "networks.onMissingMultus",
    "networks.physicalInterface",
    "networks.resourceName",
    "networks.vlanId",
    "podNetworkDnsServers",
    "podNetworkIpFamily",
    "restartApproval",
    "restoreFromSnapshot",
    "running",
];

#[test]
fn each_of_our_fields_changes_what_is_planned() {
    let planned = |fields| {
        let wukong = wukong(fields);
        serde_json::to_string(&(machine(&wukong), secret(&wukong))).unwrap()
    };
    for (field, before, after) in OURS {
        assert_ne!(planned(before), planned(after), "{field}");
    }
}

#[test]
fn every_field_of_the_api_is_somebodys() {
    let crd = serde_json::to_value(Wukong::crd()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let mut fields = BTreeSet::new();
    leaves("", spec, &mut fields);
    let ours = OURS.iter().map(|(field, ..)| *field);
    let known: BTreeSet<String> = ours.chain(OTHERS.iter().copied()).map(Into::into).collect();
    assert_eq!(fields, known);
}

/// Collects the fields that hold a value, down to those that are wholly another crate's.
fn leaves(path: &str, schema: &Value, fields: &mut BTreeSet<String>) {
    let properties = schema["properties"]
        .as_object()
        .or(schema["items"]["properties"].as_object());
    match properties {
        Some(properties) if !OTHERS.contains(&path) => {
            for (name, schema) in properties {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(&path, schema, fields);
            }
        }
        _ => {
            fields.insert(path.to_owned());
        }
    }
}
