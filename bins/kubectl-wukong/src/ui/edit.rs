//! A manifest before and after it is applied: its problems, the objects that it becomes, and what it changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use kube::api::{DeleteParams, DynamicObject};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};
use wukong_api::validate::Problem as Invalid;
use wukong_api::{OperatorSettings, Wukong};

use super::app::{App, Source, Vm, is_name};
use super::problem::Problem;
use super::secrets;
use crate::action;
use crate::cluster::{self, Cluster};
use crate::manifest::{self, Defaults, Manifest};
use crate::output;
use crate::plan;
use crate::policy::Policies;
use crate::render;

/// A manifest, as the form or the text has it.
#[derive(Deserialize)]
pub struct Draft {
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    yaml: Option<String>,
}

/// Answers with the same manifest in both forms, its problems, and its plan.
pub async fn check(
    State(app): State<Arc<App>>,
    Json(draft): Json<Draft>,
) -> Result<Json<Value>, Problem> {
    let object = match (draft.object, draft.yaml) {
        (Some(object), _) => object,
        (None, Some(text)) => match read(&text) {
            Ok(object) => object,
            Err(error) => return Ok(Json(json!({"unreadable": error}))),
        },
        (None, None) => Value::Null,
    };
    let yaml = output::to_yaml(&object)?;
    let checked = examine(&app, &object).await?;
    Ok(Json(json!({
        "object": object,
        "yaml": yaml,
        "problems": checked.problems.iter().map(|problem| json!({
            "path": problem.path, "message": problem.message,
        })).collect::<Vec<_>>(),
        "render": checked.render,
        "notes": checked.notes,
        "plan": checked.plan,
        "planError": checked.plan_error,
    })))
}

fn read(text: &str) -> Result<Value, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    let mut documents = documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(object @ Value::Object(_)), None) => Ok(object),
        (None, _) => Err("the text is empty".into()),
        (Some(_), None) => Err("the text is not a mapping".into()),
        (Some(_), Some(_)) => Err("the text has more than one object".into()),
    }
}

#[derive(Default)]
struct Checked {
    problems: Vec<Invalid>,
    render: Option<String>,
    notes: Vec<String>,
    plan: Option<Value>,
    plan_error: Option<String>,
}

/// Returns the stored Wukong, if there is a cluster.
async fn stored(cluster: &Cluster, name: &str) -> anyhow::Result<Option<DynamicObject>> {
    let found = cluster.wukongs(false).get_opt(name).await;
    found.map_err(cluster::readable)
}

async fn examine(app: &App, object: &Value) -> Result<Checked, Problem> {
    let namespace = match &app.source {
        Source::Cluster { cluster, .. } => cluster.namespace.clone(),
        Source::Bundle(_) => return Err(Problem::no_cluster()),
    };
    let target = Target::of(object, &namespace);
    let cluster = app.cluster(&target.namespace)?;
    let stored = match is_name(&target.name) && is_name(&target.namespace) {
        true => stored(&cluster, &target.name).await?,
        false => None,
    };
    let mut object = object.clone();
    if let Some(stored) = &stored {
        secrets::restore(&mut object, stored);
    }
    let manifest = match parse(object, &target.namespace, &app.settings) {
        Ok(manifest) => manifest,
        Err(problems) => {
            return Ok(Checked {
                problems,
                ..Checked::default()
            });
        }
    };
    let (rendered, notes) = render::shown(&manifest.validated)?;
    let before = stored.as_ref().map(cluster::decode).transpose()?;
    let mut policies = Policies::of_cluster(&cluster).await?;
    policies.read_namespace(&cluster).await?;
    let mut checked = Checked {
        problems: policies.problems(&manifest.wukong, before.as_ref()),
        render: Some(rendered),
        notes,
        ..Checked::default()
    };
    match plan::of_edit(cluster, manifest, before, &app.settings).await {
        Ok(plan) => checked.plan = Some(serde_json::to_value(plan).map_err(anyhow::Error::from)?),
        Err(error) => checked.plan_error = Some(format!("{error:#}")),
    }
    Ok(checked)
}

/// Namespace and name of a manifest.
struct Target {
    namespace: String,
    name: String,
}

impl Target {
    fn of(object: &Value, default: &str) -> Self {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        Self {
            namespace: text("/metadata/namespace").unwrap_or(default).to_owned(),
            name: text("/metadata/name").unwrap_or_default().to_owned(),
        }
    }
}

fn parse(
    object: Value,
    namespace: &str,
    settings: &OperatorSettings,
) -> Result<Manifest, Vec<Invalid>> {
    let defaults = Defaults {
        namespace: None,
        context_namespace: namespace,
        uid: None,
    };
    manifest::of_document(object, &defaults, settings)
}

/// A manifest to apply.
#[derive(Deserialize)]
pub struct Apply {
    object: Value,
    /// The generation that the user saw; absent for a new Wukong.
    #[serde(default)]
    generation: Option<i64>,
}

/// Creates a Wukong, or replaces the spec of one that has not changed since the user saw it.
pub async fn apply(
    State(app): State<Arc<App>>,
    Json(mut sent): Json<Apply>,
) -> Result<Json<Value>, Problem> {
    let Source::Cluster { cluster, .. } = &app.source else {
        return Err(Problem::no_cluster());
    };
    let target = Target::of(&sent.object, &cluster.namespace);
    let cluster = app.cluster(&target.namespace)?;
    if !is_name(&target.name) || !is_name(&target.namespace) {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "metadata.name is not a name",
        ));
    }
    let stored = match &sent.generation {
        Some(_) => stored(&cluster, &target.name).await?,
        None => None,
    };
    if let Some(stored) = &stored {
        secrets::restore(&mut sent.object, stored);
    }
    let manifest = parse(sent.object, &target.namespace, &app.settings).map_err(|problems| {
        let first = problems.first().map(ToString::to_string);
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            first.unwrap_or_else(|| "the manifest is invalid".into()),
        )
    })?;
    let params = action::creation();
    let api: Api<DynamicObject> = Api::namespaced_with(
        cluster.client.clone(),
        &target.namespace,
        &ApiResource::erase::<Wukong>(&()),
    );
    let applied = match (sent.generation, stored) {
        (None, _) => api.create(&params, &object(&manifest.wukong)?).await?,
        (Some(_), None) => return Err(Problem::not_found(&target.name)),
        (seen, Some(changed)) if changed.metadata.generation != seen => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                format!("{} was changed meanwhile", target.name),
            ));
        }
        (Some(_), Some(mut changed)) => {
            let new = object(&manifest.wukong)?;
            changed.metadata.annotations = secrets::kept_annotations(&changed, &new);
            changed.metadata.labels = new.metadata.labels;
            if let (Some(fields), Some(spec)) =
                (changed.data.as_object_mut(), new.data.get("spec").cloned())
            {
                fields.insert("spec".into(), spec);
                fields.remove("status");
            }
            api.replace(&target.name, &params, &changed).await?
        }
    };
    Ok(Json(json!({
        "namespace": applied.namespace(), "name": applied.name_any(),
        "generation": applied.metadata.generation,
    })))
}

fn object(wukong: &Wukong) -> Result<DynamicObject, Problem> {
    let mut value = serde_json::to_value(wukong).map_err(anyhow::Error::from)?;
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    Ok(serde_json::from_value(value).map_err(anyhow::Error::from)?)
}

#[derive(Deserialize)]
pub struct Delete {
    /// The name once more, as its user typed it.
    name: String,
}

/// Deletes a Wukong.
pub async fn delete(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(sent): Json<Delete>,
) -> Result<Json<Value>, Problem> {
    if sent.name != vm.name {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the name differs",
        ));
    }
    let cluster = app.cluster(&vm.namespace)?;
    let api = cluster.wukongs(false);
    api.delete(&vm.name, &DeleteParams::default()).await?;
    Ok(Json(json!({})))
}
