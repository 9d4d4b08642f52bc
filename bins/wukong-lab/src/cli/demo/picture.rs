//! What is known about one Wukong and what it became: facts without any drawing.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::DynamicObject;
use serde_json::Value;
use wukong_api::status::{NetworkStatus, Phase};
use wukong_api::{Wukong, WukongStatus};

use super::watch::{Change, KINDS};

/// The order of kinds, then names.
type Key = (usize, String);

pub(super) struct Picture {
    pub name: String,
    pub status: WukongStatus,
    objects: BTreeMap<Key, String>,
}

impl Picture {
    /// Of a Wukong of this name.
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            status: WukongStatus::default(),
            objects: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Seen(kind, object) => {
                if kind == "Wukong" {
                    self.take_status(&object);
                }
                let name = object.metadata.name.clone().unwrap_or_default();
                self.objects.insert(key(kind, name), state(kind, &object));
            }
            Change::Gone(kind, name) => {
                self.objects.remove(&key(kind, name));
            }
        }
    }

    fn take_status(&mut self, object: &DynamicObject) {
        if object.metadata.name.as_ref() != Some(&self.name) {
            return;
        }
        if let Ok(wukong) = object.clone().try_parse::<Wukong>() {
            self.status = wukong.status.unwrap_or_default();
        }
    }

    /// Kind, name and state of each object.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        self.objects.iter().filter_map(|((kind, name), state)| {
            let (_, _, kind, _) = KINDS.get(*kind)?;
            Some((*kind, name.as_str(), state.as_str()))
        })
    }

    pub(super) fn conditions(&self) -> &[Condition] {
        &self.status.conditions
    }

    pub(super) fn networks(&self) -> &[NetworkStatus] {
        &self.status.networks
    }

    /// The end of the demo.
    pub(super) fn is_running_with_addresses(&self) -> bool {
        let addressed = self
            .networks()
            .iter()
            .all(|network| network.ip_address.is_some());
        self.status.phase == Some(Phase::Running) && addressed && !self.networks().is_empty()
    }
}

fn key(kind: &str, name: String) -> Key {
    let position = KINDS.iter().position(|(_, _, known, _)| *known == kind);
    (position.unwrap_or(KINDS.len()), name)
}

/// The one word (or two) that each kind has for how it is.
fn state(kind: &str, object: &DynamicObject) -> String {
    let text = |pointer: &str| object.data.pointer(pointer).and_then(Value::as_str);
    if object.metadata.deletion_timestamp.is_some() {
        return "being deleted".to_owned();
    }
    let state = match kind {
        "VirtualMachine" => text("/status/printableStatus"),
        "DataVolume" => match (text("/status/phase"), text("/status/progress")) {
            (Some(phase), Some(progress)) if progress != "N/A" => {
                return format!("{phase} {progress}");
            }
            (phase, _) => phase,
        },
        "Secret" | "NetworkAttachmentDefinition" => Some("created"),
        _ => text("/status/phase"),
    };
    state.unwrap_or("created").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(picture: &mut Picture, kind: &'static str, object: Value) {
        picture.take(Change::Seen(kind, serde_json::from_value(object).unwrap()));
    }

    fn wukong(phase: &str, addresses: &[Option<&str>]) -> Value {
        let networks: Vec<Value> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| json!({"name": format!("net{index}"), "ipAddress": address}))
            .collect();
        json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1",
            "kind": "Wukong",
            "metadata": {"name": "ubuntu"},
            "spec": {"cpu": 1, "memory": "1Gi"},
            "status": {"phase": phase, "networks": networks},
        })
    }

    #[test]
    fn the_demo_ends_when_every_nic_has_an_address() {
        let mut picture = Picture::new("ubuntu".to_owned());
        seen(&mut picture, "Wukong", wukong("Running", &[]));
        assert!(!picture.is_running_with_addresses());
        seen(
            &mut picture,
            "Wukong",
            wukong("Running", &[Some("10.0.0.1"), None]),
        );
        assert!(!picture.is_running_with_addresses());
        seen(
            &mut picture,
            "Wukong",
            wukong("Starting", &[Some("10.0.0.1")]),
        );
        assert!(!picture.is_running_with_addresses());
        seen(
            &mut picture,
            "Wukong",
            wukong("Running", &[Some("10.0.0.1"), Some("10.0.0.2")]),
        );
        assert!(picture.is_running_with_addresses());
    }

    #[test]
    fn objects_come_in_a_fixed_order_and_go() {
        let mut picture = Picture::new("ubuntu".to_owned());
        seen(
            &mut picture,
            "VirtualMachine",
            json!({"metadata": {"name": "ubuntu"}, "status": {"printableStatus": "Starting"}}),
        );
        let import = json!({"metadata": {"name": "ubuntu.root"}, "status": {"phase": "ImportInProgress", "progress": "40.0%"}});
        seen(&mut picture, "DataVolume", import);
        let rows: Vec<_> = picture.objects().collect();
        assert_eq!(
            rows,
            [
                ("DataVolume", "ubuntu.root", "ImportInProgress 40.0%"),
                ("VirtualMachine", "ubuntu", "Starting")
            ]
        );
        picture.take(Change::Gone("DataVolume", "ubuntu.root".to_owned()));
        assert_eq!(picture.objects().count(), 1);
    }
}
