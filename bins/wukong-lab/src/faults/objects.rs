//! The objects at the end of a run, in a form in which those of two runs are equal if the operator made the same.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use wukong_api::labels;

use super::observed::Space;
use super::resource::Kind;
use crate::value::at;

/// Objects by kind and name, with the number of objects that had the name one after the other.
pub(super) type Objects = BTreeMap<String, (usize, Value)>;

/// Fields that differ between runs: parent and field, where `*` stands for each item of a list.
const IRRELEVANT: [(&str, &str); 11] = [
    // The scheduler and the network choose.
    ("/status", "nodeName"),
    ("/status/networks/*", "ipAddress"),
    ("/status/networks/*", "ipAddresses"),
    ("/status", "timings"),
    // Derived from the uid of the Wukong, which also is part of what the hashes are over. The objects are compared.
    ("/spec/template/spec/domain/firmware", "serial"),
    ("/spec/template/spec/domain/firmware", "uuid"),
    ("/metadata/annotations", labels::CLOUD_INIT_HASH),
    ("/status/resources/*", "hash"),
    ("/status/startedWith", "configuration"),
    ("/status/startedWith", "placement"),
    ("/status/startedWith", "networks"),
];

/// The objects of a namespace without their times, uids and versions, and without the name of the namespace.
pub(super) fn comparable(space: &Space, namespace: &str) -> Objects {
    let mut names: Vec<(String, String)> = space
        .uids
        .iter()
        .flat_map(|((kind, name), uids)| {
            uids.iter()
                .map(move |uid| (uid.clone(), format!("uid of {}/{name}", kind.name())))
        })
        .chain([(namespace.to_owned(), "NAMESPACE".to_owned())])
        .chain(chosen(space))
        .chain(policies(space))
        .collect();
    // Some contain others.
    names.sort_by_key(|(found, _)| std::cmp::Reverse(found.len()));
    let object = |(key, object): (&super::observed::Key, &std::sync::Arc<Value>)| {
        let (kind, name) = key;
        // A NAD or a Secret is made once more if its event arrives before that of the deletion of the Wukong, and is collected
        // then. Nothing is lost by that.
        let counts = !matches!(kind, Kind::NetworkAttachmentDefinition | Kind::Secret);
        let uids = space.uids.get(key).filter(|_| counts);
        let made = uids.map_or(1, BTreeSet::len);
        let value = plain(*kind, object, &names);
        (format!("{}/{name}", kind.name()), (made, value))
    };
    // Claims and pods for the time of an import are CDI's.
    let relevant = |(key, _): &(&super::observed::Key, _)| !key.1.starts_with("prime-");
    space.objects.iter().filter(relevant).map(object).collect()
}

/// The MAC addresses of all NICs, which derive from the uid of the Wukong, and the nodes of VMs, which the scheduler chooses.
fn chosen(space: &Space) -> Vec<(String, String)> {
    let wukongs = space
        .objects
        .iter()
        .filter(|((kind, _), _)| *kind == Kind::Wukong);
    let mut names = Vec::new();
    for (_, wukong) in wukongs {
        for nic in at(wukong, "/status/networks")
            .as_array()
            .into_iter()
            .flatten()
        {
            if let (Some(mac), Some(name)) =
                (at(nic, "/macAddress").as_str(), at(nic, "/name").as_str())
            {
                names.push((mac.to_owned(), format!("MAC of {name}")));
            }
        }
        let node = at(wukong, "/status/nodeName").as_str();
        names.extend(node.map(|node| (node.to_owned(), "NODE".to_owned())));
    }
    names
}

/// The names of node policies, which derive from their bridges.
fn policies(space: &Space) -> Vec<(String, String)> {
    let wukongs = space
        .objects
        .iter()
        .filter(|((kind, _), _)| *kind == Kind::Wukong);
    let made = wukongs.flat_map(|(_, wukong)| {
        let made = at(wukong, "/status/resources").as_array();
        made.into_iter().flatten()
    });
    let policies = made.filter(|made| at(made, "/kind") == "NodeNetworkConfigurationPolicy");
    policies
        .filter_map(|policy| {
            Some((
                at(policy, "/name").as_str()?.to_owned(),
                "POLICY".to_owned(),
            ))
        })
        .collect()
}

/// The contents of a Secret as text.
fn decode(object: &mut Value) {
    let data = object.get_mut("data").and_then(Value::as_object_mut);
    for value in data.into_iter().flat_map(|data| data.values_mut()) {
        let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
        if let Some(bytes) = bytes {
            *value = String::from_utf8_lossy(&bytes).into_owned().into();
        }
    }
}

fn plain(kind: Kind, object: &Value, names: &[(String, String)]) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in [
            "managedFields",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "uid",
            "namespace",
        ] {
            metadata.remove(field);
        }
    }
    let kept = match kind {
        // What KubeVirt and CDI report is theirs; that it exists, and how often it was made, is compared.
        Kind::VirtualMachineInstance => &["kind"][..],
        Kind::Wukong => &["kind", "metadata", "spec", "status"],
        Kind::Secret => &["kind", "metadata", "data", "type"],
        _ => &["kind", "metadata", "spec"],
    };
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|field, _| kept.contains(&field.as_str()));
    }
    for (parent, field) in IRRELEVANT {
        remove(&mut object, parent, field);
    }
    if kind == Kind::Secret {
        decode(&mut object);
    }
    rename(&mut object, names);
    object
}

/// Removes a field of the object at `parent`, or of all its items if `parent` ends with `*`.
fn remove(object: &mut Value, parent: &str, field: &str) {
    let remove = |value: &mut Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.remove(field);
        }
    };
    match parent.strip_suffix("/*") {
        None => object.pointer_mut(parent).into_iter().for_each(remove),
        Some(list) => {
            let items = object.pointer_mut(list).and_then(Value::as_array_mut);
            items.into_iter().flatten().for_each(remove);
        }
    }
}

/// Replaces uids, the namespace and times in all texts.
fn rename(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => {
            if text.parse::<jiff::Timestamp>().is_ok() {
                *text = "TIME".to_owned();
                return;
            }
            for (found, name) in names {
                if text.contains(found.as_str()) {
                    *text = text.replace(found.as_str(), name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, names)),
        _ => {}
    }
}

/// The differences between two sets of objects, one a line; empty if there are none.
pub(super) fn differences(golden: &Objects, found: &Objects) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, (made, object)) in golden {
        match found.get(name) {
            None => lines.push(format!("{name} is missing")),
            Some((times, other)) => {
                if times != made {
                    lines.push(format!("{name} was made {times} times, not {made}"));
                }
                compare(name, object, other, &mut lines);
            }
        }
    }
    let extra = found.keys().filter(|name| !golden.contains_key(*name));
    lines.extend(extra.map(|name| format!("{name} should not exist")));
    lines
}

fn compare(path: &str, golden: &Value, found: &Value, lines: &mut Vec<String>) {
    match (golden, found) {
        (Value::Object(golden), Value::Object(found)) => {
            for (field, value) in golden {
                let other = found.get(field).unwrap_or(&Value::Null);
                compare(&format!("{path}.{field}"), value, other, lines);
            }
            for field in found.keys().filter(|field| !golden.contains_key(*field)) {
                let value = found.get(field).unwrap_or(&Value::Null);
                lines.push(format!("{path}.{field} should not exist: {value}"));
            }
        }
        (Value::Array(golden), Value::Array(found)) if golden.len() == found.len() => {
            for (number, (value, other)) in golden.iter().zip(found).enumerate() {
                compare(&format!("{path}[{number}]"), value, other, lines);
            }
        }
        _ if golden == found => {}
        _ => lines.push(format!("{path} is {found}, not {golden}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn space(namespace: &str, uid: &str, cpu: u32) -> Space {
        let key = (Kind::Wukong, "web".to_owned());
        let mut space = Space::default();
        let object = json!({"kind": "Wukong", "metadata": {"name": "web", "namespace": namespace, "uid": uid, "resourceVersion": "9"},
            "spec": {"cpu": cpu}, "status": {"conditions": [{"lastTransitionTime": "2026-01-01T00:00:00Z"}], "owner": uid}});
        space
            .uids
            .entry(key.clone())
            .or_default()
            .insert(uid.to_owned());
        space.objects.insert(key, Arc::new(object));
        space
    }

    #[test]
    fn only_what_the_operator_made_counts() {
        let golden = comparable(&space("run-1", "uid-1", 1), "run-1");
        assert!(differences(&golden, &comparable(&space("run-2", "uid-2", 1), "run-2")).is_empty());
        let other = comparable(&space("run-2", "uid-2", 2), "run-2");
        assert_eq!(
            differences(&golden, &other),
            ["Wukong/web.spec.cpu is 2, not 1"]
        );
        assert_eq!(
            differences(&golden, &Objects::new()),
            ["Wukong/web is missing"]
        );
    }
}
