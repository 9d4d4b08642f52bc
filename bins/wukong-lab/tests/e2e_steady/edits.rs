//! An edit changes the objects that it is about, and no others; taken back, it leaves no trace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use wukong_api::{labels, names};

use crate::cluster;
use crate::support::{Space, condition, merge, phase, root, without_bookkeeping, wukong};

const CHILDREN: [&str; 5] = [
    "VirtualMachine",
    "NetworkAttachmentDefinition",
    "DataVolume",
    "Secret",
    "PersistentVolumeClaim",
];

/// An edit of the spec (of a NIC after `lan`, of a disk after `data`), the objects that it changes, the first of them being
/// the one in which it shows, the place, and what is there: a value, or after `~` a part of the text. Places under `…`
/// are in the VM's template.
const EDITS: &str = r#"
{"cpu": 2} | VM | …/domain/cpu/sockets | 2
{"memory": "2Gi"} | VM | …/domain/memory/guest | "2Gi"
{"sshKeySecret": "keys"} | VM | …/accessCredentials/0/sshPublicKey/source/secret/secretName | "keys"
{"cloudInitUser": {"name": "you"}} | Secret VM | /data/userdata | ~name: 'you'
{"cloudInitUser": {"password": "s3cr3t"}} | Secret VM | /data/userdata | ~s3cr3t
{"cloudInitUser": {"passwordHash": "$6$salt$0123456789abcdef"}} | Secret VM | /data/userdata | ~$6$salt$0123456789abcdef
{"cloudInitUser": {"passwordHash": "$6$salt$0123456789abcdef", "lockPasswd": true}} | Secret VM | /data/userdata | ~lock_passwd: true
{"cloudInitUser": {"sudo": "ALL=(ALL) ALL"}} | Secret VM | /data/userdata | ~ALL=(ALL) ALL
{"cloudInitUser": {"shell": "/bin/zsh"}} | Secret VM | /data/userdata | ~/bin/zsh
{"cloudInitUser": {"groups": ["wheel"]}} | Secret VM | /data/userdata | ~wheel
{"cloudInitUser": null, "userDataSecret": "mine"} | VM Secret | …/volumes/2/cloudInitNoCloud/secretRef/name | "mine"
{"podNetwork": "None"} | VM Secret | …/networks/0/multus/networkName | ~web-lan
{"startStrategy": {"runStrategy": "Manual", "autoStart": false}} | VM | /spec/runStrategy | "Manual"
{"powerState": "Stopped"} | VM | /metadata/annotations/POWER_WISH | "Halted/Stopped"
{"restartApproval": "Automatic"} | | /spec/runStrategy | "Halted"
{"firmware": "UEFI"} | VM | …/domain/firmware/bootloader/efi/secureBoot | false
{"terminationGracePeriodSeconds": 30} | VM | …/terminationGracePeriodSeconds | 30
{"highAvailability": {"restartPolicy": "OnFailure"}} | | /spec/runStrategy | "Halted"
{"highAvailability": {"antiAffinity": true}} | VM | …/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/topologyKey | "kubernetes.io/hostname"
{"highAvailability": {"topologySpread": true}} | VM | …/topologySpreadConstraints/0/topologyKey | "topology.kubernetes.io/zone"
{"highAvailability": {"group": "front"}} | VM | /spec/template/metadata/labels/vm.novasphere.dev~1group | "front"
{"highAvailability": {"nodeSelector": {"disk": "ssd"}}} | VM | …/nodeSelector/disk | "ssd"
{"highAvailability": {"tolerations": [{"key": "k", "operator": "Exists"}]}} | VM | …/tolerations/0/key | "k"
{"highAvailability": {"evictionStrategy": "External"}} | VM | …/evictionStrategy | "External"
lan {"vlanId": 7} | NAD | /spec/config | ~"vlan":7
lan {"bridgeName": "br-other"} | NAD | /spec/config | ~br-other
lan {"type": "ovs"} | NAD | /spec/config | ~"type":"ovs"
lan {"mtu": 9000} | NAD Secret VM | /spec/config | ~"mtu":9000
lan {"resourceName": "bridge.network.kubevirt.io/br-lan"} | NAD | /metadata/annotations/k8s.v1.cni.cncf.io~1resourceName | "bridge.network.kubevirt.io/br-lan"
lan {"macAddress": "02:00:00:00:00:07"} | VM Secret | …/domain/devices/interfaces/1/macAddress | "02:00:00:00:00:07"
lan {"ipConfig": {"address": "10.7.0.7/24", "dnsServers": ["10.7.0.1"]}} | Secret VM | /data/networkdata | ~10.7.0.7/24
lan {"nadName": "theirs", "bridgeName": null} | VM NAD | …/networks/1/multus/networkName | "theirs"
lan {"onMissingMultus": "Block"} | | /spec/runStrategy | "Halted"
data {"bus": "scsi"} | VM | …/domain/devices/disks/1/disk/bus | "scsi"
data {"kind": "cdrom", "bus": "sata"} | VM | …/domain/devices/disks/1/cdrom/bus | "sata"
data {"serial": "D-1"} | VM | …/domain/devices/disks/1/serial | "D-1"
data {"cache": "none"} | VM | …/domain/devices/disks/1/cache | "none"
data {"dedicatedIOThread": true} | VM | …/domain/devices/disks/1/dedicatedIOThread | true
data {"boot": true} | VM | …/domain/devices/disks/1/bootOrder | 1
data {"reclaimPolicy": "Delete"} | DV | /metadata/ownerReferences/0/name | "web"
"#;

struct Edit<'a> {
    what: &'a str,
    patch: Value,
    /// Kind and name of the objects that it changes.
    changes: Vec<Key>,
    place: String,
    expected: &'a str,
}

type Key = (&'static str, String);
type Objects = BTreeMap<Key, Value>;

fn child(short: &str) -> Key {
    match short {
        "VM" => ("VirtualMachine", "web".into()),
        "NAD" => {
            let name = names::network_attachment_definition("web", "lan");
            ("NetworkAttachmentDefinition", name)
        }
        "DV" => ("DataVolume", names::claim("web", "data")),
        "Secret" => ("Secret", names::cloud_init_secret("web")),
        other => panic!("{other}"),
    }
}

fn edit(line: &str) -> Edit<'_> {
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [what, changes, place, expected] = columns[..] else {
        panic!("{line}")
    };
    let (list, patch) = what.split_once('{').unwrap();
    let patch = serde_json::from_str(&format!("{{{patch}")).unwrap();
    Edit {
        what,
        patch: match list.trim() {
            "lan" => lan(patch),
            "data" => data(patch),
            _ => patch,
        },
        changes: changes.split_whitespace().map(child).collect(),
        place: place
            .replace('…', "/spec/template/spec")
            .replace("POWER_WISH", &labels::POWER_WISH.replace('/', "~1")),
        expected,
    }
}

/// The Wukong's networks: one, changed so.
pub fn lan(change: Value) -> Value {
    let mut lan = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    merge(&mut lan, change);
    json!({"networks": [lan]})
}

/// The Wukong's disks: the root disk, and one that is changed so.
pub fn data(change: Value) -> Value {
    let mut data = json!({"name": "data", "size": "1Gi"});
    merge(&mut data, change);
    json!({"disks": [root(), data]})
}

/// All created objects, without the fields that differ between an object and its successor of the same name.
pub async fn children(space: &Space<'_>) -> Objects {
    let mut found = Objects::new();
    for kind in CHILDREN {
        for object in space.list(kind).await {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let mut object = without_bookkeeping(&object);
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| key != "uid" && key != "creationTimestamp");
            found.insert((kind, name), object);
        }
    }
    found
}

fn changed<'a>(before: &'a Objects, after: &'a Objects) -> BTreeSet<&'a Key> {
    let all = before.keys().chain(after.keys());
    all.filter(|key| before.get(*key) != after.get(*key))
        .collect()
}

/// A value as text; of a Secret also what it stands for.
pub fn text(value: &Value) -> String {
    let Some(text) = value.as_str() else {
        return value.to_string();
    };
    let decoded = serde_json::from_value::<ByteString>(json!(text));
    let decoded = decoded
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.0).ok());
    format!("{text}\n{}", decoded.unwrap_or_default())
}

/// Replaces the spec of the Wukong and waits until the operator has applied it.
async fn put(space: &Space<'_>, spec: &Value) {
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]);
    space.json_patch("Wukong", "web", patch).await;
    space.wukong("web", "applied", |_| true).await;
}

#[tokio::test]
async fn each_field_reaches_its_objects_and_no_others() {
    let space = cluster().await.space("edits").await;
    let theirs = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "theirs"}, "spec": {"config": "{}"}});
    space.apply(&theirs).await;
    let halted =
        json!({"cloudInitUser": {"name": "me"}, "startStrategy": {"runStrategy": "Halted"}});
    let mut base = wukong("web", halted);
    merge(&mut base["spec"], lan(json!({})));
    merge(&mut base["spec"], data(json!({})));
    space.apply(&base).await;
    space
        .wukong("web", "stopped, with its disks", |wukong| {
            phase(wukong) == "Stopped" && condition(wukong, "VolumesBound").0 == "True"
        })
        .await;
    let before = children(&space).await;

    let mut wrong = Vec::new();
    for line in EDITS.trim().lines() {
        let Edit {
            what,
            patch,
            changes,
            place,
            expected,
        } = edit(line);
        let mut spec = base["spec"].clone();
        merge(&mut spec, patch);
        put(&space, &spec).await;
        let after = children(&space).await;
        let shows = changes.first().cloned().unwrap_or_else(|| child("VM"));
        let found = after[&shows].pointer(&place).unwrap_or(&Value::Null);
        let right = match expected.strip_prefix('~') {
            Some(part) => text(found).contains(part),
            None => *found == serde_json::from_str::<Value>(expected).unwrap(),
        };
        if !right {
            wrong.push(format!("{what}: {place} is {found}"));
        }
        let touched = changed(&before, &after);
        if touched != changes.iter().collect() {
            wrong.push(format!("{what}: changed {touched:?}"));
        }
        put(&space, &base["spec"]).await;
        let back = children(&space).await;
        for key in changed(&before, &back) {
            let (old, new) = (before.get(key), back.get(key));
            wrong.push(format!(
                "{what}: taken back, {key:?} is {new:#?} and not {old:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
