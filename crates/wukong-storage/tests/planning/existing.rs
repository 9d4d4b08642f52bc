//! Retention, adoption, and existing objects.

use serde_json::Value;
use wukong_storage::{Existing, Made};

use crate::{bytes, object, wukong};

const BLANK: &str = "{name: data, size: 20Gi}";
const IMPORTED: &str = "{name: data, size: 20Gi, image: 'https://images.lan/web.qcow2'}";

/// The plan, in short: kind and requested size, or `adopted`.
fn planned(disk: &str, cdi: bool, existing: Existing) -> String {
    let object = object(&wukong(disk), cdi, existing);
    if object.is_null() {
        return "adopted".into();
    }
    let request = |path| object.pointer(path).and_then(Value::as_str);
    let size = request("/spec/storage/resources/requests/storage")
        .or_else(|| request("/spec/resources/requests/storage"));
    format!("{} {}", object["kind"].as_str().unwrap(), size.unwrap())
}

#[test]
fn what_is_there_decides() {
    let data_volume = Existing::DataVolume {
        size: bytes("10Gi"),
        made: Made::default(),
    };
    let claim = |ours| Existing::Claim {
        size: bytes("10Gi"),
        ours,
    };
    for (existing, disk, with_cdi, without) in [
        (
            Existing::Nothing,
            BLANK,
            "DataVolume 20Gi",
            "PersistentVolumeClaim 20Gi",
        ),
        (
            Existing::Nothing,
            IMPORTED,
            "DataVolume 20Gi",
            "DataVolume 20Gi",
        ),
        (
            data_volume.clone(),
            BLANK,
            "DataVolume 10Gi",
            "DataVolume 10Gi",
        ),
        (data_volume, IMPORTED, "DataVolume 10Gi", "DataVolume 10Gi"),
        (
            claim(true),
            BLANK,
            "PersistentVolumeClaim 10Gi",
            "PersistentVolumeClaim 10Gi",
        ),
        (claim(false), BLANK, "adopted", "adopted"),
        (claim(false), IMPORTED, "adopted", "adopted"),
    ] {
        assert_eq!(
            planned(disk, true, existing.clone()),
            with_cdi,
            "{existing:?}"
        );
        assert_eq!(
            planned(disk, false, existing.clone()),
            without,
            "{existing:?}"
        );
    }
}

/// CDI rejects every change of a DataVolume's spec, and an apply of an equal spec is no change.
#[test]
fn growing_a_disk_leaves_its_objects_as_they_were_created() {
    for (cdi, disk, larger) in [
        (true, BLANK, "{name: data, size: 40Gi}"),
        (false, BLANK, "{name: data, size: 40Gi}"),
        (
            true,
            IMPORTED,
            "{name: data, size: 40Gi, image: 'https://images.lan/web.qcow2'}",
        ),
    ] {
        let created = object(&wukong(disk), cdi, Existing::Nothing);
        let size = bytes("20Gi");
        let existing = match created["kind"].as_str() {
            Some("DataVolume") => Existing::DataVolume {
                size,
                made: Made::default(),
            },
            _ => Existing::Claim { size, ours: true },
        };
        assert_eq!(object(&wukong(larger), cdi, existing), created);
    }
}

#[test]
fn only_what_dies_with_the_wukong_is_owned_by_it() {
    for (disk, policy, owned) in [
        (BLANK, "", false),
        (BLANK, "Retain", false),
        (BLANK, "Delete", true),
        (IMPORTED, "", true),
        (IMPORTED, "Retain", false),
        (IMPORTED, "Delete", true),
    ] {
        let disk = match policy {
            "" => disk.to_owned(),
            policy => disk.replace('}', &format!(", reclaimPolicy: {policy}}}")),
        };
        for cdi in [true, false] {
            let object = object(&wukong(&disk), cdi, Existing::Nothing);
            let owner = object.pointer("/metadata/ownerReferences/0/uid");
            let expected = owned.then(|| "7c9e6679-7425-40de-944b-e07fc1f90ae7".into());
            assert_eq!(owner.cloned(), expected, "{disk}");
        }
    }
}

/// A retained disk has to be found by the Wukong that comes back under the same name with another uid.
#[test]
fn a_retained_disk_is_the_same_for_every_wukong_of_that_name() {
    let mut second = wukong(BLANK);
    second.identity.uid = "another".into();
    for cdi in [true, false] {
        assert_eq!(
            object(&second, cdi, Existing::Nothing),
            object(&wukong(BLANK), cdi, Existing::Nothing)
        );
    }
}

/// The power state changes, and a DataVolume cannot.
#[test]
fn whether_the_vm_runs_makes_no_difference() {
    let running = wukong(IMPORTED);
    let mut stopped = running.clone();
    stopped.power_state = Some(wukong_api::spec::PowerState::Stopped);
    assert_eq!(
        object(&stopped, true, Existing::Nothing),
        object(&running, true, Existing::Nothing)
    );
}
