//! Writing changes to the API server.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Error};
use serde_json::{Value, json};

use wukong_sim::change::{Change, Manager, Refusal};
use wukong_sim::field::put;
use wukong_sim::kind::{Kind, Ref, Resource};

const RESOURCE_VERSION: &str = "/metadata/resourceVersion";

/// The result of the writes of one step.
#[derive(Debug, Default)]
pub struct Outcome {
    pub stored: Vec<(Ref, Value)>,
    pub gone: Vec<Ref>,
    pub refusal: Option<Refusal>,
    /// A write failed; the rest of the step was dropped.
    pub failed: bool,
}

/// Writes the changes in their order, up to the first that fails.
pub async fn execute(client: &Client, changes: Vec<Change>) -> Outcome {
    let mut outcome = Outcome::default();
    for change in changes {
        if let Err((kind, error)) = write(client, change, &mut outcome).await {
            outcome.failed = true;
            match error {
                // Another writer was quicker; the watch reports the new object.
                Error::Api(status) if status.code == 409 => {}
                Error::Api(status) if (400..500).contains(&status.code) => {
                    tracing::debug!(?kind, message = status.message, "refused");
                    outcome.refusal = Some(Refusal {
                        kind,
                        message: status.message.clone(),
                    });
                }
                error => tracing::warn!(?kind, %error, "writing"),
            }
            break;
        }
    }
    outcome
}

/// The client for objects of a kind.
pub fn api_resource(kind: Kind) -> ApiResource {
    let Resource {
        group,
        version,
        kind,
        plural,
    } = kind.resource();
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn api(client: &Client, at: &Ref) -> Api<DynamicObject> {
    let resource = api_resource(at.kind);
    if at.kind.is_namespaced() {
        Api::namespaced_with(client.clone(), &at.namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    }
}

async fn write(
    client: &Client,
    change: Change,
    outcome: &mut Outcome,
) -> Result<(), (Kind, Error)> {
    match change {
        Change::Create { by, at, object } => {
            let parameters = PostParams {
                field_manager: Some(by.name().into()),
                ..PostParams::default()
            };
            let failed = |error| (at.kind, error);
            let object: DynamicObject =
                serde_json::from_value(object).map_err(|error| failed(Error::SerdeError(error)))?;
            let stored = api(client, &at)
                .create(&parameters, &object)
                .await
                .map_err(failed)?;
            keep(at, stored, outcome);
        }
        Change::Merge {
            by,
            at,
            version,
            status,
            mut patch,
        } => {
            // An object that this very step wrote before may have a newer version.
            let own = outcome.stored.iter().rev().find(|(key, _)| *key == at);
            let own = own.and_then(|(_, object)| object.pointer(RESOURCE_VERSION).cloned());
            if let Some(version) = version.map(|version| own.unwrap_or_else(|| json!(version))) {
                put(&mut patch, ["metadata", "resourceVersion"], version);
            }
            let parameters = PatchParams {
                field_manager: Some(by.name().into()),
                ..PatchParams::default()
            };
            let (api, patch) = (api(client, &at), Patch::Merge(patch));
            let stored = if status {
                api.patch_status(&at.name, &parameters, &patch).await
            } else {
                api.patch(&at.name, &parameters, &patch).await
            };
            match stored {
                Ok(stored) => keep(at, stored, outcome),
                Err(error) if is_not_found(&error) => outcome.gone.push(at),
                Err(error) => return Err((at.kind, error)),
            }
        }
        Change::Delete { at } => {
            // The kubelet of a simulated node agrees at once.
            let parameters = if at.kind == Kind::Pod {
                DeleteParams::default().grace_period(0)
            } else {
                DeleteParams::default()
            };
            match api(client, &at).delete(&at.name, &parameters).await {
                Ok(either) => match either.left() {
                    Some(left)
                        if left
                            .metadata
                            .finalizers
                            .as_ref()
                            .is_some_and(|list| !list.is_empty()) =>
                    {
                        keep(at, left, outcome);
                    }
                    _ => outcome.gone.push(at),
                },
                Err(error) if is_not_found(&error) => outcome.gone.push(at),
                Err(error) => return Err((at.kind, error)),
            }
        }
        Change::Terminate { at } => {
            match api(client, &at)
                .delete(&at.name, &DeleteParams::default())
                .await
            {
                Ok(either) => match either.left() {
                    Some(left) => keep(at, left, outcome),
                    None => outcome.gone.push(at),
                },
                Err(error) if is_not_found(&error) => outcome.gone.push(at),
                Err(error) => return Err((at.kind, error)),
            }
        }
        Change::Bind { at, node } => bind(client, &at, &node)
            .await
            .map_err(|error| (at.kind, error))?,
        Change::Event {
            by,
            about,
            warning,
            reason,
            message,
        } => {
            // A lost event does no harm.
            if let Err(error) = tell(client, by, &about, warning, reason, &message).await {
                tracing::debug!(%error, "writing an event");
            }
        }
    }
    Ok(())
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 404)
}

fn keep(at: Ref, mut stored: DynamicObject, outcome: &mut Outcome) {
    stored.metadata.managed_fields = None;
    // The last finalizer of a deleted object takes the object with it.
    let finalizers = stored.metadata.finalizers.as_ref().map_or(0, Vec::len);
    if stored.metadata.deletion_timestamp.is_some() && finalizers == 0 && at.kind != Kind::Pod {
        outcome.gone.push(at);
        return;
    }
    if let Ok(object) = serde_json::to_value(stored) {
        outcome.stored.push((at, object));
    }
}

async fn post(client: &Client, path: &str, body: &Value, by: Manager) -> Result<(), Error> {
    let request = http::Request::post(format!("{path}?fieldManager={}", by.name()))
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(Error::HttpError)?;
    client.request::<Value>(request).await.map(drop)
}

async fn bind(client: &Client, at: &Ref, node: &str) -> Result<(), Error> {
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/binding",
        at.namespace, at.name
    );
    let body = json!({
        "apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": at.name, "namespace": at.namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    post(client, &path, &body, Manager::Scheduler).await
}

async fn tell(
    client: &Client,
    by: Manager,
    about: &Ref,
    warning: bool,
    reason: &str,
    message: &str,
) -> Result<(), Error> {
    let namespace = if about.namespace.is_empty() {
        "default"
    } else {
        &about.namespace
    };
    let resource = about.kind.resource();
    let uid = api(client, about)
        .get_metadata(&about.name)
        .await?
        .metadata
        .uid;
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let body = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"generateName": format!("{}.", about.name), "namespace": namespace},
        "involvedObject": {"apiVersion": resource.api_version(), "kind": resource.kind, "name": about.name,
            "namespace": about.namespace, "uid": uid},
        "type": if warning { "Warning" } else { "Normal" },
        "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": {"component": by.name()}, "reportingComponent": by.name(),
    });
    post(
        client,
        &format!("/api/v1/namespaces/{namespace}/events"),
        &body,
        by,
    )
    .await
}
