//! The parts that a bundle keeps of objects of the cluster and of KubeVirt's operations.

use serde_json::{Value, json};
use wukong_api::Wukong;
use wukong_engine::facts::concerns_vms;

use super::named::claims;
use super::source::{DEPLOYMENTS, MUTATING, NAMESPACES, SERVICES, VALIDATING, VOLUMES};
use super::{Survey, name, namespace};

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

/// What a bundle keeps of an object; `None` for a kind that this does not know. `Some(Value::Null)` for none of it.
pub(super) fn part(
    survey: &Survey,
    wukong: &Wukong,
    plural: &str,
    object: &Value,
) -> Option<Value> {
    let kept = match plural {
        NAMESPACES => of_wukong(wukong, name(object)).then(|| {
            let mut kept = with(object, &["status"]);
            set(&mut kept, object, &["metadata", "labels"]);
            set(&mut kept, object, &["spec", "finalizers"]);
            kept
        }),
        VOLUMES => volume(survey, wukong, object),
        VALIDATING | MUTATING => concerns_vms(object).then(|| configuration(object)),
        SERVICES => {
            let wanted = (namespace(object).to_owned(), name(object).to_owned());
            survey.webhook_services().contains(&wanted).then(|| {
                let mut kept = with(object, &[]);
                set(&mut kept, object, &["spec", "selector"]);
                set(&mut kept, object, &["spec", "ports"]);
                kept
            })
        }
        DEPLOYMENTS => (is_of_control_plane(object) || serves(survey, object)).then(|| {
            let mut kept = with(object, &["status"]);
            set(&mut kept, object, &["spec", "replicas"]);
            set(
                &mut kept,
                object,
                &["spec", "template", "metadata", "labels"],
            );
            kept
        }),
        "virtualmachineinstancemigrations" => {
            is_about(wukong, object, "/spec/vmiName").then(|| {
                let mut kept = with(object, &["status"]);
                set(&mut kept, object, &["spec", "vmiName"]);
                kept
            })
        }
        "virtualmachinesnapshots" => operation(wukong, object, "source"),
        "virtualmachinerestores" => operation(wukong, object, "target"),
        _ => return None,
    };
    Some(kept.unwrap_or_default())
}

/// Identity of an object, and these fields.
fn with(object: &Value, fields: &[&str]) -> Value {
    let mut kept = json!({});
    for field in ["apiVersion", "kind"].iter().chain(fields) {
        set(&mut kept, object, &[field]);
    }
    for field in IDENTITY {
        set(&mut kept, object, &["metadata", field]);
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

fn of_wukong(wukong: &Wukong, namespace: &str) -> bool {
    wukong.metadata.namespace.as_deref() == Some(namespace)
}

/// Whether an object in the namespace of the Wukong names its VM at this pointer.
fn is_about(wukong: &Wukong, object: &Value, pointer: &str) -> bool {
    let vm = object.pointer(pointer).and_then(Value::as_str);
    of_wukong(wukong, namespace(object)) && vm == wukong.metadata.name.as_deref()
}

/// A snapshot or restore of the VM. The patches of a restore may hold user data.
fn operation(wukong: &Wukong, object: &Value, of: &str) -> Option<Value> {
    is_about(wukong, object, &format!("/spec/{of}/name")).then(|| {
        let mut kept = with(object, &["status"]);
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
    })
}

/// The volume of a claim of the Wukong, or one that is reserved for it. The attributes of a driver may hold keys.
fn volume(survey: &Survey, wukong: &Wukong, object: &Value) -> Option<Value> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let reserved = || {
        let claim = text("/spec/claimRef/name").unwrap_or_default();
        of_wukong(wukong, text("/spec/claimRef/namespace").unwrap_or_default())
            && claims(wukong).contains(claim)
    };
    let ours = survey.volumes(wukong).contains(name(object)) || reserved();
    if !ours || text("/status/phase") == Some("Released") {
        return None;
    }
    let mut kept = with(object, &["status"]);
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
    set(&mut kept, object, &["spec", "csi", "driver"]);
    Some(kept)
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

fn is_of_control_plane(deployment: &Value) -> bool {
    let labels = deployment.pointer("/spec/template/metadata/labels");
    let operator = labels.and_then(|labels| labels.get("app.kubernetes.io/name"));
    let name = name(deployment);
    name.starts_with("virt-")
        || name.starts_with("cdi-")
        || operator.and_then(Value::as_str) == Some("wukong-operator")
}

/// Whether the Service of a webhook selects the pods of the Deployment.
fn serves(survey: &Survey, deployment: &Value) -> bool {
    let labels = deployment.pointer("/spec/template/metadata/labels");
    let wanted = survey.webhook_services();
    let services = survey.part(SERVICES).into_iter();
    let mut services = services.flat_map(|part| &part.objects).filter(|service| {
        wanted.contains(&(namespace(service).to_owned(), name(service).to_owned()))
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
