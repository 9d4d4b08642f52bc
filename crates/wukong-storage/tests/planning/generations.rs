//! Later generations of a disk.

use std::collections::BTreeMap;

use serde_json::json;
use wukong_api::validated::Source;
use wukong_storage::{Existing, Made, Planned, new_generation};

use crate::{bytes, json as object_of, object, wukong};

const DISK: &str = "{name: root, size: 20Gi, storageClassName: fast, image: 'https://a.example/x'}";

fn snapshot() -> Source {
    Source::Snapshot("vmsnapshot-1-volume-root".into())
}

#[test]
fn a_new_generation_is_another_claim_of_the_same_disk() {
    let wukong = wukong(DISK);
    let disk = &wukong.disks[0];
    let volume = new_generation(&wukong, disk, 2, snapshot(), "undo");
    let planned = object_of(&Planned::DataVolume(volume));
    let first = object(&wukong, true, Existing::Nothing);
    assert_eq!(planned["metadata"]["name"], "web.root.r2");
    assert_eq!(
        planned["metadata"]["labels"]["vm.novasphere.dev/generation"],
        "2"
    );
    assert_eq!(
        planned["metadata"]["annotations"],
        json!({"vm.novasphere.dev/guest-size": "20Gi", "vm.novasphere.dev/restore": "undo"})
    );
    assert_eq!(
        planned["spec"]["source"],
        json!({"snapshot": {"name": "vmsnapshot-1-volume-root", "namespace": "shop"}})
    );
    assert_eq!(planned["spec"]["storage"], first["spec"]["storage"]);
    assert_eq!(
        planned["metadata"]["ownerReferences"],
        first["metadata"]["ownerReferences"]
    );
}

/// CDI refuses every change of the spec of a DataVolume, so what is applied again has to be what was created.
#[test]
fn a_generation_in_use_is_rendered_as_it_was_made() {
    let wukong = wukong(DISK);
    let created = new_generation(&wukong, &wukong.disks[0], 3, snapshot(), "undo");
    let created = object_of(&Planned::DataVolume(created));
    let wukong = wukong.with_generations(&BTreeMap::from([("root".to_owned(), 3)]));
    let made = |activation| Existing::DataVolume {
        size: bytes("20Gi"),
        made: Made {
            source: Some(snapshot()),
            restore: Some("undo".into()),
            activation,
        },
    };
    assert_eq!(object(&wukong, true, made(None)), created);
    let mut marked = created;
    marked["metadata"]["annotations"]["vm.novasphere.dev/activation"] = json!("1");
    assert_eq!(object(&wukong, true, made(Some(1))), marked);
}
