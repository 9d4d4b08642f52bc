//! What holds whatever the disks are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wukong_storage::{Context, Existing, Made, Planned, plan};

use crate::sources::SOURCES;
use crate::{bytes, json, upstream, wukong};

/// Disks in YAML, each with a name of its own.
fn disks() -> impl Strategy<Value = String> {
    let optional = |texts: &'static [&'static str]| prop::sample::select(texts);
    let disk = (
        prop::sample::select(&SOURCES[..]),
        optional(&["", ", storageClassName: fast"]),
        optional(&["", ", bus: sata, serial: '%'", ", kind: cdrom"]),
        optional(&["", ", cache: none"]),
    );
    prop::collection::vec(disk, 0..6).prop_map(|disks| {
        let entries = disks.into_iter().enumerate();
        let texts = entries.map(|(index, ((_, disk), class, device, more))| {
            let class = if disk.contains("storageClassName") {
                ""
            } else {
                class
            };
            let body = disk
                .trim_end_matches('}')
                .split_once(", ")
                .map_or("", |(_, rest)| rest);
            let braces = body.matches('{').count() - body.matches('}').count();
            let device = device.replace('%', &format!("serial-{index}"));
            format!(
                "{{name: disk-{index}, {body}{}{class}{device}{more}}}",
                "}".repeat(braces)
            )
        });
        texts.collect::<Vec<_>>().join(", ")
    })
}

fn existing() -> impl Strategy<Value = BTreeMap<String, Existing>> {
    let size = prop::sample::select(&["1Gi", "20Gi", "2T"][..]).prop_map(bytes);
    let one = (size, 0..4).prop_map(|(size, kind)| match kind {
        0 => Existing::Nothing,
        1 => Existing::DataVolume {
            size,
            made: Made::default(),
        },
        kind => Existing::Claim {
            size,
            ours: kind == 2,
        },
    });
    prop::collection::btree_map("disk-[0-5]", one, 0..6)
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_bytes(disks in disks(), existing in existing(), cdi: bool) {
        let render = || {
            let wukong = wukong(&disks);
            let planned = plan(&wukong, &Context { cdi, existing: &existing });
            planned.iter().map(|disk| json(&disk.planned).to_string()).collect::<Vec<_>>()
        };
        prop_assert_eq!(render(), render());
    }

    #[test]
    fn every_disk_has_its_claim_and_no_data_is_touched(disks in disks(), existing in existing(), cdi: bool) {
        let wukong = wukong(&disks);
        let planned = plan(&wukong, &Context { cdi, existing: &existing });
        prop_assert_eq!(planned.len(), wukong.disks.len());
        for (planned, disk) in planned.iter().zip(&wukong.disks) {
            prop_assert_eq!(planned.disk, disk);
            prop_assert_eq!(&planned.claim, &format!("web.{}", disk.name));
            let there = existing.get(&disk.name).cloned().unwrap_or_default();
            match (&planned.planned, there) {
                (Planned::DataVolume(_), Existing::Claim { .. }) => prop_assert!(false, "a DataVolume over a claim"),
                (Planned::Adopted, Existing::Claim { ours, .. }) => prop_assert!(!ours),
                (Planned::Adopted, _) => prop_assert!(false, "nothing to adopt"),
                (Planned::DataVolume(volume), _) => {
                    upstream::assert_valid(&json(&planned.planned));
                    prop_assert_eq!(volume.metadata.name.as_ref(), Some(&planned.claim));
                }
                (Planned::Claim(claim), _) => prop_assert_eq!(claim.metadata.name.as_ref(), Some(&planned.claim)),
            }
        }
    }
}
