//! Snapshots and restores of the Wukong `web`.

use serde_json::{Value, json};
use wukong_api::protection::{WukongRestoreStatus, WukongSnapshotStatus};

use super::api_server::NAMESPACE;
use super::cluster::Cluster;

impl Cluster {
    /// The user creates a snapshot.
    pub fn snapshot(&mut self, name: &str, more: Value) {
        self.create_of("WukongSnapshot", name, json!({"wukongName": "web"}), more);
    }

    /// The user creates a restore.
    pub fn restore(&mut self, name: &str, more: Value) {
        self.create_of("WukongRestore", name, json!({"wukongName": "web"}), more);
    }

    fn create_of(&mut self, kind: &str, name: &str, mut spec: Value, more: Value) {
        let fields = spec.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let created = self.now.to_string();
        self.server.create(
            "kubectl",
            json!({
                "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name, "namespace": NAMESPACE, "creationTimestamp": created}, "spec": spec,
            }),
        );
    }

    pub fn snapshot_status(&self, name: &str) -> WukongSnapshotStatus {
        let object = self.server.get("WukongSnapshot", name).unwrap();
        serde_json::from_value(object["status"].clone()).unwrap_or_default()
    }

    pub fn restore_status(&self, name: &str) -> WukongRestoreStatus {
        let object = self.server.get("WukongRestore", name).unwrap();
        serde_json::from_value(object["status"].clone()).unwrap_or_default()
    }

    /// Reason of the blocker of a snapshot or restore, with its message.
    pub fn blocker_of(&self, kind: &str, name: &str) -> Option<(String, String)> {
        let blocker = &self.server.get(kind, name).unwrap()["status"]["blocker"];
        let text = |field: &str| blocker[field].as_str().map(str::to_owned);
        Some((text("reason")?, text("message")?))
    }

    /// Names of the claims in the order of the volumes of the VM.
    pub fn claims_in_use(&self) -> Vec<String> {
        let vm = self.vm();
        let volumes = vm["spec"]["template"]["spec"]["volumes"].as_array();
        let claim = |volume: &Value| {
            let name = volume["dataVolume"]["name"].as_str();
            name.or(volume["persistentVolumeClaim"]["claimName"].as_str())
                .map(str::to_owned)
        };
        volumes.into_iter().flatten().filter_map(claim).collect()
    }

    /// Names of all claims.
    pub fn claims(&self) -> Vec<String> {
        let claims = self.server.all("PersistentVolumeClaim");
        claims
            .map(|claim| claim["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }
}
