//! A real API server stores the rendered objects without a change.

use kube::ResourceExt;
use serde::Serialize;
use serde_json::{Value, json};
use wukong_api::{OperatorSettings, ValidatedWukong, Wukong};
use wukong_engine::Kind;
use wukong_engine::desired::{Body, DesiredSet, Surroundings, compose};
use wukong_lab::cluster::manifests::{self, repository};

use crate::cluster;
use crate::support::{Space, merge};

/// Every object of a Wukong, as it would be applied.
fn rendered(wukong: &Wukong) -> Vec<Value> {
    let settings = OperatorSettings {
        manage_node_networks: true,
        ..OperatorSettings::default()
    };
    let wukong = ValidatedWukong::validate(wukong, &settings).unwrap();
    let DesiredSet {
        nads,
        node_policies,
        data_volumes,
        claims,
        secret,
        virtual_machine,
    } = compose(&wukong, &Surroundings::fresh(&wukong));
    assert!(claims.is_empty(), "CDI makes them");
    let policies = node_policies
        .iter()
        .map(|policy| serde_json::to_value(policy).unwrap());
    all(Kind::NetworkAttachmentDefinition, &nads)
        .chain(all(Kind::DataVolume, &data_volumes))
        .chain(all(Kind::Secret, secret.as_slice()))
        .chain(all(Kind::VirtualMachine, &[virtual_machine]))
        .chain(policies)
        .collect()
}

fn all<'a, K>(kind: Kind, objects: &'a [K]) -> impl Iterator<Item = Value> + use<'a, K>
where
    K: Serialize + kube::Resource,
{
    objects
        .iter()
        .map(move |object| Body::of(kind, object).object)
}

async fn is_accepted(space: &Space<'_>, manifest: &Value) -> usize {
    // A dry run, so that no operator applies it and no other test meets its addresses.
    let stored = space.try_dry_run(manifest).await.unwrap();
    let wukong: Wukong = serde_json::from_value(stored).unwrap();
    let objects = rendered(&wukong);
    for object in &objects {
        let answer = space.try_dry_run(object).await;
        let (kind, name) = (&object["kind"], wukong.name_any());
        assert!(answer.is_ok(), "{kind} of {name}: {answer:?}\n{object:#}");
    }
    objects.len()
}

#[tokio::test]
async fn every_object_of_the_examples_is_accepted_strictly() {
    let space = cluster().await.space("strict").await;
    let mut objects = 0;
    for entry in std::fs::read_dir(repository("deploy/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        for manifest in manifests::read(&path).unwrap() {
            objects += is_accepted(&space, &serde_json::to_value(manifest).unwrap()).await;
        }
    }
    assert!(objects >= 12, "only {objects} objects");
}

#[tokio::test]
async fn every_object_of_a_wukong_with_everything_is_accepted_strictly() {
    let space = cluster().await.space("strict-all").await;
    let disk = |name: &str, rest: Value| {
        let mut disk = json!({"name": name, "size": "1Gi"});
        merge(&mut disk, rest);
        disk
    };
    let manifest = crate::support::wukong(
        "everything",
        json!({
            "cpu": 4, "memory": "4Gi", "osImage": "ubuntu:24.04", "sshKeySecret": "keys", "userDataSecret": "mine",
            "firmware": "UEFISecureBoot", "powerState": "Stopped", "restartApproval": "Automatic",
            "terminationGracePeriodSeconds": 60,
            "networks": [
                {"name": "lan", "type": "bridge", "vlanId": 7, "mtu": 9000, "macAddress": "02-00-00-00-00-01",
                    "resourceName": "bridge.network.kubevirt.io/br-lan", "nodeNetwork": {"uplink": "eth1"},
                    "ipConfig": {"mode": "static", "address": "10.0.0.2/24", "addresses": ["fd00::2/64"], "gateway": "10.0.0.1",
                        "dnsServers": ["10.0.0.1"], "searchDomains": ["example.com"], "routes": [{"to": "10.9.0.0/16", "via": "10.0.0.1"}]}},
                {"name": "dmz", "type": "ovs", "ipConfig": {"mode": "dhcp"}},
                {"name": "fast", "type": "sriov", "resourceName": "intel.com/sriov"},
                {"name": "direct", "type": "macvlan"},
            ],
            "disks": [
                disk("http", json!({"boot": true, "source": {"http": {"url": "https://images.example.com/a.qcow2", "secretRef": "s",
                    "certConfigMap": "c", "checksum": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}})),
                disk("registry", json!({"source": {"registry": {"url": "docker://registry.example.com/a:1", "pullMethod": "node"}}})),
                disk("s3", json!({"source": {"s3": {"url": "https://s3.example.com/bucket/a", "secretRef": "s"}}})),
                disk("gcs", json!({"source": {"gcs": {"url": "gs://bucket/a"}}})),
                disk("clone", json!({"source": {"pvc": {"name": "golden"}}, "bus": "scsi", "cache": "writeback"})),
                disk("snapshot", json!({"source": {"snapshot": {"name": "golden"}}, "accessModes": ["ReadWriteOnce"]})),
                disk("source", json!({"source": {"dataSource": {"name": "golden"}}, "volumeMode": "Block", "dedicatedIOThread": true})),
                disk("blank", json!({"source": {"blank": {}}, "kind": "cdrom", "bus": "sata"})),
                disk("lun", json!({"kind": "lun", "bus": "scsi", "volumeMode": "Block", "accessModes": ["ReadWriteOnce"], "storageClassName": "standard"})),
            ],
            "highAvailability": {"restartPolicy": "OnFailure", "antiAffinity": true, "topologySpread": true, "group": "all",
                "nodeSelector": {"disk": "ssd"}, "evictionStrategy": "LiveMigrate",
                "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]},
        }),
    );
    let objects = is_accepted(&space, &manifest).await;
    // 4 definitions, 9 disks, a Secret, the VM, a node policy.
    assert_eq!(objects, 16);
}
