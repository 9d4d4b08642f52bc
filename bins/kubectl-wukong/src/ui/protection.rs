//! The snapshots of a VM, and restores from them.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use kube::api::{DeleteParams, DynamicObject, ListParams, Preconditions};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};
use wukong_api::protection::WukongRestoreSpec;

use super::app::{App, Vm, is_name};
use super::problem::Problem;
use crate::cluster::Cluster;
use crate::protection::{self, restore, snapshot, timed_name};

/// Fields of a status that the page shows.
const SHOWN: [&str; 6] = [
    "phase",
    "readyToUse",
    "creationTime",
    "consistency",
    "volumes",
    "blocker",
];

/// Answers with the snapshots and restores of a VM, the newest first.
pub async fn list(State(app): State<Arc<App>>, vm: Vm) -> Result<Json<Value>, Problem> {
    let cluster = app.cluster(&vm.namespace)?;
    let (snapshots, restores) = futures::try_join!(
        of_vm(protection::snapshots(&cluster), &vm.name),
        of_vm(protection::restores(&cluster), &vm.name)
    )?;
    Ok(Json(json!({"snapshots": snapshots, "restores": restores})))
}

async fn of_vm(api: Api<DynamicObject>, wukong: &str) -> Result<Vec<Value>, Problem> {
    let mut found = api.list(&ListParams::default()).await?.items;
    found.retain(|object| subject(object) == Some(wukong));
    found.sort_by_key(|object| {
        let created = object.creation_timestamp().map(|created| created.0);
        Reverse((created, object.name_any()))
    });
    Ok(found.iter().map(shown).collect())
}

fn subject(object: &DynamicObject) -> Option<&str> {
    object.data.pointer("/spec/wukongName")?.as_str()
}

fn shown(object: &DynamicObject) -> Value {
    let status = |field: &&str| {
        Some((
            (*field).to_owned(),
            object.data.get("status")?.get(field)?.clone(),
        ))
    };
    let status: serde_json::Map<String, Value> = SHOWN.iter().filter_map(status).collect();
    json!({
        "name": object.name_any(),
        "created": object.creation_timestamp(),
        "deleting": object.metadata.deletion_timestamp.is_some(),
        "spec": object.data.get("spec"),
        "status": status,
    })
}

/// What a snapshot is taken with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Take {
    allow_partial: bool,
}

/// Requests a snapshot.
pub async fn snapshot(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(take): Json<Take>,
) -> Result<Json<Value>, Problem> {
    let cluster = app.cluster(&vm.namespace)?;
    let name = timed_name(&vm.name);
    snapshot::request(&cluster, &vm.name, &name, take.allow_partial).await?;
    Ok(Json(json!({"name": name})))
}

/// The snapshot to delete.
#[derive(Deserialize)]
pub struct Named {
    name: String,
}

/// Deletes a snapshot of the VM.
pub async fn delete(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(Named { name }): Json<Named>,
) -> Result<Json<Value>, Problem> {
    let api = protection::snapshots(&app.cluster(&vm.namespace)?);
    let found = match is_name(&name) {
        true => api.get_opt(&name).await?,
        false => None,
    };
    let found = found.filter(|found| subject(found) == Some(&vm.name));
    let Some(found) = found else {
        return Err(Problem::not_found("the snapshot"));
    };
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: found.uid(),
        resource_version: None,
    });
    api.delete(&name, &params).await?;
    Ok(Json(json!({})))
}

/// Answers with what a restore would change.
pub async fn plan(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(spec): Json<WukongRestoreSpec>,
) -> Result<Json<Value>, Problem> {
    let cluster = checked(&app, &vm, &spec)?;
    let plan = restore::planned(&cluster, &spec).await;
    // What cannot be restored is an answer, not a failure of the plugin.
    Ok(Json(match plan {
        Ok(plan) => json!({"plan": plan}),
        Err(error) => json!({"refused": format!("{error:#}")}),
    }))
}

/// Requests a restore.
pub async fn restore(
    State(app): State<Arc<App>>,
    vm: Vm,
    Json(spec): Json<WukongRestoreSpec>,
) -> Result<Json<Value>, Problem> {
    let cluster = checked(&app, &vm, &spec)?;
    let name = timed_name(&vm.name);
    restore::request(&cluster, &name, &spec).await?;
    Ok(Json(json!({"name": name})))
}

/// Returns the cluster, if the restore is of the VM in the path.
fn checked(app: &App, vm: &Vm, spec: &WukongRestoreSpec) -> Result<Cluster, Problem> {
    match is_of(vm, spec) {
        true => app.cluster(&vm.namespace),
        false => Err(Problem::new(StatusCode::BAD_REQUEST, "no such name")),
    }
}

fn is_of(vm: &Vm, spec: &WukongRestoreSpec) -> bool {
    spec.wukong_name == vm.name && spec.snapshot_name.as_deref().is_none_or(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_status_only_what_is_shown_leaves_the_plugin() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "vm.novasphere.dev/v1alpha1", "kind": "WukongSnapshot",
            "metadata": {"name": "before", "creationTimestamp": "2026-11-30T11:00:00Z"},
            "spec": {"wukongName": "web"},
            "status": {"phase": "Succeeded", "readyToUse": true, "spec": {"cloudInitUser": {"name": "canary"}}},
        }))
        .unwrap();
        let shown = shown(&object);
        assert_eq!(
            shown["status"],
            json!({"phase": "Succeeded", "readyToUse": true})
        );
        assert!(!shown.to_string().contains("canary"), "{shown}");
    }

    #[test]
    fn a_restore_is_of_the_vm_in_the_path() {
        let vm = Vm {
            namespace: "shop".into(),
            name: "web".into(),
        };
        for (spec, fits) in [
            (json!({"wukongName": "web", "snapshotName": "before"}), true),
            (json!({"wukongName": "web", "fromGeneration": 1}), true),
            (json!({"wukongName": "db", "snapshotName": "before"}), false),
            (
                json!({"wukongName": "web", "snapshotName": "../secrets/x"}),
                false,
            ),
        ] {
            let parsed = serde_json::from_value(spec.clone()).unwrap();
            assert_eq!(is_of(&vm, &parsed), fits, "{spec}");
        }
    }
}
