//! What the VirtualMachine looks like.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wukong_api::spec::RunStrategy;
use wukong_vm::{Inputs, VolumeSource, virtual_machine};

use super::{instance, machine, machine_with_nics, schema, secret, wukong};

const FULL: &str = "
    cpu: 4, memory: 1.5Gi, firmware: UEFISecureBoot, terminationGracePeriodSeconds: 30, sshKeySecret: keys,
    cloudInitUser: {name: web, passwordHash: $6$salt$hash, groups: [docker]},
    networks: [
      {name: lan, type: bridge, vlanId: 10, ipConfig: {address: 192.168.1.5/24}},
      {name: store, type: sriov, nadName: storage-net, macAddress: '02-AA-00-00-00-01'},
      {name: dmz, type: macvlan}, {name: tenant, type: ovs}],
    disks: [
      {name: data, size: 100Gi, cache: writeback, dedicatedIOThread: true, serial: DATA-1},
      {name: root, size: 20Gi, image: 'quay.io/containerdisks/fedora:41'},
      {name: tools, size: 1Gi, kind: cdrom, image: 'https://files.example.org/tools.iso'},
      {name: raw, size: 1Ti, kind: lun, volumeMode: Block}],
    highAvailability: {
      antiAffinity: true, topologySpread: true, group: shop-web, evictionStrategy: LiveMigrate,
      nodeSelector: {node-role.kubernetes.io/worker: ''},
      tolerations: [
        {key: gpu, operator: Equal, value: a100, effect: NoSchedule},
        {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}]},
    startStrategy: {runStrategy: RerunOnFailure}";

#[test]
fn a_minimal_wukong() {
    let wukong = wukong("");
    insta::assert_yaml_snapshot!(machine(&wukong));
    insta::assert_yaml_snapshot!(secret(&wukong));
}

#[test]
fn a_full_wukong() {
    let wukong = wukong(FULL);
    insta::assert_yaml_snapshot!(machine(&wukong));
    insta::assert_yaml_snapshot!(secret(&wukong));
    assert_eq!(schema::problems(&machine(&wukong)), [""; 0]);
}

#[test]
fn the_same_wukong_gives_the_same_bytes() {
    let bytes = || {
        let wukong = wukong(FULL);
        serde_json::to_string(&(machine(&wukong), secret(&wukong))).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn each_firmware_has_its_boot_loader() {
    let acpi = json!({"enabled": true});
    for (firmware, bootloader, features) in [
        ("BIOS", json!({"bios": {}}), json!({"acpi": acpi})),
        (
            "UEFI",
            json!({"efi": {"secureBoot": false}}),
            json!({"acpi": acpi}),
        ),
        (
            "UEFISecureBoot",
            json!({"efi": {"secureBoot": true}}),
            json!({"acpi": acpi, "smm": {"enabled": true}}),
        ),
    ] {
        let domain = &instance(&wukong(&format!("firmware: {firmware}")))["domain"];
        assert_eq!(domain["firmware"]["bootloader"], bootloader, "{firmware}");
        assert_eq!(domain["features"], features, "{firmware}");
    }
}

#[test]
fn the_marked_disk_boots_before_an_installer() {
    let orders = |disks: &str| -> Vec<Value> {
        let instance = instance(&wukong(disks));
        let disks = instance["domain"]["devices"]["disks"].as_array().unwrap();
        disks.iter().map(|disk| disk["bootOrder"].clone()).collect()
    };
    let none = Value::Null;
    let iso = "{name: installer, size: 6Gi, kind: cdrom, image: 'https://images.example.net/desktop.iso'}";
    for marked in [", boot: true", ""] {
        assert_eq!(
            orders(&format!(
                "disks: [{iso}, {{name: data, size: 1Gi}}, {{name: root, size: 40Gi{marked}}}]"
            ))[..2],
            match marked {
                "" => [json!(2), json!(1)],
                _ => [json!(2), none.clone()],
            }
        );
    }
    // The image goes to the hard disk, not to the CD-ROM before it.
    let wukong = wukong(&format!(
        "osImage: 'fedora:41', disks: [{iso}, {{name: root, size: 40Gi}}]"
    ));
    assert!(wukong.disks[1].boot && wukong.disks[1].source != wukong.disks[0].source);
    assert!(wukong.disks[1].source != wukong_api::validated::Source::Blank);
}

#[test]
fn the_hardware_of_an_arm_machine() {
    insta::assert_yaml_snapshot!(instance(&wukong(
        "memory: 4Gi, architecture: arm64, cpuModel: host-passthrough, dedicatedCpu: true, hugepages: 2Mi,
         tpm: {persistent: true}, disks: [{name: root, size: 1Gi, boot: true},
         {name: tools, size: 1Gi, kind: cdrom, image: 'https://files.example.org/tools.iso'}]"
    ))["domain"]);
}

#[test]
fn labels_and_annotations_reach_the_pod() {
    let machine = json!(machine(&wukong(
        "labels: {app: api, tier: backend}, annotations: {ovn.kubernetes.io/ip_address: 10.16.0.77}"
    )));
    for metadata in [
        &machine["metadata"],
        &machine["spec"]["template"]["metadata"],
    ] {
        assert_eq!(metadata["labels"]["app"], "api");
        assert_eq!(
            metadata["labels"]["app.kubernetes.io/managed-by"],
            "wukong-operator"
        );
        assert_eq!(
            metadata["annotations"]["ovn.kubernetes.io/ip_address"],
            "10.16.0.77"
        );
    }
}

#[test]
fn an_existing_claim_is_mounted_by_its_name() {
    let instance = instance(&wukong(
        "disks: [{name: root, claim: uploaded, boot: true, shareable: true}]",
    ));
    assert_eq!(
        instance["volumes"][0],
        json!({"name": "root", "persistentVolumeClaim": {"claimName": "uploaded"}})
    );
    assert_eq!(
        instance["domain"]["devices"]["disks"][0],
        json!({"name": "root", "disk": {"bus": "virtio"}, "bootOrder": 1, "serial": "root", "shareable": true})
    );
}

#[test]
fn the_machine_keeps_its_identity_while_everything_else_changes() {
    let firmware = |fields: &str| {
        let mut firmware = instance(&wukong(fields))["domain"]["firmware"].clone();
        firmware.as_object_mut().unwrap().remove("bootloader");
        firmware
    };
    assert_eq!(firmware(""), firmware(FULL));
    assert_ne!(firmware("")["uuid"], firmware("")["serial"]);
}

#[test]
fn each_network_type_has_its_binding() {
    for (kind, binding) in [
        ("bridge", json!({"bridge": {}})),
        ("ovs", json!({"bridge": {}})),
        ("sriov, resourceName: intel.com/net", json!({"sriov": {}})),
        ("macvlan", json!({"binding": {"name": "macvtap"}})),
    ] {
        let wukong = wukong(&format!(
            "networks: [{{name: lan, macAddress: '02:AA:00:00:00:01', type: {kind}}}]"
        ));
        let instance = instance(&wukong);
        let mut interface = json!({"name": "lan", "macAddress": "02:aa:00:00:00:01"});
        interface
            .as_object_mut()
            .unwrap()
            .extend(binding.as_object().unwrap().clone());
        assert_eq!(instance["domain"]["devices"]["interfaces"][1], interface);
        let attachment = wukong.nics[0].attachment.name();
        assert_eq!(
            instance["networks"][1],
            json!({"name": "lan", "multus": {"networkName": attachment}})
        );
    }
}

#[test]
fn a_nic_has_its_model_and_can_be_primary() {
    let instance = instance(&wukong(
        "podNetwork: None, networks: [{name: wan, type: bridge, nadName: wan, primary: true, model: e1000}]",
    ));
    assert_eq!(
        instance["networks"],
        json!([{"name": "wan", "multus": {"networkName": "wan", "default": true}}])
    );
    assert_eq!(
        instance["domain"]["devices"]["interfaces"][0]["model"],
        "e1000"
    );
}

#[test]
fn nics_follow_what_can_be_attached() {
    let two = "networks: [{name: lan, type: bridge}, {name: wan, type: bridge}]";
    let names = |machine: &Value| -> Vec<String> {
        let interfaces =
            machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"].as_array();
        interfaces
            .into_iter()
            .flatten()
            .map(|nic| nic["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let both = wukong(two);
    assert_eq!(names(&json!(machine(&both))), ["pod-network", "lan", "wan"]);
    assert_eq!(
        names(&json!(machine_with_nics(&both, &[]))),
        ["pod-network"]
    );
    let alone = wukong(&format!("podNetwork: None, {two}"));
    assert_eq!(names(&json!(machine(&alone))), ["lan", "wan"]);
    assert_eq!(
        instance(&alone)["domain"]["devices"].get("autoattachPodInterface"),
        None
    );
    let none = json!(machine_with_nics(&alone, &[]));
    assert_eq!(names(&none), [""; 0]);
    assert_eq!(
        none["spec"]["template"]["spec"]["domain"]["devices"]["autoattachPodInterface"],
        false
    );
}

#[test]
fn volumes_name_the_given_claims() {
    let wukong = wukong("disks: [{name: root, size: 1Gi}, {name: data, size: 1Gi}]");
    let inputs = Inputs {
        nics: &[],
        leaving: &[],
        volumes: &BTreeMap::from([("data".to_owned(), VolumeSource::Claim)]),
        hot_plugged: &BTreeSet::new(),
        run_strategy: RunStrategy::Manual,
        power_wish: "Stopped",
        cloud_init_hash: "77",
        restores: "",
    };
    let machine = json!(virtual_machine(&wukong, &inputs));
    assert_eq!(
        machine["spec"]["template"]["spec"]["volumes"],
        json!([
            {"name": "root", "dataVolume": {"name": "web.root"}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "web.data"}},
            {"name": "cloud-init", "cloudInitNoCloud": {
                "secretRef": {"name": "web.cloud-init"}, "networkDataSecretRef": {"name": "web.cloud-init"},
            }},
        ])
    );
    assert_eq!(machine["spec"]["runStrategy"], "Manual");
    assert_eq!(
        machine["metadata"]["annotations"],
        // word-list: allow
        json!({"vm.novasphere.dev/power-wish": "Stopped", "vm.novasphere.dev/cloud-init-hash": "77"})
    );
}

/// The disks that the guest booted with keep their places in the boot order.
#[test]
fn a_disk_that_is_plugged_in_has_a_mark_and_no_place_in_the_boot_order() {
    let image = "image: 'https://a.example/x.img'";
    let wukong = wukong(&format!(
        "disks: [{{name: new, size: 1Gi, {image}}}, {{name: root, size: 1Gi, {image}, boot: true}}, {{name: old, size: 1Gi, {image}}}]"
    ));
    let inputs = Inputs {
        nics: &[],
        leaving: &[],
        volumes: &BTreeMap::new(),
        hot_plugged: &BTreeSet::from(["new".to_owned()]),
        run_strategy: RunStrategy::Manual,
        power_wish: "",
        restores: "",
        cloud_init_hash: "",
    };
    let machine = json!(virtual_machine(&wukong, &inputs));
    let instance = &machine["spec"]["template"]["spec"];
    assert_eq!(
        instance["volumes"][0],
        json!({"name": "new", "dataVolume": {"name": "web.new", "hotpluggable": true}})
    );
    let disks = instance["domain"]["devices"]["disks"].as_array().unwrap();
    let orders: Vec<_> = disks.iter().map(|disk| &disk["bootOrder"]).collect();
    assert_eq!(orders, [&json!(null), &json!(1), &json!(2), &json!(null)]);
}

#[test]
fn without_disks_the_image_itself_boots() {
    let instance = instance(&wukong("osImage: 'ubuntu:24.04'"));
    assert_eq!(
        instance["volumes"][0],
        json!({"name": "os-image", "containerDisk": {"image": "quay.io/containerdisks/ubuntu:24.04"}})
    );
    assert_eq!(
        instance["domain"]["devices"]["disks"],
        json!([
            {"name": "os-image", "disk": {"bus": "virtio"}, "bootOrder": 1},
            {"name": "cloud-init", "disk": {"bus": "virtio", "readonly": true}},
        ])
    );
}

#[test]
fn a_disk_may_be_called_like_the_seed() {
    let instance = instance(&wukong("disks: [{name: cloud-init, size: 1Gi}]"));
    assert_eq!(
        instance["volumes"][0]["dataVolume"]["name"],
        "web.cloud-init"
    );
    assert_eq!(instance["volumes"][1]["name"], "cloud-init-2");
}

#[test]
fn the_vm_notes_the_generations_of_its_disks_beside_the_volumes() {
    let disks =
        "disks: [{name: root, size: 1Gi}, {name: data, size: 1Gi}, {name: logs, size: 1Gi}]";
    let once = wukong(disks);
    let before = json!(machine(&once));
    let noted = &before["metadata"]["annotations"]["vm.novasphere.dev/disk-generations"];
    assert!(noted.is_null(), "a disk that never had another claim");
    let generations = [("root".to_owned(), 3), ("data".to_owned(), 1)].into();
    let after = json!(machine(&once.with_generations(&generations)));
    assert_eq!(
        after["metadata"]["annotations"]["vm.novasphere.dev/disk-generations"],
        "data=1,root=3"
    );
    let volumes = after["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = volumes
        .iter()
        .filter_map(|volume| volume["dataVolume"]["name"].as_str())
        .collect();
    assert_eq!(names, ["web.root.r3", "web.data", "web.logs"]);
}
