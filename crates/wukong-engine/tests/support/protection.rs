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

    /// A complete snapshot of another Wukong, with the sizes of its disks.
    pub fn taken(&mut self, name: &str, disks: &[(&str, &str)]) {
        let uid = format!("w-{name}");
        let metadata =
            |name: &str, uid: &str| json!({"name": name, "namespace": NAMESPACE, "uid": uid});
        let volumes: Vec<Value> = disks
            .iter()
            .map(|(disk, size)| json!({"name": disk, "included": true, "size": size}))
            .collect();
        let included: Vec<&str> = disks.iter().map(|(disk, _)| *disk).collect();
        let mut taken = metadata(name, &format!("u-{name}"));
        taken["ownerReferences"] = json!([{"apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot",
            "name": name, "uid": uid, "controller": true}]);
        self.server.create("kubectl", json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot", "metadata": metadata(name, &uid),
            "spec": {"wukongName": "other"}, "status": {"phase": "Succeeded", "readyToUse": true, "volumes": volumes}}));
        self.server.create("kubectl", json!({
            "apiVersion": "snapshot.kubevirt.io/v1beta1", "kind": "VirtualMachineSnapshot", "metadata": taken,
            "spec": {"source": {"kind": "VirtualMachine", "name": "other"}},
            "status": {"phase": "Succeeded", "readyToUse": true, "snapshotVolumes": {"includedVolumes": included}}}));
        for (disk, _) in disks {
            let volume = format!("vmsnapshot-u-{name}-volume-{disk}");
            self.server.create("kubectl", json!({
                "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot", "metadata": metadata(&volume, &volume),
                "status": {"readyToUse": true}}));
        }
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
