//! Hardware that the probe sees, and where its disks come from.

use futures::join;
use serde_json::json;

use crate::inside::image;
use crate::probe::{console_with, probe};
use crate::space;

const MAC: &str = "02:00:00:00:00:0a";
const MIB: u64 = 1 << 20;

#[tokio::test]
async fn hardware_is_what_the_manifest_says() {
    let Some((space, _permit)) = space("hardware", 2).await else {
        return;
    };
    let bios = async {
        let spec = json!({
            "cpu": 2,
            "podNetwork": "None",
            "networks": [{"name": "lan", "type": "bridge", "macAddress": MAC}],
            "disks": [
                {"name": "on-sata", "size": "65Mi", "bus": "sata"},
                {"name": "on-usb", "size": "66Mi", "bus": "usb", "serial": "USB-0001"},
                {"name": "on-scsi", "size": "67Mi", "bus": "scsi", "serial": "SCSI-0001"},
                {"name": "root", "size": "68Mi", "boot": true, "serial": "ROOT-0001"},
                {"name": "cd", "size": "69Mi", "kind": "cdrom", "image": image("probe.qcow2")},
            ],
        });
        probe(&space, "bios", "wait", spec).await;
        let disk =
            |rest: &str, mebibytes: u64| rest.replace("SIZE", &(mebibytes * MIB).to_string());
        let nic = format!("probe: nic eth0 {MAC}");
        let expected = [
            "probe: firmware BIOS",
            "probe: cpus 2",
            &nic,
            &disk("sata SIZE rw on-sata", 65),
            &disk("usb SIZE rw USB-0001", 66),
            &disk("scsi SIZE rw SCSI-0001", 67),
            &disk("disk vda virtio SIZE rw ROOT-0001", 68),
            &disk("disk sr0 sata SIZE ro", 69),
        ];
        let (_, all) = console_with(&space, "bios", &expected).await;
        assert_eq!(all.matches("probe: nic ").count(), 1, "{all}");
    };
    let secure = async {
        let spec = json!({"firmware": "UEFISecureBoot", "memory": "512Mi"});
        probe(&space, "secure", "wait", spec).await;
        let expected = ["Secure boot enabled", "probe: firmware UEFI"];
        console_with(&space, "secure", &expected).await;
    };
    join!(bios, secure);
}

#[tokio::test]
async fn a_clone_boots_and_what_is_out_of_reach_says_so() {
    let Some((space, _permit)) = space("sources", 1).await else {
        return;
    };
    let far = json!({"osImage": "ubuntu:24.04"});
    probe(&space, "far", "wait", far).await;
    let halted = json!({"startStrategy": {"autoStart": false}});
    probe(&space, "origin", "wait", halted).await;
    space
        .until("DataVolume", "origin.root", "imported", |dv| {
            (dv["status"]["phase"] == "Succeeded").then_some(())
        })
        .await;
    let disks =
        json!([{"name": "root", "size": "96Mi", "source": {"pvc": {"name": "origin.root"}}}]);
    probe(
        &space,
        "copy",
        "wait",
        json!({"osImage": null, "disks": disks}),
    )
    .await;
    let size = format!("disk vda virtio {} rw root", 96 * MIB);
    console_with(&space, "copy", &["probe: wait", &size]).await;

    let far = space.blocked("far", "ImportFailed").await;
    let words = far["status"]["blocker"]["message"].as_str().unwrap();
    assert!(words.contains("the lab reaches no registry"), "{words}");
}
