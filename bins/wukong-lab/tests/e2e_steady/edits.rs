//! An edit changes the object that it is about, and no other; taken back, it leaves no trace.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use serde_json::{Value, json};
use wukong_api::names;

use crate::cluster;
use crate::support::{Space, condition, merge, phase, root, without_bookkeeping, wukong};

const VM: &str = "VirtualMachine";
const NAD: &str = "NetworkAttachmentDefinition";
const DV: &str = "DataVolume";
const SECRET: &str = "Secret";
const CHILDREN: [&str; 5] = [VM, NAD, DV, SECRET, "PersistentVolumeClaim"];

/// What is to be found after an edit.
enum Found {
    /// This value.
    Is(Value),
    /// A text with this part. (Of a Secret: decoded.)
    Has(&'static str),
}

/// An edit of the spec, the kinds of the objects that it changes, and where it shows.
struct Edit(
    &'static str,
    Value,
    &'static [&'static str],
    &'static str,
    Found,
);

fn lan(change: Value) -> Value {
    let mut lan = json!({"name": "lan", "type": "bridge", "bridgeName": "br-lan"});
    merge(&mut lan, change);
    json!({"networks": [lan]})
}

fn data(change: Value) -> Value {
    let mut data = json!({"name": "data", "size": "1Gi"});
    merge(&mut data, change);
    json!({"disks": [root(), data]})
}

fn placement(change: Value) -> Value {
    json!({"highAvailability": change})
}

fn edits() -> Vec<Edit> {
    use Found::{Has, Is};
    let row = Edit;
    vec![
        row(
            "cpu",
            json!({"cpu": 2}),
            &[VM],
            "/spec/template/spec/domain/cpu/sockets",
            Is(json!(2)),
        ),
        row(
            "memory",
            json!({"memory": "2Gi"}),
            &[VM],
            "/spec/template/spec/domain/memory/guest",
            Is(json!("2Gi")),
        ),
        row(
            "sshKeySecret",
            json!({"sshKeySecret": "keys"}),
            &[VM],
            "/spec/template/spec/accessCredentials/0/sshPublicKey/source/secret/secretName",
            Is(json!("keys")),
        ),
        row(
            "cloudInitUser.name",
            json!({"cloudInitUser": {"name": "you"}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("name: 'you'"),
        ),
        row(
            "cloudInitUser.password",
            json!({"cloudInitUser": {"password": "s3cr3t"}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("s3cr3t"),
        ),
        row(
            "cloudInitUser.passwordHash",
            json!({"cloudInitUser": {"passwordHash": "$6$salt$0123456789abcdef"}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("$6$salt$0123456789abcdef"),
        ),
        row(
            "cloudInitUser.sudo",
            json!({"cloudInitUser": {"sudo": "ALL=(ALL) ALL"}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("ALL=(ALL) ALL"),
        ),
        row(
            "cloudInitUser.shell",
            json!({"cloudInitUser": {"shell": "/bin/zsh"}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("/bin/zsh"),
        ),
        row(
            "cloudInitUser.groups",
            json!({"cloudInitUser": {"groups": ["wheel"]}}),
            &[SECRET, VM],
            "/data/userdata",
            Has("wheel"),
        ),
        row(
            "userDataSecret",
            json!({"cloudInitUser": null, "userDataSecret": "mine"}),
            &[VM],
            "/spec/template/spec/volumes/2/cloudInitNoCloud/secretRef/name",
            Is(json!("mine")),
        ),
        row(
            "networks.vlanId",
            lan(json!({"vlanId": 7})),
            &[NAD],
            "/spec/config",
            Has(r#""vlan":7"#),
        ),
        row(
            "networks.bridgeName",
            lan(json!({"bridgeName": "br-other"})),
            &[NAD],
            "/spec/config",
            Has("br-other"),
        ),
        row(
            "networks.type",
            lan(json!({"type": "ovs"})),
            &[NAD],
            "/spec/config",
            Has(r#""type":"ovs""#),
        ),
        row(
            "networks.mtu",
            lan(json!({"mtu": 9000})),
            &[NAD, SECRET, VM],
            "/spec/config",
            Has("9000"),
        ),
        row(
            "networks.resourceName",
            lan(json!({"resourceName": "bridge.network.kubevirt.io/br-lan"})),
            &[NAD],
            "/metadata/annotations/k8s.v1.cni.cncf.io~1resourceName",
            Is(json!("bridge.network.kubevirt.io/br-lan")),
        ),
        row(
            "networks.macAddress",
            lan(json!({"macAddress": "02:00:00:00:00:07"})),
            &[VM, SECRET],
            "/spec/template/spec/domain/devices/interfaces/1/macAddress",
            Is(json!("02:00:00:00:00:07")),
        ),
        row(
            "networks.ipConfig",
            lan(json!({"ipConfig": {"address": "10.7.0.7/24", "dnsServers": ["10.7.0.1"]}})),
            &[SECRET, VM],
            "/data/networkdata",
            Has("10.7.0.7/24"),
        ),
        row(
            "networks.nadName",
            lan(json!({"nadName": "theirs", "bridgeName": null})),
            &[VM, NAD],
            "/spec/template/spec/networks/1/multus/networkName",
            Is(json!("theirs")),
        ),
        row(
            "podNetwork",
            json!({"podNetwork": "None"}),
            &[VM, SECRET],
            "/spec/template/spec/networks/0/multus/networkName",
            Has("web-lan"),
        ),
        row(
            "disks.bus",
            data(json!({"bus": "scsi"})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/disk/bus",
            Is(json!("scsi")),
        ),
        row(
            "disks.kind",
            data(json!({"kind": "cdrom", "bus": "sata"})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/cdrom/bus",
            Is(json!("sata")),
        ),
        row(
            "disks.serial",
            data(json!({"serial": "D-1"})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/serial",
            Is(json!("D-1")),
        ),
        row(
            "disks.cache",
            data(json!({"cache": "none"})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/cache",
            Is(json!("none")),
        ),
        row(
            "disks.dedicatedIOThread",
            data(json!({"dedicatedIOThread": true})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/dedicatedIOThread",
            Is(json!(true)),
        ),
        row(
            "disks.boot",
            data(json!({"boot": true})),
            &[VM],
            "/spec/template/spec/domain/devices/disks/1/bootOrder",
            Is(json!(1)),
        ),
        row(
            "disks.reclaimPolicy",
            data(json!({"reclaimPolicy": "Delete"})),
            &[DV],
            "/metadata/ownerReferences/0/name",
            Is(json!("web")),
        ),
        row(
            "highAvailability.restartPolicy",
            placement(json!({"restartPolicy": "OnFailure"})),
            &[],
            "/spec/runStrategy",
            Is(json!("Halted")),
        ),
        row(
            "highAvailability.antiAffinity",
            placement(json!({"antiAffinity": true})),
            &[VM],
            "/spec/template/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/topologyKey",
            Is(json!("kubernetes.io/hostname")),
        ),
        row(
            "highAvailability.topologySpread",
            placement(json!({"topologySpread": true})),
            &[VM],
            "/spec/template/spec/topologySpreadConstraints/0/topologyKey",
            Is(json!("topology.kubernetes.io/zone")),
        ),
        row(
            "highAvailability.group",
            placement(json!({"group": "front"})),
            &[VM],
            "/spec/template/metadata/labels/vm.novasphere.dev~1group",
            Is(json!("front")),
        ),
        row(
            "highAvailability.nodeSelector",
            placement(json!({"nodeSelector": {"disk": "ssd"}})),
            &[VM],
            "/spec/template/spec/nodeSelector/disk",
            Is(json!("ssd")),
        ),
        row(
            "highAvailability.tolerations",
            placement(json!({"tolerations": [{"key": "k", "operator": "Exists"}]})),
            &[VM],
            "/spec/template/spec/tolerations/0/key",
            Is(json!("k")),
        ),
        row(
            "highAvailability.evictionStrategy",
            placement(json!({"evictionStrategy": "External"})),
            &[VM],
            "/spec/template/spec/evictionStrategy",
            Is(json!("External")),
        ),
        row(
            "startStrategy",
            json!({"startStrategy": {"runStrategy": "Manual", "autoStart": false}}),
            &[VM],
            "/spec/runStrategy",
            Is(json!("Manual")),
        ),
        row(
            "powerState",
            json!({"powerState": "Stopped"}),
            &[VM],
            "/metadata/annotations/vm.novasphere.dev~1power-wish",
            Is(json!("Halted/Stopped")),
        ),
        row(
            "firmware",
            json!({"firmware": "UEFI"}),
            &[VM],
            "/spec/template/spec/domain/firmware/bootloader/efi/secureBoot",
            Is(json!(false)),
        ),
        row(
            "terminationGracePeriodSeconds",
            json!({"terminationGracePeriodSeconds": 30}),
            &[VM],
            "/spec/template/spec/terminationGracePeriodSeconds",
            Is(json!(30)),
        ),
    ]
}

/// The object in which an edit shows.
fn shown_in(edit: &Edit) -> (&'static str, String) {
    let Edit(what, _, kinds, pointer, _) = edit;
    match *pointer {
        pointer if pointer.starts_with("/data/") => (SECRET, names::cloud_init_secret("web")),
        pointer if kinds.contains(&NAD) && !pointer.starts_with("/spec/template") => {
            (NAD, names::network_attachment_definition("web", "lan"))
        }
        _ if *what == "disks.reclaimPolicy" => (DV, names::claim("web", "data")),
        _ => (VM, "web".to_owned()),
    }
}

type Objects = BTreeMap<(&'static str, String), Value>;

async fn children(space: &Space<'_>) -> Objects {
    let mut found = Objects::new();
    for kind in CHILDREN {
        for object in space.list(kind).await {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let mut object = without_bookkeeping(&object);
            // A definition that is pruned and made again is another one.
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| key != "uid" && key != "creationTimestamp");
            found.insert((kind, name), object);
        }
    }
    found
}

fn changed(before: &Objects, after: &Objects) -> BTreeSet<&'static str> {
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    all.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|(kind, _)| *kind)
        .collect()
}

fn text(value: &Value) -> String {
    let Some(text) = value.as_str() else {
        return value.to_string();
    };
    let decoded = serde_json::from_value::<ByteString>(json!(text));
    let decoded = decoded
        .ok()
        .and_then(|bytes| String::from_utf8(bytes.0).ok());
    format!("{text}\n{}", decoded.unwrap_or_default())
}

/// Replaces the spec of the Wukong and waits until the operator has carried it out.
async fn put(space: &Space<'_>, spec: &Value) {
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]);
    space.json_patch("Wukong", "web", patch).await;
    space.wukong("web", "carried out", |_| true).await;
}

#[tokio::test]
async fn each_field_reaches_its_object_and_no_other() {
    let space = cluster().await.space("edits").await;
    let theirs = json!({"apiVersion": "k8s.cni.cncf.io/v1", "kind": NAD, "metadata": {"name": "theirs"},
        "spec": {"config": "{}"}});
    space.apply(&theirs).await;
    let mut base = wukong(
        "web",
        json!({"cloudInitUser": {"name": "me"}, "startStrategy": {"runStrategy": "Halted"}}),
    );
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
    for edit in edits() {
        let mut spec = base["spec"].clone();
        merge(&mut spec, edit.1.clone());
        put(&space, &spec).await;
        let after = children(&space).await;
        let Edit(what, _, kinds, pointer, expected) = &edit;
        let found = after
            .get(&shown_in(&edit))
            .and_then(|object| object.pointer(pointer))
            .unwrap_or(&Value::Null);
        let right = match expected {
            Found::Is(value) => found == value,
            Found::Has(part) => text(found).contains(part),
        };
        if !right {
            wrong.push(format!("{what}: {pointer} is {found}"));
        }
        let touched = changed(&before, &after);
        if touched != kinds.iter().copied().collect() {
            wrong.push(format!("{what}: changed {touched:?}, not {kinds:?}"));
        }
        put(&space, &base["spec"]).await;
        let back = children(&space).await;
        for key in before.keys().chain(back.keys()).collect::<BTreeSet<_>>() {
            if before.get(key) != back.get(key) {
                let (old, new) = (&before.get(key), &back.get(key));
                wrong.push(format!(
                    "{what}: taken back, {key:?} is {new:#?} and not {old:#?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What tells a disk from another: its claim's uid, and its DataVolume as it was made.
async fn identity(space: &Space<'_>, disk: &str) -> (Value, Value) {
    let claim = space.get("PersistentVolumeClaim", disk).await;
    let volume = space.get(DV, disk).await;
    (claim["metadata"]["uid"].clone(), volume["spec"].clone())
}

#[tokio::test]
async fn a_larger_size_grows_the_claim_and_leaves_the_data_volume() {
    let space = cluster().await.space("grow").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let before = identity(&space, "web.root").await;
    space
        .edit(
            "web",
            json!({"disks": [{"name": "root", "size": "5Gi", "image": root()["image"]}]}),
        )
        .await;
    let grown = space
        .wukong("web", "grown", |wukong| {
            let volume = &wukong["status"]["volumes"][0];
            volume["size"] == "5Gi"
                && volume["requested"] == volume["capacity"]
                && condition(wukong, "VolumesBound").1 == "Bound"
        })
        .await;
    assert_eq!(phase(&grown), "Running");
    let claim = space.get("PersistentVolumeClaim", "web.root").await;
    let capacity = text(&claim["status"]["capacity"]["storage"]);
    // What the guest sees, and CDI's overhead for the file system.
    assert!(
        capacity.starts_with("569") || capacity.starts_with("5Gi"),
        "{capacity}"
    );
    assert_eq!(identity(&space, "web.root").await, before);
}

#[tokio::test]
async fn nics_come_and_go_with_their_definitions() {
    let space = cluster().await.space("nics").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    space.edit("web", lan(json!({}))).await;
    // Hot-plugged: bridge NICs reach the running VM.
    let with = space
        .wukong("web", "with its NIC", |wukong| {
            wukong["status"]["networks"][1]["ipAddress"].is_string()
        })
        .await;
    let definition = names::network_attachment_definition("web", "lan");
    assert_eq!(with["status"]["networks"][1]["nadName"], json!(definition));
    assert_eq!(space.names(NAD).await, [definition.clone()]);

    space.edit("web", json!({"networks": []})).await;
    space.gone(NAD, &definition).await;
    let without = space.wukong("web", "without its NIC", |_| true).await;
    assert_eq!(without["status"]["networks"].as_array().unwrap().len(), 1);
    let vm = space.get(VM, "web").await;
    assert!(vm.pointer("/spec/template/spec/networks/1").is_none());
}

#[tokio::test]
async fn a_disk_that_is_taken_out_keeps_its_claim_and_comes_back_with_it() {
    let space = cluster().await.space("disks").await;
    space.apply(&wukong("web", data(json!({})))).await;
    space.running("web").await;
    let before = identity(&space, "web.data").await;
    space.edit("web", json!({"disks": [root()]})).await;
    space.wukong("web", "carried out", |_| true).await;
    let vm = space.get(VM, "web").await;
    assert!(
        vm.pointer("/spec/template/spec/domain/devices/disks/1")
            .is_none_or(|disk| disk["name"] != "data")
    );
    assert_eq!(identity(&space, "web.data").await, before);
    space.edit("web", data(json!({}))).await;
    space.wukong("web", "carried out", |_| true).await;
    let vm = space.get(VM, "web").await;
    assert_eq!(
        vm.pointer("/spec/template/spec/domain/devices/disks/1/name"),
        Some(&json!("data"))
    );
    assert_eq!(identity(&space, "web.data").await, before);
}

#[tokio::test]
async fn a_change_that_needs_a_restart_says_so_and_is_applied_when_approved() {
    let space = cluster().await.space("restart").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let instance = async || {
        let instance = space.get("VirtualMachineInstance", "web").await;
        instance["metadata"]["uid"].clone()
    };
    let first = instance().await;
    space.edit("web", json!({"firmware": "UEFI"})).await;
    let said = space
        .wukong("web", "in need of a restart", |wukong| {
            condition(wukong, "ConfigurationApplied").1 == "RestartRequired"
        })
        .await;
    // It runs, as asked; only not with what was asked last.
    assert_eq!(phase(&said), "Running");
    assert_eq!(condition(&said, "Ready").0, "True");
    assert_eq!(instance().await, first);

    space
        .edit("web", json!({"restartApproval": "Automatic"}))
        .await;
    space
        .wukong("web", "restarted with its configuration", |wukong| {
            phase(wukong) == "Running" && condition(wukong, "ConfigurationApplied").1 == "Applied"
        })
        .await;
    assert_ne!(instance().await, first);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_leaves_everything_as_it_is() {
    let space = cluster().await.space("refused").await;
    space
        .apply(&wukong("web", json!({"disks": [root()]})))
        .await;
    space.running("web").await;
    let before = children(&space).await;
    let mark = space.mark();
    let smaller =
        json!({"spec": {"disks": [{"name": "root", "size": "1Gi", "image": root()["image"]}]}});
    let refusal = space.try_merge("Wukong", "web", smaller).await.unwrap_err();
    assert!(
        refusal.to_string().contains("a disk cannot shrink"),
        "{refusal}"
    );
    for (what, disk, part) in [
        (
            "other source",
            json!({"image": "http://images.example.com/other.qcow2"}),
            "another source",
        ),
        (
            "other class",
            json!({"storageClassName": "fixed"}),
            "other settings",
        ),
    ] {
        let mut changed = root();
        merge(&mut changed, disk);
        // What else is in the edit waits, too.
        space
            .edit("web", json!({"cpu": 2, "disks": [changed]}))
            .await;
        let said = space.blocked("web", "ImmutableFieldChanged").await;
        let (status, _, message) = condition(&said, "SpecValid");
        assert!(
            status == "False" && message.contains(part) && message.contains("spec.disks[0]"),
            "{what}: {message}"
        );
        assert_eq!(
            changed_kinds(&before, &space).await,
            BTreeSet::new(),
            "{what}"
        );
        space
            .edit("web", json!({"cpu": 1, "disks": [root()]}))
            .await;
        space.running("web").await;
    }
    let writes = space
        .asked_since(mark)
        .filter(|request| request.subresource != "status");
    assert!(writes.is_empty(), "{writes}");
}

async fn changed_kinds(before: &Objects, space: &Space<'_>) -> BTreeSet<&'static str> {
    changed(before, &children(space).await)
}
