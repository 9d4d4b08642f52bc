//! What a bundle keeps of each object: of objects of other owners, only what the rules need.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wukong_api::{Wukong, labels};
use wukong_engine::environment::addresses::WukongName;
use wukong_engine::environment::is_provisioner;
use wukong_engine::facts::concerns_vms;
use wukong_engine::related::RelatedNames;

use super::Survey;
use super::about::{identity, is_about, is_of, is_restored, name, namespace};
use super::named::claims;
use super::scope::{
    DATA_SOURCES, DATA_VOLUMES, DEPLOYMENTS, ENACTMENTS, EVENTS, INSTANCES, MACHINES, MIGRATIONS,
    MUTATING, NAMESPACES, PODS, POLICIES, RESTORES, SERVICES, SNAPSHOTS, VALIDATING,
    VOLUME_SNAPSHOTS, VOLUMES, WUKONG_RESTORES, WUKONG_SNAPSHOTS, WUKONGS, is_watched,
};
use super::trim::fields;

/// Fields of the metadata that are kept. Labels and annotations of others may hold anything.
const IDENTITY: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
];

/// What decides whether an object is kept.
pub(super) struct Reduction<'a> {
    survey: &'a Survey,
    wukong: &'a Wukong,
    related: RelatedNames,
    rivals: BTreeSet<WukongName>,
    volumes: BTreeSet<String>,
    services: BTreeSet<(String, String)>,
}

impl<'a> Reduction<'a> {
    /// Reduces the objects of a survey of the Wukong.
    pub(super) fn new(survey: &'a Survey, wukong: &'a Wukong) -> Self {
        Self {
            survey,
            wukong,
            related: survey.related(wukong),
            rivals: survey.rivals(wukong),
            volumes: survey.volumes(wukong),
            services: survey.webhook_services(),
        }
    }

    /// Returns what is kept of an object; `None` if nothing is.
    pub(super) fn of(&self, plural: &str, object: &Value) -> Option<Value> {
        let ours = || self.related.has(name(object), namespace(object));
        let is_rival = || {
            let key = (namespace(object).to_owned(), name(object).to_owned());
            self.rivals.contains(&key)
        };
        let keeps = match plural {
            // The Wukongs with the same addresses.
            WUKONGS => is_rival(),
            MACHINES => ours() || is_rival(),
            INSTANCES | DATA_VOLUMES => ours(),
            PODS => is_watched(plural, object) || is_provisioner(name(object)) || ours(),
            "daemonsets" => is_watched(plural, object),
            EVENTS => is_of(object, &self.related),
            NAMESPACES => identity(self.wukong).0 == name(object),
            VOLUMES => self.has_volume(object),
            VALIDATING | MUTATING => concerns_vms(object),
            SERVICES => {
                let wanted = (namespace(object).to_owned(), name(object).to_owned());
                self.services.contains(&wanted)
            }
            DEPLOYMENTS => is_of_control_plane(object) || self.serves(object),
            MIGRATIONS => is_about(self.wukong, object, "/spec/vmiName"),
            SNAPSHOTS | WUKONG_SNAPSHOTS if is_restored(self.wukong, object) => true,
            SNAPSHOTS => is_about(self.wukong, object, "/spec/source/name"),
            RESTORES => is_about(self.wukong, object, "/spec/target/name"),
            WUKONG_SNAPSHOTS | WUKONG_RESTORES => is_about(self.wukong, object, "/spec/wukongName"),
            _ => true,
        };
        keeps.then(|| match plural {
            WUKONGS => wukong(object),
            MACHINES if !ours() => fields(object, &["apiVersion", "kind", "metadata"]),
            // The rules need only their existence and readiness.
            DATA_SOURCES | VOLUME_SNAPSHOTS => {
                fields(object, &["apiVersion", "kind", "metadata", "status"])
            }
            POLICIES if !is_made_by_us(object) => policy(object),
            ENACTMENTS => enactment(object),
            NAMESPACES => with(
                object,
                &[
                    &["status"],
                    &["metadata", "labels"],
                    &["spec", "finalizers"],
                ],
            ),
            VOLUMES => volume(object),
            VALIDATING | MUTATING => configuration(object),
            SERVICES => with(object, &[&["spec", "selector"], &["spec", "ports"]]),
            DEPLOYMENTS => with(
                object,
                &[
                    &["status"],
                    &["spec", "replicas"],
                    &["spec", "template", "metadata", "labels"],
                ],
            ),
            MIGRATIONS => with(object, &[&["status"], &["spec", "vmiName"]]),
            SNAPSHOTS => operation(object, "source"),
            RESTORES => operation(object, "target"),
            _ => object.clone(),
        })
    }

    /// Whether it is the volume of a claim of the Wukong, or one that is reserved for it.
    fn has_volume(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let reserved = || {
            let claim = text("/spec/claimRef/name").unwrap_or_default();
            text("/spec/claimRef/namespace") == Some(identity(self.wukong).0)
                && claims(self.wukong).contains(claim)
        };
        let ours = self.volumes.contains(name(object)) || reserved();
        ours && text("/status/phase") != Some("Released")
    }

    /// Whether the Service of a webhook selects the pods of the Deployment.
    fn serves(&self, deployment: &Value) -> bool {
        let labels = deployment.pointer("/spec/template/metadata/labels");
        let services = self.survey.objects(SERVICES);
        let mut services = services.filter(|service| {
            let key = (namespace(service).to_owned(), name(service).to_owned());
            self.services.contains(&key)
        });
        services.any(|service| {
            let selector = service.pointer("/spec/selector").and_then(Value::as_object);
            namespace(service) == namespace(deployment)
                && selector.is_some_and(|selector| {
                    let has = |(key, value): (&String, &Value)| {
                        labels.and_then(|labels| labels.get(key)) == Some(value)
                    };
                    !selector.is_empty() && selector.iter().all(has)
                })
        })
    }
}

fn is_made_by_us(object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    let by = labels.and_then(|labels| labels.get(labels::MANAGED_BY));
    by.and_then(Value::as_str) == Some(labels::MANAGER)
}

fn is_of_control_plane(deployment: &Value) -> bool {
    let labels = deployment.pointer("/spec/template/metadata/labels");
    let operator = labels.and_then(|labels| labels.get("app.kubernetes.io/name"));
    let name = name(deployment);
    name.starts_with("virt-")
        || name.starts_with("cdi-")
        || operator.and_then(Value::as_str) == Some("wukong-operator")
}

/// The identity of a Wukong and what its addresses depend on.
fn wukong(object: &Value) -> Value {
    let part = |name: &str| object.get(name).cloned().unwrap_or_default();
    let identity = ["name", "namespace", "uid", "creationTimestamp"];
    json!({
        "apiVersion": part("apiVersion"),
        "kind": part("kind"),
        "metadata": fields(&part("metadata"), &identity),
        "spec": fields(&part("spec"), &["cpu", "memory", "networks"]),
    })
}

/// A policy of others. The rules need its bridges; the rest of a network may contain keys.
fn policy(object: &Value) -> Value {
    let mut kept = fields(
        object,
        &["apiVersion", "kind", "metadata", "spec", "status"],
    );
    if let Some(state) = kept.pointer_mut("/spec/desiredState") {
        let interfaces = state.get("interfaces").and_then(Value::as_array);
        let interfaces = interfaces.into_iter().flatten();
        let bridges = interfaces.map(|it| fields(it, &["name", "type", "state", "bridge"]));
        *state = json!({"interfaces": bridges.collect::<Vec<_>>()});
    }
    kept
}

fn enactment(object: &Value) -> Value {
    let mut kept = fields(object, &["apiVersion", "kind", "metadata", "status"]);
    if let Some(status) = kept.get_mut("status") {
        *status = fields(status, &["conditions", "policyGeneration"]);
    }
    kept
}

/// A snapshot or restore. The patches of a restore may hold user data.
fn operation(object: &Value, of: &str) -> Value {
    let mut kept = with(object, &[&["status"]]);
    for field in [
        of,
        "virtualMachineSnapshotName",
        "deletionPolicy",
        "failureDeadline",
        "targetReadinessPolicy",
        "volumeRestorePolicy",
        "volumeOwnershipPolicy",
    ] {
        set(&mut kept, object, &["spec", field]);
    }
    kept
}

/// A volume. The attributes of a driver may hold keys.
fn volume(object: &Value) -> Value {
    let mut kept = with(object, &[&["status"], &["spec", "csi", "driver"]]);
    for field in [
        "accessModes",
        "capacity",
        "claimRef",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeMode",
    ] {
        set(&mut kept, object, &["spec", field]);
    }
    kept
}

/// A webhook configuration without certificates and URLs.
fn configuration(object: &Value) -> Value {
    let webhooks = object.get("webhooks").and_then(Value::as_array);
    let webhooks = webhooks.into_iter().flatten().map(|webhook| {
        let mut kept = json!({});
        for field in [
            "name",
            "failurePolicy",
            "matchPolicy",
            "namespaceSelector",
            "objectSelector",
            "matchConditions",
            "rules",
            "timeoutSeconds",
        ] {
            set(&mut kept, webhook, &[field]);
        }
        set(&mut kept, webhook, &["clientConfig", "service"]);
        kept
    });
    let webhooks: Vec<Value> = webhooks.collect();
    let mut kept = with(object, &[]);
    set(&mut kept, &json!({"webhooks": webhooks}), &["webhooks"]);
    kept
}

/// Identity of an object, and the fields at these paths.
fn with(object: &Value, paths: &[&[&str]]) -> Value {
    let mut kept = json!({});
    for field in ["apiVersion", "kind"] {
        set(&mut kept, object, &[field]);
    }
    for field in IDENTITY {
        set(&mut kept, object, &["metadata", field]);
    }
    for path in paths {
        set(&mut kept, object, path);
    }
    kept
}

/// Copies the field at a path, where there is one.
fn set(kept: &mut Value, object: &Value, path: &[&str]) {
    let found = path
        .iter()
        .try_fold(object, |object, field| object.get(field));
    let Some(found) = found else { return };
    let mut place = kept;
    for field in path {
        if !place.is_object() {
            *place = json!({});
        }
        let Some(fields) = place.as_object_mut() else {
            return;
        };
        place = fields.entry((*field).to_owned()).or_insert(Value::Null);
    }
    *place = found.clone();
}
