//! What is planned for the disks of a Wukong, as the objects that an API server would get.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod existing;
mod fields;
mod generations;
mod properties;
mod sources;
mod upstream;

use std::collections::BTreeMap;

use serde_json::Value;
use wukong_api::{Bytes, ValidatedWukong, Wukong, WukongSpec};
use wukong_storage::{Context, Existing, Planned, plan};

/// The Wukong `web` in the namespace `shop` with these disks, in YAML.
fn wukong(disks: &str) -> ValidatedWukong {
    let spec: WukongSpec =
        serde_saphyr::from_str(&format!("{{cpu: 2, memory: 4Gi, disks: [{disks}]}}")).unwrap();
    let mut wukong = Wukong::new("web", spec);
    wukong.metadata.namespace = Some("shop".into());
    wukong.metadata.uid = Some("7c9e6679-7425-40de-944b-e07fc1f90ae7".into());
    ValidatedWukong::try_from(&wukong).unwrap_or_else(|error| panic!("{disks}: {error}"))
}

/// The object planned for the only disk of `wukong`; null where none is applied.
fn object(wukong: &ValidatedWukong, cdi: bool, existing: Existing) -> Value {
    let existing = BTreeMap::from([(wukong.disks[0].name.clone(), existing)]);
    let context = Context {
        cdi,
        existing: &existing,
    };
    let [disk] = &plan(wukong, &context)[..] else {
        panic!("one disk, one object")
    };
    json(&disk.planned)
}

fn json(planned: &Planned) -> Value {
    match planned {
        Planned::DataVolume(volume) => serde_json::to_value(volume).unwrap(),
        Planned::Claim(claim) => serde_json::to_value(claim).unwrap(),
        Planned::Adopted => Value::Null,
    }
}

fn bytes(quantity: &str) -> Bytes {
    Bytes::parse(quantity).unwrap()
}
