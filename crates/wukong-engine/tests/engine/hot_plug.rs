//! Disks of a running VM that come and go.

use serde_json::{Value, json};

use crate::support::cluster::Cluster;
use crate::support::environment;

const ROOT: &str = "disks: [{name: root, size: 20Gi}]";
const DATA: &str = "disks: [{name: data, size: 1Gi}, {name: root, size: 20Gi, boot: true}]";

fn running(fields: &str) -> Cluster {
    let mut cluster = Cluster::running(fields).within(&environment::Cluster::healthy());
    cluster.live();
    cluster.done();
    cluster
}

/// KubeVirt with these feature gates.
fn gates(gates: &Value) -> environment::Cluster {
    environment::Cluster::healthy().change("KubeVirt", "kubevirt", |kubevirt| {
        kubevirt["spec"]["configuration"]["developerConfiguration"] = gates.clone();
    })
}

/// The volumes of the VM that are marked as hot-pluggable.
fn marked(cluster: &Cluster) -> Vec<String> {
    let vm = cluster.vm();
    let volumes = vm["spec"]["template"]["spec"]["volumes"].as_array();
    let marked = |volume: &&Value| volume["dataVolume"]["hotpluggable"] == json!(true);
    let names = volumes.unwrap().iter().filter(marked);
    names
        .map(|volume| volume["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The disks of the running guest.
fn attached(cluster: &Cluster) -> Vec<String> {
    let instance = cluster.instance();
    let disks = instance["spec"]["domain"]["devices"]["disks"].as_array();
    let names = disks
        .unwrap()
        .iter()
        .map(|disk| disk["name"].as_str().unwrap().to_owned());
    names.filter(|name| name != "cloud-init").collect()
}

fn effects(cluster: &Cluster) -> Vec<(String, String)> {
    let changes = cluster.status().pending_changes.into_iter();
    changes.map(|change| (change.path, change.effect)).collect()
}

fn applied(cluster: &Cluster) -> String {
    let mut conditions = cluster.status().conditions.into_iter();
    conditions
        .find(|condition| condition.type_ == "ConfigurationApplied")
        .unwrap()
        .reason
}

#[test]
fn a_disk_comes_and_goes_while_the_guest_runs() {
    let mut cluster = running(ROOT);
    let guest = cluster.instance()["metadata"]["uid"].clone();
    cluster.edit(DATA);
    cluster.settle();
    let data = "spec.disks[data]".to_owned();
    assert!(
        effects(&cluster).contains(&(data.clone(), "hot-plug".into())),
        "{:?}",
        effects(&cluster)
    );
    assert_eq!(applied(&cluster), "PluggingDevices");
    cluster.live();
    assert_eq!(marked(&cluster), ["data"]);
    assert_eq!(attached(&cluster), ["root", "data"]);
    assert_eq!(effects(&cluster), []);
    assert_eq!(applied(&cluster), "Applied");

    // A decision without memory comes to the same VM.
    cluster.done();
    cluster.restart_operator();
    cluster.live();
    assert_eq!(cluster.done(), [""; 0]);

    cluster.edit(ROOT);
    cluster.settle();
    assert_eq!(effects(&cluster), [(data, "hot-unplug".into())]);
    cluster.live();
    assert_eq!(attached(&cluster), ["root"]);
    assert_eq!(effects(&cluster), []);
    assert!(
        cluster.server.get("DataVolume", "web.data").is_some(),
        "the data stays"
    );
    assert_eq!(cluster.instance()["metadata"]["uid"], guest, "no restart");
}

/// The boot order of the others is what the guest booted with.
#[test]
fn a_disk_with_content_changes_no_other_disk() {
    let mut cluster = running(ROOT);
    let before = cluster.vm();
    cluster.edit("disks: [{name: tools, size: 1Gi, image: 'https://a.example/tools.img'}, {name: root, size: 20Gi, boot: true}]");
    cluster.live();
    let of = |vm: &Value, name: &str| {
        let disks = &vm["spec"]["template"]["spec"]["domain"]["devices"]["disks"];
        let mut disks = disks.as_array().unwrap().iter();
        disks.find(|disk| disk["name"] == name).unwrap().clone()
    };
    assert_eq!(of(&cluster.vm(), "root"), of(&before, "root"));
    assert_eq!(of(&cluster.vm(), "tools")["bootOrder"], Value::Null);
    assert_eq!(applied(&cluster), "Applied");
}

/// Without the mark, KubeVirt would require a restart.
#[test]
fn a_disk_keeps_its_mark_after_a_stop() {
    let mut cluster = running(ROOT);
    cluster.edit(DATA);
    cluster.live();
    cluster.edit(&format!("{DATA}, powerState: Stopped"));
    cluster.live();
    assert_eq!(marked(&cluster), ["data"]);
    cluster.edit(&format!("{DATA}, powerState: Running"));
    cluster.live();
    assert_eq!(attached(&cluster).len(), 2);
    assert_eq!(applied(&cluster), "Applied");
}

#[test]
fn a_disk_that_cannot_be_plugged_in_waits_for_a_restart() {
    let disabled = gates(&json!({"disabledFeatureGates": ["DeclarativeHotplugVolumes"]}));
    let by_hand = gates(&json!({"featureGates": ["HotplugVolumes"]}));
    let sata = DATA.replace("1Gi", "1Gi, bus: sata");
    for (kubevirt, edit) in [
        (disabled, DATA),
        (by_hand, DATA),
        (environment::Cluster::healthy(), sata.as_str()),
    ] {
        let mut cluster = running(ROOT).within(&kubevirt);
        cluster.edit(edit);
        cluster.settle();
        assert_eq!(marked(&cluster), [""; 0]);
        let data = ("spec.disks[data]".to_owned(), "needs restart".to_owned());
        assert!(effects(&cluster).contains(&data), "{:?}", effects(&cluster));
        assert_eq!(applied(&cluster), "RestartRequired");
    }
}

/// The names of the NICs in the template of the VM, with the state of their link.
fn nics(object: &Value) -> Vec<(String, Value)> {
    let nics = object["domain"]["devices"]["interfaces"].as_array();
    let nics = nics.into_iter().flatten();
    nics.map(|nic| {
        (
            nic["name"].as_str().unwrap().to_owned(),
            nic["state"].clone(),
        )
    })
    .collect()
}

const TWO_NICS: &str = "networks: [{name: lan, type: bridge}, {name: more, type: bridge}]";
const ONE_NIC: &str = "networks: [{name: lan, type: bridge}]";

#[test]
fn a_nic_leaves_the_guest_while_it_runs() {
    let mut cluster = running(TWO_NICS);
    let guest = cluster.instance()["metadata"]["uid"].clone();
    cluster.edit(ONE_NIC);
    cluster.settle();
    let more = ("spec.networks[more]".to_owned(), "hot-unplug".to_owned());
    assert_eq!(effects(&cluster), [more]);
    assert_eq!(applied(&cluster), "PluggingDevices");
    let vm = cluster.vm();
    let absent = ("more".to_owned(), json!("absent"));
    assert!(nics(&vm["spec"]["template"]["spec"]).contains(&absent));
    // Its network stays as long as the instance names it.
    let nad = |cluster: &Cluster| {
        let nads = cluster.server.list("NetworkAttachmentDefinition");
        nads.iter()
            .any(|nad| nad["metadata"]["name"].as_str().unwrap().contains("more"))
    };
    assert!(nad(&cluster));

    cluster.live();
    let vm = cluster.vm();
    let names = |object: &Value| {
        nics(object)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&vm["spec"]["template"]["spec"]),
        ["pod-network", "lan"]
    );
    assert_eq!(names(&cluster.instance()["spec"]), ["pod-network", "lan"]);
    assert_eq!(effects(&cluster), []);
    assert_eq!(applied(&cluster), "Applied");
    assert!(!nad(&cluster));
    assert_eq!(cluster.instance()["metadata"]["uid"], guest, "no restart");
}

/// A VM that is created, or stopped, gets an ordinary disk.
#[test]
fn a_stopped_vm_gets_a_disk_with_its_next_start() {
    let mut cluster = running(&format!("{ROOT}, powerState: Stopped"));
    cluster.edit(&format!("{DATA}, powerState: Stopped"));
    cluster.live();
    assert_eq!(marked(&cluster), [""; 0]);
    cluster.edit(&format!("{DATA}, powerState: Running"));
    cluster.live();
    assert_eq!(attached(&cluster), ["data", "root"]);
}
