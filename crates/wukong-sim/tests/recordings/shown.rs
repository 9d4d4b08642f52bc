//! What a cluster shows, as lines that can be compared.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex_lite::Regex;
use serde_json::Value;
use wukong_sim::Cluster;
use wukong_sim::field::Field;
use wukong_sim::kind::Kind;

use super::replay::{DISK, NAMESPACE, NODE, VM};

/// What differs between two runs, and what stands for it.
const VARIABLE: [(&str, &str); 6] = [
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "UID",
    ),
    (r"\b[0-9a-f]{64}\b", "SANDBOX"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(:\d+)?", "ADDRESS"),
    (r"virt-launcher-vm-[0-9a-z]{5}\b", "virt-launcher-vm-x"),
    (r#"Post "[^"]*""#, "Post URL"),
];

/// A text without what differs between two runs.
pub fn normal(text: &str) -> String {
    static RULES: OnceLock<[(Regex, &str); 6]> = OnceLock::new();
    let rules =
        RULES.get_or_init(|| VARIABLE.map(|(rule, with)| (Regex::new(rule).unwrap(), with)));
    rules
        .iter()
        .fold(text.trim().to_owned(), |text, (rule, with)| {
            rule.replace_all(&text, *with).into_owned()
        })
}

/// The lines of all objects that belong to the VM.
pub fn facts(cluster: &Cluster) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let get = |kind, namespace: &str, name: &str| cluster.get(kind, namespace, name);
    if let Some(dv) = get(Kind::DataVolume, NAMESPACE, DISK) {
        lines.extend(of_data_volume(dv));
    }
    if let Some(vm) = get(Kind::Vm, NAMESPACE, VM) {
        let status = text(vm, "/status/printableStatus");
        lines.insert(format!("VirtualMachine printableStatus={status}"));
        lines.extend(conditions("VirtualMachine", vm));
    }
    if let Some(vmi) = get(Kind::Vmi, NAMESPACE, VM) {
        let phase = text(vmi, "/status/phase");
        lines.insert(format!("VirtualMachineInstance phase={phase}"));
        lines.extend(conditions("VirtualMachineInstance", vmi));
        for volume in Field::new("", vmi).at("status.volumeStatus").items() {
            lines.insert(format!(
                "VirtualMachineInstance volume {} target={} phase={}",
                volume.name(),
                volume.child("target").text(),
                text(volume.value(), "/phase")
            ));
        }
    }
    for pod in cluster.world().list(Kind::Pod, NAMESPACE) {
        let name = pod.child("metadata").name();
        if name.starts_with("virt-launcher-vm-") {
            lines.extend(of_pod("Launcher", pod.value()));
        } else if name.starts_with("importer-") {
            lines.extend(of_pod("Importer", pod.value()));
        }
    }
    if let Some(node) = get(Kind::Node, "", NODE) {
        lines.extend(of_node(node));
    }
    lines.iter().map(|line| normal(line)).collect()
}

/// The events about the VM's objects.
pub fn events(cluster: &Cluster) -> BTreeSet<String> {
    let events = cluster.events().iter().map(|event| {
        let kind = match event.about.kind {
            Kind::Pod if event.about.name.starts_with("importer-") => "Importer",
            Kind::Pod => "Launcher",
            kind => kind.resource().kind,
        };
        normal(&format!("{kind} {} {}", event.reason, event.message))
    });
    events.collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("-")
}

fn conditions(kind: &str, object: &Value) -> Vec<String> {
    Field::new("", object)
        .at("status.conditions")
        .items()
        .map(|condition| {
            let part = |key| condition.child(key).text();
            let head = format!("{kind} {}={}", part("type"), part("status"));
            [head.as_str(), part("reason"), part("message")]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn of_data_volume(dv: &Value) -> Vec<String> {
    let mut lines = conditions("DataVolume", dv);
    for key in ["phase", "progress"] {
        lines.push(format!(
            "DataVolume {key}={}",
            text(dv, &format!("/status/{key}"))
        ));
    }
    lines
}

fn of_pod(kind: &str, pod: &Value) -> Vec<String> {
    let mut lines = conditions(kind, pod);
    let deleted = pod.pointer("/metadata/deletionTimestamp").is_some();
    let phase = text(pod, "/status/phase");
    let going = if deleted { " terminating" } else { "" };
    lines.push(format!("{kind} phase={phase}{going}"));
    for list in ["initContainerStatuses", "containerStatuses"] {
        for container in Field::new("", pod).child("status").child(list).items() {
            for (state, detail) in container.child("state").entries() {
                let detail = Field::new("", detail);
                let line = format!(
                    "{kind} container {} {state} {} {}",
                    container.name(),
                    detail.child("reason").text(),
                    detail.child("message").text()
                );
                lines.push(line.trim().to_owned());
            }
        }
    }
    lines
}

fn of_node(node: &Value) -> Vec<String> {
    let mut lines = conditions("Node", node);
    for device in ["kvm", "tun", "vhost-net"] {
        let amount = |list| {
            text(
                node,
                &format!("/status/{list}/devices.kubevirt.io~1{device}"),
            )
        };
        lines.push(format!(
            "Node {device} capacity={} allocatable={}",
            amount("capacity"),
            amount("allocatable")
        ));
    }
    let schedulable = text(node, "/metadata/labels/kubevirt.io~1schedulable");
    lines.push(format!("Node schedulable={schedulable}"));
    lines
}
