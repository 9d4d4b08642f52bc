//! A healthy cluster as the API server returns it (fixtures/healthy.json), to break in one place or two.

use kube::CustomResourceExt;
use serde::Deserialize;
use serde_json::{Value, json};
use wukong_api::{OperatorSettings, Reason, ValidatedWukong, Wukong, WukongSpec};
use wukong_engine::diagnosis::{Check, CheckStatus, environment_verdict, preflight};
use wukong_engine::environment::Environment;
use wukong_engine::environment::addresses::Addresses;
use wukong_engine::facts::Fact;
use wukong_engine::{Presence, Store};

/// Noon; the heartbeats of the fixture are 30 seconds older.
pub const NOW: &str = "2026-08-01T12:00:00Z";

/// Reasons that the tests of the rules reach. All others follow from the objects of a VM: those are reached in the tests of the decisions
/// (`engine/reasons.rs`), which see that no reason is in neither.
pub const OF_THE_CLUSTER: [Reason; 25] = [
    Reason::Available,
    Reason::BindingNotRegistered,
    Reason::BridgeMissingOnNodes,
    Reason::CDINotAvailable,
    Reason::Degraded,
    Reason::DevicePluginUnhealthy,
    Reason::DisksNotShared,
    Reason::EmulationOnly,
    Reason::FeatureGateDisabled,
    Reason::HostDevices,
    Reason::KubeVirtNotAvailable,
    Reason::Migratable,
    Reason::MultusUnhealthy,
    Reason::NMStateNotInstalled,
    Reason::NoVirtualizationDevices,
    Reason::NotMigratable,
    Reason::NotPermitted,
    Reason::PlacementTooNarrow,
    Reason::PlainTextPassword,
    Reason::PodNetworkBridge,
    Reason::ProvisionerNotReady,
    Reason::SingleNode,
    Reason::StorageProfileIncomplete,
    Reason::VirtHandlerNotReady,
    Reason::WouldIsolateNode,
];

pub struct Cluster {
    objects: Vec<Value>,
    pub settings: OperatorSettings,
    presences: Vec<(&'static str, Presence)>,
}

impl Cluster {
    /// A control plane, two workers with KVM, KubeVirt 1.9, CDI, Ceph, local-path, Multus, NMState, a roomy quota.
    pub fn healthy() -> Self {
        Self {
            objects: serde_json::from_str(include_str!("fixtures/healthy.json")).unwrap(),
            settings: OperatorSettings::default(),
            presences: Vec::new(),
        }
    }

    /// A cluster of these objects.
    #[allow(dead_code)] // Used by the cases.
    pub fn of(objects: Vec<Value>) -> Self {
        Self {
            objects,
            settings: OperatorSettings::default(),
            presences: Vec::new(),
        }
    }

    /// With an operator that makes bridges on nodes.
    pub fn making_bridges(mut self) -> Self {
        self.settings.manage_node_networks = true;
        self
    }

    /// The objects of a kind that belong to a node.
    #[allow(dead_code)] // Used where costs are counted.
    pub fn objects_of(&self, kind: &str, node: &str) -> Vec<Value> {
        let of_node = |object: &&Value| {
            object["kind"] == kind
                && (object["metadata"]["name"] == node || object["spec"]["nodeName"] == node)
        };
        self.objects.iter().filter(of_node).cloned().collect()
    }

    /// With one more object.
    pub fn with(mut self, object: Value) -> Self {
        self.objects.push(object);
        self
    }

    /// With this version's CustomResourceDefinition, but for the properties at these places of its schema.
    pub fn knowing_all_but(self, places: &[&str]) -> Self {
        let mut definition = serde_json::to_value(Wukong::crd()).unwrap();
        definition["metadata"]["uid"] = json!("crd");
        for place in places {
            let (properties, name) = place.rsplit_once('/').unwrap();
            let at = format!("/spec/versions/0/schema/openAPIV3Schema/{properties}");
            let properties = definition.pointer_mut(&at).unwrap();
            properties.as_object_mut().unwrap().remove(name).unwrap();
        }
        self.with(definition)
    }

    /// A small VM with a disk, and what `more` adds to its spec, as this cluster's operator takes it.
    pub fn wukong(&self, more: Value) -> ValidatedWukong {
        ValidatedWukong::validate(&manifest(more), &self.settings).unwrap()
    }

    /// Changes every object of a kind with a name that starts with `name`.
    pub fn change(mut self, kind: &str, name: &str, change: impl Fn(&mut Value)) -> Self {
        let mut hit = false;
        for object in &mut self.objects {
            let named = object["metadata"]["name"].as_str().unwrap();
            if object["kind"] == kind && named.starts_with(name) {
                change(object);
                hit = true;
            }
        }
        assert!(hit, "the fixture has no {kind} {name}");
        self
    }

    /// Removes the objects of a kind with a name that starts with `name`.
    pub fn without(mut self, kind: &str, name: &str) -> Self {
        let before = self.objects.len();
        self.objects.retain(|object| {
            object["kind"] != kind
                || !object["metadata"]["name"]
                    .as_str()
                    .unwrap()
                    .starts_with(name)
        });
        assert!(
            self.objects.len() < before,
            "the fixture has no {kind} {name}"
        );
        self
    }

    /// Says how the API server serves a kind; without, it serves it.
    pub fn presence(mut self, kind: &'static str, presence: Presence) -> Self {
        self.presences.push((kind, presence));
        self
    }

    /// Sets a device of every node.
    pub fn device(self, device: &str, capacity: Option<&str>, allocatable: Option<&str>) -> Self {
        let key = format!("devices.kubevirt.io/{device}");
        self.change("Node", "worker", |node| {
            for (field, value) in [("capacity", capacity), ("allocatable", allocatable)] {
                let resources = node["status"][field].as_object_mut().unwrap();
                match value {
                    Some(value) => resources.insert(key.clone(), json!(value)),
                    None => resources.remove(&key),
                };
            }
        })
    }

    /// virt-handler ends again and again, on every node, for a while already.
    pub fn crashing_handler(self, words: &str) -> Self {
        self.crashing("virt-handler", words)
            .change("Node", "worker", |node| {
                node["metadata"]["labels"]["kubevirt.io/schedulable"] = json!("false");
                node["metadata"]["annotations"]["kubevirt.io/heartbeat"] =
                    json!("2026-08-01T11:46:00Z");
            })
    }

    pub fn crashing(self, pod: &str, words: &str) -> Self {
        self.change("Pod", pod, |pod| {
            pod["status"]["conditions"][1]["status"] = json!("False");
            let name = pod["status"]["containerStatuses"][0]["name"].clone();
            pod["status"]["containerStatuses"] = json!([{
                "name": name, "ready": false, "restartCount": 7,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "message": words}},
            }]);
        })
    }

    pub fn emulating(self) -> Self {
        self.change("KubeVirt", "kubevirt", |kubevirt| {
            kubevirt["spec"]["configuration"]["developerConfiguration"]["useEmulation"] =
                json!(true);
        })
    }

    pub fn unavailable(self, phase: &str, reason: &str, message: &str) -> Self {
        self.change("KubeVirt", "kubevirt", |kubevirt| {
            kubevirt["status"]["phase"] = json!(phase);
            kubevirt["status"]["conditions"][0] =
                json!({"type": "Available", "status": "False", "reason": reason, "message": message});
        })
    }

    fn seen(&self, kind: &str) -> Presence {
        let set = self.presences.iter().find(|(known, _)| *known == kind);
        set.map_or(Presence::Served, |(_, presence)| *presence)
    }

    fn facts<T: Fact>(&self, kind: &str) -> Vec<T> {
        let of_kind = self.objects.iter().filter(|object| object["kind"] == kind);
        of_kind.map(T::project).collect()
    }

    fn store<T: Fact>(&self, kind: &str) -> Store<T> {
        self.store_of(kind, |_| true)
    }

    fn store_of<T: Fact>(&self, kind: &str, keep: impl Fn(&T) -> bool) -> Store<T> {
        let mut store = Store::default();
        match self.seen(kind) {
            Presence::Served => store.replace(
                self.facts(kind)
                    .into_iter()
                    .filter(|fact| keep(fact))
                    .collect(),
            ),
            presence => store.clear(presence),
        };
        store
    }

    pub fn environment(&self) -> Environment {
        use wukong_engine::environment::{is_multus, is_provisioner};
        use wukong_engine::facts::{DaemonSetFact, PodFact};
        Environment {
            virtual_machines: self.seen("VirtualMachine"),
            data_volumes: self.seen("DataVolume"),
            nads: self.seen("NetworkAttachmentDefinition"),
            own_crds: self.store("CustomResourceDefinition"),
            kubevirts: self.store("KubeVirt"),
            kubevirt_pods: self.store_of("Pod", |pod: &PodFact| pod.component.starts_with("virt-")),
            nodes: self.store("Node"),
            cdis: self.store("CDI"),
            storage_classes: self.store("StorageClass"),
            storage_profiles: self.store("StorageProfile"),
            csi_drivers: self.store("CSIDriver"),
            csi_nodes: self.store("CSINode"),
            provisioner_pods: self.store_of("Pod", |pod: &PodFact| is_provisioner(&pod.meta.name)),
            multus: self.store_of("DaemonSet", |set: &DaemonSetFact| is_multus(&set.meta.name)),
            node_networks: self.store("NodeNetworkState"),
            node_policies: self.store("NodeNetworkConfigurationPolicy"),
            enactments: self.store("NodeNetworkConfigurationEnactment"),
            quotas: self.store("ResourceQuota"),
            limit_ranges: self.store("LimitRange"),
            namespaces: self.store("Namespace"),
            deployments: self.store("Deployment"),
            services: self.store("Service"),
            validating_webhooks: self.store("ValidatingWebhookConfiguration"),
            mutating_webhooks: self.store("MutatingWebhookConfiguration"),
            addresses: self.addresses(),
        }
    }

    fn addresses(&self) -> Addresses {
        let mut addresses = Addresses::default();
        match self.seen("Wukong") {
            Presence::Served => drop(addresses.replace(self.wukongs())),
            presence => addresses.clear(presence),
        }
        addresses
    }

    fn wukongs(&self) -> Vec<Wukong> {
        let objects = self.objects.iter();
        let of_kind = objects.filter(|object| object["kind"] == "Wukong");
        of_kind
            .map(|object| Wukong::deserialize(object).unwrap())
            .collect()
    }

    /// Adds the Wukong `db`, which is older, with these networks.
    pub fn with_db(mut self, networks: Value) -> Self {
        self.objects.push(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "Wukong",
            "metadata": {"name": "db", "namespace": "default", "uid": "d", "creationTimestamp": "2026-07-01T00:00:00Z"},
            "spec": {"cpu": 1, "memory": "1Gi", "networks": networks},
        }));
        self
    }

    pub fn checks(&self, wukong: Option<&ValidatedWukong>) -> Vec<Check> {
        preflight(&self.environment(), wukong, NOW.parse().unwrap())
    }

    pub fn verdict(&self, wukong: &ValidatedWukong) -> Check {
        environment_verdict(&self.environment(), wukong, NOW.parse().unwrap())
    }

    /// The check of this name.
    pub fn check(&self, id: &str, wukong: Option<&ValidatedWukong>) -> Check {
        let checks = self.checks(wukong);
        let found = checks.iter().find(|check| check.id == id);
        found
            .unwrap_or_else(|| panic!("no check {id} in {checks:#?}"))
            .clone()
    }
}

/// A small VM with a disk, and what `more` adds to its spec.
pub fn wukong(more: Value) -> ValidatedWukong {
    ValidatedWukong::try_from(&manifest(more)).unwrap()
}

/// The same, as it is stored.
pub fn manifest(more: Value) -> Wukong {
    let mut spec = json!({"cpu": 2, "memory": "2Gi", "osImage": "ubuntu:24.04", "disks": [{"name": "root", "size": "20Gi"}]});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let spec: WukongSpec = serde_json::from_value(spec).unwrap();
    let mut wukong = Wukong::new("web", spec);
    wukong.metadata.namespace = Some("default".into());
    wukong.metadata.uid = Some("a1b2".into());
    wukong
}

/// What is not in order, in causal order.
pub fn amiss(checks: &[Check]) -> Vec<(&'static str, CheckStatus)> {
    checks
        .iter()
        .filter(|check| check.status != CheckStatus::Pass)
        .map(|check| (check.id, check.status))
        .collect()
}
