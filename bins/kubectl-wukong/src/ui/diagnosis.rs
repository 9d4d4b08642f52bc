//! Why a VM does not run, by the functions of `doctor`, with the events and objects that it is based on.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use http::StatusCode;
use jiff::Timestamp;
use kube::Api;
use kube::api::DynamicObject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wukong_engine::catalogue::{self, Reader};

use super::app::{App, Source, Vm, is_name};
use super::problem::Problem;
use crate::bundle::Bundle;
use crate::doctor::{self, Diagnosis};
use crate::items::{self, Selection};
use crate::output;
use crate::redact::redact;
use crate::survey;

/// Most events that are shown.
const EVENTS_MAX: usize = 50;

/// An event about an object of the VM.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Shown {
    time: Option<Timestamp>,
    warning: bool,
    object: String,
    reason: String,
    message: String,
    count: i64,
}

/// Answers with the diagnosis and the events of a VM.
pub async fn get(State(app): State<Arc<App>>, vm: Vm) -> Result<Json<Value>, Problem> {
    let (diagnosis, events) = match &app.source {
        Source::Bundle(bundle) => (diagnosis(&app, bundle), events(bundle, Vec::new())),
        Source::Cluster { .. } => {
            let cluster = app.cluster(&vm.namespace)?;
            let about = Selection {
                namespace: Some(vm.namespace),
                fields: Some(format!("involvedObject.name={}", vm.name)),
                paged: true,
                ..Selection::default()
            };
            let kind = survey::kind("Event").ok_or_else(|| Problem::not_found("Event"))?;
            let kind = kind.api_resource();
            let read = async {
                let mut own = Vec::new();
                let bundle = Bundle::take(&cluster, &vm.name).await?;
                let listed = items::each(&cluster.client, &kind, &about, |json| {
                    own.push(serde_json::from_slice(json)?);
                    Ok(())
                });
                // Without permission, there are none.
                listed.await.ok();
                anyhow::Ok((bundle, own))
            };
            let (bundle, own) = app.survey(read).await?;
            (diagnosis(&app, &bundle), events(&bundle, own))
        }
    };
    Ok(Json(json!({"diagnosis": diagnosis, "events": events})))
}

fn diagnosis(app: &App, bundle: &Bundle) -> Diagnosis {
    let mut settings = app.settings.clone();
    settings.manage_node_networks |= doctor::makes_bridges(&bundle.wukong);
    Diagnosis::of(&bundle.wukong, &bundle.survey, &settings, bundle.taken)
}

/// Returns the events of the survey and others, the newest first.
fn events(bundle: &Bundle, others: Vec<Value>) -> Vec<Shown> {
    let namespace = bundle.wukong.metadata.namespace.as_deref();
    let related = bundle.survey.related(&bundle.wukong);
    let of_survey = bundle.survey.of_kind("Event").filter(|event| {
        let object = event.pointer("/involvedObject/name");
        let object = object.and_then(Value::as_str).unwrap_or_default();
        related.has(object, namespace.unwrap_or_default())
    });
    let all = of_survey.chain(&others);
    let mut shown: Vec<Shown> = all.map(shown).collect();
    shown.sort_by(|one, other| other.cmp(one));
    shown.dedup();
    shown.truncate(EVENTS_MAX);
    shown
}

fn shown(event: &Value) -> Shown {
    let text = |pointer: &str| {
        let found = event.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let times = [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ];
    let count = event.pointer("/series/count").or(event.get("count"));
    Shown {
        time: times.iter().find_map(|pointer| text(pointer).parse().ok()),
        warning: text("/type") == "Warning",
        object: format!(
            "{}/{}",
            text("/involvedObject/kind"),
            text("/involvedObject/name")
        ),
        reason: text("/reason"),
        message: text("/message"),
        count: count.and_then(Value::as_i64).unwrap_or(1),
    }
}

#[derive(Deserialize)]
pub struct Wanted {
    kind: String,
    object: String,
}

/// Answers with an object as YAML, without secrets. Secrets themselves are never read.
pub async fn object(
    State(app): State<Arc<App>>,
    vm: Vm,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Problem> {
    let rows = catalogue::all(Reader::Plugin);
    let row = rows.into_iter().find(|row| row.kind == wanted.kind);
    let row = row.filter(|row| row.kind != "Secret" && is_name(&wanted.object));
    let Some(row) = row else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("{} is not shown", wanted.kind),
        ));
    };
    let mut object = match &app.source {
        Source::Bundle(bundle) => match (&*wanted.kind, &*wanted.object) {
            ("Wukong", name) if name == vm.name => {
                serde_json::to_value(&bundle.wukong).map_err(anyhow::Error::from)?
            }
            (kind, name) => {
                let namespace = if row.namespaced { &*vm.namespace } else { "" };
                let found = bundle.survey.object(kind, namespace, name).cloned();
                found.ok_or_else(|| Problem::not_found(&format!("{kind}/{name} in the bundle")))?
            }
        },
        Source::Cluster { .. } => {
            let client = app.cluster(&vm.namespace)?.client;
            let kind = row.api_resource();
            let api: Api<DynamicObject> = match row.namespaced {
                true => Api::namespaced_with(client, &vm.namespace, &kind),
                false => Api::all_with(client, &kind),
            };
            let found = api.get(&wanted.object).await?;
            serde_json::to_value(found).map_err(anyhow::Error::from)?
        }
    };
    redact(&mut object);
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    Ok(Json(json!({"yaml": output::to_yaml(&object)?})))
}
