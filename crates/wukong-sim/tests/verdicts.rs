//! The simulator refuses what a real KubeVirt 1.9 refused, and admits what it admitted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde::Deserialize;
use serde_json::{Value, json};
use wukong_sim::admission::{ClusterConfig, admit_vm, canonicalize_vm};

#[derive(Deserialize)]
struct Case {
    id: String,
    verdict: Verdict,
    message: Option<String>,
    object: Value,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Admitted,
    Denied,
    SchemaRejected,
}

#[test]
fn verdicts_agree_with_a_real_kubevirt() {
    let config = ClusterConfig::default();
    let cases: Vec<Case> = include_str!("kubevirt-verdicts.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let disagreements: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            // What validates sees what the mutating webhook sent back.
            let mut object = case.object.clone();
            canonicalize_vm(&mut object);
            let ours = admit_vm(&object, None, &config).map_err(|denial| denial.to_string());
            let agree = match case.verdict {
                Verdict::Admitted => ours.is_ok(),
                Verdict::Denied => ours.as_ref().err() == case.message.as_ref(),
                Verdict::SchemaRejected => ours.is_err(),
            };
            (!agree).then(|| {
                format!(
                    "{}: KubeVirt {:?} {:?}, simulator {ours:?}",
                    case.id, case.verdict, case.message
                )
            })
        })
        .collect();
    assert!(
        disagreements.is_empty(),
        "{}\n{} of {}",
        disagreements.join("\n"),
        disagreements.len(),
        cases.len()
    );
}

/// The smallest VM that the cases below vary: one imported disk, one NIC on the pod network, one bridge NIC `x`.
fn base() -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine",
        "metadata": {"name": "t", "namespace": "default"},
        "spec": {"runStrategy": "Always", "template": {"metadata": {}, "spec": {
            "domain": {
                "cpu": {"sockets": 2, "cores": 1, "threads": 1},
                "memory": {"guest": "2Gi"},
                "devices": {
                    "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                    "interfaces": [{"name": "default", "masquerade": {}}, {"name": "x", "bridge": {}}],
                },
            },
            "networks": [{"name": "default", "pod": {}}, {"name": "x", "multus": {"networkName": "net1"}}],
            "volumes": [{"name": "root", "dataVolume": {"name": "t-root"}}],
        }}},
    })
}

/// Puts `value` at a path below the template's spec (or at the root with a leading `/`), making what is missing.
fn put(object: &mut Value, path: &str, value: Value) {
    let path = match path.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None => format!("spec.template.spec.{path}"),
    };
    let place = path
        .split('.')
        .fold(object, |place, key| match key.parse::<usize>() {
            Ok(index) => {
                let list = place.as_array_mut().unwrap();
                if list.len() == index {
                    list.push(Value::Null);
                }
                &mut list[index]
            }
            Err(_) => {
                if place.is_null() {
                    *place = json!({});
                }
                &mut place[key]
            }
        });
    *place = value;
}

#[test]
fn rules_hold_beyond_the_recorded_objects() {
    const DISKS: &str = "domain.devices.disks";
    const NICS: &str = "domain.devices.interfaces";
    let disk = |disk: Value| vec![("domain.devices.disks.0", disk)];
    let nic = |nic: Value| vec![("domain.devices.interfaces.1", nic)];
    let ci = |data: Value| vec![("volumes.1", json!({"name": "ci", "cloudInitNoCloud": data}))];
    let memory = |memory: Value| vec![("domain.memory", memory)];
    let long = |n: usize| "a".repeat(n);
    let umlauts = |n: usize| "ä".repeat(n);
    let affinity = |term: Value| {
        vec![(
            "affinity",
            json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 100, "podAffinityTerm": term}]}}),
        )]
    };
    let host = "kubernetes.io/hostname";
    let many = |n: usize| {
        (0..n)
            .map(|i| json!({"name": format!("d{i}"), "disk": {}}))
            .collect::<Value>()
    };

    let admitted = vec![
        vec![
            ("/spec.runStrategy", Value::Null),
            ("/spec.running", json!(true)),
        ],
        vec![("/metadata.name", json!("a.b"))],
        disk(json!({"name": "root"})),
        disk(json!({"name": "root", "cdrom": {"bus": "usb"}})),
        disk(json!({"name": "root", "lun": {"bus": "virtio"}})),
        disk(json!({"name": "root", "disk": {"bus": "virtio", "readonly": true}})),
        disk(json!({"name": "root", "disk": {}, "bootOrder": 1000})),
        disk(json!({"name": "root", "disk": {}, "serial": long(256), "cache": "writethrough"})),
        vec![(
            "domain.devices.disks.1",
            json!({"name": "empty", "cdrom": {"bus": "sata"}}),
        )],
        vec![(DISKS, json!([])), ("volumes", json!([]))],
        vec![(
            "volumes.0",
            json!({"name": "root", "persistentVolumeClaim": {"claimName": ""}}),
        )],
        nic(json!({"name": "x", "bridge": {}, "macAddress": "02-00-00-00-00-01"})),
        nic(json!({"name": "x", "bridge": {}, "macAddress": "00:00:00:00:00:00"})),
        nic(json!({"name": "x", "binding": {"name": "macvtap"}})),
        nic(json!({"name": "x", "binding": {"name": ""}})),
        vec![(
            NICS,
            json!([{"name": "default", "sriov": {}}, {"name": "x", "bridge": {}}]),
        )],
        vec![(
            NICS,
            json!([{"name": "default", "passtBinding": {}}, {"name": "x", "bridge": {}}]),
        )],
        vec![("networks.1.multus.networkName", json!(long(254)))],
        ci(json!({"userData": umlauts(1024)})),
        ci(json!({"networkDataSecretRef": {"name": "s"}})),
        ci(json!({"userData": "not: [yaml"})),
        memory(json!({"guest": "0"})),
        memory(json!({"guest": "-1Gi"})),
        vec![("domain.memory", Value::Null)],
        memory(json!({"guest": "2Gi", "hugepages": {"pageSize": "2Mi"}})),
        vec![("evictionStrategy", json!("External"))],
        vec![(
            "domain.firmware",
            json!({"serial": umlauts(256), "uuid": "bogus"}),
        )],
        vec![("domain.machine", json!({"type": ""}))],
        vec![("domain.machine", json!({"type": "q35-anything"}))],
        vec![("subdomain", json!("a.b"))],
        vec![(
            "/spec.template.metadata.labels",
            json!({"vm.kubevirt.io/name": "x", "a": long(64)}),
        )],
        vec![("architecture", json!("bogus"))],
        vec![("readinessProbe", json!({"exec": {"command": ["true"]}}))],
        vec![("priorityClassName", json!("nope"))],
        vec![("nodeSelector", json!({"a": "b c"}))],
        affinity(
            json!({"topologyKey": host, "labelSelector": {"matchExpressions":
            [{"key": "a", "operator": "NotIn", "values": ["b"]}]}}),
        ),
        vec![
            ("dnsPolicy", json!("None")),
            ("dnsConfig", json!({"nameservers": ["::1"]})),
        ],
        vec![(
            "accessCredentials",
            json!([{"userPassword": {"source": {"secret": {"secretName": "s"}},
            "propagationMethod": {"qemuGuestAgent": {}}}}]),
        )],
    ];
    let refused = vec![
        vec![("/spec.running", json!(false))],
        vec![("/spec.template", Value::Null)],
        vec![("/metadata.name", json!("Upper"))],
        vec![("/metadata.name", json!("a_b"))],
        vec![("/metadata.name", json!(long(254)))],
        vec![("/spec.bogus", json!(1))],
        vec![(DISKS, many(257))],
        disk(json!({"name": "root", "floppy": {}})),
        disk(json!({"name": long(64), "disk": {}})),
        disk(json!({"name": "root", "disk": {}, "bootOrder": -1})),
        disk(json!({"name": "root", "cdrom": {"bus": "virtio"}})),
        disk(json!({"name": "root", "lun": {"bus": "nvme"}})),
        disk(json!({"name": "root", "disk": {}, "cache": "directsync"})),
        disk(json!({"name": "root", "disk": {}, "cache": "unsafe"})),
        disk(json!({"name": "root", "disk": {}, "io": "default"})),
        disk(json!({"name": "root", "disk": {}, "errorPolicy": ""})),
        vec![(
            "domain.devices.disks.1",
            json!({"name": "root", "disk": {}}),
        )],
        vec![(
            "volumes.1",
            json!({"name": "root", "emptyDisk": {"capacity": "1Gi"}}),
        )],
        vec![(
            "volumes.1",
            json!({"name": "Bad_Name", "emptyDisk": {"capacity": "1Gi"}}),
        )],
        vec![("volumes.0", json!({"name": "root"}))],
        vec![("volumes.0", json!({"name": "root", "emptyDisk": {}}))],
        vec![("volumes.0.emptyDisk", json!({"capacity": "1Gi"}))],
        vec![
            ("domain.devices.disks.0.bootOrder", json!(1)),
            ("domain.devices.interfaces.1.bootOrder", json!(1)),
        ],
        nic(json!({"name": "y", "bridge": {}})),
        nic(json!({"name": "x"})),
        nic(json!({"name": "x", "slirp": {}})),
        nic(json!({"name": "x", "passtBinding": {}})),
        nic(json!({"name": "x", "bridge": {}, "model": "vmxnet3"})),
        nic(json!({"name": "x", "bridge": {}, "macAddress": "zz:00:00:00:00:01"})),
        nic(json!({"name": "x", "bridge": {}, "pciAddress": "81:11.1"})),
        nic(json!({"name": "x", "sriov": {}, "state": "absent"})),
        nic(json!({"name": "x", "sriov": {}, "state": "down"})),
        vec![(
            "domain.devices.interfaces.0.ports",
            json!([{"port": 65536}]),
        )],
        vec![(
            "domain.devices.interfaces.0.ports",
            json!([{"port": 80, "protocol": "SCTP"}]),
        )],
        vec![("networks.1.multus.default", json!(true))],
        vec![("networks.1", json!({"name": "x"}))],
        ci(json!({})),
        ci(json!({"secretRef": {}})),
        ci(json!({"userData": umlauts(1025)})),
        ci(json!({"networkData": long(2049)})),
        ci(json!({"userDataBase64": "@"})),
        memory(json!({"guest": "2g"})),
        memory(json!({"guest": "2Gi", "maxGuest": "1Gi"})),
        memory(json!({"guest": "3Gi", "hugepages": {"pageSize": "2Gi"}})),
        vec![("domain.cpu.threads", json!(-1))],
        vec![("domain.cpu.maxSockets", json!(1))],
        vec![("domain.cpu.cores", json!("1"))],
        vec![("evictionStrategy", json!(""))],
        vec![(
            "domain.firmware",
            json!({"bootloader": {"efi": {"secureBoot": true}}}),
        )],
        vec![("domain.machine", json!({"type": "pc"}))],
        vec![("domain.machine", json!({"type": "pc-i440fx-9.0"}))],
        vec![
            ("architecture", json!("arm64")),
            ("domain.machine", json!({"type": "q35"})),
        ],
        vec![("hostname", json!(long(64)))],
        vec![("hostname", json!("a.b"))],
        vec![("startStrategy", json!("bogus"))],
        vec![
            ("startStrategy", json!("Paused")),
            ("livenessProbe", json!({"guestAgentPing": {}})),
        ],
        vec![("readinessProbe", json!({}))],
        vec![("dnsPolicy", json!("bogus"))],
        vec![(
            "/spec.template.metadata.labels",
            json!({"kubevirt.io/migrationTargetNodeName": "x"}),
        )],
        vec![(
            "topologySpreadConstraints",
            json!([{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]),
        )],
        vec![(
            "topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": "a b", "whenUnsatisfiable": "ScheduleAnyway"}]),
        )],
        vec![(
            "topologySpreadConstraints",
            json!([{"maxSkew": 1, "topologyKey": host, "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]),
        )],
        affinity(json!({"labelSelector": {}})),
        affinity(json!({"topologyKey": "a b"})),
        affinity(json!({"topologyKey": host, "namespaces": ["Upper"]})),
        affinity(json!({"topologyKey": host, "labelSelector": {"matchLabels": {"a": "b c"}}})),
        affinity(
            json!({"topologyKey": host, "labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        ),
        affinity(
            json!({"topologyKey": host, "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}),
        ),
        vec![(
            "affinity",
            json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 101, "podAffinityTerm": {"topologyKey": host}}]}}),
        )],
        vec![(
            "affinity",
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}]}}}),
        )],
        vec![("tolerations", json!([{"operator": "Equals"}]))],
        vec![("accessCredentials", json!([{}]))],
    ];
    let config = ClusterConfig::default();
    let verdict = |edits: &[(&str, Value)]| {
        let mut object = base();
        edits
            .iter()
            .for_each(|(path, value)| put(&mut object, path, value.clone()));
        admit_vm(&object, None, &config)
    };
    for edits in admitted {
        assert_eq!(verdict(&edits), Ok(()), "{edits:?}");
    }
    for edits in refused {
        assert!(verdict(&edits).is_err(), "admitted: {edits:?}");
    }
}

#[test]
fn stage_and_live_update_differ_in_memory() {
    let stage = ClusterConfig {
        live_update: false,
        ..ClusterConfig::default()
    };
    let live = ClusterConfig::default();
    let mut over_limit = base();
    put(
        &mut over_limit,
        "domain.resources",
        json!({"limits": {"memory": "1Gi"}}),
    );
    assert!(
        admit_vm(&over_limit, None, &live).is_ok() && admit_vm(&over_limit, None, &stage).is_err()
    );
    let mut over_maximum = base();
    put(
        &mut over_maximum,
        "domain.memory",
        json!({"guest": "2Gi", "maxGuest": "1Gi"}),
    );
    assert!(
        admit_vm(&over_maximum, None, &live).is_err()
            && admit_vm(&over_maximum, None, &stage).is_ok()
    );
}
