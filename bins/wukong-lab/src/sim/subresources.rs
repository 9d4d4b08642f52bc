//! The aggregated API `subresources.kubevirt.io/v1`: start, stop, restart, migrate, pause and unpause here, the streams
//! into a guest in `guest_streams`.

use std::path::PathBuf;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Json;
use axum::routing::{get, put};
use kube::Client;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::called::{Objects, Problem};
use super::guest_streams;
use wukong_sim::field::{self, Field};
use wukong_sim::installation::KUBEVIRT_NAMESPACE;
use wukong_sim::kind::Kind;
use wukong_sim::kubevirt;

const GROUP: &str = "subresources.kubevirt.io";
const SERVICE: &str = "virt-api";
/// How often a pause is tried when others write the instance at the same time.
const PAUSE_TRIES: u32 = 10;
const VM_CALLS: [&str; 4] = ["start", "stop", "restart", "migrate"];
const VMI_CALLS: [&str; 2] = ["pause", "unpause"];
const VMI_STREAMS: [&str; 2] = ["console", "portforward"];

/// `guests` is the directory of the guests, when they are real.
pub fn router(client: Client, guests: Option<PathBuf>) -> Router {
    let base = format!("/apis/{GROUP}/v1");
    let object = |kind: &str| format!("{base}/namespaces/{{namespace}}/{kind}/{{name}}");
    let (vm, vmi) = (object("virtualmachines"), object("virtualmachineinstances"));
    Router::new()
        .route(&base, get(resources))
        .route(&format!("{vm}/{{call}}"), put(vm_call))
        .route(&format!("{vmi}/{{call}}"), put(vmi_call))
        .with_state(client.clone())
        .merge(guest_streams::router(client, guests, &vmi))
}

/// The objects that make the API server forward the group: kind's plural, namespace, object.
pub fn registration(port: u16, authority: &str) -> Vec<(&'static str, &'static str, Value)> {
    use base64::Engine as _;
    let bundle = base64::engine::general_purpose::STANDARD.encode(authority);
    vec![
        (
            "services",
            KUBEVIRT_NAMESPACE,
            json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": SERVICE, "namespace": KUBEVIRT_NAMESPACE},
                "spec": {"type": "ExternalName", "externalName": "localhost"}}),
        ),
        (
            "apiservices",
            "",
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": format!("v1.{GROUP}")},
                "spec": {"group": GROUP, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15,
                    "caBundle": bundle,
                    "service": {"name": SERVICE, "namespace": KUBEVIRT_NAMESPACE, "port": port}}}),
        ),
    ]
}

async fn resources() -> Json<Value> {
    let entries = |kind: &'static str, calls: &'static [&str], verb: &'static str| {
        calls.iter().map(move |call| {
            json!({"name": format!("{kind}/{call}"), "singularName": "", "namespaced": true, "kind": "",
                "verbs": [verb]})
        })
    };
    let list: Vec<Value> = entries("virtualmachines", &VM_CALLS, "update")
        .chain(entries("virtualmachineinstances", &VMI_CALLS, "update"))
        .chain(entries("virtualmachineinstances", &VMI_STREAMS, "get"))
        .collect();
    Json(
        json!({"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": format!("{GROUP}/v1"),
        "resources": list}),
    )
}

type Address = (String, String, String);

/// These calls answer with nothing, so they refuse to answer with JSON.
fn acceptable(headers: &HeaderMap) -> Result<(), Problem> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    match accept {
        Some(accept) if !accept.contains("*/*") => Err(Problem(
            StatusCode::NOT_ACCEPTABLE,
            "406: Not Acceptable".into(),
        )),
        _ => Ok(()),
    }
}

async fn vm_call(
    State(client): State<Client>,
    Path((namespace, name, call)): Path<Address>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    acceptable(&headers)?;
    let objects = Objects::new(client, namespace, name);
    let vm = objects
        .get(Kind::Vm)
        .await?
        .ok_or_else(|| objects.not_found("virtualmachines"))?;
    let vmi = objects.get(Kind::Vmi).await?;
    let (vm, vmi) = (
        Field::new("", &vm),
        vmi.as_ref().map(|vmi| Field::new("", vmi)),
    );
    if call == "migrate" {
        let running = vmi.is_some_and(|vmi| vmi.at("status.phase").text() == "Running");
        if !running {
            return Err(Problem::conflict("VM is not running"));
        }
        migrate(&objects).await?;
        return Ok(StatusCode::ACCEPTED);
    }
    match kubevirt::power(&call, &vm, vmi.as_ref()) {
        Ok(kubevirt::Power::RunStrategy(strategy)) => {
            let key = if vm.at("spec.running").is_set() {
                "running"
            } else {
                "runStrategy"
            };
            let value = if key == "running" {
                json!(strategy == "Always")
            } else {
                json!(strategy)
            };
            objects
                .merge(Kind::Vm, json!({"spec": {key: value}}), false)
                .await?;
        }
        Ok(kubevirt::Power::Requests(requests)) => {
            objects
                .merge(
                    Kind::Vm,
                    json!({"status": {"stateChangeRequests": requests}}),
                    true,
                )
                .await?;
        }
        Err((code, message)) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Err(Problem(code, message));
        }
    }
    Ok(StatusCode::ACCEPTED)
}

async fn migrate(objects: &Objects) -> Result<(), Problem> {
    let object = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": "kubevirt-migrate-vm-", "namespace": objects.namespace},
        "spec": {"vmiName": objects.name}});
    let object: DynamicObject = serde_json::from_value(object)
        .map_err(|error| Problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    objects
        .api(Kind::Migration)
        .create(&PostParams::default(), &object)
        .await
        .map_err(|error| {
            let Problem(_, message) = error.into();
            let code = StatusCode::INTERNAL_SERVER_ERROR;
            Problem(code, format!("Internal error occurred: {message}"))
        })?;
    Ok(())
}

async fn vmi_call(
    State(client): State<Client>,
    Path((namespace, name, call)): Path<Address>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    acceptable(&headers)?;
    let objects = Objects::new(client, namespace, name);
    for _ in 0..PAUSE_TRIES {
        match try_vmi_call(&objects, &call).await {
            // Another writer changed the object in between.
            Err(Problem(StatusCode::CONFLICT, message)) if message.contains("modified") => {}
            answer => return answer,
        }
    }
    Err(Problem::conflict("the object has been modified"))
}

async fn try_vmi_call(objects: &Objects, call: &str) -> Result<StatusCode, Problem> {
    let vmi = objects.instance().await?;
    let vmi = Field::new("", &vmi);
    if vmi.at("status.phase").text() != "Running" {
        return Err(Problem::conflict("VM is not running"));
    }
    let paused = vmi
        .at("status.conditions")
        .items()
        .any(|item| item.child("type").text() == "Paused" && item.child("status").text() == "True");
    let pause = match (call, paused) {
        ("pause", false) => true,
        ("unpause", true) => false,
        ("pause", true) => return Err(Problem::conflict("VMI is already paused")),
        ("unpause", false) => return Err(Problem::conflict("VMI is not paused")),
        (other, _) => {
            return Err(Problem(
                StatusCode::NOT_FOUND,
                format!("no subresource {other:?}"),
            ));
        }
    };
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    if let Some(mut patch) = kubevirt::pause(&vmi, pause, &now) {
        let version = vmi.at("metadata.resourceVersion").value().clone();
        field::put(&mut patch, ["metadata", "resourceVersion"], version);
        objects.merge(Kind::Vmi, patch, false).await?;
    }
    Ok(StatusCode::ACCEPTED)
}
