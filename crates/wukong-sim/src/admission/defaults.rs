//! The defaults that KubeVirt fills in: some are stored by its mutating webhook when a VM is created, others only
//! complete the copy that is validated (`pkg/defaults`).

use serde_json::{Value, json};
use uuid::Uuid;

use super::schema;
use crate::field::Field;
use crate::field::{place, put, text};
use crate::quantity::Quantity;

const ARCHITECTURE: &str = "amd64";
const PCI_TOPOLOGY: &str = "kubevirt.io/pci-topology-version";

/// Quantities and required fields as they are stored: the mutating webhook sends typed objects back.
pub fn canonicalize_vm(object: &mut Value) {
    schema::complete_vm(object);
    let Some(domain) = object.pointer_mut("/spec/template/spec/domain") else {
        return;
    };
    for path in ["/memory", "/resources/requests", "/resources/limits"] {
        let Some(Value::Object(map)) = domain.pointer_mut(path) else {
            continue;
        };
        for value in map.values_mut() {
            let text = match &*value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            if let Ok(stored) = Quantity::canonical(&text) {
                *value = json!(stored);
            }
        }
    }
}

/// Stores what the mutating webhook stores when a VirtualMachine is created. `seed` is anything unique to the request:
/// the firmware's identity is derived from it (KubeVirt draws it at random).
pub fn default_vm(object: &mut Value, seed: &str) {
    if let Some(template) = object.pointer_mut("/spec/template") {
        let annotations = entry(entry(template, "metadata"), "annotations");
        put_missing(annotations, PCI_TOPOLOGY, json!("v3"));
    }
    let Some(vmi) = object.pointer_mut("/spec/template/spec") else {
        return;
    };
    architecture_and_machine(vmi);
    let domain = entry(vmi, "domain");
    let firmware = entry(domain, "firmware");
    let identity = Uuid::new_v5(&Uuid::NAMESPACE_OID, seed.as_bytes()).to_string();
    let serial = Uuid::new_v5(&Uuid::NAMESPACE_URL, seed.as_bytes()).to_string();
    put_missing(firmware, "uuid", json!(identity));
    put_missing(firmware, "serial", json!(serial));
    put_missing(domain, "resources", json!({}));
    if domain.get("features").is_some_and(Value::is_object) {
        put_missing(entry(domain, "features"), "acpi", json!({}));
    }
}

/// The complete VM that is validated; nothing of it is stored.
pub fn for_validation(object: &Value) -> Value {
    let mut object = object.clone();
    let Some(vmi) = object.pointer_mut("/spec/template/spec") else {
        return object;
    };
    architecture_and_machine(vmi);
    cpu_topology(vmi);
    guest_memory(vmi);
    pod_network(vmi);
    disks_for_volumes(vmi);
    object
}

fn architecture_and_machine(vmi: &mut Value) {
    if text(vmi, "architecture").is_empty() {
        put(vmi, ["architecture"], json!(ARCHITECTURE));
    }
    let machine = match text(vmi, "architecture") {
        "arm64" => "virt",
        "s390x" => "s390-ccw-virtio",
        _ => "q35",
    };
    let stored = entry(entry(vmi, "domain"), "machine");
    if text(stored, "type").is_empty() {
        put(stored, ["type"], json!(machine));
    }
}

/// Without cores, sockets and threads, the sockets are the CPUs that are limited or requested.
fn cpu_topology(vmi: &mut Value) {
    let field = Field::new("", vmi);
    let resources = field.at("domain.resources");
    let (limit, request) = (resources.at("limits.cpu"), resources.at("requests.cpu"));
    let given = ["cores", "sockets", "threads"]
        .iter()
        .any(|key| field.at("domain.cpu").child(key).integer() != 0);
    let sockets = [&limit, &request]
        .into_iter()
        .find(|cpu| cpu.is_set())
        .map_or(1, |cpu| cpu.quantity().value());
    let request_too = (limit.is_set() && !request.is_set()).then(|| limit.value().clone());
    if let Some(limit) = request_too {
        put(
            entry(entry(entry(vmi, "domain"), "resources"), "requests"),
            ["cpu"],
            limit,
        );
    }
    if !given {
        let cpu = entry(entry(vmi, "domain"), "cpu");
        for (key, count) in [("sockets", sockets), ("cores", 1), ("threads", 1)] {
            put(cpu, [key], json!(count));
        }
    }
}

/// Without guest memory, the guest gets what is requested, else the limit, else one huge page.
fn guest_memory(vmi: &mut Value) {
    let field = Field::new("", vmi);
    if field.at("domain.memory.guest").is_set() {
        return;
    }
    let candidates = [
        field.at("domain.resources.requests.memory"),
        field.at("domain.resources.limits.memory"),
        field.at("domain.memory.hugepages.pageSize"),
    ];
    let usable = |candidate: &&Field<'_>| {
        Quantity::from_json(candidate.value()).is_ok_and(|size| !size.is_zero())
    };
    let guest = candidates
        .iter()
        .find(usable)
        .map(|candidate| candidate.value().clone());
    if let Some(guest) = guest {
        put(entry(entry(vmi, "domain"), "memory"), ["guest"], guest);
    }
}

fn pod_network(vmi: &mut Value) {
    let field = Field::new("", vmi);
    let devices = field.at("domain.devices");
    let none = field.child("networks").count() == 0 && devices.child("interfaces").count() == 0;
    if none && devices.child("autoattachPodInterface").flag() != Some(false) {
        put(vmi, ["networks"], json!([{"name": "default", "pod": {}}]));
        let devices = entry(entry(vmi, "domain"), "devices");
        put(
            devices,
            ["interfaces"],
            json!([{"name": "default", "bridge": {}}]),
        );
    }
}

/// A volume that neither a disk nor a filesystem uses becomes a disk.
fn disks_for_volumes(vmi: &mut Value) {
    let field = Field::new("", vmi);
    let devices = field.at("domain.devices");
    let used: Vec<&str> = ["disks", "filesystems"]
        .iter()
        .flat_map(|list| devices.child(list).items())
        .map(|device| device.name())
        .collect();
    let missing: Vec<Value> = field
        .child("volumes")
        .items()
        .filter(|volume| !used.contains(&volume.name()))
        .map(|volume| json!({"name": volume.name()}))
        .collect();
    if missing.is_empty() {
        return;
    }
    let devices = entry(entry(vmi, "domain"), "devices");
    if !devices.get("disks").is_some_and(Value::is_array) {
        put(devices, ["disks"], json!([]));
    }
    if let Some(disks) = devices.get_mut("disks").and_then(Value::as_array_mut) {
        disks.extend(missing);
    }
}

fn put_missing(value: &mut Value, key: &str, content: Value) {
    if value.get(key).is_none_or(|old| old.is_null() || old == "") {
        put(value, [key], content);
    }
}

/// The object below `key`, made when there is none.
fn entry<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    let below = place(value, [key]);
    if below.is_null() {
        *below = json!({});
    }
    below
}
