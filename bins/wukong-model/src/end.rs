//! Where a history has to end.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wukong_api::{Bytes, labels, names};
use wukong_apiserver::server::ApiServer;

/// What differs between two ends. A power state that was set by hand stays, until the spec changes.
pub fn difference(
    mut expected: BTreeMap<String, Value>,
    mut found: BTreeMap<String, Value>,
    by_hand: bool,
    compares_status: bool,
) -> String {
    if has_conflict(&expected) && has_conflict(&found) {
        // What was made before a conflict was known stays.
        for objects in [&mut expected, &mut found] {
            objects.clear();
        }
    }
    let has_vm = expected
        .keys()
        .any(|name| name.starts_with("VirtualMachine/"));
    if !compares_status && !has_vm {
        // A spec that waits for something leaves a VM that exists as it is.
        return String::new();
    }
    let names: Vec<&String> = expected.keys().chain(found.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        let (mut one, mut other) = (expected.get(name).cloned(), found.get(name).cloned());
        for object in [&mut one, &mut other].into_iter().flatten() {
            if by_hand {
                object["spec"]["runStrategy"].take();
            }
            if by_hand || !compares_status {
                object["status"].take();
            }
            if !compares_status {
                // A guest that runs was paused, and one that cannot start waits for it.
                object["annotations"][labels::POWER_WISH].take();
            }
        }
        let mut differences = Vec::new();
        let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
        compare(name, &one, &other, &mut differences);
        lines.extend(differences);
    }
    lines.sort();
    lines.dedup();
    lines.join("\n")
}

/// Whether a Wukong reports a name conflict.
fn has_conflict(objects: &BTreeMap<String, Value>) -> bool {
    let mut values = objects.values();
    values.any(|object| object["status"]["ready"][1] == "NameConflict")
}

/// What users and others made: the Wukongs, and objects of other owners.
pub fn first_objects(server: &ApiServer) -> Vec<Value> {
    let kinds = [
        "NetworkAttachmentDefinition",
        "PersistentVolumeClaim",
        "VirtualMachine",
        "Wukong",
    ];
    let mut first: Vec<Value> = Vec::new();
    for object in kinds.into_iter().flat_map(|kind| server.all(kind)) {
        let metadata = &object["metadata"];
        let is_foreign =
            metadata["labels"][labels::WUKONG].is_null() && metadata["ownerReferences"].is_null();
        if is_foreign {
            first.push(json!({
                "apiVersion": object["apiVersion"], "kind": object["kind"], "spec": object["spec"],
                "metadata": {
                    "name": metadata["name"], "namespace": metadata["namespace"],
                    "labels": metadata["labels"], "uid": metadata["uid"],
                },
            }));
        }
    }
    first
}

/// Lists the fields that differ.
fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        _ if expected == found => {}
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys()) {
                let path = format!("{path}.{key}");
                compare(&path, &expected[key], &found[key], lines);
            }
        }
        _ => lines.push(format!("{path}: expected {expected}, found {found}")),
    }
}

/// The objects of Wukongs without what differs between any two clusters.
pub fn objects(server: &ApiServer) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for kind in [
        "VirtualMachine",
        "NetworkAttachmentDefinition",
        "Secret",
        "Wukong",
    ] {
        for object in server.all(kind) {
            let metadata = &object["metadata"];
            let ours = !metadata["labels"][labels::WUKONG].is_null();
            if kind == "Wukong" {
                let ready = object["status"]["conditions"].as_array();
                let ready = ready.into_iter().flatten().find(|it| it["type"] == "Ready");
                let status = json!({
                    "phase": object["status"]["phase"],
                    "ready": ready.map(|it| [it["status"].clone(), it["reason"].clone()]),
                });
                objects.insert(key(object), json!({"status": status}));
                continue;
            }
            let named = |of| is_named(server, of, object);
            if kind == "NetworkAttachmentDefinition"
                && !named("VirtualMachine")
                && named("VirtualMachineInstance")
            {
                // The guest uses it until its next start.
                continue;
            }
            // The operator empties a Secret that the spec no longer requires.
            if !ours || kind == "Secret" && !object["data"].is_object() {
                continue;
            }
            let mut labels = metadata["labels"].clone();
            labels.as_object_mut().unwrap().remove("team");
            objects.insert(key(object), json!({
                "labels": labels, "annotations": metadata["annotations"], "owners": owners(object),
                "spec": object["spec"], "data": object["data"],
            }));
        }
    }
    for wukong in server.all("Wukong") {
        for name in wukong["spec"]["disks"].as_array().into_iter().flatten() {
            let wukong = wukong["metadata"]["name"].as_str().unwrap();
            let claim = names::claim(wukong, name["name"].as_str().unwrap());
            objects.insert(claim.clone(), disk(server, &claim));
        }
    }
    objects
}

/// Whether an object of this kind names a network.
fn is_named(server: &ApiServer, kind: &str, nad: &Value) -> bool {
    let name = nad["metadata"]["name"].as_str().unwrap();
    server.all(kind).any(|vm| {
        vm.to_string()
            .contains(&format!("\"networkName\":\"{name}\""))
    })
}

fn key(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{}/{}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

fn owners(object: &Value) -> Vec<String> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let name = |owner: &Value| format!("{}/{}", owner["kind"], owner["name"]);
    owners.into_iter().flatten().map(name).collect()
}

/// A disk, as far as every history makes it equal.
fn disk(server: &ApiServer, name: &str) -> Value {
    let volume = server.get("DataVolume", name).unwrap_or_default();
    let claim = server
        .get("PersistentVolumeClaim", name)
        .unwrap_or_default();
    let request = &claim["spec"]["resources"]["requests"]["storage"];
    let request =
        Bytes::parse(request.as_str().unwrap_or_default()).map(|Bytes(request)| request >> 20);
    json!({
        "labels": volume["metadata"]["labels"], "owners": owners(&volume),
        "size": claim["metadata"]["annotations"][labels::GUEST_SIZE], "request": request,
    })
}
