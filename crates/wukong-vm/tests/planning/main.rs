//! What is planned for a Wukong, as the objects that an API server would get.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod fields;
mod generated;
mod login;
mod machine;
#[path = "../support/schema.rs"]
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wukong_api::validated::Nic;
use wukong_api::{ValidatedWukong, Wukong, WukongSpec};
use wukong_vm::virtual_machine::VirtualMachine;
use wukong_vm::{Inputs, cloud_init_secret, virtual_machine};

const NETWORK_DATA: &str = "version: 2\n";

/// The Wukong `web` in the namespace `shop` with these fields, in YAML, beside `cpu` and `memory`.
#[track_caller]
fn wukong(fields: &str) -> ValidatedWukong {
    let mut spec: Value = serde_saphyr::from_str(&format!("{{{fields}}}")).unwrap();
    for (field, default) in [("cpu", json!(2)), ("memory", json!("4Gi"))] {
        let spec = spec.as_object_mut().unwrap();
        spec.entry(field).or_insert(default);
    }
    validated(spec).unwrap_or_else(|error| panic!("{fields}: {error}"))
}

fn validated(spec: Value) -> Result<ValidatedWukong, String> {
    let spec: WukongSpec = serde_json::from_value(spec).map_err(|error| error.to_string())?;
    let mut wukong = Wukong::new("web", spec);
    wukong.metadata.namespace = Some("shop".into());
    wukong.metadata.uid = Some("7c9e6679-7425-40de-944b-e07fc1f90ae7".into());
    ValidatedWukong::try_from(&wukong).map_err(|error| error.to_string())
}

/// The VirtualMachine with all NICs, every volume by its DataVolume.
fn machine(wukong: &ValidatedWukong) -> VirtualMachine {
    machine_with_nics(wukong, &wukong.nics.iter().collect::<Vec<_>>())
}

fn machine_with_nics(wukong: &ValidatedWukong, nics: &[&Nic]) -> VirtualMachine {
    let inputs = Inputs {
        nics,
        leaving: &[],
        volumes: &BTreeMap::new(),
        hot_plugged: &BTreeSet::new(),
        run_strategy: wukong.desired_run_strategy(),
        power_wish: "Always",
        cloud_init_hash: "5f3a",
        restores: "",
    };
    virtual_machine(wukong, &inputs)
}

/// The instance inside the VirtualMachine, as JSON.
fn instance(wukong: &ValidatedWukong) -> Value {
    serde_json::to_value(machine(wukong).spec.template.spec).unwrap()
}

/// The Secret as JSON, with its data as text.
fn secret(wukong: &ValidatedWukong) -> Value {
    let Some(secret) = cloud_init_secret(wukong, NETWORK_DATA) else {
        return Value::Null;
    };
    let text: BTreeMap<_, _> = secret
        .data
        .iter()
        .flatten()
        .map(|(key, bytes)| (key, String::from_utf8(bytes.0.clone()).unwrap()))
        .collect();
    let mut value = serde_json::to_value(&secret).unwrap();
    value["data"] = json!(text);
    value
}
